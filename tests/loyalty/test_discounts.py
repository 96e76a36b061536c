"""Money off: what each line gives, never below nothing, never below its floor, to the minor unit."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.discounts import spread, take_off
from loyalty.programme import AmountOff, Options, PercentOff
from tests.loyalty.build import amount_off, line, percent_off


def off(said, *lines, remaining=None, rounding="half_up"):
    rule = msgspec.convert(said, PercentOff | AmountOff)
    return take_off(rule, lines, remaining or [row.amount_minor for row in lines], Options(percent_rounding=rounding))


def test_a_percentage_is_rounded_on_each_lines_discount():
    # 10 % of 2.45 is 24.5 cents, of 1.04 is 10.4, of 0.06 is 0.6.
    lines = (line(1, 245), line(2, 104), line(3, 6))
    assert off(percent_off(1000), *lines) == (25, 10, 1)
    assert off(percent_off(1000), *lines, rounding="half_even") == (24, 10, 1)
    assert off(percent_off(1000), *lines, rounding="down") == (24, 10, 0)
    assert off(percent_off(1000), *lines, rounding="up") == (25, 11, 1)


def test_a_percentage_is_taken_of_what_earlier_promotions_left():
    assert off(percent_off(1000), line(1, 1000), remaining=[900]) == (90,)


def test_all_of_it_off_leaves_nothing():
    assert off(percent_off(10_000), line(1, 999)) == (999,)


def test_only_selected_and_discountable_lines_give():
    lines = (line(1, 1000, brand="Alp"), line(2, 1000), line(3, 1000, brand="Alp", discountable=False))
    assert off(percent_off(1000, brand=["Alp"]), *lines) == (100, 0, 0)
    assert off(amount_off(500, brand=["Alp"]), *lines) == (500, 0, 0)


def test_an_amount_off_the_basket_is_spread_so_that_the_parts_add_up():
    assert off(amount_off(100), line(1, 100), line(2, 100), line(3, 100)) == (34, 33, 33)
    # 5.00 over 12.00, 6.00 and 2.00: 300, 150, 50.
    assert off(amount_off(500), line(1, 1200), line(2, 600), line(3, 200)) == (300, 150, 50)


def test_an_amount_larger_than_the_basket_takes_what_is_there():
    assert off(amount_off(10_000), line(1, 120), line(2, 80)) == (120, 80)


def test_lines_worth_nothing_take_no_part():
    assert off(amount_off(100), line(1, 0), line(2, 300)) == (0, 100)
    assert off(amount_off(100), line(1, 0)) == (0,)


def test_an_amount_off_each_line_takes_at_most_the_line():
    assert off(amount_off(150, "line"), line(1, 1000), line(2, 100)) == (150, 100)


def test_an_amount_off_each_unit_counts_parts_of_a_unit():
    # 3 x 0.20; 0.350 kg x 0.20 = 0.07; 0.375 x 0.20 = 0.075, rounded up.
    lines = (line(1, 900, quantity_milli=3000), line(2, 500, quantity_milli=350), line(3, 500, quantity_milli=375))
    assert off(amount_off(20, "unit"), *lines) == (60, 7, 8)


def test_no_discount_takes_a_unit_below_its_floor():
    book = line(1, 1000, floor_unit_minor=950)
    assert off(percent_off(1000), book) == (50,)
    assert off(amount_off(300, "line"), book) == (50,)
    assert off(percent_off(1000), line(1, 900, floor_unit_minor=950)) == (0,)
    # Two units at a floor of 4.80 keep 9.60; 0.333 of a unit at 1.00 keeps 0.333, rounded up to 34.
    assert off(percent_off(5000), line(1, 1000, quantity_milli=2000, floor_unit_minor=480)) == (40,)
    assert off(percent_off(10_000), line(1, 50, quantity_milli=333, floor_unit_minor=100)) == (16,)


def test_what_a_floor_refuses_moves_to_lines_that_can_still_take_it():
    book, pen = line(1, 1000, floor_unit_minor=950), line(2, 1000)
    assert off(amount_off(400), book, pen) == (50, 350)


def test_what_no_line_can_take_is_dropped():
    assert off(amount_off(400), line(1, 1000, floor_unit_minor=950), line(2, 100)) == (50, 100)


@pytest.mark.parametrize("said", [percent_off(1000), amount_off(5), amount_off(5, "line"), amount_off(5, "unit")])
def test_an_empty_basket_gives_nothing(said):
    assert off(said) == ()


ROWS = st.lists(
    st.builds(
        dict,
        amount_minor=st.integers(0, 5000),
        quantity_milli=st.integers(1, 5000),
        floor_unit_minor=st.just(0) | st.integers(0, 3000),
        discountable=st.booleans(),
        left_bp=st.integers(0, 10_000),
    ),
    max_size=8,
)
RULES = st.one_of(
    st.builds(percent_off, st.integers(1, 10_000)),
    st.builds(amount_off, st.integers(1, 20_000), st.sampled_from(["basket", "line", "unit"])),
)


@given(ROWS, RULES, st.sampled_from(["half_up", "half_even", "down", "up"]))
def test_whatever_is_taken_off_no_line_goes_below_zero_or_its_floor(rows, said, rounding):
    remaining = [row["amount_minor"] * row.pop("left_bp") // 10_000 for row in rows]
    lines = [line(i + 1, **row) for i, row in enumerate(rows)]
    cuts = off(said, *lines, remaining=remaining, rounding=rounding)
    for row, left, cut in zip(lines, remaining, cuts, strict=True):
        assert 0 <= cut <= left
        if cut:
            assert row.discountable
            assert (left - cut) * 1000 >= row.floor_unit_minor * row.quantity_milli
    if said["kind"] == "amount_off" and said["per"] == "basket":
        assert sum(cuts) <= said["amount_minor"]


ROOMS = st.lists(st.tuples(st.integers(1, 500), st.integers(0, 500)), min_size=1, max_size=8)


@given(ROOMS, st.data())
def test_a_spread_amount_adds_up_and_nobody_gets_more_than_fits(rooms, data):
    room = [min(weight, space) for weight, space in rooms]
    weights = [weight if space else 0 for (weight, _), space in zip(rooms, room, strict=True)]
    total = data.draw(st.integers(0, sum(room)))
    parts = spread(total, weights, room)
    assert sum(parts) == total
    assert all(0 <= part <= space for part, space in zip(parts, room, strict=True))
