"""Authority: how many points a till may let a member spend without asking; and what a redemption says."""

from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.facts.events import own_uses
from loyalty.facts.lease_events import Granted, LeaseMoved, Reclaimed
from loyalty.ledger.books import Books
from loyalty.ledger.postings import post_event
from loyalty.lots import END_OF_DAY, Expiry, LotKey, Slice
from loyalty.members import LEASED, SPENT, UNKNOWN_CARD, MemberRow, leased_of, view_of
from loyalty.pricing.leases import (
    NO_AUTHORITY,
    Authority,
    Redemption,
    expiry_of,
    float_authority,
    lease_authority,
    lease_wanted,
    less,
    spend_slices,
    widest,
)
from loyalty.programme.programme import LeaseRules, OfflineCaps
from tests.loyalty.build import bytes_of, member, programme, redemption, ref, sale, use

CAPS = OfflineCaps(sale_points=500, card_points=800, till_points=10_000)


def allowed(view, caps=CAPS, float_points=10_000, card_spent=0):
    return float_authority(view, caps, float_points=float_points, card_spent=card_spent, lease_id="float-1")


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


# Holds and leases


def part(points: int, through: str = "2026-12-31", issuer: str = "acme") -> Slice:
    key = LotKey(valid_through=date.fromisoformat(through), issuer_id=issuer, terms_id=f"{issuer}-1")
    return Slice(key=key, points=points)


def test_a_lease_allows_all_that_is_left_of_its_live_lots():
    slices = [part(100, "2026-03-01"), part(250, "2026-03-02"), part(0), part(40, "2027-01-01")]
    told = lease_authority("lease", "L1", slices, today=date(2026, 3, 2))
    assert (told.kind, told.points, told.lease_id) == ("lease", 290, "L1")
    assert told.slices == (slices[1], slices[3])
    assert lease_authority("hold", "H1", [part(100, "2026-03-01")], today=date(2026, 3, 2)) == NO_AUTHORITY


@pytest.mark.parametrize(("when", "points"), [("end_of_day", 50), ("start_of_day", 0)])
def test_a_lot_of_a_lease_goes_on_its_last_day_as_the_programme_says(when, points):
    told = lease_authority("lease", "L1", [part(50, "2026-03-02")], today=date(2026, 3, 2), expiry=Expiry(when=when))
    assert told.points == points


def test_the_widest_authority_wins_and_of_equals_the_first():
    lease, wide = Authority(kind="lease", points=100), Authority(kind="float", points=200)
    assert widest(lease, wide) == wide
    assert widest(lease, Authority(kind="float", points=100)) == lease


def test_a_sale_names_the_lots_of_its_lease_that_lapse_first():
    slices = (part(30, "2027-06-30"), part(20, "2026-12-31", "bolt"), part(20, "2026-12-31"))
    used = spend_slices(slices, 45, today=date(2026, 3, 2), now=None, order="valid_through", expiry=END_OF_DAY)
    assert [(one.key.valid_through.year, one.key.issuer_id, one.points) for one in used] == [
        (2026, "acme", 20), (2026, "bolt", 20), (2027, "acme", 5),
    ]  # fmt: skip
    assert less(slices, used) == (part(25, "2027-06-30"),)


@pytest.mark.parametrize(
    ("balance", "leased", "wanted"),
    [(1_000, 0, 300), (1_000, 120, 180), (1_000, 300, 0), (1_000, 400, 0), (10_000, 0, 2_000), (3, 0, 0)],
)
def test_a_store_may_lease_a_share_of_the_points_up_to_a_most(balance, leased, wanted):
    """30 % and 2,000 points are the defaults."""
    assert lease_wanted(LeaseRules(), balance, leased) == wanted


def test_points_spent_on_a_lease_leave_what_is_available_alone():
    """1,000 points of which 300 are leased: after 200 of them 800 are left, 700 for others and 100 in the lease."""
    row = MemberRow(account_id=7, version=3, balance_points=1_000, leased_points=300)
    own = (use(SPENT, 200), use(LEASED, -200))
    assert leased_of(row, own) == 100
    view = view_of(row, own)
    assert (view.balance_points, view.spendable_points) == (800, 700)


# What they post


LOT = part(0).key


def books_with(points: int) -> Books:
    books = Books([], 1)
    books.account(7).lots[LOT] = points
    return books


def granted(points: int, lease_id: str = "L1") -> Granted:
    return Granted(receipt_id=f"grant:{lease_id}", lease_id=lease_id, till_id="T1", epoch=1, points=points,
                   granted_at_ms=0, account_id=7, kind="lease", on=date(2026, 3, 2),
                   slices=(part(points),))  # fmt: skip


def moved(points: int, what: str = "returned") -> LeaseMoved:
    return LeaseMoved(receipt_id=f"{what}:{points}", lease_id="L1", account_id=7, on=date(2026, 3, 2),
                      slices=(part(points),), what=what)  # fmt: skip


def reclaim() -> Reclaimed:
    return Reclaimed(
        receipt_id="reclaim", lease_id="L1", account_id=7, till_id="T1", epoch=1, on=date(2026, 3, 2)
    )


def played(books: Books, *events) -> list:
    """(source, target, points) and causes of flags, event by event."""
    told = []
    for seq, event in enumerate(events, 1):
        posted = post_event(event, ref(seq), 7, books)
        books.take(posted)
        told.append(
            [(one.source, one.target, one.amount) for one in posted.postings] + [flag.cause for flag in posted.flags]
        )
    return told


def test_a_grant_takes_points_out_of_the_balance_and_a_return_puts_them_back():
    books = books_with(500)
    assert played(books, granted(300), moved(200), moved(200)) == [
        [("available", "leased", 300)],
        [("leased", "available", 200)],
        [("leased", "available", 100), "lease_return_differs"],
    ]
    assert books.account(7).lots[LOT] == 500
    assert books.account(7).version == 3


def test_a_grant_of_more_than_there_is_sets_aside_what_there_is():
    assert played(books_with(100), granted(300)) == [[("available", "leased", 100), "grant_not_covered"]]


def test_rights_that_move_between_tills_post_nothing_and_are_no_event_of_the_account():
    books = books_with(500)
    assert played(books, granted(300), moved(100, "sent"), moved(100, "received")) == [
        [("available", "leased", 300)], [], [],
    ]  # fmt: skip
    assert books.account(7).version == 1


def test_a_float_posts_nothing():
    grant = msgspec.structs.replace(granted(300), account_id=None, on=None, slices=(), kind="float")
    assert played(books_with(500), grant) == [[]]


def test_what_comes_after_a_reclaim_finds_nothing_in_the_lease_and_takes_the_balance():
    books = books_with(500)
    late = sale("R1", spent=200)
    paid = msgspec.structs.replace(late.redemption, authority="lease", lease_id="L1", slices=(part(200),))
    late = msgspec.structs.replace(late, redemption=paid)
    assert played(books, granted(300), reclaim(), late, moved(100)) == [
        [("available", "leased", 300)],
        [("leased", "available", 300)],
        [("available", "redeemed", 200), "no_terms", "spent_after_reclaim"],
        [],
    ]


def test_a_sale_under_a_hold_gives_the_rest_of_it_back():
    books = books_with(500)
    held = msgspec.structs.replace(granted(300), kind="hold")
    paid = sale("R1", spent=120)
    paid = msgspec.structs.replace(
        paid,
        redemption=msgspec.structs.replace(paid.redemption, authority="hold", lease_id="L1", slices=(part(120),)),
    )
    assert played(books, held, paid) == [
        [("available", "leased", 300)],
        [("leased", "redeemed", 120), ("leased", "available", 180), "no_terms"],
    ]
    assert own_uses(paid) == (use(SPENT, 120), use(LEASED, -120))
