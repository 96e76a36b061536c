"""Head office dies while it takes a batch: all of it is there or nothing, and asked again it is there once."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, event, make_url, text

from central.ports import open_engine
from central.verify.books import verify_books
from tests.faults import head_office as office
from tests.faults.checks import read_answers
from tests.faults.lengths import some
from tests.faults.test_killed_till import KILLED, WAITS, kill_points
from tests.faults.traced import Stage

SHORT = 12
FAILING = 5  # points of each way in which a disk fails


def test_wherever_the_process_is_killed_the_batch_is_whole_or_not_there(stage: Stage, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    office.prepare(begun)
    whole = stage.play(shutil.copytree(begun, tmp_path / "whole"), "take")
    assert (whole.signal, whole.status) == (0, 0), (tmp_path / "whole" / "said").read_text("utf-8")
    assert read_answers(tmp_path / "whole") == {"taken": "200"}
    before, after = books_in(begun), books_in(tmp_path / "whole")
    assert len(after["event"]) == len(before["event"]) + 17
    seen = set()
    for call, turn in some(kill_points(whole.calls()), SHORT, "centre"):
        folder = shutil.copytree(begun, tmp_path / f"{call}-{turn}")
        ended = stage.play(folder, "take", "-e", f"inject={call}:signal=KILL:when={turn}", calls=call)
        if ended.signal != KILLED:
            assert (ended.status, turn > Counter(whole.calls())[call] - WAITS) == (0, True)
        found = books_in(folder)
        assert found in (before, after)
        assert found == after or not read_answers(folder)
        seen.add(found == after)
        assert office.take_in(folder).status == 200
        assert books_in(folder) == after
        shutil.rmtree(folder)
    assert seen == {True, False}


@pytest.mark.parametrize(("call", "error"), [("fdatasync", "EIO"), ("pwrite64", "EIO"), ("pwrite64", "ENOSPC")])
def test_a_batch_that_the_disk_does_not_take_is_not_acknowledged(
    call: str, error: str, stage: Stage, tmp_path: Path
) -> None:
    """From a chosen call on. Once the disk is well the same batch is taken, once."""
    begun = tmp_path / "begun"
    office.prepare(begun)
    whole = stage.play(shutil.copytree(begun, tmp_path / "whole"), "take", calls=call)
    before, after = books_in(begun), books_in(tmp_path / "whole")
    told = set()
    for point in some(range(1, len(whole.calls()) + 1), FAILING, call + error):
        folder = shutil.copytree(begun, tmp_path / f"{point}")
        ended = stage.play(folder, "take", "-e", f"inject={call}:error={error}:when={point}+", calls=call)
        assert ended.signal == 0
        answer, found = read_answers(folder).get("taken"), books_in(folder)
        assert found in (before, after)
        assert answer != "200" or found == after, point
        told.add(answer)
        assert office.take_in(folder).status == 200
        assert books_in(folder) == after
        shutil.rmtree(folder)
    print(call, error, told)
    assert told - {"200"}


@pytest.mark.postgresql
def test_whenever_postgresql_hangs_up_the_batch_is_taken_once(fresh_postgres: Callable[[], str]) -> None:
    """At every statement of it in turn, those that go out without waiting and the commit included."""
    url = fresh_postgres()
    centre, batch = office.begin(url)
    centre.engine.dispose()
    whole = copy_of(url, fresh_postgres)
    engine = open_engine(whole)
    statements = Hangs(engine, 0)
    assert office.take(engine, batch).status == 200
    after = office.books(engine)
    engine.dispose()
    assert statements.seen > 30
    for turn in some(range(1, statements.seen + 1), SHORT, "hung up"):
        engine = open_engine(copy_of(url, fresh_postgres))
        hangs = Hangs(engine, turn)
        first = office.take(engine, batch)
        assert first.status in (200, 500, 503), first
        again = office.take(engine, batch)
        assert (again.status, hangs.done) == (200, True)
        assert office.books(engine) == after
        assert verify_books(engine).violations == ()
        engine.dispose()


@pytest.mark.postgresql
def test_a_batch_whose_commit_was_done_and_not_told_is_taken_once(fresh_postgres: Callable[[], str]) -> None:
    url = fresh_postgres()
    centre, batch = office.begin(url)
    centre.engine.dispose()
    whole = open_engine(copy_of(url, fresh_postgres))
    assert office.take(whole, batch).status == 200
    engine = open_engine(url)
    silent = []

    def watch(driver: Any, _record: Any) -> None:
        commit = driver.commit

        def unheard() -> None:
            commit()
            if not silent:
                silent.append(driver)
                driver.close()
                raise psycopg.OperationalError("The server closed the connection unexpectedly.")

        driver.commit = unheard

    event.listen(engine, "connect", watch)
    assert office.take(engine, batch).status in (200, 500, 503)
    assert office.take(engine, batch).status == 200
    assert silent
    assert office.books(engine) == office.books(whole)
    assert verify_books(engine).violations == ()
    for one in (engine, whole):
        one.dispose()


class Hangs:
    """Ends the server's side of a connection just before the so many'th statement on an engine; never for 0."""

    def __init__(self, engine: Any, turn: int) -> None:
        self.seen, self.done, self._turn = 0, False, turn
        self._other = create_engine(engine.url, isolation_level="AUTOCOMMIT")
        event.listen(engine, "connect", self._watch)

    def _watch(self, driver: Any, _record: Any) -> None:
        """Whoever makes the statement, it goes through a cursor of the driver's."""
        hangs = self

        class Watched(psycopg.Cursor[Any]):
            def execute(self, *told: Any, **how: Any) -> Any:
                hangs.before(self.connection)
                return super().execute(*told, **how)

        driver.cursor_factory = Watched
        commit = driver.commit

        def watched() -> None:
            hangs.before(driver)
            commit()

        driver.commit = watched

    def before(self, driver: Any) -> None:
        """One more statement is about to be sent."""
        self.seen += 1
        if self.seen == self._turn:
            self.done = True
            pid = driver.info.backend_pid
            with self._other.connect() as other:
                other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
            self._other.dispose()


def copy_of(url: str, fresh_postgres: Callable[[], str]) -> str:
    """A database that begins as this one does."""
    copied = fresh_postgres()
    name, like = make_url(copied).database, make_url(url).database
    server = create_engine(make_url(url).set(database="postgres"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name}"))
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {like}"))
    server.dispose()
    return copied


def books_in(folder: Path) -> Any:
    """The books of a centre's folder."""
    engine = open_engine(f"sqlite:///{folder / office.DATABASE}")
    try:
        return office.books(engine)
    finally:
        engine.dispose()
