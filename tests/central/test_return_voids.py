"""The void of a return as the centre books it: over one upload or several, before its receipt or behind it."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from central.database.tables import debt, event, lot, reversed_, use
from central.ports import writing
from central.posting.late import post_overdue
from loyalty.facts.events import TillClose
from loyalty.facts.receipts import Receipt
from loyalty.facts.return_voids import close_return_void
from loyalty.facts.reversals import Return, ReturnLine, ReturnVoid, close_return
from loyalty.lots import EventRef
from loyalty.members import Use
from tests.central.busy_day import verify
from tests.central.tills import Centre, Till, told

EVER = "9999-12-31"
DAY_MS = 86_400_000


def lots(centre: Centre) -> list[tuple[Any, ...]]:
    return centre.rows(select(lot.c.valid_through, lot.c.points).where(lot.c.points > 0).order_by(lot.c.valid_through))


def counters(centre: Centre) -> dict[str, int]:
    sums: dict[str, int] = {}
    for name, amount in centre.rows(select(use.c.name, use.c.amount)):
        if not name.startswith("last:"):
            sums[name] = sums.get(name, 0) + amount
    return {name: amount for name, amount in sums.items() if amount}


def states(centre: Centre, *names: str) -> list[str]:
    rows = dict(centre.rows(select(event.c.receipt_id, event.c.state)))
    return [rows[name] for name in names]


def back(till: Till, name: str, of: EventRef, sold: Receipt, milli: int, earlier: int = 0) -> tuple[Return, EventRef]:
    was = (ReturnLine(line=1, quantity_milli=earlier),) if earlier else ()
    now = (ReturnLine(line=1, quantity_milli=milli),)
    made = close_return(name, sold, of, till.place(), earlier=was, lines=now)
    return made, till.append(made)


def undo(till: Till, returned: Return, of: EventRef) -> ReturnVoid:
    made = close_return_void(returned, of, till.place(), cashier="4", exchange="X1")
    till.append(made)
    return made


def assert_books_hold(centre: Centre) -> None:
    assert centre.recompute().differs == 0
    assert verify(centre).violations == ()


@pytest.mark.parametrize("uploads", [1, 2, 3, 5])
def test_a_return_undone_and_made_again_is_booked_once(centre: Centre, uploads: int) -> None:
    anna, till = centre.member(), centre.till()
    till.hello()
    # 100.00 earn 100 points, 80 of which pay for the next sale of 80.00 (0.80): 79 for the 79.20 in money.
    till.sell("R0", 10_000, told(anna))
    sold = till.receipt("R1", 8_000, told(anna, 1, 100), spend=80)
    of = till.append(sold)
    till.upload()
    before, counted = lots(centre), counters(centre)
    assert before == [(EVER, 99)]
    first, first_of = back(till, "B1", of, sold, 250)
    if uploads > 1:
        till.upload()
        assert lots(centre) == [(EVER, 99 + 20 - 19)]
    undo(till, first, first_of)
    if uploads > 2:
        till.upload()
        assert (lots(centre), counters(centre), centre.rows(select(debt))) == (before, counted, [])
    again, again_of = back(till, "B2", of, sold, 250)
    if uploads > 3:
        till.upload()
    undo(till, again, again_of)
    whole, _ = back(till, "B3", of, sold, 1_000)
    till.upload()
    assert (whole.net_minor, whole.restored_points) == (sold.net_minor, 80)
    assert (lots(centre), centre.flags()) == ([(EVER, 100)], [])
    assert_books_hold(centre)


@pytest.mark.parametrize("one_by_one", [True, False])
def test_both_wait_for_a_receipt_that_comes_behind_them(centre: Centre, one_by_one: bool) -> None:
    anna, seller, other = centre.member(), centre.till(), centre.till()
    sold = seller.receipt("R1", 10_000, told(anna))
    of = seller.append(sold)
    first, first_of = back(other, "B1", of, sold, 250)
    if one_by_one:
        other.upload()
    undo(other, first, first_of)
    other.upload()
    assert states(centre, "B1", "void:B1") == ["waiting", "waiting"]
    seller.upload()
    assert states(centre, "B1", "void:B1") == ["posted", "posted"]
    assert lots(centre) == [(EVER, 100)]
    back(other, "B2", of, sold, 1_000)
    other.upload()
    assert (lots(centre), centre.flags()) == ([], [])
    assert_books_hold(centre)


def test_a_return_given_up_waiting_is_undone_as_it_was_booked(centre: Centre) -> None:
    anna, seller, other = centre.member(), centre.till(), centre.till()
    seller.sell("R0", 5_000, told(anna))
    seller.upload()
    sold = seller.receipt("R1", 10_000, told(anna))
    of = seller.append(sold)
    first, first_of = back(other, "B1", of, sold, 300)
    undo(other, first, first_of)
    other.upload()
    with writing(centre.engine) as tx:
        assert post_overdue(tx, centre.now + 8 * DAY_MS, centre.random) == 2
    assert states(centre, "B1", "void:B1") == ["posted", "posted"]
    assert lots(centre) == [(EVER, 50)]
    seller.upload()
    assert lots(centre) == [(EVER, 150)]
    assert verify(centre).violations == ()


def test_what_was_owed_for_the_return_and_paid_since_comes_back(centre: Centre) -> None:
    anna, till = centre.member(), centre.till()
    sold = till.receipt("R1", 10_000, told(anna))
    of = till.append(sold)
    till.sell("R2", 9_000, told(anna, 1, 100), spend=100)  # leaves 80 or so of its own
    till.upload()
    (left,) = [points for _, points in lots(centre)]
    first, first_of = back(till, "B1", of, sold, 1_000)
    till.upload()
    assert lots(centre) == [] and centre.rows(select(debt.c.points)) == [(100 - left,)]
    till.sell("R3", 500, told(anna))  # 5 points, which pay
    till.upload()
    undo(till, first, first_of)
    till.upload()
    assert (lots(centre), centre.rows(select(debt))) == ([(EVER, left + 5)], [])
    assert verify(centre).violations == ()


def test_points_that_came_back_and_went_elsewhere_are_owed_and_break_no_bound(centre: Centre) -> None:
    anna, till = centre.member(), centre.till()
    till.sell("R0", 10_000, told(anna))
    sold = till.receipt("R1", 100, told(anna, 1, 100), spend=100)
    of = till.append(sold)
    first, first_of = back(till, "B1", of, sold, 1_000)
    till.append(till.receipt("R2", 60, told(anna, 3, 100), spend=60))
    undo(till, first, first_of)
    till.upload()
    assert (lots(centre), centre.rows(select(debt.c.points))) == ([], [(60,)])
    assert centre.figures("uncovered") == {"asked": 100, "covered": 40, "bearer": "acme"}
    assert verify(centre).violations == ()


def test_an_anonymous_return_is_undone_too(centre: Centre) -> None:
    till = centre.till()
    sold = till.receipt("R1", 10_000)
    of = till.append(sold)
    first, first_of = back(till, "B1", of, sold, 1_000)
    till.upload()
    undo(till, first, first_of)
    back(till, "B2", of, sold, 1_000)
    till.upload()
    assert centre.flags() == []
    moved = centre.rows(select(reversed_.c.net_minor).order_by(reversed_.c.by_seq))
    assert moved == [(10_000,), (-10_000,), (10_000,)]
    assert_books_hold(centre)


def test_a_void_of_a_return_that_never_was_is_kept_out_of_the_books(centre: Centre) -> None:
    anna, till = centre.member(), centre.till()
    sold = till.receipt("R1", 10_000, told(anna))
    of = till.append(sold)
    made = close_return("B1", sold, of, till.place(), earlier=(), lines=(ReturnLine(line=1, quantity_milli=1000),))
    till.append(close_return_void(made, msgspec.structs.replace(of, seq=99), till.place()))
    till.upload()
    assert states(centre, "void:B1") == ["quarantined"]
    assert [cause for _, cause in centre.flags()] == ["void_of_nothing"]
    assert lots(centre) == [(EVER, 100)]
    assert verify(centre).violations == ()


def test_a_void_of_another_tills_return_is_looked_at(centre: Centre) -> None:
    anna, till, other = centre.member(), centre.till(), centre.till()
    sold = till.receipt("R1", 10_000, told(anna))
    of = till.append(sold)
    first, first_of = back(till, "B1", of, sold, 250)
    till.upload()
    undo(other, first, first_of)
    other.upload()
    assert [cause for _, cause in centre.flags()] == ["void_elsewhere"]
    assert lots(centre) == [(EVER, 100)]


@pytest.mark.parametrize(("name", "wrong"), [
    ("net_minor", 2_501), ("earned", ()), ("spent_points", 3), ("uses", (Use(name="promo:x", amount=1),)),
    ("clamp", True), ("of_receipt", "R9"),
])  # fmt: skip
def test_a_void_that_says_otherwise_than_its_return_is_found(centre: Centre, name: str, wrong: Any) -> None:
    anna, till = centre.member(), centre.till()
    sold = till.receipt("R1", 10_000, told(anna))
    of = till.append(sold)
    first, first_of = back(till, "B1", of, sold, 250)
    honest = close_return_void(first, first_of, till.place())
    till.append(msgspec.structs.replace(honest, **{name: wrong}))
    till.upload()
    if name != "of_receipt":  # booked all the same: a fact is never refused
        assert centre.recompute().differs == 1
        assert {f"till_{name}", f"centre_{name}"} == set(centre.figures("decision_differs"))
    assert lots(centre) == [(EVER, 100)]


def test_a_close_counts_the_void_of_a_return_among_its_voids(centre: Centre) -> None:
    anna, till = centre.member(), centre.till()
    sold = till.receipt("R1", 10_000, told(anna))
    of = till.append(sold)
    first, first_of = back(till, "B1", of, sold, 250)
    undo(till, first, first_of)
    close = TillClose(receipt_id="till_close:2026-03-02", place=till.place(), receipts=1, voids=1, returns=1,
                      net_minor=10_000, returned_minor=2_500, points_earned=100, points_spent=0, points_reversed=25,
                      first_seq=of.seq, last_seq=of.seq + 2)  # fmt: skip
    till.append(close)
    till.upload()
    assert centre.flags() == []
