"""Shares of a sale by cumulative floor, and of the money that several means have paid."""

from hypothesis import given
from hypothesis import strategies as st

from loyalty.shares import Shares, by_turns

# Three units of line 1 and one of line 2 were sold.
SOLD = {1: 3000, 2: 1000}


def test_the_share_of_a_line_is_floored_and_its_last_part_has_the_rest():
    shares = [Shares(SOLD, {1: milli}).of(1000, 1) for milli in (0, 1000, 2000, 3000)]
    assert shares == [0, 333, 666, 1000]
    assert Shares(SOLD, {1: 1000}).kept(1000, 1) == 667


def test_what_belongs_to_the_whole_receipt_comes_with_its_last_part():
    assert [Shares(SOLD, back).of(25, 0) for back in ({1: 3000}, {1: 3000, 2: 999}, SOLD)] == [0, 0, 25]


def test_more_than_was_sold_counts_as_all_of_it():
    shares = Shares(SOLD, {1: 3500, 2: 1000})
    assert (shares.whole, shares.of(1000, 1), shares.is_kept(1)) == (True, 1000, False)


def test_nothing_back_is_nothing_and_not_the_whole():
    shares = Shares(SOLD, {})
    assert (shares.anything, shares.whole, shares.of_lines({0: 5, 1: 1000, 2: 50})) == (False, False, 0)


def test_an_amount_of_the_receipt_comes_back_in_proportion_to_its_lines():
    # 10.00 and 5.00 were paid; of 6.66 that have come back 70 of 157 are 69.7.
    shares = Shares(SOLD, {1: 2000})
    assert shares.in_proportion(157, {1: 1000, 2: 500}) == 69
    assert Shares(SOLD, SOLD).in_proportion(157, {1: 1000, 2: 500}) == 157


def test_an_amount_that_nothing_measures_comes_with_the_last_part():
    assert [Shares(SOLD, back).in_proportion(9, {1: 0, 2: 0}) for back in ({1: 3000}, SOLD)] == [0, 9]
    assert Shares(SOLD, {1: 3000}).in_proportion(9, {}) == 0


def test_each_means_that_paid_takes_its_share_of_what_those_before_it_left():
    # Of 5.00: 2.00, 1.00 and 2.00 in cash. Of 2.01 back: 80.4; then 121 of 3.00 for 1.00: 40.3; cash has 81.
    assert by_turns(201, 500, (200, 100)) == (80, 40)
    assert by_turns(500, 500, (200, 100)) == (200, 100)
    assert by_turns(0, 0, (0, 0)) == (0, 0)


@given(st.lists(st.integers(0, 60), max_size=4), st.integers(0, 60))
def test_no_means_gets_less_when_more_comes_back_and_cash_never_pays_for_another(amounts, cash):
    of = sum(amounts) + cash
    before = (0,) * len(amounts)
    for money in range(of + 1):
        parts = by_turns(money, of, amounts)
        step = [now - then for now, then in zip(parts, before, strict=True)]
        assert min(step, default=0) >= 0
        assert sum(step) <= (1 if money else 0)
        before = parts
    assert before == tuple(amounts)
