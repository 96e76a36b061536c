"""Floats: points that a till may let members spend without asking, topped up to what the programme allows.

Points granted to all tills, less points seen spent, is what may still be overspent while lines are down: a number
known at any moment. Source: house.md ideas 4 and 5 and section 4, point 4; offline-redemption.md.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, bindparam, func, select, update

from central.coalition.streams import at
from central.database.asking import ask, ask_first, ask_one, tell
from central.database.rows import put
from central.database.tables import stream, till, till_grant
from central.ports import Randomness
from central.streams.own_events import append_own
from loyalty.facts.lease_events import Granted
from loyalty.lots import Slice
from loyalty.programme.programme import OfflineCaps, Programme
from sync.wire import Grant

# A float is no member's points, so nothing is locked by it and nothing is gained by letting it lapse; the till
# tightens its own caps when programme or hotlist expire. Ten years stand for ever.
SPEND_FOR_S = 10 * 365 * 24 * 3600
AT_MOST = 50


_PRESENT = (
    select(stream.c.float_granted, stream.c.float_spent)
    .join_from(stream, till, (till.c.till_id == stream.c.till_id) & (till.c.epoch == stream.c.epoch))
    .where(at(bindparam("till"), bindparam("in_epoch")), stream.c.state == "active")
)


def top_up(
    tx: Connection,
    programme: Programme | None,
    till_id: str,
    epoch: int,
    now_ms: int,
    randomness: Randomness,
    *,
    taken: int = 0,
) -> int:
    """Grant a till what its float lacks; the points granted, 0 for nothing.

    The caller has written the stream's row in this transaction, which keeps a second top-up out. Spent points that
    a void gave back do not return to the float: the till may have spent them again before it knew.

    Args:
        programme: the one in force; none where there is none.
        taken: the newest grant that the till has; see `may_grant`.
    """
    if programme is None or programme.spending is None or programme.spending.offline is None:
        return 0
    row = ask_first(tx, _PRESENT, {"till": till_id, "in_epoch": epoch})
    if row is None:
        return 0
    points = _of_a_till(tx, till_id, programme.spending.offline) - int(row.float_granted - row.float_spent)
    if points <= 0 or not may_grant(tx, till_id, epoch, taken):
        return 0
    _grant(tx, till_id, epoch, points, now_ms, randomness)
    return points


_NEWEST = select(func.max(till_grant.c.grant_no)).where(
    till_grant.c.till_id == bindparam("till"), till_grant.c.epoch == bindparam("in_epoch")
)
_MAY = select(stream.c.leases_suspended, _NEWEST.scalar_subquery().label("grant_no")).where(
    at(bindparam("till"), bindparam("in_epoch")), stream.c.state == "active"
)


def may_grant(connection: Connection, till_id: str, epoch: int, taken: int) -> bool:
    """Whether a till may be given anything now.

    Not while it spends nothing of its leases, and not while it has grants that are not here: this centre was restored
    to before them, and until the till has shown them nobody knows what it has, nor which number comes next.

    Args:
        taken: the newest grant that the till has, as it says.
    """
    row = ask_first(connection, _MAY, {"till": till_id, "in_epoch": epoch})
    return row is not None and not row.leases_suspended and taken <= (row.grant_no or 0)


def newest_grant(connection: Connection, till_id: str, epoch: int) -> int:
    """The number of the last grant to a till, 0 for none."""
    return ask_one(connection, _NEWEST, {"till": till_id, "in_epoch": epoch}) or 0


def _of_a_till(tx: Connection, till_id: str, caps: OfflineCaps) -> int:
    """What a till's float may be: its own cap, and no more than its equal share of the store's."""
    if caps.store_points is None:
        return caps.till_points
    own = select(till.c.store_id).where(till.c.till_id == till_id).scalar_subquery()
    tills = tx.execute(select(func.count()).where(till.c.store_id == own, till.c.epoch > 0)).scalar_one()
    return min(caps.till_points, caps.store_points // max(1, tills))


_GRANTED = (
    update(stream)
    .where(at(bindparam("till"), bindparam("in_epoch")))
    .values(float_granted=stream.c.float_granted + bindparam("more"))
)


def _grant(tx: Connection, till_id: str, epoch: int, points: int, now_ms: int, randomness: Randomness) -> None:
    grant_no = newest_grant(tx, till_id, epoch) + 1
    lease_id = f"float:{epoch}:{grant_no}"
    row = {"till_id": till_id, "epoch": epoch, "grant_no": grant_no, "lease_id": lease_id, "account_id": None,
           "points": points, "spend_for_s": SPEND_FOR_S, "settle_until_ms": now_ms + 1000 * SPEND_FOR_S,
           "granted_at_ms": now_ms}  # fmt: skip
    put(tx, till_grant, [row])
    tell(tx, _GRANTED, {"till": till_id, "in_epoch": epoch, "more": points})
    fact = Granted(
        receipt_id=f"grant:{till_id}:{epoch}:{grant_no}",
        lease_id=lease_id,
        till_id=till_id,
        epoch=epoch,
        points=points,
        granted_at_ms=now_ms,
    )
    append_own(tx, f"grants:{till_id}", [fact], now_ms, randomness)


_AFTER = (
    select(*(one for one in till_grant.c if one.name not in ("unrestored", "shown_by")))
    .where(till_grant.c.till_id == bindparam("till"), till_grant.c.epoch == bindparam("in_epoch"),
           till_grant.c.grant_no > bindparam("after"))
    .order_by(till_grant.c.grant_no)
    .limit(AT_MOST)
)  # fmt: skip


def grants_after(connection: Connection, till_id: str, epoch: int, grant_no: int) -> Sequence[Grant]:
    """The grants of a till after a number, ascending; unsigned, `key_no` 0."""
    return tuple(
        Grant(key_no=0, **{**row._mapping, "slices": msgspec.json.decode(row.slices, type=tuple[Slice, ...])})
        for row in ask(connection, _AFTER, {"till": till_id, "in_epoch": epoch, "after": grant_no})
    )


def floats_out(connection: Connection) -> int:
    """Points that tills may still let be spent unasked, over all streams: the bound on what may be overspent."""
    out = select(func.sum(stream.c.float_granted - stream.c.float_spent)).where(stream.c.state != "centre")
    return int(connection.execute(out).scalar() or 0)
