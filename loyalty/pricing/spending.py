"""Points as tender, and prizes for points: the most that may be spent, and what it pays line by line.

Redemption comes before earning (DECISIONS 4). Asking for more than is allowed grants the largest allowed, or is
refused, as declared. Source: engine.md capabilities 13 and 22; docs/programme.md "Points as tender".
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import msgspec

from loyalty.members import MemberView
from loyalty.moments import Moment
from loyalty.pricing.coupons import SAY, RefusedCode
from loyalty.pricing.discounts import spread_out
from loyalty.pricing.leases import Authority
from loyalty.pricing.units import units_of
from loyalty.pricing.workings import Workings
from loyalty.programme.programme import Options, Prize, Spending


class PrizeTaken(msgspec.Struct, frozen=True, kw_only=True):
    """A prize that pays one unit of a line with its points; `amount_minor` is what that unit cost."""

    prize: str
    line: int
    points: int
    amount_minor: int


class MostPoints(msgspec.Struct, frozen=True, kw_only=True):
    """The most points this basket may be paid with now, what keeps it there, and its worth by line.

    `allowed` are the points that may be asked for; the last of them may buy no further minor unit.
    """

    points: int
    allowed: int = 0
    step: int
    bound_by: str
    per_line: Mapping[int, int] = {}


class PaidWithPoints(msgspec.Struct, frozen=True, kw_only=True):
    """Points spent, their worth in minor units, and that worth by position."""

    points: int
    amount_minor: int
    per_line: Mapping[int, int]


UNPAID = PaidWithPoints(points=0, amount_minor=0, per_line={})


def spendable(
    authority: Authority, view: MemberView | None, options: Options, business_date: date, moment: Moment
) -> int:
    """Points that the till may let this member spend, less those that lapsed before the sale; a hold or lease names its
    lots, and those that lapsed were left out.

    Days are business days; an instant is one of the clock of the store.
    """
    if authority.slices or view is None or not view.lapsing_points or view.lapsing_on is None:
        return authority.points
    if last_day_to_spend(view.lapsing_on, options, business_date, moment) is not None:
        return authority.points
    return min(authority.points, max(0, view.spendable_points - view.lapsing_points))


def last_day_to_spend(valid_through: date, options: Options, business_date: date, moment: Moment) -> date | None:
    """The last day on which points that are good through a day can be spent; none where they have lapsed.

    Days are business days; an instant is one of the clock of the store.
    """
    at_its_start = options.expiry == "start_of_day"
    if options.expiry == "instant":
        at_its_start = options.expiry_at == "00:00"
        is_live = (moment.on, moment.at) < (valid_through, options.expiry_at)
    else:
        is_live = business_date < valid_through if at_its_start else business_date <= valid_through
    if not is_live:
        return None
    return valid_through - timedelta(days=1) if at_its_start else valid_through


def take_prizes(points: int, workings: Workings) -> tuple[list[PrizeTaken], list[RefusedCode]]:
    """The prizes asked for, in their order, each paying one unit of its goods as long as there are points.

    Args:
        points: what may be spent.
    """
    known = dict(zip((prize.id for prize in workings.compiled.programme.prizes), workings.compiled.prizes, strict=True))
    prizes = {prize.id: prize for prize in workings.compiled.programme.prizes}
    taken: list[PrizeTaken] = []
    refused: list[RefusedCode] = []
    paid: dict[int, int] = {}
    for code in workings.basket.prizes:
        prize = prizes.get(code)
        reason = "unknown_prize" if prize is None else _refusal(prize, points, workings)
        at = -1 if prize is None or reason else _open_unit(known[code], paid, workings)
        if prize is None or reason or at < 0:
            reason = reason or "not_in_basket"
            refused.append(RefusedCode(code=code, reason=reason, say=SAY[reason]))
            continue
        amount = _unit_cost(at, paid.get(at, 0), workings)
        paid[at] = paid.get(at, 0) + 1
        points -= prize.points
        taken.append(
            PrizeTaken(prize=code, line=workings.lines[at].line, points=prize.points, amount_minor=amount)
        )
    return taken, refused


def _refusal(prize: Prize, points: int, workings: Workings) -> str:
    view = workings.view
    if view is None:
        return "needs_card"
    if prize.tiers and workings.tier not in prize.tiers:
        return "other_tier"
    return "not_enough_points" if prize.points > points else ""


def _open_unit(number: int, paid: Mapping[int, int], workings: Workings) -> int:
    """The first line of these goods with a unit that costs something and no prize has paid yet; -1 where none is."""
    for i in workings.positions(number):
        before = paid.get(i, 0)
        if i not in workings.sold and before < units_of(workings.lines[i]) and _unit_cost(i, before, workings):
            return i
    return -1


def _unit_cost(i: int, before: int, workings: Workings) -> int:
    """What the next unit of a line costs; the first ones cost a minor unit more."""
    unit, dearer = divmod(workings.remaining[i], units_of(workings.lines[i]))
    return unit + (before < dearer)


def most_points(points: int, rooms: Mapping[int, int], rule: Spending | None, options: Options) -> MostPoints:
    """The most points that may pay for what is left of this basket.

    Args:
        points: what may be spent.
        rooms: what lines that may be paid so cost, by position.
        rule: the programme's; none means points cannot be spent.
    """
    if rule is None:
        return MostPoints(points=0, step=0, bound_by="programme")
    room = sum(rooms.values()) * rule.largest_share_bp // 10_000
    step = 1 if rule.rest else rule.step_points
    if rule.rest:
        # The most points that are worth no more than what is left: those worth less than a minor unit above it.
        by_goods = ((room + 1) * rule.step_points - 1) // rule.step_minor
        by_authority = points
    else:
        by_goods = room // rule.step_minor * rule.step_points
        by_authority = points // rule.step_points * rule.step_points
    most = allowed = min(by_goods, by_authority)
    if rule.rest:
        most = _points_for(_worth(most, rule), rule)  # points that buy no further minor unit stay with the member
    if most < max(rule.least_points, step):
        return MostPoints(points=0, step=step, bound_by="least_points" if most else "nothing_to_spend")
    worth = _worth(most, rule)
    return MostPoints(
        points=most,
        allowed=allowed,
        step=step,
        bound_by="authority" if by_authority <= by_goods else "goods",
        per_line=spread_out(worth, rooms, rooms, options.spread_remainder),
    )


def pay_with_points(
    asked: int, most: MostPoints, rooms: Mapping[int, int], rule: Spending | None, options: Options
) -> PaidWithPoints:
    """Points to money: whole steps of what was asked, at most `most`, spread over the goods that may be paid so."""
    if rule is None:
        return UNPAID
    points = min(asked, most.points)
    if not rule.rest:
        points -= points % rule.step_points
    worth = _worth(points, rule)
    if rule.rest:
        points = _points_for(worth, rule)  # points that buy no further minor unit stay with the member
    if not points or points < rule.least_points:
        return UNPAID
    spread = spread_out(worth, rooms, rooms, options.spread_remainder)
    return PaidWithPoints(points=points, amount_minor=worth, per_line=spread)


def rooms_of(workings: Workings, prizes: Sequence[PrizeTaken]) -> dict[int, int]:
    """What may be paid with points by position: the goods of the programme's rule, less what prizes paid."""
    paid: dict[int, int] = {}
    for prize in prizes:
        paid[prize.line] = paid.get(prize.line, 0) + prize.amount_minor
    sold = workings.sold
    return {
        i: workings.remaining[i] - paid.get(workings.lines[i].line, 0)
        for i in workings.positions(workings.compiled.spending)
        if i not in sold
    }


def _worth(points: int, rule: Spending) -> int:
    return points * rule.step_minor // rule.step_points


def _points_for(minor: int, rule: Spending) -> int:
    """The fewest points that are worth so much."""
    return -(-minor * rule.step_points // rule.step_minor)
