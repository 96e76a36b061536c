"""How this service opens SQLite and writes to it: one writing connection behind a lock, every pragma asserted.

What SQLite raises becomes a trouble of the file's owner, so that a full disk at the till reads as one.
Source: sync.md section 9, pitfalls.md "sqlite-utils".
"""

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlite_utils
from sqlite_utils.migrations import Migrations

from loyalty.trouble import Fault, InvariantBroken, Trouble

MEMORY = ":memory:"
MENDED = (3, 51, 3)  # before it, two connections that checkpoint can lose a commit: so only one of ours ever does
MOST_REMEMBERED = 256
_IOERR_SHMSIZE = 4874  # the index of the log could not grow: a full disk by another name
_log = logging.getLogger(__name__)


class UnsafeDatabase(Fault):
    code = "database.unsafe"
    status = 500


class Database:
    """One SQLite file: a connection for writing and, if asked, another for reading.

    Args:
        path: of the file, or `:memory:`, where reading and writing share a connection.
        synchronous: FULL for what may not be lost, NORMAL for what can be fetched again.
        trouble_of: what to raise for an error of SQLite.
        own_reader: read on a connection of its own, so that a long write keeps nobody waiting.
    Raises:
        UnsafeDatabase: the file system does not allow a setting that we rely on.
        Trouble: as `trouble_of` says, when the file is damaged.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        synchronous: str,
        trouble_of: Callable[[sqlite3.Error], Trouble],
        own_reader: bool = False,
    ) -> None:
        self.path = path
        self.lock = threading.RLock()
        self._trouble_of = trouble_of
        self._inside = False
        self._turned = 0  # commits that a reader of its own sees from now on, and what was taken back
        self._remembered: dict[tuple[str, tuple[Any, ...]], list[tuple[Any, ...]]] = {}
        self._remembered_at = (0, 0)
        self.broken: Trouble | None = None
        try:
            self.writer = _connect(path, synchronous)
            self._reader, self._read_lock = self.writer, self.lock
            if own_reader and path != MEMORY:
                self._reader, self._read_lock = _connect(path, synchronous), threading.RLock()
                self._reader.execute("PRAGMA query_only = 1")
                self._reader.execute("PRAGMA wal_autocheckpoint = 0")
        except sqlite3.Error as error:
            raise trouble_of(error) from error
        if sqlite3.sqlite_version_info < MENDED:
            _log.info("SQLite %s: relying on the single writer of %s", sqlite3.sqlite_version, path)

    def tables(self) -> sqlite_utils.Database:
        """The writing connection as sqlite-utils sees it, for making tables and migrations."""
        return sqlite_utils.Database(self.writer, execute_plugins=False)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """BEGIN IMMEDIATE … COMMIT under the lock; anything raised inside rolls back whole.

        Raises:
            Trouble: as `trouble_of` says; after a broken write every later one fails the same way.
        """
        with self.lock:
            if self._inside:
                raise InvariantBroken("a transaction was begun inside another")
            if self.broken:
                raise self.broken
            self._inside = True
            try:
                self.writer.execute("BEGIN IMMEDIATE")
                yield self.writer
                self.writer.execute("COMMIT")
                if self._reader is not self.writer:
                    self._turned += 1
                    self._remembered.clear()  # whom a wiped till knew is not kept in memory either
            except sqlite3.Error as error:
                self._roll_back()
                if is_fatal(error):
                    # A write that failed may have reached the disk in part; trying on could make it look whole.
                    self.broken = self._trouble_of(error)
                raise self._trouble_of(error) from error
            except BaseException:
                self._roll_back()
                raise
            finally:
                self._inside = False

    def rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """What a SELECT finds, all of it: a cursor left open would keep the log from being emptied."""
        with self._read_lock:
            try:
                return self._reader.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise self._trouble_of(error) from error
            except UnicodeDecodeError as error:  # the driver's, of a text whose bytes turned over
                unreadable = sqlite3.DatabaseError(f"a text in it is none ({error.reason})")
                unreadable.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
                raise self._trouble_of(unreadable) from error

    def row(self, sql: str, values: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
        """The first row that a SELECT finds."""
        found = self.rows(sql, values)
        return found[0] if found else None

    def remembered(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """As `rows`, and found again without asking SQLite for as long as nothing was written since: a sale wants to
        know what its quote did. What it finds must not be changed, and is small."""
        with self._read_lock:
            # Taken before the rows are read: what is written meanwhile makes them old.
            now = self.writer.total_changes, self._turned
            if now != self._remembered_at or len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
                self._remembered_at = now
            found = self._remembered.get((sql, values))
            if found is None:
                found = self._remembered[sql, values] = self.rows(sql, values)
            return found

    def taken_back(self) -> None:
        """A part of a transaction was: what was read meanwhile is not so."""
        self._turned += 1

    def is_writing(self) -> bool:
        """Whether a transaction is open; ask it inside one."""
        return self._inside

    def checkpoint(self) -> None:
        """Move what is in the log into the file and empty the log."""
        with self.lock:
            try:
                self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            except sqlite3.Error as error:
                raise self._trouble_of(error) from error

    def overwrite_deleted(self) -> None:
        """From now on what is deleted is overwritten with zeros."""
        with self.lock:
            self.writer.execute("PRAGMA secure_delete = ON").fetchall()

    def close(self) -> None:
        """Close both connections; the last one empties the log."""
        with self._read_lock, self.lock:
            if self._reader is not self.writer:
                self._reader.close()
            self.writer.close()

    def _roll_back(self) -> None:
        self.taken_back()
        # A full disk has rolled back by itself already.
        if self.writer.in_transaction:
            try:
                self.writer.execute("ROLLBACK")
            except sqlite3.Error as error:
                self.broken = self._trouble_of(error)


def reading_only(path: Path) -> sqlite3.Connection:
    """For reading only, and never to empty the log: only the service's own connection may."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
    connection.execute("PRAGMA query_only = 1")
    return connection


def is_full(error: sqlite3.Error) -> bool:
    """Whether an error of SQLite says that there is no room."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_FULL or code == _IOERR_SHMSIZE


def is_damaged(error: sqlite3.Error) -> bool:
    """Whether an error of SQLite says that the file is no sound database."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_fatal(error: sqlite3.Error) -> bool:
    """Whether this connection must not be written to again."""
    code = getattr(error, "sqlite_errorcode", 0)
    return is_damaged(error) or (code & 0xFF == sqlite3.SQLITE_IOERR and code != _IOERR_SHMSIZE)


def _connect(path: Path | str, synchronous: str) -> sqlite3.Connection:
    if path != MEMORY:
        # The log and its index take their rights from the file, so it is made for us alone.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    try:
        _set_up(connection, path, synchronous)
    except BaseException:
        # Left open, it would one day empty or delete the log of whatever file has this name by then.
        connection.close()
        raise
    return connection


def _set_up(connection: sqlite3.Connection, path: Path | str, synchronous: str) -> None:
    wanted: dict[str, int | str] = {
        "busy_timeout": 5000,
        "journal_mode": "memory" if path == MEMORY else "wal",
        "synchronous": {"FULL": 2, "NORMAL": 1}[synchronous],
        "foreign_keys": 1,
        "mmap_size": 0,
        "cell_size_check": 1,
        "trusted_schema": 0,
    }
    for name, value in wanted.items():
        connection.execute(f"PRAGMA {name} = {value}").fetchall()
        found = connection.execute(f"PRAGMA {name}").fetchone()
        if found is not None and found[0] != value:
            raise UnsafeDatabase(
                f"{path} cannot be opened with {name} = {value} (it stays {found[0]}); put the data on a local disk.",
                setting=name,
            )


def earlier_than(migrations: Migrations, tables: sqlite_utils.Database) -> tuple[str, ...]:
    """The migrations that a file of an earlier version of ours lacks; nothing where it holds a name of no version."""
    known = [one.name for one in migrations.pending(sqlite_utils.Database(memory=True))]
    applied = [one.name for one in migrations.applied(tables)]
    return tuple(known[len(applied) :]) if applied and applied == known[: len(applied)] else ()


def later_than(migrations: Migrations, tables: sqlite_utils.Database) -> tuple[str, ...]:
    """The migrations by which a later version of ours changed a file.

    Only where it has all of ours too: a name that is not known in the place of one that is missing is a damaged row.
    """
    if migrations.pending(tables):
        return ()
    known = {one.name for one in migrations.pending(sqlite_utils.Database(memory=True))}
    return tuple(one.name for one in migrations.applied(tables) if one.name not in known)
