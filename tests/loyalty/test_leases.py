"""Authority: how many points a till may let a member spend without asking; and what a redemption says."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.leases import NO_AUTHORITY, Authority, Redemption, authority_for, expiry_of
from loyalty.lots import Expiry
from loyalty.members import UNKNOWN_CARD
from loyalty.programme import OfflineCaps
from tests.loyalty.build import bytes_of, member, programme, redemption

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


def test_a_programme_says_when_points_go():
    said = [expiry_of(programme(options=options).options) for options in (
        {}, {"expiry": "start_of_day"}, {"expiry": "instant", "expiry_at": "18:00"})]  # fmt: skip
    assert said == [Expiry(), Expiry(when="start_of_day"), Expiry(when="instant", at="18:00")]


PAID = b'{"points":5,"amount_minor":5,"authority":"float","lease_id":"float-1"}'


def test_a_redemption_says_only_what_is_not_usual():
    assert bytes_of(redemption(5)) == PAID
    at_six = redemption(5, lot_order="first_earned", expiry=Expiry(when="instant", at="18:00"))
    told = b',"lot_order":"first_earned","expiry":{"when":"instant","at":"18:00"}}'
    assert bytes_of(at_six) == PAID[:-1] + told
    assert msgspec.json.decode(bytes_of(at_six), type=Redemption) == at_six


def test_a_redemption_of_release_one_was_spent_as_is_usual():
    assert msgspec.json.decode(PAID[:-1] + b',"slices":[]}', type=Redemption) == redemption(5)


@pytest.mark.parametrize("told", [b'{"when":"noon"}', b'{"when":"instant","at":"9:00"}', b"null"])
def test_a_redemption_that_no_programme_could_tell_is_turned_away(told):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(PAID[:-1] + b',"expiry":' + told + b"}", type=Redemption)
