"""PostgreSQL databases with our tables, lent to one test after another: making one takes half a second, emptying one
a twentieth of that.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

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
_OTHERS = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


class LentDatabases:
    """The databases of one worker. Args: `dsn` of a server on which databases may be made."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._server = create_engine(dsn, isolation_level="AUTOCOMMIT")
        self._free: list[str] = []
        self._all: list[str] = []
        self._shape = ""

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The URL of a database with our tables, all of them empty."""
        name = self._free.pop() if self._free else self._make()
        url = make_url(self._dsn).set(database=name).render_as_string(hide_password=False)
        yield url
        if self._is_emptied(url):
            self._free.append(name)
        else:
            self._drop(name)

    def close(self) -> None:
        """Let all of them go."""
        for name in list(self._all):
            self._drop(name)
        self._server.dispose()

    def _make(self) -> str:
        name = f"tp_{secrets.token_hex(6)}"
        with self._server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        self._all.append(name)
        engine = open_engine(make_url(self._dsn).set(database=name).render_as_string(hide_password=False))
        upgrade(engine)
        with engine.connect() as connection:
            self._shape = connection.execute(_SHAPE).scalar_one()
        engine.dispose()
        return name

    def _drop(self, name: str) -> None:
        with self._server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        self._all.remove(name)

    def _is_emptied(self, url: str) -> bool:
        """Whether it could be made as it was; one that a test has left in another shape cannot."""
        engine: Engine = create_engine(url, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.execute(_OTHERS)
                if connection.execute(_SHAPE).scalar_one() != self._shape:
                    return False
                _empty(connection)
        except DBAPIError:
            return False
        finally:
            engine.dispose()
        return True


def _empty(connection: Connection) -> None:
    asked = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM \"{name}\")" for name in metadata.tables)
    if full := [row[0] for row in connection.execute(text(asked))]:
        tables = ", ".join(f'"{name}"' for name in full)
        connection.execute(text(f"SET lock_timeout = '5s'; TRUNCATE {tables} RESTART IDENTITY CASCADE"))
