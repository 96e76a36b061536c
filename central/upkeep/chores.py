"""Housekeeping by the clock: seal and recompute what came in, post what waited, number what changed for the tills.

Each chore works until nothing is left or its time is up, and can run twice without harm. APScheduler sleeps by the wall
clock, so a watchdog has every chore timed anew when that clock is set. Source: pitfalls.md, "APScheduler 3.x".
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from central.corrections.expiry import NightlyRun
from central.corrections.stray_points import bring_home
from central.database.lanes import TOMBSTONE_DAYS, forget_tombstones
from central.intake.claims import settle_claims
from central.intake.reinstated import replay_reinstated
from central.intake.replaying import replay_all
from central.leases.leasing import reclaim_overdue
from central.ports import Clock, Randomness, replayable, writing
from central.posting.late import post_arrived, post_overdue
from central.recomputing.price_deltas import settle_deltas
from central.recomputing.recompute import AT_ONCE, recompute_pending
from central.streams.sealing import Sealer
from central.tills.parked_baskets import forget_baskets
from central.tills.snapshots import SnapshotMaker
from central.tills.store import SqlCentreStore
from central.upkeep.chore_notes import Ran, Runs
from central.upkeep.redacting import redact

LONGEST_RUN_MS = 60_000
STEP_MS = 5_000  # how far the clocks may drift apart between two looks
WATCH_S = 10.0
EVERY_S = {
    "stamp": 1, "seal": 2, "recompute": 2, "arrived": 30, "overdue": 600, "reclaim": 600, "expiry": 300,
    "alerts": 60, "snapshots": 60, "tombstones": 21_600, "replay": 3600, "claims": 5, "strays": 30,
    "parked": 600, "reseal": 60, "redact": 3600,
}  # fmt: skip
_LONGEST_NOTE = 200
_OUTCOMES = {
    EVENT_JOB_EXECUTED: "done",
    EVENT_JOB_ERROR: "failed",
    EVENT_JOB_MISSED: "missed",
    EVENT_JOB_MAX_INSTANCES: "still_running",
}
_log = logging.getLogger(__name__)


class Chore(msgspec.Struct, frozen=True, kw_only=True):
    """One round of something to do every so often; it says how much it did, 0 when nothing is left."""

    name: str
    every_s: int
    do: Callable[[], int]


def chores_of(
    engine: Engine,
    store: SqlCentreStore,
    sealer: Sealer,
    clock: Clock,
    randomness: Randomness,
    grace_days: int,
    alerts: Callable[[], int] = lambda: 0,
    tombstone_days: int = TOMBSTONE_DAYS,
    receipt_days: int = 0,
) -> tuple[Chore, ...]:
    """What a centre does besides answering; `alerts` looks what is wrong and tells whoever is on call."""

    def seal() -> int:
        sealer.seal()
        return 0  # what moved meanwhile is for the next round, or blocks would follow each other as fast as batches

    @replayable
    def arrived() -> int:
        with writing(engine) as tx:
            return post_arrived(tx, clock.wall_ms(), randomness)

    @replayable
    def overdue() -> int:
        with writing(engine) as tx:
            return post_overdue(tx, clock.wall_ms(), randomness, grace_days)

    @replayable
    def reclaim() -> int:
        with writing(engine) as tx:
            return len(reclaim_overdue(tx, clock.wall_ms(), randomness))

    def replay() -> int:
        replay_all(engine, clock.wall_ms(), randomness, "chore", uploads=False)
        replay_reinstated(engine, clock.wall_ms(), randomness, "chore")
        return 0  # it goes through all there is in one round

    def recompute() -> int:
        done = recompute_pending(engine, AT_ONCE, clock.wall_ms()).events
        return done or settle_deltas(engine, clock.wall_ms(), randomness)

    @replayable
    def tombstones() -> int:
        with writing(engine) as tx:
            forget_tombstones(tx, clock.wall_ms(), tombstone_days)
        return 0  # what is left has not been gone for long enough

    def claims() -> int:
        return settle_claims(engine, clock.wall_ms(), randomness, grace_days)

    def strays() -> int:
        return bring_home(engine, clock.wall_ms(), randomness)

    @replayable
    def parked() -> int:
        with writing(engine) as tx:
            forget_baskets(tx, clock.wall_ms())
        return 0  # the next ones are over at another time

    def let_go() -> int:
        return redact(engine, receipt_days, clock.wall_ms(), randomness)

    snapshots = SnapshotMaker(engine, clock)
    expiry = NightlyRun(engine, clock, randomness).step
    work = {"stamp": store.stamp, "seal": seal, "recompute": recompute, "arrived": arrived, "overdue": overdue,
            "reclaim": reclaim, "expiry": expiry, "alerts": alerts, "snapshots": snapshots.step,
            "tombstones": tombstones, "replay": replay, "claims": claims, "strays": strays,
            "parked": parked, "reseal": store.reseal, "redact": let_go}  # fmt: skip
    return tuple(Chore(name=name, every_s=EVERY_S[name], do=do) for name, do in work.items())


def drain(chore: Chore, clock: Clock) -> int:
    """Run a chore until it finds nothing, for a minute at most; how much it did."""
    ends_ms = clock.mono_ms() + LONGEST_RUN_MS
    total = 0
    while (done := chore.do()) and clock.mono_ms() < ends_ms:
        total += done
    return total + done


class Chores:
    """Runs chores in the background until stopped. A failing one is counted and logged, and comes again in its turn.

    Args:
        note: is given, every `watch_s` and at the end, what ran since it was last given something.
    """

    def __init__(
        self,
        chores: tuple[Chore, ...],
        clock: Clock,
        watch_s: float = WATCH_S,
        note: Callable[[Runs], None] = lambda _: None,
    ) -> None:
        self._clock, self._watch_s, self._note = clock, watch_s, note
        self._new: dict[tuple[str, str], Ran] = {}
        self._lock = threading.Lock()
        self._scheduler = BackgroundScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
        )
        self._scheduler.add_listener(self._heard, sum(_OUTCOMES))
        for chore in chores:
            self._scheduler.add_job(
                drain, IntervalTrigger(seconds=chore.every_s), args=(chore, clock), id=chore.name, name=chore.name
            )
        self._runs: Counter[tuple[str, str]] = Counter()
        self._stopping = threading.Event()
        self._watchdog = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin."""
        # It tells of every run it begins, one a second here.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        # A chore that comes every hour is not late because somebody began to keep house a minute ago.
        begun = Ran(runs=1, last_ms=self._clock.wall_ms())
        self._keep({(job.id, "begun"): begun for job in self._scheduler.get_jobs()})
        self._note_new()
        self._scheduler.start()
        self._watchdog.start()

    def stop(self) -> None:
        """Wait for the chores at hand, then end."""
        self._stopping.set()
        self._watchdog.join()
        self._scheduler.shutdown(wait=True)
        self._note_new()

    def runs(self) -> Mapping[tuple[str, str], int]:
        """How many runs by (chore, outcome): done, failed, missed, still_running; and what the watchdog did."""
        return dict(self._runs)

    def look(self, stepped_ms: int) -> None:
        """One look of the watchdog: by how much the wall clock ran away from the other one since the last."""
        if abs(stepped_ms) <= STEP_MS:
            return
        self._runs["watchdog", "clock_step"] += 1
        _log.warning("the clock of this machine was set by %d s; chores are timed anew", stepped_ms // 1000)
        for job in self._scheduler.get_jobs():
            job.reschedule(job.trigger)
        self._scheduler.wakeup()

    def _watch(self) -> None:
        offset_ms = self._clock.wall_ms() - self._clock.mono_ms()
        while not self._stopping.wait(self._watch_s):
            now_ms = self._clock.wall_ms() - self._clock.mono_ms()
            self.look(now_ms - offset_ms)
            offset_ms = now_ms
            self._note_new()

    def _heard(self, event: Any) -> None:
        ran, said = (event.job_id, _OUTCOMES[event.code]), ""
        self._runs[ran] += 1
        if trouble := getattr(event, "exception", None):
            # A database's own words quote what was written; its kind is enough to look further.
            kind = type(trouble).__name__
            said = kind if isinstance(trouble, DBAPIError) else f"{kind}: {trouble}"
            _log.error("chore %s: %s", event.job_id, said)
        self._keep({ran: Ran(runs=1, last_ms=self._clock.wall_ms(), trouble=said[:_LONGEST_NOTE])})

    def _keep(self, runs: Runs) -> None:
        with self._lock:
            for key, ran in runs.items():
                before = self._new.get(key)
                later = ran if before is None or ran.last_ms >= before.last_ms else before
                self._new[key] = msgspec.structs.replace(later, runs=ran.runs + (before.runs if before else 0))

    def _note_new(self) -> None:
        with self._lock:
            new, self._new = self._new, {}
        try:
            self._note(new)
        except DBAPIError as trouble:
            # The database is away, which the chores themselves say loudest; what ran is told with the next note.
            _log.error("runs of chores cannot be noted: %s", type(trouble.orig).__name__)
            self._keep(new)
