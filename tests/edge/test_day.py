"""The till close."""

from datetime import date

import msgspec

from edge.day import close_day
from edge.taking_back import take_back, void_receipt
from edge.till import Till
from tests.edge.conftest import OpenTill
from tests.edge.counter import back, commit, hold, line, sale, void

DAY = date(2026, 3, 5)


def test_a_close_counts_and_sums_the_day(till: Till) -> None:
    till.commit(commit("r1", sale(line(1, "bread", 1_000))))
    till.commit(commit("r2", sale(line(1, "bread", 5_000), points=300)))
    till.commit(commit("r3", sale(line(1, "bread", 250), card=None)))
    void_receipt(till, void("r1"))
    take_back(till, back("b1", "r2", (1, 1_000, 4_700)))
    close = close_day(till, DAY).close
    assert (close.receipt_id, close.place.store_id) == ("till_close:2026-03-05", "s1")
    assert (close.receipts, close.voids, close.returns) == (3, 1, 1)
    assert (close.net_minor, close.returned_minor) == (1_000 + 4_700 + 250, 4_700)
    assert (close.points_earned, close.points_spent, close.points_reversed) == (10 + 47, 300, 47)
    assert (close.first_seq, close.last_seq) == (1, 6)


def test_a_day_is_closed_once_and_the_next_begins_after_it(till: Till, open_till: OpenTill) -> None:
    till.commit(commit("r1"))
    first = close_day(till, DAY)
    till.commit(commit("r2"))
    till.journal.close()
    till = open_till()
    again = close_day(till, DAY)
    assert (again.close, again.head, again.replayed) == (first.close, first.head, True)
    next_day = msgspec.structs.replace(sale(), business_date=date(2026, 3, 6))
    till.commit(commit("r3", next_day))
    close = close_day(till, date(2026, 3, 6)).close
    # r2 came after the close of its own day: head office sums a day's events within the close's range alike.
    assert (close.receipts, close.first_seq, close.last_seq) == (1, 4, 5)


def test_an_empty_day_closes_too(till: Till) -> None:
    close_day(till, DAY)
    close = close_day(till, date(2026, 3, 6)).close
    assert (close.receipts, close.net_minor, close.first_seq, close.last_seq) == (0, 0, 3, 2)


def test_what_is_unsent_or_still_open_is_told_and_stops_nothing(till: Till) -> None:
    till.commit(commit("r1"))
    till.hold(hold("h1", 100))
    done = close_day(till, DAY)
    assert (done.unsent, done.open_holds) == (3, 1)
    assert [warning.code for warning in done.warnings] == ["day.unsent", "day.open_holds"]


def test_a_close_says_who_closed_and_the_first_one_stands(till: Till) -> None:
    first = close_day(till, DAY, "anna")
    assert bytes(first.close.detail) == b'{"cashier":"anna"}'
    assert bytes(close_day(till, DAY, "ben").close.detail) == b'{"cashier":"anna"}'
