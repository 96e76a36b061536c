"""What a receipt adds to counters: every use once, under the name of its period, and nothing where nothing was done."""

import pytest

from loyalty.members import UNKNOWN_CARD
from loyalty.pricing.history import merged
from tests.loyalty.build import (
    A_FLOAT,
    BY_COUPON,
    MONDAY_NOON_MS,
    SPENDING,
    amount_off,
    cap,
    compiled,
    coupon,
    day,
    earn,
    fixed,
    line,
    member,
    percent_off,
    place,
    promotion,
    quote,
    scale,
    steps_of,
    use,
)


def looks_at(*conditions, **facts):
    """A programme with a promotion that looks at the member's past and never holds."""
    rich = {"kind": "balance", "at_least_points": 10**9}
    return compiled(promotion("past", percent_off(1), when=[*conditions, rich]), **facts)


SPENT = {"kind": "period_spend", "at_least_minor": 1}
TRACKED = [
    (looks_at(), {}),
    (looks_at({"kind": "purchase", "every": 5}), {"visits": 1}),
    (looks_at({"kind": "lapsed", "days": 5}), {"last:visit": 739_677}),
    (looks_at(SPENT), {"spend:2026-03": 1000}),
    (looks_at(SPENT | {"period": "year"}, SPENT | {"period": "quarter"}, SPENT | {"period": "day"},
              SPENT | {"period": "ever"}),
     {"spend": 1000, "spend:2026": 1000, "spend:2026-Q1": 1000, "spend:2026-03-02": 1000}),
    (compiled(promotion("more", scale({"from": 10**9, "percent_bp": 1}, by="period_spend"))), {"spend:2026": 1000}),
    (compiled(promotion("hello", fixed(5), trigger={"kind": "event", "event": "visit"})), {"last:visit": 739_677}),
    (compiled(promotion("hello", fixed(5), trigger={"kind": "event", "event": "enrolment"})), {}),
    (compiled(tiers=[{"id": "a", "reach": {"spend_minor": 10**9}, "keep": {"purchases": 9, "period": "quarter"}}]),
     {"spend:2026": 1000, "visits:2026-Q1": 1}),
    (compiled(tiers=[{"id": "a", "reach": {"purchases": 99, "days": 30}}]), {"visits:2026-03-02": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "told"), TRACKED)
def test_a_receipt_counts_what_some_rule_or_tier_looks_at_and_no_more(rules, told):
    # 2 March 2026 is day 739,677 of the calendar: 719,163 at the start of 1970 and 20,514 days since.
    assert steps_of(quote(rules, line(1, 1000), view=member()).uses) == told
    assert quote(rules, line(1, 1000)).uses == ()


def test_a_card_that_is_not_known_yet_is_counted_and_its_counters_are_not():
    asked = quote(looks_at(SPENT), line(1, 1000), view=UNKNOWN_CARD)
    assert (steps_of(asked.uses), asked.counters) == ({"spend:2026-03": 1000}, ())
    elsewhere = quote(looks_at(SPENT), line(1, 1000), view=member(counters=None))
    assert (steps_of(elsewhere.uses), elsewhere.counters) == ({"spend:2026-03": 1000}, ())


def test_what_is_spent_is_what_is_left_after_discounts_and_points():
    rules = compiled(
        promotion("off", amount_off(100)), promotion("past", percent_off(1), when=[SPENT | {"at_least_minor": 10**9}]),
        spending=SPENDING,
    )  # fmt: skip
    asked = quote(rules, line(1, 1000), view=member(), authority=A_FLOAT, points_to_spend=600)
    # 10.00 - 1.00 - 3.00.
    assert steps_of(asked.uses) == {"spend:2026-03": 600}


def test_a_receipt_for_nothing_is_a_purchase_and_no_spend():
    rules = looks_at({"kind": "purchase", "every": 5}, SPENT)
    assert steps_of(quote(rules, line(1, 0), view=member()).uses) == {"visits": 1}


def test_a_receipt_without_goods_is_no_purchase_and_no_visit():
    rules = compiled(
        promotion("visit", fixed(5), trigger={"kind": "event", "event": "visit"}),
        promotion("survey", fixed(7), trigger={"kind": "event", "event": "survey"}, limits={"times": 1}),
        promotion("past", percent_off(1), when=[{"kind": "purchase", "every": 5}]),
    )
    asked = quote(rules, view=member(), events=("survey", "visit"))
    # `visit` is not for the POS to tell: it is the first receipt with goods of a day.
    assert (asked.totals.points_earned, steps_of(asked.uses)) == (7, {"promo:survey": 1})


VISITS = [
    (member(), 5),
    (member(counters=(use("last:visit", 739_676),)), 5),  # yesterday
    (member(counters=(use("last:visit", 739_677),)), 0),
    (member(counters=(use("last:visit", 739_678),)), 0),  # a clock that was ahead
    (member(counters=None), 0),
    (UNKNOWN_CARD, 0),
    (None, 0),
]


@pytest.mark.parametrize(("view", "points"), VISITS)
def test_the_first_receipt_of_a_business_day_is_a_visit(view, points):
    rules = compiled(promotion("visit", fixed(5), trigger={"kind": "event", "event": "visit"}))
    assert quote(rules, line(1, 1000), view=view).totals.points_earned == points


def test_counters_are_told_with_their_new_values_and_a_later_visit_is_not_forgotten():
    rules = looks_at(SPENT, {"kind": "lapsed", "days": 5}, {"kind": "purchase", "every": 5})
    had = (use("last:visit", 739_700), use("other", 9), use("spend:2026-03", 250), use("visits", 4))
    asked = quote(rules, line(1, 1000), view=member(counters=had))
    assert asked.uses == (use("last:visit", 739_677), use("spend:2026-03", 1000), use("visits", 1))
    assert asked.counters == (use("last:visit", 739_700), use("spend:2026-03", 1250), use("visits", 5))


def test_a_counter_of_a_day_is_of_the_clock_and_a_visit_of_the_business_day():
    rules = looks_at(SPENT | {"period": "day"}, {"kind": "lapsed", "days": 5})
    late = place(sold_at_ms=MONDAY_NOON_MS + 13 * 3_600_000, business_date=day("2026-03-02"))  # Tuesday, 01:00
    asked = quote(rules, line(1, 1000), view=member(), place=late)
    assert steps_of(asked.uses) == {"spend:2026-03-03": 1000, "last:visit": 739_677}


def test_limits_and_budgets_are_counted_with_whom_they_concern():
    limits = {"times": 3, "per": "month", "times_in_all": 9, "budget_minor": 10**6}
    rules = compiled(promotion("off", amount_off(150), limits=limits), promotion("none", amount_off(1, sku=["x"])))
    asked = quote(rules, line(1, 1000), view=member())
    assert steps_of(asked.uses) == {"promo:off:2026-03": 1}
    assert steps_of(asked.shared_uses) == {"promo:off": 1, "budget:off": 150}


def test_a_promotion_for_everybody_is_counted_without_a_card_too():
    rules = compiled(promotion("off", amount_off(150), limits={"times_in_all": 9}))
    for view in (None, UNKNOWN_CARD, member()):
        asked = quote(rules, line(1, 1000), view=view)
        assert (asked.uses, steps_of(asked.shared_uses)) == ((), {"promo:off": 1})


def test_a_budget_counts_money_and_not_points():
    rules = compiled(promotion("points", fixed(50), limits={"budget_minor": 100}))
    asked = quote(rules, line(1, 1000), view=member())
    assert (asked.totals.points_earned, asked.shared_uses) == (50, ())


def test_a_cap_is_counted_once_for_each_period_it_is_looked_at_in():
    caps = [
        cap(500, "amount", "month"), cap(300, "amount", "month", first="dearest"), cap(900, "amount", "ever"),
        cap(99, "points", "month"), cap(4, "units"), cap(10**6, "amount"),
    ]  # fmt: skip
    rules = compiled(promotion("off", percent_off(5000), earn(1, 10), caps=caps))
    asked = quote(rules, line(1, 400, quantity_milli=2000), view=member())
    # Half of 4.00 is 2.00; 2.00 earn 20 points. Caps of the receipt alone need no counter.
    assert steps_of(asked.uses) == {
        "cap:off:amount:2026-03": 200, "cap:off:amount": 200, "cap:off:points:2026-03": 20,
    }  # fmt: skip


def test_several_coupons_of_a_kind_are_several_uses_of_their_promotion():
    rules = compiled(
        promotion("five", amount_off(300), fixed(10), limits={"times": 9, "budget_minor": 10**6},
                  caps=[cap(10**6, "amount", "day"), cap(10**6, "points", "day")], **BY_COUPON),
        coupons=[{"id": "five"}],
    )  # fmt: skip
    mine = coupon("C2", account_id=7)
    asked = quote(
        rules, line(1, 1000), view=member(wallet=(mine,)), bearer=[coupon("C1")], coupons=("C1", "C2"),
    )  # fmt: skip
    assert steps_of(asked.uses) == {
        "promo:five": 2, "cap:five:amount:2026-03-02": 600, "cap:five:points:2026-03-02": 20, "coupon:C2": 1,
    }  # fmt: skip
    assert steps_of(asked.shared_uses) == {"budget:five": 600, "coupon:C1": 1}


def test_steps_of_one_counter_are_one_step_and_those_that_add_nothing_are_none():
    assert merged([use("b", 2), use("a", 1), use("b", 3), use("c", 5), use("c", -5)]) == (use("a", 1), use("b", 5))
    assert merged([use("last:visit", 7), use("last:visit", 5)]) == (use("last:visit", 7),)
    assert merged([]) == ()
