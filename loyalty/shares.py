"""Which share of a sale's figures belongs to the goods that have come back, always by cumulative floor.

A share is worked out for everything that has come back so far; a return gives the difference between after and before.
So parts that add up to the whole leave nothing behind, whatever their sizes and order.
Source: engine.md "Returns and voids".
"""

from collections.abc import Mapping, Sequence


class Shares:
    """So much of each line has come back: what of the sale's figures belongs to it.

    Args:
        sold: the quantity of each line in thousandths, above 0.
        back: what has come back of it. Two tills that could not ask each other may have taken back more than was sold;
            that counts as all of it.
    """

    def __init__(self, sold: Mapping[int, int], back: Mapping[int, int]) -> None:
        self._sold = dict(sold)
        self._back = {line: min(back.get(line, 0), quantity) for line, quantity in sold.items()}
        self.whole = self._back == self._sold
        self.anything = any(self._back.values())

    def of(self, total: int, line: int) -> int:
        """The share of a figure of one line; what belongs to the whole receipt (line 0) comes with the last part."""
        if line == 0:
            return total if self.whole else 0
        return total * self._back[line] // self._sold[line]

    def of_lines(self, figures: Mapping[int, int]) -> int:
        """The sum of the shares of figures by line."""
        return sum(self.of(figure, line) for line, figure in figures.items())

    def in_proportion(self, amount: int, figures: Mapping[int, int]) -> int:
        """The share of an amount that no line has of its own: in proportion to what has come back of these figures.

        Where these are nothing, all of it comes with the last part.
        """
        if self.whole:
            return amount
        total = sum(figures.values())
        return amount * self.of_lines(figures) // total if total else 0

    def kept(self, total: int, line: int) -> int:
        """What of a figure of one line stays with the goods that were kept."""
        return total - self.of(total, line)

    def is_kept(self, line: int) -> bool:
        """Whether anything of a line was kept."""
        return self._back[line] < self._sold[line]


def by_turns(money: int, of: int, amounts: Sequence[int]) -> tuple[int, ...]:
    """Which part of the money that has come back belongs to each means that paid: one after the other, floored.

    Each takes its share of what those before it left. So no part ever shrinks while more money comes back, nor does
    what is left for cash, as it would if each floor were taken of the whole.

    Args:
        money: what has come back so far, at most `of`.
        of: what was paid in all.
        amounts: what each means paid; together at most `of`.
    """
    parts = []
    for amount in amounts:
        part = min(amount, of) * money // of if of else 0
        parts.append(part)
        money, of = money - part, of - min(amount, of)
    return tuple(parts)
