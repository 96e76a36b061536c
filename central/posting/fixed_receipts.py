"""Receipts and returns that people posted instead of events in quarantine, found by the place and the id that reversals
name.

Such a receipt stands in head office's own stream. What brings its goods back was written at a till, and names the event
that the till wrote; so does what undoes a return. Source: sync.md section 8; docs/operations.md "Quarantine".
"""

from collections.abc import Collection, Iterable, Mapping

import msgspec
from sqlalchemy import Connection

from central.database.rows import find
from central.database.tables import centre_event, event, quarantine_outcome
from loyalty.facts.events import Event, read_head
from loyalty.facts.fixed import FIXED, Fixed
from loyalty.facts.receipts import Receipt
from loyalty.facts.reversals import Return, ReturnVoid, Reversal, receipt_named, return_named
from loyalty.lots import EventRef

Named = tuple[EventRef, str]
"""The place of a receipt or return and its id."""


def names_of(heads: Iterable[Event]) -> frozenset[Named]:
    """What the reversals among these events take back; those that say no id left out."""
    return frozenset(
        (head.of, name)
        for head in heads
        if isinstance(head, Reversal) and head.of is not None and (name := receipt_named(head))
    )


def returns_named(heads: Iterable[Event]) -> frozenset[Named]:
    """The returns that these events undo."""
    return frozenset((head.undoes, return_named(head)) for head in heads if isinstance(head, ReturnVoid))


def fixed_receipts(connection: Connection, wanted: Collection[Named]) -> dict[EventRef, Fixed]:
    """Those of the receipts wanted that people posted, by the place of what they posted."""
    return {ref: one for ref, one in _fixed(connection, wanted).items() if isinstance(one.fact, Receipt)}


def fixed_returns(connection: Connection, wanted: Collection[Named]) -> dict[EventRef, Fixed]:
    """The same of returns."""
    return {ref: one for ref, one in _fixed(connection, wanted).items() if isinstance(one.fact, Return)}


_WAS_FIXED = (quarantine_outcome.c.outcome == "fixed",)
_FIXES = (event.c.kind == FIXED,)


def _fixed(connection: Connection, wanted: Collection[Named]) -> dict[EventRef, Fixed]:
    keys = [msgspec.structs.asdict(of) for of in sorted({of for of, _ in wanted})]
    outcomes = find(connection, quarantine_outcome, keys, ("fact_id",), *_WAS_FIXED, told={})
    facts = [{"receipt_id": row.fact_id} for row in outcomes if row.fact_id]
    places = find(connection, event, facts, ("till_id", "epoch", "seq"), *_FIXES, told={})
    found = fixed_at(connection, [EventRef(**place._mapping) for place in places])
    return {ref: one for ref, one in found.items() if _name(one) in wanted}


def fixed_at(connection: Connection, refs: Iterable[EventRef]) -> dict[EventRef, Fixed]:
    """What people posted, by place in head office's own stream; other places are left out."""
    found = {}
    for row in find(connection, centre_event, [msgspec.structs.asdict(ref) for ref in refs]):
        if isinstance(fixed := read_head(bytes(row.payload)), Fixed):
            found[EventRef(till_id=row.till_id, epoch=row.epoch, seq=row.seq)] = fixed
    return found


def receipt_of(
    head: Reversal, receipts: Mapping[EventRef, Event], fixed: Mapping[EventRef, Fixed]
) -> EventRef | None:
    """The place of the receipt that a reversal takes back; none while it is not here.

    Args:
        receipts: events by place, that of the receipt among them where it has come; `fixed`: see `fixed_receipts`.
    """
    there = receipts.get(head.of) if head.of is not None else None
    name = receipt_named(head)
    if isinstance(there, Receipt) and name in ("", there.receipt_id):
        return head.of
    return next((ref for ref, one in fixed.items() if _name(one) == (head.of, name)), None)


def return_of(void: ReturnVoid, events: Mapping[EventRef, Event], fixed: Iterable[Fixed]) -> Return | None:
    """The return that a void undoes. Args: as of `receipt_of`; `fixed`: see `fixed_returns`."""
    there, name = events.get(void.undoes), return_named(void)
    instead = next((one.fact for one in fixed if _name(one) == (void.undoes, name)), None)
    # What was fixed may stand in quarantine at that very place, and under that very id.
    found = there if instead is None else instead
    return found if isinstance(found, Return) and name in ("", found.receipt_id) else None


def _name(fixed: Fixed) -> Named:
    return fixed.of, fixed.fact.receipt_id
