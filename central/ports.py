"""What a simulation replaces (clock, randomness), the frozen settings, and the database with its transactions.

A unit of work is one transaction, written so that it may be run again from its beginning. Source: scale.md S12;
ledger.md rule 12.
"""

import functools
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec, Protocol, TypeVar

import msgspec
import psycopg
import yaml
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import StaticPool

from loyalty.trouble import Fault

P = ParamSpec("P")
R = TypeVar("R")

TRIES = 8
FIRST_PAUSE_S = 0.01
# A conflict, a deadlock, a lost line, a server that was stopped, crashed or is still starting.
REPLAYED_STATES = frozenset({"40001", "40P01", "08006", "57P01", "57P02", "57P03"})


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


LEAST_RECEIPT_DAYS = 60  # tills send their events of 14 days again after a restore, and goods come back for weeks


class BadSettings(Fault):
    code = "central.settings_malformed"


class DatabaseAway(Fault):
    code = "database.away"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read once at start-up.

    Attributes:
        database_url: SQLAlchemy's; "" is a SQLite file in `data_dir`.
        signing_key: file of the centre's Ed25519 seed, 32 raw bytes; made at the first start.
        card_key: file of the programme's first card key, 32 raw bytes; made at the first start. Later ones lie beside.
        person_key: file of the key under which personal data is kept, 32 raw bytes; made at the first start.
        workers: requests of tills that run at a time.
        sqlite_cache_mib: of its database that head office keeps in memory where it writes to SQLite; where it reads, an
            eighth of that for each connection.
        chores: whether `serve` keeps house too; off where `central worker` does, beside any number of servers.
        correct_alone_points: points that one correction may move without a second person; `correct_most_points` at all.
        correct_asker_day_points: points of all corrections that one person asks for within 24 hours, `_month_` within
            30 days; likewise of those done alone, of one account, and of those that one person approves.
        partner_correct_most_points: what people of a partner may ask for, of its own points; 0 for nothing.
        tombstone_days: for how long tills are told of accounts that are gone; one that was away for longer begins its
            members anew. At least the 30 after which a till without contact forgets them by itself.
        receipt_days: how long head office keeps the goods of a receipt after it was received, at least 60 days; 0 for
            ever. Figures, points and the chain stay for ever.
        block_copies: a folder on another disk, for a copy of every block; "" for none.
        silent_hours: after which a till that was not heard is a silent one; `worklist_days` after which a row waits too
            long, `backup_hours` after which a backup is due (0 for never), `disk_free_mb` below which room is short.
        alert_mail_to: addresses, parted by commas, that are told what is wrong; "" for nobody. `alert_mail_from` is the
            sender, `smtp_host` and `smtp_port` take the mail; `smtp_security` is none, starttls or tls; a password is
            the first line of `smtp_password_file`.
        alert_webhook: an address that is sent the same as JSON; "" for none.
        log_dir: folder of log files, of which `log_days` are kept; "" for the standard error alone.
        conformance: test builds only; routes that empty and fill a database whose name contains `scratch`.
    """

    data_dir: str = "central-data"
    database_url: str = ""
    signing_key: str = "centre-signing.key"
    card_key: str = "programme-card.key"
    person_key: str = "people.key"
    listen_host: str = "127.0.0.1"
    listen_port: int = 8700
    public_url: str = ""
    secure_cookies: bool = False
    trusted_proxy: str = ""
    workers: int = 4
    sqlite_cache_mib: Annotated[int, msgspec.Meta(ge=1, le=4_096)] = 32
    chores: bool = True
    grace_days: int = 7
    hotlist_days: int = 3
    programme_days: int = 30
    tombstone_days: Annotated[int, msgspec.Meta(ge=30, le=3_650)] = 90
    receipt_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 730
    block_copies: str = ""
    silent_hours: int = 24
    worklist_days: int = 7
    backup_hours: int = 0
    disk_free_mb: int = 1_000
    alert_mail_to: str = ""
    alert_mail_from: str = "tallypoint@localhost"
    smtp_host: str = "127.0.0.1"
    smtp_port: int = 25
    smtp_security: Literal["none", "starttls", "tls"] = "none"
    smtp_user: str = ""
    smtp_password_file: str = ""
    alert_webhook: str = ""
    log_dir: str = ""
    log_days: int = 30
    correct_alone_points: int = 500
    correct_most_points: int = 50_000
    correct_alone_day_points: int = 2_500
    correct_alone_month_points: int = 25_000
    correct_asker_day_points: int = 100_000
    correct_asker_month_points: int = 500_000
    correct_account_day_points: int = 50_000
    correct_account_month_points: int = 100_000
    correct_approver_day_points: int = 200_000
    correct_approver_month_points: int = 1_000_000
    partner_correct_most_points: int = 0
    conformance: bool = False

    def __post_init__(self) -> None:
        if 0 < self.receipt_days < LEAST_RECEIPT_DAYS:
            raise ValueError(f"receipt_days is 0 for ever, or at least {LEAST_RECEIPT_DAYS}")

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
    except OSError as trouble:
        raise BadSettings(f"The settings file {path} cannot be read: {trouble.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as trouble:
        raise BadSettings(f"The settings file {path} is not YAML: {trouble}. Mend it there.") from None
    try:
        prefix = "TALLYPOINT_CENTRAL_"
        told = {name.removeprefix(prefix).lower(): value for name, value in environ.items() if name.startswith(prefix)}
        return msgspec.convert({**(found or {}), **told}, Settings, strict=False)
    except (msgspec.ValidationError, TypeError) as trouble:
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


def sync_folder(folder: Path) -> None:
    """The names of new files are in their folder, which has to reach the disk as well."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


CACHE_MIB = 32  # of SQLite's pages: all that a batch touches, so that none is written twice
READERS_SHARE = 8  # of which one who reads has one


def open_engine(url: str, cache_mib: int = CACHE_MIB) -> Engine:
    """The database behind `url`: a SQLite file (or `sqlite://` in memory), or PostgreSQL through psycopg. The
    values of a statement stand in none of its errors; what the server itself says may quote a row.

    Args:
        cache_mib: of SQLite's pages, for who writes.
    Raises:
        BadSettings: no address of a database, or of one that we do not speak to.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() != "sqlite":
            # Whatever the server's own default is: who waited for a lock reads what was written meanwhile.
            return create_engine(
                url, pool_pre_ping=True, pool_size=8, max_overflow=8, isolation_level="READ COMMITTED",
                hide_parameters=True,
            )  # fmt: skip
    except (ArgumentError, ModuleNotFoundError):
        # The address may hold a password, so it is not repeated.
        raise BadSettings(
            "database_url is no address that works here; write postgresql+psycopg://USER:PASSWORD@HOST/NAME, or leave"
            " it out for SQLite in the data folder."
        ) from None
    cache_kib = cache_mib * 1_024
    if parsed.database in (None, "", ":memory:"):
        engine = create_engine(
            url, poolclass=StaticPool, connect_args={"check_same_thread": False}, hide_parameters=True
        )
        cache_kib = 0  # its pages are in memory once already
    else:
        path = Path(str(parsed.database))
        path.parent.mkdir(parents=True, exist_ok=True)
        # The log and its index take their rights from the file, so it is made for us alone.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        # The connection that was used last is used next: else each of the pool fills a cache of its own in turn.
        engine = create_engine(url, connect_args={"timeout": 10}, pool_use_lifo=True, hide_parameters=True)
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", lambda connection: _begin(connection, cache_kib))
    return engine


def reach(engine: Engine) -> None:
    """Open a first connection, so that a database which is away is told in words.

    Raises:
        DatabaseAway: no server answers, it lets this user not in, or the file is no database.
    """
    try:
        engine.connect().close()
    except DBAPIError as trouble:
        why = str(trouble.orig).strip().splitlines()[0]
        if engine.dialect.name == "sqlite":
            do = f"Put {engine.url.database} back from a backup, and see that this user may write to it."
        else:
            do = "See that its server runs and lets this user in; `database_url` says where it is."
        raise DatabaseAway(f"The database does not open: {why}. {do}") from None


def _set_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are ours, not the driver's
    for pragma in (
        "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000", "wal_autocheckpoint=16000",
        "trusted_schema=OFF", "cell_size_check=ON",
        "secure_delete=ON",  # what is let go is to be gone from the file, whatever SQLite was built with
        "recursive_triggers=ON",  # else INSERT OR REPLACE deletes a row without asking the triggers that forbid it
    ):  # fmt: skip
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection, cache_kib: int) -> None:
    # A deferred transaction that reads and then writes is refused at once when another one wrote in between.
    writes = connection.get_execution_options().get("writes", False)
    # One writes at a time, so one cache is large; a smaller size gives back at once what a larger one had filled.
    size = cache_kib if writes else cache_kib // READERS_SHARE
    driver: Any = connection.connection.driver_connection
    try:
        if connection.info.get("cache_kib", 0) != size:
            driver.execute(f"PRAGMA cache_size=-{size}")
            connection.info["cache_kib"] = size
        driver.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
    except sqlite3.Error as trouble:
        raise as_ever(connection, driver, trouble) from trouble


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One writing transaction: committed at the end, rolled back on any trouble."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def without_waiting(tx: Connection) -> Iterator[None]:
    """What is asked and written meanwhile goes out without waiting for the database's word on what went before.

    At the end all of it has succeeded. In here only the functions of `rows` that end in `_soon` read. PostgreSQL then
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
        raise as_ever(tx, driver, trouble) from trouble


def as_ever(connection: Connection, driver: Any, trouble: psycopg.Error | sqlite3.Error) -> BaseException:
    """What SQLAlchemy would raise of a driver's error, so that whoever runs a transaction again knows it."""
    base = psycopg.Error if isinstance(trouble, psycopg.Error) else sqlite3.Error
    is_gone = getattr(driver, "closed", False) or connection.dialect.is_disconnect(trouble, driver, None)
    if is_gone:
        connection.invalidate(trouble)
    return DBAPIError.instance(
        "", {}, trouble, base, connection_invalidated=bool(is_gone), dialect=connection.dialect
    )


def is_ahead(driver: psycopg.Connection[Any]) -> bool:
    """Whether this connection is in `without_waiting`."""
    return driver.pgconn.pipeline_status != psycopg.pq.PipelineStatus.OFF


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
    # psycopg gives no state when the server goes away under a statement.
    state = getattr(trouble.orig, "sqlstate", None)
    is_gone = trouble.connection_invalidated or state in REPLAYED_STATES
    return is_gone or (state is None and "database is locked" in str(trouble.orig))
