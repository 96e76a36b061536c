"""From list prices to what is left to pay in money: discounts stage by stage, then points, then what follows them.

Where exclusive promotions win they are tried first, alone; where a sale may spend what it earns, the most it may spend
is sought on copies of the figures. Source: docs/programme.md "In which order", "What combines", "Points as tender".
"""

from collections.abc import Callable, Sequence

import msgspec

from loyalty.amounts import share_out
from loyalty.pricing.combining import Gate, apart
from loyalty.pricing.coupons import RefusedCode
from loyalty.pricing.granting_points import grant
from loyalty.pricing.leases import Authority
from loyalty.pricing.spending import (
    UNPAID,
    MostPoints,
    PaidWithPoints,
    PrizeTaken,
    most_points,
    pay_with_points,
    rooms_of,
    spendable,
    take_prizes,
)
from loyalty.pricing.stacking import run_stage, take_discounts
from loyalty.pricing.workings import Workings
from loyalty.programme.compiled import Rule


class Redeemed(msgspec.Struct, frozen=True, kw_only=True):
    """What points pay: prizes, and as tender; the most that they could."""

    prizes: tuple[PrizeTaken, ...]
    refused: tuple[RefusedCode, ...]
    most: MostPoints
    paid: PaidWithPoints
    paid_minor: tuple[int, ...]
    points: tuple[int, ...]


def price(rules: Sequence[Rule], workings: Workings, authority: Authority) -> tuple[Workings, Gate, Redeemed]:
    """Let discounts and points as tender act on a basket.

    Args:
        rules: all that concern it, in running order.
        workings: of the basket; taken over, use those that come back.
        authority: how many points the till may let this member spend.
    Returns:
        The figures with everything taken off, who took it off, and what points pay.
    """
    compiled = workings.compiled
    money = [rule for rule in rules if rule.money]
    if compiled.programme.options.exclusive == "exclusive_wins":
        alone = [rule for rule in money if rule.promotion.exclusive]
        if alone:
            trial, gate = workings.copy(), Gate(compiled)
            redeemed = _discount_and_redeem(alone, rules, trial, gate, authority)
            if gate.exclusive:
                for rule in money:
                    if not rule.promotion.exclusive:
                        trial.refuse(rule, apart("exclusive", gate.exclusive))
                return trial, gate, redeemed
            workings.unmet, workings.refused = trial.unmet, trial.refused
            workings.held = trial.held
            money = [rule for rule in money if not rule.promotion.exclusive]
    gate = Gate(compiled)
    return workings, gate, _discount_and_redeem(money, rules, workings, gate, authority)


def _discount_and_redeem(
    money: Sequence[Rule], rules: Sequence[Rule], workings: Workings, gate: Gate, authority: Authority
) -> Redeemed:
    take_discounts(money, workings, gate)
    late = [rule for rule in money if rule.stage == "redemption"]
    redeemed = _redeem(late, rules, workings, gate, authority)
    _pay(late, redeemed, workings, gate)
    return redeemed


def _redeem(
    late: Sequence[Rule], rules: Sequence[Rule], workings: Workings, gate: Gate, authority: Authority
) -> Redeemed:
    """Prizes first, then points as tender."""
    programme, options = workings.compiled.programme, workings.compiled.programme.options
    may_spend = spendable(authority, workings.view, options, workings.place.business_date, workings.moment)
    prizes, refused = take_prizes(may_spend, workings)
    left = may_spend - sum(prize.points for prize in prizes)
    rule = programme.spending
    rooms = rooms_of(workings, prizes) if rule is not None else {}

    asked = workings.basket.points_to_spend

    def pay(points: int, limit: int) -> Redeemed:
        """So many points, of at most `limit`."""
        most = most_points(limit, rooms, rule, options)
        return _by_line(workings, prizes, refused, most, pay_with_points(points, most, rooms, rule, options))

    is_known = workings.view is not None and workings.view.account_id is not None
    if not options.spends_what_it_earns or not is_known or rule is None or not rooms:
        redeemed = pay(asked, left)
    else:

        def is_covered(points: int) -> bool:
            """Whether what was there and what the sale earns then suffices for these."""
            trial = pay(points, points)
            return trial.paid.points <= left + _would_earn(late, rules, trial, workings, gate)

        high = left + sum(rooms.values()) * rule.step_points // rule.step_minor + rule.step_points
        most = _most_covered(left, high, rule.least_points, is_covered)
        redeemed = pay(min(asked, _most_covered(left, min(asked, most), rule.least_points, is_covered)), most)
    if options.points_over == "refuse" and asked > redeemed.most.allowed:
        return _by_line(workings, prizes, refused, redeemed.most, UNPAID)
    return redeemed


def _most_covered(low: int, high: int, least: int, is_covered: Callable[[int], bool]) -> int:
    """The most points that are covered; found by halving, for spending more earns less.

    Args:
        low: what is there already, always covered; `high`: the most that could be of use.
        least: fewer than these are not spent at all, which says nothing of more.
    """
    if high <= low or is_covered(high):
        return max(low, high)
    covered = low
    while low < high:
        middle = (low + high + 1) // 2
        if is_covered(middle):
            low, covered = middle, middle if middle >= least else covered
        else:
            high = middle - 1
    return covered


def _would_earn(
    late: Sequence[Rule], rules: Sequence[Rule], redeemed: Redeemed, workings: Workings, gate: Gate
) -> int:
    """Points that the sale would earn if these were spent, worked out on a copy."""
    trial, keeper = workings.copy(), gate.copy()
    _pay(late, redeemed, trial, keeper)
    return sum(one.points for one in grant(rules, trial.remaining, trial, keeper).granted)


def _by_line(
    workings: Workings,
    prizes: Sequence[PrizeTaken],
    refused: Sequence[RefusedCode],
    most: MostPoints,
    paid: PaidWithPoints,
) -> Redeemed:
    count = len(workings.lines)
    minor, points = [0] * count, [0] * count
    if paid.points:
        shares = share_out(paid.points, tuple(paid.per_line.values()))
        for (i, amount), share in zip(paid.per_line.items(), shares, strict=True):
            minor[i] += amount
            points[i] += share
    if prizes:
        at = {line.line: i for i, line in enumerate(workings.lines)}
        for prize in prizes:
            minor[at[prize.line]] += prize.amount_minor
            points[at[prize.line]] += prize.points
    return Redeemed(
        prizes=tuple(prizes),
        refused=tuple(refused),
        most=most,
        paid=paid,
        paid_minor=tuple(minor),
        points=tuple(points),
    )


def _pay(late: Sequence[Rule], redeemed: Redeemed, workings: Workings, gate: Gate) -> None:
    """Points pay, and what is then still taken off is."""
    workings.points_spent = sum(redeemed.points)
    workings.paid = list(redeemed.paid_minor)
    workings.remaining = [left - paid for left, paid in zip(workings.remaining, redeemed.paid_minor, strict=True)]
    workings.begin("redemption")
    if late:
        run_stage(late, workings, gate)
    workings.begin("earning")
