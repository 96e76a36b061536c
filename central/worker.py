"""Keeping house as a process of its own, beside any number of servers that only answer.

Killed at any moment it loses nothing: each chore is one transaction at a time and finds by itself what is left to do.
"""

import signal
import threading
from collections.abc import Callable

from central.arenas import bound_arenas, give_back
from central.migrations import upgrade
from central.ports import Clock, Randomness, Settings, SystemClock, SystemRandomness, open_engine, reach
from central.upkeep.house_lock import AlreadyRunning, HouseLock
from central.upkeep.keeping_house import open_chores, open_store

LOOK_S = 5.0  # how often a worker looks whether the lock is still its own, or free by now


class CentralWorker:
    """The chores of a centre between `start` and `stop`.

    Raises:
        AlreadyRunning: another process keeps house.
        BadSettings, DatabaseAway.
    """

    def __init__(self, settings: Settings, *, clock: Clock | None = None, randomness: Randomness | None = None) -> None:
        clock, randomness = clock or SystemClock(), randomness or SystemRandomness()
        self._engine = open_engine(settings.url, settings.sqlite_cache_mib)
        self._lock = HouseLock(settings.folder, self._engine)
        try:
            reach(self._engine)
            self._lock.take()
            upgrade(self._engine)
            store = open_store(settings, self._engine, randomness)
            self.chores = open_chores(settings, self._engine, store, clock, randomness)
        except BaseException:
            self._close()
            raise

    def start(self) -> None:
        """Begin."""
        self.chores.start()

    def is_alone(self) -> bool:
        """Whether the lock is still ours; else another one keeps house by now, and this one should end."""
        return self._lock.is_held()

    def stop(self) -> None:
        """Finish the chores at hand, then close."""
        self.chores.stop()
        self._close()

    def _close(self) -> None:
        self._lock.close()
        self._engine.dispose()


def run_worker(
    settings: Settings, *, wait: bool = False, tell: Callable[[str], None] = print, look_s: float = LOOK_S
) -> None:
    """Keep house until SIGTERM or SIGINT.

    Args:
        wait: where another process keeps house, take over once it has ended.
    Raises:
        AlreadyRunning: another one keeps house, or has taken over; and as `CentralWorker`.
    """
    bound_arenas()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    worker = _take_turn(settings, wait, stopping, tell, look_s)
    if worker is None:
        return
    worker.start()
    tell(f"Keeping house, data in {settings.folder}")
    while is_alone := worker.is_alone():
        if stopping.wait(look_s):
            break
        give_back()
    tell("Stopping: finishing the chores at hand.")
    worker.stop()
    if not is_alone:
        raise AlreadyRunning("The database let our lock go, and another process keeps house by now. This one ends.")
    tell("Stopped. What is left to do is done at the next start.")


def _take_turn(
    settings: Settings, wait: bool, stopping: threading.Event, tell: Callable[[str], None], look_s: float
) -> CentralWorker | None:
    """A worker that has the lock; none when it was told to stop while it waited."""
    told = False
    while not stopping.is_set():
        try:
            return CentralWorker(settings)
        except AlreadyRunning:
            if not wait:
                raise
        if not told:
            tell("Another process keeps house. Waiting for it to end.")
            told = True
        stopping.wait(look_s)
    return None
