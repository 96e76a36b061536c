"""More off the more is bought: steps by spend, by quantity, or by the member's spend in a period.

Both bounds of a step are in. A graduated scale gives each step's percentage only to what lies within it.
Source: engine.md capability 23; docs/programme.md "Scales".
"""

from collections.abc import Sequence

from loyalty.amounts import round_ratio
from loyalty.moments import in_period
from loyalty.pricing.discounts import Cuts, Part, percent_of, spread
from loyalty.pricing.units import Run, in_order, runs_of
from loyalty.pricing.workings import Workings
from loyalty.programme.benefits import Scale, ScaleStep
from loyalty.programme.programme import Options

_FAR_END = {"cheapest": "dearest", "dearest": "cheapest", "basket": "basket"}


def scale(
    rule: Scale, positions: Sequence[int], parts: Sequence[Part], workings: Workings, options: Options
) -> Cuts:
    """What comes off each line, by position.

    Args:
        positions: of all the goods that are measured; `parts`: what of them may get a discount.
    """
    if rule.graduated:
        by = _by_units if rule.by == "quantity" else _by_spend
        return by(rule, positions, parts, workings, options)
    measured = _measure(rule, positions, workings)
    step = None if measured is None else step_for(rule.steps, measured)
    if step is None:
        return {}
    if step.percent_bp is None:
        assert step.amount_minor is not None
        return spread(step.amount_minor, {part.position: part.minor for part in parts}, parts, options)
    cuts = {}
    for part in parts:
        off = percent_of(part.base_minor, step.percent_bp, options)
        if taken := min(off, part.room):
            cuts[part.position] = taken
    return cuts


def step_for(steps: Sequence[ScaleStep], measured: int) -> ScaleStep | None:
    """The step that a measure lies in; none below the first, above the last, or between two."""
    reached = [step for step in steps if step.from_ <= measured]
    if not reached or (reached[-1].to is not None and measured > reached[-1].to):
        return None
    return reached[-1]


def _measure(rule: Scale, positions: Sequence[int], workings: Workings) -> int | None:
    """What the steps are held against; none where the member's past is not known."""
    if rule.by == "quantity":
        return sum(workings.lines[i].quantity_milli for i in positions)
    now = sum(workings.remaining[i] for i in positions)
    if rule.by == "spend":
        return now
    if workings.counters is None:
        return None
    before = workings.counters.get(in_period("spend", rule.period, workings.moment.on), 0)
    return before + (now if rule.this_receipt else 0)


def _by_units(
    rule: Scale, positions: Sequence[int], parts: Sequence[Part], workings: Workings, options: Options
) -> Cuts:
    """Each unit has a number, counted from the far end of those that are rewarded first."""
    with_free = options.gift_lines == "counted"
    runs = runs_of(positions, workings.lines, workings.remaining, with_free=with_free)
    weighted: dict[int, int] = {}
    number = 0
    for run in in_order(runs, _FAR_END[rule.which or options.rewarded_unit]):  # type: ignore[arg-type]
        weighted[run.position] = weighted.get(run.position, 0) + run.unit_minor * _percents(rule, run, number)
        number += run.units
    cuts = {}
    for part in parts:
        off = _rounded(weighted.get(part.position, 0), part.minor, options)
        if taken := min(off, part.room):
            cuts[part.position] = taken
    return cuts


def _percents(rule: Scale, run: Run, before: int) -> int:
    """The percentages of a run's units added up, in basis points, when `before` units stand in front of it."""
    total = 0
    for n, step in enumerate(rule.steps):
        end = step.to if step.to is not None else _next_from(rule, n)
        # Units number k with from <= 1000 k <= end, k from before + 1 to before + count.
        first = max(before + 1, -(-step.from_ // 1000))
        last = before + run.units if end is None else min(before + run.units, end // 1000)
        total += max(0, last - first + 1) * (step.percent_bp or 0)
    return total


def _by_spend(
    rule: Scale, positions: Sequence[int], parts: Sequence[Part], workings: Workings, options: Options
) -> Cuts:
    """Like a tax table: each step's percentage of what lies within it, rounded once and spread."""
    now = sum(workings.remaining[i] for i in positions)
    weighted = 0
    for n, step in enumerate(rule.steps):
        upper = _upper(rule, n)
        upper = now if upper is None else upper
        weighted += max(0, min(now, upper) - step.from_) * (step.percent_bp or 0)
    total = _rounded(weighted, now, options)
    return spread(total, {part.position: part.minor for part in parts}, parts, options)


def _rounded(weighted: int, base: int, options: Options) -> int:
    if options.percent_rounds == "price":
        return base - round_ratio(base * 10_000 - weighted, 10_000, options.percent_rounding)
    return round_ratio(weighted, 10_000, options.percent_rounding)


def _upper(rule: Scale, n: int) -> int | None:
    """Where a step of a sum ends: at its `to`, or at the next one's `from` where that follows at once."""
    to, after = rule.steps[n].to, _next_from(rule, n)
    return after + 1 if after is not None and (to is None or to >= after) else to


def _next_from(rule: Scale, n: int) -> int | None:
    """The last measure before the next step begins; none for the last step."""
    return rule.steps[n + 1].from_ - 1 if n + 1 < len(rule.steps) else None
