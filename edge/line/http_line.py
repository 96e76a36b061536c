"""Bytes to head office and back, for callers that may never be kept waiting: a sale at hand, the uplink's thread.

The transport cuts a connection when its time is up. Some calls it cannot cut: a resolver of names that never answers, a
network file system under the certificates. So each exchange has a thread of its own, and a caller whose time is up goes
on without it. What such a thread still brings, nobody hears: to the till it was no answer, and the same is sent again,
which head office knows. Source: reliability.md section 1, "Hung upload job, dead thread".
"""

import threading
import time

import requests

from loyalty.trouble import Fault
from sync.transport import LineDown, LineTooSlow, new_session
from sync.transport import exchange as over_http
from sync.wire import Answer

SPARE_MS = 1_000  # so long the transport may take to end by itself once its time is up
MOST_HUNG = 8  # threads that did not end; beyond, nothing is tried until one does


class HttpLine:
    """A session of `requests`, thrown away after every fault; one exchange at a time.

    Args:
        ca_file: as `new_session` wants it.
    """

    def __init__(self, ca_file: str = "") -> None:
        self._ca_file = ca_file
        self._session: requests.Session | None = None
        self._lock = threading.Lock()
        self._hung: list[_Exchange] = []

    def exchange(self, url: str, body: bytes, deadline_ms: int) -> Answer:
        """Bytes there and back, or a Fault, a second after the deadline at the latest. Raises: Fault."""
        ends = time.monotonic() + deadline_ms / 1000
        if not self._lock.acquire(timeout=deadline_ms / 1000):
            raise LineTooSlow("Head office took too long over what was asked before; it is tried again.")
        try:
            left_ms = max(1, round((ends - time.monotonic()) * 1000))
            return self._carried(url, body, left_ms)
        finally:
            self._lock.release()

    def hung(self) -> int:
        """How many exchanges neither ended nor could be cut."""
        return sum(one.is_alive() for one in self._hung)

    def _carried(self, url: str, body: bytes, deadline_ms: int) -> Answer:
        self._hung = [one for one in self._hung if one.is_alive()]
        if len(self._hung) >= MOST_HUNG:
            raise LineTooSlow(
                f"{MOST_HUNG} calls to head office hang and cannot be cut. Look at this machine's name server and its"
                " network; sales go on, and it is tried again as soon as one of them ends.",
                hung=len(self._hung),
            )
        session, self._session = self._session or new_session(self._ca_file), None
        one = _Exchange(session, url, body, deadline_ms)
        try:
            one.start()
        except RuntimeError:  # no thread is to be had
            raise LineDown("This machine has no room for another thread; sending is tried again.") from None
        one.join((deadline_ms + SPARE_MS) / 1000)
        if one.is_alive():
            self._hung.append(one)
            raise LineTooSlow("Head office took too long, and the call does not end; sending is tried again.")
        if one.trouble is not None:
            raise one.trouble
        if one.answer is None:
            raise LineDown("The call to head office broke in our own code; the log says where. Sending is tried again.")
        self._session = session
        return one.answer


class _Exchange(threading.Thread):
    """One request; the answer, or the Fault, is read once the thread has ended. After trouble its session is closed, by
    this thread, for a session that hangs must not keep another one waiting."""

    answer: Answer | None = None
    trouble: Fault | None = None

    def __init__(self, session: requests.Session, url: str, body: bytes, deadline_ms: int) -> None:
        super().__init__(name="line", daemon=True)
        self._session, self._ask = session, (url, body, deadline_ms)

    def run(self) -> None:
        try:
            self.answer = over_http(self._session, *self._ask)
        except Fault as trouble:
            self.trouble = trouble
        finally:
            if self.answer is None:
                self._session.close()
