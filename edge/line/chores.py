"""Housekeeping by the clock, and a watchdog that does not trust the clock.

APScheduler sleeps by wall-clock arithmetic: after a step back it would rest for the length of the step. So a thread of
our own compares both clocks, and on a step has every chore timed anew. Source: pitfalls.md, "APScheduler 3.x".
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping

import msgspec
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from edge.cache.cache import Cache
from edge.identity import TillIdentity
from edge.journal.giving_back import give_back
from edge.journal.journal import Journal
from edge.line.sharing import Sharing
from edge.line.uplink import Uplink
from edge.ports import Clock, Instant
from loyalty.trouble import Fault, Trouble
from sync.chain import next_head

STEP_MS = 5_000  # how far the clocks may drift apart between two looks
WATCH_S = 10.0
LATE_TURNS, LATE_MS = 3, 60_000
_CHECKED_EVENTS, _CHECKED_BYTES = 500, 2 * 1024 * 1024
_OUTCOMES = {
    EVENT_JOB_EXECUTED: "done",
    EVENT_JOB_ERROR: "failed",
    EVENT_JOB_MISSED: "missed",
    EVENT_JOB_MAX_INSTANCES: "still_running",
}
_log = logging.getLogger(__name__)


class ChainBroken(Fault):
    code = "journal.chain_broken"
    status = 500


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """When a chore was last done (monotonic, none for never), and what its last run said where that failed. `is_late`:
    it does not fail and was not done for three of its turns, so it hangs."""

    done_mono_ms: int | None = None
    failing: str = ""
    is_late: bool = False


class Chore(msgspec.Struct, frozen=True, kw_only=True):
    """Something to do every so often."""

    name: str
    every_s: int
    do: Callable[[], object]


def chores_of(
    journal: Journal,
    cache: Cache,
    identity: TillIdentity,
    clock: Clock,
    sharing: Sharing | None = None,
) -> tuple[Chore, ...]:
    """What a till's files need: forget what is old and safe, empty the log, look whether the chain still holds; and
    points set aside that nobody will spend any more go back, and what was sent to other tills arrives."""
    shared = (Chore(name="send_again", every_s=20, do=sharing.send_again),) if sharing else ()
    return (
        *shared,
        Chore(name="give_back", every_s=30, do=lambda: give_back(journal, clock.now())),
        Chore(name="prune", every_s=3600, do=journal.prune),
        Chore(name="members", every_s=3600, do=cache.forget_members),
        Chore(name="checkpoint", every_s=300, do=journal.checkpoint),
        Chore(name="chain", every_s=900, do=lambda: check_chain(journal, identity)),
    )


def check_chain(journal: Journal, identity: TillIdentity) -> int:
    """Walk the first events that head office lacks, as they are stored now.

    Returns:
        How many were walked.
    Raises:
        ChainBroken: somebody or something changed them.
    """
    at = journal.outbox.acked()
    events = journal.outbox.unsent(at.seq, _CHECKED_EVENTS, _CHECKED_BYTES)
    for event in events:
        at = next_head(at, identity.genesis, event.payload)
        if at.hash != event.hash:
            raise ChainBroken(
                f"Event {event.seq} in the journal is not what was written. Start the service again: it saves what is "
                "true, and sells on. Tell head office, and have the disk looked at.",
                seq=event.seq,
            )
    return len(events)


class Chores:
    """Runs chores in the background until stopped. A failing one is counted and logged, and comes again in its turn.

    Args:
        uplink: to be raised when its thread died; none for a till that stays alone.
        works: called by the watchdog after each look that came to its end.
    """

    def __init__(
        self, chores: tuple[Chore, ...], *, uplink: Uplink | None, clock: Clock, watch_s: float = WATCH_S,
        works: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        self._works = works
        self._uplink, self._clock, self._watch_s = uplink, clock, watch_s
        self._scheduler = BackgroundScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
        )
        self._scheduler.add_listener(self._heard, sum(_OUTCOMES))
        for chore in chores:
            self._scheduler.add_job(chore.do, IntervalTrigger(seconds=chore.every_s), id=chore.name, name=chore.name)
        self._runs: Counter[tuple[str, str]] = Counter()
        self._last: dict[str, Ran] = {chore.name: Ran() for chore in chores}
        self._late_ms = {chore.name: LATE_TURNS * chore.every_s * 1000 + LATE_MS for chore in chores}
        self._begun_ms = clock.now().mono_ms
        self._stopping = threading.Event()
        self._watchdog = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()
        self._watchdog.start()

    def stop(self) -> None:
        """Wait for the chore at hand, then end."""
        self._stopping.set()
        self._watchdog.join()
        self._scheduler.shutdown(wait=True)

    def runs(self) -> Mapping[tuple[str, str], int]:
        """How many runs by (chore, outcome): done, failed, missed, still_running; and what the watchdog did."""
        return dict(self._runs)

    def last(self) -> Mapping[str, Ran]:
        """How each chore last ran."""
        now_ms = self._clock.now().mono_ms
        return {name: self._judged(name, ran, now_ms) for name, ran in self._last.items()}

    def _judged(self, name: str, ran: Ran, now_ms: int) -> Ran:
        since_ms = self._begun_ms if ran.done_mono_ms is None else ran.done_mono_ms
        is_late = not ran.failing and now_ms - since_ms > self._late_ms[name]
        return msgspec.structs.replace(ran, is_late=is_late)

    def look(self, before: Instant, now: Instant) -> None:
        """One look of the watchdog: time chores anew after a step of the clock, raise a dead uplink."""
        stepped_ms = (now.wall_ms - before.wall_ms) - (now.mono_ms - before.mono_ms)
        if abs(stepped_ms) > STEP_MS:
            self._runs["watchdog", "clock_step"] += 1
            _log.warning("the clock of this machine was set by %d s; chores are timed anew", stepped_ms // 1000)
            for job in self._scheduler.get_jobs():
                job.reschedule(job.trigger)
            self._scheduler.wakeup()
        if self._uplink and not self._uplink.status().alive:
            self._runs["watchdog", "uplink_raised"] += 1
            self._uplink.start()

    def _watch(self) -> None:
        before = self._clock.now()
        while not self._stopping.wait(self._watch_s):
            now = self._clock.now()
            self.look(before, now)
            self._works()
            before = now

    def _heard(self, event: object) -> None:
        outcome, name = _OUTCOMES[event.code], event.job_id  # type: ignore[attr-defined]
        self._runs[name, outcome] += 1
        if trouble := getattr(event, "exception", None):
            _log.error("chore %s: %s: %s", name, type(trouble).__name__, trouble)
            said = trouble.code if isinstance(trouble, Trouble) else type(trouble).__name__
            self._last[name] = Ran(done_mono_ms=self._last[name].done_mono_ms, failing=said)
        elif outcome == "done":
            self._last[name] = Ran(done_mono_ms=self._clock.now().mono_ms)
