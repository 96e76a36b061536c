"""The reader's thread: a real pseudo-terminal that is pulled out and plugged in again, and ports that misbehave."""

import os
import pty
import queue
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from loyalty.cards.cards import Card, CardRules, Code
from pos_adapters.readers.port import ReaderLoop, open_serial
from pos_adapters.readers.profile import Profile
from tests.pos_adapters.samples import RULES

SOON_S = 20  # how long a test waits for another thread before it calls it lost


class Scanner:
    """A scanner on a pseudo-terminal behind a link, as /dev/serial/by-id has them."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.plug_in()

    def plug_in(self) -> None:
        self._master, slave = pty.openpty()
        self.link.symlink_to(os.ttyname(slave))
        os.close(slave)

    def scan(self, data: bytes) -> None:
        os.write(self._master, data)

    def pull_out(self) -> None:
        self.link.unlink()
        os.close(self._master)


@pytest.fixture
def scanner(tmp_path) -> Scanner:
    return Scanner(tmp_path / "scanner")


class Running:
    """A loop on its thread, outcomes and states in queues; a back-off lasts until the test releases one `go_on`."""

    def __init__(self, profile: Profile) -> None:
        self.outcomes: queue.Queue = queue.Queue(10)
        self.states: queue.Queue = queue.Queue()
        self.pauses: list[float] = []
        self.go_on = threading.Semaphore(0)
        self.loop = ReaderLoop(
            profile, RULES, self.outcomes.put_nowait, on_state=self.states.put, pause=self._pause
        )
        self.loop.start()

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.go_on.acquire(timeout=SOON_S)

    def state(self) -> str:
        return self.states.get(timeout=SOON_S)

    def outcome(self):
        return self.outcomes.get(timeout=SOON_S)


@pytest.fixture
def running(scanner) -> Iterator[Running]:
    reader = Running(Profile(name="scanner", port=str(scanner.link)))
    yield reader
    reader.go_on.release()
    assert reader.loop.stop(SOON_S)


def test_a_scan_arrives_as_a_card(scanner, running):
    assert running.state() == "up"
    scanner.scan(b"]E0203721572")
    scanner.scan(b"7383\r]E04006381333931\r")
    assert running.outcome() == Card(kind="ean13", number="2037215727383", last4="7383")
    assert running.outcome() == Code(text="4006381333931", aim="]E0")
    health = running.loop.health()
    assert (health.state, health.frames, health.opened, health.dropped) == ("up", 2, 1, 0)
    assert health.last_rx_age_s is not None and 0 <= health.last_rx_age_s < SOON_S


def test_a_scanner_that_is_pulled_out_goes_down_and_comes_back(scanner, running):
    assert running.state() == "up"
    scanner.scan(b"]E0203721")  # the half message of the old plug must not meet the new one
    scanner.pull_out()
    assert running.state() == "down"
    running.go_on.release()  # a try while it is still out, or just in again
    scanner.plug_in()
    running.go_on.release()
    assert running.state() == "up"
    scanner.scan(b"]E02037215727383\r")
    assert running.outcome() == Card(kind="ean13", number="2037215727383", last4="7383")
    assert running.loop.health().opened == 2
    assert running.loop.health().trouble


def test_a_port_that_is_in_use_is_not_opened_twice(scanner, running):
    assert running.state() == "up"
    with pytest.raises(OSError):
        open_serial(Profile(name="second", port=str(scanner.link)))


def test_stopping_ends_the_thread_and_says_so(scanner, running):
    assert running.state() == "up"
    assert running.loop.stop(SOON_S)
    assert running.state() == "stopped"
    assert running.loop.health().state == "stopped"


class FakePort:
    """Gives one delivery a read, raising those that are exceptions; then stops the loop."""

    def __init__(self, *deliveries) -> None:
        self.deliveries = list(deliveries)
        self.loop: ReaderLoop | None = None
        self.closed = False
        self.written = b""
        self._waiting = b""

    @property
    def in_waiting(self) -> int:
        return len(self._waiting)

    def read(self, size: int = 1, /) -> bytes:
        if not self._waiting:
            if not self.deliveries:
                self.loop.stop()
                return b""
            delivery = self.deliveries.pop(0)
            if isinstance(delivery, Exception):
                raise delivery
            self._waiting = delivery
        data, self._waiting = self._waiting[:size], self._waiting[size:]
        return data

    def write(self, data: bytes, /) -> int:
        self.written += data
        return len(data)

    def cancel_read(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class Clock:
    """A second passes with every question."""

    now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 1.0
        return self.now_s


def loop_over(*ports, take=lambda outcome: None, rules=RULES, **setup) -> tuple[ReaderLoop, list[float]]:
    """A loop over these ports in turn (an exception: it could not be opened), and the pauses it took."""
    left, pauses = list(ports), []

    def open_next(profile: Profile):
        port = left.pop(0)
        if isinstance(port, Exception):
            if not left:
                loop.stop()
            raise port
        port.loop = loop
        return port

    profile = Profile(name="scanner", port="fake", **setup)
    loop = ReaderLoop(profile, rules, take, open_port=open_next, monotonic_s=Clock(), pause=pauses.append)
    return loop, pauses


def test_tries_to_open_grow_apart_up_to_five_seconds():
    loop, pauses = loop_over(*[FileNotFoundError("no such device")] * 7)
    loop.run()
    assert pauses == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]
    assert loop.health().trouble == "no such device"


def test_after_a_port_that_read_the_pauses_begin_anew():
    gone = OSError("gone")
    loop, pauses = loop_over(gone, gone, FakePort(b"x", gone), FakePort())
    loop.run()
    assert pauses == [0.5, 1.0, 0.5]


def test_a_termios_error_is_trouble_of_the_port_like_any_other():
    first, second = FakePort(b"]C0LO", termios.error(5, "Input/output error")), FakePort(b"]C0A\r")
    taken = []
    loop, pauses = loop_over(first, second, take=taken.append)
    loop.run()
    assert first.closed and second.closed
    assert taken == [Code(text="A", aim="]C0")]
    assert pauses == [0.5]


def test_when_nobody_takes_them_the_newest_outcomes_are_dropped_and_counted():
    waiting: queue.Queue = queue.Queue(2)
    loop, _ = loop_over(FakePort(b"]C0A\r]C0B\r]C0C\r", b"]C0D\r"), take=waiting.put_nowait)
    loop.run()
    assert [waiting.get().text for _ in range(2)] == ["A", "B"]
    assert (loop.health().frames, loop.health().dropped) == (4, 2)


def test_silence_is_measured_by_the_monotonic_clock():
    taken = []
    loop, _ = loop_over(FakePort(b"]C0A", b"", b"]C0B"), take=taken.append, framing="idle", idle_ms=1000)
    loop.run()
    assert taken == [Code(text="A", aim="]C0"), Code(text="B", aim="]C0")]


def test_a_new_programme_brings_new_ranges_to_a_running_reader():
    taken = []
    loop, _ = loop_over(FakePort(b"2037215727383\r", b"2037215727383\r"), rules=CardRules())

    def take(outcome):
        taken.append(type(outcome).__name__)
        loop.use_rules(RULES)

    loop._on_outcome = take
    loop.run()
    assert taken == ["Code", "Card"]


def test_health_tells_what_came_but_never_the_text():
    wire = b"]E02037215727383\r]E02037215727384\r4242424242424242\r]C0A\r" + b"x" * 40 + b"\r"
    loop, _ = loop_over(FakePort(wire), max_bytes=20)
    loop.run()
    health = loop.health()
    assert health.outcomes == (("card", 1), ("code", 1), ("payment_card", 1), ("rejected", 1))
    assert health.rejects == (("check_digit", 1), ("too_long", 1))
    assert health.without_aim == 1
    assert "2037" not in repr(health) and "4242" not in repr(health)


def test_a_callback_that_breaks_stops_the_reader_visibly():
    def take(outcome):
        raise RuntimeError("the queue is gone")

    port = FakePort(b"]C0A\r")
    loop, _ = loop_over(port, take=take)
    with pytest.raises(RuntimeError):
        loop.run()
    assert port.closed
    assert loop.health().state == "stopped"
