"""What a simulation replaces (clock, randomness), the frozen settings, and the database with its transactions.

A unit of work is one transaction, written so that it may be run again from its beginning. Source: scale.md S12;
ledger.md rule 12.
"""

import functools
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

import msgspec
import psycopg
import yaml
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from loyalty.trouble import Fault

P = ParamSpec("P")
R = TypeVar("R")

TRIES = 8
FIRST_PAUSE_S = 0.01
REPLAYED_STATES = frozenset({"40001", "40P01", "08006"})


class Clock(Protocol):
    """Both clocks, in milliseconds: `wall_ms` since 1970 UTC, `mono_ms` for intervals."""

    def wall_ms(self) -> int: ...

    def mono_ms(self) -> int: ...


class SystemClock:
    """The machine's clocks."""

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def mono_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000


class Randomness(Protocol):
    """Random bytes, secret ones in production."""

    def bytes(self, n: int) -> bytes: ...


class SystemRandomness:
    """The system's secure randomness."""

    def bytes(self, n: int) -> bytes:
        return secrets.token_bytes(n)


class BadSettings(Fault):
    code = "central.settings_malformed"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read once at start-up.

    Attributes:
        database_url: SQLAlchemy's; "" is a SQLite file in `data_dir`.
        signing_key: file of the centre's Ed25519 seed, 32 raw bytes; made at the first start.
        card_key: file of the programme's card key, 32 raw bytes; made at the first start.
        workers: requests of tills that run at a time.
        correct_alone_points: points that one correction may move without a second person; `correct_most_points` at all.
        partner_correct_most_points: what people of a partner may ask for, of its own points; 0 for nothing.
        block_copies: a folder on another disk, for a copy of every block; "" for none.
        conformance: test builds only; routes that empty and fill a database whose name contains `scratch`.
    """

    data_dir: str = "central-data"
    database_url: str = ""
    signing_key: str = "centre-signing.key"
    card_key: str = "programme-card.key"
    card_key_id: str = "1"
    listen_host: str = "127.0.0.1"
    listen_port: int = 8700
    public_url: str = ""
    secure_cookies: bool = False
    trusted_proxy: str = ""
    workers: int = 4
    grace_days: int = 7
    hotlist_days: int = 3
    programme_days: int = 30
    block_copies: str = ""
    correct_alone_points: int = 500
    correct_most_points: int = 50_000
    partner_correct_most_points: int = 0
    conformance: bool = False

    @property
    def folder(self) -> Path:
        return Path(self.data_dir)

    @property
    def url(self) -> str:
        return self.database_url or f"sqlite:///{self.folder / 'central.db'}"


def read_settings(path: Path | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from a YAML file, if any, and TALLYPOINT_CENTRAL_* variables, which win.

    Raises:
        BadSettings: no such file, not YAML, a name or value that is not known.
    """
    try:
        found = yaml.safe_load(path.read_text("utf-8")) if path else {}
        prefix = "TALLYPOINT_CENTRAL_"
        told = {name.removeprefix(prefix).lower(): value for name, value in environ.items() if name.startswith(prefix)}
        return msgspec.convert({**(found or {}), **told}, Settings, strict=False)
    except (OSError, yaml.YAMLError, msgspec.ValidationError, TypeError) as trouble:
        raise BadSettings(f"The settings cannot be read: {trouble}. Mend them and start again.") from None


def read_key(path: Path, randomness: Randomness) -> bytes:
    """The 32 secret bytes in a file, which is made, for its owner only, where there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(randomness.bytes(32))
            file.flush()
            os.fsync(file.fileno())
    key = path.read_bytes()
    if len(key) != 32:
        raise BadSettings(f"The key file {path.name} must hold 32 bytes; put the right file back.", bytes=len(key))
    return key


def open_engine(url: str) -> Engine:
    """The database behind `url`: a SQLite file (or `sqlite://` in memory), or PostgreSQL through psycopg."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, pool_size=8, max_overflow=8)
    if parsed.database in (None, "", ":memory:"):
        engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
    else:
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"timeout": 10})
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    return engine


def _set_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are ours, not the driver's
    for pragma in (
        "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000", "wal_autocheckpoint=16000",
        "trusted_schema=OFF", "cell_size_check=ON",
        "recursive_triggers=ON",  # else INSERT OR REPLACE deletes a row without asking the triggers that forbid it
    ):  # fmt: skip
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    # A deferred transaction that reads and then writes is refused at once when another one wrote in between.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One writing transaction: committed at the end, rolled back on any trouble."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def without_waiting(tx: Connection) -> Iterator[None]:
    """What is written meanwhile goes out without waiting for the database's word on what went before.

    At the end all of it has succeeded. Nothing can be read in here: its answer would not be there yet. PostgreSQL then
    works on one statement while the next is being made; SQLite answers at once anyway.

    Raises:
        DBAPIError: as ever, but at a later statement or at the end.
    """
    driver = tx.connection.driver_connection
    if tx.dialect.name != "postgresql" or driver is None:
        yield
        return
    try:
        with driver.pipeline():
            yield
    except psycopg.Error as trouble:
        raise DBAPIError.instance("", {}, trouble, psycopg.Error, dialect=tx.dialect) from trouble


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One snapshot to read from: everything in it is of one moment."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


def replayable(work: Callable[P, R]) -> Callable[P, R]:
    """Run `work` again, whole, when the database gave its transaction up: a conflict, a deadlock, a lost line.

    The work keeps nothing between tries but what it is called with.
    """

    @functools.wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        for turn in range(TRIES):
            try:
                return work(*args, **kwargs)
            except DBAPIError as trouble:
                if turn == TRIES - 1 or not _may_replay(trouble):
                    raise
            time.sleep(FIRST_PAUSE_S * 2**turn)
        raise AssertionError("unreachable")

    return run


def _may_replay(trouble: DBAPIError) -> bool:
    state = getattr(trouble.orig, "sqlstate", None)
    if state is not None:
        return state in REPLAYED_STATES
    # psycopg gives no state when the server goes away under a statement.
    return trouble.connection_invalidated or "database is locked" in str(trouble.orig)
