"""A till that commits one sale and kills itself on the way: `killed.py FOLDER POINT`."""

import os
import signal
import sqlite3
import sys
from pathlib import Path

from edge.cache.cache import Cache
from edge.journal.journal import Journal
from edge.ports import Settings
from edge.sale.till import Till
from tests.edge.counter import FakeClock, commit, identity, line, sale


class Deadly:
    """A connection that ends the process at a named point of a transaction."""

    def __init__(self, real: sqlite3.Connection, point: str) -> None:
        self.real = real
        self.point = point

    def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        word = sql.split()[0]
        if self.point == f"before {word}":
            die()
        done = self.real.execute(sql, *values)
        if self.point == f"after {word}":
            die()
        return done

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, point: str) -> None:
    clock = FakeClock()
    journal = Journal.open(folder / "journal.db", identity(), clock)
    cache = Cache.open(folder / "cache.db", identity(), clock)
    settings = Settings(data_dir=str(folder))
    till = Till(journal=journal, cache=cache, clock=clock, settings=settings, identity=identity())
    journal._database.writer = Deadly(journal._database.writer, point)  # type: ignore[assignment]
    print(till.commit(commit("r1", sale(line(1, "bread", 5_000), points=300))).record, flush=True)
    die()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
