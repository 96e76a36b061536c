"""Conditions: the first thing that keeps a promotion from applying, with its figures and its sentence."""

from datetime import timedelta

import pytest

from loyalty.baskets import Tender
from loyalty.members import UNKNOWN_CARD
from tests.loyalty.build import (
    BY_COUPON,
    MONDAY_NOON_MS,
    amount_off,
    bundle,
    cap,
    compiled,
    coupon,
    day,
    fixed,
    line,
    member,
    off,
    percent_off,
    place,
    promotion,
    quantity,
    quote,
    refused,
    spend,
    steps_of,
    use,
)

HOUR_MS = 3_600_000


def judged(rule, *lines, view=None, shared=None, tenders=(), **where):
    """What a quote says of the promotion `spring` for these lines: a `Why`."""
    rules = compiled(promotion("spring", **{"then": [percent_off(1000)]} | rule))
    asked = quote(
        rules, *(lines or (line(1, 1000),)), view=view, shared=shared, tenders=tenders, place=place(**where)
    )
    (told,) = asked.why
    return told


def said(why):
    return "holds" if why.applied else f"{why.condition}: {why.say}"


def test_a_promotion_without_conditions_holds_for_anybody():
    assert said(judged({})) == "holds"


WHERE = [
    ({"partners": ["acme"]}, "holds"),
    ({"partners": ["bolt", "core"]}, "where.partners: Runs only in: bolt, core."),
    ({"stores": ["S2"]}, "where.stores: Runs only in: S2."),
    ({"channels": ["web"]}, "where.channels: Runs only in: web."),
    ({"till_kinds": ["kiosk"]}, "where.till_kinds: Runs only in: kiosk."),
    ({"partners": ["acme"], "stores": ["S1"], "channels": ["store"], "till_kinds": ["express"]}, "holds"),
]


@pytest.mark.parametrize(("where", "told"), WHERE)
def test_a_promotion_runs_where_it_says(where, told):
    assert said(judged({"where": where}, till_kind="express")) == told


# The sale is at 12:00 UTC on Monday 2 March 2026.
WHEN = [
    ({"from_on": "2026-03-02", "to_on": "2026-03-02"}, 0, "holds"),  # both days count
    ({"from_on": "2026-03-03"}, 0, "valid.from_on: Starts on 2026-03-03."),
    ({"to_on": "2026-03-01"}, 0, "valid.to_on: Ended on 2026-03-01."),
    ({"weekdays": ["mon"]}, 0, "holds"),
    ({"weekdays": ["tue", "wed"]}, 0, "valid.weekdays: Runs on tue, wed."),
    ({"weekdays": ["tue"]}, 12 * 60, "holds"),  # twelve hours east it is Tuesday
    ({"weekdays": ["sun"]}, -13 * 60, "holds"),  # thirteen hours west it is Sunday
    ({"hours": [["12:00", "13:00"]]}, 0, "holds"),  # from the first minute
    ({"hours": [["11:00", "12:00"]]}, 0, "valid.hours: Runs at 11:00-12:00."),  # to before the last
    ({"hours": [["11:00", "12:00"]]}, -1, "holds"),
    ({"hours": [["08:00", "09:00"], ["17:00", "24:00"]]}, 0, "valid.hours: Runs at 08:00-09:00, 17:00-24:00."),
    ({"hours": [["17:00", "24:00"]]}, 11 * 60 + 59, "holds"),  # 23:59
    ({"hours": [["00:00", "00:01"]]}, 12 * 60, "holds"),  # midnight begins the next day
]


@pytest.mark.parametrize(("valid", "offset_min", "told"), WHEN)
def test_a_promotion_runs_in_store_time(valid, offset_min, told):
    assert said(judged({"valid": valid}, offset_min=offset_min)) == told


# 13:00 at +01:00 is the very instant of the sale; from counts, to does not.
INSTANTS = [
    ({"from_at": "2026-03-02T13:00:00+01:00"}, 0, "holds"),
    ({"from_at": "2026-03-02T13:00:00+01:00"}, -1, "valid.from_at: Starts at 2026-03-02 13:00:00+01:00."),
    ({"to_at": "2026-03-02T13:00:00+01:00"}, -1, "holds"),
    ({"to_at": "2026-03-02T13:00:00+01:00"}, 0, "valid.to_at: Ended at 2026-03-02 13:00:00+01:00."),
    ({"from_at": "2026-03-02T12:00:00.001Z"}, 0, "valid.from_at: Starts at 2026-03-02 12:00:00.001000+00:00."),
    ({"from_at": "2026-03-02T12:00:00.001Z"}, 1, "holds"),
]


@pytest.mark.parametrize(("valid", "later_ms", "told"), INSTANTS)
def test_an_instant_is_the_same_wherever_the_store_is(valid, later_ms, told):
    for offset_min in (0, 14 * 60, -12 * 60):
        assert said(judged({"valid": valid}, sold_at_ms=MONDAY_NOON_MS + later_ms, offset_min=offset_min)) == told


WHO = [
    ({}, None, "holds"),
    ({"card": True}, None, "who.card: Needs a loyalty card."),
    ({"segments": ["vip"]}, None, "who.card: Needs a loyalty card."),
    ({"not_segments": ["vip"]}, None, "who.card: Needs a loyalty card."),
    ({"tiers": ["gold"]}, None, "who.card: Needs a loyalty card."),
    ({"control_bp": 1}, None, "who.card: Needs a loyalty card."),
    ({"card": True}, UNKNOWN_CARD, "holds"),
    ({"segments": ["vip", "new"]}, member(segments=("new",)), "holds"),
    ({"segments": ["vip"]}, member(segments=("new",)), "who.segments: Is for other members."),
    ({"not_segments": ["staff"]}, member(segments=("new",)), "holds"),
    ({"not_segments": ["staff"]}, member(segments=("new", "staff")), "who.not_segments: Is for other members."),
    ({"not_segments": ["staff"]}, UNKNOWN_CARD, "holds"),
    ({"tiers": ["gold", "black"]}, member(tier="gold"), "holds"),
    ({"tiers": ["gold"]}, member(tier="silver"), "who.tiers: Is for tier gold."),
    ({"segments": ["vip"]}, UNKNOWN_CARD, "who.segments: Is for other members."),
    ({"control_bp": 10_000}, UNKNOWN_CARD, "holds"),  # nobody knows yet who that is
]


@pytest.mark.parametrize(("who", "view", "told"), WHO)
def test_a_promotion_is_for_whom_it_says(who, view, told):
    assert said(judged({"who": who}, view=view)) == told


def left_out(promotion_id, control_bp, accounts):
    rules = compiled(promotion(promotion_id, percent_off(1000), who={"control_bp": control_bp}))
    return {
        account_id
        for account_id in accounts
        if not quote(rules, line(1, 1000), view=member(account_id=account_id)).why[0].applied
    }


def test_a_control_group_has_about_its_share_of_the_members_and_is_always_the_same():
    everybody = range(1, 4001)
    tenth = left_out("spring", 1000, everybody)
    # A tenth of 4,000 is 400; four deviations of sqrt(4000 x 0.1 x 0.9) = 19 are 76.
    assert 324 <= len(tenth) <= 476
    assert left_out("spring", 1000, everybody) == tenth
    # Whoever is left out of a tenth is left out of a fifth too, so that a group can be made larger.
    assert tenth <= left_out("spring", 2000, everybody)
    # Another promotion leaves other members out: of its 400 about 40 are the same.
    assert len(tenth & left_out("summer", 1000, everybody)) < 100


def test_the_members_of_a_control_group_are_the_same_in_every_release():
    # The first eight bytes of SHA-256 of `spring:7` are 6f22d49f6fda681f; as a number modulo 10,000 that is 6255.
    assert said(judged({"who": {"control_bp": 6255}}, view=member())) == "holds"
    unmet = judged({"who": {"control_bp": 6256}}, view=member())
    assert said(unmet) == "who.control: Is not offered to this member."


# Days to the birthday: positive before it, negative after it.
YEARLY = [
    ({"days_before": 3}, 3, "holds"),
    ({"days_before": 3}, 4, "valid.birthday: Runs around the birthday."),
    ({"days_before": 3}, -1, "valid.birthday: Runs around the birthday."),
    ({"days_before": 3, "days_after": 180}, -180, "holds"),
    ({}, 0, "holds"),
    ({}, None, "valid.birthday: Runs around the birthday."),
]


@pytest.mark.parametrize(("window", "in_days", "told"), YEARLY)
def test_a_birthday_has_a_window_around_it(window, in_days, told):
    assert said(judged({"valid": {"birthday": window}}, view=member(birthday_in_days=in_days))) == told


def test_a_window_tells_its_days_and_the_members():
    unmet = judged({"valid": {"anniversary": {"days_before": 7, "days_after": 1}}}, view=member())
    assert (said(unmet), unmet.wanted, unmet.found) == (
        "valid.anniversary: Runs around the anniversary.", "-1..7", "unknown",
    )  # fmt: skip
    assert judged({"valid": {"birthday": {}}}).condition == "who.card"


LIMITS = [
    ({"times": 2}, (), "holds"),
    ({"times": 2}, (use("promo:spring", 1),), "holds"),
    ({"times": 2}, (use("promo:spring", 2),), "limits.times: Already used 2 of 2 times."),
    ({"times": 1, "per": "month"}, (use("promo:spring:2026-02", 1),), "holds"),  # a new month begins anew
    ({"times": 1, "per": "month"}, (use("promo:spring:2026-03", 1),), "limits.times: Already used 1 of 1 times."),
    ({"times": 1, "per": "year"}, (use("promo:spring:2026", 3),), "limits.times: Already used 3 of 1 times."),
    ({"times": 1, "per": "quarter"}, (use("promo:spring:2026-Q1", 1),), "limits.times: Already used 1 of 1 times."),
    ({"times": 1, "per": "day"}, (use("promo:spring:2026-03-02", 1),), "limits.times: Already used 1 of 1 times."),
    ({"times": 1, "per": "day"}, (use("promo:spring:2026-03-01", 1),), "holds"),
    ({"times": 1}, None, "limits.times: Cannot be checked at this store; try your home store."),
]


@pytest.mark.parametrize(("limits", "counters", "told"), LIMITS)
def test_a_member_has_a_promotion_as_often_as_it_says(limits, counters, told):
    assert said(judged({"limits": limits}, view=member(counters=counters))) == told


def test_a_limit_needs_somebody_to_count():
    assert said(judged({"limits": {"times": 1}})) == "who.card: Needs a loyalty card."
    assert judged({"limits": {"times": 1}}, view=UNKNOWN_CARD).found == "unknown"
    assert judged({"caps": [cap(1, "units", "day")]}, view=UNKNOWN_CARD).condition == "caps"


PERIODS = {
    "ever": "promo:spring",
    "year": "promo:spring:2026",
    "quarter": "promo:spring:2026-Q1",
    "month": "promo:spring:2026-03",
    "day": "promo:spring:2026-03-02",
}


@pytest.mark.parametrize("per", PERIODS)
def test_the_period_of_a_limit_is_in_its_counters_name(per):
    rules = compiled(promotion("spring", percent_off(1000), limits={"times": 1, "per": per}))
    assert steps_of(quote(rules, line(1, 1000), view=member()).uses) == {PERIODS[per]: 1}


def test_a_limit_of_a_day_is_of_the_day_of_the_clock_and_a_new_year_begins_at_midnight():
    # 23:59 and 00:00 around new year; the business day is still the old one.
    last_minute_ms = MONDAY_NOON_MS + 304 * 24 * HOUR_MS + 12 * HOUR_MS - 60_000  # 2026-12-31 23:59 UTC
    rules = compiled(promotion("spring", percent_off(1000), limits={"times": 1, "per": "year"}))
    view = member(counters=(use("promo:spring:2026"),))
    told = [
        quote(
            rules, line(1, 1000), view=view,
            place=place(sold_at_ms=last_minute_ms + later, business_date=day("2026-12-31")),
        ).why[0].applied
        for later in (0, 59_999, 60_000)
    ]  # fmt: skip
    assert told == [False, False, True]


def test_only_a_limited_promotion_of_a_member_is_counted():
    limited = compiled(promotion("spring", percent_off(1000), limits={"times": 3}))
    assert quote(limited, line(1, 1000), view=member()).uses == (use("promo:spring"),)
    assert quote(compiled(promotion("spring", percent_off(1000))), line(1, 1000), view=member()).uses == ()


SHARED = [
    ({"times_in_all": 2}, [use("promo:spring", 1)], "holds"),
    ({"times_in_all": 2}, [use("promo:spring", 2)], "limits.times_in_all: All that there were have been given out."),
    ({"times_in_all": 2}, None, "holds"),
    ({"budget_minor": 100}, [], "holds"),  # a tenth of 10.00
    ({"budget_minor": 100}, [use("budget:spring", 1)], "limits.budget: Only 0.99 of its budget is left."),
    ({"budget_minor": 100}, [use("budget:spring", 500)], "limits.budget: Only 0.00 of its budget is left."),
]


@pytest.mark.parametrize(("limits", "shared", "told"), SHARED)
def test_what_all_had_together_bounds_a_promotion(limits, shared, told):
    assert said(judged({"limits": limits}, shared=shared)) == told


def test_what_all_have_together_needs_nothing_of_a_member():
    rule = {"limits": {"times_in_all": 2, "budget_minor": 100}, "caps": [cap(50, "amount")]}
    for view in (None, UNKNOWN_CARD, member(counters=None), member()):
        assert said(judged(rule, view=view)) == "holds"


def test_the_goods_must_cost_enough_after_earlier_promotions():
    cheese, bread = line(1, 1200, brand="Alp"), line(2, 5000)
    assert said(judged({"when": [spend(1000, brand=["Alp"])]}, cheese, bread)) == "holds"
    rules = compiled(
        promotion("first", amount_off(520, brand=["Alp"]), stage="before"),
        promotion("spring", percent_off(1000), when=[spend(1000, brand=["Alp"])]),
    )
    unmet = quote(rules, cheese, bread).why[1]
    # 12.00 - 5.20 is 6.80: 3.20 are missing.
    assert said(unmet) == "when.spend: 3.20 EUR more in Alp."
    assert (unmet.wanted, unmet.found, unmet.short_of) == ("1000", "680", "3.20")


def test_enough_to_the_cent_is_enough():
    assert said(judged({"when": [spend(1000)]})) == "holds"
    assert said(judged({"when": [spend(1001)]})) == "when.spend: 0.01 EUR more."


BOUNDS = [
    ({"more_than_minor": 0}, 0, "when.spend: 0.01 EUR more."),
    ({"at_most_minor": 0}, 0, "holds"),
    ({"at_most_minor": 0}, 1, "when.spend: Runs up to 0.00 EUR."),
    ({"equal_minor": 0}, 0, "holds"),
    ({"equal_minor": 0}, 1, "when.spend: Runs up to 0.00 EUR."),
    ({"equal_minor": 700}, 699, "when.spend: 0.01 EUR more."),
    ({"equal_minor": 700, "at_most_minor": 900}, 800, "when.spend: Runs up to 7.00 EUR."),
    ({"at_least_minor": 100, "more_than_minor": 200, "at_most_minor": 300}, 200, "when.spend: 0.01 EUR more."),
    ({"at_least_minor": 10**15}, 10**15, "holds"),  # the largest sum there is
    ({"at_least_minor": 10**15}, 10**15 - 1, "when.spend: 0.01 EUR more."),
]


@pytest.mark.parametrize(("bounds", "amount", "told"), BOUNDS)
def test_bounds_of_a_spend_meet_at_nothing_and_at_the_largest_sum(bounds, amount, told):
    rule = {"then": [fixed(5)], "when": [{"kind": "spend"} | bounds]}
    assert said(judged(rule, line(1, amount), view=member())) == told


# 100.00 at 19 % on top is 119.00; 119.00 with 19 % in it is 100.00 without; at 100 % half of it is tax.
TAXED = [
    (True, 11_900, 1900, "out", 10_000, "holds"),
    (True, 11_900, 1900, "out", 10_001, "when.spend: 0.01 EUR more."),
    (True, 11_900, 1900, "in", 11_900, "holds"),
    (False, 10_000, 1900, "in", 11_900, "holds"),
    (False, 10_000, 1900, "in", 11_901, "when.spend: 0.01 EUR more."),
    (False, 10_000, 1900, "out", 10_000, "holds"),
    (False, 10_000, 0, "in", 10_000, "holds"),
    (False, 10_000, 0, "in", 10_001, "when.spend: 0.01 EUR more."),
    (True, 10_000, 0, "out", 10_000, "holds"),
    (True, 3, 10_000, "out", 1, "holds"),  # 1.5 of 3 is tax, half up 2
    (True, 3, 10_000, "out", 2, "when.spend: 0.01 EUR more."),
]


@pytest.mark.parametrize(("included", "amount", "rate", "tax", "wanted", "told"), TAXED)
def test_tax_is_in_or_out_of_a_minimum_whichever_way_prices_are_marked(included, amount, rate, tax, wanted, told):
    rules = compiled(promotion("spring", percent_off(5000), when=[spend(wanted) | {"tax": tax}]))
    asked = quote(rules, line(1, amount, tax_bp=rate), tax_included=included)
    assert said(asked.why[0]) == told


SHORT = [(3000, 1000, "2 more to buy."), (1000, 650, "0.35 more to buy."), (11_000, 1000, "10 more to buy.")]


@pytest.mark.parametrize(("wanted", "has", "told"), SHORT)
def test_there_must_be_enough_of_the_goods(wanted, has, told):
    unmet = judged({"when": [quantity(wanted)]}, line(1, 100, quantity_milli=has))
    assert said(unmet) == f"when.quantity: {told}"
    assert unmet.short_of == told.split()[0]


def test_units_of_all_selected_lines_count_together():
    lines = (line(1, 10, quantity_milli=1000), line(2, 10, quantity_milli=2000))
    assert said(judged({"when": [quantity(3000)]}, *lines)) == "holds"


def test_the_first_condition_that_fails_is_told():
    rule = {"where": {"stores": ["S9"]}, "valid": {"to_on": "2026-01-01"}, "when": [spend(10**6)]}
    assert judged(rule).condition == "where.stores"
    assert judged(rule | {"where": {}}).condition == "valid.to_on"
    assert judged(rule | {"where": {}, "valid": {}}).condition == "when.spend"


# On single lines: of 2 and 5 units neither lies in 3..4, and the nearest from below is one short.
LINES = [
    ({"at_least_milli": 3000, "at_most_milli": 4000}, (2000, 5000), "when.quantity: 1 more to buy."),
    ({"at_least_milli": 3000, "at_most_milli": 4000}, (5000, 6000), "when.quantity: Runs up to 4."),
    ({"at_least_milli": 3000}, (1000, 2000, 1500), "when.quantity: 1 more to buy."),
    ({"at_least_milli": 3000}, (), "when.quantity: 3 more to buy."),
    ({"at_most_milli": 1000}, (1001, 2000), "when.quantity: Runs up to 1."),
    ({"at_most_milli": 0}, (0,), "holds"),
]
NONE_OF_THEM = {"kind": "quantity", "per": "line", "at_most_milli": 1000, "of": {"sku": ["wine"]}}


def test_goods_of_which_there_are_none_are_not_a_line_of_at_most_so_many():
    unmet = judged({"when": [NONE_OF_THEM]})
    assert unmet.condition == "when.quantity"
    assert not unmet.say.startswith("0 ")
    # Together they are none at all, which is at most one.
    assert said(judged({"when": [NONE_OF_THEM | {"per": "basket"}]})) == "holds"


@pytest.mark.parametrize(("bounds", "quantities", "told"), LINES)
def test_a_quantity_on_one_line_tells_how_far_the_nearest_line_is(bounds, quantities, told):
    rule = {"when": [{"kind": "quantity", "per": "line", "of": {"sku": ["wine"]}} | bounds], "then": [amount_off(1)]}
    wine = (line(n, 100, sku="wine", quantity_milli=milli) for n, milli in enumerate(quantities, 2))
    assert said(judged(rule, line(1, 1000), *wine)) == told


GOODS = [
    ({"category": [["Grocery", "Dairy"]]}, " in Dairy"),
    ({"category": [["A"], ["B"], ["C"]]}, " in A or B or C"),
    ({"category": [["A"], ["B"], ["C"], ["D"]]}, ""),  # too long for a sentence at the till
    ({"brand": ["Alp", "Bio"]}, " in Alp or Bio"),
    ({"brand": ["Alp"], "sku": ["milk"]}, ""),
    ({"tags": ["bio"]}, ""),
]


@pytest.mark.parametrize(("goods", "told"), GOODS)
def test_a_near_miss_names_the_goods_where_a_few_words_do(goods, told):
    assert judged({"when": [spend(500, **goods)]}).say == f"5.00 EUR more{told}."
    unmet = judged({"when": [quantity(1000, **goods)]})
    assert unmet.say == f"1 more to buy{told}."


def test_a_card_that_pays_in_two_parts_pays_their_sum():
    when = {"when": [{"kind": "tender", "kinds": ["visa", "own"], "at_least_minor": 1000}]}

    def told(*parts):
        return said(judged(when, tenders=tuple(Tender(kind=kind, amount_minor=amount) for kind, amount in parts)))

    assert told(("visa", 400), ("cash", 5000), ("own", 600)) == "holds"
    assert told(("visa", 400), ("own", 599)) == "when.tender: Is for payment by visa or own."
    assert told() == "when.tender: Is for payment by visa or own."


# Visits before; this one is one more.
PURCHASES = [
    ({"number": 1}, (), "holds"),
    ({"number": 3}, (use("visits", 1),), "when.purchase: Is for purchase 3."),
    ({"every": 1}, (use("visits", 41),), "holds"),
    ({"every": 5}, (use("visits", 4),), "holds"),
    ({"every": 5}, (use("visits", 5),), "when.purchase: 4 more purchases after this one."),
    ({"number": 1}, None, "when.purchase: Cannot be checked at this store; try your home store."),
]


@pytest.mark.parametrize(("rule", "counters", "told"), PURCHASES)
def test_a_purchase_is_counted_with_this_one(rule, counters, told):
    view = member(counters=counters)
    assert said(judged({"when": [{"kind": "purchase"} | rule]}, view=view)) == told


NEED_A_PAST = [
    {"kind": "purchase", "number": 1},
    {"kind": "lapsed", "days": 1},
    {"kind": "period_spend", "at_most_minor": 10},
]


@pytest.mark.parametrize("condition", NEED_A_PAST, ids=str)
def test_what_a_till_was_not_told_makes_a_rule_about_it_not_hold(condition):
    elsewhere = judged({"when": [condition]}, view=member(counters=None))
    assert said(elsewhere) == (
        f"when.{condition['kind']}: Cannot be checked at this store; try your home store."
    )
    assert judged({"when": [condition]}, view=UNKNOWN_CARD).found == "unknown"
    assert said(judged({"when": [condition]})) == "who.card: Needs a loyalty card."


def test_who_was_here_long_ago_has_lapsed_to_the_day():
    last = day("2026-03-02") - timedelta(days=90)
    for days, told in ((90, "holds"), (91, "when.lapsed: Is for members who have not been here for a while.")):
        view = member(counters=(use("last:visit", last.toordinal()),))
        assert said(judged({"when": [{"kind": "lapsed", "days": days}]}, view=view)) == told
    unmet = judged({"when": [{"kind": "lapsed", "days": 91}]}, view=view)
    assert unmet.found == "90"
    assert judged({"when": [{"kind": "lapsed", "days": 1}]}, view=member()).found == "never"


SPENT = [
    ({"at_least_minor": 500, "period": "quarter"}, use("spend:2026-Q1", 500), "holds"),
    ({"at_least_minor": 500, "period": "quarter"}, use("spend:2025-Q4", 500), "when.period_spend: 5.00 EUR more."),
    ({"at_least_minor": 1501, "this_receipt": True}, use("spend:2026-03", 500), "when.period_spend: 0.01 EUR more."),
    ({"at_most_minor": 1499, "this_receipt": True}, use("spend:2026-03", 500),
     "when.period_spend: Was for those who had spent less."),
    ({"at_most_minor": 0, "period": "day"}, use("spend:2026-03-01", 1), "holds"),
    ({"at_most_minor": 0, "period": "ever"}, use("spend", 1), "when.period_spend: Was for those who had spent less."),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "counter", "told"), SPENT)
def test_what_was_spent_in_a_period_is_looked_up_under_its_name(rule, counter, told):
    view = member(counters=(counter,))
    unmet = judged({"when": [{"kind": "period_spend"} | rule]}, view=view)
    assert said(unmet) == told


def test_only_what_this_receipt_counts_towards_is_nearly_reached():
    def short(rule):
        return judged({"when": [{"kind": "period_spend", "at_least_minor": 5000} | rule]}, view=member()).short_of

    # 10.00 of 50.00 are in the basket: 40.00 more now, or 50.00 before the next one.
    assert (short({"this_receipt": True}), short({})) == ("40.00", "")


def test_a_balance_below_the_mark_says_how_many_points_are_missing():
    when = {"when": [{"kind": "balance", "at_least_points": 200}]}
    assert said(judged(when, view=member(balance_points=200))) == "holds"
    assert said(judged(when, view=member(balance_points=199))) == "when.balance: 1 more points on the account."
    assert said(judged(when, view=member(balance_points=-50))) == "when.balance: 250 more points on the account."
    assert said(judged(when)) == "who.card: Needs a loyalty card."
    assert said(judged(when, view=UNKNOWN_CARD)) == "when.balance: 200 more points on the account."


# Several coupons of a kind on one receipt: each acts in its turn, within what the promotion allows.

TWO = (coupon("C1"), coupon("C2"))


def with_two(rule, *lines, view=None, shared=None, **facts):
    rules = compiled(promotion("spring", **BY_COUPON, **rule), coupons=[{"id": "five"}], **facts)
    return quote(rules, *lines, view=view or member(), bearer=TWO, coupons=("C1", "C2"), shared=shared)


ON_ONE_RECEIPT = [
    ({"limits": {"times": 1}}, None, [300], [("C2", "not_now")]),
    ({"limits": {"times": 2}}, None, [600], []),
    ({"limits": {"times_in_all": 1}}, None, [300], [("C2", "not_now")]),
    ({"limits": {"times_in_all": 5}}, [use("promo:spring", 4)], [300], [("C2", "not_now")]),
    ({"limits": {"budget_minor": 599}}, None, [300], [("C2", "not_now")]),
    ({"limits": {"budget_minor": 600}}, None, [600], []),
    ({"caps": [cap(400, "amount")]}, None, [400], []),  # the second takes what the first left of the cap
    ({"caps": [cap(300, "amount")]}, None, [300], [("C2", "does_nothing")]),
]


@pytest.mark.parametrize("stacking", ["sequential", "sum"])
@pytest.mark.parametrize(("rule", "shared", "taken", "told"), ON_ONE_RECEIPT)
def test_two_coupons_of_a_kind_keep_to_what_the_promotion_allows(stacking, rule, shared, taken, told):
    rule = rule | {"then": [amount_off(300)]}
    asked = with_two(rule, line(1, 2000), shared=shared, options={"stacking": stacking})
    assert (off(asked), refused(asked)) == (taken, told)


def test_a_cap_on_units_holds_for_all_coupons_of_a_kind_together():
    rule = {"then": [percent_off(5000)], "caps": [cap(3, "units", first="dearest")]}
    # Two mugs at 4.00, two at 2.00. Each coupon halves what units the cap leaves: three of the four, and then none.
    asked = with_two(rule, line(1, 800, quantity_milli=2000), line(2, 400, quantity_milli=2000))
    assert off(asked) == [400, 100]
    assert refused(asked) == [("C2", "does_nothing")]


@pytest.mark.parametrize("limits", [{"times": 1}, {"times_in_all": 1}])
def test_points_by_coupon_keep_to_the_limit_too(limits):
    asked = with_two({"then": [fixed(10)], "limits": limits}, line(1, 2000))
    assert asked.totals.points_earned == 10
    assert (asked.coupons_used, refused(asked)) == (("C1",), [("C2", "not_now")])
    assert steps_of((*asked.uses, *asked.shared_uses)) == {"promo:spring": 1, "coupon:C1": 1}


def test_points_by_coupon_are_granted_as_often_as_the_limit_says():
    asked = with_two({"then": [fixed(10)], "limits": {"times": 2}}, line(1, 2000))
    assert (asked.totals.points_earned, steps_of(asked.uses)) == (20, {"promo:spring": 2})


@pytest.mark.parametrize("stacking", ["sequential", "sum", "best_of", "best_of_line"])
def test_points_of_a_discount_that_finds_nothing_keep_to_the_limit_too(stacking):
    rule = {"then": [amount_off(300, sku=["x"]), fixed(10)], "limits": {"times": 1}}
    asked = with_two(rule, line(1, 2000), options={"stacking": stacking})
    assert asked.totals.points_earned == 10
    assert (asked.coupons_used, refused(asked)) == (("C1",), [("C2", "not_now")])
    assert steps_of(asked.uses) == {"promo:spring": 1}


def test_a_promotion_that_leaves_reduced_goods_alone_does_not_mean_those_it_has_reduced_itself():
    coupons = [coupon(f"C{n}") for n in range(1, 5)]
    rules = compiled(promotion("spring", amount_off(300), skip_reduced=True, **BY_COUPON), coupons=[{"id": "five"}])
    asked = quote(rules, line(1, 2000), bearer=coupons, coupons=("C1", "C2", "C3", "C4"))
    assert (off(asked), refused(asked)) == ([1200], [])


def test_a_cap_on_points_holds_for_all_coupons_of_a_kind_together():
    asked = with_two({"then": [fixed(10)], "caps": [cap(15, "points", "day")]}, line(1, 2000))
    assert asked.totals.points_earned == 15
    assert steps_of(asked.uses) == {"cap:spring:points:2026-03-02": 15}


def test_a_coupon_that_still_grants_points_is_used_up():
    rule = {"then": [amount_off(500), fixed(10)], "caps": [cap(500, "amount")]}
    asked = with_two(rule, line(1, 2000))
    # The first takes 5.00 off and gives 10 points, the second gives 10 more.
    assert (off(asked), asked.totals.points_earned) == ([500], 20)
    assert (asked.coupons_used, refused(asked)) == (("C1", "C2"), [])
    assert steps_of(asked.shared_uses) == {"coupon:C1": 1, "coupon:C2": 1}


def test_a_limited_bundle_by_coupon_is_counted_once_for_each_coupon():
    rule = {"then": [bundle((2, {}), amount_minor=100, times=1)], "limits": {"times": 5}}
    asked = with_two(rule, line(1, 400, quantity_milli=2000), line(2, 600, quantity_milli=2000))
    # Each coupon makes one bundle of the two dearest: 3.00 + 3.00, then at 2.50 + 2.50 again line 2.
    assert off(asked) == [0, 200]
    assert steps_of(asked.uses) == {"promo:spring": 2}
