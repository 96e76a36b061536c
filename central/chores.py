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

from central.expiry import NightlyRun
from central.late import post_arrived, post_overdue
from central.leasing import reclaim_overdue
from central.ports import Clock, Randomness, replayable, writing
from central.recompute import AT_ONCE, recompute_pending
from central.sealing import Sealer
from central.store import SqlCentreStore

LONGEST_RUN_MS = 60_000
STEP_MS = 5_000  # how far the clocks may drift apart between two looks
WATCH_S = 10.0
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
    engine: Engine, store: SqlCentreStore, sealer: Sealer, clock: Clock, randomness: Randomness, grace_days: int
) -> tuple[Chore, ...]:
    """What a centre does besides answering."""

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

    return (
        Chore(name="stamp", every_s=1, do=store.stamp),
        Chore(name="seal", every_s=2, do=seal),
        Chore(name="recompute", every_s=2, do=lambda: recompute_pending(engine, AT_ONCE, clock.wall_ms()).events),
        Chore(name="arrived", every_s=30, do=arrived),
        Chore(name="overdue", every_s=600, do=overdue),
        Chore(name="reclaim", every_s=600, do=reclaim),
        Chore(name="expiry", every_s=300, do=NightlyRun(engine, clock, randomness).step),
    )


def drain(chore: Chore, clock: Clock) -> int:
    """Run a chore until it finds nothing, for a minute at most; how much it did."""
    ends_ms = clock.mono_ms() + LONGEST_RUN_MS
    total = 0
    while (done := chore.do()) and clock.mono_ms() < ends_ms:
        total += done
    return total + done


class Chores:
    """Runs chores in the background until stopped. A failing one is counted and logged, and comes again in its turn."""

    def __init__(self, chores: tuple[Chore, ...], clock: Clock, watch_s: float = WATCH_S) -> None:
        self._clock, self._watch_s = clock, watch_s
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
        self._scheduler.start()
        self._watchdog.start()

    def stop(self) -> None:
        """Wait for the chores at hand, then end."""
        self._stopping.set()
        self._watchdog.join()
        self._scheduler.shutdown(wait=True)

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

    def _heard(self, event: Any) -> None:
        self._runs[event.job_id, _OUTCOMES[event.code]] += 1
        if trouble := getattr(event, "exception", None):
            _log.error("chore %s: %s: %s", event.job_id, type(trouble).__name__, trouble)
