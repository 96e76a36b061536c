"""journal.db: what may not be lost. One event table; beside it the members' own uses, holds and floats.

An event row is receipt, outbox and idempotency in one, and the last row is where the stream stands: nothing else
is written for either. Source: house.md section 3; sync.md sections 1, 8, 9.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

import msgspec

from edge.database import MEMORY, Database
from edge.identity import TillIdentity
from edge.journal.certificate_moves import CertificateMoves
from edge.journal.exchanges_kept import ExchangesKept
from edge.journal.leases_held import HeldLease
from edge.journal.left_behind import LeftBehind
from edge.journal.members_kept import MembersKept
from edge.journal.outbox import KEPT_EVENTS, Outbox
from edge.journal.override_tries import OverrideTries
from edge.journal.own_uses import OwnUses
from edge.journal.parked_kept import ParkedKept
from edge.journal.places import NEW_PLACE, OF_STREAM, place_of, places_after
from edge.journal.promises import FloatLeft, Hold, Promises, forget_promised
from edge.journal.tables import make_tables
from edge.journal.told_accounts import CardsOf, ToldAccounts
from edge.journal.transfers import Transfers
from edge.journal.troubles import JournalFull, OtherTill, damaged, trouble_of, trouble_of_opening
from edge.ports import Clock, Instant
from edge.refusals import EventTooLarge
from loyalty.facts.events import Event, Opened, encode, read_head
from loyalty.ledger.books import NOBODY
from loyalty.lots import EventRef
from loyalty.moments import DAY_MS
from loyalty.trouble import InvariantBroken, Trouble
from sync.chain import StreamHead, next_head
from sync.envelope import fits_a_batch
from sync.wire import HelloAnswer

_VERIFIED_AT_ONCE = 1_000


def _nothing() -> None:
    return None


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """How long what head office acknowledged stays: for so many days, and the newest events so many at any age. While
    it is here, a head office that was put back from an older backup gets it again."""

    days: int = 14
    events: int = KEPT_EVENTS


AS_LONG_AS_PROMISED = Kept()


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it is stored: the stream after it, its exact bytes, and the hash of the ask that made it."""

    head: StreamHead
    ask_sha256: str
    payload: bytes

    @property
    def ref(self) -> EventRef:
        """Its place, as another event names it."""
        return EventRef(till_id=self.head.till_id, epoch=self.head.epoch, seq=self.head.seq)

    @property
    def event(self) -> Event:
        """What it says, the detail left undecoded."""
        return read_head(self.payload)


class Journal:
    """The journal of one till in its present epoch. Every method may be called from any thread.

    `append`, and what writes in `promises`, belong inside `with journal.writing():`.

    Attributes:
        promises: floats, leases and holds; `transfers`: rights that move between the tills of the store.
        outbox: what the sync session needs; `left`: what earlier epochs have not sent.
        tries: wrong codes of supervisors; `parked`: baskets laid aside; `exchanges`: which events belong together;
            `own_uses`: what its events add to counters.
        on_full: called after a write that found no room, and was taken back, before its caller is told.
    """

    def __init__(
        self, database: Database, identity: TillIdentity, clock: Clock, kept: Kept = AS_LONG_AS_PROMISED
    ) -> None:
        self._database = database
        self._clock = clock
        self._genesis = identity.genesis
        self._start = StreamHead(till_id=identity.till_id, epoch=identity.epoch)
        self._kept = kept
        self.on_full: Callable[[], object] = _nothing
        self._check_owner(identity)
        self.outbox = Outbox(
            database, identity.till_id, identity.epoch, identity.granted.epoch if identity.provisional else 0
        )
        self.left = LeftBehind(database, identity.till_id, identity.epoch)
        self.promises = Promises(database, identity.epoch)
        self.transfers = Transfers(database, identity.epoch)
        self.members = MembersKept(database, identity.epoch)
        self.told_accounts = ToldAccounts(database, identity.epoch)
        self.tries = OverrideTries(database)
        self.parked = ParkedKept(database, identity.till_id)
        self.exchanges = ExchangesKept(database)
        self.certificates = CertificateMoves(database, identity.epoch)
        self.own_uses = OwnUses(database, identity.epoch)
        last = self._last_of(identity.epoch)
        self._head = last.head if last else self._start
        self._next = self._head
        self._verify_tail()
        with self._database.writing():
            self.own_uses.catch_up()

    @classmethod
    def open(
        cls, path: Path | str, identity: TillIdentity, clock: Clock, kept: Kept = AS_LONG_AS_PROMISED
    ) -> "Journal":
        """Open or make the journal, and walk the chain of what the centre has not acknowledged.

        Args:
            path: of the file, or `:memory:`.
        Raises:
            JournalDamaged: not a database, or its events do not chain.
            OtherTill: another till wrote it, or this one in a later epoch.
            UnsafeDatabase: a setting that we rely on does not hold there.
        """
        with ExitStack() as opened:
            try:
                database = Database(path, synchronous="FULL", trouble_of=trouble_of)
                opened.callback(database.close)
                make_tables(database.tables())
                journal = cls(database, identity, clock, kept)
            except sqlite3.Error as error:
                raise trouble_of_opening(error) from error
            except Trouble as trouble:
                if isinstance(trouble.__cause__, sqlite3.Error):
                    raise trouble_of_opening(trouble.__cause__) from trouble.__cause__
                raise
            except LookupError as error:
                raise damaged("a row that every journal of ours holds is gone") from error
            except (TypeError, ValueError) as error:
                raise damaged(f"it holds what no journal of ours does ({error})") from error
            opened.pop_all()
            return journal

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    # Writing

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One durable transaction; whatever is raised inside leaves nothing behind.

        Raises:
            JournalFull: there is no room; nothing was written, and the next try works once there is.
            JournalDamaged, JournalBroken: the service must be stopped.
        """
        try:
            with self._database.lock:
                uses = self.own_uses.standing
                try:
                    with self._database.writing():
                        self._next = self._head
                        yield
                except BaseException:
                    self.own_uses.standing = uses
                    raise
                self._head = self._next
        except JournalFull:
            # The caller is told no, truly; room is made for the next try.
            self.on_full()
            raise

    @contextmanager
    def apart(self) -> Iterator[None]:
        """A part of a transaction: whatever is raised inside leaves nothing of this part behind."""
        writer, before, uses = self._database.writer, self._next, self.own_uses.standing
        writer.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            self._next, self.own_uses.standing = before, uses
            self._database.taken_back()
            if writer.in_transaction:  # a full disk has rolled back by itself already
                writer.execute("ROLLBACK TO part")
                writer.execute("RELEASE part")
            raise
        writer.execute("RELEASE part")

    def append(self, event: Event, *, ask_sha256: str = "", of_id: str | None = None) -> StreamHead:
        """Write an event at the end of the stream, inside a transaction.

        Args:
            ask_sha256: of the ask that made it, by which a retry is known.
            of_id: the receipt that it voids or takes back.
        Returns:
            The stream after it. It counts once the transaction is through.
        Raises:
            EventTooLarge: no batch could carry it, and nothing behind it would ever be sent.
        """
        if not self._database.is_writing():
            raise InvariantBroken("an event was written outside a transaction", receipt_id=event.receipt_id)
        payload = encode(event)
        if not fits_a_batch(payload):
            raise EventTooLarge("This is more than can be sent to head office at once. Split it.", bytes=len(payload))
        head = next_head(self._next, self._genesis, payload)
        kind = str(type(event).__struct_config__.tag)
        self._database.writer.execute(
            "INSERT INTO event (place, epoch, seq, receipt_id, ask_sha256, kind, of_id, written_ms, payload, hash)"
            f" VALUES ({NEW_PLACE}, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            (
                head.epoch, head.seq, event.receipt_id, ask_sha256, kind, of_id, self._clock.now().wall_ms, payload,
                head.hash,
            ),
        )  # fmt: skip
        self.own_uses.keep(event, head)
        self.certificates.keep(event, head)
        self._next = head
        return head

    # Reading

    @contextmanager
    def still(self) -> Iterator[None]:
        """Nothing is written or forgotten meanwhile, for reads that belong together."""
        with self._database.lock:
            yield

    def head(self) -> StreamHead:
        """The last event written; seq 0 in a new epoch."""
        return self._head

    def backlog(self) -> int:
        """Events that the centre has not acknowledged."""
        return max(0, self._head.seq - self.outbox.acked().seq)

    def find(self, receipt_id: str) -> Entry | None:
        """The event of an id, of any epoch that is still kept."""
        found = self._entries("receipt_id = ?", receipt_id)
        return found[0] if found else None

    def reversals_of(self, receipt_id: str) -> list[Entry]:
        """Void and returns of a receipt, in the order in which they were written."""
        return self._entries("of_id = ?", receipt_id)

    def entries_after(self, seq: int) -> list[Entry]:
        """Events of this epoch after a sequence number."""
        return self._entries("place BETWEEN ? AND ?", *places_after(self._start.epoch, seq))

    def last_close(self) -> Entry | None:
        """The last till close of this epoch."""
        return next(iter(self.closes_after(0, most=1)), None)

    def closes_after(self, seq: int, *, most: int = -1) -> list[Entry]:
        """Till closes of this epoch after a sequence number, the last first. Args: `most`: so many; -1 for all."""
        return self._entries(
            "kind = 'till_close.v1' AND place BETWEEN ? AND ?", *places_after(self._start.epoch, seq),
            order=f"place DESC LIMIT {most}",
        )  # fmt: skip

    def closes_before(self, day: date, *, most: int) -> list[Entry]:
        """Closes of this epoch of earlier business dates, the last written first. Args: `most`: so many."""
        first, last = places_after(self._start.epoch, 0)
        return self._entries(
            "kind = 'till_close.v1' AND place BETWEEN ? AND ? AND receipt_id < ?", first, last, f"till_close:{day}",
            order=f"place DESC LIMIT {most}",
        )  # fmt: skip

    def left_behind(self) -> StreamHead | None:
        """The last event of the epoch before this one; None in the first."""
        # An epoch that the till gave itself has a higher number than the enrolment that followed it.
        found = self._database.row(
            f"SELECT s.epoch FROM stream s WHERE s.epoch <> ? AND EXISTS (SELECT 1 FROM event e WHERE {OF_STREAM})"
            " ORDER BY iif(s.granted_epoch > 0, s.granted_epoch, s.epoch) DESC, s.epoch DESC LIMIT 1",
            (self._start.epoch,),
        )
        last = self._last_of(found[0]) if found else None
        return last.head if last else None

    # Promises

    def take_hello(self, answer: HelloAnswer, restored: Callable[[], None] = _nothing) -> None:
        """Keep where the centre stands, and who the other tills of the store are.

        Args:
            restored: what to write, in the same transaction, where the centre's generation rose.
        """
        with self.writing():
            has_risen = answer.generation > self.outbox.generation()
            self.outbox.keep_hello(answer)
            self.members.take(answer.sealing_key, ())
            if has_risen:
                self.left.again()
                self.members.sealed_again()
                restored()
        self.outbox.stands(answer.head)
        if answer.peers != self.transfers.peers():
            with self._database.writing():
                self.transfers.take_peers(answer.peers)

    def float_left(self, now: Instant) -> FloatLeft:
        """What may still be promised; nothing while the stream or its leases are suspended."""
        if self.outbox.is_resting():
            return FloatLeft()
        return self.promises.float_left(now, at_least_wall_ms=self.reached_ms())

    def leases_of(self, account_id: int, now: Instant) -> list[HeldLease]:
        """Holds and leases of an account that are here and live; none while the stream or its leases are suspended."""
        if self.outbox.is_resting():
            return []
        return [one for one in self.promises.leases.of_account(account_id, now, self.reached_ms()) if one.is_live]

    def lease(self, lease_id: str, now: Instant) -> HeldLease | None:
        """A live hold or lease by its id."""
        found = None if self.outbox.is_resting() else self.promises.leases.of_id(lease_id, now, self.reached_ms())
        return found if found and found.is_live else None

    def to_give_back(self, now: Instant) -> list[HeldLease]:
        """Holds and leases that should go back to the balance; see `Promises.to_give_back`. None while they are
        suspended: what is left of them is uncertain until the centre was heard."""
        return [] if self.outbox.is_resting() else self.promises.to_give_back(now, self.reached_ms())

    def reached_ms(self) -> int:
        """A wall time that was reached for certain: that of the last event."""
        last = self._database.remembered(
            "SELECT written_ms FROM event WHERE place = ?", (place_of(self._start.epoch, self._head.seq),)
        )
        return last[0][0] if last else 0

    def open_holds(self) -> tuple[Hold, ...]:
        """Holds that keep points now."""
        return self.promises.open_holds(self._clock.now())

    # Keeping house

    def prune(self, after_each: Callable[[], object] = _nothing) -> int:
        """Forget what is acknowledged and was kept long enough; how many events went. `after_each` is called after
        each small step."""
        before_ms = self._clock.now().wall_ms - self.kept_ms
        with self._database.lock:
            self.own_uses.write_all(self._head.seq)  # before events go from which they follow
        after_each()
        gone = self.outbox.prune(before_ms, keep=self._kept.events, after_each=after_each)
        with self._database.writing():
            self.promises.prune(before_ms)
            self.members.prune(before_ms)
            self.left.prune(before_ms)
            self.parked.prune(before_ms)
            self.certificates.prune()
            self.exchanges.prune()
        return gone

    def keep_earlier(self, cards_of: CardsOf) -> None:
        """Before a cache forgets the members of an epoch that is over: note the cards of those whom its events name."""
        if cards := cards_of(self.told_accounts.named_earlier()):
            with self.writing():
                self.told_accounts.note(cards, 0)

    @property
    def kept_ms(self) -> int:
        """How long what head office acknowledged stays."""
        return self._kept.days * DAY_MS

    def checkpoint(self) -> None:
        """Empty the log into the file."""
        self._database.checkpoint()

    def counts(self) -> dict[str, int]:
        """Rows by table, for health and metrics."""
        tables = ("event", "hold", "lease", "flagged")
        rows = {name: int(self._database.rows(f"SELECT count(*) FROM {name}")[0][0]) for name in tables}
        return rows | {"own_use": self.own_uses.count()}

    @property
    def path(self) -> Path | None:
        """Of the file; None in memory."""
        return None if self._database.path == MEMORY else Path(self._database.path)

    # Opening

    def _check_owner(self, identity: TillIdentity) -> None:
        for till_id, epoch, granted in self._database.rows("SELECT till_id, epoch, granted_epoch FROM stream"):
            # An epoch that this till gave itself has a higher number than the enrolment that followed it.
            is_over = epoch <= self._start.epoch or 0 < granted < identity.granted.epoch
            if till_id != self._start.till_id or not is_over:
                raise OtherTill(
                    "This journal was written by another till, or by this one in a later epoch. "
                    "Put the identity that belongs to it back, or keep it aside and enrol anew.",
                    wrote=till_id,
                    epoch=epoch,
                )
        # Uses and holds of an earlier epoch end with it: rows that come down count own events of the present one.
        with self._database.writing() as writer:
            for table in ("own_use", "hold"):
                writer.execute(f"DELETE FROM {table} WHERE epoch <> ? AND account_id <> ?", (self._start.epoch, NOBODY))
            forget_promised(writer)

    def _verify_tail(self) -> None:
        """Walk from what the centre acknowledged to the head. Raises: JournalDamaged."""
        at = self.outbox.acked()
        while at.seq < self._head.seq:
            for entry in self._entries(
                "place BETWEEN ? AND ?", *places_after(at.epoch, at.seq), order=f"place LIMIT {_VERIFIED_AT_ONCE}"
            ):
                at = next_head(at, self._genesis, entry.payload)
                if at != entry.head:
                    raise damaged(f"the chain breaks at event {at.seq}")

    def _last_of(self, epoch: int) -> Entry | None:
        found = self._entries("place BETWEEN ? AND ?", *places_after(epoch, 0), order="place DESC LIMIT 1")
        return found[0] if found else None

    def _entries(self, where: str, *values: str | int, order: str = "place") -> list[Entry]:
        found = self._database.rows(
            f"SELECT epoch, seq, hash, ask_sha256, payload FROM event WHERE {where} ORDER BY {order}", values
        )
        return [
            Entry(
                head=StreamHead(till_id=self._start.till_id, epoch=epoch, seq=seq, hash=hash_),
                ask_sha256=ask,
                payload=payload,
            )
            for epoch, seq, hash_, ask, payload in found
        ]


def open_epoch(journal: Journal, reason: str) -> None:
    """Write the first event of an epoch, unless it is there: why, and the head that the epoch before left behind."""
    with journal.writing():
        if journal.head().seq:
            return
        left = journal.left_behind()
        journal.append(
            Opened(
                receipt_id=f"opened:{journal.head().epoch}",
                reason=reason,
                left_epoch=left.epoch if left else 0,
                left_seq=left.seq if left else 0,
                left_hash=left.hash if left else "",
            )
        )
