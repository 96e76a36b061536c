"""Keeping house beside servers that only answer: one at a time, noted for all, and going on after it was killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from sqlalchemy import select, text

from central.coalition.registry import load_coalition
from central.database.tables import block
from central.migrations import upgrade
from central.ports import Settings, open_engine, reading, writing
from central.service import CentralService
from central.upkeep.chore_notes import ChoreState, Ran, chore_states, note_runs, noted_runs
from central.upkeep.chores import EVERY_S, Chore, Chores
from central.upkeep.house_lock import AlreadyRunning, HouseLock
from central.worker import CentralWorker
from tallypoint.cli import main
from tests.central.settling import FixedClock
from tests.central.tills import COALITION, NOW, Centre

ROOT = Path(__file__).parents[2]


@pytest.fixture
def settings(tmp_path: Path, central_url: str) -> Settings:
    return Settings(data_dir=str(tmp_path / "data"), database_url=central_url, listen_port=0)


def elsewhere(settings: Settings, tmp_path: Path) -> Settings:
    """The same database, from another machine with a folder of its own."""
    return Settings(data_dir=str(tmp_path / "other"), database_url=settings.database_url, listen_port=0)


def wait_for(is_so: Callable[[], object], seconds: float = 40.0) -> None:
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.05)


def blocks(url: str) -> int:
    engine = open_engine(url)
    try:
        with reading(engine) as connection:
            return len(connection.execute(select(block.c.block_no)).all())
    finally:
        engine.dispose()


@pytest.fixture
def sold(central_url: str) -> Iterator[Centre]:
    """A centre that took a receipt, in the same database."""
    centre = Centre(central_url)
    till = centre.till()
    till.sell("R1", 1000)
    till.upload()
    yield centre
    centre.engine.dispose()


def test_servers_that_only_answer_stand_beside_one_worker_which_seals(settings: Settings, sold: Centre) -> None:
    quiet = Settings(**{**{n: getattr(settings, n) for n in Settings.__struct_fields__}, "chores": False})
    servers = [CentralService(quiet), CentralService(quiet)]
    for one in servers:
        one.start()
    try:
        time.sleep(3)  # a service with chores would have sealed by then
        assert blocks(settings.database_url) == 0
        worker = CentralWorker(settings)
        worker.start()
        try:
            wait_for(lambda: blocks(settings.database_url))
        finally:
            worker.stop()
        # The runs of the worker are figures of every server.
        for one in servers:
            assert 'chore_runs_total{chore="seal",outcome="done"}' in requests.get(f"{one.url}/metrics", timeout=5).text
    finally:
        for one in servers:
            one.stop()


def test_a_second_worker_or_a_service_with_chores_is_refused_with_a_sentence(settings: Settings) -> None:
    worker = CentralWorker(settings)
    try:
        with pytest.raises(AlreadyRunning, match="--no-chores"):
            CentralWorker(settings)
        with pytest.raises(AlreadyRunning, match="keeps house"):
            CentralService(settings)
    finally:
        worker.start()
        worker.stop()
    CentralWorker(settings)._close()


@pytest.mark.postgresql
def test_on_postgresql_a_worker_on_another_machine_is_refused_too(fresh_postgres, tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path / "data"), database_url=fresh_postgres(), listen_port=0)
    worker = CentralWorker(settings)
    try:
        with pytest.raises(AlreadyRunning, match="another machine"):
            CentralWorker(elsewhere(settings, tmp_path))
    finally:
        worker.start()
        worker.stop()


@pytest.mark.postgresql
def test_a_lock_that_the_database_forgot_is_taken_again_unless_another_has_it(fresh_postgres, tmp_path: Path) -> None:
    url = fresh_postgres()
    engine, other = open_engine(url), open_engine(url)
    lock, rival = HouseLock(tmp_path / "a", engine), HouseLock(tmp_path / "b", other)
    kill = text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
    lock.take()
    with open_engine(url).connect() as admin:
        admin.execute(kill)
        assert lock.is_held()
        with pytest.raises(AlreadyRunning):
            rival.take()
        admin.execute(kill)
        wait_for(lambda: not admin.execute(text("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'")).all())
        rival.take()
        assert not lock.is_held()
    for one in (lock, rival):
        one.close()
    engine.dispose()
    other.dispose()


def run(settings: Settings, *more: str) -> subprocess.Popen[str]:
    arguments = ["central", "worker", "--data", settings.data_dir, *more]
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "tallypoint.cli", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "TALLYPOINT_CENTRAL_DATABASE_URL": settings.database_url},
    )  # fmt: skip


def test_a_worker_that_is_killed_is_followed_by_the_one_that_waits_and_it_goes_on(
    settings: Settings, sold: Centre
) -> None:
    first = run(settings)
    heir = None
    try:
        assert first.stdout and first.stdout.readline().startswith("Keeping house")
        wait_for(lambda: blocks(settings.database_url) == 1)
        heir = run(settings, "--wait")
        assert heir.stdout and heir.stdout.readline().startswith("Another process keeps house")
        first.send_signal(signal.SIGKILL)
        first.wait()
        till = sold.till("S2")
        till.sell("R1", 1000)
        till.upload()
        assert heir.stdout.readline().startswith("Keeping house")
        wait_for(lambda: blocks(settings.database_url) == 2)
        heir.send_signal(signal.SIGTERM)
        said = heir.communicate(timeout=60)[0]
        assert heir.returncode == 0
        assert said.endswith("What is left to do is done at the next start.\n")
    finally:
        for one in (first, heir):
            if one is not None:
                one.kill()
                one.wait()
    with reading(sold.engine) as connection:
        assert {state.chore for state in chore_states(connection)} >= {"seal", "stamp", "recompute"}


def test_the_command_that_meets_another_ends_with_its_code(settings: Settings, capsys, monkeypatch) -> None:
    monkeypatch.setenv("TALLYPOINT_CENTRAL_DATABASE_URL", settings.database_url)
    worker = CentralWorker(settings)
    try:
        assert main(["central", "worker", "--data", settings.data_dir]) == 3
        assert "(central.already_running)" in capsys.readouterr().err
    finally:
        worker.start()
        worker.stop()


def test_runs_add_up_and_a_failure_counts_until_the_chore_is_done_again(central_url: str) -> None:
    engine = open_engine(central_url)
    upgrade(engine)
    with writing(engine) as tx:
        load_coalition(tx, COALITION, NOW)
        note_runs(tx, {("seal", "begun"): Ran(runs=1, last_ms=500)})
        note_runs(tx, {("seal", "done"): Ran(runs=3, last_ms=1_000)})
        note_runs(tx, {("seal", "done"): Ran(runs=2, last_ms=2_000)})
        note_runs(tx, {("seal", "failed"): Ran(runs=1, last_ms=5_000, trouble="OSError: no room")})
        assert noted_runs(tx)["seal", "done"] == Ran(runs=5, last_ms=2_000)
        assert chore_states(tx) == (
            ChoreState(chore="seal", begun_ms=500, done_ms=2_000, failed_ms=5_000, failing="OSError: no room"),
        )
        note_runs(tx, {("seal", "done"): Ran(runs=1, last_ms=9_000)})
        assert chore_states(tx) == (ChoreState(chore="seal", begun_ms=500, done_ms=9_000, failed_ms=0, failing=""),)
    engine.dispose()


def test_what_ran_is_noted_at_the_end_as_well_and_never_twice() -> None:
    noted, ran = [], threading.Event()

    def do() -> int:
        ran.set()
        return 0

    chores = Chores((Chore(name="x", every_s=1, do=do),), FixedClock(7_000), watch_s=3_600, note=noted.append)
    chores.start()
    assert ran.wait(20)
    chores.stop()
    begun, told = noted
    assert begun == {("x", "begun"): Ran(runs=1, last_ms=7_000)}
    assert told == {("x", "done"): Ran(runs=chores.runs()["x", "done"], last_ms=7_000)}


def test_every_chore_that_runs_has_its_interval_and_is_missed_where_it_does_not(settings: Settings) -> None:
    worker = CentralWorker(settings)
    try:
        assert {job.id for job in worker.chores._scheduler.get_jobs()} == set(EVERY_S)
    finally:
        worker.start()
        worker.stop()
