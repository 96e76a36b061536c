"""Buy X get Y, and buy X get X: how many units are rewarded, which ones, and by how much.

Source: engine.md capability 15; docs/programme.md "Buy and get".
"""

from bisect import bisect_right
from collections.abc import Collection

from loyalty.pricing.discounts import Cuts, percent_of, rewardable
from loyalty.pricing.units import Run, count_of, first_of, in_order, runs_of, units_of
from loyalty.pricing.workings import Workings
from loyalty.programme.benefits import BuyGet
from loyalty.programme.compiled import Numbers
from loyalty.programme.programme import Options


def buy_get(
    rule: BuyGet,
    numbers: Numbers,
    workings: Workings,
    options: Options,
    *,
    skip: Collection[int] = (),
    most_units: int | None = None,
) -> tuple[Cuts, Cuts]:
    """What comes off each line, and how many of its units are rewarded, by position.

    Args:
        numbers: of the selectors `buy` and, where there is one, `get`.
        skip: positions to leave alone.
        most_units: a cap on the units rewarded.
    """
    with_free = options.gift_lines == "counted"
    lines, paid_for = workings.lines, workings.positions(numbers[0])
    if not paid_for or not workings.positions(numbers[-1]):
        return {}, {}
    bought_at = [i for i in paid_for if i not in skip] if skip else paid_for
    if sum([units_of(lines[i]) for i in bought_at]) < rule.buy_units:
        return {}, {}
    runs = runs_of(bought_at, lines, workings.remaining, with_free=with_free)
    bought = count_of(runs)
    if bought < rule.buy_units:
        return {}, {}
    open_ = rewardable(workings.positions(numbers[-1]), workings, skip, with_free=with_free)
    if open_ != bought_at:
        runs = runs_of(open_, lines, workings.remaining, with_free=with_free)
    turns = in_order(runs, rule.which or options.rewarded_unit)
    cuts: Cuts = {}
    units: Cuts = {}
    for run in _rewarded(rule, bought, turns, bought_at, most_units):
        line = lines[run.position]
        floor = workings.floor(run.position, 1000 if line.quantity_milli % 1000 == 0 else line.quantity_milli)
        off = min(_reward(rule, run.unit_minor, options), max(0, run.unit_minor - floor))
        cuts[run.position] = cuts.get(run.position, 0) + off * run.units
        units[run.position] = units.get(run.position, 0) + run.units
    return {i: min(cut, workings.room(i)) for i, cut in cuts.items() if cut}, units


def _rewarded(
    rule: BuyGet, bought: int, turns: list[Run], bought_at: Collection[int], most_units: int | None
) -> list[Run]:
    """As many units as what is bought besides them pays for, in their turn."""
    most = count_of(turns)
    if rule.times is not None:
        most = min(most, rule.times * rule.get_units)
    if most_units is not None:
        most = min(most, most_units)
    if rule.counts:
        return first_of(turns, min(most, bought // rule.buy_units * rule.get_units))
    bought_at = frozenset(bought_at)
    others = count_of(run for run in turns if run.position not in bought_at)

    def spare(count: int) -> int:
        """Units of those bought that may be rewarded when `count` are."""
        return bought - -(-count // rule.get_units) * rule.buy_units

    # More rewarded units need more bought ones and leave fewer, so the first number that is too many ends it.
    count = bisect_right(range(1, most + 1), False, key=lambda count: max(0, count - others) > spare(count))
    return _in_turn(turns, count, spare(count) if count else 0, bought_at)


def _in_turn(turns: list[Run], count: int, spare: int, bought_at: Collection[int]) -> list[Run]:
    """The first `count` units of which no more than `spare` are among those bought."""
    taken = []
    for run in turns:
        fits = min(run.units, count, spare if run.position in bought_at else count)
        if fits > 0:
            taken.append(Run(run.position, run.unit_minor, fits))
            count -= fits
            if run.position in bought_at:
                spare -= fits
    return taken


def _reward(rule: BuyGet, unit_minor: int, options: Options) -> int:
    if rule.percent_bp is not None:
        return percent_of(unit_minor, rule.percent_bp, options)
    if rule.amount_minor is not None:
        return min(unit_minor, rule.amount_minor)
    if rule.price_minor is not None:
        return max(0, unit_minor - rule.price_minor)
    return unit_minor
