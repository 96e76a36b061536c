"""A till on a clock that stands still, with one programme, two members and one blocked card."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.cache.cache import Cache
from edge.database import Database
from edge.journal.journal import Journal, open_epoch
from edge.ports import Settings
from edge.sale.till import Till
from loyalty.programme.programme import read_programme
from tests.edge.counter import ALONE, PROGRAMME, FakeClock, grant_float, identity, published

OpenTill = Callable[..., Till]


@pytest.fixture(autouse=True)
def files_are_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what a test leaves open: beyond 1,024 files a process can no longer wait for a serial port."""
    opened: list[Database] = []
    begin = Database.__init__

    def begin_and_remember(database: Database, *args: Any, **more: Any) -> None:
        begin(database, *args, **more)
        opened.append(database)

    monkeypatch.setattr(Database, "__init__", begin_and_remember)
    yield
    for database in opened:
        database.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def open_till(tmp_path: Path, clock: FakeClock) -> OpenTill:
    """Opens the till of this test's folder, as a start of the service does; opening again finds what was kept."""

    def open_again() -> Till:
        journal = Journal.open(tmp_path / "journal.db", identity(), clock)
        open_epoch(journal, "enrolled")
        cache = Cache.open(tmp_path / "cache.db", identity(), clock)
        return Till(
            journal=journal,
            cache=cache,
            clock=clock,
            settings=Settings(data_dir=str(tmp_path)),
            identity=identity(),
        )

    return open_again


@pytest.fixture
def till(open_till: OpenTill) -> Till:
    """With the programme, Ana's 1,000 points and a float of 5,000."""
    till = open_till()
    till.cache.load_programme(read_programme(PROGRAMME))
    till.cache.load_members([published("ana")])
    grant_float(till, 5_000)
    return till


@pytest.fixture
def till_alone(tmp_path: Path, clock: FakeClock) -> Till:
    """In memory, with a programme that leaves offline spending off."""
    journal = Journal.open(":memory:", identity(), clock)
    open_epoch(journal, "enrolled")
    cache = Cache.open(":memory:", identity(), clock)
    cache.load_programme(read_programme(ALONE))
    cache.load_members([published("ana")])
    settings = Settings(data_dir=str(tmp_path))
    return Till(journal=journal, cache=cache, clock=clock, settings=settings, identity=identity())
