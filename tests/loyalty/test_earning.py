"""Points: rate times what was paid in money, floored once per promotion and receipt, shared by largest remainder."""

from fractions import Fraction
from itertools import pairwise
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.baskets import CertificateAsk, Tender
from loyalty.members import UNKNOWN_CARD
from tests.loyalty.build import (
    A_FLOAT,
    SPENDING,
    amount_off,
    cap,
    cash,
    certificate,
    compiled,
    earn,
    fixed,
    line,
    member,
    multiply,
    percent_off,
    points_by,
    points_each,
    promotion,
    quote,
    steps_of,
    use,
)


def granted(rules, *lines, **facts):
    """Points by promotion and line for (promotion id, benefit) pairs: `{"base": {1: 3, 2: 2}}`."""
    options = facts.pop("options", {})
    programme = compiled(*(promotion(name, rule) for name, rule in rules), spending=SPENDING, options=options)
    return points_by(quote(programme, *lines, **{"view": member()} | facts))


def test_points_are_floored_once_over_the_receipt_and_not_line_by_line():
    # 0.90 + 0.90 + 0.90 = 2.70 at a point per 1.00: 2 points; line by line there would be none.
    assert granted([("base", earn(1, 100))], line(1, 90), line(2, 90), line(3, 90)) == {"base": {1: 1, 2: 1}}


def test_points_follow_what_is_paid_in_money():
    assert granted([("off", amount_off(551)), ("base", earn(1, 100))], line(1, 1000)) == {"base": {1: 4}}


def test_goods_without_accrual_and_goods_not_selected_earn_nothing():
    lines = (line(1, 1000), line(2, 1000, accrual=False), line(3, 1000, category=("Tobacco",)))
    assert granted([("base", earn(1, 100, exclude={"category": [["Tobacco"]]}))], *lines) == {"base": {1: 10}}


def test_too_little_for_a_point_grants_nothing():
    assert granted([("base", earn(1, 100))], line(1, 99)) == {}
    assert granted([("base", earn(1, 100))]) == {}


def test_each_earning_promotion_floors_for_itself():
    # 1.50 at a point per 1.00 is 1; at three per 0.40 it is 11.25, so 11.
    rules = [("base", earn(1, 100)), ("more", earn(3, 40))]
    assert granted(rules, line(1, 150)) == {"base": {1: 1}, "more": {1: 11}}


def test_all_rates_of_one_promotion_are_floored_together():
    rules = compiled(promotion("base", earn(1, 100, sku=["sku1"]), earn(1, 100, sku=["sku2"])))
    # 1.50 and 1.50 at a point per 1.00 each are 3.00: 3 points, 1.5 a line, the odd one to the first.
    assert points_by(quote(rules, line(1, 150), line(2, 150), view=member())) == {"base": {1: 2, 2: 1}}


def test_rates_of_different_measures_are_added_exactly():
    rules = compiled(promotion("base", earn(1, 3), earn(1, 7)))
    # 20 at a third and a seventh: 6.67 + 2.86 = 9.52.
    assert quote(rules, line(1, 20), view=member()).totals.points_earned == 9
    assert quote(rules, line(1, 21), view=member()).totals.points_earned == 10  # 7 + 3 exactly


def test_a_multiplier_multiplies_the_rate_and_is_credited_with_what_it_adds():
    # 1.50 twice is 3.00: 3 points, of which the base has 1 and the multiplier 2.
    rules = [("base", earn(1, 100)), ("double", multiply(200))]
    assert granted(rules, line(1, 150)) == {"base": {1: 1}, "double": {1: 2}}


def test_a_multiplier_acts_on_its_own_goods():
    # Milk 2.00 tripled, bread 1.00: 3 of the base, 4 more for the milk.
    lines = (line(1, 200, sku="milk"), line(2, 100, sku="bread"))
    rules = [("base", earn(1, 100)), ("milk", multiply(300, sku=["milk"]))]
    assert granted(rules, *lines) == {"base": {1: 2, 2: 1}, "milk": {1: 4}}


def test_two_multipliers_on_the_same_goods_multiply_each_other():
    # 10.00 at 1 per 1.00: 10; doubled 20, so 10 more; half as much again 30, so another 10.
    rules = [("base", earn(1, 100)), ("double", multiply(200)), ("half", multiply(150))]
    assert granted(rules, line(1, 1000)) == {"base": {1: 10}, "double": {1: 10}, "half": {1: 10}}


def test_a_multiplier_without_points_to_multiply_grants_nothing():
    assert granted([("double", multiply(200))], line(1, 1000)) == {}
    assert granted([("base", earn(1, 100)), ("double", multiply(200, sku=["milk"]))], line(1, 1000)) == {
        "base": {1: 10}
    }
    assert granted([("fixed", fixed(10)), ("double", multiply(200))], line(1, 1000)) == {"fixed": {1: 10}}


def test_a_multiplier_of_higher_priority_comes_first_wherever_its_discount_runs():
    rules = compiled(
        promotion("base", earn(1, 100)),
        promotion("late", amount_off(100), multiply(200)),
        promotion("early", multiply(300), priority=1),
    )
    # 11.00 - 1.00 = 10.00: 10 points; tripled 30, so 20 more; doubled 60, so 30 more.
    assert points_by(quote(rules, line(1, 1100), view=member())) == {
        "base": {1: 10}, "early": {1: 20}, "late": {1: 30},
    }  # fmt: skip


def test_a_multiplier_leaves_reduced_goods_alone_where_it_says_so():
    rules = compiled(
        promotion("off", amount_off(100, sku=["sku1"])),
        promotion("base", earn(1, 100)),
        promotion("double", multiply(200), skip_reduced=True),
    )
    # 10.00 reduced from 11.00, and 10.00 at full price: only the latter is doubled.
    assert points_by(quote(rules, line(1, 1100), line(2, 1000), view=member()))["double"] == {2: 10}


def test_a_promotions_own_discount_does_not_keep_its_points_away():
    rules = compiled(promotion("both", percent_off(1000), earn(1, 100), skip_reduced=True))
    assert points_by(quote(rules, line(1, 1000), view=member())) == {"both": {1: 9}}


ROUNDINGS = [
    # 0.95 and 0.55 at a point per 1.00: 1.5 points; tripled 4.5.
    ("receipt", {"base": {1: 1}, "more": {1: 2, 2: 1}}),  # 1, then 4
    ("half_up", {"base": {1: 1, 2: 1}, "more": {1: 2, 2: 1}}),  # 2, then 5
    ("line", {"more": {1: 2, 2: 1}}),  # 0 and 0, then 2.85 and 1.65
]


@pytest.mark.parametrize(("rounding", "told"), ROUNDINGS)
def test_points_are_rounded_as_declared_before_and_after_a_multiplier(rounding, told):
    rules = [("base", earn(1, 100)), ("more", multiply(300))]
    assert granted(rules, line(1, 95), line(2, 55), options={"points_rounding": rounding}) == told


EARN_ON = [
    # 10.00 with 20 % tax in it, 2.00 off, 3.00 paid with points.
    ("paid", "in", 500),
    ("paid", "out", 417),  # 5.00 x 20 / 120 = 0.833 is tax
    ("before_points", "in", 800),
    ("before_points", "out", 667),
    ("before_discounts", "in", 1000),
    ("before_discounts", "out", 833),
]


@pytest.mark.parametrize(("earn_on", "tax", "told"), EARN_ON)
def test_points_are_earned_on_what_is_declared(earn_on, tax, told):
    options = {"earn_on": earn_on, "earn_tax": tax}
    asked = granted(
        [("off", amount_off(200)), ("base", earn(1, 1))], line(1, 1000, tax_bp=2000), options=options,
        authority=A_FLOAT, points_to_spend=600,
    )  # fmt: skip
    assert asked == {"base": {1: told}}


def test_where_prices_are_without_tax_points_may_be_earned_with_it():
    # 10.00 and 7.5 % on top: 10.75.
    row = line(1, 1000, tax_bp=750)
    assert granted([("base", earn(1, 1))], row, tax_included=False) == {"base": {1: 1075}}
    assert granted([("base", earn(1, 1))], row, tax_included=False, options={"earn_tax": "out"}) == {"base": {1: 1000}}


# By tender: 10.00 due, a point for every cent of it that is paid so.
TENDERS = [
    ((), 0),
    ((("own", 400),), 400),
    ((("own", 400), ("cash", 600)), 400),
    ((("own", 5000),), 1000),  # change is given out of it
    ((("own", 400), ("visa", 300)), 700),
    ((("cash", 1000),), 0),
    ((("own", 0),), 0),
]


@pytest.mark.parametrize(("tenders", "told"), TENDERS)
def test_only_what_is_paid_with_a_tender_earns_for_it(tenders, told):
    laid = tuple(Tender(kind=kind, amount_minor=amount) for kind, amount in tenders)
    rule = earn(1, 1) | {"tenders": ["own", "visa"]}
    found = granted([("base", rule)], line(1, 250), line(2, 750), tenders=laid)
    assert sum(found.get("base", {}).values()) == told


def test_nothing_due_earns_nothing_whatever_is_laid_down():
    rule = earn(1, 1) | {"tenders": ["cash"]}
    assert granted([("all", percent_off(10_000)), ("base", rule)], line(1, 1000), tenders=(cash(1000),)) == {}


def test_goods_paid_with_a_certificate_earn_as_if_paid_in_money():
    rules = compiled(promotion("base", earn(1, 100)), certificates={"sold": {"sku": ["card"]}, "wallet": True})
    asked = quote(
        rules, line(1, 1000), line(2, 5000, sku="card"), view=member(stored_minor=300), from_wallet_minor=300,
        bearer=[certificate("G1", 400)], certificates=(CertificateAsk(code="G1"),),
    )  # fmt: skip
    assert (points_each(asked), asked.totals.to_pay_minor) == ([10, 0], 5300)


FIXED = [
    # Points per basket, line and unit for 10.00 of three units, 5.00 by weight, 0.00 of two.
    ("basket", {1: 5, 2: 2}),  # 7 over 10.00 and 5.00: 4.67 and 2.33
    ("line", {1: 7, 2: 7, 3: 7}),
    ("unit", {1: 21, 2: 7, 3: 14}),
]


@pytest.mark.parametrize(("per", "told"), FIXED)
def test_points_are_fixed_for_the_basket_each_line_or_each_whole_unit(per, told):
    lines = (line(1, 1000, quantity_milli=3000), line(2, 500, quantity_milli=1900), line(3, 0, quantity_milli=2000))
    assert granted([("fixed", fixed(7, per))], *lines) == {"fixed": told}


def test_points_for_the_basket_want_goods_that_accrue():
    assert granted([("fixed", fixed(7))], line(1, 500, accrual=False)) == {}
    assert granted([("fixed", fixed(7, sku=["tea"]))], line(1, 500)) == {}


def test_less_than_a_unit_is_no_whole_unit():
    assert granted([("fixed", fixed(7, "unit"))], line(1, 500, quantity_milli=999)) == {}


def test_points_of_an_event_go_with_the_receipt_as_a_whole():
    event = promotion("hello", fixed(100), trigger={"kind": "event", "event": "enrolment"})
    asked = quote(compiled(event), view=member(), events=("enrolment",))
    assert (points_by(asked), asked.totals.points_earned) == ({"hello": {0: 100}}, 100)
    # With goods there are lines that they are shared over.
    assert points_by(quote(compiled(event), line(1, 500), view=member(), events=("enrolment",))) == {"hello": {1: 100}}
    # Goods that do not accrue carry none.
    tobacco = line(1, 500, accrual=False)
    assert points_by(quote(compiled(event), tobacco, view=member(), events=("enrolment",))) == {"hello": {0: 100}}


def test_an_event_told_twice_counts_once():
    event = promotion("hello", fixed(100), trigger={"kind": "event", "event": "enrolment"})
    asked = quote(compiled(event), view=member(), events=("enrolment", "enrolment"))
    assert asked.totals.points_earned == 100


def test_points_of_an_event_for_some_goods_go_to_these():
    event = promotion("hello", fixed(10, sku=["sku2"]), trigger={"kind": "event", "event": "survey"})
    asked = quote(compiled(event), line(1, 900), line(2, 100), view=member(), events=("survey",))
    assert points_by(asked) == {"hello": {2: 10}}
    without = quote(compiled(event), line(1, 900), view=member(), events=("survey",))
    assert points_by(without) == {"hello": {0: 10}}


EVENLY = {"spread_over_nothing": "evenly"}


def test_points_for_goods_that_cost_nothing_are_a_matter_of_declaration():
    lines = (line(1, 0), line(2, 0), line(3, 0))
    assert granted([("fixed", fixed(5))], *lines) == {"fixed": {0: 5}}
    assert granted([("fixed", fixed(5))], *lines, options=EVENLY) == {"fixed": {1: 2, 2: 2, 3: 1}}


CAPS = [
    # 10 points on line 1, 5 on line 2 and 3 with the receipt as a whole, cut down in proportion.
    (18, {1: 10, 2: 5, 0: 3}),
    (9, {1: 5, 2: 3, 0: 1}),  # 5, 2.5 and 1.5: of equal rests the first has the point
    (1, {1: 1}),  # 0.56, 0.28, 0.17
]


@pytest.mark.parametrize(("most", "told"), CAPS)
def test_capped_points_are_shared_as_they_would_have_been(most, told):
    free = fixed(3, sku=["sku3"])
    rules = compiled(promotion("base", earn(1, 100, exclude={"sku": ["sku3"]}), free, caps=[cap(most, "points")]))
    asked = quote(rules, line(1, 1000), line(2, 500), line(3, 0), view=member())
    assert points_by(asked) == {"base": told}


def test_a_cap_of_a_period_counts_what_was_had_and_what_is_granted_now():
    rules = compiled(promotion("base", earn(1, 1), caps=[cap(1000, "points", "quarter")]))
    for had, told in ((0, 500), (600, 400), (1000, 0), (1001, 0)):
        counters = (use("cap:base:points:2026-Q1", had),) if had else ()
        asked = quote(rules, line(1, 500), view=member(counters=counters))
        assert asked.totals.points_earned == told
        assert steps_of(asked.uses) == ({"cap:base:points:2026-Q1": told} if told else {})


def test_a_multipliers_cap_bounds_what_it_adds_and_not_what_the_rate_grants():
    rules = compiled(promotion("base", earn(1, 100)), promotion("triple", multiply(300), caps=[cap(5, "points")]))
    assert points_by(quote(rules, line(1, 1000), view=member())) == {"base": {1: 10}, "triple": {1: 5}}


def test_who_has_no_card_earns_nothing_and_an_unknown_card_does():
    rules = compiled(promotion("base", earn(1, 100)))
    assert quote(rules, line(1, 1000)).why[0].condition == "who.card"
    assert quote(rules, line(1, 1000), view=UNKNOWN_CARD).totals.points_earned == 10


def test_the_largest_sum_earns_at_the_finest_rate():
    assert granted([("base", earn(7, 10**15))], line(1, 10**15)) == {"base": {1: 7}}
    assert granted([("base", earn(1, 1))], line(1, 10**15)) == {"base": {1: 10**15}}
    assert granted([("base", earn(1, 10**15))], line(1, 10**15 - 1)) == {}


PAID = st.lists(st.integers(0, 3000), min_size=1, max_size=6)


@given(PAID, st.integers(1, 50), st.integers(1, 300), st.lists(st.integers(101, 400), max_size=3))
def test_points_add_up_to_the_rate_times_the_sum_floored_once(paid, points, per_minor, boosts):
    rules = [("base", earn(points, per_minor)), *((f"x{i}", multiply(times)) for i, times in enumerate(boosts))]
    lines = [line(i + 1, amount) for i, amount in enumerate(paid)]
    found = granted(rules, *lines)
    rate, scale = points, per_minor
    for times in boosts:
        rate, scale = rate * times, scale * 100
    assert sum(sum(by_line.values()) for by_line in found.values()) == rate * sum(paid) // scale
    assert all(part > 0 for by_line in found.values() for part in by_line.values())


@given(PAID, st.integers(2, 9))
def test_a_split_receipt_never_earns_more_than_a_whole_one(paid, points):
    lines = [line(i + 1, amount) for i, amount in enumerate(paid)]
    rules = compiled(promotion("base", earn(points, 100)))
    apart = sum(quote(rules, row, view=member()).totals.points_earned for row in lines)
    assert apart <= quote(rules, *lines, view=member()).totals.points_earned


@given(
    PAID,
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 90), st.sampled_from("abc")), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(101, 300), st.sampled_from("abc")), max_size=2),
)
def test_several_rates_and_multipliers_are_exact_before_they_are_floored(paid, rates, boosts):
    tags = ["a", "b", "c", "ab", "bc", "abc"]
    lines = [line(i + 1, amount, tags=tuple(tags[i])) for i, amount in enumerate(paid)]
    rules = compiled(
        promotion("base", *(earn(points, per, tags=[tag]) for points, per, tag in rates)),
        *(promotion(f"x{n}", multiply(times, tags=[tag])) for n, (times, tag) in enumerate(boosts)),
    )
    exact = [
        sum(Fraction(points * amount, per) for points, per, tag in rates if tag in tags[i])
        for i, amount in enumerate(paid)
    ]
    told = [floor(sum(exact))]
    for times, tag in boosts:
        exact = [one * times / 100 if tag in tags[i] else one for i, one in enumerate(exact)]
        told.append(floor(sum(exact)))
    found = points_by(quote(rules, *lines, view=member()))
    sums = [sum(found.get(name, {}).values()) for name in ("base", *(f"x{n}" for n in range(len(boosts))))]
    assert sums == [told[0], *(after - before for before, after in pairwise(told))]
