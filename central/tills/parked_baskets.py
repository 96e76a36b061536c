"""Baskets that tills laid aside at head office: kept, listed and given away, each to one till.

See `sync.parked_office`. They are no part of the books: nothing is folded from them, and after the day's end they are
forgotten. After a restore they rest for a while: `central.tills.parked_resting`.
"""

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from central.database.tables import parked_basket, store, till
from central.tills.parked_resting import LONGEST_MS, partner_of_till, state_of_new, wake
from sync.desk import DeskAsk
from sync.parked import MOST_LISTED, ParkedRow
from sync.parked_office import OfficeRow, OfficeTold

REMEMBERED_MS = 24 * 3_600_000  # so long it is told that a basket has expired
_ROW = ("lines", "amount_minor", "currency", "note", "cashier")
UNKNOWN = OfficeTold(outcome="unknown")


def keep_basket(tx: Connection, ask: DeskAsk, now_ms: int) -> OfficeTold:
    """Keep a basket of the till that asks; the same again changes nothing."""
    if ask.basket is None:
        return UNKNOWN
    basket, row, body = ask.basket, ask.basket.row, bytes(ask.basket.body)
    if (before := _found(tx, ask.till_id, row.park_id)) is not None:
        is_same = before.state != "withdrawn" and bytes(before.body) == body
        return OfficeTold(outcome="kept" if is_same else "reused")
    waits = parked_basket.c.state.in_(("open", "resting"))
    waiting = select(func.count()).where(parked_basket.c.till_id == ask.till_id, waits)
    if tx.execute(waiting).scalar_one() >= MOST_LISTED:
        return OfficeTold(outcome="full")
    partner_id = partner_of_till(tx, ask.till_id, now_ms)
    kept = {name: getattr(row, name) for name in _ROW} | {
        "park_id": row.park_id, "parked_at_ms": row.parked_at_ms, "has_card": int(row.has_card), "body": body,
        "until_ms": min(basket.until_ms, now_ms + LONGEST_MS),
        "state": state_of_new(tx, partner_id, now_ms, again=basket.again),
    }  # fmt: skip
    tx.execute(insert(parked_basket).values(till_id=ask.till_id, partner_id=partner_id, **kept))
    return OfficeTold(outcome="kept")


def list_baskets(tx: Connection, ask: DeskAsk, now_ms: int) -> tuple[OfficeRow, ...]:
    """What waits for the tills of the partner whose till asks, the oldest first."""
    one, partner_id = parked_basket.c, partner_of_till(tx, ask.till_id, now_ms)
    wake(tx, partner_id, now_ms)
    chosen = (
        select(parked_basket, till.c.label, store.c.name.label("store"))
        .join(till, till.c.till_id == one.till_id)
        .join(store, store.c.store_id == till.c.store_id)
        .where(one.partner_id == partner_id, one.state == "open", one.until_ms >= now_ms)
        .order_by(one.parked_at_ms, one.till_id, one.park_id)
        .limit(MOST_LISTED)
    )
    return tuple(
        OfficeRow(till_id=row.till_id, till=row.label, store=row.store, row=_row_of(row)) for row in tx.execute(chosen)
    )


def give_basket(tx: Connection, ask: DeskAsk, now_ms: int) -> OfficeTold:
    """Give a basket to the till that asks, and to it again under the same `resume_id`.

    A till that asks for a basket of its own which never came here takes the place of it, so that it cannot come later.
    """
    one, here = parked_basket.c, _is(ask.of_till, ask.about)
    row = _found(tx, ask.of_till, ask.about)
    if row is None and ask.of_till == ask.till_id:
        tx.execute(insert(parked_basket).values(
            till_id=ask.till_id, park_id=ask.about, partner_id="", parked_at_ms=now_ms, until_ms=now_ms, currency="",
            lines=0, amount_minor=0, note="", cashier="", has_card=0, body=b"", state="withdrawn",
        ))  # fmt: skip
    if row is None or row.partner_id != (partner_id := partner_of_till(tx, ask.till_id, now_ms)):
        return UNKNOWN
    if row.state == "resting" and row.until_ms >= now_ms:
        wake(tx, partner_id, now_ms)
        row = _found(tx, ask.of_till, ask.about)
        if row is None or row.state == "resting":
            return OfficeTold(outcome="resting")
    if row.state == "open" and row.until_ms >= now_ms:
        taken = update(parked_basket).where(*here, one.state == "open")
        tx.execute(taken.values(state="taken", taken_by=ask.till_id, resume_id=ask.resume_id))
        row = _found(tx, ask.of_till, ask.about)  # another till may have been first
        if row is None:
            return UNKNOWN
    if row.state == "taken" and (row.taken_by, row.resume_id) == (ask.till_id, ask.resume_id) and row.body:
        return OfficeTold(outcome="given", body=msgspec.Raw(bytes(row.body)), parked_at_ms=row.parked_at_ms)
    if row.state == "taken":
        return OfficeTold(outcome="taken", taken_by=row.taken_by)
    return OfficeTold(outcome="expired")


def forget_baskets(tx: Connection, now_ms: int) -> int:
    """What a day left behind loses its bytes, and is forgotten a day later; how many were touched."""
    one = parked_basket.c
    tx.execute(delete(parked_basket).where(one.until_ms < now_ms - REMEMBERED_MS))
    over = update(parked_basket).where(one.until_ms < now_ms, one.body != b"")
    return tx.execute(over.values(body=b"", note="")).rowcount


def _found(tx: Connection, till_id: str, park_id: str) -> Row[Any] | None:
    return tx.execute(select(parked_basket).where(*_is(till_id, park_id))).first()


def _is(till_id: str, park_id: str) -> tuple[Any, ...]:
    return parked_basket.c.till_id == till_id, parked_basket.c.park_id == park_id


def _row_of(row: Row[Any]) -> ParkedRow:
    facts = {name: row._mapping[name] for name in _ROW}
    return ParkedRow(park_id=row.park_id, parked_at_ms=row.parked_at_ms, has_card=bool(row.has_card), **facts)
