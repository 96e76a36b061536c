"""What one benefit has before it: which goods, what they cost by now, what may still come off.

Where the page leaves something open the simplest reading was taken:
- goods marked not discountable, and certificates, take no part in what is spread over the selected goods either;
- what costs less than quantity times unit price is measured on that product rounded down, as tills may round it;
- units of a line without room cannot be rewarded; the line still takes part in what is spread.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from loyalty.programme.promotion import Promotion
from loyalty.programme.selectors import Selector
from tests.loyalty.naive.goods import Unit, names, picked, rounded, spread, units_of
from tests.loyalty.naive.sale import Sale


@dataclass
class Bench:
    """What one benefit has before it: its promotion, what lines cost by now, how many units may still be rewarded."""

    promotion: Promotion
    sale: Sale
    costs: list[int]
    units_left: int | None = None
    rewarded: list[int] = field(default_factory=list)
    rooms: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rooms = [self._room(i) for i in range(len(self.costs))]
        self.rewarded = self.nothing()

    def option(self, name: str) -> Any:
        return self.sale.option(self.promotion, name)

    def selected(self, selector: Selector) -> list[int]:
        """Positions of the goods that a selector names."""
        return [i for i, line in enumerate(self.sale.lines) if names(selector, line)]

    def reducible(self, selector: Selector) -> list[int]:
        """Those of them that money may be taken off at all, and that the promotion does not leave alone."""
        return [i for i in self.touched(selector) if self._may_be_reduced(i)]

    def touched(self, selector: Selector) -> list[int]:
        """Those of them that the promotion does not leave alone."""
        return [i for i in self.selected(selector) if not self._left_alone(i)]

    def rewardable(self, positions: Sequence[int]) -> list[Unit]:
        """Units that may be rewarded."""
        return [unit for unit in self.units(positions) if self.rooms[unit.line] or not self.costs[unit.line]]

    def units(self, positions: Sequence[int]) -> list[Unit]:
        """Their units one by one; units that cost nothing count only where the programme says so."""
        found = [unit for i in positions for unit in units_of(i, self.sale.lines[i], self.costs[i])]
        return [unit for unit in found if unit.cost or self.option("gift_lines") == "counted"]

    def percent(self, base: int, percent_bp: int) -> int:
        return self.rounded_off(base, Fraction(base * percent_bp, 10_000))

    def rounded_off(self, base: int, exact: Fraction) -> int:
        """What comes off an amount, rounded on the discount or on the price that results."""
        mode = self.option("percent_rounding")
        return base - rounded(base - exact, mode) if self.option("percent_rounds") == "price" else rounded(exact, mode)

    def bases(self) -> list[int]:
        """What percentages are of: what is left, or the price before."""
        return self.sale.original if self.option("stacking_base") == "original" else self.costs

    def allowed(self, positions: Sequence[int], prices: dict[int, int] | None = None) -> list[list[Unit]]:
        """By line the units that a cap on units lets be rewarded; with prices those alone that cost more than that."""
        units = [
            unit
            for unit in self.rewardable(positions)
            if prices is None or unit.cost > rounded(Fraction(prices[unit.line] * unit.milli, 1000))
        ]
        first = next((cap.first for cap in self.promotion.caps if cap.of == "units" and cap.first), None)
        chosen = picked(units, first or self.option("rewarded_unit"))[: self.units_left]
        by_line = [[unit for unit in chosen if unit.line == i] for i in range(len(self.costs))]
        self.rewarded = [len(row) for row in by_line]
        return by_line

    def spread(self, total: int, costs: Sequence[int], rooms: Sequence[int] | None = None) -> list[int]:
        """An amount over lines, or over what is there of lines, by what that costs."""
        rooms = self.rooms if rooms is None else rooms
        return spread(total, costs, rooms, self.option("spread_remainder"), self.option("floor_rest"))

    def rooms_of(self, units: Iterable[Unit]) -> list[int]:
        """By line the room of these units: down to their own floor prices."""
        rooms = self.nothing()
        for unit in units:
            floor = rounded(Fraction(self.sale.lines[unit.line].floor_unit_minor * unit.milli, 1000), "up")
            rooms[unit.line] += max(0, unit.cost - floor)
        return [min(room, own) for room, own in zip(self.rooms, rooms, strict=True)]

    def costs_of(self, positions: Sequence[int]) -> list[int]:
        return [cost if i in positions else 0 for i, cost in enumerate(self.costs)]

    def nothing(self) -> list[int]:
        return [0] * len(self.costs)

    def _room(self, i: int) -> int:
        line = self.sale.lines[i]
        floor = rounded(Fraction(line.floor_unit_minor * line.quantity_milli, 1000), "up")
        return max(0, self.costs[i] - floor) if self._may_be_reduced(i) else 0

    def _may_be_reduced(self, i: int) -> bool:
        return self.sale.lines[i].discountable and not self.sale.is_certificate(i)

    def _left_alone(self, i: int) -> bool:
        line = self.sale.lines[i]
        full = line.unit_price_minor * line.quantity_milli // 1000
        return self.promotion.skip_reduced and (self.sale.off[i] > 0 or line.amount_minor < full)
