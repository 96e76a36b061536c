"""Which goods, in how many units, how a figure is rounded, and how an amount is shared out."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

from loyalty.baskets import Line
from loyalty.programme.selectors import Selector


class Unit(NamedTuple):
    """One unit of a line: the line's position in the basket, which unit of it, what it costs, how much it is."""

    line: int
    number: int
    cost: int
    milli: int


def names(selector: Selector, line: Line) -> bool:
    """Whether a selector names a line."""
    wanted = [
        not selector.sku or line.sku in selector.sku,
        not selector.category or any(line.category[: len(path)] == path for path in selector.category),
        not selector.brand or line.brand in selector.brand,
        not selector.tags or bool(set(selector.tags) & set(line.tags)),
        selector.unit_price_from_minor is None or line.unit_price_minor >= selector.unit_price_from_minor,
        selector.unit_price_to_minor is None or line.unit_price_minor <= selector.unit_price_to_minor,
    ]
    return all(wanted) and not (selector.exclude is not None and names(selector.exclude, line))


def count_of(line: Line) -> int:
    """The whole quantity, and one where it is not whole."""
    return line.quantity_milli // 1000 if line.quantity_milli % 1000 == 0 else 1


def units_of(position: int, line: Line, cost: int) -> list[Unit]:
    """The units of a line that costs so much; they share it evenly, the first ones a minor unit more."""
    count = count_of(line)
    if not count:
        return []
    each, more = divmod(cost, count)
    milli = 1000 if line.quantity_milli % 1000 == 0 else line.quantity_milli
    return [Unit(position, number, each + (number < more), milli) for number in range(count)]


def picked(units: Iterable[Unit], which: str) -> list[Unit]:
    """Units in the order in which they are picked; equal ones by line."""
    turns = {
        "cheapest": lambda unit: (unit.cost, unit.line, unit.number),
        "dearest": lambda unit: (-unit.cost, unit.line, unit.number),
        "basket": lambda unit: (unit.line, unit.number),
    }
    return sorted(units, key=turns[which])


def rounded(exact: Fraction, mode: str = "half_up") -> int:
    """A figure of 0 or more as a whole number."""
    whole = exact.numerator // exact.denominator
    rest = exact - whole
    if mode == "down" or rest == 0:
        return whole
    if mode == "up" or rest > Fraction(1, 2):
        return whole + 1
    if rest < Fraction(1, 2):
        return whole
    return whole + 1 if mode == "half_up" or whole % 2 else whole


def parts_of(total: int, weights: Sequence[int | Fraction], rule: str = "largest_remainder") -> list[int]:
    """`total` in proportion to the weights, whole; those that weigh nothing get nothing."""
    whole = sum(weights)
    parts = [0] * len(weights)
    if not total or not whole:
        return parts
    exact = [Fraction(total * weight) / whole for weight in weights]
    heavy = [i for i, weight in enumerate(weights) if weight]
    if rule == "half_down_first":
        for i in heavy:
            low = rounded(exact[i], "down")
            parts[i] = low + (exact[i] - low > Fraction(1, 2))
        for i in heavy:  # the first evens it out; where it has not enough to give, the next ones help
            parts[i] = max(0, parts[i] + total - sum(parts))
        return parts
    for i in heavy:
        parts[i] = rounded(exact[i], "down")
    left = total - sum(parts)
    if rule == "floor_last":
        parts[heavy[-1]] += left
        return parts
    turns = heavy if rule == "floor_first" else sorted(heavy, key=lambda i: (parts[i] - exact[i], i))
    for i in turns[:left]:
        parts[i] += 1
    return parts


def spread(total: int, costs: Sequence[int], rooms: Sequence[int], rule: str, rest: str) -> list[int]:
    """An amount over lines by what they cost; what a line has no room for moves to the others, or is dropped."""
    got = [0] * len(costs)
    weights = list(costs)
    while total and any(weights):
        for i, part in enumerate(parts_of(total, weights, rule)):
            taken = min(part, rooms[i] - got[i])
            got[i] += taken
            total -= taken
        if rest == "dropped":
            break
        weights = [cost if got[i] < rooms[i] else 0 for i, cost in enumerate(costs)]
    return got


def taxed(amount: int, line: Line, tax: str, tax_included: bool) -> int:
    """An amount of a line with its tax or without it, half up per line."""
    if tax == "in":
        return amount if tax_included else amount + rounded(Fraction(amount * line.tax_bp, 10_000))
    return amount - rounded(Fraction(amount * line.tax_bp, 10_000 + line.tax_bp)) if tax_included else amount
