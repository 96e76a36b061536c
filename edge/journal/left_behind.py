"""What earlier epochs of this till have not sent, as the journal keeps it.

Their events stay where they were written, under their own numbers; what was salvaged and does not follow on lies beside
them, sealed. Source: sync.md sections 7 and 8.
"""

from collections.abc import Iterable

import msgspec

from edge.database import Database
from edge.journal.places import LAST_SEQ, NEW_PLACE, OF_STREAM, place_of, places_after
from sync.chain import ZERO_HASH, StreamHead
from sync.desk import Sealed
from sync.envelope import Unsent

LOOSE_WAITING = "SELECT epoch, first_seq, batch FROM loose WHERE sent_ms = 0 ORDER BY epoch, first_seq"


class Loose(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed batch of events that hang together, while those before them are lost."""

    epoch: int
    first_seq: int
    batch: bytes


class SalvagedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the event table as it was found in the bytes of a damaged file."""

    epoch: int
    seq: int
    receipt_id: str
    ask_sha256: str
    kind: str
    of_id: str | None
    written_ms: int
    payload: bytes
    hash: str


class SalvagedPerson(msgspec.Struct, frozen=True, kw_only=True):
    """Who a new member is, sealed, and the event it was kept for."""

    event_id: str
    epoch: int
    sealed: Sealed


class LeftBehind:
    """The streams of all epochs but the present one."""

    def __init__(self, database: Database, till_id: str, epoch: int) -> None:
        self._database, self._till_id, self._epoch = database, till_id, epoch

    def heads(self) -> list[StreamHead]:
        """Where the centre stands in each epoch that has something to send and was not refused for good."""
        found = self._database.remembered(
            "SELECT s.epoch, s.acked_seq, s.acked_hash FROM stream s WHERE s.epoch <> ? AND s.kept_apart = ''"
            f" AND EXISTS (SELECT 1 FROM event e WHERE {OF_STREAM} AND e.seq > s.acked_seq) ORDER BY 1",
            (self._epoch,),
        )
        return [StreamHead(till_id=self._till_id, epoch=epoch, seq=seq, hash=hash_) for epoch, seq, hash_ in found]

    def tip(self, epoch: int) -> StreamHead:
        """The last event of an epoch that is here; its beginning where there is none."""
        query = "SELECT seq, hash FROM event WHERE place BETWEEN ? AND ? ORDER BY place DESC LIMIT 1"
        found = self._database.row(query, places_after(epoch, 0))
        seq, hash_ = found or (0, ZERO_HASH)
        return StreamHead(till_id=self._till_id, epoch=epoch, seq=seq, hash=hash_)

    def unsent(self, after: StreamHead, max_events: int) -> list[Unsent]:
        """Events right after a head, without a gap."""
        found = self._database.rows(
            "SELECT seq, payload, hash FROM event WHERE place BETWEEN ? AND ? ORDER BY place LIMIT ?",
            (*places_after(after.epoch, after.seq), max_events),
        )
        events = [Unsent(seq=seq, payload=payload, hash=hash_) for seq, payload, hash_ in found]
        return [one for at, one in enumerate(events, after.seq + 1) if one.seq == at]

    def hash_at(self, epoch: int, seq: int) -> str | None:
        """The hash after an event; None where it is not here."""
        found = self._database.row("SELECT hash FROM event WHERE place = ?", (place_of(epoch, seq),))
        return str(found[0]) if found else None

    def has(self, upto: StreamHead, before: int) -> bool:
        """Whether every event of an epoch from right after `before` up to a head is here."""
        here = "SELECT count(*) FROM event WHERE place > ? AND place <= ?"
        places = (place_of(upto.epoch, before), place_of(upto.epoch, upto.seq))
        return bool(self._database.rows(here, places)[0][0] == upto.seq - before)

    def take_head(self, head: StreamHead) -> None:
        """Keep how far the centre has what is here of an epoch."""
        with self._database.writing() as writer:
            writer.execute(
                "UPDATE stream SET acked_seq = ?, acked_hash = ? WHERE epoch = ?", (head.seq, head.hash, head.epoch)
            )

    def stop(self, epoch: int, code: str) -> None:
        """The centre keeps what came of an epoch apart: a person decides there, and nothing more is sent by itself."""
        with self._database.writing() as writer:
            writer.execute(
                "UPDATE stream SET kept_apart = ? WHERE epoch = ? AND epoch <> ?", (code, epoch, self._epoch)
            )

    def again(self) -> None:
        """Head office was put back from a backup and may have lost what it acknowledged of these epochs: all of it that
        is still here is brought again, and what is there already is posted once. Call inside a transaction."""
        # What comes first has nothing before it to follow on, but where it is the first of all.
        self._database.writer.execute(
            "UPDATE stream AS s SET kept_apart = '', (acked_seq, acked_hash) = (SELECT iif(e.seq = 1, 0, e.seq),"
            f" iif(e.seq = 1, ?, e.hash) FROM event e WHERE {OF_STREAM} ORDER BY e.place LIMIT 1)"
            f" WHERE epoch <> ? AND EXISTS (SELECT 1 FROM event e WHERE {OF_STREAM})",
            (ZERO_HASH, self._epoch),
        )
        self._database.writer.execute("UPDATE loose SET sent_ms = 0")

    def loose(self) -> list[Loose]:
        """Batches that the centre has not seen."""
        rows = self._database.rows(LOOSE_WAITING)
        return [Loose(epoch=epoch, first_seq=first_seq, batch=batch) for epoch, first_seq, batch in rows]

    def sent_loose(self, one: Loose, now_ms: int) -> None:
        """The centre has it, or keeps it apart."""
        with self._database.writing() as writer:
            writer.execute(
                "UPDATE loose SET sent_ms = ? WHERE epoch = ? AND first_seq = ?", (now_ms, one.epoch, one.first_seq)
            )

    def prune(self, before_ms: int) -> None:
        """Forget loose batches that the centre had before an instant; call inside a transaction."""
        self._database.writer.execute("DELETE FROM loose WHERE sent_ms BETWEEN 1 AND ?", (before_ms,))

    def keep_salvaged(
        self,
        events: Iterable[SalvagedEvent],
        acked: Iterable[StreamHead],
        granted_epoch: int,
        loose: Iterable[Loose],
        people: Iterable[SalvagedPerson],
    ) -> None:
        """Write what was saved of a damaged journal into this new one, in one transaction.

        Args:
            acked: of each epoch, the head that its first unsent event follows on.
            granted_epoch: of the key that all of them were signed with.
            people: brought to head office again, whatever it had of them: what it has, it keeps once.
        """
        with self._database.writing() as writer:
            for head in acked:
                own = granted_epoch if head.epoch > granted_epoch else 0
                writer.execute(
                    "INSERT INTO stream (epoch, till_id, acked_seq, acked_hash, generation, block_no, block_hash,"
                    " suspended, granted_epoch, uses_seq) VALUES (?, ?, ?, ?, 0, 0, ?, '', ?, ?)",
                    (head.epoch, head.till_id, head.seq, head.hash, ZERO_HASH, own, LAST_SEQ),
                )
            writer.executemany(
                "INSERT INTO event (place, epoch, seq, receipt_id, ask_sha256, kind, of_id, written_ms, payload, hash)"
                f" VALUES ({NEW_PLACE}, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                [msgspec.structs.astuple(one) for one in events],
            )
            writer.executemany(
                "INSERT INTO loose (epoch, first_seq, batch) VALUES (?, ?, ?)",
                [msgspec.structs.astuple(one) for one in loose],
            )
            writer.executemany(
                "INSERT INTO sealed (event_id, epoch, exchange_key, body, taken_ms) VALUES (?, ?, ?, ?, 0)",
                [(one.event_id, one.epoch, one.sealed.exchange_key, one.sealed.body) for one in people],
            )
