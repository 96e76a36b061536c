"""What a centre that lost grants sets aside once more when tills show them."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from loyalty.facts.lease_events import LeaseMoved, LeaseShown
from loyalty.ledger.books import Account, Books
from loyalty.ledger.postings import post_event
from loyalty.lots import EventRef, LotKey, Slice

ANA, ON = 7, date(2026, 3, 5)
LOT = LotKey(valid_through=date(2026, 12, 31), issuer_id="fresh", terms_id="t1")


def books_with(available: int, leased: int) -> Books:
    books = Books((), 1)
    books.accounts[ANA] = Account(lots={LOT: available}, leases={"L": {LOT: leased}})
    return books


def show(books: Books, n: int, left: int, proven: int | None) -> list[tuple[str, int | str]]:
    """A till shows that it has so many points left; the flags, each with its points."""
    told = {"receipt_id": f"accepted:{n}", "lease_id": "L", "account_id": ANA, "on": ON, "what": "accepted",
            "slices": (Slice(key=LOT, points=left),) if left else ()}  # fmt: skip
    event = LeaseMoved(**told) if proven is None else LeaseShown(**told, proven=(Slice(key=LOT, points=proven),))
    posted = post_event(event, EventRef(till_id="t", epoch=1, seq=n), None, books)
    books.take(posted)
    return [(one.cause, one.figures["points"]) for one in posted.flags]


def stands(books: Books) -> tuple[int, int]:
    """Available, leased."""
    return books.account(ANA).lots[LOT], books.account(ANA).leases["L"][LOT]


def test_what_is_left_of_a_lost_lease_is_set_aside_again() -> None:
    books = books_with(900, 0)
    assert show(books, 1, 200, 300) == [("lease_restored", 200)]
    assert stands(books) == (700, 200)


def test_of_a_lease_that_is_known_in_part_only_the_rest_is_missing() -> None:
    """300 are known and untouched, 180 were lost: the till has 480."""
    books = books_with(520, 300)
    assert show(books, 1, 480, 180) == [("lease_restored", 180)]
    assert stands(books) == (340, 480)


def test_without_proof_nothing_is_set_aside() -> None:
    books = books_with(900, 50)
    assert show(books, 1, 200, None) == [("lease_not_proven", 150)]
    assert show(books, 2, 200, 0) == [("lease_not_proven", 150)]
    assert stands(books) == (900, 50)


def test_points_that_are_gone_stay_gone() -> None:
    books = books_with(120, 0)
    assert show(books, 1, 200, 300) == [("lease_restored", 200), ("grant_not_covered", 80)]
    assert stands(books) == (0, 120)


@given(known=st.integers(0, 300), lost=st.integers(0, 300), data=st.data())
def test_whatever_was_spent_and_whoever_holds_the_rest_the_lease_is_as_it_was(
    known: int, lost: int, data: st.DataObject
) -> None:
    """Of what was spent before the tills show it, the books took what they could from the lease, and the rest from the
    balance; then three tills show their parts, in any order."""
    spent = data.draw(st.integers(0, known + lost))
    from_lease = min(known, spent)
    books = books_with(1000 - known - (spent - from_lease), known - from_lease)
    left = known + lost - spent
    first = data.draw(st.integers(0, left))
    second = data.draw(st.integers(0, left - first))
    rest = lost
    for n, part in enumerate((first, second, left - first - second), 1):
        before = stands(books)[1]
        show(books, n, part, rest)
        rest -= stands(books)[1] - before
    assert stands(books) == (1000 - known - lost, left)
