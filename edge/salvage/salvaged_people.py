"""Whose the sealed rows are that were found in the bytes of a damaged journal: their hashes say.

An event of a new member names what was sealed by its SHA-256, so a row is whole, and that member's, where an event that
is true names it, whatever became of its id. Source: docs/decisions/personal-data-beside-the-event.md.
"""

from collections.abc import Iterable

from edge.journal.left_behind import SalvagedEvent, SalvagedPerson
from loyalty.facts.events import UnknownEvent, read_head
from loyalty.facts.member_events import Enrolled

_KIND = b'"enrolment.v1"'


def match_people(found: Iterable[SalvagedPerson], true: Iterable[SalvagedEvent]) -> tuple[SalvagedPerson, ...]:
    """Who new members are: those whom true events name, in the order of the events, then those of events that are lost.

    Of the latter head office may have the event, and takes no row that its hash does not name: so they are kept too.

    Args:
        found: rows, some of them damaged, some of them twice, later ones of the log last.
        true: the events that were saved.
    """
    by_hash = {one.sealed.sha256: one for one in found}
    whole: dict[str, SalvagedPerson] = {}
    saved: set[str] = set()
    for event in true:
        if (enrolled := _enrolled(event.payload)) is None:
            continue
        saved.add(enrolled.receipt_id)
        if (one := by_hash.pop(enrolled.sealed_sha256, None)) is not None:
            whole[enrolled.receipt_id] = SalvagedPerson(
                event_id=enrolled.receipt_id, epoch=event.epoch, sealed=one.sealed
            )
    lost = {one.event_id: one for one in by_hash.values() if one.event_id not in saved}
    return (*whole.values(), *lost.values())


def _enrolled(payload: bytes) -> Enrolled | None:
    if _KIND not in payload:
        return None
    try:
        event = read_head(payload)
    except UnknownEvent:
        return None  # of a later version than this one: then its row goes to head office with those of lost events
    return event if isinstance(event, Enrolled) else None
