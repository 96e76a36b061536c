"""Closing a period: the page turns in every stream, the sums freeze, and nothing issued ever changes."""

import hashlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from central.coalition.periods import open_period_no
from central.database.tables import centre_event, payment, period_range, statement, stream
from central.ports import reading, writing
from central.settlement.annex import annex_csv
from central.settlement.closing import BadThrough, FarThrough, _cut, close_period
from central.settlement.issued import Closed, NotClosed, UnknownPeriod, read_closed, read_statement
from central.streams.own_events import centre_stream_id
from loyalty.facts.receipts import Funded
from tests.central.settling import NOW, TILLS, SmallCentre, sale, taken_back


@pytest.fixture
def centre(central_url: str) -> Iterator[SmallCentre]:
    made = SmallCentre(central_url)
    yield made
    made.engine.dispose()


def close(centre: SmallCentre, period_no: int = 1, through: str = "2026-11-30", now_ms: int = NOW) -> Closed:
    closed = close_period(
        centre.engine,
        period_no=period_no,
        through=date.fromisoformat(through),
        now_ms=now_ms,
        randomness=centre.randomness,
    )
    centre.books.period_no = period_no + 1
    return closed


def a_november(centre: SmallCentre) -> None:
    """C grants 1,002 points; 1,000 of them are spent at D."""
    centre.book(sale("C", "C-1", earned=1_002))
    centre.book(sale("D", "D-1", spent=1_000))


def lines(centre: SmallCentre, statement_id: str) -> list[tuple[str, str, int, int, int]]:
    with reading(centre.engine) as tx:
        made, _ = read_statement(tx, statement_id)
    return [
        (line.kind, line.counterparty_id, line.origin_period_no, line.points, line.amount_minor) for line in made.lines
    ]


def test_a_period_closes_to_statements_that_sum_to_zero_with_the_operator(centre: SmallCentre) -> None:
    a_november(centre)
    closed = close(centre)
    assert [(one.partner_id, one.total_minor) for one in closed.statements] == [("A", 0), ("C", 1_071), ("D", -940)]
    assert closed.netting.operator_minor == -131
    assert lines(centre, "1:C") == [
        ("fee", "operator", 1, 1_002, 120),
        ("advance", "operator", 1, 1_002, 476),
        ("funding", "D", 1, 1_000, 475),
    ]
    assert lines(centre, "1:D") == [("reimbursement", "C", 1, 1_000, -940)]


def test_the_page_turns_in_every_stream(centre: SmallCentre) -> None:
    a_november(centre)
    close(centre)
    with reading(centre.engine) as tx:
        assert set(tx.execute(select(stream.c.period_no)).scalars()) == {2}
        assert open_period_no(tx) == 2


def test_a_statement_names_the_events_of_the_partners_tills_that_it_covers(centre: SmallCentre) -> None:
    a_november(centre)
    close(centre)
    centre.book(sale("D", "D-2", spent=1, on="2026-12-01"))
    centre.book(sale("D", "D-3", spent=1, on="2026-12-01"))
    close(centre, 2, "2026-12-31")
    with reading(centre.engine) as tx:
        covered = [read_statement(tx, f"{period_no}:D")[0].ranges for period_no in (1, 2)]
    assert [[(one.till_id, one.first_seq, one.last_seq) for one in ranges] for ranges in covered] == [
        [(TILLS["D"], 1, 1)],
        [(TILLS["D"], 2, 3)],
    ]


def test_closing_again_answers_the_same_and_changes_nothing(centre: SmallCentre) -> None:
    a_november(centre)
    first = close(centre)
    again = close(centre, through="2026-12-15", now_ms=NOW + 99_000)
    assert again == first
    with reading(centre.engine) as tx:
        assert open_period_no(tx) == 2
        assert len(tx.execute(select(payment)).all()) == 2
        assert len(tx.execute(select(centre_event)).all()) == 1


def test_a_close_that_was_interrupted_goes_on_where_it_stopped(centre: SmallCentre) -> None:
    a_november(centre)
    _cut(centre.engine, 1, date(2026, 11, 30), NOW)
    centre.books.period_no = 2
    centre.book(sale("C", "C-late", earned=50, on="2026-11-29"))
    with reading(centre.engine) as tx, pytest.raises(NotClosed):
        read_closed(tx, 1)
    closed = close(centre, through="2027-01-01")
    assert closed.through == "2026-11-30"
    assert [one.total_minor for one in closed.statements] == [0, 1_071, -940]


def test_a_close_that_was_interrupted_is_ended_before_a_later_period_is_billed(centre: SmallCentre) -> None:
    posted = centre.book(sale("C", "C-1", earned=1_002))
    _cut(centre.engine, 1, date(2026, 11, 30), NOW)
    centre.books.period_no = 2
    centre.book(taken_back("C", "T-1", posted.ref, 1))
    close(centre, 2, "2026-12-31")
    # Of 1,001 points at 4,750 micro 475 are owed, of which 476 were billed.
    assert lines(centre, "2:C") == [("advance", "operator", 1, -1, -1)]
    assert lines(centre, "1:C") == [("fee", "operator", 1, 1_002, 120), ("advance", "operator", 1, 1_002, 476)]
    with reading(centre.engine) as tx:
        assert read_closed(tx, 1).through == "2026-11-30"


def test_a_receipt_that_arrives_late_is_billed_in_the_open_period(centre: SmallCentre) -> None:
    a_november(centre)
    first = close(centre)
    centre.book(sale("C", "C-late", earned=100, on="2026-11-29"))
    close(centre, 2, "2026-12-31")
    assert lines(centre, "2:C") == [("fee", "operator", 2, 100, 12), ("advance", "operator", 2, 100, 48)]
    with reading(centre.engine) as tx:
        assert read_closed(tx, 1) == first


def test_goods_back_after_the_close_correct_the_period_they_were_sold_in(centre: SmallCentre) -> None:
    posted = centre.book(sale("C", "C-1", earned=1_002))
    close(centre)
    centre.book(taken_back("C", "T-1", posted.ref, 1))
    close(centre, 2, "2026-12-31")
    assert lines(centre, "2:C") == [("advance", "operator", 1, -1, -1)]
    centre.book(taken_back("C", "T-2", posted.ref, 1_001))
    close(centre, 3, "2027-01-31")
    assert lines(centre, "3:C") == [("advance", "operator", 1, -1_001, -475)]


def test_a_discount_that_another_partner_funds_is_on_both_statements(centre: SmallCentre) -> None:
    centre.book(sale("A", "A-1", funded=[Funded(partner_id="C", amount_minor=250)]), account_id=None)
    close(centre)
    assert lines(centre, "1:A") == [("discount_given", "C", 1, 250, -250)]
    assert lines(centre, "1:C") == [("discount_funded", "A", 1, 250, 250)]


def test_what_was_issued_keeps_its_bytes_and_its_hash(centre: SmallCentre) -> None:
    a_november(centre)
    closed = close(centre)
    with reading(centre.engine) as tx:
        made, frozen = read_statement(tx, "1:C")
    assert hashlib.sha256(frozen).hexdigest() == closed.statements[1].sha256
    assert (made.total_minor, made.partner_name, made.through) == (1_071, "Cobalt Fuel", "2026-11-30")
    assert [(one.kind, one.amount_minor) for one in made.totals] == [("fee", 120), ("advance", 476), ("funding", 475)]


def test_the_page_that_turned_is_an_event_that_names_every_statement(centre: SmallCentre) -> None:
    a_november(centre)
    closed = close(centre)
    with reading(centre.engine) as tx:
        (row,) = tx.execute(select(centre_event)).all()
    told = msgspec.json.decode(row.payload)
    assert (row.till_id, told["type"], told["period_no"]) == (centre_stream_id("periods"), "period.v1", 1)
    assert [tuple(pair) for pair in told["statements"]] == [(one.partner_id, one.sha256) for one in closed.statements]


def test_the_annex_lists_the_receipts_behind_a_statement_and_matches_its_hash(centre: SmallCentre) -> None:
    a_november(centre)
    close(centre)
    centre.book(sale("C", "C-2", earned=5, on="2026-12-01"))
    with reading(centre.engine) as tx:
        made, _ = read_statement(tx, "1:C")
        annex = "".join(annex_csv(tx, 1, "C"))
    rows = [line.split(",") for line in annex.splitlines()]
    assert [(row[3], row[6], row[7], row[8], row[12]) for row in rows[1:]] == [
        ("C-1", "issued", "available", "1002", "C"),
        ("D-1", "available", "redeemed", "1000", "D"),
    ]
    assert made.annex_rows == 2
    assert hashlib.sha256(annex.encode()).hexdigest() == made.annex_sha256


def test_payments_through_the_operator_are_written_down_as_due(centre: SmallCentre) -> None:
    a_november(centre)
    close(centre)
    with reading(centre.engine) as tx:
        due = tx.execute(select(payment).order_by(payment.c.n)).all()
    assert [(one.payer_id, one.payee_id, one.amount_minor, one.state) for one in due] == [
        ("C", "operator", 1_071, "due"),
        ("operator", "D", 940, "due"),
    ]


def test_a_period_cannot_end_before_it_began(centre: SmallCentre) -> None:
    close(centre)
    with pytest.raises(BadThrough, match="before it is 1: name that number to go on"):
        close(centre, 2, "2026-11-30")
    with reading(centre.engine) as tx:
        assert open_period_no(tx) == 2


@pytest.mark.parametrize("through", [date(2062, 11, 30), date.max])
def test_a_period_does_not_end_in_a_year_that_was_mistyped(centre: SmallCentre, through: date) -> None:
    with pytest.raises(FarThrough):
        close_period(centre.engine, period_no=1, through=through, now_ms=NOW)


def test_a_period_that_does_not_exist_cannot_be_closed(centre: SmallCentre) -> None:
    with pytest.raises(UnknownPeriod):
        close(centre, 2)


def test_a_stream_without_new_events_is_not_in_the_next_period(centre: SmallCentre) -> None:
    a_november(centre)
    close(centre)
    close(centre, 2, "2026-12-31")
    with reading(centre.engine) as tx:
        covered = tx.execute(select(period_range.c.till_id).where(period_range.c.period_no == 2)).scalars()
        # The centre's own stream turned the page of period 1, which is all that happened.
        assert set(covered) == {centre_stream_id("periods")}


def test_an_issued_statement_cannot_be_changed(tmp_path: Path) -> None:
    """On SQLite by a trigger; on PostgreSQL by the rights of the service's role, which test_tables proves."""
    centre = SmallCentre(f"sqlite:///{tmp_path / 'central.db'}")
    a_november(centre)
    close(centre)
    with pytest.raises(DBAPIError, match="append-only"), writing(centre.engine) as tx:
        tx.execute(statement.update().values(total_minor=0))
    centre.engine.dispose()
