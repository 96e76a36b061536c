"""Goods that count together: buy and get, bundles, scales. Small baskets only: allocations are tried out.

Where the page leaves something open the simplest reading was taken:
- a percentage off rewarded units is rounded unit by unit;
- the price of n bundles is one figure, and so is a percentage of them; n times an amount is at most what they cost;
- a scale measures and counts all the goods it does not leave alone, and takes money off those that can be reduced;
- the percentages of units that are counted are summed exactly by line and rounded once.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import cache

from loyalty.programme.benefits import Bundle, BuyGet, Scale, ScaleStep
from tests.loyalty.naive.bench import Bench
from tests.loyalty.naive.goods import Unit, names, picked


def buy_get(benefit: BuyGet, bench: Bench) -> list[int]:
    bought = bench.units(bench.touched(benefit.buy))
    may_get = bench.rewardable(bench.reducible(benefit.buy if benefit.get is None else benefit.get))
    queue = picked(may_get, benefit.which or bench.option("rewarded_unit"))
    cuts = bench.nothing()
    for unit in _rewarded(benefit, bought, queue, bench.units_left):
        cuts[unit.line] += min(sum(bench.rooms_of([unit])), _reward(benefit, unit, bench))
        bench.rewarded[unit.line] += 1
    return cuts


def _rewarded(benefit: BuyGet, bought: list[Unit], queue: list[Unit], left: int | None) -> list[Unit]:
    """The longest list of rewarded units that those bought besides them pay for, taken in the order of the queue."""
    for count in range(len(queue) if left is None else min(len(queue), left), 0, -1):
        times = -(-count // benefit.get_units)
        if benefit.times is not None and times > benefit.times:
            continue
        spare = len(bought) - times * benefit.buy_units
        if benefit.counts:
            if spare >= 0:
                return queue[:count]
            continue
        chosen: list[Unit] = []
        for unit in queue:
            both = sum(one in bought for one in chosen)
            if len(chosen) < count and (unit not in bought or both < spare):
                chosen.append(unit)
        if spare >= 0 and len(chosen) == count:
            return chosen
    return []


def _reward(benefit: BuyGet, unit: Unit, bench: Bench) -> int:
    if benefit.percent_bp is not None:
        return bench.percent(unit.cost, benefit.percent_bp)
    if benefit.amount_minor is not None:
        return benefit.amount_minor
    return max(0, unit.cost - (benefit.price_minor or 0))


def bundle(benefit: Bundle, bench: Bench) -> list[int]:
    goods = sorted({i for part in benefit.parts for i in bench.reducible(part.of)})
    units = bench.rewardable(goods)
    best: tuple[int, list[Unit]] = (0, [])
    most = len(units) // sum(part.units for part in benefit.parts)
    for count in range(1, min(most, benefit.times or most) + 1):
        inside = _filled(benefit, count, units, bench)
        saving = _saving(benefit, count, sum(unit.cost for unit in inside), bench)
        if inside and (saving > best[0] or benefit.price_minor is None):
            best = (saving, inside)
    saving, inside = best
    costs = bench.nothing()
    for unit in inside:
        costs[unit.line] += unit.cost
    return bench.spread(saving, costs, bench.rooms_of(inside))


def _saving(benefit: Bundle, count: int, cost: int, bench: Bench) -> int:
    if benefit.price_minor is not None:
        return cost - count * benefit.price_minor
    if benefit.percent_bp is not None:
        return bench.percent(cost, benefit.percent_bp)
    return min(cost, count * (benefit.amount_minor or 0))


def _filled(benefit: Bundle, count: int, units: list[Unit], bench: Bench) -> list[Unit]:
    """The units that go into so many bundles; none where there are not enough of each part."""
    queue = picked(units, benefit.which)
    lines = [bench.sale.lines[unit.line] for unit in queue]
    fits = [tuple(p for p, part in enumerate(benefit.parts) if names(part.of, line)) for line in lines]
    needs = tuple(count * part.units for part in benefit.parts)

    @cache
    def place(at: int, open_: tuple[int, ...]) -> tuple[int, ...] | None:
        """Which of the units from `at` on fill the open places, taken as early in the queue as can be."""
        if not any(open_):
            return ()
        if sum(open_) > len(queue) - at:
            return None
        fewer = [tuple(one - (p == part) for p, one in enumerate(open_)) for part in fits[at] if open_[part]]
        rests = [rest for less in fewer if (rest := place(at + 1, less)) is not None]
        return (at, *min(rests)) if rests else place(at + 1, open_)

    found = place(0, needs)
    return [queue[at] for at in found or ()]


def scale(benefit: Scale, bench: Bench) -> list[int]:
    selected, goods = bench.touched(benefit.of), bench.reducible(benefit.of)
    cost = sum(bench.costs[i] for i in selected)
    if benefit.graduated:
        if benefit.by == "quantity":
            return _by_number(benefit, selected, goods, bench)
        return _by_part(benefit, cost, goods, bench)
    measured: int | None = cost
    if benefit.by == "quantity":
        measured = sum(bench.sale.lines[i].quantity_milli for i in selected)
    elif benefit.by == "period_spend":
        measured = bench.sale.counter(f"spend{bench.sale.suffix(benefit.period)}")
        if measured is not None and benefit.this_receipt:
            measured += cost
    step = None if measured is None else _step_at(benefit.steps, measured)
    if step is None:
        return bench.nothing()
    if step.amount_minor is not None:
        return bench.spread(step.amount_minor, bench.costs_of(goods))
    bases = bench.bases()
    return [bench.percent(bases[i], step.percent_bp or 0) if i in goods else 0 for i in range(len(bases))]


def _step_at(steps: Sequence[ScaleStep], found: int) -> ScaleStep | None:
    for i, step in enumerate(steps):
        below_next = i + 1 == len(steps) or found < steps[i + 1].from_
        if step.from_ <= found and (found <= step.to if step.to is not None else below_next):
            return step
    return None


def _by_number(benefit: Scale, selected: list[int], goods: list[int], bench: Bench) -> list[int]:
    """Units in their numbers, each at the percentage of the step that its number lies in; rounded by line."""
    exact = [Fraction(0)] * len(bench.costs)
    which = benefit.which or bench.option("rewarded_unit")
    queue = picked(bench.units(selected), {"cheapest": "dearest", "dearest": "cheapest"}.get(which, "basket"))
    for number, unit in enumerate(queue, 1):
        step = _step_at(benefit.steps, 1000 * number)
        if step is not None:
            exact[unit.line] += Fraction(unit.cost * (step.percent_bp or 0), 10_000)
    return [bench.rounded_off(bench.costs[i], one) if i in goods else 0 for i, one in enumerate(exact)]


def _by_part(benefit: Scale, cost: int, goods: list[int], bench: Bench) -> list[int]:
    """Each step's percentage of the part of the sum within it, summed exactly, rounded once, spread."""
    exact = Fraction(0)
    for i, step in enumerate(benefit.steps):
        after = benefit.steps[i + 1].from_ if i + 1 < len(benefit.steps) else None
        end = after if step.to is None or step.to + 1 == after else step.to
        end = cost if end is None else min(cost, end)
        exact += Fraction(max(0, end - step.from_) * (step.percent_bp or 0), 10_000)
    return bench.spread(bench.rounded_off(cost, exact), bench.costs_of(goods))
