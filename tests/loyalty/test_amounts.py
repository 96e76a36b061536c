"""Amounts: minor units, thousandths, one rounding for each rule, parts that add up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.amounts import (
    LARGEST_MINOR,
    BadQuantity,
    NotExact,
    UnknownCurrency,
    exponent_of,
    format_minor,
    format_quantity,
    format_units,
    is_currency,
    micro_to_minor,
    minor_in_micro,
    parse_minor,
    parse_quantity,
    round_ratio,
    share_out,
)
from loyalty.trouble import InvariantBroken


def test_a_currency_has_the_decimals_of_iso_4217():
    assert [exponent_of(code) for code in ("EUR", "JPY", "KWD", "CLF", "BRL", "PLN")] == [2, 0, 3, 4, 2, 2]


@pytest.mark.parametrize("code", ["EUX", "eur", "", "DEM", "XAU"])
def test_a_code_that_is_no_active_currency_is_refused(code):
    assert not is_currency(code)
    with pytest.raises(UnknownCurrency):
        exponent_of(code)


ROUNDED = """
     5  10  half_up    1
     5  10  half_even  0
    15  10  half_even  2
    25  10  half_even  2
     5  10  down       0
     1  10  up         1
    10  10  up         1
    14  10  half_up    1
    16  10  half_even  2
    -5  10  half_up   -1
    -5  10  half_even  0
   -15  10  half_even -2
   -19  10  down      -1
    -1  10  up        -1
     0   7  up         0
"""


@pytest.mark.parametrize("row", ROUNDED.strip().splitlines())
def test_a_ratio_is_rounded_once_and_negative_ones_mirror_positive_ones(row):
    numerator, denominator, mode, whole = row.split()
    assert round_ratio(int(numerator), int(denominator), mode) == int(whole)


@pytest.mark.parametrize("denominator", [0, -1])
def test_a_ratio_without_a_positive_denominator_is_our_own_mistake(denominator):
    with pytest.raises(InvariantBroken):
        round_ratio(1, denominator)


SHARES = [
    (1000, (1, 1, 1), (334, 333, 333)),  # the first of equals takes the odd unit
    (100, (50, 30, 20), (50, 30, 20)),
    (10, (1, 2), (3, 7)),  # 3.33 and 6.67: the larger remainder is the second's
    (1, (0, 5), (0, 1)),
    (7, (0, 0, 3), (0, 0, 7)),
    (0, (0, 0), (0, 0)),
    (0, (), ()),
]


@pytest.mark.parametrize(("total", "weights", "parts"), SHARES)
def test_parts_go_by_largest_remainder(total, weights, parts):
    assert share_out(total, weights) == parts


RULES = ("floor_first", "floor_last", "half_down_first")
OTHER_SHARES = [
    # total, weights, floor_first, floor_last, half_down_first
    (1000, (1, 1, 1), (334, 333, 333), (333, 333, 334), (334, 333, 333)),
    (100, (100, 600, 200), (12, 66, 22), (11, 66, 23), (11, 67, 22)),  # 11.11, 66.67, 22.22
    (5, (1, 1, 1), (2, 2, 1), (1, 1, 3), (1, 2, 2)),  # 1.67 each: rounded 2 + 2 + 2, one too many
    (6, (1, 1, 1, 1), (2, 2, 1, 1), (1, 1, 1, 3), (3, 1, 1, 1)),  # 1.5 each: a half goes down, two are missing
    (2, (1, 1, 1), (1, 1, 0), (0, 0, 2), (0, 1, 1)),  # 0.67 each
    (3, (1, 1, 1, 1, 1), (1, 1, 1, 0, 0), (0, 0, 0, 0, 3), (0, 0, 1, 1, 1)),  # 0.6 each: two too many, from two lines
    (5, (0, 1, 1, 1), (0, 2, 2, 1), (0, 1, 1, 3), (0, 1, 2, 2)),  # who weighs nothing is passed over at the front
    (5, (1, 1, 1, 0), (2, 2, 1, 0), (1, 1, 3, 0), (1, 2, 2, 0)),  # and at the end
    (100, (50, 30, 20), (50, 30, 20), (50, 30, 20), (50, 30, 20)),  # nothing is left over
    (7, (0, 0, 3), (0, 0, 7), (0, 0, 7), (0, 0, 7)),
    (0, (0, 0), (0, 0), (0, 0), (0, 0)),
    (0, (), (), (), ()),
]


@pytest.mark.parametrize(("total", "weights", "first", "last", "half_down"), OTHER_SHARES)
def test_parts_go_by_the_declared_rule(total, weights, first, last, half_down):
    assert share_out(total, weights, "floor_first") == first
    assert share_out(total, weights, "floor_last") == last
    assert share_out(total, weights, "half_down_first") == half_down


@pytest.mark.parametrize(("total", "weights"), [(-1, (1,)), (1, ()), (1, (0, 0)), (1, (2, -1))])
def test_what_cannot_be_shared_is_our_own_mistake(total, weights):
    with pytest.raises(InvariantBroken):
        share_out(total, weights)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("total", "weights"), [(-1, (1,)), (1, ()), (1, (0, 0)), (1, (2, -1))])
def test_no_other_rule_shares_what_cannot_be_shared(rule, total, weights):
    with pytest.raises(InvariantBroken):
        share_out(total, weights, rule)


TOTALS = st.integers(0, 10**9)
WEIGHTS = st.lists(st.integers(0, 10**6), min_size=1, max_size=12).filter(any)


@given(TOTALS, WEIGHTS)
def test_parts_add_up_and_none_strays_a_whole_unit(total, weights):
    parts = share_out(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - total * weight) < sum(weights)


# Few units over many lines are where a rule could hand out too much or take too much back.
SMALL = st.tuples(st.integers(0, 40), st.lists(st.integers(0, 9), min_size=1, max_size=40).filter(any))


@pytest.mark.parametrize("rule", RULES)
@given(st.one_of(st.tuples(TOTALS, WEIGHTS), SMALL))
def test_under_every_rule_parts_add_up_none_is_negative_and_who_weighs_nothing_gets_nothing(rule, asked):
    total, weights = asked
    parts = share_out(total, weights, rule)
    assert sum(parts) == total
    assert min(parts) >= 0
    assert not any(part for part, weight in zip(parts, weights, strict=True) if weight == 0)


@given(TOTALS, WEIGHTS)
def test_floored_parts_get_at_most_one_unit_more_each_from_the_first_on(total, weights):
    parts = share_out(total, weights, "floor_first")
    whole = sum(weights)
    more = [part - total * weight // whole for part, weight in zip(parts, weights, strict=True) if weight]
    assert set(more) <= {0, 1}
    assert more == sorted(more, reverse=True)


@given(TOTALS, WEIGHTS)
def test_floored_parts_leave_the_rest_to_the_last_that_weighs_something(total, weights):
    parts = share_out(total, weights, "floor_last")
    last = max(i for i, weight in enumerate(weights) if weight)
    assert all(part == total * weight // sum(weights) for part, weight in zip(parts[:last], weights, strict=False))
    assert parts[last] * sum(weights) >= total * weights[last]


@given(TOTALS, WEIGHTS)
def test_parts_rounded_half_down_stray_half_a_unit_at_most_but_for_the_first_that_has_some(total, weights):
    parts = share_out(total, weights, "half_down_first")
    whole = sum(weights)
    strays = [2 * abs(part * whole - total * weight) > whole for part, weight in zip(parts, weights, strict=True)]
    # The first evens it out; a later one only where those before it are used up.
    assert all(not any(parts[:i]) for i, stray in enumerate(strays) if stray)


def test_micro_units_become_minor_units_by_the_currency():
    assert [minor_in_micro(code) for code in ("EUR", "JPY", "KWD")] == [10_000, 1_000_000, 1_000]
    assert micro_to_minor(4_750, "EUR") == 0
    assert micro_to_minor(5_000, "EUR") == 1
    assert micro_to_minor(-5_000, "EUR") == -1
    assert micro_to_minor(4_759_500, "EUR") == 476


AMOUNTS = """
    12.50    EUR   1250
    -12.50   EUR   -1250
    12       EUR   1200
    0.010    EUR   1
    150      JPY   150
    1.234    KWD   1234
    1E+1     EUR   1000
"""


@pytest.mark.parametrize("row", AMOUNTS.strip().splitlines())
def test_a_decimal_amount_is_read_exactly(row):
    text, currency, minor = row.split()
    assert parse_minor(text, currency) == int(minor)


NOT_AMOUNTS = [
    "12.505", "0.001", "nan", "sNaN", "Infinity", "-Infinity", "", "12,50", "abc", "9e999999", "1e40",
    "1000000000000001", "100000000000000.0000000000000001", "1234567890123456789012345678.905", "1e-999999",
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_AMOUNTS)
def test_an_amount_that_is_not_exact_or_larger_than_any_sale_is_refused(text):
    with pytest.raises(NotExact):
        parse_minor(text, "EUR")


@given(st.integers(-LARGEST_MINOR, LARGEST_MINOR), st.sampled_from(["EUR", "JPY", "KWD", "CLF"]))
def test_an_amount_written_is_the_amount_read(minor, currency):
    assert parse_minor(format_minor(minor, currency), currency) == minor


def test_amounts_are_written_with_the_currencys_decimals():
    assert format_minor(-1250, "EUR") == "-12.50"
    assert format_minor(-5, "EUR") == "-0.05"
    assert format_minor(1250, "JPY") == "1250"
    assert format_minor(1, "KWD") == "0.001"


def test_quantities_are_thousandths():
    assert [parse_quantity(text) for text in ("1", "0.350", "12.5", "0", "007.01")] == [1000, 350, 12500, 0, 7010]
    assert format_quantity(1500) == "1.500"
    assert [format_units(milli) for milli in (2000, 350, 10_000, 100_500, 0)] == ["2", "0.35", "10", "100.5", "0"]


@pytest.mark.parametrize("text", ["", "-1", "1.2345", "1,5", "1e3", ".5", "5.", "٣", "1234567890", " 1"])
def test_a_quantity_that_is_no_plain_decimal_is_refused(text):
    with pytest.raises(BadQuantity):
        parse_quantity(text)


# At the edges


def test_a_ratio_to_one_is_the_number_itself():
    assert [round_ratio(7, 1), round_ratio(-7, 1, "half_even"), round_ratio(0, 1, "up")] == [7, -7, 0]


def test_who_alone_weighs_one_gets_everything_and_one_unit_can_be_shared():
    assert share_out(5, (0, 1)) == (0, 5)
    assert [share_out(1, (0, 1, 0), rule) for rule in RULES] == [(0, 1, 0)] * 3


def test_the_largest_amount_is_still_read_and_one_more_is_not():
    assert parse_minor("1000000000000000", "JPY") == 10**15
    assert parse_minor("-1000000000000000", "JPY") == -(10**15)
    with pytest.raises(NotExact):
        parse_minor("1000000000000001", "JPY")


def test_nothing_has_no_sign():
    assert [format_minor(0, code) for code in ("EUR", "JPY", "KWD")] == ["0.00", "0", "0.000"]


# What is asked, and what the cashier reads: the rule and the figure that broke it.
SAID = [
    (
        lambda: exponent_of("EUX"),
        "'EUX' is not an active ISO 4217 currency code; use three capital letters such as EUR.",
        {"currency": "EUX"},
    ),
    (lambda: parse_minor("12,50", "EUR"), "'12,50' is not a decimal amount.", {"amount": "12,50"}),
    (lambda: parse_minor("1e40", "EUR"), "'1e40' is larger than any sale; check the amount.", {"amount": "1e40"}),
    (
        lambda: parse_minor("0.5", "JPY"),
        "'0.5' is not a whole number of minor units of JPY.",
        {"amount": "0.5"},
    ),
    (
        lambda: parse_quantity("1.23456789012345678901234"),  # a long one is cut to twenty characters
        "Quantity '1.234567890123456789' is not a decimal with at most three places; send for example \"0.350\".",
        {"quantity": "1.234567890123456789"},
    ),
]


@pytest.mark.parametrize(("ask", "sentence", "figures"), SAID)
def test_a_figure_that_cannot_be_read_is_named_to_the_cashier(ask, sentence, figures):
    with pytest.raises((UnknownCurrency, NotExact, BadQuantity)) as told:
        ask()
    assert (told.value.say, told.value.figures) == (sentence, figures)


def test_our_own_mistakes_carry_their_figures():
    with pytest.raises(InvariantBroken) as told:
        round_ratio(1, 0)
    assert told.value.figures == {"denominator": 0}
    with pytest.raises(InvariantBroken) as told:
        share_out(1, (2, -1))
    assert told.value.figures == {"total": 1, "weights": [2, -1]}
