"""Fixtures that all folders share: databases, real receipts, a browser."""

import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import create_engine, make_url, text

from tests.support.hurry import as_in_a_shop, hurried
from tests.support.lent_databases import LentDatabases, copied, prepared_file
from tests.support.needs import require
from tests.support.postgres import running, server_programs, with_our_driver

# Laws are looked for without a clock: a slow machine is not a broken rule.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

# Nothing that a closed network would refuse.
CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def in_a_hurry() -> Iterator[None]:
    """No test waits for a disk."""
    with hurried():
        yield


@pytest.fixture(autouse=True)
def loud_again() -> Iterator[None]:
    """A till whose disk was short is quiet; the tests after it are not."""
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def waiting_for_disks(in_a_hurry: None) -> Iterator[None]:
    """But this one does: databases that it opens are set up as in a shop."""
    with as_in_a_shop():
        yield


@pytest.fixture(scope="session")
def postgres_dsn() -> Iterator[str]:
    """SQLAlchemy URL of a real PostgreSQL: the one of TALLYPOINT_PG_DSN, else one started for this run."""
    if dsn := os.environ.get("TALLYPOINT_PG_DSN"):
        yield with_our_driver(dsn)
        return
    programs = server_programs()
    if not programs:
        require("no PostgreSQL: apt-get install postgresql, or set TALLYPOINT_PG_DSN to one that may create databases")
    with running(programs[0]) as dsn:
        yield dsn


@pytest.fixture
def fresh_postgres(postgres_dsn: str) -> Iterator[Callable[..., str]]:
    """A function that makes an empty database and returns its SQLAlchemy URL; all of them go after the test.

    It takes the beginning of the database's name, `tp` unless said.
    """
    server = create_engine(postgres_dsn, isolation_level="AUTOCOMMIT")
    made: list[str] = []

    def make(prefix: str = "tp") -> str:
        name = f"{prefix}_{secrets.token_hex(6)}"
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        made.append(name)
        return make_url(postgres_dsn).set(database=name).render_as_string(hide_password=False)

    yield make
    with server.connect() as connection:
        for name in made:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture(scope="session")
def lent_databases(postgres_dsn: str) -> Iterator[LentDatabases]:
    """Databases with our tables that go from test to test."""
    lent = LentDatabases(postgres_dsn)
    yield lent
    lent.close()


@pytest.fixture
def lent_postgres(lent_databases: LentDatabases) -> Iterator[str]:
    """SQLAlchemy URL of a PostgreSQL database of the centre, its tables empty."""
    with lent_databases.lent() as url:
        yield url


@pytest.fixture(scope="session")
def central_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with our tables, to be copied."""
    return prepared_file(tmp_path_factory.mktemp("central"))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def central_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """SQLAlchemy URL of a database of the centre, its tables empty, once for each engine it runs on."""
    if request.param == "sqlite":
        yield copied(request.getfixturevalue("central_file"), tmp_path / "central.db")
        return
    yield request.getfixturevalue("lent_postgres")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real receipts. The one thing that may be missing anywhere: they are not ours to ship."""
    named = os.environ.get("TALLYPOINT_DATA")
    if not named:
        pytest.skip("TALLYPOINT_DATA is not set: no real receipts on this machine")
    folder = Path(named)
    if not folder.is_dir():
        pytest.fail(f"TALLYPOINT_DATA names {named}, which is no folder", pytrace=False)
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the system's Chromium; Playwright is told to use it and never brings its own."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    return path or require("no Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    """A Chromium of Playwright's, anew for each module: two of them cannot be open at once."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield started
        started.close()
