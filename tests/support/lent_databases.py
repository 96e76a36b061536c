"""Databases with our tables, made once and lent to one test after another: making one takes as long as many a test."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from central.database.tables import metadata
from central.migrations import upgrade
from central.ports import open_engine

# What a test may have changed of the tables themselves: columns, indexes, constraints, triggers.
_SHAPE = text(
    "SELECT md5(string_agg(said, ',' ORDER BY said)) FROM ("
    " SELECT concat(c.relname, a.attname, a.atttypid, a.attnotnull) AS said FROM pg_class c"
    "  JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0"
    " UNION ALL SELECT concat(conname, conrelid::regclass) FROM pg_constraint"
    "  WHERE connamespace = 'public'::regnamespace"
    " UNION ALL SELECT concat(tgname, tgrelid::regclass, tgenabled) FROM pg_trigger WHERE NOT tgisinternal) AS parts"
)
# Whoever is still there is gone before anything is emptied, so that nothing is committed into it afterwards.
_OTHERS = text(
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
# The tables that hold anything, and whether it is much: to delete a few rows costs a tenth of new empty files, but
# leaves their room behind.
_FULL = text(" UNION ALL ".join(
    f"SELECT '{name}', pg_relation_size('\"{name}\"') > 65536 WHERE EXISTS (SELECT 1 FROM \"{name}\")"
    for name in metadata.tables
))  # fmt: skip


def prepared_file(folder: Path) -> Path:
    """A SQLite database with our tables, all of them empty, to be copied."""
    path = folder / "prepared.db"
    engine = open_engine(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()
    return path


def copied(prepared: Path, to: Path) -> str:
    """A copy of it for one test; its URL."""
    shutil.copy(prepared, to)  # with its rights, which are its owner's alone
    return f"sqlite:///{to}"


class LentDatabases:
    """The PostgreSQL databases of one worker.

    Args:
        dsn: of a server on which databases may be made.
        prefix: the beginning of their names.
    """

    def __init__(self, dsn: str, prefix: str = "tp") -> None:
        self._dsn, self._prefix = dsn, prefix
        self._server = create_engine(dsn, isolation_level="AUTOCOMMIT")
        self._free: list[str] = []
        # One connection to each, which stays: learning what the tables are takes longer than emptying them.
        self._all: dict[str, Connection] = {}
        self._shape = ""

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The URL of a database with our tables, all of them empty."""
        name = self._free.pop() if self._free else self._make()
        yield self._url(name)
        if self._is_emptied(self._all[name]):
            self._free.append(name)
        else:
            self._drop(name)

    def close(self) -> None:
        """Let all of them go."""
        for name in list(self._all):
            self._drop(name)
        self._server.dispose()

    def _url(self, name: str) -> str:
        return make_url(self._dsn).set(database=name).render_as_string(hide_password=False)

    def _make(self) -> str:
        name = f"{self._prefix}_{secrets.token_hex(6)}"
        with self._server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine = open_engine(self._url(name))
        upgrade(engine)
        engine.dispose()
        ours = create_engine(self._url(name), isolation_level="AUTOCOMMIT", poolclass=NullPool).connect()
        self._all[name] = ours
        self._shape = ours.execute(_SHAPE).scalar_one()
        return name

    def _drop(self, name: str) -> None:
        self._all.pop(name).close()
        with self._server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))

    def _is_emptied(self, ours: Connection) -> bool:
        """Whether it could be made as it was; one that a test has left in another shape cannot."""
        try:
            ours.execute(_OTHERS)
            if ours.execute(_SHAPE).scalar_one() != self._shape:
                return False
            _empty(ours)
        except DBAPIError:
            return False
        return True


def _empty(ours: Connection) -> None:
    full = ours.execute(_FULL).all()
    if few := [name for name, is_much in full if not is_much]:
        # As a replica does: neither what guards append-only tables nor references between tables are asked. Who may not
        # do so gets a new database each time.
        delete = "; ".join(f'DELETE FROM "{name}"' for name in few)
        ours.execute(text(f"SET session_replication_role = replica; {delete}; RESET session_replication_role"))
    if much := [f'"{name}"' for name, is_much in full if is_much]:
        ours.execute(text(f"SET lock_timeout = '5s'; TRUNCATE {', '.join(much)} CASCADE"))
