"""The journal as the sync session sees it: what the centre has, what it lacks, what may be forgotten.

Source: sync.md sections 2 and 8.
"""

from collections.abc import Callable

from edge.database import Database
from edge.journal.places import OF_STREAM, place_of, places_after
from loyalty.trouble import InvariantBroken
from sync.blocks import BlockMark
from sync.chain import ZERO_HASH, StreamHead
from sync.envelope import Unsent
from sync.wire import Ack, HelloAnswer

KEPT_EVENTS = 50_000
_PRUNED_AT_ONCE = 500
_COUNTERS_AT_ONCE = 100


class Outbox:
    """The stream of one epoch against the centre's word about it."""

    def __init__(self, database: Database, till_id: str, epoch: int, granted_epoch: int = 0) -> None:
        self._database = database
        self._granted_epoch = granted_epoch
        self._till_id = till_id
        self._epoch = epoch
        self._acked = self._read_acked()
        self._counter = self._reserved = int(database.rows("SELECT value FROM counter WHERE name = 'request'")[0][0])

    def acked(self) -> StreamHead:
        """Where the centre is known to stand; seq 0 until it has said."""
        return self._acked

    def hash_at(self, seq: int) -> str | None:
        """The hash after an event; None when it was never written or is pruned."""
        found = self._database.row("SELECT hash FROM event WHERE place = ?", (place_of(self._epoch, seq),))
        return str(found[0]) if found else None

    def unsent(self, after_seq: int, max_events: int, max_bytes: int) -> list[Unsent]:
        """Events after `after_seq`, gapless and in order; at least one while there is any."""
        taken: list[Unsent] = []
        size = 0
        for seq, payload, hash_ in self._database.rows(
            "SELECT seq, payload, hash FROM event WHERE place BETWEEN ? AND ? ORDER BY place LIMIT ?",
            (*places_after(self._epoch, after_seq), max_events),
        ):
            size += len(payload) + 1
            if seq != after_seq + len(taken) + 1:
                raise InvariantBroken("an event that was to be sent is not in the journal", seq=after_seq + 1)
            if taken and size > max_bytes:
                break
            taken.append(Unsent(seq=seq, payload=payload, hash=hash_))
        return taken

    def oldest_unsent_ms(self) -> int | None:
        """When the first event was written that the centre has not acknowledged (wall); None for none."""
        found = self._database.row(
            "SELECT written_ms FROM event WHERE place = ?", (place_of(self._epoch, self._acked.seq + 1),)
        )
        return int(found[0]) if found else None

    def left_unsent(self) -> int:
        """Events of earlier epochs that the centre has not acknowledged."""
        found = self._database.rows(
            f"SELECT (SELECT e.seq FROM event e WHERE {OF_STREAM} ORDER BY e.place DESC LIMIT 1) - s.acked_seq"
            " FROM stream s WHERE s.epoch <> ?",
            (self._epoch,),
        )
        return sum(max(0, left or 0) for (left,) in found)

    def take_ack(self, ack: Ack) -> None:
        """Keep where the centre stands and what it flagged."""
        with self._database.writing() as writer:
            # Only a hello's answer begins another generation, for only that tells which grants must be shown.
            self._stand(ack, min(ack.generation, self.generation()))
            writer.executemany(
                "INSERT INTO flagged (epoch, seq, cause) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [(self._epoch, seq, cause) for seq, cause in ack.flagged],
            )
        self._acked = ack.head

    def take_hello(self, answer: HelloAnswer) -> None:
        """Keep where the centre stands; after its restore that may be lower than before."""
        with self._database.writing():
            self.keep_hello(answer)
        self.stands(answer.head)

    def keep_hello(self, answer: HelloAnswer) -> None:
        """The same inside a transaction; `stands` is called after it."""
        self._stand(answer, answer.generation)

    def stands(self, head: StreamHead) -> None:
        """What `keep_hello` wrote is safe."""
        self._acked = head

    def generation(self) -> int:
        """The centre's generation: how often it was restored, as its last hello answer said."""
        return int(self._database.remembered("SELECT generation FROM stream WHERE epoch = ?", (self._epoch,))[0][0])

    def newest_block(self) -> BlockMark:
        """The highest block that the centre named in its present generation."""
        query = "SELECT block_no, block_hash FROM stream WHERE epoch = ?"
        block_no, hash_ = self._database.remembered(query, (self._epoch,))[0]
        return BlockMark(block_no=block_no, hash=hash_)

    def next_counter(self, above: int = 0) -> int:
        """A request number greater than any before, reserved a hundred at a time; a restart skips the rest."""
        with self._database.lock:
            value = max(self._counter, above) + 1
            if value > self._reserved:
                reserved = value + _COUNTERS_AT_ONCE - 1
                with self._database.writing() as writer:
                    writer.execute("UPDATE counter SET value = ? WHERE name = 'request'", (reserved,))
                self._reserved = reserved
            self._counter = value
            return value

    def suspended(self) -> str:
        """The code for which uploads rest and no points may be promised; "" when all is well."""
        return str(self._database.remembered("SELECT suspended FROM stream WHERE epoch = ?", (self._epoch,))[0][0])

    def is_resting(self) -> bool:
        """Whether no points may be promised: the stream is suspended, or its leases are."""
        query = "SELECT suspended <> '' OR leases_suspended <> '' FROM stream WHERE epoch = ?"
        return bool(self._database.remembered(query, (self._epoch,))[0][0])

    def leases_suspended(self) -> str:
        """Why this till told that it spends nothing of its leases and floats; "" while it does."""
        query = "SELECT leases_suspended FROM stream WHERE epoch = ?"
        return str(self._database.rows(query, (self._epoch,))[0][0])

    def set_leases_suspended(self, reason: str) -> None:
        """Keep it, through a restart too; call inside a transaction."""
        self._database.writer.execute("UPDATE stream SET leases_suspended = ? WHERE epoch = ?", (reason, self._epoch))

    def set_suspended(self, code: str) -> None:
        """Keep what the sync session found, through a restart too."""
        if code != self.suspended():
            with self._database.writing() as writer:
                writer.execute("UPDATE stream SET suspended = ? WHERE epoch = ?", (code, self._epoch))

    def flagged(self) -> list[tuple[int, int, str]]:
        """(epoch, seq, cause) of events that head office has a question about."""
        return [(e, s, c) for e, s, c in self._database.rows("SELECT epoch, seq, cause FROM flagged ORDER BY 1, 2, 3")]

    def prune(self, before_ms: int, *, keep: int = KEPT_EVENTS, after_each: Callable[[], object] = lambda: None) -> int:
        """Forget events that the centre acknowledged, written before an instant, beyond the newest `keep`.

        A small shop keeps its receipts for months that way, to take goods back. Oldest first, so that no gap
        opens; what the centre has not acknowledged, and the last event it has, always stay.

        Args:
            after_each: called after each small step.
        Returns:
            How many events went.
        """
        gone = 0
        for epoch, acked_seq, newest, first_young in self._database.rows(
            "SELECT s.epoch, s.acked_seq, max(e.seq), min(CASE WHEN e.written_ms >= ? THEN e.seq END)"
            f" FROM stream s JOIN event e ON {OF_STREAM} GROUP BY s.epoch",
            (before_ms,),
        ):
            old = newest if first_young is None else first_young - 1
            gone += self._prune_upto(epoch, min(acked_seq - 1, old, newest - keep), after_each)
        return gone

    def _prune_upto(self, epoch: int, upto: int, after_each: Callable[[], object]) -> int:
        # In small steps, so that no sale waits long for its turn.
        gone = 0
        while True:
            with self._database.writing() as writer:
                went = writer.execute(
                    "DELETE FROM event WHERE place IN"
                    " (SELECT place FROM event WHERE place > ? AND place <= ? ORDER BY place LIMIT ?)",
                    (place_of(epoch, 0), place_of(epoch, max(0, upto)), _PRUNED_AT_ONCE),
                ).rowcount
                writer.execute("DELETE FROM flagged WHERE epoch = ? AND seq <= ?", (epoch, upto))
            gone += went
            if went:
                after_each()
            if went < _PRUNED_AT_ONCE:
                return gone

    def _stand(self, said: Ack | HelloAnswer, generation: int) -> None:
        writer = self._database.writer
        writer.execute(
            "UPDATE stream SET acked_seq = ?, acked_hash = ? WHERE epoch = ?",
            (said.head.seq, said.head.hash, self._epoch),
        )
        # A lower block than one it named before is no news but a loss, which the next hello reports; a restore that was
        # noted begins a new generation, and then its word holds.
        writer.execute(
            "UPDATE stream SET generation = ?1, block_no = ?2, block_hash = ?3"
            " WHERE epoch = ?4 AND (generation < ?1 OR block_no <= ?2)",
            (generation, said.block_no, said.block_hash, self._epoch),
        )

    def _read_acked(self) -> StreamHead:
        with self._database.writing() as writer:
            writer.execute(
                "INSERT INTO stream"
                " (epoch, till_id, acked_seq, acked_hash, generation, block_no, block_hash, suspended, granted_epoch)"
                " VALUES (?, ?, 0, ?, 0, 0, ?, '', ?) ON CONFLICT DO NOTHING",
                (self._epoch, self._till_id, ZERO_HASH, ZERO_HASH, self._granted_epoch),
            )
        seq, hash_ = self._database.rows("SELECT acked_seq, acked_hash FROM stream WHERE epoch = ?", (self._epoch,))[0]
        return StreamHead(till_id=self._till_id, epoch=self._epoch, seq=seq, hash=hash_)
