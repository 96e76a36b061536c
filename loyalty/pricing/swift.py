"""The common case of a large programme, sooner: one benefit, nothing to cap, and nobody to keep out.

What comes off is what `taking_off.offer_of` would answer, without the detour over parts of lines; the tests hold the
two side by side. Most promotions that concern a basket are of this kind, so the speed of a quote is made here.
"""

from collections.abc import Callable
from typing import Any

from loyalty.amounts import round_ratio
from loyalty.pricing.bundles import bundle
from loyalty.pricing.buy_get import buy_get
from loyalty.pricing.conditions import first_unmet
from loyalty.pricing.discounts import Cuts, percent_of
from loyalty.pricing.taking_off import NOTHING, cuts_of
from loyalty.pricing.units import units_of
from loyalty.pricing.workings import Workings
from loyalty.programme.benefits import AmountOff, Bundle, BuyGet, PercentOff
from loyalty.programme.compiled import Numbers, Rule


def take_swiftly(rule: Rule, workings: Workings) -> None:
    """Let a rule take off what it can, and say so; it is `swift`, and nothing of its programme keeps others out."""
    if rule.asks and (reason := first_unmet(rule, workings)):
        workings.refuse(rule, reason)
        return
    benefit, numbers = rule.money[0]
    here = workings.found.get(numbers[0])
    if here is None or (len(numbers) > 1 and numbers[-1] not in workings.found):
        workings.refuse(rule, NOTHING)
    elif rule.plain and len(here) == 1:
        _take_off_one(rule, benefit, here[0], workings)
    else:
        cuts = _WAYS.get(type(benefit), _any)(rule, benefit, numbers, workings)
        if cuts:
            workings.take(rule, cuts)
        else:
            workings.refuse(rule, NOTHING)
    if rule.gives:
        workings.let_in(rule)


def _take_off_one(rule: Rule, benefit: Any, i: int, workings: Workings) -> None:
    """A plain discount on goods of which there is a single line, where nothing is spread or picked."""
    costs = workings.remaining[i]
    cut = rule.plain
    if type(benefit) is PercentOff:
        cut = (costs * cut + 5_000) // 10_000
    elif benefit.per == "unit":
        cut = round_ratio(cut * workings.lines[i].quantity_milli, 1000)
    room = costs if workings.is_open else workings.room(i)
    if cut > room:
        cut = room
    if cut:
        workings.take_one(rule, i, cut)
    else:
        workings.refuse(rule, NOTHING)


def _percent(rule: Rule, benefit: PercentOff, numbers: Numbers, workings: Workings) -> Cuts:
    options = rule.options
    if (benefit.per or options.percent_per) != "line":
        return _any(rule, benefit, numbers, workings)
    percent_bp, room = benefit.percent_bp, workings.room
    base = workings.remaining if options.stacking_base == "remaining" else workings.original
    is_plain = options.percent_rounding == "half_up" and options.percent_rounds == "discount"
    cuts: Cuts = {}
    for i in workings.positions(numbers[0]):
        cut = (base[i] * percent_bp + 5_000) // 10_000 if is_plain else percent_of(base[i], percent_bp, options)
        if cut and (left := room(i)):
            cuts[i] = cut if cut < left else left
    return cuts


def _amount(rule: Rule, benefit: AmountOff, numbers: Numbers, workings: Workings) -> Cuts:
    per, amount = benefit.per, benefit.amount_minor
    positions = workings.positions(numbers[0])
    # Of a single line nothing is spread.
    if per != "unit" and per != "line" and (per != "basket" or len(positions) != 1):
        return _any(rule, benefit, numbers, workings)
    room, lines = workings.room, workings.lines
    cuts: Cuts = {}
    for i in positions:
        if left := room(i):
            off = round_ratio(amount * lines[i].quantity_milli, 1000) if per == "unit" else amount
            if off:
                cuts[i] = off if off < left else left
    return cuts


def _buy_get(rule: Rule, benefit: BuyGet, numbers: Numbers, workings: Workings) -> Cuts:
    bought = workings.found[numbers[0]]
    if len(bought) == 1 and units_of(workings.lines[bought[0]]) < benefit.buy_units:
        return {}
    return buy_get(benefit, numbers, workings, rule.options)[0]


def _bundle(rule: Rule, benefit: Bundle, numbers: Numbers, workings: Workings) -> Cuts:
    return bundle(benefit, numbers, workings, rule.options)


def _any(rule: Rule, benefit: Any, numbers: Numbers, workings: Workings) -> Cuts:
    return cuts_of(rule, workings, (), None)[0]


_WAYS: dict[type, Callable[[Rule, Any, Numbers, Workings], Cuts]] = {
    PercentOff: _percent,
    AmountOff: _amount,
    BuyGet: _buy_get,
    Bundle: _bundle,
}
