"""The thread that carries bytes between this till and head office; `TillSession` decides what and when.

Sales never wait for it. A line that is down is an ordinary state; a Fault of our own disk is kept for the operator.
"""

import logging
import threading
from collections.abc import Callable, Sequence

import msgspec

from edge.cache.cache import Cache
from edge.identity import TillIdentity
from edge.journal.journal import Journal
from edge.journal.suspending import resume_leases, suspend_leases
from edge.line.http_line import HttpLine
from edge.line.showing import show_grants
from edge.ports import Clock, Settings
from loyalty.trouble import Fault, Refusal, Trouble
from sync.blocks import BlockMark
from sync.chain import StreamHead
from sync.desk import DeskAnswer, DeskWanted
from sync.envelope import Unsent
from sync.lanes import LaneState
from sync.pacing import Moment
from sync.rotation import TillKeys
from sync.schedule import Intervals
from sync.snapshots import ChunkMark, ChunkRows, Manifest, Snapshot, Span
from sync.till_messages import Condition, Request, TillSettings
from sync.till_session import SessionStatus, TillSession, WaitUntil
from sync.transport import LineBroke, LineUntrusted
from sync.wire import Ack, Answer, HelloAnswer, Lane, LeaseAnswer, Page, SignedGrant

VERSION = "0.1"
AFTER_TROUBLE_MS = 5_000
ASK_MS = 2_000  # a customer waits
LONGEST_WAIT_MS = 60_000
_log = logging.getLogger(__name__)

Exchange = Callable[[str, bytes, int], Answer]
"""(url, body, deadline_ms) to the answer; raises a Fault when the line does not hold."""


class JournalStore:
    """Journal and cache as one `sync.ports.TillStore`; `check_room` raises before rows of members are written for
    which there is no room."""

    def __init__(
        self, journal: Journal, cache: Cache, clock: Clock, check_room: Callable[[], object] = lambda: None
    ) -> None:
        self._check_room = check_room
        self._journal = journal
        self._cache = cache
        self._clock = clock

    def head(self) -> StreamHead:
        return self._journal.head()

    def acked(self) -> StreamHead:
        return self._journal.outbox.acked()

    def hash_at(self, seq: int) -> str | None:
        return self._journal.outbox.hash_at(seq)

    def unsent(self, after_seq: int, max_events: int, max_bytes: int) -> Sequence[Unsent]:
        return self._journal.outbox.unsent(after_seq, max_events, max_bytes)

    def take_ack(self, ack: Ack) -> None:
        self._journal.outbox.take_ack(ack)

    def take_hello(self, answer: HelloAnswer) -> None:
        now, through = self._clock.now(), self._journal.head().seq
        cards: dict[int, list[str]] = {}
        if answer.generation > self._journal.outbox.generation():
            # Read before the transaction, which a sale at hand may wait for.
            told = self._journal.told_accounts
            cards = self._cache.cards_of_accounts([*told.named_after(answer.head.seq), *told.named_earlier()])

        def restored() -> None:
            show_grants(self._journal, answer.generation, answer.granted_no, now)
            self._journal.told_accounts.note(cards, through)

        self._journal.take_hello(answer, restored)

    def generation(self) -> int:
        return self._journal.outbox.generation()

    def sealing_key(self) -> str:
        return self._journal.members.sealing_key()

    def newest_block(self) -> BlockMark:
        return self._journal.outbox.newest_block()

    def lane(self, lane: Lane) -> LaneState:
        return self._cache.lane(lane)

    def take_page(self, page: Page, state: LaneState) -> None:
        if page.lane == "members":
            self._check_room()
        # Two files, two transactions, in this order: between them own uses are kept that nobody counts any more.
        self._forget(self._cache.take_page(page, state))

    def snapshot(self) -> Snapshot | None:
        return self._cache.snapshot()

    def begin_snapshot(self) -> None:
        self._cache.begin_snapshot()

    def take_manifest(self, manifest: Manifest) -> None:
        self._cache.take_manifest(manifest)

    def take_chunk(self, mark: ChunkMark, chunk: ChunkRows) -> None:
        self._check_room()
        self._forget(self._cache.take_chunk(mark, chunk))

    def end_snapshot(self) -> None:
        self._cache.end_snapshot()

    def digest(self, span: Span, apart: frozenset[int]) -> tuple[int, str]:
        return self._cache.digest(span, apart)

    def agree(self, span: Span, apart: frozenset[int]) -> None:
        self._cache.agree(span, apart, self._journal.outbox.generation())

    def take_range(self, page: Page, home: bool) -> None:
        self._forget(self._cache.take_range(page, home))

    def _forget(self, taken: Sequence[tuple[int, int]]) -> None:
        """Only what is here to be forgotten: of hundreds of rows few are of members that were here lately, and the sale
        at hand waits for whatever is written to the journal."""
        have = self._journal.own_uses.accounts()
        if mine := [one for one in taken if one[0] in have]:
            self._journal.own_uses.forget(mine)

    def grant_cursor(self) -> int:
        return self._journal.promises.grant_cursor()

    def take_grants(self, grants: Sequence[SignedGrant], asked: Moment) -> None:
        since = msgspec.structs.replace(self._clock.now(), mono_ms=asked.mono_ms, wall_ms=asked.wall_ms)
        with self._journal.writing():
            self._journal.promises.take_grants(grants, since)

    def take_recalls(self, lease_ids: Sequence[str]) -> None:
        with self._journal.writing():
            self._journal.promises.leases.recall(lease_ids)

    def next_counter(self, above: int = 0) -> int:
        return self._journal.outbox.next_counter(above)


class UplinkStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How the conversation stands; `alive` tells whether the thread runs, `last_fault` what our own disk said."""

    session: SessionStatus
    alive: bool
    last_fault: str


class Uplink:
    """One till's line to head office.

    Args:
        exchange: how bytes are carried; over HTTP where none is given.
        random_bits: gives so many random bits, such as `secrets.randbits`.
        intervals: how often to speak when nothing happens.
        own_keys: where the till's keys are kept, so that they can be made new.
        note_head: called with the head of the journal before a batch goes; `check_room`: as of `JournalStore`.
        disk_free_mb: how much room the journal's disk has, -1 where nobody looks.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        cache: Cache,
        identity: TillIdentity,
        settings: Settings,
        clock: Clock,
        random_bits: Callable[[int], int],
        exchange: Exchange | None = None,
        intervals: Intervals | None = None,
        note_head: Callable[[StreamHead], object] = lambda _head: None,
        check_room: Callable[[], object] = lambda: None,
        own_keys: TillKeys | None = None,
        disk_free_mb: Callable[[], int] = lambda: -1,
    ) -> None:
        self._disk_free_mb = disk_free_mb
        self._note_head = note_head
        self._journal = journal
        self._clock = clock
        self._url = settings.centre_url.rstrip("/")
        self._exchange = exchange or HttpLine(settings.centre_ca).exchange
        self._ask_line = exchange or HttpLine(settings.centre_ca).exchange
        self._session = TillSession(
            JournalStore(journal, cache, clock, check_room),
            TillSettings(
                install_id=identity.install_id,
                boot=clock.now().boot,
                version=VERSION,
                lan=settings.lan_listen,
                intervals=intervals or Intervals(),
            ),
            identity.signer,
            identity.centre_keys,
            random_bits,
            own_keys,
            self._condition,
            identity.granted.paper,
        )
        self._lock = threading.Lock()  # the session's: status is asked from other threads
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._online = False
        self._line_code = ""  # why the last request was not answered
        self._last_fault = ""

    # Without a thread

    def run_once(self) -> int:
        """Ask the session, carry one request, give back what came.

        Returns:
            Milliseconds to wait before the next call, 0 for none.
        Raises:
            Fault: our own disk let us down; try again later.
        """
        step = self.ask()
        if isinstance(step, int):
            return step
        self._carry(step)
        return 0

    def ask(self) -> Request | int:
        """The next request, for whoever carries it himself; or the milliseconds for which there is none.

        One at a time: `give` back what came before asking again.
        """
        with self._lock:
            now = self._clock.now()
            step = self._session.next_request(now.moment)
            if isinstance(step, Request) and step.kind == "batch":
                # Before it goes: what was sent under these numbers must never be sent otherwise.
                self._note_head(self._journal.head())
        return max(0, step.mono_ms - now.mono_ms) if isinstance(step, WaitUntil) else step

    def give(
        self, request: Request, answer: Answer | None, code: str = "line.no_answer", came: bytes = b""
    ) -> None:
        """What the line brought for a request; none where nothing came in time, with the code of the Fault, and what
        came of an answer that is not whole.

        Raises:
            Fault: our own disk let us down; ask again later.
        """
        with self._lock:
            now = self._clock.now().moment
            self._line_code = "" if answer else code
            if answer is None:
                self._session.no_answer(now, request, code, came)
            else:
                self._session.take_answer(now, request, answer)
            self._note(request)

    def set_aside(self, hold_id: str, account_id: int, points: int, partial: bool) -> LeaseAnswer | None:
        """Ask head office to set points aside for a sale at hand, beside whatever else is under way.

        Returns:
            What it said, its grant kept; none where it is out of reach, did not answer in time, or our disk is full.
        """
        if not self._url or self.is_offline():
            return None
        try:
            with self._lock:
                now = self._clock.now().moment
                request = self._session.lease_request(
                    now, request_id=hold_id, account_id=account_id, points=points, partial=partial, deadline_ms=ASK_MS
                )
            answer = self._ask_line(self._url + request.path, request.body, request.deadline_ms)
            with self._lock:
                return self._session.take_lease(request, answer)
        except (Fault, Refusal) as trouble:
            _log.info("head office did not set points aside: %s", trouble.code)
            return None

    def ask_desk(self, wanted: DeskWanted) -> DeskAnswer | None:
        """Ask head office something from the counter; card numbers that come with the answer are kept.

        Returns:
            What it said; none where it is out of reach, did not answer in time, or our disk is full.
        """
        if not self._url or self.is_offline():
            return None
        try:
            with self._lock:
                request = self._session.desk_request(self._clock.now().moment, wanted, ASK_MS)
            answer = self._ask_line(self._url + request.path, request.body, request.deadline_ms)
            with self._lock:
                told, spans = self._session.take_desk(request, answer)
            # Every answer names the key; a quote that asks about a certificate writes nothing.
            if spans or told.sealing_key not in ("", self._journal.members.sealing_key()):
                with self._journal.writing():
                    self._journal.members.take(told.sealing_key, spans)
        except (Fault, Refusal) as trouble:
            _log.info("head office did not answer the counter: %s", trouble.code)
            return None
        return told

    def status(self) -> UplinkStatus:
        """For health and screens."""
        with self._lock:
            session = self._session.status(self._clock.now().moment)
        return UplinkStatus(session=session, alive=self._is_alive(), last_fault=self._last_fault)

    def is_offline(self) -> bool:
        """Whether head office is out of reach, or was never reached."""
        return not self._online

    def is_untrusted(self) -> bool:
        """Whether whoever answered last showed a certificate that is not believed here."""
        return self._line_code == LineUntrusted.code

    def _condition(self) -> Condition:
        oldest_ms = self._journal.outbox.oldest_unsent_ms()
        waits_ms = 0 if oldest_ms is None else max(0, self._clock.now().wall_ms - oldest_ms)
        return Condition(oldest_unsent_s=waits_ms // 1000, disk_free_mb=self._disk_free_mb())

    def _carry(self, request: Request) -> None:
        try:
            answer = self._exchange(self._url + request.path, request.body, request.deadline_ms)
        except Fault as fault:
            self.give(request, None, fault.code, fault.came if isinstance(fault, LineBroke) else b"")
            return
        self.give(request, answer)

    def _note(self, request: Request) -> None:
        status = self._session.status(self._clock.now().moment)
        self._online = status.line.state == "online"
        # A session that has just begun knows of no suspension: only a hello that went well lifts the one we keep.
        now = self._clock.now()
        if status.suspended:
            suspend_leases(self._journal, status.suspended, now)
            self._journal.outbox.set_suspended(status.suspended)
        elif self._online and request.kind == "hello":
            self._journal.outbox.set_suspended("")
            resume_leases(self._journal, now)

    # With a thread

    def start(self) -> None:
        """Start the thread, unless it runs or this till stays alone. A thread that died is started anew."""
        if not self._url or self._is_alive():
            return
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="uplink", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Ask the thread to end and wait for it; an exchange under way is given up at the end of the process."""
        self._stopping = True
        self.wake()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def stranger_asked(self) -> None:
        """Somebody on the store's network is not known here: perhaps head office knows them by now."""
        with self._lock:
            self._session.stranger_asked(self._clock.now().moment)
        self.wake()

    def wake(self) -> None:
        """An event was written: ask the session at once."""
        self._wake.set()

    def _is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping:
            # Cleared before the session is asked: what is written after that wakes the wait below.
            self._wake.clear()
            try:
                wait_ms = self.run_once()
                self._last_fault = ""
            except Trouble as trouble:
                self._told(trouble)
                wait_ms = AFTER_TROUBLE_MS
            if wait_ms and not self._stopping:
                self._wake.wait(min(wait_ms, LONGEST_WAIT_MS) / 1000)

    def _told(self, trouble: Trouble) -> None:
        if str(trouble) != self._last_fault:
            _log.error("the uplink rests: %s", trouble)
        self._last_fault = str(trouble)
