"""What tills sent, read back from the batches as they were received, with nothing but zlib and JSON."""

import json
import zlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, select

from central.database.tables import batch, stream


def batches_of(connection: Connection, till_id: str, epoch: int) -> Iterator[Row[Any]]:
    """The batches of a stream in order."""
    here = batch.c.till_id == till_id, batch.c.epoch == epoch
    yield from connection.execute(select(batch).where(*here).order_by(batch.c.last_seq))


def payloads_in(body: bytes) -> list[bytes]:
    """The bytes of each event in a batch's body. Raises: ValueError where it cannot be inflated."""
    try:
        return zlib.decompress(body).split(b"\n")[:-1]
    except zlib.error as trouble:
        raise ValueError(f"a body that cannot be inflated: {trouble}") from None


def lines_of(row: Row[Any]) -> list[tuple[int, bytes]]:
    """Sequence number and bytes of each event that a batch brought first. Raises: as `payloads_in`."""
    lines = payloads_in(bytes(row.body))
    return [(seq, line) for seq, line in enumerate(lines, start=row.first_seq) if seq >= row.posted_from]


def stored_events(connection: Connection) -> Iterator[dict[str, Any]]:
    """Every event of every till as JSON, stream by stream; bytes that are no JSON object come as type `unreadable`."""
    tills = select(stream).where(stream.c.state != "centre").order_by(stream.c.till_id, stream.c.epoch)
    for one in connection.execute(tills).all():
        for row in batches_of(connection, one.till_id, one.epoch):
            yield from (event_of(line) for _, line in lines_of(row))


def event_of(payload: bytes) -> dict[str, Any]:
    """One event as JSON."""
    try:
        event = json.loads(payload)
    except (ValueError, RecursionError):
        event = None
    return event if isinstance(event, dict) and "type" in event else {"type": "unreadable"}
