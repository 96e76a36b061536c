"""After everything a fleet went through its goods can be let go, and head office's books verify as before."""

from typing import Any

import pytest
from sqlalchemy import func, select, update

from central.database.tables import batch, flag
from central.ports import SystemRandomness, reading, writing
from central.upkeep.redacting import DAMAGED, held_back, redact
from central.verify.books import verify_books
from tallypoint.fleet.faults import KINDS
from tallypoint.fleet.world import Fleet, Plan

DAY_MS = 86_400_000


def number(fleet: Fleet, of: Any) -> int:
    with reading(fleet.office.engine) as tx:
        return int(tx.execute(of).scalar_one())


@pytest.mark.parametrize("seed", [3, 4, 9])
def test_a_fleets_goods_are_let_go_whatever_it_went_through(seed: int) -> None:
    fleet = Fleet(Plan(tills=3, transactions=60, seed=seed, faults=KINDS))
    fleet.play()
    engine = fleet.office.engine
    before = verify_books(engine)
    assert before.violations == ()
    later = number(fleet, select(func.max(batch.c.received_at_ms))) + 61 * DAY_MS
    all_there_is = number(fleet, select(func.count()).select_from(batch))

    def let_go() -> int:
        while redact(engine, 60, later, SystemRandomness()):
            pass
        return number(fleet, select(func.count()).select_from(batch).where(batch.c.redacted_ms > 0))

    with reading(engine) as tx:
        held = held_back(tx, 60, later)
    assert let_go() == all_there_is - held
    with writing(engine) as tx:
        tx.execute(update(flag).values(state="settled"))
    assert let_go() == all_there_is
    assert number(fleet, select(func.count()).select_from(flag).where(flag.c.cause == DAMAGED)) == 0
    after = verify_books(engine)
    assert (after.violations, after.points, after.accounts) == ((), before.points, before.accounts)
