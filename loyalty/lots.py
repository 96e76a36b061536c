"""Which lots pay, giving back in reverse, and what is owed when lots do not suffice.

A lot has no id but its key: last valid day, issuer, terms. Accruals under the same key merge (DECISIONS 8).
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import Literal

import msgspec

from loyalty.document import TimeOfDay
from loyalty.moments import Moment
from loyalty.trouble import InvariantBroken

FOREVER = date.max  # points without an end sort last
LotOrder = Literal["valid_through", "first_earned"]


class Expiry(msgspec.Struct, frozen=True, kw_only=True):
    """When points go on their last valid day: with it, at its start, or at an instant of it, `HH:MM` in store time."""

    when: Literal["end_of_day", "start_of_day", "instant"] = "end_of_day"
    at: TimeOfDay = "24:00"


END_OF_DAY = Expiry()


class LotKey(msgspec.Struct, frozen=True, kw_only=True, array_like=True, order=True):
    """Names a lot within its account; the order of its fields is the spending order."""

    valid_through: date
    issuer_id: str
    terms_id: str


class Lot(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Points of one issuer under one set of terms that lapse together: good through `key.valid_through`.

    `earned_on` is the business date of its first accrual since it was last empty; none where nobody remembers.
    """

    key: LotKey
    points: int
    earned_on: date | None = None


class Slice(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Points taken from one lot."""

    key: LotKey
    points: int


class Redated(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Points of the lot `key` were brought to another last valid day: what is taken back of them is taken there."""

    key: LotKey
    valid_through: date


class EventRef(msgspec.Struct, frozen=True, kw_only=True, array_like=True, order=True):
    """An event by its place in a stream."""

    till_id: str
    epoch: int
    seq: int


class Debt(msgspec.Struct, frozen=True, kw_only=True):
    """Points that were owed back when no lot held them; a memo repaid by later accruals, oldest first.

    With an issuer: a clawback of that issuer's points. Without one: a spend at `at_partner_id` that nothing
    covered, which later points cover as a redemption there under `at_terms_id`.
    """

    account_id: int
    issuer_id: str | None
    terms_id: str | None
    at_partner_id: str
    at_terms_id: str
    points: int
    of: EventRef
    origin_period_no: int = 0


def draw_down(
    lots: Iterable[Lot],
    points: int,
    *,
    today: date,
    now: Moment | None = None,
    order: LotOrder = "valid_through",
    expiry: Expiry = END_OF_DAY,
) -> tuple[Slice, ...]:
    """Choose which lots pay, soonest to lapse first; fewer points than asked when the live lots hold fewer.

    Args:
        lots: the account's open lots, in any order; lapsed ones are passed over.
        points: whole points to take, 0 or more.
        today: business date of the basket, not the wall clock.
        now: store time of the basket; without it its day has just begun.
        order: or the first earned first; a lot whose accrual nobody remembers is older than all others.
        expiry: when lots go on their last valid day.
    Returns:
        One slice per lot used, in spending order.
    Source: DECISIONS 8; settlement.md "Attribution"; docs/programme.md, options `lot_order` and `expiry`.
    """
    if points < 0:
        raise InvariantBroken("cannot draw a negative number of points", points=points)

    def turn(lot: Lot) -> tuple[date, LotKey]:
        return (lot.earned_on or date.min if order == "first_earned" else lot.key.valid_through, lot.key)

    live = [lot for lot in lots if is_live(lot.key, expiry, today, now) and lot.points > 0]
    slices: list[Slice] = []
    for lot in sorted(live, key=turn):
        if points == 0:
            break
        taken = min(lot.points, points)
        slices.append(Slice(key=lot.key, points=taken))
        points -= taken
    return tuple(slices)


def is_live(key: LotKey, expiry: Expiry, today: date, now: Moment | None) -> bool:
    """Whether a lot can still be spent. Days are business days; an instant is one of the clock of the store."""
    last_day = key.valid_through
    if expiry.when == "instant":
        return (now.on, now.at) < (last_day, expiry.at) if now else (today, "00:00") < (last_day, expiry.at)
    return today < last_day if expiry.when == "start_of_day" else today <= last_day


def whereabouts(key: LotKey, redated: Mapping[LotKey, date]) -> tuple[LotKey, ...]:
    """A lot, and those that its points were brought to since, one after the other.

    Args:
        redated: the last valid day that each lot's points were given, see `Redated`.
    """
    found = [key]
    while found[-1] in redated:
        there = msgspec.structs.replace(key, valid_through=redated[found[-1]])
        if there in found:
            break
        found.append(there)
    return tuple(found)


def draw_back(lots: Iterable[Lot], wanted: LotKey, points: int, homes: Collection[LotKey] = ()) -> tuple[Slice, ...]:
    """Choose what a clawback takes: the lot that was granted, then that issuer's others, then any other.

    Lapsed lots count too: what lapsed in the meantime was still granted, and is the first to go within its group.

    Args:
        homes: where the points of the lot that was granted are now, see `whereabouts`; it is one lot with them.
    """

    def turn(lot: Lot) -> tuple[bool, bool, LotKey]:
        return (lot.key != wanted and lot.key not in homes, lot.key.issuer_id != wanted.issuer_id, lot.key)

    slices: list[Slice] = []
    for lot in sorted((lot for lot in lots if lot.points > 0), key=turn):
        if points == 0:
            break
        taken = min(lot.points, points)
        slices.append(Slice(key=lot.key, points=taken))
        points -= taken
    return tuple(slices)


def give_back(used: Iterable[Slice], points: int) -> tuple[Slice, ...]:
    """Choose which slices of a redemption come back, last used first.

    Args:
        used: what the redemption still holds, in the order it was used.
        points: at most their sum comes back.
    """
    back: list[Slice] = []
    for slice_ in reversed(tuple(used)):
        if points == 0:
            break
        taken = min(slice_.points, points)
        if taken:
            back.append(Slice(key=slice_.key, points=taken))
            points -= taken
    return tuple(back)


def points_in(parts: Iterable[Lot] | Iterable[Slice]) -> int:
    """The sum of points over lots or slices."""
    return sum(part.points for part in parts)
