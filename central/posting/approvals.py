"""What supervisors approved at the tills: one row an event, written as it is posted, and counted by cashier.

An approval is no mistake. A cashier who needs very many in a day is a row of the worklist, once.
Source: fraud-privacy.md section 1, "Refund or void after earning by cashier" and "Manual adjustments".
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Connection, Row, bindparam, func, select

from central.database.asking import ask_one
from central.database.rows import put
from central.database.tables import approval
from central.streams.heads import kind_of
from loyalty.approvals import approved_in
from loyalty.facts.events import Event
from loyalty.ledger.books import Flag
from loyalty.lots import EventRef

MANY = 10
_MARK = b'"override":'
_LONGEST = 200


class ByCashier(msgspec.Struct, frozen=True, kw_only=True):
    """How much was approved for one cashier of a store in some days, and by how many supervisors."""

    store_id: str
    cashier: str
    approvals: int
    supervisors: int
    last_on: str


def approval_row(ref: EventRef, head: Event) -> dict[str, Any] | None:
    """The row of an event that a supervisor approved; none for any other."""
    place = getattr(head, "place", None)
    if place is None or _MARK not in (detail := bytes(head.detail)):
        return None
    told = approved_in(detail)
    if told.override is None:
        return None
    texts = {
        "store_id": place.store_id, "receipt_id": head.receipt_id, "cashier": told.cashier,
        "supervisor": told.override.supervisor, "reason": told.override.reason,
        "actions": " ".join(told.override.actions),
    }  # fmt: skip
    return {
        **msgspec.structs.asdict(ref),
        "kind": kind_of(head),
        "business_date": place.business_date.isoformat(),
        # PostgreSQL takes no NUL in a text, and no till of ours writes one.
        **{name: text.replace("\0", "")[:_LONGEST] for name, text in texts.items()},
    }


class Approvals:
    """The approvals of a set of events, on their way into the table.

    What is there of the same cashiers' days is read when they are opened: while events are posted nothing is read.
    Until the transaction ends nobody else counts these days: two tills of a store may bring the tenth at once.
    """

    def __init__(self, tx: Connection, heads: Mapping[EventRef, Event]) -> None:
        self._tx = tx
        self._rows = {ref: row for ref, head in heads.items() if (row := approval_row(ref, head))}
        days = sorted({_day_of(row) for row in self._rows.values()}, key=msgspec.structs.astuple)
        if tx.dialect.name == "postgresql":  # elsewhere one writes at a time
            for day in days:
                tx.execute(_TURN, {"key": _key_of(day)})
        self._before = {day: _counted(tx, day) for day in days}
        self._posted: list[EventRef] = []

    def add(self, ref: EventRef) -> None:
        """An event was posted, or waits."""
        if ref in self._rows:
            self._posted.append(ref)

    def write(self) -> list[Flag]:
        """Write the rows. Returns: a finding at the event with which a cashier's day reaches `MANY`."""
        flags: list[Flag] = []
        counts = dict(self._before)
        for ref in self._posted:
            day = _day_of(self._rows[ref])
            counts[day] += 1
            if day.cashier and counts[day] == MANY:
                figures: dict[str, int | str] = {"cashier": day.cashier, "approvals": MANY}
                flags.append(Flag(of=ref, cause="overrides_many", figures=figures))
        put(self._tx, approval, [self._rows[ref] for ref in self._posted], "nothing")
        return flags


class _Day(msgspec.Struct, frozen=True, kw_only=True):
    store_id: str
    business_date: str
    cashier: str


_COUNTED = (
    select(func.count())
    .select_from(approval)
    .where(*(approval.c[name] == bindparam(name) for name in _Day.__struct_fields__))
)


_TURN = select(func.pg_advisory_xact_lock(bindparam("key", type_=BigInteger)))


def _key_of(day: _Day) -> int:
    """Two days of one key only wait for each other."""
    told = "\0".join(("approvals", *msgspec.structs.astuple(day)))
    return int.from_bytes(hashlib.sha256(told.encode()).digest()[:8], "big", signed=True)


def _day_of(row: Mapping[str, Any]) -> _Day:
    return _Day(store_id=row["store_id"], business_date=row["business_date"], cashier=row["cashier"])


def _counted(tx: Connection, day: _Day) -> int:
    return int(ask_one(tx, _COUNTED, msgspec.structs.asdict(day)))


def by_cashier(connection: Connection, since: str, limit: int = 100) -> list[ByCashier]:
    """Cashiers with what was approved for them since a business date, those with most first."""
    count = func.count()
    grouped = (
        select(approval.c.store_id, approval.c.cashier, count, func.count(approval.c.supervisor.distinct()),
               func.max(approval.c.business_date))
        .where(approval.c.business_date >= since)
        .group_by(approval.c.store_id, approval.c.cashier)
        .order_by(count.desc(), approval.c.store_id, approval.c.cashier)
        .limit(limit)
    )  # fmt: skip
    return [
        ByCashier(store_id=store, cashier=cashier, approvals=number, supervisors=supervisors, last_on=last)
        for store, cashier, number, supervisors, last in connection.execute(grouped)
    ]


def newest(
    connection: Connection, since: str, *, store_id: str = "", cashier: str | None = None, limit: int = 200
) -> Sequence[Row[Any]]:
    """What was approved since a business date, the newest first; of one cashier of a store, where one is named."""
    whose = [] if cashier is None else [approval.c.store_id == store_id, approval.c.cashier == cashier]
    order = approval.c.business_date.desc(), approval.c.till_id, approval.c.epoch.desc(), approval.c.seq.desc()
    return connection.execute(
        select(approval).where(approval.c.business_date >= since, *whose).order_by(*order).limit(limit)
    ).all()
