"""Money off: percent per line, an amount per basket, line or unit; spread by largest remainder, never below a floor."""

from collections.abc import Sequence
from datetime import date

import msgspec

from loyalty.amounts import round_ratio, share_out
from loyalty.baskets import Line
from loyalty.compiled import selects
from loyalty.programme import AmountOff, Options, PercentOff


class Effect(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What one promotion did to one line: minor units off, points granted, and who pays.

    `funded_by` is empty for the store's own partner; `valid_through` belongs to granted points.
    """

    promotion: str
    line: int
    amount_minor: int = 0
    points: int = 0
    funded_by: str = ""
    valid_through: date | None = None


def take_off(
    rule: PercentOff | AmountOff, lines: Sequence[Line], remaining: Sequence[int], options: Options
) -> tuple[int, ...]:
    """Minor units that a rule takes off each line, by position.

    Args:
        lines: the whole basket; lines marked not discountable are passed over.
        remaining: what each line still costs after earlier promotions.
    Returns:
        One amount per line, 0 or more, never below the line's floor price. An amount off the basket is spread in
        proportion to what the lines still cost; what a floor refuses moves to lines that can still take it.
    Source: engine.md capabilities 1, 2, 4, 14.
    """
    rooms = tuple(
        _room(line, left) if line.discountable and selects(rule.of, line) else 0
        for line, left in zip(lines, remaining, strict=True)
    )
    if isinstance(rule, PercentOff):
        cuts = (round_ratio(left * rule.percent_bp, 10_000, options.percent_rounding) for left in remaining)
        return tuple(min(room, cut) for room, cut in zip(rooms, cuts, strict=True))
    if rule.per == "basket":
        weights = tuple(left if room else 0 for left, room in zip(remaining, rooms, strict=True))
        return spread(min(rule.amount_minor, sum(rooms)), weights, rooms)
    if rule.per == "line":
        return tuple(min(room, rule.amount_minor) for room in rooms)
    return tuple(
        min(room, round_ratio(rule.amount_minor * line.quantity_milli, 1000))
        for line, room in zip(lines, rooms, strict=True)
    )


def spread(total: int, weights: Sequence[int], rooms: Sequence[int]) -> tuple[int, ...]:
    """Share `total` out by weight without giving any part more than its room.

    Args:
        total: at most the sum of `rooms`.
        weights: 0 or more; 0 where the room is 0.
    """
    parts = [0] * len(weights)
    open_weights = list(weights)
    while total:
        shares = share_out(total, open_weights)
        for i, share in enumerate(shares):
            taken = min(share, rooms[i] - parts[i])
            parts[i] += taken
            total -= taken
            if parts[i] == rooms[i]:
                open_weights[i] = 0
    return tuple(parts)


def _room(line: Line, left: int) -> int:
    floor = -(-line.floor_unit_minor * line.quantity_milli // 1000)
    return max(0, left - floor)
