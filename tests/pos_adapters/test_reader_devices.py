"""Real ports: SSI over a pseudo-terminal, parity over RFC 2217, a line cut by socat, names that are found again."""

import os
import pty
import queue
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import serial

from loyalty.cards.cards import Card, Code, PaymentCard
from pos_adapters.readers.devices import check_apart, device_of
from pos_adapters.readers.port import ReaderLoop, open_serial
from pos_adapters.readers.profile import BadReaderProfile, Profile
from pos_adapters.readers.shipped import make_profile
from tests.pos_adapters.samples import RULES
from tests.pos_adapters.serial_server import SerialServer
from tests.support.needs import require

SOON_S = 20
CARD = Card(kind="ean13", number="2037215727383", last4="7383")
ACK = bytes.fromhex("04D00400FF28")
EAN = bytes.fromhex("12F300000B") + b"2037215727383" + bytes.fromhex("FC4E")


@pytest.fixture
def read() -> Iterator[Callable[..., tuple[ReaderLoop, queue.Queue, queue.Queue]]]:
    """Start to read a profile; outcomes and states come in queues."""
    started = []

    def begin(profile: Profile):
        outcomes, states = queue.Queue(10), queue.Queue()
        loop = ReaderLoop(profile, RULES, outcomes.put_nowait, on_state=states.put)
        started.append(loop)
        loop.start()
        return loop, outcomes, states

    yield begin
    for loop in started:
        assert loop.stop(SOON_S)


def wait_for(happens: Callable[[], object]) -> None:
    until = time.monotonic() + SOON_S
    while not happens():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


# SSI


def test_a_scanner_that_speaks_ssi_is_answered_on_the_line(read):
    scanner, port = pty.openpty()
    loop, outcomes, states = read(make_profile({"profile": "zebra-ssi", "port": os.ttyname(port)}))
    assert states.get(timeout=SOON_S) == "up"
    os.write(scanner, EAN)
    assert select.select([scanner], [], [], SOON_S)[0], "the scanner got no answer"
    assert os.read(scanner, 64) == ACK
    assert outcomes.get(timeout=SOON_S) == CARD
    assert loop.health().frames == 1
    os.close(scanner)
    os.close(port)


def test_a_tracks_reader_on_a_pseudo_terminal_gives_one_card_a_swipe(read):
    reader, port = pty.openpty()
    _, outcomes, states = read(make_profile({"profile": "msr-omni", "port": os.ttyname(port), "idle_ms": 200}))
    assert states.get(timeout=SOON_S) == "up"
    os.write(reader, b"%B9826300000000015^DOE/J^9912?\r")
    time.sleep(0.05)
    os.write(reader, b";9826300000000015=9912?\r")
    assert outcomes.get(timeout=SOON_S) == Card(kind="luhn", number="9826300000000015", last4="0015")
    os.write(reader, b";4242424242424242=29011010000?\r")
    assert outcomes.get(timeout=SOON_S) == PaymentCard()
    os.close(reader)
    os.close(port)


# Parity, which a pseudo-terminal cannot do


@pytest.fixture
def server() -> Iterator[SerialServer]:
    started = SerialServer()
    yield started
    started.stop()


@pytest.mark.parametrize(
    ("profile", "settings"), [("scanner-7e1", (7, "E", 1, 9600)), ("msr-omni-7e1", (7, "E", 1, 9600)),
                              ("honeywell", (8, "N", 1, 115200))],
)  # fmt: skip
def test_speed_bits_and_parity_of_a_profile_arrive_at_the_port(server, profile, settings):
    made = make_profile({"profile": profile, "port": f"rfc2217://127.0.0.1:{server.port}"})
    port = open_serial(made)
    far = server.serial
    assert (far.bytesize, far.parity, far.stopbits, far.baudrate) == settings
    port.close()


def test_a_scanner_at_7e1_is_read_over_the_network(server, read):
    made = make_profile({"profile": "scanner-7e1", "port": f"rfc2217://127.0.0.1:{server.port}"})
    _, outcomes, states = read(made)
    assert states.get(timeout=SOON_S) == "up"
    server.serial.write(b"]E02037215727383\r")
    assert outcomes.get(timeout=SOON_S) == CARD


def test_lines_are_set_before_the_port_is_open(monkeypatch):
    set_when = []

    class Fake:
        is_open = False

        def __setattr__(self, name, value):
            set_when.append((name, value, self.is_open))

        def open(self):
            object.__setattr__(self, "is_open", True)
            set_when.append(("open", None, True))

    monkeypatch.setattr(serial, "serial_for_url", lambda url, **kw: Fake())
    open_serial(make_profile({"profile": "msr-magtek", "port": "x"}))
    assert set_when == [("dtr", True, False), ("rts", True, False), ("open", None, True)]


# Unplugging


class Line:
    """A null modem by socat; killed it is as if the cable had been pulled, and its link dangles."""

    def __init__(self, folder: Path) -> None:
        self.socat = shutil.which("socat") or require("no socat: apt-get install socat")
        self.ours, self.theirs = folder / "ours", folder / "theirs"
        self.plug_in()

    def plug_in(self) -> None:
        self._process = subprocess.Popen(
            [self.socat, f"pty,raw,echo=0,link={self.ours}", f"pty,raw,echo=0,link={self.theirs}"]
        )
        wait_for(lambda: self.ours.exists() and self.theirs.exists())

    def scan(self, data: bytes) -> None:
        with serial.Serial(str(self.theirs), timeout=1) as far:
            far.write(data)
            far.flush()

    def pull_out(self, how: signal.Signals = signal.SIGKILL) -> None:
        self._process.send_signal(how)
        self._process.wait(SOON_S)


@pytest.fixture
def line(tmp_path) -> Iterator[Line]:
    made = Line(tmp_path)
    yield made
    made.pull_out()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_line_that_is_cut_and_mended_reads_again(line, read, how):
    loop, outcomes, states = read(Profile(name="scanner", port=str(line.ours)))
    assert states.get(timeout=SOON_S) == "up"
    line.scan(b"]E02037215727383\r")
    assert outcomes.get(timeout=SOON_S) == CARD
    line.pull_out(how)
    assert states.get(timeout=SOON_S) == "down"
    assert loop.health().trouble
    line.plug_in()
    assert states.get(timeout=SOON_S) == "up"
    line.scan(b"]E04006381333931\r")
    assert outcomes.get(timeout=SOON_S) == Code(text="4006381333931", aim="]E0")
    assert loop.health().opened == 2


def test_a_serial_server_that_goes_away_and_comes_back_is_followed(read):
    listener = socket.create_server(("127.0.0.1", 0))
    _, outcomes, states = read(Profile(name="far", port=f"socket://127.0.0.1:{listener.getsockname()[1]}"))
    for _ in range(2):
        scanner, _ = listener.accept()
        assert states.get(timeout=SOON_S) == "up"
        scanner.sendall(b"]E02037215727383\r")
        assert outcomes.get(timeout=SOON_S) == CARD
        scanner.close()
        assert states.get(timeout=SOON_S) == "down"
    listener.close()


# Names


def test_a_link_is_resolved_anew_so_a_replugged_device_is_found(tmp_path, read):
    link = tmp_path / "by-id"
    first, port = pty.openpty()
    link.symlink_to(os.ttyname(port))
    _, outcomes, states = read(Profile(name="scanner", port=str(link)))
    assert states.get(timeout=SOON_S) == "up"
    second, other = pty.openpty()
    link.unlink()
    link.symlink_to(os.ttyname(other))
    os.close(first)
    os.close(port)
    assert states.get(timeout=SOON_S) == "down"
    assert states.get(timeout=SOON_S) == "up"
    os.write(second, b"]E02037215727383\r")
    assert outcomes.get(timeout=SOON_S) == CARD
    os.close(second)
    os.close(other)


def test_a_usb_device_is_found_by_its_numbers_wherever_it_is(monkeypatch, read):
    found = SimpleNamespace(now="")

    def grep(pattern, include_links=False):
        assert pattern == "1a86:7523"
        return iter([(found.now, "scanner", "USB VID:PID=1A86:7523")] if found.now else [])

    monkeypatch.setattr("serial.tools.list_ports.grep", grep)
    scanner, port = pty.openpty()
    loop, outcomes, states = read(Profile(name="scanner", port="hwgrep://1a86:7523"))
    wait_for(lambda: loop.health().trouble)
    assert loop.health().state == "down"
    found.now = os.ttyname(port)
    assert states.get(timeout=SOON_S) == "up"
    os.write(scanner, b"]E02037215727383\r")
    assert outcomes.get(timeout=SOON_S) == CARD
    os.close(scanner)
    os.close(port)


def test_two_readers_on_one_device_are_refused(tmp_path, monkeypatch):
    link = tmp_path / "by-id"
    link.symlink_to("/dev/null")
    monkeypatch.setattr("serial.tools.list_ports.grep", lambda pattern: iter([(str(link), "scanner", "1A86:7523")]))
    assert device_of(str(link)) == device_of("hwgrep://1a86:7523") == "/dev/null"
    assert device_of("SOCKET://10.0.0.9:4001") == "socket://10.0.0.9:4001"
    for other in ("/dev/null", "hwgrep://1a86:7523"):
        with pytest.raises(BadReaderProfile, match="own port"):
            check_apart([Profile(name="a", port=str(link)), Profile(name="b", port=other)])
    with pytest.raises(BadReaderProfile, match="one name"):
        check_apart([Profile(name="a", port="/dev/ttyS0"), Profile(name="a", port="/dev/ttyS1")])
    check_apart([Profile(name="a", port="/dev/ttyS0"), Profile(name="b", port="/dev/ttyS1")])
    with pytest.raises(BadReaderProfile, match="such as name: door"):
        check_apart([Profile(name="a", port=str(link)), Profile(name="a", port="/dev/ttyS1")])
    for url in ("nonsense://x", "hwgrep://1a86:7523&every"):
        with pytest.raises(BadReaderProfile, match="is no port"):
            check_apart([Profile(name="a", port=url)])


def test_a_second_reader_that_finds_itself_on_the_first_ones_device_stays_down(tmp_path, read):
    scanner, port = pty.openpty()
    _, outcomes, states = read(Profile(name="first", port=os.ttyname(port)))
    assert states.get(timeout=SOON_S) == "up"
    second, _, _ = read(Profile(name="second", port=os.ttyname(port)))
    wait_for(lambda: second.health().trouble)
    assert (second.health().state, second.health().opened) == ("down", 0)
    os.write(scanner, b"]E02037215727383\r")
    assert outcomes.get(timeout=SOON_S) == CARD
    os.close(scanner)
    os.close(port)
