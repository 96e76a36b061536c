"""A printer or display at the other end of a pseudo-terminal: collects bytes, says how it is, can be unplugged."""

import os
import pty
import select
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path


class FarEnd:
    """The device behind a path that stays the same when it is plugged in again.

    Args:
        answers: whether it answers the real-time status request, as printers with a two-way cable do.
    """

    def __init__(self, path: Path, *, answers: bool = False) -> None:
        self.path, self.answers = path, answers
        self.state, self.paper = 0x12, 0x12
        self.got = bytearray()
        self._lock = threading.Lock()
        self._master: int | None = None
        self.plug_in()

    def plug_in(self) -> None:
        """A new terminal under the same name, as udev's link has it."""
        master, slave = pty.openpty()
        tty.setraw(slave)
        name = os.ttyname(slave)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(name)
        os.close(slave)
        self._master = master
        self._thread = threading.Thread(target=self._collect, args=(master,), daemon=True)
        self._thread.start()

    def pull_out(self) -> None:
        """The cable is out: the name leads nowhere."""
        master, self._master = self._master, None
        self.path.unlink(missing_ok=True)
        if master is not None:
            self._thread.join()  # a read under way would keep the terminal alive
            os.close(master)

    def taken(self) -> bytes:
        """Everything that arrived, without the questions how it is."""
        with self._lock:
            return bytes(self.got).replace(b"\x10\x04\x01", b"").replace(b"\x10\x04\x04", b"")

    def _collect(self, master: int) -> None:
        while self._master == master:
            if not select.select([master], [], [], 0.02)[0]:
                continue
            try:
                data = os.read(master, 4096)
            except OSError:
                # Nobody has the other end open: while it is so, a read fails at once.
                time.sleep(0.01)
                continue
            with self._lock:
                self.got += data
            if self.answers:
                for asked, said in ((b"\x10\x04\x01", self.state), (b"\x10\x04\x04", self.paper)):
                    if asked in data:
                        os.write(master, bytes([said]))


def wait_until(is_so: Callable[[], object], what: str, timeout_s: float = 10.0) -> None:
    """Wait for something to become true. Raises: AssertionError naming it."""
    end = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < end, what
        time.sleep(0.01)
