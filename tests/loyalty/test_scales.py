"""Scales: both bounds of a step are in, and a graduated one gives each part its own percentage."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.members import UNKNOWN_CARD
from loyalty.pricing.scales import step_for
from loyalty.programme.benefits import ScaleStep
from tests.loyalty.build import (
    amount_off,
    cap,
    compiled,
    line,
    member,
    off,
    off_by,
    promotion,
    quote,
    scale,
    steps_of,
    taken,
    use,
)


def step(from_, percent_bp=None, *, to=None, amount=None):
    found = {"from": from_, "to": to, "percent_bp": percent_bp, "amount_minor": amount}
    return {name: value for name, value in found.items() if value is not None}


STEPS = (step(0, 100), step(1000, 200, to=1999), step(3000, 300), step(5000, 400, to=5000))
LIES_IN = [
    (0, 100),
    (999, 100),
    (1000, 200),
    (1999, 200),
    (2000, None),  # between two steps
    (2999, None),
    (3000, 300),
    (4999, 300),
    (5000, 400),
    (5001, None),  # above the last
]


@pytest.mark.parametrize(("measured", "percent_bp"), LIES_IN)
def test_a_measure_lies_in_one_step_or_in_none(measured, percent_bp):
    found = step_for(msgspec.convert(STEPS, tuple[ScaleStep, ...]), measured)
    assert (found and found.percent_bp) == percent_bp


def test_nothing_is_below_a_step_that_begins_above_nothing():
    assert step_for(msgspec.convert((step(1, 100),), tuple[ScaleStep, ...]), 0) is None


def test_steps_measure_the_largest_sum_and_the_largest_quantity():
    rule = scale(step(10**15, 5000))
    assert taken(rule, line(1, 10**15)) == [5 * 10**14]
    assert taken(rule, line(1, 10**15 - 1)) == [0]
    by_quantity = scale(step(10**12, 5000), by="quantity")
    assert taken(by_quantity, line(1, 1000, quantity_milli=10**12)) == [500]
    assert taken(by_quantity, line(1, 1000, quantity_milli=10**12 - 1)) == [0]


def test_weighed_goods_count_with_their_weight():
    rule = scale(step(1000, 1000), by="quantity")
    assert taken(rule, line(1, 500, quantity_milli=650), line(2, 300, quantity_milli=349)) == [0, 0]
    assert taken(rule, line(1, 500, quantity_milli=650), line(2, 300, quantity_milli=350)) == [50, 30]


def test_goods_that_may_not_be_discounted_are_measured_and_keep_their_price():
    assert taken(scale(step(1500, 1000)), line(1, 1000, discountable=False), line(2, 500)) == [0, 50]
    assert taken(scale(step(2000, amount=300), by="quantity"), line(1, 1000, discountable=False), line(2, 500)) == [
        0, 300,
    ]  # fmt: skip


def test_goods_that_are_left_alone_are_not_measured():
    rules = compiled(
        promotion("first", amount_off(1, sku=["sku1"]), stage="before"),
        promotion("more", scale(step(1500, 1000)), skip_reduced=True),
    )
    assert off_by(quote(rules, line(1, 1000), line(2, 1000))) == {"first": 1}
    assert off_by(quote(rules, line(1, 1000), line(2, 1500))) == {"first": 1, "more": 150}


def test_an_amount_of_a_step_takes_no_more_than_the_goods_cost():
    assert taken(scale(step(100, amount=9999)), line(1, 60), line(2, 40)) == [60, 40]


# By what the member spent in the running period; the sale is on 2 March 2026.
PERIODS = [
    ("ever", "spend", 1000),
    ("year", "spend:2026", 1000),
    ("quarter", "spend:2026-Q1", 1000),
    ("month", "spend:2026-03", 1000),
    ("day", "spend:2026-03-02", 1000),
    ("month", "spend:2026-02", 0),
    ("quarter", "spend:2025-Q4", 0),
]


@pytest.mark.parametrize(("period", "counter", "told"), PERIODS)
def test_a_scale_looks_at_the_spend_of_its_period(period, counter, told):
    rule = scale(step(500, 1000), by="period_spend", period=period)
    assert taken(rule, line(1, 10_000), view=member(counters=(use(counter, 500),))) == [told]


def test_only_the_goods_of_the_scale_count_with_what_was_spent_before():
    rule = scale(step(1000, 1000), by="period_spend", this_receipt=True, of={"sku": ["sku1"]})
    view = member(counters=(use("spend:2026", 400),))
    assert taken(rule, line(1, 599), line(2, 5000), view=view) == [0, 0]
    assert taken(rule, line(1, 600), line(2, 5000), view=view) == [60, 0]


@pytest.mark.parametrize("view", [None, UNKNOWN_CARD, member(counters=None)], ids=["nobody", "unknown", "elsewhere"])
def test_where_the_past_is_not_known_no_step_is_reached_not_even_the_one_from_nothing(view):
    assert taken(scale(step(0, 1000), by="period_spend", this_receipt=True), line(1, 1000), view=view) == [0]
    assert taken(scale(step(0, 1000), by="period_spend"), line(1, 1000), view=member()) == [100]


def test_a_scale_by_period_spend_is_counted_with_every_receipt():
    rules = compiled(promotion("more", scale(step(10**9, 1000), by="period_spend", period="quarter")))
    asked = quote(rules, line(1, 1000), view=member())
    assert steps_of(asked.uses) == {"spend:2026-Q1": 1000}


# Graduated by spend: 1,000 at 10 %, the next 1,000 at 20 %, what is above at 30 %.
TAX_TABLE = scale(step(0, 1000), step(1000, 2000), step(2000, 3000), graduated=True)
GRADUATED = [
    (0, 0),
    (1, 0),  # 0.1
    (5, 1),  # 0.5, half up
    (1000, 100),
    (1001, 100),  # 100.2
    (2000, 300),
    (2500, 450),
    (10**15, 3 * 10**14 - 300),  # 30 % of all but the first 2,000, which get 300 and not 600
]


@pytest.mark.parametrize(("amount", "told"), GRADUATED)
def test_each_part_of_a_sum_gets_the_percentage_of_its_step(amount, told):
    assert taken(TAX_TABLE, line(1, amount)) == [told]


def test_parts_of_a_sum_below_the_first_step_get_nothing():
    assert taken(scale(step(1000, 5000), graduated=True), line(1, 1001)) == [1]  # half of one cent
    assert taken(scale(step(1000, 5000), graduated=True), line(1, 1000)) == [0]


ENDS = [
    # Where the first step ends, and what comes off 10.00: all of each cent within it, and nothing of the others.
    (None, 1000),
    (999, 1000),  # the next one begins with the cent after
    (1000 - 2, 998),
    (500, 500),
]


@pytest.mark.parametrize(("to", "told"), ENDS)
def test_no_cent_lies_between_steps_that_follow_each_other(to, told):
    rule = scale(step(0, 10_000, to=to), step(1000, 1), graduated=True)
    assert taken(rule, line(1, 1000)) == [told]


def test_a_graduated_sum_is_rounded_as_declared():
    # 10 % of 10.00 and 20 % of 0.04 are 1.008.
    lines = (line(1, 1004),)
    assert taken(TAX_TABLE, *lines) == [101]
    assert taken(TAX_TABLE, *lines, percent_rounding="down") == [100]
    # The price is 9.032: half up 9.03, so 1.01 off; up 9.04, so 1.00.
    assert taken(TAX_TABLE, *lines, percent_rounds="price") == [101]
    assert taken(TAX_TABLE, *lines, percent_rounds="price", percent_rounding="up") == [100]


def test_a_graduated_sum_is_spread_over_the_lines_that_can_take_it():
    # 20.00 give 3.00; line 1 may not be discounted, line 2 has 0.50 above its floor.
    lines = (line(1, 1000, discountable=False), line(2, 500, floor_unit_minor=450), line(3, 500))
    assert taken(TAX_TABLE, *lines) == [0, 50, 250]


# Graduated by quantity: units 2 to 3 at 50 %, further ones at 70 %.
SECOND = scale(step(2000, 5000, to=3000), step(4000, 7000), by="quantity", graduated=True)
BY_UNIT = [
    ((1, 1000), 0),
    ((2, 1000), 500),
    ((3, 1000), 1000),
    ((4, 1000), 1700),
    ((9999, 1000), 1000 + 9996 * 700),
    ((10**9, 1000), 1000 + (10**9 - 3) * 700),
]


@pytest.mark.parametrize(("sold", "told"), BY_UNIT)
def test_each_unit_gets_the_percentage_of_its_number(sold, told):
    units, price = sold
    assert taken(SECOND, line(1, units * price, quantity_milli=1000 * units)) == [told]


# Prices 10.00, 6.00, 2.00, 1.00 in this order in the basket.
NUMBERS = [
    ("cheapest", [0, 300, 100, 70]),  # the dearest is number 1
    ("dearest", [700, 300, 100, 0]),  # the cheapest is number 1
    ("basket", [0, 300, 100, 70]),  # as they stand
]


@pytest.mark.parametrize(("which", "told"), NUMBERS)
def test_units_are_numbered_so_that_those_rewarded_first_get_most_off(which, told):
    lines = (line(1, 1000), line(2, 600), line(3, 200), line(4, 100))
    assert taken(SECOND | {"which": which}, *lines) == told
    assert taken(SECOND, *lines, rewarded_unit=which) == told


def test_the_percentages_of_a_lines_units_are_rounded_together():
    # Three at 0.33: half of the second and of the third are 16.5 each, 33 together.
    assert taken(SECOND, line(1, 99, quantity_milli=3000)) == [33]
    # Two at 0.25 at the same price rounded: 0.50 - 0.125 = 37.5, half up 0.38, so 0.12 off; the discount half up 0.13.
    assert taken(SECOND, line(1, 50, quantity_milli=2000)) == [13]
    assert taken(SECOND, line(1, 50, quantity_milli=2000), percent_rounds="price") == [12]


def test_steps_between_whole_numbers_of_units_begin_with_the_next_unit():
    # From 1.5 to 2.5 units: number 2 alone.
    rule = scale(step(1500, 5000, to=2500), by="quantity", graduated=True)
    assert taken(rule, line(1, 400, quantity_milli=4000)) == [50]


def test_free_units_have_no_number_unless_they_count():
    rule = scale(step(3000, 5000), by="quantity", graduated=True, which="basket")
    lines = (line(1, 0), line(2, 100), line(3, 100))
    assert taken(rule, *lines) == [0, 0, 0]
    assert taken(rule, *lines, gift_lines="counted") == [0, 0, 50]


def test_goods_that_may_not_be_discounted_have_numbers_too():
    lines = (line(1, 1000), line(2, 600, discountable=False), line(3, 200))
    assert taken(SECOND, *lines) == [0, 0, 100]


def test_a_cap_on_units_counts_the_units_of_a_plain_scale():
    rules = compiled(promotion("more", scale(step(1000, 5000), by="quantity"), caps=[cap(2, "units", "day")]))
    asked = quote(rules, line(1, 400, quantity_milli=4000), view=member())
    assert (off(asked), steps_of(asked.uses)) == ([100], {"cap:more:units:2026-03-02": 2})


AMOUNTS = st.lists(st.integers(0, 3000), min_size=1, max_size=5)


@given(AMOUNTS)
def test_a_graduated_sum_is_cent_by_cent_what_its_steps_say(amounts):
    """Every cent of the sum gets the percentage of the step that it lies in."""
    asked = taken(TAX_TABLE, *(line(n, amount) for n, amount in enumerate(amounts, 1)))
    tenths = sum(1 if cent < 1000 else 2 if cent < 2000 else 3 for cent in range(sum(amounts)))
    assert sum(asked) == (tenths + 5) // 10


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 4)), min_size=1, max_size=4))
def test_a_graduated_quantity_is_unit_by_unit_what_its_steps_say(rows):
    lines = [line(n, price * units, quantity_milli=1000 * units) for n, (price, units) in enumerate(rows, 1)]
    units = [(price, n) for n, (price, count) in enumerate(rows) for _ in range(count)]
    tenths = [0] * len(rows)
    for number, (price, n) in enumerate(sorted(units, key=lambda unit: (-unit[0], unit[1])), 1):
        tenths[n] += price * (0 if number == 1 else 5 if number <= 3 else 7)
    assert taken(SECOND, *lines) == [(tenth + 5) // 10 for tenth in tenths]
