"""The centre's own facts (grants, period turns) as events in streams of its own: same chain, same code.

One stream for each thing that happens one after the other anyway, so that no row is hot. Source: house.md idea 5.
"""

import hashlib
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, update

from central.coalition.streams import at, begin_stream
from central.database.asking import ask, ask_first, tell, tell_each
from central.database.tables import centre_event, stream
from central.ports import Randomness
from loyalty.facts.events import Event, encode
from sync.chain import StreamHead, walk

EPOCH = 1


def centre_stream_id(name: str) -> str:
    """The stream of a name such as `grants:<till_id>` or `periods`, in the form of a till id."""
    return hashlib.sha256(b"TP-CENTRE1\0" + name.encode()).hexdigest()[:32]


_HERE = update(stream).where(at(bindparam("of"), EPOCH))
_LOCKED = _HERE.values(heard_at_ms=bindparam("now_ms")).returning(stream.c.seq, stream.c.hash, stream.c.genesis)
_WRITTEN = centre_event.insert()
_MOVED = _HERE.values(seq=bindparam("to"), hash=bindparam("to_hash"))


def append_own(
    tx: Connection, name: str, events: Sequence[Event], now_ms: int, randomness: Randomness
) -> StreamHead:
    """Write events at the end of one of the centre's streams, which begins with the first; none only locks it.

    Returns:
        Its new head.
    """
    stream_id = centre_stream_id(name)
    # Written before it is read: this locks the stream for whoever else would append.
    row = ask_first(tx, _LOCKED, {"of": stream_id, "now_ms": now_ms})
    if row is None:
        # It asks for the open period, which a close holds while it waits for streams such as our caller's: once only.
        begin_stream(tx, stream_id, EPOCH, randomness.bytes(32).hex(), "centre", now_ms)
        (row,) = ask(tx, _LOCKED, {"of": stream_id, "now_ms": now_ms})
    head = StreamHead(till_id=stream_id, epoch=EPOCH, seq=row.seq, hash=row.hash)
    payloads = [encode(event) for event in events]
    rows = []
    for payload, link in zip(payloads, walk(head, bytes.fromhex(row.genesis), payloads), strict=True):
        head = link
        written = {"till_id": stream_id, "epoch": EPOCH, "seq": link.seq, "hash": link.hash, "at_ms": now_ms}
        rows.append({"payload": payload, "redacted_ms": 0, "digest": b"", **written})
    if rows:
        tell_each(tx, _WRITTEN, rows)
        tell(tx, _MOVED, {"of": stream_id, "to": head.seq, "to_hash": head.hash})
    return head
