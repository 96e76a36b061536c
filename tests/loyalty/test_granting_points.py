"""The stage in which points, gifts and coupons are granted: who may grant beside whom, and what counts as granted."""

import pytest

from loyalty.members import UNKNOWN_CARD
from tests.loyalty.build import (
    A_FLOAT,
    BY_COUPON,
    SPENDING,
    amount_off,
    cap,
    compiled,
    coupon,
    day,
    earn,
    fixed,
    gift,
    issue,
    line,
    member,
    multiply,
    off_by,
    percent_off,
    points_by,
    promotion,
    quote,
    refused,
    spend,
    steps_of,
)

BASE = promotion("base", earn(1, 100))
KINDS = {"coupons": [{"id": "five"}]}


def granted(*rules, options=None, **facts):
    """Points by promotion for a line of 10.00."""
    rules = compiled(*rules, options=options or {}, spending=SPENDING, **KINDS)
    found = points_by(quote(rules, line(1, 1000), **{"view": member()} | facts))
    return {name: sum(by_line.values()) for name, by_line in found.items()}


def why(asked):
    return {one.promotion: "yes" if one.applied else one.condition for one in asked.why}


# Exclusive points. A base of 10 points on 10.00.

EXCLUSIVE = [
    ([], {"base": 10}),
    ([promotion("alone", fixed(30), exclusive=True)], {"alone": 30}),
    ([promotion("alone", fixed(30), exclusive=True), promotion("too", fixed(5), exclusive=True)],
     {"alone": 30, "too": 5}),
    ([promotion("alone", fixed(30, sku=["sku9"]), exclusive=True)], {"base": 10}),  # it grants nothing here
    ([promotion("alone", fixed(30), exclusive=True, when=[spend(1001)])], {"base": 10}),
    # A multiplier alone multiplies nothing, so it does not apply; and it may not multiply what it keeps out.
    ([promotion("alone", multiply(300), exclusive=True)], {"base": 10}),
    ([promotion("alone", earn(2, 100), multiply(300), exclusive=True)], {"alone": 60}),
]  # fmt: skip


@pytest.mark.parametrize(("beside", "told"), EXCLUSIVE)
def test_exclusive_points_keep_others_out_when_there_are_any(beside, told):
    assert granted(BASE, *beside) == told
    assert granted(*beside, BASE) == told


PRIORITY_WINS = [
    ([BASE, promotion("alone", fixed(30), exclusive=True)], {"base": 10}),
    ([promotion("alone", fixed(30), exclusive=True), BASE], {"alone": 30}),
    ([promotion("none", fixed(9, sku=["sku9"])), promotion("alone", fixed(30), exclusive=True)], {"alone": 30}),
    ([promotion("a", fixed(1), exclusive=True), BASE, promotion("b", fixed(2), exclusive=True)], {"a": 1, "b": 2}),
]


@pytest.mark.parametrize(("rules", "told"), PRIORITY_WINS)
def test_where_priority_wins_the_first_that_grants_points_decides(rules, told):
    assert granted(*rules, options={"exclusive": "priority_wins"}) == told


def test_what_exclusive_points_keep_out_says_so_and_is_not_counted():
    limit = {"limits": {"times": 5}}
    rules = compiled(BASE | limit, promotion("alone", fixed(30), exclusive=True, **limit))
    asked = quote(rules, line(1, 1000), view=member())
    assert why(asked) == {"alone": "yes", "base": "exclusive"}
    assert asked.why[1].found == "alone"
    assert steps_of(asked.uses) == {"promo:alone": 1}


def test_exclusive_points_leave_gifts_and_coupons_alone():
    rules = compiled(
        promotion("alone", fixed(30), exclusive=True), promotion("bag", gift("bag")), promotion("next", issue("five")),
        promotion("both", fixed(5), gift("cup")), **KINDS,
    )  # fmt: skip
    asked = quote(rules, line(1, 1000), view=member())
    assert points_by(asked) == {"alone": {1: 30}}
    assert [one.sku for one in asked.gifts] == ["bag", "cup"]
    assert [one.coupon for one in asked.coupons_issued] == ["five"]


def test_a_discount_that_took_its_turn_stays_when_its_points_are_kept_out():
    rules = compiled(
        promotion("both", percent_off(1000), fixed(5)),
        promotion("alone", fixed(30), exclusive=True),
    )
    asked = quote(rules, line(1, 1000), view=member())
    assert (off_by(asked), points_by(asked)) == ({"both": 100}, {"alone": {1: 30}})
    assert why(asked) == {"both": "yes", "alone": "yes"}


def test_exclusive_points_of_a_promotion_that_also_takes_money_off():
    rules = compiled(BASE, promotion("alone", percent_off(1000), fixed(30), exclusive=True))
    asked = quote(rules, line(1, 1000), view=member())
    assert (off_by(asked), points_by(asked)) == ({"alone": 100}, {"alone": {1: 30}})
    # Over the same kind: its discount keeps discounts out, its points keep points out.
    same = compiled(BASE, promotion("alone", percent_off(1000), fixed(30), exclusive=True),
                    options={"exclusive_over": "same_kind"})  # fmt: skip
    assert points_by(quote(same, line(1, 1000), view=member())) == {"alone": {1: 30}}


def test_what_does_nothing_here_keeps_no_other_group_out():
    groups = [{"id": "g0", "with": []}, {"id": "g1"}]
    nothing = (fixed(5, sku=["sku9"]), earn(1, 10**6), gift("cup", for_minor=10**6), multiply(200, sku=["sku9"]))
    for rule in nothing:
        rules = compiled(promotion("none", rule, group="g0"), promotion("bag", gift("bag"), group="g1"), groups=groups)
        assert [one.sku for one in quote(rules, line(1, 1000), view=member()).gifts] == ["bag"]
    # Without a card points are nothing either.
    both = promotion("none", fixed(5), gift("cup", for_minor=10**6), group="g0")
    rules = compiled(both, promotion("bag", gift("bag"), group="g1"), groups=groups)
    assert [one.sku for one in quote(rules, line(1, 1000)).gifts] == ["bag"]
    assert quote(rules, line(1, 1000), view=member()).gifts == ()


def test_a_multiplier_whose_goods_are_there_stands_in_its_group():
    groups = [{"id": "g0", "with": []}, {"id": "g1"}]
    for goods, told in ((["sku1"], {"base": 10, "double": 10}), (["sku9"], {"base": 10, "other": 5})):
        rules = compiled(BASE, promotion("double", multiply(200, sku=goods), group="g0"),
                         promotion("other", fixed(5), group="g1"), groups=groups)  # fmt: skip
        found = points_by(quote(rules, line(1, 1000), view=member()))
        assert {name: sum(by_line.values()) for name, by_line in found.items()} == told


# Without a card, or with one that nobody knows yet


def test_without_a_card_there_are_gifts_and_bearer_coupons_and_no_points():
    rules = compiled(promotion("all", fixed(5), gift("bag"), issue("five")), promotion("points", fixed(3)), **KINDS)
    asked = quote(rules, line(1, 1000))
    assert (asked.totals.points_earned, [one.sku for one in asked.gifts]) == (0, ["bag"])
    assert len(asked.coupons_issued) == 1
    assert why(asked) == {"all": "yes", "points": "who.card"}


PERSONAL = {"coupons": [{"id": "five", "holder": "personal", "good_after_days": 1, "good_for_days": 30}]}


@pytest.mark.parametrize(("view", "issued"), [(None, 0), (UNKNOWN_CARD, 0), (member(), 1)])
def test_a_personal_coupon_is_for_a_member_who_is_known(view, issued):
    asked = quote(compiled(promotion("next", issue("five")), **PERSONAL), line(1, 1000), view=view)
    assert len(asked.coupons_issued) == issued
    assert why(asked) == {"next": "yes" if issued else "then"}


def test_a_coupon_is_good_for_so_many_days_its_first_one_counted():
    (one,) = quote(compiled(promotion("next", issue("five")), **PERSONAL), line(1, 1000), view=member()).coupons_issued
    # From the day after Monday 2 March, 30 days: 3 March to 1 April.
    assert (one.from_on, one.through, one.code) == (day("2026-03-03"), day("2026-04-01"), "")


# What has acted, and is counted


def test_a_promotion_with_a_discount_points_and_a_gift_is_used_once():
    rule = promotion("all", percent_off(1000), fixed(5), gift("bag"), limits={"times": 3, "times_in_all": 9})
    asked = quote(compiled(rule), line(1, 1000), view=member())
    assert (steps_of(asked.uses), steps_of(asked.shared_uses)) == ({"promo:all": 1}, {"promo:all": 1})
    assert asked.why[0].say == "1.00 EUR off, 5 points, gift: 1 x bag"


def test_a_discount_that_finds_nothing_still_lets_its_points_be_granted():
    rule = promotion("both", percent_off(1000, sku=["sku9"]), fixed(5), limits={"times": 3})
    asked = quote(compiled(rule), line(1, 1000), line(2, 0, sku="sku9"), view=member())
    assert (off_by(asked), points_by(asked), steps_of(asked.uses)) == ({}, {"both": {1: 5}}, {"promo:both": 1})


def test_what_does_nothing_at_all_has_not_applied():
    rules = compiled(
        promotion("points", earn(1, 5000), limits={"times": 3}),
        promotion("gift", gift("bag", for_minor=5000)),
        promotion("both", percent_off(1000, sku=["sku9"]), earn(1, 5000)),
    )
    asked = quote(rules, line(1, 1000), line(2, 0, sku="sku9"), view=member())
    assert (why(asked), asked.uses) == ({"points": "then", "gift": "then", "both": "then"}, ())


def test_a_promotion_with_a_discount_is_judged_once_before_points_pay():
    rule = promotion("both", amount_off(100), fixed(5), when=[spend(1000)])
    rules = compiled(rule, spending=SPENDING)
    # 9.00 are left after the discount and 6.00 after points; it held at 10.00, so its points are granted.
    asked = quote(rules, line(1, 1000), view=member(), authority=A_FLOAT, points_to_spend=600)
    assert asked.totals.points_earned == 5


def test_conditions_on_points_spent_hold_from_the_stage_redemption_on():
    when = {"when": [{"kind": "points_spent", "at_least_points": 100}]}
    rules = (promotion("early", percent_off(1000), **when), promotion("late", fixed(5), **when))
    facts = {"authority": A_FLOAT, "points_to_spend": 100}
    assert granted(*rules, **facts) == {"late": 5}
    assert granted(*rules, authority=A_FLOAT, points_to_spend=99) == {}
    asked = quote(compiled(*rules, spending=SPENDING), line(1, 1000), view=member(), **facts)
    assert why(asked) == {"early": "when.points_spent", "late": "yes"}
    assert asked.why[1].found == "0"


# Several coupons of a kind


def test_each_coupon_of_a_kind_grants_its_points_and_its_gift():
    rules = compiled(promotion("five", fixed(10), gift("bag"), **BY_COUPON), **KINDS)
    asked = quote(rules, line(1, 1000), view=member(), bearer=[coupon("C1"), coupon("C2")], coupons=("C1", "C2"))
    assert asked.totals.points_earned == 20
    assert [(one.sku, one.units) for one in asked.gifts] == [("bag", 1), ("bag", 1)]
    assert asked.coupons_used == ("C1", "C2")


def test_a_second_coupon_without_points_left_under_the_cap_is_kept():
    rules = compiled(promotion("five", fixed(10), caps=[cap(10, "points")], **BY_COUPON), **KINDS)
    asked = quote(rules, line(1, 1000), view=member(), bearer=[coupon("C1"), coupon("C2")], coupons=("C1", "C2"))
    assert asked.totals.points_earned == 10
    assert (asked.coupons_used, refused(asked)) == (("C1",), [("C2", "does_nothing")])


def test_two_coupons_that_multiply_multiply_each_other():
    rules = compiled(BASE, promotion("double", multiply(200), **BY_COUPON), **KINDS)
    asked = quote(rules, line(1, 1000), view=member(), bearer=[coupon("C1"), coupon("C2")], coupons=("C1", "C2"))
    # 10; doubled 20; doubled again 40.
    assert points_by(asked) == {"base": {1: 10}, "double": {1: 30}}


def test_several_issued_coupons_are_told_in_the_order_of_their_promotions():
    rules = compiled(
        promotion("b", issue("five"), issue("ten")), promotion("a", issue("ten"), priority=1),
        coupons=[{"id": "five"}, {"id": "ten"}],
    )  # fmt: skip
    asked = quote(rules, line(1, 1000))
    assert [(one.promotion, one.coupon) for one in asked.coupons_issued] == [("a", "ten"), ("b", "five"), ("b", "ten")]
    assert [one.say for one in asked.why] == ["coupon ten", "coupon five, coupon ten"]


def test_coupons_and_gifts_that_need_no_goods_are_given_on_an_empty_basket_of_an_event_alone():
    event = {"trigger": {"kind": "event", "event": "survey"}}
    rules = compiled(promotion("next", issue("five"), gift("pen"), **event), promotion("bag", gift("bag")), **KINDS)
    asked = quote(rules, view=member(), events=("survey",))
    assert (len(asked.coupons_issued), [one.sku for one in asked.gifts]) == (1, ["pen"])
    assert quote(rules, view=member()).gifts == ()
