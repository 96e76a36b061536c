"""Head office put together: it answers, keeps house, tells its figures and stops cleanly."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from central.migrations import upgrade
from central.ports import Settings, open_engine, writing
from central.service import CentralService, central_app
from central.upkeep.chores import Chore, Chores, drain
from central.upkeep.house_lock import AlreadyRunning
from central.worklist.worklist import raise_alarm
from sync.wire import BATCH_PATH
from tests.central.settling import FixedClock, FixedRandomness

ROOT = Path(__file__).parents[2]


@pytest.fixture
def settings(tmp_path: Path, central_url: str) -> Settings:
    return Settings(data_dir=str(tmp_path / "data"), database_url=central_url, listen_port=0)


def test_it_answers_health_console_and_figures_until_it_is_stopped(settings: Settings) -> None:
    service = CentralService(settings)
    service.start()
    try:
        assert requests.get(f"{service.url}/healthz", timeout=5).json() == {"status": "ok"}
        login = requests.get(f"{service.url}/", timeout=5)
        assert login.url == f"{service.url}/console/login"
        figures = requests.get(f"{service.url}/metrics", timeout=5).text
        assert "tallypoint_centre_open_period 1\n" in figures
        assert "tallypoint_centre_newest_block 0\n" in figures
    finally:
        service.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{service.url}/healthz", timeout=5)


def test_one_data_folder_has_one_head_office(settings: Settings) -> None:
    service = CentralService(settings)
    try:
        with pytest.raises(AlreadyRunning):
            CentralService(settings)
    finally:
        service.start()
        service.stop()
    CentralService(settings)._close()


def test_figures_name_causes_and_never_break_out_of_their_labels(settings: Settings) -> None:
    engine = open_engine(settings.url)
    upgrade(engine)
    with writing(engine) as tx:
        raise_alarm(tx, 'odd"\n}', "f" * 32, 0)
    app = central_app(settings, engine, clock=FixedClock(), randomness=FixedRandomness())
    text = app.test_client().get("/metrics").text
    assert 'tallypoint_centre_worklist_open{cause="odd\\"\\n}"} 1\n' in text
    engine.dispose()


def test_what_is_unknown_is_not_found_and_what_is_too_large_is_turned_away(settings: Settings) -> None:
    engine = open_engine(settings.url)
    upgrade(engine)
    app = central_app(settings, engine, clock=FixedClock(), randomness=FixedRandomness())
    assert app.test_client().get("/console/periods").headers["Location"] == "/console/login"
    assert app.test_client().get("/nowhere").status_code == 404
    assert app.test_client().post(BATCH_PATH, data=b"x" * 400_000).status_code == 413
    engine.dispose()


def test_what_nobody_foresaw_is_logged_without_what_was_written_or_asked(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    engine, token = open_engine(settings.url), "5e" * 16
    upgrade(engine)
    app = central_app(settings, engine, clock=FixedClock(), randomness=FixedRandomness())
    wrong = text("INSERT INTO setting (name, value) VALUES (:name, NULL)")

    @app.get("/try/<code>")
    def fails(code: str) -> str:
        with writing(engine) as tx:
            tx.execute(wrong, {"name": code})
        return ""

    assert app.test_client().get(f"/try/{token}").status_code == 500
    assert "GET /try/<code>: IntegrityError (" in caplog.text and "test_service.py" in caplog.text
    assert token not in caplog.text
    with pytest.raises(DBAPIError) as hidden, writing(engine) as tx:
        tx.execute(wrong, {"name": token})
    assert "[parameters: " not in str(hidden.value)
    # The control: what we build on would have told both.
    plain = create_engine(settings.url)
    with app.test_request_context(f"/try/{token}"), pytest.raises(DBAPIError) as told, plain.begin() as tx:
        try:
            tx.execute(wrong, {"name": token})
        finally:
            Flask.log_exception(app, sys.exc_info())
    assert token in str(told.value) and f"Exception on /try/{token}" in caplog.text
    plain.dispose()
    engine.dispose()


def test_a_chore_works_until_nothing_is_left() -> None:
    left = [3, 2, 0, 7]
    assert drain(Chore(name="x", every_s=1, do=lambda: left.pop(0)), FixedClock()) == 5
    assert left == [7]


def test_a_chore_gives_up_after_a_minute_and_goes_on_in_its_next_turn() -> None:
    clock = FixedClock(0)

    def one() -> int:
        clock.now_ms += 25_000
        return 1

    assert drain(Chore(name="x", every_s=1, do=one), clock) == 3


def wait_for(is_so, seconds: float = 20.0) -> None:
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_a_chore_that_fails_is_counted_and_comes_again() -> None:
    turns = []

    def fail_once() -> int:
        turns.append(1)
        if len(turns) == 1:
            raise OSError("the disk is full")
        return 0

    chores = Chores((Chore(name="x", every_s=1, do=fail_once),), FixedClock())
    chores.start()
    try:
        wait_for(lambda: chores.runs().get(("x", "failed")) == 1 and chores.runs().get(("x", "done"), 0) >= 1)
    finally:
        chores.stop()


def test_chores_are_timed_anew_when_the_clock_is_set() -> None:
    chores = Chores((Chore(name="x", every_s=3_600, do=lambda: 0),), FixedClock())
    chores.start()
    try:
        chores.look(4_000)
        assert chores.runs() == {}
        chores.look(-3_600_000)
        assert chores.runs() == {("watchdog", "clock_step"): 1}
    finally:
        chores.stop()


def test_a_signal_ends_the_service_in_good_order(tmp_path: Path) -> None:
    code = (
        "from central.ports import Settings; from central.service import run_central;"
        f"run_central(Settings(data_dir={str(tmp_path / 'data')!r}, listen_port=0))"
    )
    child = subprocess.Popen(
        [sys.executable, "-u", "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        assert child.stdout is not None
        first = child.stdout.readline()
        assert first.startswith("Head office answers on http://127.0.0.1:")
        child.send_signal(signal.SIGTERM)
        rest = child.communicate(timeout=30)[0]
    finally:
        child.kill()
    assert child.returncode == 0
    assert rest.endswith("Stopped. Tills keep what they could not send and send it at the next start.\n")
