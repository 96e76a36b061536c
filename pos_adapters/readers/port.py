"""The device: one thread that keeps a reader's port open and hands on what is read.

pyserial stays behind `Port` and `open_serial`. What it does when a device is pulled out was tried on Linux: read
raises SerialException (an OSError), `in_waiting` a plain OSError, settings and flushes termios.error, which is none;
closing while another thread reads ends in a TypeError, so stopping goes by `cancel_read`.
"""

import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec
import serial

from loyalty.cards.cards import CardRules, Outcome, WalletCheck
from pos_adapters.readers.framer import Frame, Framer, Framing
from pos_adapters.readers.interpreter import Interpreter
from pos_adapters.readers.profile import Profile
from pos_adapters.readers.ssi import SsiFramer

PORT_TROUBLE: tuple[type[Exception], ...] = (OSError,)
if sys.platform != "win32":
    import termios

    PORT_TROUBLE = (OSError, termios.error)

READ_TIMEOUT_S = 0.1
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 5.0
READ_AT_MOST = 4096
WRITE_TIMEOUT_S = 0.5

State = Literal["up", "down", "stopped"]


class Port(Protocol):
    """What we need of a serial port. `read` returns b"" after READ_TIMEOUT_S, or at once after its `cancel_read`."""

    @property
    def in_waiting(self) -> int: ...
    def read(self, size: int = 1, /) -> bytes: ...
    def write(self, data: bytes, /) -> int | None: ...
    def close(self) -> None: ...


def _nothing() -> None:
    return None


class ReaderHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One reader's counters since its start. Pairs are (reason or kind, how many), sorted; no text that was read.

    Attributes:
        last_rx_age_s: seconds since the last byte; None before the first.
        opened: how often the port was opened; more than once means it was pulled out.
        dropped: outcomes that nobody took, because the queue behind `on_outcome` was full.
        trouble: what the system last said of the port.
    """

    name: str
    state: State
    last_rx_age_s: float | None
    opened: int
    frames: int
    outcomes: tuple[tuple[str, int], ...]
    rejects: tuple[tuple[str, int], ...]
    without_aim: int
    dropped: int
    trouble: str | None


def open_serial(profile: Profile) -> Port:
    """Open the reader's port for us alone. The name is resolved anew each time, so a replugged link is followed.

    Raises:
        OSError, termios.error: it is not there, or somebody else has it.
    """
    port = serial.serial_for_url(
        profile.port,
        do_not_open=True,
        baudrate=profile.baud,
        bytesize=profile.bytesize,
        parity=profile.parity,
        stopbits=profile.stopbits,
        timeout=READ_TIMEOUT_S,
        # pyserial's RFC 2217 client refuses this one.
        write_timeout=None if profile.port.startswith("rfc2217://") else WRITE_TIMEOUT_S,
        exclusive=True,
    )
    # Before the port is open, for a reader that draws its power from a line forgets its settings when that drops.
    if profile.dtr is not None:
        port.dtr = profile.dtr
    if profile.rts is not None:
        port.rts = profile.rts
    port.open()
    opened: Port = port
    return opened


def framer_of(profile: Profile) -> Framing:
    """The framer for a reader."""
    return SsiFramer(profile) if profile.framing == "ssi" else Framer(profile)


class ReaderLoop:
    """Reads one reader until stopped, through unplugging and replugging.

    Args:
        on_outcome: called on the reader's thread; must return at once and raise nothing but queue.Full, which
            `queue.Queue(n).put_nowait` does: then the newest outcome is dropped and counted.
        wallet: time and key for codes on phones, asked on the reader's thread once a frame.
        on_state: called with `up`, `down` or `stopped` when that changes.
        on_frame: called with each frame before it is interpreted, for whoever sets a reader up; it must not keep it.
        on_nothing: called instead of `on_outcome` when nothing came of a frame: it was unfinished, or the same again.
        open_port, monotonic_s, pause: what tests replace; `pause` waits that many seconds or until `stop`.
    """

    def __init__(
        self,
        profile: Profile,
        rules: CardRules,
        on_outcome: Callable[[Outcome], None],
        *,
        wallet: Callable[[], WalletCheck | None] = lambda: None,
        on_state: Callable[[State], None] = lambda state: None,
        on_frame: Callable[[Frame], None] = lambda frame: None,
        on_nothing: Callable[[], None] = lambda: None,
        open_port: Callable[[Profile], Port] = open_serial,
        monotonic_s: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self.profile = profile
        self._framer = framer_of(profile)
        self._interpreter = Interpreter(rules, profile, wallet)
        self._on_outcome, self._on_state = on_outcome, on_state
        self._on_frame, self._on_nothing = on_frame, on_nothing
        self._open_port, self._monotonic_s = open_port, monotonic_s
        self._stopping = threading.Event()
        self._pause = pause or self._stopping.wait
        self._port: Port | None = None
        self._port_lock = threading.Lock()  # so that `stop` never cancels on a port that is being closed
        self._thread: threading.Thread | None = None
        self._state: State = "down"
        self._last_rx_s: float | None = None
        self._opened = self._frames = self._dropped = 0
        self._trouble: str | None = None
        self._pause_s = FIRST_PAUSE_S

    def start(self) -> None:
        """Begin to read on a thread of its own."""
        self._thread = threading.Thread(target=self.run, name=f"reader {self.profile.name}", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> bool:
        """End the thread. Returns whether it ended within `timeout_s`."""
        self._stopping.set()
        with self._port_lock:
            if self._port is not None:
                # Ports on the network have none; their read ends after READ_TIMEOUT_S all the same.
                getattr(self._port, "cancel_read", _nothing)()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def use_rules(self, rules: CardRules) -> None:
        """Read by these card ranges from the next frame on: a new programme came."""
        self._interpreter.rules = rules

    def health(self) -> ReaderHealth:
        """The counters now; may be asked from any thread."""
        seen = self._interpreter
        # Copied at once, for the reader's thread goes on counting.
        rejects = Counter(dict(seen.rejects)) + Counter(dict(self._framer.dropped))
        return ReaderHealth(
            name=self.profile.name,
            state=self._state,
            last_rx_age_s=None if self._last_rx_s is None else self._monotonic_s() - self._last_rx_s,
            opened=self._opened,
            frames=self._frames,
            outcomes=tuple(sorted(dict(seen.outcomes).items())),
            rejects=tuple(sorted(rejects.items())),
            without_aim=seen.without_aim,
            dropped=self._dropped,
            trouble=self._trouble,
        )

    def run(self) -> None:
        """The loop itself, on the calling thread, until `stop`."""
        try:
            while not self._stopping.is_set():
                try:
                    self._read_until_trouble()
                except PORT_TROUBLE as trouble:
                    self._trouble = str(trouble)
                    self._let_go("down")
                    self._pause(self._pause_s)
                    self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        finally:
            self._let_go("stopped")

    def _read_until_trouble(self) -> None:
        port = self._open_port(self.profile)
        with self._port_lock:
            self._port = port
        self._opened += 1
        self._enter("up")
        while not self._stopping.is_set():
            data = port.read(1)
            if data and (waiting := port.in_waiting):
                data += port.read(min(waiting, READ_AT_MOST))
            self._pause_s = FIRST_PAUSE_S  # it reads, so the next trouble is a new one
            now_s = self._monotonic_s()
            if data:
                self._last_rx_s = now_s
            # A read that merely timed out keeps the buffer: only the framer's own silence gives a message up.
            now_ms = int(now_s * 1000)
            frames = self._framer.feed(data, now_ms) if data else self._framer.tick(now_ms)
            # The answer goes first: a scanner that waits for it sends the same again.
            if reply := self._framer.take_replies():
                port.write(reply)
            for frame in frames:
                self._hand_on(frame, now_ms)

    def _hand_on(self, frame: Frame, now_ms: int) -> None:
        self._frames += 1
        self._on_frame(frame)
        outcome = self._interpreter.interpret(frame, now_ms)
        try:
            if outcome is None:
                self._on_nothing()
            else:
                self._on_outcome(outcome)
        except queue.Full:
            self._dropped += 1

    def _let_go(self, state: State) -> None:
        self._framer.reset()
        with self._port_lock:
            port, self._port = self._port, None
            if port is not None:
                port.close()
        self._enter(state)

    def _enter(self, state: State) -> None:
        if state != self._state:
            self._state = state
            self._on_state(state)
