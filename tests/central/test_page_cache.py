"""How much of its database head office keeps in memory: one connection that writes much, all others little."""

from pathlib import Path

import pytest
from sqlalchemy import text

from central.ports import open_engine, reading, writing


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'central.db'}"


def test_a_connection_has_the_large_cache_while_it_writes_and_gives_it_back(url: str) -> None:
    engine = open_engine(url)
    sizes = []
    for opened in (reading, writing, reading, reading, writing, writing):
        with opened(engine) as connection:
            sizes.append(connection.execute(text("PRAGMA cache_size")).scalar_one())
    assert sizes == [-4_096, -32_768, -4_096, -4_096, -32_768, -32_768]
    engine.dispose()


def test_the_caches_are_as_large_as_the_settings_say(url: str) -> None:
    engine = open_engine(url, cache_mib=2)
    with reading(engine) as one, writing(engine) as other:
        sizes = [connection.execute(text("PRAGMA cache_size")).scalar_one() for connection in (one, other)]
    assert sizes == [-256, -2_048]
    engine.dispose()


def test_the_connection_that_was_used_last_is_used_next(url: str) -> None:
    """So a quiet hour leaves one cache filled, not one in each connection of the pool."""
    engine = open_engine(url)
    with engine.connect() as one, engine.connect() as other:
        mine = {id(one.connection.driver_connection), id(other.connection.driver_connection)}
    used = set()
    for _ in range(5):
        with reading(engine) as connection:
            used.add(id(connection.connection.driver_connection))
    assert len(mine) == 2 and len(used) == 1
    engine.dispose()
