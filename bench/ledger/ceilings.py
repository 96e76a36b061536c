"""The same rows, written by whoever needs to know nothing of them.

On PostgreSQL by COPY, from bytes that are ready, and the rows that may be there already by one upsert a table; one by
one, with a commit after each receipt; on SQLite set by set in one transaction.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

import psycopg
from sqlalchemy import Table, make_url, select, update
from sqlalchemy.dialects import postgresql

from bench.ledger.written import MOVED, NEW, Values, Written, receipts_of
from central.database import tables as t
from central.ports import open_engine, writing

PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000", "wal_autocheckpoint=16000",
           "cache_size=-32768")  # fmt: skip
_TABLES = {table.name: table for table in (*NEW, *MOVED)}


class Copied:
    """Writes batches by COPY through a connection of its own."""

    def __init__(self, url: str) -> None:
        self.connection = connect(url)
        self._upserts = {table.name: _upsert_arrays(table) for table in MOVED}

    def prepare(self, one: Written) -> "Ready":
        """The bytes of COPY, and the columns of the upserts."""
        new = [(_copy(_TABLES[name]), _lines(rows)) for name, rows in one.new.items()]
        moved = [(self._upserts[name], list(zip(*rows, strict=True))) for name, rows in one.moved.items() if rows]
        return Ready(one, new, moved)

    def write(self, ready: "Ready") -> None:
        """One transaction, committed."""
        with self.connection.transaction(), self.connection.cursor() as cursor:
            self._upsert(cursor, ready)
            for statement, lines in ready.new:
                with cursor.copy(statement) as copy:
                    copy.write(lines)

    def write_values(self, ready: "Ready") -> None:
        """The same, but that the driver makes the bytes of COPY out of values, as it must for whoever decides them."""
        with self.connection.transaction(), self.connection.cursor() as cursor:
            self._upsert(cursor, ready)
            for (statement, _), rows in zip(ready.new, ready.of.new.values(), strict=True):
                with cursor.copy(statement) as copy:
                    for row in rows:
                        copy.write_row(row)

    def _upsert(self, cursor: psycopg.Cursor[Any], ready: "Ready") -> None:
        for statement, arrays in ready.moved:
            cursor.execute(statement, [list(array) for array in arrays])
        cursor.execute(_STREAM, (ready.of.last_seq, ready.of.head_hash, ready.of.till_id))


class Ready:
    """A batch that has only to be sent."""

    def __init__(self, of: Written, new: list[tuple[str, bytes]], moved: list[tuple[str, list[Any]]]) -> None:
        self.of, self.new, self.moved = of, new, moved


class RowByRow:
    """Writes receipts as most services do, through the library that the centre uses: a statement a row, a commit a
    receipt. Nothing is checked or decided.

    It reads what who decides must read: the account under its lock, its lots and debts.
    """

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)
        self._statements = {name: _upserting(table) for name, table in _TABLES.items()}

    def write(self, one: Written) -> None:
        """Every receipt of a batch."""
        for rows in receipts_of(one):
            with writing(self.engine) as tx:
                for row in rows[t.event.name]:
                    whose = row[_ACCOUNT]
                    tx.execute(select(t.account.c.version).where(t.account.c.account_id == whose).with_for_update())
                    tx.execute(select(t.lot).where(t.lot.c.account_id == whose)).all()
                    tx.execute(select(t.debt).where(t.debt.c.account_id == whose).order_by(t.debt.c.n)).all()
                for name, values in rows.items():
                    for row in values:
                        tx.execute(self._statements[name], dict(zip(_TABLES[name].c.keys(), row, strict=True)))
                here = t.stream.c.till_id == one.till_id, t.stream.c.epoch == 1
                tx.execute(update(t.stream).where(*here).values(seq=one.last_seq, hash=one.head_hash))


class DrivenByHand:
    """The same by the driver alone, from text and tuples that are ready."""

    def __init__(self, url: str) -> None:
        self.connection = connect(url)
        self._statements = {table.name: _insert(table, "%s") for table in _TABLES.values()}

    def write(self, one: Written) -> None:
        """Every receipt of a batch."""
        for rows in receipts_of(one):
            with self.connection.transaction(), self.connection.cursor() as cursor:
                for row in rows[t.event.name]:
                    for look in _LOOKS:
                        cursor.execute(look, (row[_ACCOUNT],)).fetchall()
                for name, values in rows.items():
                    for row in values:
                        cursor.execute(self._statements[name], row)
                cursor.execute(_STREAM, (one.last_seq, one.head_hash, one.till_id))


class SetBySet:
    """Writes batches to a SQLite file: `executemany` a table, one transaction."""

    def __init__(self, url: str) -> None:
        self.connection = sqlite3.connect(str(make_url(url).database), isolation_level=None)
        for pragma in PRAGMAS:
            self.connection.execute(f"PRAGMA {pragma}")
        self._statements = {table.name: upsert_one(table) for table in _TABLES.values()}

    def write(self, one: Written) -> None:
        """One transaction, committed."""
        self.connection.execute("BEGIN IMMEDIATE")
        for name, rows in (*one.moved.items(), *one.new.items()):
            self.connection.executemany(self._statements[name], rows)
        self.connection.execute(_STREAM.replace("%s", "?"), (one.last_seq, one.head_hash, one.till_id))
        self.connection.execute("COMMIT")


def upsert_one(table: Table) -> str:
    """A whole row into a SQLite table; of a table whose rows may be there, what moves becomes new."""
    return _insert(table, "?")


def connect(url: str) -> psycopg.Connection[Any]:
    """A plain connection to where a SQLAlchemy URL leads."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True)


_ACCOUNT = t.event.c.keys().index("account_id")
_LOOKS = (
    "SELECT version FROM account WHERE account_id = %s FOR UPDATE",
    "SELECT * FROM lot WHERE account_id = %s",
    "SELECT * FROM debt WHERE account_id = %s ORDER BY n",
)
_STREAM = "UPDATE stream SET seq = %s, hash = %s WHERE till_id = %s AND epoch = 1"


def _copy(table: Table) -> str:
    return f'COPY "{table.name}" ({_names(table)}) FROM STDIN'


def _insert(table: Table, mark: str) -> str:
    plain = f'INSERT INTO "{table.name}" ({_names(table)}) VALUES ({", ".join(mark for _ in table.c)})'
    return plain + (_on_conflict(table) if table in MOVED else "")


def _upsert_arrays(table: Table) -> str:
    types = [f"%s::{'text' if column.type.python_type is str else 'bigint'}[]" for column in table.c]
    return f'INSERT INTO "{table.name}" ({_names(table)}) SELECT * FROM unnest({", ".join(types)}){_on_conflict(table)}'


def _upserting(table: Table) -> Any:
    statement = postgresql.insert(table)
    if table not in MOVED:
        return statement
    become = {name: statement.excluded[name] for name in MOVED[table]}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=become)


def _on_conflict(table: Table) -> str:
    keys = ", ".join(f'"{column.name}"' for column in table.primary_key.columns)
    become = ", ".join(f'"{name}" = excluded."{name}"' for name in MOVED[table])
    return f" ON CONFLICT ({keys}) DO UPDATE SET {become}"


def _names(table: Table) -> str:
    return ", ".join(f'"{column.name}"' for column in table.c)


def _lines(rows: Sequence[Values]) -> bytes:
    return "".join("\t".join(_cell(value) for value in row) + "\n" for row in rows).encode()


def _cell(value: Any) -> str:
    if value is None:
        return r"\N"
    if isinstance(value, bytes):
        return r"\\x" + value.hex()
    return str(value).replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")
