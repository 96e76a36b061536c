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


@pytest.mark.parametrize(("total", "weights"), [(-1, (1,)), (1, ()), (1, (0, 0)), (1, (2, -1))])
def test_what_cannot_be_shared_is_our_own_mistake(total, weights):
    with pytest.raises(InvariantBroken):
        share_out(total, weights)


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**6), min_size=1, max_size=12).filter(any))
def test_parts_add_up_and_none_strays_a_whole_unit(total, weights):
    parts = share_out(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - total * weight) < sum(weights)


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
