"""Which receipt a return or void takes back, and which return a void undoes, read once more from the bytes: by its
place and its id.

A till whose disk went back may give a place twice. Where another receipt stands there, the one that is named is one
that people posted instead, or it is not here. Shares no line with `loyalty.ledger.books` on purpose.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from central.verify.refold import Ref

FIXED = "fixed.v1"
VOID = "void:"
RETURN, RETURN_VOID = "return.v1", "return_void.v1"
NAMING = (RETURN, RETURN_VOID)  # say the receipt's id


def point_at_receipts(events: Mapping[Ref, dict[str, Any]], posted: Iterable[Ref]) -> None:
    """Let `of` of every reversal name the receipt that it takes back; without `of`, that is not here. And let `undoes`
    name the return that people posted, where a void undoes such a one.

    Args:
        events: as tills and head office wrote them, by place; changed in place.
        posted: those that are in the books.
    """
    here = {ref: events[ref] for ref in posted}
    instead, returns = _fixed(here, "receipt.v1"), _fixed(here, RETURN)
    for event in events.values():
        fact = event["fact"] if event["type"] == FIXED else event
        if fact["type"] == RETURN_VOID and (undone := returns.get((tuple(fact["undoes"]), _after(fact["receipt_id"])))):
            fact["undoes"] = list(undone)
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


def _fixed(here: Mapping[Ref, dict[str, Any]], kind: str) -> dict[tuple[Any, str], Ref]:
    """Where head office posted what events in quarantine should have said, by their place and the id it has now."""
    fixed = [(ref, one) for ref, one in here.items() if one["type"] == FIXED and one["fact"]["type"] == kind]
    return {(tuple(one["of"]), one["fact"]["receipt_id"]): ref for ref, one in fixed}


def _named(fact: Mapping[str, Any]) -> str:
    if fact["type"] in NAMING:
        return str(fact.get("of_receipt", ""))
    return _after(fact["receipt_id"])


def _after(receipt_id: str) -> str:
    return receipt_id[len(VOID) :] if receipt_id.startswith(VOID) else ""
