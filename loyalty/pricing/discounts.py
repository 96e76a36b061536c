"""Money off: percentages, amounts, prices. Never below zero or a floor price; what is spread adds up to the unit.

Each function takes one benefit and the workings, and answers what comes off each line, by position. Nothing is changed.
Source: engine.md capabilities 1 to 4, 10, 14, 19.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from loyalty.amounts import Spreading, round_ratio, share_out
from loyalty.pricing.units import Run, count_of, first_of, in_order, runs_of, units_of
from loyalty.pricing.workings import Workings
from loyalty.programme.benefits import AmountOff, PercentOff, PriceList, SetPrice, Which
from loyalty.programme.compiled import Rule
from loyalty.programme.programme import Options

Cuts = dict[int, int]


class Part(msgspec.Struct, frozen=True, gc=False):
    """What of a line a benefit may act on: all of it, or those of its units that a cap leaves.

    `minor` is what it costs now, `base_minor` what a percentage is taken of, `room` the most that may come off.
    """

    position: int
    minor: int
    base_minor: int
    milli: int
    room: int


class Capped(NamedTuple):
    """Parts of lines; and how many units of each line they are, by position, where a cap counts them."""

    parts: list[Part]
    units: dict[int, int]


def percent_off(rule: PercentOff, parts: Sequence[Part], options: Options) -> Cuts:
    """A percentage of each unit, each line, or of everything together."""
    per = rule.per or options.percent_per
    if per == "basket":
        total = percent_of(sum(part.base_minor for part in parts), rule.percent_bp, options)
        return spread(total, {part.position: part.base_minor for part in parts}, parts, options)
    if per == "unit":
        return _each(parts, lambda part: _percent_per_unit(part, rule.percent_bp, options))
    return _each(parts, lambda part: percent_of(part.base_minor, rule.percent_bp, options))


def amount_off(rule: AmountOff, parts: Sequence[Part], workings: Workings, options: Options) -> Cuts:
    """An amount off the basket, each line, each unit, or each complete group."""
    amount = rule.amount_minor
    per = options.amount_each if rule.per == "each" else rule.per
    if per == "line":
        return _each(parts, lambda part: amount)
    if per == "unit":
        return _each(parts, lambda part: round_ratio(amount * part.milli, 1000))
    total = amount
    if per == "group":
        assert rule.group_of is not None
        with_free = options.gift_lines == "counted"
        runs = runs_of((part.position for part in parts), workings.lines, workings.remaining, with_free=with_free)
        total = amount * (count_of(runs) // rule.group_of)
    return spread(total, {part.position: part.minor for part in parts}, parts, options)


def set_price(rule: SetPrice, parts: Sequence[Part]) -> Cuts:
    """Down to a price a unit; never up."""
    return _each(parts, lambda part: part.minor - round_ratio(rule.unit_price_minor * part.milli, 1000))


def price_list(rule: PriceList, parts: Sequence[Part], workings: Workings) -> Cuts:
    """Down to the price that the list has for the article; never up."""
    lines = workings.lines
    return _each(
        parts,
        lambda part: part.minor - round_ratio(rule.prices[lines[part.position].sku] * part.milli, 1000),
    )


def parts_of(
    positions: Iterable[int],
    workings: Workings,
    options: Options,
    *,
    skip: Collection[int] = (),
    most_units: int | None = None,
    first: Which = "basket",
    worth: Callable[[Run], bool] = lambda run: True,
) -> Capped:
    """What of the lines at these positions a benefit may act on. Lines at their floor price are among them: they have
    their share of what is spread, and no room for it.

    Args:
        skip: positions to leave alone.
        most_units: a cap on the units that are rewarded, picked in the order `first` from those that are `worth` it.
    """
    base = workings.remaining if options.stacking_base == "remaining" else workings.original
    with_free = options.gift_lines == "counted"
    if most_units is None:
        remaining, lines, closed, room = workings.remaining, workings.lines, workings.closed, workings.room
        open_ = [i for i in positions if i not in closed and i not in skip and (base[i] or with_free)]
        return Capped([Part(i, remaining[i], base[i], lines[i].quantity_milli, room(i)) for i in open_], {})
    open_ = rewardable(positions, workings, skip, with_free=with_free)
    runs = in_order(runs_of(open_, workings.lines, workings.remaining, with_free=with_free), first)
    picked = first_of((run for run in runs if worth(run)), most_units)
    by_line: dict[int, list[Run]] = {}
    for run in picked:
        by_line.setdefault(run.position, []).append(run)
    parts = [_some_units(i, by_line[i], base, workings) for i in sorted(by_line)]
    return Capped(parts, {i: sum(run.units for run in runs) for i, runs in by_line.items()})


def rewardable(positions: Iterable[int], workings: Workings, skip: Collection[int], *, with_free: bool) -> list[int]:
    """Positions whose units may be rewarded; with free units also those that cost nothing already."""
    closed, remaining = workings.closed, workings.remaining
    return [
        i
        for i in positions
        if i not in skip and (workings.room(i) or (with_free and not remaining[i] and i not in closed))
    ]


def reduced_by_others(rule: Rule, workings: Workings) -> frozenset[int]:
    """Positions that another promotion has taken something off, or that are sold below quantity times unit price."""
    own: dict[int, int] = {}
    for effect in workings.effects:
        if effect.promotion == rule.promotion.id:
            own[effect.line] = own.get(effect.line, 0) + effect.amount_minor
    return frozenset(
        i
        for i, line in enumerate(workings.lines)
        if workings.discounted_minor(i) > own.get(line.line, 0)
        or line.amount_minor < line.unit_price_minor * line.quantity_milli // 1000
    )


def percent_of(base: int, percent_bp: int, options: Options) -> int:
    """The discount that a percentage makes of an amount, rounded as declared."""
    if options.percent_rounds == "price":
        return base - round_ratio(base * (10_000 - percent_bp), 10_000, options.percent_rounding)
    return round_ratio(base * percent_bp, 10_000, options.percent_rounding)


def spread(total: int, weights: Mapping[int, int], parts: Sequence[Part], options: Options) -> Cuts:
    """An amount over parts of lines in proportion to their weights; none gets more than it has room for."""
    if len(parts) == 1:
        part = parts[0]
        cut = min(total, part.room)
        return {part.position: cut} if cut else {}
    rooms = {part.position: part.room for part in parts}
    if options.floor_rest == "dropped":
        return spread_out(total, weights, rooms, options.spread_remainder, moves=False)
    return spread_out(min(total, sum(rooms.values())), weights, rooms, options.spread_remainder)


def spread_out(
    total: int, weights: Mapping[int, int], rooms: Mapping[int, int], rule: Spreading, *, moves: bool = True
) -> Cuts:
    """Share `total` out by weight without giving any more than its room.

    Args:
        total: with `moves` at most the sum of `rooms`.
        moves: what a room refuses goes to those that have room left, again by weight; else it is dropped.
    """
    keys = list(weights)
    open_ = list(weights.values())
    parts = [0] * len(keys)
    while total and any(open_):
        shares = share_out(total, open_, rule)
        for n, (key, share) in enumerate(zip(keys, shares, strict=True)):
            taken = min(share, rooms[key] - parts[n])
            parts[n] += taken
            total -= taken
            if parts[n] == rooms[key]:
                open_[n] = 0
        if not moves:
            break
    return {key: part for key, part in zip(keys, parts, strict=True) if part}


def _each(parts: Iterable[Part], cut_of: Callable[[Part], int]) -> Cuts:
    cuts = {}
    for part in parts:
        cut = min(cut_of(part), part.room)
        if cut > 0:
            cuts[part.position] = cut
    return cuts


def _percent_per_unit(part: Part, percent_bp: int, options: Options) -> int:
    """Each unit rounded by itself; goods that are weighed are one unit."""
    count = part.milli // 1000 if part.milli % 1000 == 0 and part.milli else 1
    unit, dearer = divmod(part.base_minor, count)
    off = dearer * percent_of(unit + 1, percent_bp, options) if dearer else 0
    return off + (count - dearer) * percent_of(unit, percent_bp, options)


def _some_units(i: int, picked: Sequence[Run], base: Sequence[int], workings: Workings) -> Part:
    """Some units of a line, as a part with its own price, its own share of the base and its own floor price."""
    line = workings.lines[i]
    count, minor = sum(run.units for run in picked), sum(run.units * run.unit_minor for run in picked)
    units = units_of(line)
    milli = line.quantity_milli if count == units else 1000 * count
    unit, dearer = divmod(base[i], units)
    if base is workings.remaining or count == units:
        base_minor = minor if base is workings.remaining else base[i]
    else:
        # The units that cost a minor unit more stand first, now and in the base.
        dear_now = workings.remaining[i] % units
        of_dear = sum(run.units for run in picked if run.unit_minor > workings.remaining[i] // units)
        others = count - of_dear
        base_minor = unit * count + min(of_dear, dearer) + max(0, min(dearer - dear_now, others))
    return Part(i, minor, base_minor, milli, room_of(i, minor, milli, workings))


def room_of(i: int, minor: int, milli: int, workings: Workings) -> int:
    """The most that may come off some units of a line: down to their own floor price, and to the line's."""
    return max(0, min(workings.room(i), minor - workings.floor(i, milli)))
