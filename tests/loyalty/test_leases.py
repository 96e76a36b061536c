"""Authority: how many points a till may let a member spend without asking."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.leases import NO_AUTHORITY, Authority, authority_for
from loyalty.members import UNKNOWN_CARD
from loyalty.programme import OfflineCaps
from tests.loyalty.build import member

CAPS = OfflineCaps(sale_points=500, card_points=800, till_points=10_000)


def allowed(view, caps=CAPS, float_points=10_000, card_spent=0):
    return authority_for(view, caps, float_points=float_points, card_spent=card_spent, lease_id="float-1")


ALLOWED = [
    # spendable, float left, card spent here → allowed
    (300, 10_000, 0, 300),  # what the member has
    (900, 10_000, 0, 500),  # the cap of a sale
    (900, 10_000, 400, 400),  # the cap of a card, 800, less what it spent here
    (900, 200, 0, 200),  # what is left of the float
    (900, 10_000, 800, 0),
    (900, 10_000, 900, 0),
    (900, 0, 0, 0),
    (900, -5, 0, 0),
    (0, 10_000, 0, 0),
]


@pytest.mark.parametrize(("spendable", "left", "spent", "points"), ALLOWED)
def test_the_narrowest_cap_decides(spendable, left, spent, points):
    authority = allowed(member(spendable_points=spendable), float_points=left, card_spent=spent)
    assert authority == (Authority(kind="float", points=points, lease_id="float-1") if points else NO_AUTHORITY)


def test_offline_spending_is_off_unless_the_programme_says_so():
    assert allowed(member(spendable_points=900), caps=None) == NO_AUTHORITY


def test_nobody_and_an_unknown_card_spend_nothing():
    assert allowed(None) == NO_AUTHORITY
    assert allowed(UNKNOWN_CARD) == NO_AUTHORITY


@given(st.integers(0, 2000), st.integers(-10, 2000), st.lists(st.integers(0, 700), max_size=9))
def test_whatever_is_asked_in_a_row_never_passes_the_cap_of_the_card_or_the_float(balance, left, asked):
    spent = 0
    for points in asked:
        view = member(spendable_points=max(0, balance - spent))
        authority = allowed(view, float_points=left - spent, card_spent=spent)
        assert authority.points >= 0
        spent += min(points, authority.points)
    assert spent <= max(0, min(balance, left, 800))
