"""A device on a serial line and the thread that keeps it: opened anew after every trouble, with pauses that grow.

Source: devices-and-receipts.md B2, B3.
"""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from edge.devices.serial_line import LINE_TROUBLE, Line, LineSetup, open_line

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 5.0

State = TypeVar("State", bound=str)


class LineLoop(Generic[State]):
    """One device. What is done while its line is open is said by `_work`; how it is, by `_enter`.

    Args:
        name: of the thread. down, stopped: the states that the loop itself enters.
        connect, monotonic_s, pause: what tests replace; `pause` waits that many seconds or until `stop`.
    """

    def __init__(
        self,
        name: str,
        setup: LineSetup,
        *,
        down: State,
        stopped: State,
        connect: Callable[[LineSetup], Line] = open_line,
        monotonic_s: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._name, self._setup, self._down, self._stopped = name, setup, down, stopped
        self._connect, self._monotonic_s = connect, monotonic_s
        self._stopping = threading.Event()
        self._pause = pause or self._stopping.wait
        self._thread: threading.Thread | None = None
        self._line: Line | None = None
        self._state = down
        self._opened = 0
        self._trouble = ""
        self._pause_s = FIRST_PAUSE_S

    def start(self) -> None:
        """Begin on a thread of its own."""
        self._thread = threading.Thread(target=self.run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> bool:
        """End the thread; what still waits is not sent. Returns whether it ended within `timeout_s`."""
        self._stopping.set()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def run(self) -> None:
        """The loop itself, on the calling thread, until `stop`."""
        try:
            while not self._stopping.is_set():
                try:
                    line = self._line = self._connect(self._setup)
                    self._opened += 1
                    self._work(line)
                except LINE_TROUBLE as trouble:
                    self._trouble = str(trouble)
                    self._let_go(self._down)
                    self._pause(self._pause_s)
                    self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        finally:
            self._let_go(self._stopped)

    def _work(self, line: Line) -> None:
        """Use an open line until `_stopping`. Raises: what a line raises."""
        raise NotImplementedError

    def _enter(self, state: State) -> None:
        self._state = state

    def _all_is_well(self) -> None:
        """Something arrived at the device: the next trouble is a new one."""
        self._trouble, self._pause_s = "", FIRST_PAUSE_S

    def _let_go(self, state: State) -> None:
        line, self._line = self._line, None
        if line is not None:
            try:
                line.close()
            except LINE_TROUBLE as trouble:
                self._trouble = str(trouble)
        self._enter(state)
