"""A till's own counts of its business day against what came of it, and against what its POS counted."""

import msgspec
from sqlalchemy import Connection, func, select

from central.database.tables import event
from loyalty.facts.day_totals import CloseDetail
from loyalty.facts.events import TillClose
from loyalty.ledger.books import Flag
from loyalty.lots import EventRef

COUNTED = ("receipts", "voids", "returns", "net_minor", "returned_minor", "points_earned", "points_spent",
           "points_reversed")  # fmt: skip


def close_flags(connection: Connection, ref: EventRef, close: TillClose) -> list[Flag]:
    """A finding with both sides of every figure that differs; nothing when all agree.

    Counted are the events of the range that bear the close's business date, whatever the centre made of them: the
    receipts with what was paid and earned and spent, returns with what went back. A void counts as one and moves no
    sum, so the receipt it undoes stays in them.
    """
    found = _counts(connection, ref, close)
    figures: dict[str, int | str] = {}
    for name in COUNTED:
        if getattr(close, name) != found[name]:
            figures |= {f"till_{name}": getattr(close, name), f"centre_{name}": found[name]}
    flags = [Flag(of=ref, cause="close_differs", figures=figures)] if figures else []
    return flags + _pos_flags(ref, close)


def _pos_flags(ref: EventRef, close: TillClose) -> list[Flag]:
    """What the POS had otherwise than its till, as found when the day was closed: both sides of each figure, and the
    receipts that may explain it."""
    try:
        detail = msgspec.json.decode(close.detail, type=CloseDetail | None) or CloseDetail()
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as trouble:
        return [Flag(of=ref, cause="detail_malformed", figures={"say": str(trouble)[:200]})]
    if not detail.differences:
        return []
    figures: dict[str, int | str] = {"cashier": detail.cashier[:80]}
    for one in detail.differences:
        figures |= {f"pos_{one.figure}": one.pos, f"till_{one.figure}": one.till}
    named = dict.fromkeys(row.receipt_id for one in detail.differences for row in one.receipts)
    if named:
        figures["receipts"] = ", ".join(named)[:500]
    if detail.override is not None:
        figures["approved_by"] = detail.override.supervisor[:80]
    return [Flag(of=ref, cause="pos_differs", figures=figures)]


def _counts(connection: Connection, ref: EventRef, close: TillClose) -> dict[str, int]:
    here = event.c.till_id == ref.till_id, event.c.epoch == ref.epoch
    days = event.c.seq.between(close.first_seq, close.last_seq), (
        event.c.business_date == close.place.business_date.isoformat())  # fmt: skip
    sums = (func.sum(event.c[name]) for name in ("net_minor", "points_earned", "points_spent", "points_reversed"))
    grouped = select(event.c.kind, func.count(), *sums).where(*here, *days).group_by(event.c.kind)
    by_kind = {row[0]: row[1:] for row in connection.execute(grouped)}
    nothing = (0, 0, 0, 0, 0)
    receipts, returns = by_kind.get("receipt.v1", nothing), by_kind.get("return.v1", nothing)
    voids = sum(by_kind.get(kind, nothing)[0] for kind in ("void.v1", "return_void.v1"))
    return {
        "receipts": receipts[0], "voids": voids, "returns": returns[0],
        "net_minor": int(receipts[1]), "returned_minor": int(returns[1]),
        "points_earned": int(receipts[2]), "points_spent": int(receipts[3]), "points_reversed": int(returns[4]),
    }  # fmt: skip
