"""Points per line: rate times what was paid in money, floored once per promotion and receipt.

Multipliers multiply the rate, so the floor comes after them; a multiplier is credited with what it added.
Lines share by largest remainder. Source: DECISIONS 3; engine.md capability 9.
"""

from collections.abc import Sequence
from datetime import date

import msgspec

from loyalty.amounts import Positive, share_out
from loyalty.baskets import Line
from loyalty.compiled import selects
from loyalty.programme import Earn, MultiplyPoints, Promotion


class Earned(msgspec.Struct, frozen=True, kw_only=True, array_like=True, order=True):
    """Points of one issuer that lapse together, as the till granted them; the centre adds the terms."""

    issuer_id: str
    valid_through: date
    points: Positive


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """Points of one promotion over the lines, by position."""

    promotion: Promotion
    points: tuple[int, ...]


def earn_points(
    earners: Sequence[tuple[Promotion, Earn]],
    multipliers: Sequence[tuple[Promotion, MultiplyPoints]],
    lines: Sequence[Line],
    paid_minor: Sequence[int],
) -> tuple[Granted, ...]:
    """Points that the promotions which hold grant for these lines.

    Args:
        earners: base rates, in running order.
        multipliers: in running order; each acts on every earner.
        lines: the whole basket; lines marked no accrual earn nothing.
        paid_minor: what is paid in money for each line, after discounts and points.
    """
    granted: list[Granted] = []
    for promotion, rule in earners:
        weights = [
            paid if line.accrual and selects(rule.of, line) else 0
            for line, paid in zip(lines, paid_minor, strict=True)
        ]
        scale = rule.per_minor
        total = _grant(promotion, rule.points * sum(weights) // scale, weights, granted)
        for booster, times in multipliers:
            extra = [
                weight * (times.times_percent - 100) if selects(times.of, line) else 0
                for line, weight in zip(lines, weights, strict=True)
            ]
            scale *= 100
            weights = [100 * weight + more for weight, more in zip(weights, extra, strict=True)]
            total += _grant(booster, rule.points * sum(weights) // scale - total, extra, granted)
    return tuple(granted)


def _grant(promotion: Promotion, points: int, weights: Sequence[int], granted: list[Granted]) -> int:
    if points:
        granted.append(Granted(promotion=promotion, points=share_out(points, weights)))
    return points
