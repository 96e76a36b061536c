"""Statements that are made once and kept, run by the driver itself.

SQLAlchemy makes the text, once; what it does besides at each execution takes longer than most of these take to run.
What comes back are plain cells: whole numbers, text, bytes and None, in rows that know their names.
"""

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import psycopg
from sqlalchemy import Connection, Row
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from central.ports import as_ever, is_ahead

# Rows that were asked for: within `without_waiting` they are on their way, and whoever calls this waits for them.
Soon = Callable[[], Sequence[Any]]

_DIALECTS: Mapping[str, Any] = {
    "postgresql": PGDialect_psycopg(), "sqlite": SQLiteDialect_pysqlite(paramstyle="named"),
}  # fmt: skip
_NOTHING: Mapping[str, Any] = {}


def ask(connection: Connection, statement: Any, told: Mapping[str, Any] = _NOTHING) -> Sequence[Row[Any]]:
    """Run a statement and read all its rows; none where it gives none back.

    Args:
        statement: kept by whoever calls: it is the key under which its text is.
        told: values of its parameters, by name; of a list of them, by a statement of `rows`.
    Raises:
        DBAPIError: as from SQLAlchemy.
    """
    return ask_soon(connection, statement, told)()


def ask_first(connection: Connection, statement: Any, told: Mapping[str, Any] = _NOTHING) -> Row[Any] | None:
    """The first row of a statement's; none where there is none."""
    return next(iter(ask(connection, statement, told)), None)


def ask_one(connection: Connection, statement: Any, told: Mapping[str, Any] = _NOTHING) -> Any:
    """The first cell of the first row; none where there is no row."""
    found = ask_first(connection, statement, told)
    return None if found is None else found[0]


def ask_soon(connection: Connection, statement: Any, told: Mapping[str, Any] = _NOTHING) -> Soon:
    """The same; within `without_waiting`, the answer is read only when somebody wants it."""
    if not connection.in_transaction():
        result = connection.execute(statement, told)  # SQLAlchemy begins one, as it does for whatever comes next
        rows = result.all() if result.returns_rows else []
        return lambda: rows
    driver: Any = connection.connection.driver_connection
    text, values = _kept(connection.dialect.name, statement)
    try:
        cursor = driver.execute(text, {**values, **told} if values else told)
        if connection.dialect.name == "postgresql" and is_ahead(driver):
            return lambda: _rows_of(cursor)
        found = _rows_of(cursor) if cursor.description else []
    except (psycopg.Error, sqlite3.Error) as trouble:
        raise as_ever(connection, driver, trouble) from trouble
    return lambda: found


def tell(connection: Connection, statement: Any, told: Mapping[str, Any] = _NOTHING) -> None:
    """Run a statement that gives nothing back; within `without_waiting` nobody waits for it."""
    ask_soon(connection, statement, told)


def tell_each(connection: Connection, statement: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Run a statement that gives nothing back once for each of some rows.

    Args:
        rows: the values of all its parameters. None, and nothing is run.
    Raises:
        DBAPIError: as from SQLAlchemy.
    """
    if rows:
        text, fixed = _kept(connection.dialect.name, statement)
        run_each(connection, text, [{**fixed, **row} for row in rows] if fixed else rows)


def run_each(connection: Connection, text: str, rows: Sequence[Any]) -> None:
    """The same of a text as the driver takes it."""
    if not connection.in_transaction():
        connection.exec_driver_sql(text, rows)  # SQLAlchemy begins one
        return
    driver: Any = connection.connection.driver_connection
    try:
        driver.cursor().executemany(text, rows)
    except (psycopg.Error, sqlite3.Error) as trouble:
        raise as_ever(connection, driver, trouble) from trouble


def _rows_of(cursor: Any) -> Sequence[Any]:
    cells = cursor.fetchall()  # first: until it is there, an answer that is on its way has no columns
    return list(map(_shape(tuple(one[0] for one in cursor.description))._make, cells)) if cells else []


@lru_cache(maxsize=1_024)
def _kept(dialect: str, statement: Any) -> tuple[str, Mapping[str, Any]]:
    """The text of a statement, and the values that stand in it."""
    compiled = statement.compile(dialect=_DIALECTS[dialect])
    fixed = {name: value for name, value in compiled.params.items() if not compiled.binds[name].required}
    return str(compiled), fixed


@cache
def _shape(names: tuple[str, ...]) -> Any:
    """The type of rows with these names; `_mapping` as SQLAlchemy's have it."""
    mapping = property(lambda row: row._asdict())
    return type("Cells", (namedtuple("Cells", names),), {"__slots__": (), "_mapping": mapping})
