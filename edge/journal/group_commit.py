"""Sales that are paid at the same moment are written together, and the disk is waited for once.

Who comes while nobody writes, writes at once, and so a till with one POS loses nothing. Who comes meanwhile is in the
next transaction, which the first of them makes for all. Each is answered after the commit, never before, and what is
refused to one leaves no trace in what the others wrote.
"""

import sqlite3
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from edge.journal.journal import Journal
from loyalty.trouble import Fault

Done = TypeVar("Done")


class _Turn(Generic[Done]):
    """One piece of work, and what came of it."""

    def __init__(self, work: Callable[[], Done]) -> None:
        self.work = work
        self.ready: threading.Event | None = None  # of who waits: it is done, or it is its turn to write for all
        self.leads = False
        self.done: list[Done] = []
        self.trouble: BaseException | None = None


class GroupCommit:
    """Writes to the journal of one till. Every method may be called from any thread."""

    def __init__(self, journal: Callable[[], Journal]) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._waiting: list[_Turn] = []  # type: ignore[type-arg]
        self._is_led = False

    def do(self, work: Callable[[], Done]) -> Done:
        """Do something inside a durable transaction, perhaps on another's thread, and wait until it is safe.

        Returns:
            What `work` returned.
        Raises:
            What `work` raised, after which nothing of it is left; and as `Journal.writing`, to all who wrote together.
        """
        turn = _Turn(work)
        with self._lock:
            self._waiting.append(turn)
            turn.leads = not self._is_led
            if self._is_led:
                turn.ready = threading.Event()
            self._is_led = True
        if turn.ready is not None:
            turn.ready.wait()
        if turn.leads:
            self._lead()
        if turn.trouble is not None:
            raise turn.trouble
        return turn.done[0]

    def _lead(self) -> None:
        """Write for all who wait, and hand over to the first who came meanwhile."""
        with self._lock:
            turns, self._waiting = self._waiting, []
        try:
            journal = self._journal()
            with journal.writing():
                for turn in turns:
                    _do(turn, journal, alone=len(turns) == 1)
        except BaseException as trouble:  # noqa: BLE001 - each of them raises it, on a thread of its own
            for turn in turns:
                turn.trouble = turn.trouble or trouble
        with self._lock:
            self._is_led = bool(self._waiting)
            if self._waiting:
                self._waiting[0].leads = True
                _wake(self._waiting[0])
        for turn in turns:
            _wake(turn)


def _wake(turn: _Turn[Done]) -> None:
    if turn.ready is not None:
        turn.ready.set()


def _do(turn: _Turn[Done], journal: Journal, *, alone: bool) -> None:
    if alone:
        turn.done.append(turn.work())
        return
    try:
        with journal.apart():
            turn.done.append(turn.work())
    except (Fault, sqlite3.Error):
        raise  # the file is in trouble, and so are all who write to it
    except Exception as trouble:  # noqa: BLE001 - its own caller is told, whatever it is
        turn.trouble = trouble
