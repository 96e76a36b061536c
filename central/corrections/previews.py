"""What a wish would move as the books are now: points by issuer and lot, what is out at tills, what else goes along."""

from collections import Counter
from datetime import date
from typing import Literal

import msgspec
from sqlalchemy import Connection, Row, func, select

from central.coalition.registry import all_terms
from central.corrections.adjusting import Signed, covered, lots_of
from central.corrections.carrying_out import check
from central.corrections.ending import beyond
from central.corrections.moving import PointsLeased
from central.corrections.opening_file import kept_opening
from central.corrections.reinstating import kept_of
from central.corrections.wishes import (
    AdjustmentWish,
    EndingWish,
    FixWish,
    MergeWish,
    OpeningWish,
    ReinstateWish,
    TransferWish,
    Wish,
    WriteOffWish,
)
from central.database.rows import find
from central.database.tables import debt, lease_slice, lot
from central.posting.recorded import key_of
from loyalty.lots import LotKey, Slice, draw_down, points_in
from loyalty.moments import utc_date
from loyalty.terms import terms_on
from loyalty.trouble import Refusal

Way = Literal["given", "taken", "moved", "lapsed", "shortened"]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Points of one lot, and what becomes of them; `lapsed` ones move without ever being good again."""

    way: Way
    key: LotKey
    points: int


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What would move.

    Attributes:
        parts: by lot, soonest to lapse first.
        points: as the limits count them.
        accounts: how many it touches.
        leased_points: of these accounts and issuers, set aside at tills now; they do not move with the others.
        debt_points: that a merged account owes, and the other one will.
        events: that are booked by it.
    """

    parts: tuple[Part, ...]
    points: int
    accounts: int
    leased_points: int = 0
    debt_points: int = 0
    events: int = 0


def preview_of(connection: Connection, wish: Wish, signed: Signed) -> Preview:
    """Look, and write nothing.

    Raises:
        as `central.corrections.carrying_out.check`; but what tills hold of an account that closes is told, not refused.
    """
    try:
        points = check(connection, wish, signed)
    except PointsLeased:
        points = points_in(lots_of(connection, wish.account_id)) if isinstance(wish, MergeWish) else 0
    match wish:
        case AdjustmentWish():
            return _of_adjustment(connection, wish, signed.on, points)
        case TransferWish():
            there = lots_of(connection, wish.account_id)
            parts = _parts("moved", draw_down(there, points, today=signed.on))
            return Preview(parts=parts, points=points, accounts=2, leased_points=_leased(connection, wish.account_id))
        case MergeWish():
            return _of_merge(connection, wish, points)
        case OpeningWish():
            opening = kept_opening(connection, wish.rows_id)
            slices = [slice_ for row in opening.rows for slice_ in row.slices]
            return Preview(parts=_parts("given", slices), points=points, accounts=len(opening.rows))
        case WriteOffWish():
            return Preview(parts=(), points=points, accounts=1, debt_points=points)
        case ReinstateWish():
            kept = kept_of(connection, wish)
            return Preview(parts=(), points=points, accounts=len(kept.accounts), events=kept.events)
        case FixWish():
            return Preview(parts=(), points=points, accounts=1 if wish.fact.account_id or wish.fact.card_token else 0)
    return _of_ending(connection, wish, points)


def preview_waiting(connection: Connection, row: Row, now_ms: int) -> Preview | Refusal:
    """What a correction that waits would move now, or why it cannot be done now."""
    wish = msgspec.json.decode(bytes(row.fact), type=Wish)
    signed = Signed(
        correction_id=row.correction_id, asked_by=row.asked_by, approved_by="", on=utc_date(now_ms), now_ms=now_ms
    )
    try:
        return preview_of(connection, wish, signed)
    except Refusal as refusal:
        return refusal


def _of_adjustment(connection: Connection, wish: AdjustmentWish, on: date, points: int) -> Preview:
    terms = all_terms(connection)
    given = []
    for part in wish.granted:
        found = terms_on(terms, part.issuer_id, on)
        terms_id = found.terms_id if found else ""
        key = LotKey(valid_through=part.valid_through, issuer_id=part.issuer_id, terms_id=terms_id)
        given.append(Slice(key=key, points=part.points))
    taken = covered(wish, lots_of(connection, wish.account_id), on)
    return Preview(
        parts=(*_parts("given", given), *_parts("taken", taken)),
        points=points,
        accounts=1,
        leased_points=_leased(connection, wish.account_id) if taken else 0,
    )


def _of_merge(connection: Connection, wish: MergeWish, points: int) -> Preview:
    rows = find(connection, lot, [{"account_id": wish.account_id}])
    moved = [Slice(key=key_of(row), points=row.points) for row in rows if row.points]
    lapsed = [Slice(key=key_of(row), points=row.expired) for row in rows if row.expired]
    owed = select(func.sum(debt.c.points)).where(debt.c.account_id == wish.account_id)
    return Preview(
        parts=(*_parts("moved", moved), *_parts("lapsed", lapsed)),
        points=points,
        accounts=2,
        leased_points=_leased(connection, wish.account_id),
        debt_points=int(connection.execute(owed).scalar() or 0),
    )


def _of_ending(connection: Connection, wish: EndingWish, points: int) -> Preview:
    """Summed by the database: it may be about every account there is."""
    names = lot.c.valid_through, lot.c.issuer_id, lot.c.terms_id
    late = lot.c.points > 0, beyond(lot, wish.issuer_id, wish.last_day)
    grouped = select(*names, func.sum(lot.c.points).label("points")).where(*late).group_by(*names).order_by(*names)
    accounts = select(func.count(lot.c.account_id.distinct())).where(*late)
    out = select(func.sum(lease_slice.c.points)).where(beyond(lease_slice, wish.issuer_id, wish.last_day))
    return Preview(
        parts=tuple(
            Part(way="shortened", key=key_of(row), points=int(row.points)) for row in connection.execute(grouped)
        ),
        points=points,
        accounts=int(connection.execute(accounts).scalar() or 0),
        leased_points=int(connection.execute(out).scalar() or 0),
    )


def _parts(way: Way, slices: list[Slice] | tuple[Slice, ...]) -> tuple[Part, ...]:
    sums: Counter[LotKey] = Counter()
    for slice_ in slices:
        sums[slice_.key] += slice_.points
    return tuple(Part(way=way, key=key, points=sums[key]) for key in sorted(sums))


def _leased(connection: Connection, account_id: int) -> int:
    out = select(func.sum(lease_slice.c.points)).where(lease_slice.c.account_id == account_id)
    return int(connection.execute(out).scalar() or 0)
