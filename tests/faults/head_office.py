"""A batch for a head office to take, and what its books must be like afterwards."""

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select

from central.database import tables as t
from central.ports import open_engine, reading
from central.tills.store import SqlCentreStore
from sync.centre_session import CentreSession
from sync.keys import Signer
from sync.wire import BATCH_PATH, Answer
from tests.central.tills import ANNA, BEN, CARD_KEY, NOW, Centre, Drawn, told

BATCH = "batch"
DATABASE = "central.db"
BOOKS = (t.event, t.posting, t.lot, t.debt, t.account, t.use, t.reversed_, t.claim, t.flag)


def begin(url: str) -> tuple[Centre, bytes]:
    """A centre with two members, and a batch of a till: sales, points spent, goods back, a void, an id used twice."""
    centre = Centre(url)
    anna, ben = centre.member(ANNA), centre.member(BEN)
    till = centre.till()
    till.sell("first", 90_000, told(anna))
    till.upload()
    for n in range(12):
        receipt = till.receipt(f"r{n}", 1_000 + n, told(ben if n % 3 else anna, balance=900), spend=50 * (n % 2))
        ref = till.append(receipt)
        if n % 4 == 1:
            till.take_back(f"b{n}", ref, receipt, 500)
        if n == 6:
            till.void(ref, receipt)
    till.sell("r0", 500, told(anna))
    return centre, till.batch()


def prepare(folder: Path) -> None:
    """The files of a centre on SQLite before it takes the batch."""
    folder.mkdir()
    centre, batch = begin(f"sqlite:///{folder / DATABASE}")
    centre.engine.dispose()
    (folder / BATCH).write_bytes(batch)


def take(engine: Engine, batch: bytes) -> Answer:
    """A head office that has just started answers a till's batch."""
    store = SqlCentreStore(engine, Drawn("again"), card_key=CARD_KEY)
    return CentreSession(Signer(b"C" * 32), Drawn("session").bytes).answer(NOW, BATCH_PATH, batch, store)


def take_in(folder: Path) -> Answer:
    """The same over the files of a folder."""
    engine = open_engine(f"sqlite:///{folder / DATABASE}")
    try:
        return take(engine, (folder / BATCH).read_bytes())
    finally:
        engine.dispose()


def books(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the books."""
    with reading(engine) as connection:
        return {table.name: sorted(map(tuple, connection.execute(select(table)))) for table in BOOKS}
