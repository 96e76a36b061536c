"""A centre's busy day to verify: something of everything, and the means to change it behind everybody's back."""

from datetime import date
from typing import Any

from sqlalchemy import select, text

from central.database import tables as t
from central.database.tables import APPEND_ONLY
from central.ports import writing
from central.settlement.closing import close_period
from central.verify.books import Verified, verify_books
from loyalty.facts.events import Opened
from loyalty.members import MemberView
from loyalty.programme.compiled import compile_programme
from loyalty.programme.programme import programme_from
from tests.central.tills import BEN, PROGRAMME, Centre, Till, told

TOKEN = "ab" * 16
# Half the price of every tea, which bolt pays, also where acme sells it.
TEA = {"id": "tea", "funded_by": "bolt", "then": [{"kind": "percent_off", "percent_bp": 5000, "of": {"sku": ["tea"]}}]}
WITH_TEA = compile_programme(programme_from({**PROGRAMME, "promotions": [*PROGRAMME["promotions"], TEA]}))


class Day:
    """One day at two tills with something of everything, sent in three batches; ids of what tests point at."""

    def __init__(self, centre: Centre) -> None:
        self.centre = centre
        self.anna, self.ben = centre.member(), centre.member(BEN)
        self.acme, self.bolt = centre.till("S1"), centre.till("S2")
        self.acme.rules = self.bolt.rules = WITH_TEA
        self.acme.hello()
        self.acme.append(Opened(receipt_id="opened:1", reason="enrolled"))
        self.acme.sell("R1", 10_000, told(self.anna))  # 100 points
        self.acme.sell("R2", 30_000, told(self.anna, 1, 150), spend=150)  # 50 of them are not there; earns 298
        self.acme.sell("R3", 2_000, MemberView(), token=TOKEN)
        self.acme.upload()
        self._nobodys_tea()
        self._returns()
        self.acme.upload()

    def _nobodys_tea(self) -> None:
        tea = self.acme.receipt("R4", 400, sku="tea")
        self.tea = self.acme.append(tea)
        self.acme.take_back("B4", self.tea, tea, 500)
        other = self.acme.receipt("R5", 900, sku="tea")
        self.acme.void(self.acme.append(other), other)

    def _returns(self) -> None:
        sold = self.bolt.receipt("R1", 40_000, told(self.anna, 2))  # 400 points, 50 repay
        ref = self.bolt.append(sold)
        self.bolt.take_back("B1", ref, sold, 250)
        self.bolt.sell("R2", 7_000, told(self.ben))
        self.bolt.append(b'{"type":"gift.v1","receipt_id":"G1"}')
        self.bolt.upload()
        self.acme.take_back("B2", ref, sold, 250, earlier=250)
        self.acme.close()

    def batches(self, till: Till) -> list[Any]:
        with self.centre.engine.connect() as db:
            own = select(t.batch).where(t.batch.c.till_id == till.head.till_id)
            return list(db.execute(own.order_by(t.batch.c.last_seq)))


def busy_day(centre: Centre) -> Day:
    """A day that verifies clean, in a database that lets itself be changed."""
    made = Day(centre)
    assert verify(centre).violations == ()
    open_to_damage(centre)
    return made


def close(day: Day) -> None:
    close_period(day.centre.engine, period_no=1, through=date(2026, 3, 31), now_ms=day.centre.now)


def verify(centre: Centre) -> Verified:
    return verify_books(centre.engine)


def codes(centre: Centre) -> list[str]:
    return sorted({one.code for one in verify(centre).violations})


def open_to_damage(centre: Centre) -> None:
    """As somebody with the database's own password would: off with the triggers."""
    if centre.engine.dialect.name == "sqlite":
        with writing(centre.engine) as tx:
            for table in APPEND_ONLY:
                tx.execute(text(f"DROP TRIGGER {table}_no_update"))
                tx.execute(text(f"DROP TRIGGER {table}_no_delete"))


def run(centre: Centre, statement: Any, rows: int = 1) -> None:
    """Change the database behind everybody's back; exactly so many rows."""
    with writing(centre.engine) as tx:
        assert tx.execute(text(statement) if isinstance(statement, str) else statement).rowcount == rows
