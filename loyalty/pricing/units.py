"""Units of goods: what rewards, bundles and caps count.

A line of a whole quantity is so many units that share its amount evenly, the first ones a minor unit more; a line
whose quantity is not whole (weighed goods) is one unit. Units of one line that cost the same stand together as a run,
so that a line of thousands costs no more than one of three.
"""

from collections.abc import Iterable, Sequence

import msgspec

from loyalty.baskets import Line
from loyalty.programme.benefits import Which


class Run(msgspec.Struct, frozen=True, gc=False):
    """`units` units of the line at `position` that cost `unit_minor` each."""

    position: int
    unit_minor: int
    units: int


def units_of(line: Line) -> int:
    """How many units a line is; none where its quantity is nothing."""
    whole, rest = divmod(line.quantity_milli, 1000)
    return 1 if rest else whole


def runs_of(
    positions: Iterable[int], lines: Sequence[Line], costs: Sequence[int], *, with_free: bool
) -> list[Run]:
    """The units at these positions.

    Args:
        costs: what each line costs now, by position.
        with_free: whether units that cost nothing count.
    """
    runs = []
    for i in positions:
        count = units_of(lines[i])
        if count == 0:
            continue
        unit, dearer = divmod(costs[i], count)
        if dearer:
            runs.append(Run(i, unit + 1, dearer))
        if unit or with_free:
            runs.append(Run(i, unit, count - dearer))
    return runs


def in_order(runs: Iterable[Run], which: Which) -> list[Run]:
    """Runs as `which` picks them: cheapest or dearest unit first, or as they stand in the basket; ties by line."""
    runs = list(runs)
    if len(runs) < 2:
        return runs
    if which == "cheapest":
        return sorted(runs, key=lambda run: (run.unit_minor, run.position))
    if which == "dearest":
        return sorted(runs, key=lambda run: (-run.unit_minor, run.position))
    return sorted(runs, key=lambda run: (run.position, -run.unit_minor))


def first_of(runs: Iterable[Run], count: int) -> list[Run]:
    """The first `count` units of these runs, fewer where there are fewer."""
    taken = []
    for run in runs:
        if count <= 0:
            break
        taken.append(Run(run.position, run.unit_minor, min(run.units, count)))
        count -= run.units
    return taken


def count_of(runs: Iterable[Run]) -> int:
    """How many units."""
    return sum([run.units for run in runs])


def cost_by_line(runs: Iterable[Run]) -> dict[int, int]:
    """What these units cost, by position."""
    costs: dict[int, int] = {}
    for run in runs:
        costs[run.position] = costs.get(run.position, 0) + run.unit_minor * run.units
    return costs
