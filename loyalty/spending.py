"""The most that points may pay, and points to money line by line.

Redemption comes before earning (DECISIONS 4). Asking for more than is allowed grants the largest allowed and says so.
"""

from collections.abc import Sequence

import msgspec

from loyalty.baskets import Line
from loyalty.compiled import selects
from loyalty.discounts import spread
from loyalty.leases import Authority
from loyalty.programme import Spending


class MostPoints(msgspec.Struct, frozen=True, kw_only=True):
    """The most points this basket may be paid with now, in whole steps, and what keeps it there."""

    points: int
    step: int
    bound_by: str


class PaidWithPoints(msgspec.Struct, frozen=True, kw_only=True):
    """Points spent, their worth in minor units, and that worth per line by position."""

    points: int
    amount_minor: int
    per_line: tuple[int, ...]


def most_points(
    rule: Spending | None, authority: Authority, lines: Sequence[Line], remaining: Sequence[int]
) -> MostPoints:
    """The most points that may pay for this basket.

    Args:
        rule: the programme's; none means points cannot be spent.
        authority: what the till may let this member spend.
        remaining: what each line costs after discounts.
    Source: engine.md capability 13.
    """
    if rule is None:
        return MostPoints(points=0, step=0, bound_by="programme")
    room = sum(_rooms(rule, lines, remaining)) * rule.largest_share_bp // 10_000
    by_goods = room // rule.step_minor * rule.step_points
    by_authority = authority.points // rule.step_points * rule.step_points
    points = min(by_goods, by_authority)
    if points < max(rule.least_points, rule.step_points):
        return MostPoints(points=0, step=rule.step_points, bound_by="least_points" if points else "nothing_to_spend")
    return MostPoints(
        points=points, step=rule.step_points, bound_by="authority" if by_authority <= by_goods else "goods"
    )


def pay_with_points(
    rule: Spending | None, asked: int, most: MostPoints, lines: Sequence[Line], remaining: Sequence[int]
) -> PaidWithPoints:
    """Points to money: whole steps of what was asked, at most `most`, spread over the goods that may be paid so."""
    points = min(asked, most.points)
    if rule is None or points < max(rule.least_points, rule.step_points):
        return PaidWithPoints(points=0, amount_minor=0, per_line=(0,) * len(lines))
    steps = points // rule.step_points
    amount = steps * rule.step_minor
    rooms = _rooms(rule, lines, remaining)
    return PaidWithPoints(points=steps * rule.step_points, amount_minor=amount, per_line=spread(amount, rooms, rooms))


def _rooms(rule: Spending, lines: Sequence[Line], remaining: Sequence[int]) -> tuple[int, ...]:
    return tuple(left if selects(rule.of, line) else 0 for line, left in zip(lines, remaining, strict=True))
