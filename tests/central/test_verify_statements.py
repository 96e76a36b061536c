"""A statement that is not the one that was issued is named."""

import hashlib

import pytest
from sqlalchemy import select, update

from central.database import tables as t
from tests.central.busy_day import Day, busy_day, close, codes, run
from tests.central.tills import Centre


@pytest.fixture
def day(centre: Centre) -> Day:
    return busy_day(centre)


STATEMENT_CHANGES = {
    "a document": ("UPDATE statement SET document = {bytes} WHERE partner_id = 'acme'", 1, ["statement.hash"]),
    "its hash": (
        "UPDATE statement SET sha256 = '{zeros}' WHERE partner_id = 'acme'", 1,
        ["statement.announced", "statement.hash"],
    ),
    "its total": ("UPDATE statement SET total_minor = 1 WHERE partner_id = 'acme'", 1, ["statement.row"]),
    "the amount of a line": (
        "UPDATE statement_line SET amount_minor = amount_minor + 1 WHERE partner_id = 'acme' AND n = 1", 1,
        ["statement.line"],
    ),
    "the points of a line": (
        "UPDATE statement_line SET points = 7 WHERE partner_id = 'acme' AND n = 1", 1, ["statement.line"],
    ),
    "a line that is gone": ("DELETE FROM statement_line WHERE partner_id = 'acme' AND n = 1", 1, ["statement.line"]),
}  # fmt: skip


@pytest.mark.parametrize("what", list(STATEMENT_CHANGES))
def test_a_statement_that_was_changed_is_named(day: Day, what: str) -> None:
    close(day)
    statement, rows, named = STATEMENT_CHANGES[what]
    some = "x'7b7d'" if day.centre.engine.dialect.name == "sqlite" else r"'\x7b7d'"
    run(day.centre, statement.format(bytes=some, zeros="0" * 64), rows)
    assert codes(day.centre) == named


def test_a_statement_rewritten_with_its_hash_is_not_the_one_that_was_announced(day: Day) -> None:
    close(day)
    ((document,),) = day.centre.rows(select(t.statement.c.document).where(t.statement.c.partner_id == "acme"))
    forged = bytes(document).replace(b'"partner_name":"', b'"partner_name":"New ')
    assert forged != document
    values = {"document": forged, "sha256": hashlib.sha256(forged).hexdigest()}
    run(day.centre, update(t.statement).where(t.statement.c.partner_id == "acme").values(values))
    assert codes(day.centre) == ["statement.announced"]


def test_a_statement_that_is_gone_is_named(day: Day) -> None:
    close(day)
    lines = len(day.centre.rows(select(t.statement_line).where(t.statement_line.c.partner_id == "bolt")))
    run(day.centre, "DELETE FROM statement_line WHERE partner_id = 'bolt'", lines)
    run(day.centre, "DELETE FROM statement WHERE partner_id = 'bolt'")
    assert codes(day.centre) == ["statement.announced"]
