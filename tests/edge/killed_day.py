"""A till that exchanges, resumes a basket or closes its day and kills itself on the way: `killed_day.py FOLDER WHAT N`
dies at the N-th statement that writes, before it is done."""

import sqlite3
import sys
from pathlib import Path

from edge.api.bodies import ParkBody
from edge.api.contract import read_body
from edge.cache.cache import Cache
from edge.day.day import close_day
from edge.journal.journal import Journal
from edge.parking.parking import give, park
from edge.ports import Settings
from edge.sale.exchanging import ExchangeAsk, exchange
from edge.sale.till import Till
from loyalty.facts.day_totals import DayTotals
from loyalty.moments import utc_date
from tests.edge.counter import NOON_MS, FakeClock, back, commit, identity, line, sale
from tests.edge.killed import die

PARKED = b'{"park_id": "P1", "basket": {"currency": "EUR", "lines": [{"line": 1, "sku": "tea", "amount_minor": 300}]}}'


class DeadlyAt:
    """A connection that ends the process at the n-th statement which writes or commits."""

    def __init__(self, real: sqlite3.Connection, n: int) -> None:
        self.real, self.left = real, n

    def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        self._count(sql)
        return self.real.execute(sql, *values)

    def executemany(self, sql: str, *values: object) -> sqlite3.Cursor:
        self._count(sql)
        return self.real.executemany(sql, *values)

    def _count(self, sql: str) -> None:
        if sql.split()[0] in ("INSERT", "UPDATE", "DELETE", "COMMIT"):
            self.left -= 1
            if self.left == 0:
                die()

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)


def opened(folder: Path) -> Till:
    """The till of a folder."""
    clock = FakeClock()
    journal = Journal.open(folder / "journal.db", identity(), clock)
    cache = Cache.open(folder / "cache.db", identity(), clock)
    return Till(journal=journal, cache=cache, clock=clock, settings=Settings(data_dir=str(folder)), identity=identity())


def act(till: Till, what: str) -> object:
    """Do it, or do it again; `prepare` is what stands before."""
    match what:
        case "prepare":
            till.commit(commit("r1", sale(line(1, "bread", 5_000))))
            return park(till, read_body(PARKED, ParkBody))
        case "exchange":
            swapped = commit("x-sale", sale(line(1, "mug", 8_000)))
            return exchange(
                till, ExchangeAsk(exchange_id="x", back=back("x-back", "r1", (1, 1_000, 5_000)), sale=swapped)
            )
        case "resume":
            return give(till.journal, "P1", till.identity.till_id, "u1")
        case _:
            return close_day(till, utc_date(NOON_MS), "4", pos=DayTotals(net_minor=1))


def main(folder: Path, what: str, n: int) -> None:
    till = opened(folder)
    till.journal._database.writer = DeadlyAt(till.journal._database.writer, n)  # type: ignore[assignment]
    act(till, what)
    print("done", flush=True)
    die()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
