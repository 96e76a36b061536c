"""Grants that tills show to a centre that may have lost them: whether they are its own word.

An `accepted` event carries the very bytes that the till got; only what the centre's key signed counts, so no till can
invent a lease. Source: house.md section 4, point 6.
"""

from collections.abc import Iterable

from loyalty.facts.events import Event, UnknownEvent, read_head
from loyalty.facts.lease_events import LeaseMoved
from loyalty.trouble import Refusal
from sync.envelope import OpenedBatch
from sync.framing import check_signature, read_json, split
from sync.keys import PublicKeys
from sync.wire import GRANT_TAG, Grant

_MARK = b'"what":"accepted"'


def shown_grants(opened: OpenedBatch, keys: PublicKeys) -> tuple[tuple[int, Grant], ...]:
    """The grants in the events of a batch that the centre signed, each with the sequence of its event.

    Args:
        keys: the centre's, the present one and those before it.
    """
    events = enumerate(opened.payloads, opened.header.first_seq)
    return tuple((seq, grant) for seq, payload in events if _MARK in payload for grant in _own(payload, keys))


def _own(payload: bytes, keys: PublicKeys) -> Iterable[Grant]:
    event = _read(payload)
    for data in event.grants if isinstance(event, LeaseMoved) else ():
        for key in keys.keys:
            if (grant := read_grant(data, key.public)) is not None:
                yield grant


def read_grant(data: bytes, public: str) -> Grant | None:
    """A grant from its signed bytes; none where they are no grant, or not signed with this key."""
    try:
        parts = split(data)
        check_signature(GRANT_TAG, parts, public)
        return read_json(parts, Grant)
    except Refusal:
        return None


def _read(payload: bytes) -> Event | None:
    try:
        return read_head(payload)
    except UnknownEvent:
        return None
