"""Which receipt a return or void takes back, read once more from the bytes: by its place, and by its id.

A till whose disk went back may give a place twice. Where another receipt stands there, the one that is named is one
that people posted instead, or it is not here. Shares no line with `loyalty.books` on purpose.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from central.refold import Ref

FIXED = "fixed.v1"
VOID = "void:"
NAMING = ("return.v1", "return_void.v1")  # say the receipt's id


def point_at_receipts(events: Mapping[Ref, dict[str, Any]], posted: Iterable[Ref]) -> None:
    """Let `of` of every reversal name the receipt that it takes back; without `of`, that is not here.

    Args:
        events: as tills and head office wrote them, by place; changed in place.
        posted: those that are in the books.
    """
    here = {ref: events[ref] for ref in posted}
    fixed = [(ref, one) for ref, one in here.items() if one["type"] == FIXED and one["fact"]["type"] == "receipt.v1"]
    instead = {(tuple(one["of"]), one["fact"]["receipt_id"]): ref for ref, one in fixed}
    for event in events.values():
        fact = event["fact"] if event["type"] == FIXED else event
        if fact["type"] not in (*NAMING, "void.v1") or not fact.get("of"):
            continue
        of, name = tuple(fact["of"]), _named(fact)
        there = here.get(of)
        if there is not None and there["type"] == "receipt.v1" and name in ("", there["receipt_id"]):
            continue
        if (of, name) in instead:
            fact["of"] = list(instead[of, name])
        elif there is not None and there["type"] == "receipt.v1":
            del fact["of"]


def _named(fact: Mapping[str, Any]) -> str:
    if fact["type"] in NAMING:
        return str(fact.get("of_receipt", ""))
    return fact["receipt_id"][len(VOID) :] if fact["receipt_id"].startswith(VOID) else ""
