"""A closed period as it was frozen: its statements, their bytes, and the payments that settle them."""

from typing import Any

import msgspec
from sqlalchemy import Connection, select

from central.coalition.settings import get_setting
from central.database.tables import period, statement
from loyalty.settling.netting import Netting, net_positions
from loyalty.settling.statements import StatementLine
from loyalty.trouble import Refusal


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """The events of one of the partner's tills that a period covers, first to last; gapless over periods."""

    till_id: str
    epoch: int
    first_seq: int
    last_seq: int


class KindTotal(msgspec.Struct, frozen=True, kw_only=True):
    """The lines of one kind in minor units."""

    kind: str
    amount_minor: int


class Statement(msgspec.Struct, frozen=True, kw_only=True, tag="statement.v1", tag_field="type"):
    """One partner's statement as it was frozen; every rendering is of this.

    `annex_sha256` is of the annex as CSV, which lists the postings behind the lines, one row each. `block_no` and
    `block_hash` are of the newest block when it was made (`sync.blocks`), 0 and "" where there was none.
    """

    statement_id: str
    period_no: int
    from_on: str
    through: str
    partner_id: str
    partner_name: str
    currency: str
    issued_at_ms: int
    total_minor: int
    totals: tuple[KindTotal, ...]
    lines: tuple[StatementLine, ...]
    ranges: tuple[Range, ...]
    annex_rows: int
    annex_sha256: str
    block_no: int = 0
    block_hash: str = ""


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A statement as it stands in the list of its period."""

    statement_id: str
    partner_id: str
    total_minor: int
    sha256: str


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """A closed period: its statements, and the payments that settle them."""

    period_no: int
    through: str
    currency: str
    statements: tuple[Issued, ...]
    netting: Netting


class UnknownPeriod(Refusal):
    code = "period.unknown"
    status = 404


class NotClosed(Refusal):
    code = "period.not_closed"


class UnknownStatement(Refusal):
    code = "statement.unknown"
    status = 404


def read_closed(tx: Connection, period_no: int) -> Closed:
    """A closed period as it was issued. Raises: UnknownPeriod, NotClosed."""
    row = period_row(tx, period_no)
    if row["state"] != "issued":
        raise NotClosed(f"Period {period_no} is not closed; close it first.", period_no=period_no)
    listed = tx.execute(
        select(statement.c.statement_id, statement.c.partner_id, statement.c.total_minor, statement.c.sha256)
        .where(statement.c.period_no == period_no)
        .order_by(statement.c.partner_id)
    ).mappings()
    statements = tuple(Issued(**one) for one in listed)
    return Closed(
        period_no=period_no,
        through=row["through"],
        currency=get_setting(tx, "currency"),
        statements=statements,
        netting=net_positions({one.partner_id: one.total_minor for one in statements}),
    )


def read_statement(tx: Connection, statement_id: str) -> tuple[Statement, bytes]:
    """A statement, and the very bytes that were frozen. Raises: UnknownStatement."""
    frozen = tx.execute(
        select(statement.c.document).where(statement.c.statement_id == statement_id)
    ).scalar_one_or_none()
    if frozen is None:
        named = statement_id[:80]
        raise UnknownStatement(f"There is no statement {named}; look at the list of its period.", statement_id=named)
    return msgspec.json.decode(frozen, type=Statement), bytes(frozen)


def period_row(tx: Connection, period_no: int, *, lock: bool = False) -> dict[str, Any]:
    """The row of a period, locked for writing where asked. Raises: UnknownPeriod."""
    chosen = select(period).where(period.c.period_no == period_no)
    row = tx.execute(chosen.with_for_update() if lock else chosen).mappings().one_or_none()
    if row is None:
        raise UnknownPeriod(f"There is no period {period_no}; look at the list of periods.", period_no=period_no)
    return dict(row)
