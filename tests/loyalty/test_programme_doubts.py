"""What can be read in a programme and is hardly meant: every kind of warning, and near it what is none."""

import json
import re
from datetime import datetime

import pytest
from hypothesis import given

from loyalty.pricing.quotes import quote_basket
from loyalty.programme.check import check_programme
from loyalty.programme.compiled import compile_programme
from loyalty.programme.overlaps import alike, apart, can_meet, has_a_moment, never_selects, times_of, within
from loyalty.programme.programme import canonical
from loyalty.programme.promotion import Valid
from tests.loyalty.build import SPENDING, amount_off, earn, multiply, percent_off, programme, promotion, spend
from tests.loyalty.random_programmes import cases


def doubts(*promotions, **facts):
    text = json.dumps({"id": "club", "currency": "EUR", "promotions": list(promotions), **facts}, indent=1)
    found = check_programme(text)
    assert {one.severity for one in found} <= {"warning"}, found
    assert all(one.say.endswith(".") for one in found)
    return [f"{one.path.removeprefix('$.')} {one.rule}" for one in found]


def message(text, case="applied"):
    return {"place": "receipt", "text": text, "case": case}


BASE = promotion("base", earn(1, 100))
WINE = {"tags": ["wine"]}
GIFT_CARDS = {"certificates": {"sold": {"tags": ["gift-card"]}}}
TIERS = [{"id": "silver", "reach": {"spend_minor": 100}}, {"id": "gold", "reach": {"spend_minor": 200}}]
THANKS = {"coupons": [{"id": "thanks"}]}
ON_THANKS = {"trigger": {"kind": "coupon", "coupon": "thanks"}}

RULES = [
    # Goods that nothing can be.
    ([promotion("a", percent_off(500, sku=["x"], exclude={"sku": ["x", "y"]}))], {},
     ["promotions[0].then[0].of.exclude selects_nothing"]),
    ([promotion("a", amount_off(5, exclude={}))], {}, ["promotions[0].then[0].of.exclude selects_nothing"]),
    ([promotion("a", amount_off(5), when=[spend(1, exclude={})])], {},
     ["promotions[0].when[0].of.exclude selects_nothing"]),
    ([promotion("a", {"kind": "buy_get", "buy_units": 2, "buy": WINE, "get": WINE | {"exclude": WINE}})], {},
     ["promotions[0].then[0].get.exclude selects_nothing"]),
    ([promotion("a", {"kind": "bundle", "price_minor": 5, "parts": [{}, {"of": WINE | {"exclude": WINE}}]})], {},
     ["promotions[0].then[0].parts[1].of.exclude selects_nothing"]),
    ([], {"prizes": [{"id": "mug", "points": 5, "of": WINE | {"exclude": WINE}}]},
     ["prizes[0].of.exclude selects_nothing"]),
    ([], {"spending": SPENDING | {"of": WINE | {"exclude": WINE}}}, ["spending.of.exclude selects_nothing"]),
    # Certificates are neither discounted nor earn, and points do not pay for them.
    ([promotion("a", percent_off(500, tags=["gift-card"]))], GIFT_CARDS, ["promotions[0].then[0].of never_applies"]),
    ([promotion("a", percent_off(500, tags=["gift-card", "wine"]))], GIFT_CARDS, []),
    ([promotion("a", earn(1, 100, tags=["gift-card"]))], GIFT_CARDS, ["promotions[0].then[0].of never_applies"]),
    ([promotion("a", {"kind": "gift", "items": [{"sku": "88"}], "of": {"tags": ["gift-card"]}})], GIFT_CARDS, []),
    ([], GIFT_CARDS | {"prizes": [{"id": "card", "points": 5, "of": {"tags": ["gift-card"], "brand": ["Ours"]}}]},
     ["prizes[0].of never_applies"]),
    ([], {"certificates": {"sold": {}}}, ["certificates.sold never_applies"]),
    # Points that are not there.
    ([promotion("a", multiply(200))], {}, ["promotions[0].then[0] never_applies"]),
    ([BASE, promotion("a", multiply(200))], {}, []),
    ([promotion("base", earn(1, 100, exclude=WINE)), promotion("a", multiply(200, **WINE))], {},
     ["promotions[1].then[0] never_applies"]),
    ([promotion("a", percent_off(500), when=[{"kind": "points_spent"}])], {"spending": SPENDING},
     ["promotions[0].when[0] never_applies"]),
    ([promotion("a", percent_off(500), stage="redemption", when=[{"kind": "points_spent"}])], {"spending": SPENDING},
     []),
    ([promotion("a", earn(1, 100), when=[{"kind": "points_spent"}])], {"spending": SPENDING}, []),
    ([promotion("a", earn(1, 100), when=[{"kind": "points_spent"}])], {}, ["promotions[0].when[0] never_applies"]),
    ([], {"spending": SPENDING | {"largest_share_bp": 0}}, ["spending.largest_share_bp never_applies"]),
    ([], {"spending": SPENDING | {"offline": {"sale_points": 99, "card_points": 99, "till_points": 99}}},
     ["spending.offline.sale_points never_applies"]),
    # Members who are nobody.
    ([promotion("a", amount_off(5), who={"segments": ["new"], "not_segments": ["new"]})], {},
     ["promotions[0].who.segments[0] never_applies"]),
    ([promotion("a", amount_off(5), who={"segments": ["new"], "not_segments": ["staff"]})], {}, []),
    ([promotion("a", amount_off(5), who={"control_bp": 10_000})], {}, ["promotions[0].who.control_bp never_applies"]),
    ([promotion("a", amount_off(5), who={"tiers": ["gold", "glod"]})], {"tiers": TIERS},
     ["promotions[0].who.tiers[1] unknown_tier"]),
    ([promotion("a", amount_off(5), who={"tiers": ["blue"]})], {"tiers": TIERS, "base_tier": "blue"}, []),
    ([promotion("a", amount_off(5), who={"tiers": ["glod"]})], {}, []),  # another system may give tiers
    ([], {"tiers": TIERS, "prizes": [{"id": "mug", "points": 5, "of": WINE, "tiers": ["bronze"]}]},
     ["prizes[0].tiers[0] unknown_tier"]),
    # Events that no POS tells of.
    ([promotion("a", {"kind": "points", "points": 5}, trigger={"kind": "event", "event": "enrollment"})], {},
     ["promotions[0].trigger.event unknown_event"]),
    ([promotion("a", {"kind": "points", "points": 5}, trigger={"kind": "event", "event": "recycling"})], {}, []),
    ([promotion("idle")], {}, ["promotions[0] does_nothing"]),
    ([promotion("words", messages=[message({"en": "Hello"})])], {}, []),
]  # fmt: skip


@pytest.mark.parametrize(("promotions", "facts", "found"), RULES, ids=range(len(RULES)))
def test_a_rule_that_can_never_apply_is_a_warning(promotions, facts, found):
    assert doubts(*promotions, **facts) == found


CONTRADICTIONS = [
    ([spend(2000), {"kind": "spend", "at_most_minor": 1999}], True),
    ([spend(2000), {"kind": "spend", "at_most_minor": 2000}], False),
    ([{"kind": "spend", "at_most_minor": 500}, {"kind": "spend", "more_than_minor": 500}], True),
    ([{"kind": "spend", "equal_minor": 500}, {"kind": "spend", "equal_minor": 600}], True),
    ([spend(2000, tags=["wine"]), {"kind": "spend", "at_most_minor": 1999}], True),  # wine is part of everything
    ([spend(2000), {"kind": "spend", "at_most_minor": 1999, "of": {"tags": ["wine"]}}], False),
    ([spend(2000), {"kind": "spend", "at_most_minor": 1999, "looks_at": "before"}], False),
    ([spend(2000), {"kind": "spend", "at_most_minor": 1999, "tax": "out"}], False),
    ([{"kind": "quantity", "at_least_milli": 3000}, {"kind": "quantity", "at_most_milli": 2000}], True),
    ([{"kind": "quantity", "at_least_milli": 3000, "per": "line"}, {"kind": "quantity", "at_most_milli": 2000}], True),
    ([{"kind": "quantity", "at_least_milli": 3000}, {"kind": "quantity", "at_most_milli": 2000, "per": "line"}], False),
    ([{"kind": "purchase", "number": 1}, {"kind": "purchase", "number": 2}], True),
    ([{"kind": "purchase", "number": 4}, {"kind": "purchase", "every": 3}], True),
    ([{"kind": "purchase", "number": 6}, {"kind": "purchase", "every": 3}], False),
    ([{"kind": "purchase", "number": 1}, {"kind": "lapsed", "days": 30}], True),
    ([{"kind": "purchase", "number": 2}, {"kind": "lapsed", "days": 30}], False),
    ([{"kind": "period_spend", "at_least_minor": 9}, {"kind": "period_spend", "at_most_minor": 8}], True),
    ([{"kind": "period_spend", "at_least_minor": 9}, {"kind": "period_spend", "at_most_minor": 8, "period": "year"}],
     False),
    ([{"kind": "period_spend", "at_least_minor": 9, "this_receipt": True},
      {"kind": "period_spend", "at_most_minor": 8}], False),
]  # fmt: skip


@pytest.mark.parametrize(("when", "is_one"), CONTRADICTIONS, ids=str)
def test_conditions_that_cannot_both_hold_are_a_warning_at_the_second(when, is_one):
    found = ["promotions[0].when[1] contradiction"] if is_one else []
    assert doubts(promotion("a", amount_off(5), when=when)) == found


MOMENTS = [
    # 2026-03-02 is a Monday.
    ({"from_on": "2026-03-02", "to_on": "2026-03-04", "weekdays": ["thu", "sun"]}, False),
    ({"from_on": "2026-03-02", "to_on": "2026-03-05", "weekdays": ["thu"]}, True),
    ({"from_on": "2026-03-02", "to_on": "2026-03-08", "weekdays": ["sun"]}, True),
    ({"from_at": "2026-03-02T08:00:00+01:00", "to_at": "2026-03-02T12:00:00+01:00", "hours": [["12:00", "18:00"]]},
     False),
    ({"from_at": "2026-03-02T08:00:00+01:00", "to_at": "2026-03-02T12:00:01+01:00", "hours": [["12:00", "18:00"]]},
     True),
    ({"from_at": "2026-03-02T08:00:00+01:00", "to_at": "2026-03-03T08:00:00+01:00", "hours": [["07:00", "08:00"]]},
     True),
    ({"from_at": "2026-03-02T08:00:00+01:00", "to_at": "2026-03-02T12:00:00+01:00", "weekdays": ["tue"]}, False),
    ({"from_at": "2026-03-02T00:00:00+01:00", "to_on": "2026-03-01"}, False),
    ({"from_on": "2026-03-03", "to_at": "2026-03-03T00:00:00+01:00"}, False),
    ({"from_on": "2026-03-03", "to_at": "2026-03-03T00:00:01+01:00"}, True),
    # Written in UTC, an instant does not tell the store's own time; somewhere it is late enough.
    ({"from_at": "2026-03-02T08:00:00Z", "to_at": "2026-03-02T12:00:00Z", "hours": [["14:00", "18:00"]]}, True),
    ({"from_at": "2026-03-02T08:00:00Z", "to_at": "2026-03-02T09:00:00Z", "weekdays": ["thu"]}, False),
    ({"from_at": "0001-01-01T00:00:00+14:00", "to_at": "9999-12-31T23:59:59-12:00", "weekdays": ["mon"]}, True),
    ({"from_on": "0001-01-01", "to_on": "9999-12-31", "hours": [["00:00", "00:01"]]}, True),
]  # fmt: skip


@pytest.mark.parametrize(("valid", "can_be"), MOMENTS, ids=str)
def test_validity_without_a_common_moment_is_a_warning(valid, can_be):
    found = [] if can_be else ["promotions[0].valid never_valid"]
    assert doubts(promotion("a", amount_off(5), valid=valid)) == found


def test_validity_without_a_common_moment_names_what_to_widen():
    text = json.dumps({"id": "club", "currency": "EUR", "promotions": [
        promotion("a", amount_off(5), valid={"from_on": "2026-03-02", "to_on": "2026-03-02", "weekdays": ["sun"]}),
    ]})  # fmt: skip
    assert [one.say for one in check_programme(text)] == [
        "No moment is in all of from_on, to_on and weekdays; widen one of them."
    ]


BUY_GET = {"kind": "buy_get", "buy_units": 2}
EFFECTS = [
    ([], {"options": {"expiry_at": "06:00"}}, ["options.expiry_at no_effect"]),
    ([], {"options": {"expiry_at": "06:00", "expiry": "instant"}}, []),
    ([promotion("a", earn(1, 100), stage="before")], {}, ["promotions[0].stage no_effect"]),
    ([promotion("a", earn(1, 100), stage="earning")], {}, []),
    ([promotion("a", amount_off(5), lifetime={"days": 5})], {}, ["promotions[0].lifetime no_effect"]),
    ([promotion("a", amount_off(5), {"kind": "points", "points": 5}, lifetime={"days": 5})], {}, []),
    ([promotion("a", earn(1, 100), limits={"budget_minor": 500})], {}, ["promotions[0].limits.budget_minor no_effect"]),
    ([promotion("a", amount_off(500), limits={"budget_minor": 499})], {},
     ["promotions[0].limits.budget_minor cap_below_amount"]),
    ([promotion("a", amount_off(500), limits={"budget_minor": 500})], {}, []),
    ([promotion("a", amount_off(5), limits={"times": 3, "times_in_all": 2})], {},
     ["promotions[0].limits.times_in_all no_effect"]),
    ([promotion("a", amount_off(5), limits={"times": 3, "times_in_all": 3})], {}, []),
    ([promotion("a", amount_off(500), caps=[{"most": 300, "of": "amount", "per": "month"}])], {},
     ["promotions[0].caps[0].most cap_below_amount"]),
    ([promotion("a", amount_off(500), caps=[{"most": 500, "of": "amount", "per": "month"}])], {}, []),
    ([promotion("a", amount_off(500, "line"), caps=[{"most": 300, "of": "amount"}])], {}, []),
    ([promotion("a", {"kind": "points", "points": 50}, caps=[{"most": 40, "of": "points"}])], {},
     ["promotions[0].caps[0].most cap_below_amount"]),
    ([promotion("a", amount_off(5), caps=[{"most": 50, "of": "points"}])], {}, ["promotions[0].caps[0] no_effect"]),
    ([promotion("a", earn(1, 100), caps=[{"most": 50, "of": "amount"}])], {}, ["promotions[0].caps[0] no_effect"]),
    ([promotion("a", amount_off(5), caps=[{"most": 3, "of": "units"}])], {}, ["promotions[0].caps[0] no_effect"]),
    ([promotion("a", amount_off(5, "each"), caps=[{"most": 3, "of": "units"}])], {}, []),
    ([promotion("a", amount_off(5, "each"), caps=[{"most": 3, "of": "units"}])], {"options": {"amount_each": "line"}},
     ["promotions[0].caps[0] no_effect"]),
    ([promotion("a", percent_off(500), caps=[{"most": 3, "of": "units"}])], {}, []),
    ([promotion("a", BUY_GET, caps=[{"most": 3, "of": "units"}])], {}, []),
    ([promotion("a", amount_off(5), stage="price_list", funded_by="bolt")], {},
     ["promotions[0].funded_by funded_price_list"]),
    ([promotion("a", amount_off(5), funded_by="bolt")], {}, []),
    # A kind of coupon that nothing takes.
    ([], THANKS, ["coupons[0] coupon_unused"]),
    ([promotion("a", {"kind": "issue_coupon", "coupon": "thanks"})], THANKS, ["coupons[0] coupon_unused"]),
    ([promotion("a", amount_off(5), **ON_THANKS)], THANKS, []),  # what a wallet holds may set it off
    # Tiers out of order.
    ([], {"tiers": TIERS[::-1]}, ["tiers[1].reach tier_order"]),
    ([], {"tiers": TIERS}, []),
    ([], {"tiers": [TIERS[1], {"id": "platinum", "reach": {"purchases": 50}}]}, []),
    ([], {"tiers": [TIERS[1], {"id": "platinum", "reach": {"spend_minor": 150, "period": "month"}}]}, []),
    ([], {"tiers": [TIERS[0] | {"keep": {"spend_minor": 101}}]}, ["tiers[0].keep tier_order"]),
    ([], {"tiers": [TIERS[0] | {"keep": {"spend_minor": 100}}]}, []),
]  # fmt: skip


@pytest.mark.parametrize(("promotions", "facts", "found"), EFFECTS, ids=range(len(EFFECTS)))
def test_a_part_that_has_no_effect_is_a_warning(promotions, facts, found):
    assert doubts(*promotions, **facts) == found


TENTH, FIVER = promotion("tenth", percent_off(1000)), promotion("fiver", amount_off(500))
ALONE, OTHER = {"exclusive": True}, {"priority": 1}
APART = {"groups": [{"id": "a", "with": []}, {"id": "b"}]}
PRIORITY_WINS = {"options": {"exclusive": "priority_wins"}}
CODE = {"trigger": {"kind": "code", "codes": ["SPRING-5"]}}
SAME_CODE = {"trigger": {"kind": "code", "codes": ["X", "spring 5"]}}
CONFLICTS = [
    # A percentage and an amount on the same goods: which comes first changes the price.
    ([TENTH, FIVER], {}, ["promotions[1].priority order_undeclared"]),
    ([FIVER, TENTH], {}, ["promotions[1].priority order_undeclared"]),
    ([TENTH, FIVER | OTHER], {}, []),
    ([TENTH, FIVER], {"options": {"priority": "as_listed"}}, []),
    ([TENTH, FIVER], {"options": {"stacking": "best_of"}}, []),
    ([TENTH, FIVER], {"options": {"stacking_base": "original"}}, []),
    ([TENTH | {"options": {"stacking_base": "original"}}, FIVER], {}, []),
    ([TENTH, FIVER | {"stage": "after"}], {}, []),
    ([TENTH, FIVER | {"group": "b"}], APART, []),
    ([TENTH, promotion("fifth", percent_off(2000))], {}, []),
    ([TENTH, promotion("price", {"kind": "set_price", "unit_price_minor": 99, "of": WINE})], {},
     ["promotions[1].priority order_undeclared"]),
    ([TENTH, promotion("steps", {"kind": "scale", "steps": [{"from": 0, "amount_minor": 5}]})], {},
     ["promotions[1].priority order_undeclared"]),
    ([TENTH, promotion("steps", {"kind": "scale", "steps": [{"from": 0, "percent_bp": 500}]})], {}, []),
    ([FIVER, promotion("meal", {"kind": "bundle", "parts": [{"of": WINE}], "price_minor": 5})], {},
     ["promotions[1].priority order_undeclared"]),
    ([TENTH, promotion("free", BUY_GET)], {}, []),
    ([promotion("beer", percent_off(1000, brand=["Ale"])), promotion("wine", amount_off(5, brand=["Rioja"]))], {}, []),
    ([promotion("beer", percent_off(1000, brand=["Ale"])), promotion("wine", amount_off(5, tags=["wine"]))], {}, []),
    ([TENTH, FIVER | {"trigger": {"kind": "code", "codes": ["A"]}}], {}, []),  # codes come after
    ([promotion("a", percent_off(1000, brand=["Ale"]), percent_off(1000, **WINE)),
      promotion("b", amount_off(5, **WINE))], {}, ["promotions[1].priority order_undeclared"]),
    # They never meet.
    ([TENTH | {"where": {"stores": ["S1"]}}, FIVER | {"where": {"stores": ["S2"]}}], {}, []),
    ([TENTH | {"valid": {"weekdays": ["mon"]}}, FIVER | {"valid": {"weekdays": ["tue"]}}], {}, []),
    ([TENTH | {"valid": {"to_on": "2026-03-01"}}, FIVER | {"valid": {"from_on": "2026-03-02"}}], {}, []),
    ([TENTH | {"who": {"tiers": ["gold"]}}, FIVER | {"who": {"tiers": ["silver"]}}], {}, []),
    ([TENTH | {"who": {"segments": ["new"]}}, FIVER | {"who": {"not_segments": ["new"]}}], {}, []),
    ([TENTH | {"when": [spend(2000)]}, FIVER | {"when": [{"kind": "spend", "at_most_minor": 1999}]}], {}, []),
    # Told once of each, at the later one.
    ([TENTH, FIVER, promotion("more", amount_off(5))], {},
     ["promotions[1].priority order_undeclared", "promotions[2].priority order_undeclared"]),
    # Groups and exclusive promotions that keep each other out: the first in the list would win.
    ([FIVER | {"group": "a"}, promotion("two", amount_off(200), group="b")], APART,
     ["promotions[1].priority winner_undeclared"]),
    ([FIVER | {"group": "a"}, promotion("two", amount_off(200), group="b", priority=1)], APART, []),
    ([FIVER | {"group": "a"}, promotion("two", amount_off(200), group="b")],
     {"groups": [{"id": "a", "with": []}, {"id": "b", "with": ["a"]}]}, []),
    ([FIVER | ALONE, promotion("two", amount_off(200))], PRIORITY_WINS, ["promotions[1].priority winner_undeclared"]),
    ([FIVER | ALONE, promotion("two", amount_off(200))], {}, []),
    ([FIVER | ALONE, promotion("two", amount_off(200), priority=1)], PRIORITY_WINS, []),
    ([FIVER | ALONE, promotion("two", amount_off(200), exclusive=True)], PRIORITY_WINS, []),  # both apply
    ([FIVER | ALONE, TENTH | ALONE], PRIORITY_WINS, ["promotions[1].priority order_undeclared"]),
    # One code for two promotions that keep each other out.
    ([FIVER | {"group": "a"} | CODE, promotion("two", amount_off(200), group="b", **SAME_CODE)], APART,
     ["promotions[1].trigger.codes[1] code_shared"]),
    ([FIVER | CODE, promotion("two", amount_off(200), **SAME_CODE)], APART, []),
    # An exclusive discount that costs its buyers all points.
    ([BASE, FIVER | ALONE], {}, ["promotions[1].exclusive keeps_from_earning"]),
    ([BASE, FIVER | ALONE], {"options": {"exclusive_over": "same_kind"}}, []),
    ([BASE | ALONE, FIVER | ALONE], {}, []),
    ([BASE, FIVER | ALONE, promotion("more", earn(1, 200), exclusive=True)], {}, []),
    ([BASE, promotion("both", amount_off(500), {"kind": "points", "points": 5}, exclusive=True)], {}, []),
    ([promotion("base", earn(1, 100, **WINE)), FIVER | ALONE], {}, []),
]  # fmt: skip


@pytest.mark.parametrize(("promotions", "facts", "found"), CONFLICTS, ids=range(len(CONFLICTS)))
def test_a_conflict_without_a_declared_winner_is_a_warning(promotions, facts, found):
    assert doubts(*promotions, **facts) == found


def scale(*steps, **facts):
    return {"kind": "scale", "steps": [{"from": start, name: figure} for start, name, figure in steps], **facts}


TWO_STEPS = scale((1000, "percent_bp", 1000), (3000, "percent_bp", 500), by="quantity")
RIDDLES = [
    ([promotion("a", TWO_STEPS | {"graduated": True}, caps=[{"most": 3, "of": "units"}])], {},
     ["promotions[0].then[0] hard_to_explain"]),
    ([promotion("a", TWO_STEPS | {"graduated": True})], {}, []),
    ([promotion("a", percent_off(1000) | {"per": "unit"})], {"options": {"percent_rounding": "half_even"}},
     ["promotions[0].then[0] hard_to_explain"]),
    ([promotion("a", percent_off(1000), options={"percent_per": "unit", "percent_rounding": "half_even"})], {},
     ["promotions[0].then[0] hard_to_explain"]),
    ([promotion("a", percent_off(1000))], {"options": {"percent_rounding": "half_even"}}, []),
    ([promotion("a", BUY_GET | {"buy": WINE, "get": {}, "counts": True})], {},
     ["promotions[0].then[0].counts hard_to_explain"]),
    ([promotion("a", BUY_GET | {"buy": {}, "get": WINE, "counts": True})], {}, []),  # the wine among the goods is free
    ([promotion("a", BUY_GET | {"buy": WINE, "get": {}})], {}, []),
    ([promotion("a", amount_off(500), group="a")], {"groups": [{"id": "a", "stacking": "best_of_line"}]},
     ["promotions[0].then[0] hard_to_explain"]),
    ([promotion("a", amount_off(500, "line"), group="a")], {"groups": [{"id": "a", "stacking": "best_of_line"}]}, []),
    # Percentages that make more than the price.
    ([promotion("a", percent_off(6000)), promotion("b", percent_off(4001, **WINE))], {"options": {"stacking": "sum"}},
     ["promotions[1].then[0].percent_bp more_than_all"]),
    ([promotion("a", percent_off(6000)), promotion("b", percent_off(4000, **WINE))], {"options": {"stacking": "sum"}},
     []),
    ([promotion("a", percent_off(6000)), promotion("b", percent_off(4001))], {}, []),
    # More bought, less off.
    ([promotion("a", TWO_STEPS)], {}, ["promotions[0].then[0].steps[1] scale_falls"]),
    ([promotion("a", scale((1000, "amount_minor", 500), (2000, "amount_minor", 400)))], {},
     ["promotions[0].then[0].steps[1] scale_falls"]),
    ([promotion("a", scale((1000, "amount_minor", 500), (2000, "percent_bp", 4000)))], {}, []),
    # A unit that was not meant.
    ([promotion("a", percent_off(10))], {}, ["promotions[0].then[0].percent_bp unit_slip"]),
    ([promotion("a", percent_off(100))], {}, []),
    ([promotion("a", scale((1000, "percent_bp", 5)))], {}, ["promotions[0].then[0].steps[0].percent_bp unit_slip"]),
    ([promotion("a", scale((1, "percent_bp", 500), (3, "percent_bp", 600), by="quantity"))], {},
     ["promotions[0].then[0].steps[1].from unit_slip"]),
    ([promotion("a", amount_off(5), when=[{"kind": "quantity", "at_least_milli": 3}])], {},
     ["promotions[0].when[0].at_least_milli unit_slip"]),
    ([promotion("a", amount_off(5), when=[{"kind": "quantity", "at_most_milli": 0, "of": WINE}])], {}, []),
    ([], {"spending": SPENDING | {"largest_share_bp": 50}}, ["spending.largest_share_bp unit_slip"]),
    ([], {"certificates": {"sold": WINE, "largest_share_bp": 99}}, ["certificates.largest_share_bp unit_slip"]),
]  # fmt: skip


@pytest.mark.parametrize(("promotions", "facts", "found"), RIDDLES, ids=range(len(RIDDLES)))
def test_what_nobody_could_explain_at_the_till_is_a_warning(promotions, facts, found):
    assert doubts(*promotions, **facts) == found


def missed(*when, **facts):
    return promotion("a", amount_off(5), when=list(when), messages=[message({"en": "x"}, "missed")], **facts)


SENTENCES = [
    ([promotion("a", earn(1, 100), messages=[message({"en": "{pionts}"})])], {},
     ["promotions[0].messages[0].text.en unknown_placeholder"]),
    ([promotion("a", earn(1, 100), messages=[message({"en": "{short_of}"})])], {},
     ["promotions[0].messages[0].text.en empty_placeholder"]),
    ([promotion("a", earn(1, 100), messages=[message({"en": "{short_of}"}, "always")])], {}, []),
    ([promotion("a", amount_off(5), when=[spend(5)], messages=[message({"en": "{saved}"}, "missed")])], {},
     ["promotions[0].messages[0].text.en empty_placeholder"]),
    ([], {"messages": [message({"en": "{saved} {points} {balance}"}), message({"en": "{short_of}"}, "always")]},
     ["messages[1].text.en empty_placeholder"]),
    ([promotion("a", earn(1, 100), messages=[message({"en": "a", "pl": "b"}), message({"en": "a"})])], {},
     ["promotions[0].messages[1].text language_missing"]),
    ([promotion("a", earn(1, 100), messages=[message({"pl": "a"})])], {},
     ["promotions[0].messages[0].text language_missing"]),
    ([], {"messages": [message({"en": "a"}, "missed")]}, ["messages[0].case never_said"]),
    ([missed()], {}, ["promotions[0].messages[0].case never_said"]),
    ([missed({"kind": "tender", "kinds": ["card"]})], {}, ["promotions[0].messages[0].case never_said"]),
    ([missed({"kind": "spend", "at_most_minor": 5})], {}, ["promotions[0].messages[0].case never_said"]),
    ([missed({"kind": "period_spend", "at_least_minor": 5})], {}, ["promotions[0].messages[0].case never_said"]),
    ([missed({"kind": "period_spend", "at_least_minor": 5, "this_receipt": True})], {}, []),
    ([missed({"kind": "quantity", "at_least_milli": 2000})], {}, []),
    ([missed(spend(5))], {}, []),
    ([promotion("a", amount_off(5), messages=[message({"en": "x"})])], {"speaking": {"at_most": {"receipt": 0}}},
     ["promotions[0].messages[0].place never_said"]),
    ([promotion("a", amount_off(5), messages=[message({"en": "x"})])], {"speaking": {"at_most": {"kiosk": 0}}}, []),
]  # fmt: skip


@pytest.mark.parametrize(("promotions", "facts", "found"), SENTENCES, ids=range(len(SENTENCES)))
def test_a_message_that_comes_out_wrong_is_a_warning(promotions, facts, found):
    assert doubts(*promotions, **facts) == found


SAID = [
    (promotion("a", percent_off(10)), "10 basis points are 0.10 %; write 1000 if 10 % is meant."),
    (promotion("a", amount_off(5), when=[{"kind": "quantity", "at_least_milli": 3}]),
     "3 thousandths are 0.003 units; write 3000 if 3 are meant."),
    (promotion("a", earn(1, 100), messages=[message({"en": "{savd}"})]),
     "{savd} would be printed as it stands; did you mean {saved}."),
    (promotion("a", amount_off(500), limits={"budget_minor": 499}),
     "The budget is smaller than the 500 that it takes off at once; raise it."),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "say"), SAID, ids=range(len(SAID)))
def test_a_warning_is_told_with_its_figures_and_its_remedy(rule, say):
    text = json.dumps({"id": "club", "currency": "EUR", "promotions": [rule]})
    assert [one.say for one in check_programme(text)] == [say]


NUMBERS = [
    ("010", "$.promotions[0].then[0].amount_minor read_otherwise: YAML reads 010 as 8;"),
    ("10:00", "$.promotions[0].then[0].amount_minor read_otherwise: YAML reads 10:00 as 600;"),
    ("1_000", None),
    ("0x10", None),  # nobody writes this without meaning it
]


@pytest.mark.parametrize(("written", "told"), NUMBERS)
def test_a_number_that_yaml_reads_in_another_base_is_a_warning(written, told):
    text = "id: a\ncurrency: EUR\npromotions:\n- id: x\n  then: [{kind: amount_off, amount_minor: " + written + "}]\n"
    found = [f"{one.line} {one.path} {one.rule}: {one.say}" for one in check_programme(text)]
    rest = " write the number that is meant, without leading zeros or colons."
    assert found == ([] if told is None else [f"5 {told}{rest}"])


# Whether goods, moments and promotions can meet.

EXCLUDES = [
    ({"sku": ["x"]}, {"sku": ["x"]}, True),
    ({"sku": ["x", "z"]}, {"sku": ["x"]}, False),
    ({"sku": ["x"]}, {"brand": ["Alp"]}, False),
    ({"category": [["A", "B"]]}, {"category": [["A"]]}, True),
    ({"category": [["A"]]}, {"category": [["A", "B"]]}, False),
    ({"category": [["A", "B"]], "brand": ["x"]}, {"category": [["A"]]}, True),
    ({"brand": ["x"], "unit_price_to_minor": 5}, {"unit_price_to_minor": 9}, True),
    ({"brand": ["x"], "unit_price_to_minor": 9}, {"unit_price_to_minor": 5}, False),
    ({"unit_price_from_minor": 9}, {"unit_price_from_minor": 5}, True),
    ({}, {"unit_price_from_minor": 5}, False),
    ({}, {"exclude": {"sku": ["x"]}}, False),
    ({"sku": ["y"]}, {"exclude": {"sku": ["x"]}}, True),
    ({"sku": ["x"]}, {"sku": ["x"], "exclude": {"brand": ["Alp"]}}, False),
    ({}, {}, True),
]


def selector(**facts):
    return programme(promotion("a", percent_off(500, **facts))).promotions[0].then[0].of


@pytest.mark.parametrize(("included", "excluded", "is_empty"), EXCLUDES, ids=str)
def test_a_selector_that_excludes_all_it_names_is_noticed(included, excluded, is_empty):
    assert never_selects(selector(**included, exclude=excluded)) is is_empty


MEETINGS = """
    {"sku": ["x"]}              {"sku": ["y"]}                                   apart
    {"sku": ["x"]}              {"sku": ["x", "y"]}                              within
    {"sku": ["x"]}              {"brand": ["Alp"]}                               perhaps
    {"tags": ["a"]}             {"tags": ["b"]}                                  perhaps
    {"category": [["A"]]}       {"category": [["A", "B"]]}                       alike
    {"category": [["A", "B"]]}  {"category": [["A", "C"]]}                       apart
    {"unit_price_to_minor": 5}  {"unit_price_from_minor": 6}                     apart
    {"unit_price_to_minor": 5}  {"unit_price_from_minor": 5}                     perhaps
    {"tags": ["a"]}             {"exclude": {"tags": ["a"]}}                     apart
    {"tags": ["a"]}             {"exclude": {"tags": ["b"]}}                     alike
    {"tags": ["a"]}             {}                                               within
"""


@pytest.mark.parametrize("row", MEETINGS.strip().splitlines())
def test_goods_are_apart_within_alike_or_perhaps_the_same(row):
    decode = json.JSONDecoder().raw_decode
    one, end = decode(row.strip())
    other, _ = decode(row.strip()[end:].strip())
    a, b = selector(**one), selector(**other)
    met = row.split()[-1]
    assert apart(a, b) is apart(b, a) is (met == "apart")
    assert within(a, b) is (met == "within")
    assert alike(a, b) is alike(b, a) is (met in ("within", "alike"))


NEVER = ("selects_nothing", "never_applies", "never_valid", "contradiction")


@given(cases())
def test_what_is_told_never_to_apply_does_not_apply(case):
    programme = case.programme
    told = check_programme(canonical(programme).decode())
    assert {one.severity for one in told} <= {"warning"}
    quoted = quote_basket(
        compile_programme(programme), case.basket, case.place, case.view,
        authority=case.authority, bearer=case.bearer, shared=case.shared,
    )  # fmt: skip
    applied = {one.promotion for one in quoted.why if one.applied}
    for one in told:
        where = re.match(r"\$\.promotions\[(\d+)\]\.(then|when|valid|who\.control_bp)", one.path)
        if where is None or one.rule not in NEVER:
            continue
        promotion = programme.promotions[int(where[1])]
        # Of several benefits the others may do something; a quantity of nothing may be at most so much.
        if len(promotion.then) == 1 and not (one.rule == "selects_nothing" and where[2] == "when"):
            assert promotion.id not in applied, one


def test_a_promotion_meets_itself():
    one = programme(promotion("a", amount_off(5), valid={"hours": [["08:00", "09:00"]]})).promotions[0]
    assert can_meet(one, one)


def test_instants_of_one_moment_leave_no_time_between_them():
    at = datetime.fromisoformat("2026-03-02T10:00:00+01:00")
    later = datetime.fromisoformat("2026-03-02T10:00:01+01:00")
    assert has_a_moment(times_of(Valid(from_at=at, to_at=later)))
