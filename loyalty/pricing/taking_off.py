"""What one promotion would take off the basket as it stands: its benefits in order, its caps, its budget."""

from collections.abc import Callable, Collection, Iterable

import msgspec

from loyalty.amounts import format_minor, round_ratio, share_out
from loyalty.pricing.bundles import bundle
from loyalty.pricing.buy_get import buy_get
from loyalty.pricing.conditions import budget_left, cap_name
from loyalty.pricing.discounts import (
    Cuts,
    amount_off,
    parts_of,
    percent_off,
    price_list,
    reduced_by_others,
    set_price,
)
from loyalty.pricing.scales import scale
from loyalty.pricing.units import Run
from loyalty.pricing.workings import Reason, Workings
from loyalty.programme.benefits import AmountOff, Benefit, Bundle, BuyGet, PercentOff, PriceList, Scale, SetPrice, Which
from loyalty.programme.compiled import Numbers, Rule
from loyalty.programme.promotion import Cap


class Offered(msgspec.Struct, frozen=True):
    """Minor units off, and units rewarded under a cap, by position; or why nothing is."""

    cuts: Cuts
    units: Cuts = {}
    reason: Reason | None = None


NOTHING = Reason(condition="then", say="Nothing in this basket counts for it.")
_HAD = Reason(condition="then", say="All that could be had of it was had before.")


def offer_of(rule: Rule, workings: Workings) -> Offered:
    """What a rule that holds would take off now; nothing is changed."""
    caps = rule.promotion.caps
    units_left = left_of(rule, "units", workings, workings.units.get(rule.no, 0)) if caps else None
    amount_left = left_of(rule, "amount", workings, workings.taken.get(rule.no, 0)) if caps else None
    if units_left == 0 or amount_left == 0:
        return Offered({}, reason=_HAD)
    skip = reduced_by_others(rule, workings) if rule.promotion.skip_reduced else ()
    cuts, units = cuts_of(rule, workings, skip, units_left)
    total = sum(cuts.values())
    if amount_left is not None and total > amount_left:
        keys = sorted(cuts)
        cuts = dict(zip(keys, share_out(amount_left, [cuts[key] for key in keys]), strict=True))
        total = amount_left
    if total == 0:
        return Offered({}, reason=NOTHING)
    # A line that gets nothing is not among those a promotion can win.
    cuts = {i: cut for i, cut in cuts.items() if cut}
    budget = budget_left(rule, workings)
    if budget is not None and total > budget:
        left = format_minor(max(0, budget), workings.compiled.programme.currency)
        say = f"Only {left} of its budget is left."
        return Offered(
            {}, reason=Reason(condition="limits.budget", wanted=str(total), found=str(max(0, budget)), say=say)
        )
    return Offered(cuts, units)


def cuts_of(
    rule: Rule, workings: Workings, skip: Collection[int], units_left: int | None
) -> tuple[Cuts, Cuts]:
    """What its benefits take off, and the units they reward, by position; amounts are not capped yet.

    Args:
        skip: positions to leave alone.
        units_left: a cap on the units rewarded.
    """
    if len(rule.money) == 1:
        return _cuts(*rule.money[0], rule, workings, skip, units_left)
    return _one_after_the_other(rule, workings, skip, units_left)


def left_of(rule: Rule, measure: str, workings: Workings, now: int = 0) -> int | None:
    """What caps leave of units, amount or points, 0 or more; none where nothing is capped.

    Args:
        now: what the promotion has given on this receipt already.
    """
    left = [cap.most - now - _had(rule, cap, workings) for cap in rule.promotion.caps if cap.of == measure]
    return max(0, min(left)) if left else None


def _had(rule: Rule, cap: Cap, workings: Workings) -> int:
    if cap.per == "receipt" or workings.counters is None:
        return 0
    return workings.counters.get(cap_name(rule.promotion, cap, workings.moment.on), 0)


def _one_after_the_other(
    rule: Rule, workings: Workings, skip: Collection[int], units_left: int | None
) -> tuple[Cuts, Cuts]:
    """Several benefits of one promotion: each sees what those before it left."""
    before = list(workings.remaining)
    total: Cuts = {}
    units: Cuts = {}
    try:
        for benefit, numbers in rule.money:
            left = None if units_left is None else units_left - sum(units.values())
            cuts, rewarded = _cuts(benefit, numbers, rule, workings, skip, left) if left != 0 else ({}, {})
            for i, count in rewarded.items():
                units[i] = units.get(i, 0) + count
            for i, cut in cuts.items():
                workings.remaining[i] -= cut
                total[i] = total.get(i, 0) + cut
    finally:
        workings.remaining[:] = before
    return total, units


def _cuts(
    benefit: Benefit,
    numbers: Numbers,
    rule: Rule,
    workings: Workings,
    skip: Collection[int],
    units_left: int | None,
) -> tuple[Cuts, Cuts]:
    options = rule.options
    if isinstance(benefit, BuyGet):
        return buy_get(benefit, numbers, workings, options, skip=skip, most_units=units_left)
    if isinstance(benefit, Bundle):
        return bundle(benefit, numbers, workings, options, skip=skip), {}
    positions = workings.positions(numbers[0])
    if units_left is not None and _is_capped_by_units(benefit, rule):
        parts, units = parts_of(
            positions,
            workings,
            options,
            skip=skip,
            most_units=units_left,
            first=_first(rule.promotion.caps, rule),
            worth=_worth(benefit, workings),
        )
    else:
        parts, units = parts_of(positions, workings, options, skip=skip)
    if isinstance(benefit, PercentOff):
        return percent_off(benefit, parts, options), units
    if isinstance(benefit, AmountOff):
        return amount_off(benefit, parts, workings, options), units
    if isinstance(benefit, SetPrice):
        return set_price(benefit, parts), units
    if isinstance(benefit, PriceList):
        return price_list(benefit, parts, workings), units
    assert isinstance(benefit, Scale)
    measured = [i for i in positions if i not in skip] if skip else positions
    return scale(benefit, measured, parts, workings, options), units


def _worth(benefit: Benefit, workings: Workings) -> Callable[[Run], bool]:
    """Whether a benefit does anything for a unit: a price does nothing for what is cheaper already."""
    lines = workings.lines

    def costs_more(run: Run, price_minor: int) -> bool:
        milli = lines[run.position].quantity_milli
        return run.unit_minor > round_ratio(price_minor * (milli if milli % 1000 else 1000), 1000)

    if isinstance(benefit, SetPrice):
        price = benefit.unit_price_minor
        return lambda run: costs_more(run, price)
    if isinstance(benefit, PriceList):
        prices = benefit.prices
        return lambda run: costs_more(run, prices[lines[run.position].sku])
    return lambda run: True


def _is_capped_by_units(benefit: Benefit, rule: Rule) -> bool:
    """Units are counted where a figure is given for each of them."""
    if isinstance(benefit, AmountOff):
        return "unit" in (benefit.per, rule.options.amount_each if benefit.per == "each" else "")
    return isinstance(benefit, PercentOff | SetPrice | PriceList) or (
        isinstance(benefit, Scale) and not benefit.graduated and all(step.percent_bp for step in benefit.steps)
    )


def _first(caps: Iterable[Cap], rule: Rule) -> Which:
    return next((cap.first for cap in caps if cap.of == "units" and cap.first), rule.options.rewarded_unit)
