"""Buy and get: how many units are rewarded, which ones, and by how much, against a count done unit by unit."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.loyalty.build import (
    amount_off,
    buy_get,
    cap,
    compiled,
    line,
    member,
    off,
    off_by,
    percent_off,
    promotion,
    quote,
    steps_of,
    taken,
    use,
)

# One line at 1.00 a unit: how many of them are free.
COUNTS = [
    (buy_get(1), 1, 0),
    (buy_get(1), 2, 1),
    (buy_get(1), 3, 1),
    (buy_get(2), 2, 0),
    (buy_get(2), 3, 1),
    (buy_get(2), 9999, 3333),
    (buy_get(2, 3), 3, 1),  # two bought, and one of the three there could be
    (buy_get(2, 3), 5, 3),
    (buy_get(2, 3), 6, 3),  # the sixth is bought alone
    (buy_get(2, 3), 8, 4),
    (buy_get(10_000), 10_000, 0),
    (buy_get(10_000), 10_001, 1),
    (buy_get(3, counts=True), 2, 0),
    (buy_get(3, counts=True), 3, 1),
    (buy_get(3, counts=True), 9999, 3333),
    (buy_get(3, 3, counts=True), 7, 6),
    (buy_get(1, 1, counts=True), 5, 5),  # everything is its own reward
    (buy_get(2, times=1), 9999, 1),
    (buy_get(2, 2, times=3), 9999, 6),
    (buy_get(2, 2, times=3), 7, 3),  # four bought; two times, the second rewards one
    (buy_get(1), 0, 0),
]


@pytest.mark.parametrize(("rule", "units", "free"), COUNTS, ids=str)
def test_as_many_units_are_rewarded_as_those_bought_besides_them_pay_for(rule, units, free):
    assert taken(rule, line(1, 100 * units, quantity_milli=1000 * units)) == [100 * free]


REWARDS = [
    ({}, 301),
    ({"percent_bp": 5000}, 151),  # half of 3.01 is 150.5, up
    ({"percent_bp": 10_000}, 301),
    ({"amount_minor": 300}, 300),
    ({"amount_minor": 302}, 301),
    ({"price_minor": 0}, 301),
    ({"price_minor": 300}, 1),
    ({"price_minor": 301}, 0),
    ({"price_minor": 999}, 0),
]


@pytest.mark.parametrize(("figure", "told"), REWARDS)
def test_a_rewarded_unit_is_free_or_cheaper_by_a_figure(figure, told):
    assert taken(buy_get(1, **figure), line(1, 301), line(2, 900)) == [told, 0]


def test_each_rewarded_unit_is_rounded_by_itself():
    # Four at 0.25: half of 0.25 is 12.5, up to 0.13; two of them are 0.26.
    assert taken(buy_get(1, percent_bp=5000), line(1, 100, quantity_milli=4000)) == [26]


def test_goods_that_may_not_be_discounted_are_bought_and_not_rewarded():
    rule = buy_get(1)
    assert taken(rule, line(1, 100, discountable=False), line(2, 500)) == [0, 500]
    assert taken(rule, line(1, 100, discountable=False), line(2, 500, discountable=False)) == [0, 0]


def test_units_at_their_floor_are_bought_and_not_rewarded():
    # The cheapest may not go below 1.00; the next one goes down to 2.00.
    lines = (line(1, 100, floor_unit_minor=100), line(2, 500, floor_unit_minor=200))
    assert taken(buy_get(1), *lines) == [0, 300]


def test_a_rewarded_unit_goes_no_lower_than_its_own_floor_whatever_the_others_cost():
    # Three at 3.00 may cost 2.00 each: the free one still costs 2.00, though the line has 3.00 above its floor.
    assert taken(buy_get(2), line(1, 900, quantity_milli=3000, floor_unit_minor=200)) == [100]
    # A piece of 1.5 kg for 6.00 may cost 2.00 a kilogram: 3.00 off. Rounded up, 0.333 kg at 1.00 keep 0.34.
    assert taken(buy_get(1), line(1, 600, quantity_milli=1500, floor_unit_minor=200), line(2, 900)) == [300, 0]
    assert taken(buy_get(1), line(1, 50, quantity_milli=333, floor_unit_minor=100), line(2, 900)) == [16, 0]


def test_free_units_are_neither_bought_nor_rewarded_unless_they_are_counted():
    sample, soap = line(1, 0), line(2, 500)
    assert taken(buy_get(1), sample, soap) == [0, 0]
    assert taken(buy_get(1, which="dearest"), sample, soap, gift_lines="counted") == [0, 500]
    # The sample itself is the reward then, and nothing comes off.
    assert taken(buy_get(1), sample, soap, gift_lines="counted") == [0, 0]
    # A free unit that may not be discounted is no reward either.
    locked = line(1, 0, discountable=False)
    assert taken(buy_get(1), locked, soap, gift_lines="counted") == [0, 500]


def test_goods_without_a_quantity_are_nothing():
    assert taken(buy_get(1), line(1, 500, quantity_milli=0), line(2, 500)) == [0, 0]


def test_reduced_goods_that_are_left_alone_are_not_bought_either():
    rules = compiled(
        promotion("first", amount_off(1, sku=["sku1"]), stage="before"),
        promotion("free", buy_get(1), skip_reduced=True),
    )
    assert off_by(quote(rules, line(1, 500), line(2, 500))) == {"first": 1}
    assert off_by(quote(rules, line(1, 500), line(2, 500), line(3, 500))) == {"first": 1, "free": 500}


CAPPED = [
    ({"caps": [cap(2, "units")]}, (), [200], {}),
    ({"caps": [cap(2, "units", "month")]}, (), [200], {"cap:free:units:2026-03": 2}),
    ({"caps": [cap(2, "units", "month")]}, (use("cap:free:units:2026-03"),), [100], {"cap:free:units:2026-03": 1}),
    ({"caps": [cap(2, "units", "month")]}, (use("cap:free:units:2026-03", 2),), [0], {}),
    ({"caps": [cap(150, "amount", "year")]}, (), [150], {"cap:free:amount:2026": 150}),
    ({"caps": [cap(2, "units"), cap(150, "amount", "day")]}, (), [150], {"cap:free:amount:2026-03-02": 150}),
]


@pytest.mark.parametrize(("caps", "counters", "told", "uses"), CAPPED)
def test_a_cap_bounds_rewarded_units_and_what_they_save(caps, counters, told, uses):
    # Twelve at 1.00, buy two get one: four are free without a cap.
    rules = compiled(promotion("free", buy_get(2), **caps))
    asked = quote(rules, line(1, 1200, quantity_milli=12_000), view=member(counters=counters))
    assert (off(asked), steps_of(asked.uses)) == (told, uses)


def test_several_benefits_of_one_promotion_share_its_cap_on_units():
    rules = compiled(promotion("free", buy_get(1), percent_off(5000, sku=["sku2"]), caps=[cap(2, "units")]))
    # The cheapest, 1.00, is free; the cap leaves one unit for the half price of line 2, whose units cost 3.00.
    assert off(quote(rules, line(1, 100), line(2, 600, quantity_milli=2000))) == [100, 150]


def test_a_spent_cap_leaves_nothing_to_later_benefits():
    rules = compiled(promotion("free", buy_get(1), percent_off(5000, sku=["sku2"]), caps=[cap(1, "units")]))
    assert off(quote(rules, line(1, 100), line(2, 600, quantity_milli=2000))) == [100, 0]


def test_the_largest_quantity_and_the_largest_sum_are_counted_like_any_other():
    whole = line(1, 10**15, quantity_milli=10**12)  # 10^9 units at 10,000.00 each
    # A third of 10^9 units is 333,333,333.
    assert taken(buy_get(2), whole) == [333_333_333 * 1_000_000]


def test_a_unit_that_must_be_bought_is_not_the_one_rewarded():
    rule = buy_get(1, buy={"tags": ["a"]}, get={"tags": ["b"]})
    # Rewarding the cheap one, which alone is bought, would leave nothing bought: the other one is rewarded.
    assert taken(rule, line(1, 100, tags=("a", "b")), line(2, 500, tags=("b",))) == [0, 500]


def test_no_more_of_those_bought_are_rewarded_than_can_be_spared():
    rule = buy_get(1, buy={"tags": ["a"]}, get={"tags": ["b"]})
    toys = [line(n, 100 * n, tags=("a", "b")) for n in (1, 2, 3)]
    # Two are rewarded, for two must be bought: one of the three toys, the cheapest, and the book.
    assert taken(rule, *toys, line(4, 500, tags=("b",))) == [100, 0, 0, 500]


# Bought and rewarded goods overlap in every way: against every choice there is.
ROWS = st.lists(
    st.tuples(st.sampled_from(["a", "ab", "b"]), st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=4
)


@given(ROWS, st.integers(1, 3), st.integers(1, 3), st.booleans(), st.sampled_from(["cheapest", "dearest", "basket"]))
def test_as_many_as_can_be_are_rewarded_and_of_those_the_first_in_their_turn(rows, buy, get, counts, which):
    """`a` is bought, `b` is rewarded, `ab` is either; a unit costs 1 to 9 cents, the same on all of a line."""
    lines = [
        line(n, price * units, quantity_milli=1000 * units, tags=tuple(kinds))
        for n, (kinds, price, units) in enumerate(rows, 1)
    ]
    units = [(position, price, kinds) for position, (kinds, price, count) in enumerate(rows) for _ in range(count)]
    order = {"cheapest": lambda unit: (unit[1], unit[0]), "dearest": lambda unit: (-unit[1], unit[0]),
             "basket": lambda unit: unit[0]}[which]  # fmt: skip
    turns = sorted((unit for unit in units if "b" in unit[2]), key=order)
    bought = sum("a" in unit[2] for unit in units)

    def is_paid_for(rewarded):
        left = bought if counts else bought - sum("a" in unit[2] for unit in rewarded)
        return len(rewarded) <= left // buy * get

    choices = (choice for many in range(len(turns), 0, -1) for choice in combinations(turns, many))
    told = [0] * len(rows)
    for position, price, _ in next(filter(is_paid_for, choices), ()):
        told[position] += price
    rule = buy_get(buy, get, buy={"tags": ["a"]}, get={"tags": ["b"]}, counts=counts, which=which)
    assert taken(rule, *lines) == told
