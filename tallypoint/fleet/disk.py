"""Disks in memory: what was committed to them is what is durable; they can be copied, put back, and refuse a write."""

import sqlite3
from collections.abc import Callable
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, event

from central.migrations import upgrade
from central.ports import open_engine


class Crashed(BaseException):
    """The process ended here. No handler of the product may see it, so it is no Exception."""


def image_of(disk: sqlite3.Connection) -> sqlite3.Connection:
    """A copy of all that is committed on a disk."""
    image = sqlite3.connect(":memory:", check_same_thread=False)
    disk.backup(image)
    return image


class Peril:
    """Something that will happen to the `at`-th statement from now on, on whichever of a machine's disks it runs.

    Args:
        what: `crash` ends the process before the statement, or right after it where it commits and `late` says so;
            `disk` refuses it for want of room.
    """

    def __init__(self, what: str, at: int, *, late: bool = False) -> None:
        self.what, self._at, self._late = what, at, late
        self.over = False

    def meet(self, run: Callable[[], Any], sql: str) -> Any:
        """Run a statement, or do not."""
        self._at -= 1
        if self.over or self._at > 0 or sql == "ROLLBACK":
            return run()
        self.over = True
        if self.what == "disk":
            full = sqlite3.OperationalError("database or disk is full")
            full.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise full
        if self._late and sql == "COMMIT":
            run()
        raise Crashed


class Perilous:
    """A connection in peril: what of one `edge.database.Database` uses for writing."""

    def __init__(self, connection: sqlite3.Connection, peril: Peril) -> None:
        self._connection, self._peril = connection, peril

    @property
    def in_transaction(self) -> bool:
        """Whether there is something to roll back."""
        return self._connection.in_transaction

    @property
    def total_changes(self) -> int:
        """How many rows it has changed so far."""
        return self._connection.total_changes

    def execute(self, sql: str, values: Any = ()) -> sqlite3.Cursor:
        """One statement, if it gets that far."""
        cursor: sqlite3.Cursor = self._peril.meet(lambda: self._connection.execute(sql, values), sql)
        return cursor

    def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
        """One statement for many rows, likewise."""
        cursor: sqlite3.Cursor = self._peril.meet(lambda: self._connection.executemany(sql, rows), sql)
        return cursor


@cache
def _empty() -> sqlite3.Connection:
    """A centre's database with nothing in its tables, made once for all runs."""
    engine = open_engine("sqlite://")
    upgrade(engine)
    with engine.connect() as opened:
        driver = opened.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        return image_of(driver)


class _Kept(Connection):
    """A connection of SQLAlchemy's that is opened once: one for each transaction takes longer than most of what is done
    in it. Closed, it only rolls back what was not committed, as the pool does."""

    writer: "_Kept"

    def execution_options(self, **options: Any) -> Any:
        """The one that writes, where that is asked; else a connection by itself."""
        if options == {"writes": True}:
            return self.writer
        return Connection(self.engine).execution_options(**options)

    def close(self) -> None:
        """Whatever is under way is undone."""
        if (open_ := self.get_transaction()) is not None:
            open_.close()
        driver = self.connection.driver_connection
        if driver is not None and driver.in_transaction:
            driver.rollback()


def _open() -> Engine:
    engine = open_engine("sqlite://")
    reader, writer = _Kept(engine), _Kept(engine)
    Connection.execution_options(writer, writes=True)
    reader.writer = writer.writer = writer
    engine.connect = lambda: reader  # type: ignore[method-assign]
    return engine


_spare: list[Engine] = []  # with the statements that they have made


class CentreDisk:
    """The centre's database in memory, with a peril at its commits.

    Attributes:
        engine: as the centre uses it; `connection`: the disk itself, for copies and for reading beside the centre.
    """

    def __init__(self) -> None:
        self.engine: Engine = _spare.pop() if _spare else _open()
        with self.engine.connect() as opened:
            driver = opened.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        self.connection = driver
        self.peril: Peril | None = None
        event.listen(self.engine, "commit", self._commits)
        _empty().backup(driver)

    def _commits(self, _connection: Any) -> None:
        if self.peril is not None:
            self.peril.meet(lambda: None, "a commit")

    def give_back(self) -> None:
        """This history is over: the next one may use the engine. Nothing here is used afterwards."""
        event.remove(self.engine, "commit", self._commits)
        _spare.append(self.engine)

    def put_back(self, image: sqlite3.Connection) -> None:
        """Everything is again what it was."""
        image.backup(self.connection)
