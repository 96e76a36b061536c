"""SQLite databases that do not wait for the disk: a crash of the machine may cost the test data.

Each commit of till and centre waits for the disk, some milliseconds, and few tests are about that. Processes
that a test starts, and all tests of `tests/faults`, wait as in a shop.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import central.ports
import edge.database

_NO_WAITING = "PRAGMA synchronous=OFF"
_at_the_centre, _at_the_till = central.ports._set_pragmas, edge.database._set_up


def _hurried_centre(connection: Any, record: Any) -> None:
    _at_the_centre(connection, record)
    connection.execute(_NO_WAITING)


def _hurried_till(connection: sqlite3.Connection, *how: Any) -> None:
    _at_the_till(connection, *how)
    connection.execute(_NO_WAITING)


@contextmanager
def hurried() -> Iterator[None]:
    """Databases that are opened meanwhile in this process wait for no disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(central.ports, "_set_pragmas", _hurried_centre)
        patch.setattr(edge.database, "_set_up", _hurried_till)
        yield


@contextmanager
def as_in_a_shop() -> Iterator[None]:
    """Databases that are opened meanwhile wait, as they do outside of tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(central.ports, "_set_pragmas", _at_the_centre)
        patch.setattr(edge.database, "_set_up", _at_the_till)
        yield
