"""Reading events back from the batches they came in, which are kept as received, or as redacting left them."""

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, func, select

from central.coalition.streams import at
from central.database.asking import ask_first, ask_one
from central.database.rows import find
from central.database.tables import batch, event, stream
from loyalty.lots import EventRef
from loyalty.trouble import InvariantBroken
from sync.chain import StreamHead, payload_digest, walk_digests
from sync.wire import BatchHeader

DIGEST = 32


def payloads_of(connection: Connection, refs: Iterable[EventRef]) -> dict[EventRef, bytes]:
    """The bytes of these events, those whose goods were let go without them; one that never came is left out."""
    wanted = {(ref.till_id, ref.epoch, ref.seq) for ref in refs}
    lines = {}
    for row in _batches(connection, wanted, ["till_id", "epoch", "first_seq", "body"]):
        for seq, line in enumerate(inflated(row.body), row.first_seq):
            if (row.till_id, row.epoch, seq) in wanted:
                lines[EventRef(till_id=row.till_id, epoch=row.epoch, seq=seq)] = line
    return lines


def told_again(connection: Connection, told: Iterable[tuple[EventRef, bytes]]) -> set[tuple[EventRef, bytes]]:
    """Those of these that are an event and the very bytes it came with, also where its goods were let go since."""
    asked: dict[EventRef, list[bytes]] = {}
    for ref, payload in told:
        asked.setdefault(ref, []).append(payload)
    same = set()
    places = {(ref.till_id, ref.epoch, ref.seq) for ref in asked}
    for row in _batches(connection, places, ["till_id", "epoch", "first_seq", "redacted_ms", "digests", "body"]):
        genesis = genesis_of(connection, row.till_id, row.epoch)
        for seq, digest in enumerate(_digests(row, genesis), row.first_seq):
            ref = EventRef(till_id=row.till_id, epoch=row.epoch, seq=seq)
            same |= {(ref, one) for one in asked.get(ref, ()) if payload_digest(genesis, one) == digest}
    return same


def _holding() -> Any:
    """The batch in which an event is."""
    here = batch.c.till_id == bindparam("till"), batch.c.epoch == bindparam("in_epoch")
    last = select(func.min(batch.c.last_seq)).where(*here, batch.c.last_seq >= bindparam("event")).scalar_subquery()
    return select(batch).where(*here, batch.c.last_seq == last)


_HOLDING = _holding()
_GENESIS = select(stream.c.genesis).where(at(bindparam("till"), bindparam("in_epoch")))


def hash_at(connection: Connection, till_id: str, epoch: int, seq: int) -> str:
    """The hash after an event, from the header of the batch that ends there, else walked through its batch."""
    row = ask_first(connection, _HOLDING, {"till": till_id, "in_epoch": epoch, "event": seq})
    if row is None:
        raise InvariantBroken("no batch holds this event", till_id=till_id, epoch=epoch, seq=seq)
    header = msgspec.json.decode(row.header, type=BatchHeader)
    if header.last_seq == seq:
        return header.head_hash
    before = StreamHead(till_id=till_id, epoch=epoch, seq=header.first_seq - 1, hash=header.prev_hash)
    digests = _digests(row, genesis_of(connection, till_id, epoch))
    return list(walk_digests(before, digests[: seq - before.seq]))[-1].hash


def inflated(body: bytes) -> list[bytes]:
    """The lines of a body, an event each. Intake has checked length and hash, so it is inflated whole."""
    return zlib.decompress(body).split(b"\n")[:-1]


def _batches(
    connection: Connection, wanted: Iterable[tuple[str, int, int]], columns: Sequence[str]
) -> Sequence[Row[Any]]:
    """The batches that brought these events."""
    keys = [{"till_id": till_id, "epoch": epoch, "seq": seq} for till_id, epoch, seq in wanted]
    rows = find(connection, event, keys, ["till_id", "epoch", "seq", "batch_seq"])
    places = {(row.till_id, row.epoch, row.batch_seq) for row in rows}
    return find(connection, batch, [{"till_id": t, "epoch": e, "last_seq": s} for t, e, s in places], columns)


def genesis_of(connection: Connection, till_id: str, epoch: int) -> bytes:
    """The secret nonce of a stream, 32 bytes."""
    return bytes.fromhex(ask_one(connection, _GENESIS, {"till": till_id, "in_epoch": epoch}))


def _digests(row: Row[Any], genesis: bytes) -> list[bytes]:
    """`d_n` of each event of a batch."""
    if row.redacted_ms:
        return [row.digests[at : at + DIGEST] for at in range(0, len(row.digests), DIGEST)]
    return [payload_digest(genesis, line) for line in inflated(row.body)]
