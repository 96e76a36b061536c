"""Money kept back from what is paid out, for points that ought to come back and are spent.

Source: docs/programme.md "Returns", option `clawback_short: money`.
"""

from collections.abc import Sequence

import msgspec

from loyalty.pricing.earning import Earned
from loyalty.programme.return_rules import ReturnRules


class Withheld(msgspec.Struct, frozen=True, kw_only=True):
    """Points that are paid for in money instead of being taken back, their worth, and the points still to take back."""

    amount_minor: int
    points: tuple[Earned, ...]
    reversed: tuple[Earned, ...]


def withhold(
    rules: ReturnRules, reversed_: Sequence[Earned], *, there: int | None, paid_out_minor: int
) -> Withheld:
    """Keep the worth of the points that are not there any more, at most what is paid out.

    Args:
        reversed_: the points that come back.
        there: points the member has to give, as far as the till knows; none where it does not, then nothing is kept.
        paid_out_minor: what is paid out in money for the goods.
    Returns:
        With the worth floored in the member's favour. What it does not cover is still taken back, and owed.
    """
    nothing = Withheld(amount_minor=0, points=(), reversed=tuple(reversed_))
    if rules.clawback_short != "money" or there is None or not rules.step_points or paid_out_minor <= 0:
        return nothing
    short = sum(part.points for part in reversed_) - max(0, there)
    # The most points whose worth, floored, is not more than what is paid out.
    most = ((paid_out_minor + 1) * rules.step_points - 1) // rules.step_minor
    points = min(short, most)
    if points <= 0:
        return nothing
    kept, left = _split(reversed_, points)
    return Withheld(amount_minor=points * rules.step_minor // rules.step_points, points=kept, reversed=left)


def _split(earned: Sequence[Earned], points: int) -> tuple[tuple[Earned, ...], tuple[Earned, ...]]:
    """The first so many points, and the others."""
    first, rest = [], []
    for part in earned:
        taken = min(points, part.points)
        points -= taken
        if taken:
            first.append(msgspec.structs.replace(part, points=taken))
        if taken < part.points:
            rest.append(msgspec.structs.replace(part, points=part.points - taken))
    return tuple(first), tuple(rest)
