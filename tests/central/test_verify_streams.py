"""Batches, chains and the centre's own events that somebody changed: named, and verification goes on behind them."""

import hashlib
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import LargeBinary, Table, select, text, update
from sqlalchemy.exc import DBAPIError

from central.database import tables as t
from central.ports import writing
from central.verify.books import Verified
from sync.wire import BATCH_TAG, BatchHeader
from tests.central.busy_day import Day, busy_day, close, codes, run, verify
from tests.central.tills import Centre


@pytest.fixture
def day(centre: Centre) -> Day:
    return busy_day(centre)


def change_batch(day: Day, row: Any, **values: Any) -> None:
    here = (t.batch.c.till_id == row.till_id) & (t.batch.c.last_seq == row.last_seq)
    run(day.centre, update(t.batch).where(here).values(values))


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1 :]


@pytest.mark.parametrize("at", [0, 40, -1])
def test_a_byte_of_a_body_that_was_flipped_is_named_and_stops_nothing(day: Day, at: int) -> None:
    row = day.batches(day.acme)[0]
    change_batch(day, row, body=flipped(row.body, at % len(row.body)))
    assert codes(day.centre) == ["batch.body"]


def test_a_body_with_other_events_than_were_signed_is_named(day: Day) -> None:
    row = day.batches(day.bolt)[0]
    change_batch(day, row, body=zlib.compress(zlib.decompress(row.body).replace(b'"R1"', b'"R7"')))
    assert codes(day.centre) == ["batch.body"]


@pytest.mark.parametrize("at", [0, 20, -2])
def test_a_byte_of_a_header_that_was_flipped_is_named(day: Day, at: int) -> None:
    row = day.batches(day.acme)[0]
    change_batch(day, row, header=flipped(row.header, at % len(row.header)))
    (code,) = codes(day.centre)
    assert code in ("batch.header", "batch.signature")


def test_a_signature_that_was_changed_is_named(day: Day) -> None:
    row = day.batches(day.bolt)[0]
    change_batch(day, row, signature=flipped(row.signature, 5))
    assert codes(day.centre) == ["batch.signature"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"not compressed", "batch.body"),
        (zlib.compress(b"[]\n" * 3), "batch.events"),
        (zlib.compress(b'{"type":"receipt.v1"}\n' * 4), "chain.link"),
    ],
    ids=["no zlib", "too few", "others"],
)
def test_whoever_has_a_tills_key_may_sign_anything_and_stops_nothing(day: Day, body: bytes, named: str) -> None:
    """Signed well, the events are still not those that the chain is made of."""
    row = day.batches(day.acme)[0]
    header = msgspec.json.decode(row.header, type=BatchHeader)
    forged = msgspec.json.encode(msgspec.structs.replace(header, body_sha256=hashlib.sha256(body).hexdigest()))
    change_batch(day, row, body=body, header=forged, signature=day.acme.signer.sign(BATCH_TAG + forged))
    assert codes(day.centre) == [named]


def test_a_grant_that_was_changed_is_named(day: Day) -> None:
    payload = b'{"type":"grant.v1","points":999999}'
    run(day.centre, update(t.centre_event).where(t.centre_event.c.seq == 1).values(payload=payload), 2)
    assert codes(day.centre) == ["chain.link"]
    run(day.centre, update(t.centre_event).where(t.centre_event.c.seq == 2).values(payload=b"\xff{"))
    # With no grant that can be believed, nothing allowed the fifty points that were not there.
    assert codes(day.centre) == ["chain.link", "float.bound"]


def test_nothing_that_stands_in_a_table_makes_verification_stop(day: Day) -> None:
    """Every text, number and byte of every table it reads, column by column; keys that bind tables left out."""
    close(day)
    for table in (t.stream, t.batch, t.event, t.centre_event, t.account, t.lot, t.debt, t.posting, t.reversed_,
                  t.statement, t.statement_line, t.till_key, t.terms):  # fmt: skip
        links = {column.name for column in table.c if column.primary_key or column.foreign_keys}
        for column in [column for column in table.c if column.name not in links]:
            spoil(day.centre, table, column.name)
    assert codes(day.centre) == []


def spoil(centre: Centre, table: Table, name: str) -> None:
    """Put something wild into a column of every row, verify, and put back what was there."""
    kind = bytes if isinstance(table.c[name].type, LargeBinary) else table.c[name].type.python_type
    wild = {int: -7, str: "\u017c{", bytes: b"\xff\x00[", bool: True}[kind]
    with writing(centre.engine) as tx:
        before = [row._mapping for row in tx.execute(select(table))]
        tx.execute(update(table).values({name: wild}))
    assert isinstance(verify(centre), Verified)
    with writing(centre.engine) as tx:
        for row in before:
            same = [column == row[column.name] for column in table.primary_key.columns]
            tx.execute(update(table).where(*same).values({name: row[name]}))


# What SQLite itself refuses


def test_sqlite_refuses_to_change_or_delete_what_is_append_only(tmp_path: Path) -> None:
    """On PostgreSQL the rights of the service's role do, which test_tables proves."""
    centre = Centre(f"sqlite:///{tmp_path / 'central.db'}")
    close(Day(centre))
    for table in ("posting", "batch", "centre_event", "statement", "statement_line"):
        before = centre.rows(text(f"SELECT * FROM {table}"))
        assert before
        for change in (f"UPDATE {table} SET rowid = rowid", f"DELETE FROM {table}"):
            with pytest.raises(DBAPIError, match=f"{table} is append-only"), writing(centre.engine) as tx:
                tx.execute(text(change))
        assert centre.rows(text(f"SELECT * FROM {table}")) == before
    centre.engine.dispose()
