"""What an account held at a date, or once so many of its events were folded in: summed from its postings, never kept.

Source: ledger.md rule 5; house.md section 4, "three small orders".
"""

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection, Row

from central.database.rows import find
from central.database.tables import event, posting
from central.posting.recorded import key_of
from loyalty.lots import LotKey


class HeldLot(msgspec.Struct, frozen=True, kw_only=True):
    """Points of one lot."""

    key: LotKey
    points: int


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """What an account held: `points` in all lots, `live_points` of those that had not lapsed by the date.

    Attributes:
        version: events that are folded in.
        on: the date asked for; none where a version was.
        leased_points: set aside for tills, in no lot.
    """

    account_id: int
    version: int
    on: date | None
    points: int
    live_points: int
    leased_points: int
    lots: tuple[HeldLot, ...]


def balance_at_date(connection: Connection, account_id: int, on: date) -> Balance:
    """By everything with a business date up to `on`, also what arrived later."""
    rows = _postings(connection, account_id)
    days = _business_dates(connection, rows)
    return _sum(account_id, rows, on, lambda row: days.get(_by(row), "") <= on.isoformat())


def balance_at_version(connection: Connection, account_id: int, version: int) -> Balance:
    """As the account stood once its first `version` events were folded in: what a till was told."""
    rows = _postings(connection, account_id)
    return _sum(account_id, rows, None, lambda row: row.account_version <= version)


def _postings(connection: Connection, account_id: int) -> list[Row[Any]]:
    rows = find(connection, posting, [{"account_id": account_id}], (), posting.c.unit == "point")
    return sorted(rows, key=lambda row: (row.account_version, row.n))


def _business_dates(connection: Connection, rows: Iterable[Row[Any]]) -> dict[tuple[str, int, int], str]:
    keys = [{"till_id": till_id, "epoch": epoch, "seq": seq} for till_id, epoch, seq in {_by(row) for row in rows}]
    found = find(connection, event, keys, ["till_id", "epoch", "seq", "business_date"])
    return {(row.till_id, row.epoch, row.seq): row.business_date for row in found}


def _sum(account_id: int, rows: Iterable[Row[Any]], on: date | None, counts: Callable[[Row[Any]], bool]) -> Balance:
    lots: dict[LotKey, int] = {}
    leased, version = 0, 0
    for row in rows:
        if not counts(row):
            continue
        version = max(version, row.account_version)
        leased += row.amount * ((row.target == "leased") - (row.source == "leased"))
        step = (row.target == "available") - (row.source == "available")
        if step:
            lots[key_of(row)] = lots.get(key_of(row), 0) + step * row.amount
    held = tuple(HeldLot(key=key, points=lots[key]) for key in sorted(lots) if lots[key])
    return Balance(
        account_id=account_id,
        version=version,
        on=on,
        points=sum(one.points for one in held),
        live_points=sum(one.points for one in held if on is None or one.key.valid_through >= on),
        leased_points=leased,
        lots=held,
    )


def _by(row: Row[Any]) -> tuple[str, int, int]:
    return row.by_till, row.by_epoch, row.by_seq
