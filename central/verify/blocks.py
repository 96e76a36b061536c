"""The chain of blocks walked: numbers, links, hashes and seals, and that what they name is what the streams hold.

Reads blocks and evidence and writes nothing. What one block breaks is told of that block; the walk goes on from the
hash that stands in its row. Source: ledger.md rules 7 and 10; sync/blocks.py.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from central.database import tables as t
from central.verify.violations import Violations
from sync.blocks import Block, BlockMark, block_hash, seal_holds
from sync.chain import StreamHead
from sync.keys import PublicKeys
from sync.wire import BatchHeader

Stream = tuple[str, int]
Hashes = Mapping[tuple[str, int, int], str]


def check_blocks(db: Connection, found: Violations, keys: PublicKeys | None) -> int:
    """Walk the blocks from the first to the last. Returns how many there are.

    Args:
        keys: the centre's, from where nobody can change them together with the database; none to leave seals unchecked.
    """
    before = BlockMark()
    hashes = _hashes(db)
    last: dict[Stream, tuple[int, str, int]] = {}
    walked = 0
    for row in db.execute(select(t.block).order_by(t.block.c.block_no)):
        walked += 1
        found.differs("block.gap", row.block_no, before.block_no + 1, row.block_no)
        found.differs("block.link", row.block_no, before.hash, row.prev_hash)
        with found.damage("block.unreadable", row.block_no):
            _check_seal(found, row, keys)
            for head in _body(found, row).heads:
                _check_head(found, row.block_no, head, hashes, last)
        before = BlockMark(block_no=row.block_no, hash=row.hash)
    _check_sealed(db, found, last)
    return walked


def _check_seal(found: Violations, row: Row, keys: PublicKeys | None) -> None:  # type: ignore[type-arg]
    found.differs("block.hash", row.block_no, block_hash(row.prev_hash, bytes(row.body)), row.hash)
    if keys is not None:
        public = keys.find(row.key_no)
        good = public is not None and seal_holds(public, row.hash, bytes(row.signature))
        found.differs("block.seal", row.block_no, True, good)


def _body(found: Violations, row: Row[Any]) -> Block:
    made = msgspec.json.decode(bytes(row.body), type=Block)
    told = (made.block_no, made.prev_hash, made.sealed_at_ms)
    found.differs("block.row", row.block_no, told, (row.block_no, row.prev_hash, row.sealed_at_ms))
    return made


def _check_head(
    found: Violations, block_no: int, head: StreamHead, hashes: Hashes, last: dict[Stream, tuple[int, str, int]]
) -> None:
    """Each head is a hash of its stream at that place, and lies beyond the one that an earlier block named."""
    about = f"{block_no}: {head.till_id}/{head.epoch} at {head.seq}"
    found.differs("block.head", about, head.hash, hashes.get((head.till_id, head.epoch, head.seq), "nothing there"))
    stream = (head.till_id, head.epoch)
    found.differs("block.order", about, True, head.seq > last.get(stream, (0, "", 0))[0])
    last[stream] = (head.seq, head.hash, block_no)


def _check_sealed(db: Connection, found: Violations, last: Mapping[Stream, tuple[int, str, int]]) -> None:
    kept = {(row.till_id, row.epoch): (row.seq, row.hash, row.block_no) for row in db.execute(select(t.sealed))}
    for stream in sorted(kept.keys() | last.keys()):
        found.differs("block.sealed", f"{stream[0]}/{stream[1]}", last.get(stream), kept.get(stream))


def _hashes(db: Connection) -> Hashes:
    """The hash of every place where a stream has ever ended: of a till, where a batch does, by its signed header.

    The walk through the streams has proved them; a header that cannot be read proves nothing.
    """
    own = t.centre_event.c
    hashes = {(row.till_id, row.epoch, row.seq): row.hash
              for row in db.execute(select(own.till_id, own.epoch, own.seq, own.hash))}  # fmt: skip
    for row in db.execute(select(t.batch.c.till_id, t.batch.c.epoch, t.batch.c.last_seq, t.batch.c.header)):
        try:
            header = msgspec.json.decode(bytes(row.header), type=BatchHeader)
        except msgspec.MsgspecError:
            continue
        hashes[row.till_id, row.epoch, row.last_seq] = header.head_hash
    return hashes
