"""Reading events back from the batches they came in, which are kept as received."""

import zlib
from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection, func, select

from central.coalition.registry import at
from central.database.rows import find
from central.database.tables import batch, event, stream
from loyalty.lots import EventRef
from loyalty.trouble import InvariantBroken
from sync.chain import StreamHead, walk
from sync.wire import BatchHeader


def payloads_of(connection: Connection, refs: Iterable[EventRef]) -> dict[EventRef, bytes]:
    """The bytes of these events; one that never came is left out."""
    wanted = {(ref.till_id, ref.epoch, ref.seq) for ref in refs}
    keys = [{"till_id": till_id, "epoch": epoch, "seq": seq} for till_id, epoch, seq in wanted]
    rows = find(connection, event, keys, ["till_id", "epoch", "seq", "batch_seq"])
    batches = {(row.till_id, row.epoch, row.batch_seq) for row in rows}
    lines = {}
    for row in find(connection, batch, [{"till_id": t, "epoch": e, "last_seq": s} for t, e, s in batches],
                    ["till_id", "epoch", "first_seq", "body"]):  # fmt: skip
        for seq, line in enumerate(_lines(row.body), row.first_seq):
            if (row.till_id, row.epoch, seq) in wanted:
                lines[EventRef(till_id=row.till_id, epoch=row.epoch, seq=seq)] = line
    return lines


def hash_at(connection: Connection, till_id: str, epoch: int, seq: int) -> str:
    """The hash after an event, from the header of the batch that ends there, else walked through its batch."""
    here = batch.c.till_id == till_id, batch.c.epoch == epoch
    last = select(func.min(batch.c.last_seq)).where(*here, batch.c.last_seq >= seq).scalar_subquery()
    row = connection.execute(select(batch.c.header, batch.c.body).where(*here, batch.c.last_seq == last)).first()
    if row is None:
        raise InvariantBroken("no batch holds this event", till_id=till_id, epoch=epoch, seq=seq)
    header = msgspec.json.decode(row.header, type=BatchHeader)
    if header.last_seq == seq:
        return header.head_hash
    genesis = connection.execute(select(stream.c.genesis).where(at(till_id, epoch))).scalar_one()
    before = StreamHead(till_id=till_id, epoch=epoch, seq=header.first_seq - 1, hash=header.prev_hash)
    heads = list(walk(before, bytes.fromhex(genesis), _lines(row.body)[: seq - before.seq]))
    return heads[-1].hash


def _lines(body: bytes) -> list[bytes]:
    # Intake has checked length and hash; what we stored ourselves is inflated whole.
    return zlib.decompress(body).split(b"\n")[:-1]
