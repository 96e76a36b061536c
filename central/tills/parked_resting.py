"""Baskets that lie at a head office which was put back from a backup: they rest until it is known who has them.

Since the backup some may have been resumed, and others were left here. So none is given away before every till of the
partner has said in this generation which ones it has; what it left here itself, it leaves again. A till that is not
heard keeps them resting, until they expire with their day. One that two tills have all the same is on the worklist.
Source: docs/decisions/baskets-rest-after-a-restore.md.
"""

from typing import Literal

from sqlalchemy import Connection, and_, insert, select, update

from central.coalition.registry import partner_of
from central.coalition.settings import generation
from central.coalition.streams import GOING_ON
from central.database.rows import put
from central.database.tables import parked_basket, parked_heard, stream, till
from central.worklist.worklist import raise_alarm
from loyalty.moments import utc_date
from sync.desk import DeskAsk
from sync.parked_office import OfficeTaken

LONGEST_MS = 36 * 3_600_000  # whatever a till's clock says of its day's end
TWICE = "parked_twice"


def rest_all(tx: Connection) -> None:
    """This database was put back: nothing that lies here is given away for now."""
    tx.execute(update(parked_basket).where(parked_basket.c.state == "open").values(state="resting"))


def state_of_new(tx: Connection, partner_id: str, now_ms: int, *, again: bool) -> Literal["open", "resting"]:
    """What becomes of a basket that is left here.

    Args:
        again: its till has tried to leave it here before, so it may have lain here and been resumed before a restore.
    """
    is_unsure = again and generation(tx) and _unheard(tx, partner_id, now_ms)
    return "resting" if is_unsure else "open"


def wake(tx: Connection, partner_id: str, now_ms: int) -> None:
    """Give away again what rests, once every till of the partner was heard."""
    rests = parked_basket.c.partner_id == partner_id, parked_basket.c.state == "resting"
    if tx.execute(select(parked_basket.c.park_id).where(*rests).limit(1)).first() is None:
        return
    if not _unheard(tx, partner_id, now_ms):
        tx.execute(update(parked_basket).where(*rests).values(state="open"))


def take_resumed(tx: Connection, ask: DeskAsk, now_ms: int) -> None:
    """Note which baskets a till has; with the last of them, that it was heard. The same again changes nothing."""
    for one in ask.resumed:
        _take(tx, ask.till_id, one, now_ms)
    if ask.generation and ask.generation == generation(tx):
        put(tx, parked_heard, [{"till_id": ask.till_id, "generation": ask.generation}], {"generation": "given"})


def partner_of_till(tx: Connection, till_id: str, now_ms: int) -> str:
    """The partner to whose store a till belongs now."""
    store_id = tx.execute(select(till.c.store_id).where(till.c.till_id == till_id)).scalar_one()
    return partner_of(tx, store_id, utc_date(now_ms).isoformat())


def _take(tx: Connection, by: str, one: OfficeTaken, now_ms: int) -> None:
    has = {"state": "taken", "taken_by": by, "resume_id": one.resume_id}
    here = parked_basket.c.till_id == one.till_id, parked_basket.c.park_id == one.park_id
    row = tx.execute(select(parked_basket.c.state, parked_basket.c.taken_by).where(*here).with_for_update()).first()
    if row is None:
        # It was left here after the backup; who parked it may leave it once more.
        tx.execute(insert(parked_basket).values(
            till_id=one.till_id, park_id=one.park_id, partner_id=partner_of_till(tx, by, now_ms), parked_at_ms=now_ms,
            until_ms=now_ms + LONGEST_MS, currency="", lines=0, amount_minor=0, note="", cashier="", has_card=0,
            body=b"", **has,
        ))  # fmt: skip
    elif row.state in ("open", "resting"):
        tx.execute(update(parked_basket).where(*here).values(**has))
    elif row.state == "taken" and row.taken_by != by:
        raise_alarm(tx, TWICE, by, now_ms, park_id=one.park_id, parked_by=one.till_id, also_at=row.taken_by)


def _unheard(tx: Connection, partner_id: str, now_ms: int) -> list[str]:
    """The tills of a partner that have not said yet, in this generation, which baskets they have."""
    present = and_(stream.c.till_id == till.c.till_id, stream.c.epoch == till.c.epoch)
    said = and_(parked_heard.c.till_id == till.c.till_id, parked_heard.c.generation == generation(tx))
    chosen = select(till.c.till_id, till.c.store_id).join_from(till, stream, present).outerjoin(parked_heard, said)
    on = utc_date(now_ms).isoformat()
    rows = tx.execute(chosen.where(stream.c.state.in_(GOING_ON), parked_heard.c.till_id.is_(None))).all()
    owners = {store_id: partner_of(tx, store_id, on) for store_id in {row.store_id for row in rows}}
    return [row.till_id for row in rows if owners[row.store_id] == partner_id]
