"""A till tells systemd that it lives for as long as a sale could be written, and no longer."""

import configparser
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.journal.troubles import JournalBroken
from edge.line.chores import WATCH_S
from edge.opening import OpenedJournal, open_journal
from edge.service import TillService
from edge.supervision import is_supervised, tell_alive
from tests.edge.rim import identity, settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What systemd listens on."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(address)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        yield heard


def is_heard(supervisor: socket.socket, within_s: float) -> bool:
    supervisor.settimeout(within_s)
    try:
        return supervisor.recv(100) == b"WATCHDOG=1"
    except TimeoutError:
        return False


def drained(supervisor: socket.socket) -> None:
    while is_heard(supervisor, 0.01):
        continue


def test_a_till_that_works_says_so_and_one_whose_journal_hangs_does_not(
    supervisor: socket.socket, tmp_path: Path
) -> None:
    service = TillService(settings(tmp_path / "till"), identity=identity(), port=0)
    service.chores._watch_s = 0.02
    service.start()
    try:
        assert is_heard(supervisor, 5)
        hangs, goes_on = threading.Event(), threading.Event()

        def hang() -> None:
            with service.journal.writing():
                hangs.set()
                goes_on.wait(30)

        held = threading.Thread(target=hang)
        held.start()
        assert hangs.wait(5)
        drained(supervisor)
        is_heard(supervisor, 0.2)  # one look may have been past the journal already
        assert not is_heard(supervisor, 0.5)
        goes_on.set()
        held.join()
        assert is_heard(supervisor, 5)
    finally:
        service.stop()


def test_a_till_whose_files_take_long_to_open_says_that_it_lives_until_they_are_open(
    supervisor: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_slowly(*asked: Any) -> OpenedJournal:
        assert is_heard(supervisor, 2) and is_heard(supervisor, 2)
        return open_journal(*asked)

    monkeypatch.setattr("edge.service.open_journal", open_slowly)
    monkeypatch.setattr("edge.supervision.OPENING_SIGN_S", 0.02, raising=False)
    service = TillService(settings(tmp_path / "till"), identity=identity(), port=0)
    drained(supervisor)
    assert not is_heard(supervisor, 0.2)
    service.start()
    service.stop()


def test_a_disk_that_says_no_is_no_reason_to_end_the_process(supervisor: socket.socket, tmp_path: Path) -> None:
    service = TillService(settings(tmp_path / "till"), identity=identity(), port=0)
    service.start()
    try:
        service.journal._database.broken = JournalBroken("a write failed")
        with pytest.raises(JournalBroken), service.journal.writing():
            raise AssertionError("it may not come to this")
        service._tell_alive()
        assert is_heard(supervisor, 1)
    finally:
        service.journal._database.broken = None
        service.stop()


def test_signs_of_life_reach_an_address_without_a_name_in_the_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"tallypoint-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind("\0" + name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        tell_alive()
        assert is_heard(heard, 1)


def test_nobody_is_told_who_does_not_listen(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not is_supervised()
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    assert is_supervised()
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid() + 1))  # of a process around this one
    assert not is_supervised()
    tell_alive()
    assert "does not hear that this till lives" in caplog.text


def test_the_unit_waits_for_several_signs_before_it_ends_the_process() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "deploy" / "systemd" / "tallypoint-till.service")
    assert int(unit["Service"]["WatchdogSec"]) >= 4 * WATCH_S
    assert unit["Service"]["Restart"] == "always"
