"""Thousands of tills come back at once after an outage: `python -m tests.faults.herd [TILLS] [EVENTS]`.

The tills' and the centre's own sessions, real bytes, signatures and chains, the centre's own gate; only line, server
and clock are of virtual time. A batch takes as long as the gate believes. Printed: how long all of it took beside
the time in which so many workers could do it at best, what work was for nothing, and when the hotlist that was
published meanwhile had come to the tills.
"""

import heapq
import itertools
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from random import Random
from typing import Any

import msgspec

from central.tills.sync_http import EACH_MS, KINDS, Gate
from sync.centre_session import CentreSession
from sync.chain import StreamHead, next_head
from sync.envelope import MAX_EVENTS, OpenedBatch, Unsent
from sync.keys import Signer, one_key
from sync.pacing import Moment
from sync.ports import CentreFacts
from sync.schedule import Intervals
from sync.till_messages import Request, TillSettings
from sync.till_session import TillSession, WaitUntil
from sync.verdicts import Already, Take
from sync.wire import Ack, Answer
from tests.sync.memory import CENTRE, GENESIS, NOON, MemoryCentre, MemoryTill

WORKERS = 8
SMALL_MS = 10  # what anything but a batch takes the server
LATENCY_MS = 30
LINE_BYTES_MS = 32  # 256 kbit/s, each till's own line
BACK_WITHIN_MS = 5_000
PUBLISHED_AFTER_MS = 30_000
PAYLOAD = b'{"type":"receipt.v1","n":%d}'


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a herd did. Times in seconds; `hotlist_p99_s` from its publication."""

    tills: int
    events: int
    drained_s: float
    ideal_s: float
    batches: int
    batches_for_nothing: int
    turned_away: int
    hotlist_p99_s: float

    @property
    def beyond_ideal(self) -> float:
        return self.drained_s / self.ideal_s


class QueuedTill(MemoryTill):
    """A till with events that it makes when they are asked for, so that millions need no room."""

    def __init__(self, till_id: str, events: int) -> None:
        super().__init__(till_id)
        self._at = {0: self.start}
        head = self.start
        for seq in range(1, events + 1):
            head = next_head(head, GENESIS, PAYLOAD % seq)
            if seq % MAX_EVENTS == 0 or seq == events:
                self._at[seq] = head
        self._last = head

    def head(self) -> StreamHead:
        return self._last

    def hash_at(self, seq: int) -> str | None:
        near = max(known for known in self._at if known <= seq)
        return self._walk(self._at[near], seq)[-1].hash if seq > near else self._at[near].hash

    def unsent(self, after_seq: int, max_events: int, max_bytes: int) -> Sequence[Unsent]:
        upto = min(self._last.seq, after_seq + max_events)
        before = StreamHead(till_id=self.start.till_id, epoch=1, seq=after_seq, hash=self.hash_at(after_seq) or "")
        return [Unsent(seq=head.seq, payload=PAYLOAD % head.seq, hash=head.hash) for head in self._walk(before, upto)]

    def take_ack(self, ack: Ack) -> None:
        self.centre = ack.head
        self._at[ack.head.seq] = ack.head

    def _walk(self, before: StreamHead, upto: int) -> list[StreamHead]:
        heads = []
        for seq in range(before.seq + 1, upto + 1):
            before = next_head(before, GENESIS, PAYLOAD % seq)
            heads.append(before)
        return heads


class ForgetfulCentre(MemoryCentre):
    """Keeps only where each stream stands."""

    def take_batch(self, opened: OpenedBatch, verdict: Take | Already, now_ms: int) -> CentreFacts:
        facts = super().take_batch(opened, verdict, now_ms)
        till_id = opened.header.till_id
        del self.heads[till_id][:-1], self.posted[till_id][:]
        return facts

    def hash_at(self, till_id: str, epoch: int, seq: int) -> str:
        head = self.heads[till_id][-1]
        return head.hash if head.seq == seq else ""


class Herd:
    """Tills, a centre with some workers, and a heap of what happens when."""

    def __init__(self, tills: int, events: int, seed: int = 1, *, is_guarded: bool = True) -> None:
        self.is_guarded = is_guarded
        self.dice = Random(seed)
        self.now = 0
        self._order = itertools.count()
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        keys = {f"{n:032x}": Signer(self.dice.randbytes(32)) for n in range(tills)}
        self.centre = ForgetfulCentre(*keys.items())
        self.speaks = CentreSession(CENTRE, self.dice.randbytes)
        self.gate = Gate(WORKERS, self, lambda: self.now)
        self.waiting: list[Callable[[], None]] = []
        self.busy = 0
        self.batches = self.for_nothing = self.turned_away = 0
        self.has_hotlist: dict[str, int] = {}
        self.stores = {till_id: QueuedTill(till_id, events) for till_id in keys}
        # Much longer than a run: what is measured is the herd, not the day after.
        intervals = Intervals(hello_ms=36_000_000, programme_ms=36_000_000, members_ms=36_000_000)
        for till_id, key in keys.items():
            settings = TillSettings(
                install_id=f"on {till_id}", boot="b", version="1", page_rows=100, intervals=intervals
            )
            session = TillSession(self.stores[till_id], settings, key, one_key(CENTRE.public), self.dice.getrandbits)
            self._at(self.dice.randrange(BACK_WITHIN_MS), self._speaker(till_id, session))
        self._at(PUBLISHED_AFTER_MS, lambda: self.centre.hotlist.append(b'{"card_token":"aa","reason":"stolen"}'))

    def bytes(self, n: int) -> bytes:
        """Randomness, as the gate asks it."""
        return self.dice.randbytes(n)

    def run(self) -> int:
        """Until every till is level and has the hotlist; when the last event was acknowledged, in milliseconds."""
        drained = 0
        while self._heap:
            self.now, _, what = heapq.heappop(self._heap)
            what()
            if drained == 0 and all(store.centre.seq == store.head().seq for store in self.stores.values()):
                drained = self.now
            if drained and len(self.has_hotlist) == len(self.stores):
                return drained
        raise AssertionError("the herd fell silent before it was level")

    def _at(self, when: int, what: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (when, next(self._order), what))

    def _moment(self) -> Moment:
        return Moment(mono_ms=self.now, wall_ms=NOON + self.now)

    def _speaker(self, till_id: str, session: TillSession) -> Callable[[], None]:
        def speak() -> None:
            store = self.stores[till_id]
            if store.lane("hotlist").version and till_id not in self.has_hotlist:
                self.has_hotlist[till_id] = self.now
            step = session.next_request(self._moment())
            if isinstance(step, WaitUntil):
                self._at(max(self.now + 1, step.mono_ms), speak)
            else:
                self._send(till_id, session, step, speak)

        return speak

    def _send(self, till_id: str, session: TillSession, request: Request, then: Callable[[], None]) -> None:
        """A request on its way; given up at its deadline, whatever the server still does with it."""
        state: dict[str, Any] = {"open": True}

        def take(answer: Answer) -> None:
            if state["open"]:
                state["open"] = False
                session.take_answer(self._moment(), request, answer)
                then()
            elif request.kind == "batch":
                self.for_nothing += 1

        def give_up() -> None:
            if state["open"]:
                state["open"] = False
                session.no_answer(self._moment(), request)
                then()

        self._at(self.now + LATENCY_MS + len(request.body) // LINE_BYTES_MS, lambda: self._arrive(request, take))
        self._at(self.now + request.deadline_ms, give_up)

    def _arrive(self, request: Request, take: Callable[[Answer], None]) -> None:
        inside = nullcontext(0) if not self.is_guarded else self.gate.enter(KINDS.get(request.path, "upload"))
        wait_s = inside.__enter__()
        if wait_s:
            inside.__exit__(None, None, None)
            self.turned_away += 1
            refused = Answer(status=503, body=b"", retry_after_s=wait_s)
            self._at(self.now + LATENCY_MS, lambda: take(refused))
            return

        def work() -> None:
            self._at(self.now + (EACH_MS if request.kind == "batch" else SMALL_MS), done)

        def done() -> None:
            answer = self.speaks.answer(NOON + self.now, request.path, request.body, self.centre)
            self.batches += request.kind == "batch"
            inside.__exit__(None, None, None)
            self._at(self.now + LATENCY_MS + len(answer.body) // LINE_BYTES_MS, lambda: take(answer))
            if KINDS.get(request.path) == "urgent":
                return
            if self.waiting:
                self.waiting.pop(0)()
            else:
                self.busy -= 1

        if KINDS.get(request.path) == "urgent":
            # On a thread of its own: the service has one for each place.
            self._at(self.now + SMALL_MS, done)
        elif self.busy < WORKERS:
            self.busy += 1
            work()
        else:
            self.waiting.append(work)


def herd(tills: int, events: int, seed: int = 1, *, is_guarded: bool = True) -> Told:
    """Let a herd come back and drain; where it is not guarded, everybody is let in, as the control."""
    made = Herd(tills, events, seed, is_guarded=is_guarded)
    drained = made.run()
    late = sorted(when - PUBLISHED_AFTER_MS for when in made.has_hotlist.values())
    needed = tills * -(-events // MAX_EVENTS)
    return Told(
        tills=tills,
        events=tills * events,
        drained_s=drained / 1000,
        ideal_s=needed * EACH_MS / WORKERS / 1000,
        batches=made.batches,
        batches_for_nothing=made.batches - needed,
        turned_away=made.turned_away,
        hotlist_p99_s=late[len(late) * 99 // 100] / 1000,
    )


if __name__ == "__main__":
    told = herd(*(int(word) for word in [*sys.argv[1:], *("2000", "1500")[len(sys.argv) - 1 :]]))
    print(msgspec.json.format(msgspec.json.encode(told)).decode())
    print(f"{told.beyond_ideal:.2f} of the ideal")
