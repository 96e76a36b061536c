"""Percentages, amounts and prices: what one benefit takes off each line, before the room of the line is looked at.

Where the page leaves something open the simplest reading was taken: in the stage `price_list` the original price is
that before all promotions.
"""

from fractions import Fraction

from loyalty.programme.benefits import AmountOff, PercentOff, PriceList, SetPrice
from loyalty.programme.selectors import Selector
from tests.loyalty.naive.bench import Bench
from tests.loyalty.naive.goods import rounded, units_of


def percent_off(benefit: PercentOff, bench: Bench) -> list[int]:
    """Of each unit, of each line, or of the selected lines together."""
    per = benefit.per or bench.option("percent_per")
    goods, bases = bench.reducible(benefit.of), bench.bases()
    units = [units_of(i, line, bases[i]) if i in goods else [] for i, line in enumerate(bench.sale.lines)]
    rooms = bench.rooms
    sums = [base if i in goods else 0 for i, base in enumerate(bases)]
    if bench.units_left is not None:
        allowed = bench.allowed(goods)
        numbers = [{unit.number for unit in row} for row in allowed]
        units = [[unit for unit in row if unit.number in numbers[i]] for i, row in enumerate(units)]
        rooms = bench.rooms_of(unit for row in allowed for unit in row)
        sums = [sum(unit.cost for unit in row) for row in units]
    if per == "unit":
        cuts = [sum(bench.percent(unit.cost, benefit.percent_bp) for unit in row) for row in units]
    elif per == "line":
        cuts = [bench.percent(total, benefit.percent_bp) for total in sums]
    else:
        cuts = bench.spread(bench.percent(sum(sums), benefit.percent_bp), sums, rooms)
    return [min(cut, room) for cut, room in zip(cuts, rooms, strict=True)]


def amount_off(benefit: AmountOff, bench: Bench) -> list[int]:
    """Off the goods together, each line, each unit, or every complete group of units."""
    goods = bench.reducible(benefit.of)
    per = bench.option("amount_each") if benefit.per == "each" else benefit.per
    if per == "basket":
        return bench.spread(benefit.amount_minor, bench.costs_of(goods))
    if per == "group":
        groups = len(bench.units(goods)) // (benefit.group_of or 1)
        return bench.spread(groups * benefit.amount_minor, bench.costs_of(goods))
    if per == "line":
        return [benefit.amount_minor if i in goods else 0 for i in range(len(bench.costs))]
    milli = [line.quantity_milli if i in goods else 0 for i, line in enumerate(bench.sale.lines)]
    rooms = bench.rooms
    if bench.units_left is not None:
        allowed = bench.allowed(goods)
        milli = [sum(unit.milli for unit in row) for row in allowed]
        rooms = bench.rooms_of(unit for row in allowed for unit in row)
    cuts = [rounded(Fraction(benefit.amount_minor * one, 1000)) for one in milli]
    return [min(cut, room) for cut, room in zip(cuts, rooms, strict=True)]


def set_price(benefit: SetPrice, bench: Bench) -> list[int]:
    return _down_to({i: benefit.unit_price_minor for i in bench.reducible(benefit.of)}, bench)


def price_list(benefit: PriceList, bench: Bench) -> list[int]:
    goods = bench.reducible(Selector(sku=tuple(benefit.prices)))
    return _down_to({i: benefit.prices[bench.sale.lines[i].sku] for i in goods}, bench)


def _down_to(prices: dict[int, int], bench: Bench) -> list[int]:
    """Down to a price a unit by position, never up; with a cap on units those that are picked alone."""
    cuts = bench.nothing()
    if bench.units_left is None:
        for i, price in prices.items():
            cuts[i] = max(0, bench.costs[i] - rounded(Fraction(price * bench.sale.lines[i].quantity_milli, 1000)))
        return cuts
    allowed = bench.allowed(list(prices), prices)
    rooms = bench.rooms_of(unit for row in allowed for unit in row)
    for i, row in enumerate(allowed):
        if row:
            target = rounded(Fraction(prices[i] * sum(unit.milli for unit in row), 1000))
            cuts[i] = min(rooms[i], max(0, sum(unit.cost for unit in row) - target))
    return cuts
