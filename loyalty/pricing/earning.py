"""Points per line: rate times what the goods cost, floored once per promotion and receipt, or as declared.

Multipliers multiply the rate, so rounding comes after them; a multiplier is credited with what it added. Lines share by
largest remainder. Nothing is changed here: the same question can be asked for another number of points spent.
Source: DECISIONS 3; engine.md capability 9; docs/programme.md "Benefits".
"""

from collections.abc import Sequence
from datetime import date
from math import gcd, lcm, prod
from operator import attrgetter

import msgspec

from loyalty.amounts import Positive, round_ratio, share_out
from loyalty.pricing.discounts import reduced_by_others
from loyalty.pricing.taking_off import left_of
from loyalty.pricing.workings import Workings
from loyalty.programme.benefits import Earn, MultiplyPoints, Points
from loyalty.programme.compiled import Numbers, Rule
from loyalty.programme.programme import Options
from loyalty.programme.promotion import OnEvent


class Earned(msgspec.Struct, frozen=True, kw_only=True, gc=False, array_like=True, order=True):
    """Points of one issuer that lapse together, as the till granted them; the centre adds the terms."""

    issuer_id: str
    valid_through: date
    points: Positive


# The order of the stage earning, wherever else a rule takes money off.
turn_of = attrgetter("rank", "triggered", "turn", "listed")

Named = tuple[int, int]  # place of a rule and turn of the code that set it off


class Granted(msgspec.Struct, frozen=True):
    """Points of one rule: by position of the line, and those that go with the receipt as a whole."""

    rule: Rule
    by_line: dict[int, int]
    whole: int = 0

    @property
    def points(self) -> int:
        return sum(self.by_line.values()) + self.whole


def earn_points(rules: Sequence[Rule], in_money: Sequence[int], workings: Workings) -> list[Granted]:
    """Points that rules which hold grant, in the order of the stage earning.

    Args:
        rules: multipliers among them; each acts on the `earn` of all of them.
        in_money: what is paid in money for each line, after discounts and points.
    """
    rules = sorted(rules, key=turn_of)
    earned: dict[Named, Granted] = {(rule.no, rule.turn): Granted(rule, {}) for rule in rules}
    boosts = [
        (rule, benefit.times_percent, positions)
        for rule in rules
        for benefit, numbers in rule.points
        if type(benefit) is MultiplyPoints and (positions := _open(rule, numbers, workings))
    ]
    for rule in rules:
        rates = []
        for benefit, numbers in rule.points:
            if type(benefit) is Earn:
                rates.append((benefit, numbers))
            elif type(benefit) is Points:
                _fixed(rule, benefit, numbers, in_money, workings, earned)
        if rates:
            _earn(rule, rates, boosts, in_money, workings, earned)
    granted: list[Granted] = []
    for one in earned.values():
        if one.rule.promotion.caps:
            before = sum(other.points for other in granted if other.rule.no == one.rule.no)
            one = _capped(one, before, workings)
        if one.points:
            granted.append(one)
    return granted


def _earn(
    rule: Rule,
    rates: Sequence[tuple[Earn, Numbers]],
    boosts: Sequence[tuple[Rule, int, Sequence[int]]],
    in_money: Sequence[int],
    workings: Workings,
    earned: dict[Named, Granted],
) -> None:
    """All rates of one promotion make one sum, which is rounded once; then each multiplier adds to it in its turn."""
    exact, of = _exact(rule, rates, in_money, workings)
    if not exact:
        return
    options = rule.options
    parts = _rounded(exact, of, options)
    _add(earned, rule, parts)
    touching = [(booster, times, at) for booster, times, here in boosts if (at := [i for i in here if i in exact])]
    if not touching:
        return
    # Multiplied beforehand by what each multiplier divides by, every figure stays a whole number.
    scale = prod(100 // gcd(100, times) for _, times, _ in touching)
    if scale > 1:
        exact, of = {i: numerator * scale for i, numerator in exact.items()}, of * scale
    total, whole = sum(parts.values()), sum(exact.values())
    for booster, times_percent, at in touching:
        extra = {i: exact[i] * (times_percent - 100) // 100 for i in at}
        whole += sum(extra.values())
        if options.points_rounding == "line":
            added = {i: (exact[i] + more) // of - exact[i] // of for i, more in extra.items()}
        else:
            after = _whole(whole, of, options)
            added = _shared(after - total, extra)
            total = after
        for i, more in extra.items():
            exact[i] += more
        _add(earned, booster, added)


def _exact(
    rule: Rule, rates: Sequence[tuple[Earn, Numbers]], in_money: Sequence[int], workings: Workings
) -> tuple[dict[int, int], int]:
    """Points of each line as a numerator over a common denominator; nothing is rounded."""
    exact: dict[int, int] = {}
    of = 1
    for benefit, numbers in rates:
        weights = _bases(_open(rule, numbers, workings), rule.options, in_money, workings)
        points, scale = benefit.points, benefit.per_minor
        if benefit.tenders:
            paid, due = _paid_with(benefit.tenders, in_money, workings)
            points, scale = points * paid, scale * due
        common = lcm(of, scale)
        if common != of:
            exact = {i: numerator * (common // of) for i, numerator in exact.items()}
            of = common
        step = points * (of // scale)
        for i, weight in weights.items():
            if weight:
                exact[i] = exact.get(i, 0) + weight * step
    # In the order of the basket, so that ties go to the first line.
    return (dict(sorted(exact.items())) if len(rates) > 1 else exact), of


def _fixed(
    rule: Rule,
    benefit: Points,
    numbers: Numbers,
    in_money: Sequence[int],
    workings: Workings,
    earned: dict[Named, Granted],
) -> None:
    positions = _open(rule, numbers, workings)
    if benefit.per == "line":
        _add(earned, rule, dict.fromkeys(positions, benefit.points))
    elif benefit.per == "unit":
        _add(earned, rule, {i: benefit.points * (workings.lines[i].quantity_milli // 1000) for i in positions})
    elif positions or isinstance(rule.promotion.trigger, OnEvent):
        weights = _bases(positions, rule.options, in_money, workings)
        if any(weights.values()):
            _add(earned, rule, _shared(benefit.points, weights))
        elif weights and rule.options.spread_over_nothing == "evenly":
            _add(earned, rule, _shared(benefit.points, dict.fromkeys(weights, 1)))
        else:
            before = earned[rule.no, rule.turn]
            earned[rule.no, rule.turn] = Granted(rule, before.by_line, before.whole + benefit.points)


def _open(rule: Rule, numbers: Numbers, workings: Workings) -> Sequence[int]:
    """Positions of selected lines that accrue; certificates being sold never do."""
    if workings.all_accrue and not rule.promotion.skip_reduced:
        return workings.positions(numbers[0])
    lines, sold = workings.lines, workings.sold
    skip = reduced_by_others(rule, workings) if rule.promotion.skip_reduced else ()
    return [i for i in workings.positions(numbers[0]) if lines[i].accrual and i not in sold and i not in skip]


def _bases(
    positions: Sequence[int], options: Options, in_money: Sequence[int], workings: Workings
) -> dict[int, int]:
    """What each line earns on, by position."""
    costs = workings.listed if options.earn_on == "before_discounts" else in_money
    if options.earn_on == "before_points":
        costs = [left + paid for left, paid in zip(in_money, workings.paid, strict=True)]
    if options.earn_tax == "in" and workings.basket.tax_included:
        return {i: costs[i] for i in positions}
    return {i: workings.taxed(i, costs[i], options.earn_tax) for i in positions}


def _paid_with(kinds: Sequence[str], in_money: Sequence[int], workings: Workings) -> tuple[int, int]:
    """What is paid with some tenders, of what is due; money that nobody laid down yet is none of them."""
    due = sum(in_money)
    paid = min(due, sum(one.amount_minor for one in workings.basket.tenders if one.kind in kinds))
    return paid, max(1, due)


def _rounded(exact: dict[int, int], of: int, options: Options) -> dict[int, int]:
    if options.points_rounding == "line":
        return {i: numerator // of for i, numerator in exact.items()}
    return _shared(_whole(sum(exact.values()), of, options), exact)


def _whole(numerator: int, denominator: int, options: Options) -> int:
    if options.points_rounding == "half_up":
        return round_ratio(numerator, denominator)
    return numerator // denominator


def _shared(points: int, weights: dict[int, int]) -> dict[int, int]:
    if points <= 0 or not any(weights.values()):
        return {}
    if len(weights) == 1:
        return dict.fromkeys(weights, points)
    return dict(zip(weights, share_out(points, tuple(weights.values())), strict=True))


def _add(earned: dict[Named, Granted], rule: Rule, points: dict[int, int]) -> None:
    by_line = earned[rule.no, rule.turn].by_line
    for i, more in points.items():
        if more:
            by_line[i] = by_line.get(i, 0) + more


def _capped(granted: Granted, before: int, workings: Workings) -> Granted:
    """Cut down to what the promotion's caps on points leave, shared as it would have been."""
    left = left_of(granted.rule, "points", workings, before)
    if left is None or granted.points <= left:
        return granted
    keys = sorted(granted.by_line)
    parts = share_out(left, [*(granted.by_line[key] for key in keys), granted.whole])
    return Granted(granted.rule, dict(zip(keys, parts, strict=False)), parts[-1])
