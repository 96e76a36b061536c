"""Receipts that recomputing found to come out otherwise, settled between their programme's publisher and the store.

What was taken too little, or paid out too much, is the publisher's; what a customer paid too much is nobody's gain
between partners, and stays on the worklist. Source: offline-redemption.md "Who bears what".
"""

from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, and_, select

from central.database.rows import find, put
from central.database.tables import event, flag, price_delta
from central.ports import Randomness, replayable, writing
from central.posting.own_posting import post_own
from central.posting.posting import stored_heads
from central.recomputing.borne import lost_minor, publishers, version_of
from central.streams.own_events import append_own
from loyalty.facts.price_deltas import PriceDelta
from loyalty.facts.reversals import Return
from loyalty.lots import EventRef

STREAM = "deltas"
CAUSE = "decision_differs"
AT_ONCE = 200


@replayable
def settle_deltas(engine: Engine, now_ms: int, randomness: Randomness) -> int:
    """Look at findings that were not looked at yet, some at a time; how many. Each is settled once, or never."""
    with writing(engine) as tx:
        append_own(tx, STREAM, (), now_ms, randomness)  # one at a time
        rows = _open(tx)
        facts = _facts(tx, rows)
        if facts:
            post_own(tx, STREAM, facts, now_ms, randomness)
        settled = {fact.of: fact for fact in facts}
        put(tx, price_delta, [_row(_ref(row), settled.get(_ref(row)), now_ms) for row in rows])
        return len(rows)


def _open(tx: Connection) -> list[Row[Any]]:
    f, d = flag.c, price_delta.c
    same = and_(d.till_id == f.till_id, d.epoch == f.epoch, d.seq == f.seq)
    chosen = select(flag).select_from(flag.join(price_delta, same, isouter=True))
    new = chosen.where(f.cause == CAUSE, f.seq > 0, f.n == 0, d.till_id.is_(None))
    return list(tx.execute(new.order_by(f.till_id, f.epoch, f.seq).limit(AT_ONCE)))


def _facts(tx: Connection, rows: list[Row[Any]]) -> list[PriceDelta]:
    heads = stored_heads(tx, {_ref(row) for row in rows})
    sales = stored_heads(tx, {head.of for head in heads.values() if isinstance(head, Return) and head.of})
    found = find(tx, event, [msgspec.structs.asdict(_ref(row)) for row in rows])
    events = {_ref(row): row for row in found}
    published = publishers(tx)
    facts = []
    for row in rows:
        ref, head = _ref(row), heads.get(_ref(row))
        told = msgspec.json.decode(row.figures)
        lost = lost_minor(told, head)
        version = version_of(head) or version_of(sales.get(head.of) if isinstance(head, Return) and head.of else None)
        bearer = published.get(version, row.partner_id)
        if lost <= 0 or bearer == row.partner_id or ref not in events:
            continue
        facts.append(
            PriceDelta(
                receipt_id=f"delta:{ref.till_id}:{ref.epoch}:{ref.seq}",
                of=ref,
                of_period_no=events[ref].period_no,
                bearer_id=bearer,
                partner_id=row.partner_id,
                amount_minor=lost,
                on=date.fromisoformat(events[ref].business_date),
                version=version,
            )
        )
    return facts


def _row(ref: EventRef, fact: PriceDelta | None, now_ms: int) -> dict[str, Any]:
    names = ("bearer_id", "partner_id", "amount_minor")
    nothing = {"bearer_id": "", "partner_id": "", "amount_minor": 0}
    told = {name: getattr(fact, name) for name in names} if fact else nothing
    return {**msgspec.structs.asdict(ref), **told, "settled_at_ms": now_ms}


def _ref(row: Row[Any]) -> EventRef:
    return EventRef(till_id=row.till_id, epoch=row.epoch, seq=row.seq)
