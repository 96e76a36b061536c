"""Units: what a line is made of, in which order units are picked, and that a line of thousands stays one run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.pricing.units import Run, cost_by_line, count_of, first_of, in_order, runs_of, units_of
from tests.loyalty.build import line

UNITS = [
    (0, 0),
    (1, 1),  # a gram of saffron is one unit
    (350, 1),
    (999, 1),
    (1000, 1),
    (1001, 1),
    (2000, 2),
    (2500, 1),  # weighed goods, however much they weigh
    (10**12, 10**9),  # the largest quantity there is
]


@pytest.mark.parametrize(("milli", "units"), UNITS)
def test_a_whole_quantity_is_so_many_units_and_any_other_is_one(milli, units):
    assert units_of(line(1, 100, quantity_milli=milli)) == units


def runs(*amounts_and_milli, with_free=False):
    lines = [line(n, amount, quantity_milli=milli) for n, (amount, milli) in enumerate(amounts_and_milli, 1)]
    return runs_of(range(len(lines)), lines, [row.amount_minor for row in lines], with_free=with_free)


# Runs are (position of the line, what a unit costs, how many).
RUNS = [
    ((900, 3000), [(0, 300, 3)]),
    ((1000, 3000), [(0, 334, 1), (0, 333, 2)]),  # the odd cent is on the first
    ((2, 3000), [(0, 1, 2)]),  # the third costs nothing
    ((700, 1350), [(0, 700, 1)]),
    ((0, 2000), []),
    ((500, 0), []),  # no units, so nothing to reward, whatever it costs
    ((10**15, 10**12), [(0, 1_000_000, 10**9)]),
]


@pytest.mark.parametrize(("sold", "told"), RUNS)
def test_units_share_what_their_line_costs_and_the_first_ones_cost_a_cent_more(sold, told):
    assert runs(sold) == [Run(*run) for run in told]


def test_units_that_cost_nothing_count_where_that_is_declared():
    assert runs((0, 2000), (2, 3000), with_free=True) == [Run(0, 0, 2), Run(1, 1, 2), Run(1, 0, 1)]


# Line 1: 3.34, 3.33, 3.33; line 2: 3.33; line 3: 5.00.
ORDER = [
    ("cheapest", [(0, 333, 2), (1, 333, 1), (0, 334, 1), (2, 500, 1)]),
    ("dearest", [(2, 500, 1), (0, 334, 1), (0, 333, 2), (1, 333, 1)]),
    ("basket", [(0, 334, 1), (0, 333, 2), (1, 333, 1), (2, 500, 1)]),
]


@pytest.mark.parametrize(("which", "told"), ORDER)
def test_units_are_picked_by_price_or_as_they_stand_and_equals_by_line(which, told):
    found = runs((1000, 3000), (333, 1000), (500, 1000))
    assert in_order(reversed(found), which) == [Run(*run) for run in told]


@pytest.mark.parametrize(
    ("count", "told"), [(0, []), (1, [(0, 334, 1)]), (2, [(0, 334, 1), (0, 333, 1)]), (9, [(0, 334, 1), (0, 333, 2)])]
)
def test_the_first_units_are_taken_from_runs_as_far_as_they_reach(count, told):
    assert first_of(runs((1000, 3000)), count) == [Run(*run) for run in told]


def test_what_units_cost_is_added_up_by_line():
    found = runs((1000, 3000), (500, 1000))
    assert (count_of(found), cost_by_line(found)) == (4, {0: 1000, 1: 500})
    assert (count_of([]), cost_by_line([])) == (0, {})


SOLD = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 9).map(lambda units: 1000 * units)), max_size=6)


@given(SOLD, st.sampled_from(["cheapest", "dearest", "basket"]), st.integers(0, 60))
def test_runs_are_the_units_of_the_lines_no_more_and_no_fewer(sold, which, count):
    """Against every unit on its own: its price, in its turn."""
    found = in_order(runs(*sold, with_free=True), which)
    prices = [
        (position, (amount + milli // 1000 - 1 - n) // (milli // 1000))  # the n-th of k shares of an amount
        for position, (amount, milli) in enumerate(sold)
        for n in range(milli // 1000)
    ]
    order = {
        "cheapest": lambda unit: (unit[1], unit[0]),
        "dearest": lambda unit: (-unit[1], unit[0]),
        "basket": lambda unit: (unit[0], -unit[1]),
    }[which]
    wanted = sorted(prices, key=order)[:count]
    assert [(run.position, run.unit_minor) for run in first_of(found, count) for _ in range(run.units)] == wanted
    counted = sum(amount for amount, milli in sold if milli)
    assert sum(cost_by_line(found).values()) == counted
