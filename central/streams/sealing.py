"""Commit order made a chain: whatever streams moved since the last block goes into the next one.

A block is found by comparing, never by counting: a stream whose head lies beyond what blocks name of it moved, so what
commits late, or while a block is being made, is in the one after. Batches do not touch these tables. The row in `block`
is the record; no event says it again. Source: ledger.md rule 7; scale.md S14, S15; house.md section 4.
"""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, Engine, and_, bindparam, func, select

from central.database.asking import ask, ask_first, ask_one, tell_each
from central.database.rows import put
from central.database.tables import block, lane, sealed, stream
from central.ports import Clock, reading, replayable, writing
from central.streams.block_copies import copied_beyond, copy_blocks
from central.worklist.worklist import raise_alarm
from sync.blocks import Block, BlockMark, SealedBlock, seal_block
from sync.chain import StreamHead
from sync.keys import Signer
from sync.wire import BatchHeader, Hello

LOCK = "blocks"  # a row of `lane` that is only ever locked
MOST_HEADS = 5_000  # streams that one block names: 0.7 MB of body, copied and walked in one piece


class Sealer:
    """Seals blocks, and copies them out where a folder is set.

    Args:
        signer: the centre's key.
        copies: the folder of the copies; none for no copies.
        most_heads: streams that one block names at most; more that moved go into the blocks after it, at once.
    """

    def __init__(
        self,
        engine: Engine,
        signer: Signer,
        clock: Clock,
        copies: Path | None = None,
        *,
        most_heads: int = MOST_HEADS,
    ) -> None:
        self._engine, self._signer, self._clock, self._copies = engine, signer, clock, copies
        self._most_heads = most_heads
        self._beyond = 0  # told once: a person who settles the alarm is not to find it open again with the next block

    def seal(self) -> int:
        """Seal all streams that moved, in as many blocks as they need. Returns how many are named; 0 for no block, as
        nothing moved.

        Raises:
            CopyFailed: a block cannot be written to the folder of copies; it is sealed, and copied with the next.
        """
        named = 0
        while self._has_moved():
            sealed_now = self._seal()
            named += sealed_now
            # What moves while we seal is for the next round: a busy centre would never come to its copies.
            if sealed_now < self._most_heads:
                break
        if self._copies is not None:
            self._copy_out(self._copies)
        return named

    def _has_moved(self) -> bool:
        with reading(self._engine) as connection:
            return bool(_moved(connection, at_most=1))

    @replayable
    def _seal(self) -> int:
        with writing(self._engine) as tx:
            # One sealer at a time, also among several processes: what the first wrote is seen by the second.
            put(tx, lane, [{"lane": LOCK, "no": 0}], {"no": "keep"}, ["no"])
            heads = _moved(tx, self._most_heads)
            if heads:
                before = newest_block(tx)
                made = Block(
                    block_no=before.block_no + 1,
                    prev_hash=before.hash,
                    sealed_at_ms=self._clock.wall_ms(),
                    heads=tuple(heads),
                )
                _write(tx, made, seal_block(made, self._signer))
            return len(heads)

    def _copy_out(self, folder: Path) -> None:
        with reading(self._engine) as connection:
            copy_blocks(connection, folder)
            newest = newest_block(connection)
        beyond = copied_beyond(folder, newest)
        if beyond and beyond != self._beyond:
            self._alarm(newest, beyond)
        self._beyond = beyond

    @replayable
    def _alarm(self, newest: BlockMark, beyond: int) -> None:
        with writing(self._engine) as tx:
            raise_alarm(tx, "block_lost", LOCK, self._clock.wall_ms(), block_no=newest.block_no, copied=beyond)


_NEWEST = select(block.c.block_no, block.c.hash).order_by(block.c.block_no.desc()).limit(1)


def newest_block(connection: Connection) -> BlockMark:
    """The last block; number 0 before the first."""
    row = ask_first(connection, _NEWEST)
    return BlockMark(block_no=row.block_no, hash=row.hash) if row else BlockMark()


def check_block(tx: Connection, said: Hello | BatchHeader, newest: BlockMark, now_ms: int) -> None:
    """Raise the alarm where a till was told of a block that is not here: this centre has lost what was in it.

    Batches say it as well as hellos, for their acknowledgement replaces the block that the till remembers: one that
    differs would be forgotten before the next hello.

    After a restore from a backup the tills send their own events again; the centre's own facts are gone, and only the
    copied blocks still say how far they had come. Source: house.md section 4, point 6.
    """
    told = {"epoch": said.epoch, "told_no": said.block_no, "told_hash": said.block_hash, "block_no": newest.block_no}
    if said.block_no > newest.block_no:
        raise_alarm(tx, "block_lost", said.till_id, now_ms, **told)
    elif said.block_no and said.block_hash != (ours := _hash_of(tx, said.block_no, newest)):
        raise_alarm(tx, "block_differs", said.till_id, now_ms, **told, hash=ours)


_HASH = select(block.c.hash).where(block.c.block_no == bindparam("no"))


def _hash_of(tx: Connection, block_no: int, newest: BlockMark) -> str:
    """Mostly the till knows the newest, which is at hand."""
    if block_no == newest.block_no:
        return newest.hash
    return ask_one(tx, _HASH, {"no": block_no}) or ""


_NAMED = and_(sealed.c.till_id == stream.c.till_id, sealed.c.epoch == stream.c.epoch)
_BEYOND = (
    select(stream.c.till_id, stream.c.epoch, stream.c.seq, stream.c.hash)
    .join_from(stream, sealed, _NAMED, isouter=True)
    .where(stream.c.seq > func.coalesce(sealed.c.seq, 0))
    .order_by(stream.c.till_id, stream.c.epoch)
    .limit(bindparam("at_most"))
)


def _moved(connection: Connection, at_most: int) -> Sequence[StreamHead]:
    """The first streams, sorted, whose heads no block names yet, as far as they had committed at one moment."""
    rows = ask(connection, _BEYOND, {"at_most": at_most})
    return sorted((StreamHead(**row._mapping) for row in rows), key=lambda head: (head.till_id, head.epoch))


_MADE = block.insert()


def _write(tx: Connection, made: Block, done: SealedBlock) -> None:
    row = {
        "block_no": made.block_no,
        "prev_hash": made.prev_hash,
        "hash": done.hash,
        "body": done.body.encode(),
        "signature": bytes.fromhex(done.signature),
        "key_no": done.key_no,
        "sealed_at_ms": made.sealed_at_ms,
    }
    tell_each(tx, _MADE, [row])
    named = [{"till_id": head.till_id, "epoch": head.epoch, "seq": head.seq, "hash": head.hash,
              "block_no": made.block_no} for head in made.heads]  # fmt: skip
    put(tx, sealed, named, {"seq": "given", "hash": "given", "block_no": "given"})
