"""Bundles: any 3 for 10, meal deals, sets; the units that go into them are picked so that the customer saves most.

Which units can stand together in how many bundles is a question of matching units to parts. Taking units in their order
and keeping each that can still be matched gives the best set there is (a transversal matroid), so no search is needed.
Source: engine.md capability 19; docs/programme.md "Bundles".
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence

from loyalty.pricing.discounts import Cuts, Part, percent_of, rewardable, room_of, spread
from loyalty.pricing.units import Run, cost_by_line, count_of, in_order, runs_of, units_of
from loyalty.pricing.workings import Workings
from loyalty.programme.benefits import Bundle
from loyalty.programme.compiled import Numbers
from loyalty.programme.programme import Options

MOST_TRIED = 1_000  # numbers of bundles that are tried one by one


def bundle(
    rule: Bundle, numbers: Numbers, workings: Workings, options: Options, *, skip: Collection[int] = ()
) -> Cuts:
    """What comes off each line, by position.

    Args:
        numbers: of the selectors of the parts, in their order.
        skip: positions that go into no bundle.
    """
    with_free = options.gift_lines == "counted"
    members = _members(numbers, workings, skip, with_free=with_free)
    if not members:
        return {}
    runs = runs_of(sorted(members), workings.lines, workings.remaining, with_free=with_free)
    turns = in_order(runs, rule.which)
    most = _most_times(rule, members, turns)
    if most == 0:
        return {}
    chosen, saving = _best(rule, members, turns, most, options)
    if saving <= 0:
        return {}
    counts: dict[int, int] = {}
    for run in chosen:
        counts[run.position] = counts.get(run.position, 0) + run.units
    parts = []
    for i, cost in sorted(cost_by_line(chosen).items()):
        line = workings.lines[i]
        milli = line.quantity_milli if counts[i] == units_of(line) else 1000 * counts[i]
        parts.append(Part(i, cost, cost, milli, room_of(i, cost, milli, workings)))
    return spread(saving, {part.position: part.minor for part in parts}, parts, options)


def _members(
    numbers: Numbers, workings: Workings, skip: Collection[int], *, with_free: bool
) -> dict[int, tuple[int, ...]]:
    """Position of a line → the parts it may stand in; none at all where a part has no goods."""
    if not all([workings.positions(number) for number in numbers]):
        return {}
    members: dict[int, list[int]] = {}
    for part, number in enumerate(numbers):
        open_ = rewardable(workings.positions(number), workings, skip, with_free=with_free)
        if not open_:
            return {}
        for i in open_:
            members.setdefault(i, []).append(part)
    return {i: tuple(parts) for i, parts in members.items()}


def _most_times(rule: Bundle, members: dict[int, tuple[int, ...]], turns: Sequence[Run]) -> int:
    """How many complete bundles there are at most: as many as the scarcest part allows, where each unit may stand in
    one part only; else found by halving, since fewer can always be made of more."""
    each = sum([part.units for part in rule.parts])
    by_part = [0] * len(rule.parts)
    for run in turns:
        for part in members[run.position]:
            by_part[part] += run.units
    high = min([count_of(turns) // each, *[have // part.units for have, part in zip(by_part, rule.parts, strict=True)]])
    if rule.times is not None:
        high = min(high, rule.times)
    low, middle = 0, high
    while low < high:
        if count_of(_fill(rule, members, turns, middle)) == middle * each:
            low = middle
        else:
            high = middle - 1
        middle = (low + high + 1) // 2
    return low


def _best(
    rule: Bundle, members: dict[int, tuple[int, ...]], turns: Sequence[Run], most: int, options: Options
) -> tuple[list[Run], int]:
    """The units and what they save: at a set price the number of bundles that saves most, the fewest of equals."""

    def filled(times: int) -> tuple[list[Run], int]:
        chosen = _fill(rule, members, turns, times)
        return chosen, _saving(rule, sum(run.unit_minor * run.units for run in chosen), times, options)

    if rule.price_minor is None:
        return filled(most)
    if rule.which != "dearest":
        # Of the cheapest each further bundle saves at least as much: all of them, or none.
        tried = [most] if rule.which == "cheapest" else _worth_trying(rule, members, turns, most)
        best = max((filled(times) for times in tried), key=lambda one: one[1])
        return best if best[1] > 0 else ([], 0)
    # Of the dearest units each further bundle saves at most what the one before it saved.
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if filled(middle)[1] > filled(middle - 1)[1]:
            low = middle
        else:
            high = middle - 1
    return filled(low) if low else ([], 0)


def _worth_trying(
    rule: Bundle, members: dict[int, tuple[int, ...]], turns: Sequence[Run], most: int
) -> list[int]:
    """Numbers of bundles, ascending: all of them, or of very many those at which a run of equal units ends.

    Where parts overlap, what a bundle saves may change between these too; nobody buys a thousand bundles of such.
    """
    if most <= MOST_TRIED:
        return list(range(1, most + 1))
    found = {most}
    each = sum(part.units for part in rule.parts)
    seen, by_part = 0, [0] * len(rule.parts)
    for run in turns:
        seen += run.units
        found |= {seen // each, seen // each + 1}
        for part in members[run.position]:
            by_part[part] += run.units
            found |= {by_part[part] // rule.parts[part].units, by_part[part] // rule.parts[part].units + 1}
    return sorted(times for times in found if 0 < times <= most)


def _saving(rule: Bundle, cost: int, times: int, options: Options) -> int:
    if rule.price_minor is not None:
        return cost - times * rule.price_minor
    if rule.percent_bp is not None:
        return percent_of(cost, rule.percent_bp, options)
    assert rule.amount_minor is not None
    return min(cost, times * rule.amount_minor)


def _fill(rule: Bundle, members: dict[int, tuple[int, ...]], turns: Iterable[Run], times: int) -> list[Run]:
    """Units for so many bundles, taken in their turn wherever they can still be matched."""
    matching = _Matching([part.units * times for part in rule.parts])
    chosen = []
    for run in turns:
        if fits := matching.add(members[run.position], run.units):
            chosen.append(Run(run.position, run.unit_minor, fits))
    return chosen


class _Matching:
    """Units matched to parts of bundles, by the set of parts that they may stand in."""

    def __init__(self, places: list[int]) -> None:
        self.free = places
        self.placed: dict[tuple[int, ...], list[int]] = {}

    def add(self, parts: tuple[int, ...], count: int) -> int:
        """Match up to `count` more units, moving others to make place; how many fit."""
        fits = 0
        while fits < count and (moved := self._push(parts, count - fits)):
            fits += moved
        return fits

    def _push(self, parts: tuple[int, ...], count: int) -> int:
        """The shortest way to a free place, by a search over parts; how many units went along it."""
        for part in parts:
            if self.free[part]:  # nobody need move
                return self._place(part, parts, min(count, self.free[part]))
        came: dict[int, tuple[int, tuple[int, ...]]] = {part: (-1, parts) for part in parts}
        queue = deque(parts)
        while queue:
            part = queue.popleft()
            if self.free[part]:
                return self._move(part, came, count)
            for others, placed in self.placed.items():
                if placed[part]:
                    for other in others:
                        if other not in came:
                            came[other] = (part, others)
                            queue.append(other)
        return 0

    def _place(self, part: int, parts: tuple[int, ...], count: int) -> int:
        self.placed.setdefault(parts, [0] * len(self.free))[part] += count
        self.free[part] -= count
        return count

    def _move(self, end: int, came: dict[int, tuple[int, tuple[int, ...]]], count: int) -> int:
        path = []
        part = end
        while part != -1:
            before, kind = came[part]
            path.append((before, part, kind))
            part = before
        movable = [self.placed[kind][before] for before, _, kind in path if before != -1]
        count = min(count, self.free[end], *movable)
        for before, part, kind in path:
            placed = self.placed.setdefault(kind, [0] * len(self.free))
            placed[part] += count
            if before != -1:
                placed[before] -= count
        self.free[end] -= count
        return count
