"""Two programmes held against each other, receipt by receipt: winners, losers, and by how much."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

from loyalty.amounts import exponent_of, minor_in_micro
from tallypoint.backtest.pricing import Given, Run, Sale, Sum
from tallypoint.backtest.result import Bar, Comparison, Difference, Tally, Value

MOST_LISTED = 20
# Bars of a distribution in hundredths of the major currency: small differences are told apart, large ones together.
EDGES = (0, 10, 25, 50, 100, 200, 500, 1000)


class Got(Protocol):
    """Anything that counts money off and points."""

    @property
    def discount_minor(self) -> int: ...
    @property
    def points(self) -> int: ...


NOTHING = Given(discount_minor=0, points=0, paid_with_points_minor=0, points_spent=0)


def compare(sales: Sequence[Sale], runs: Sequence[Run], worths: Sequence[int], currency: str) -> Comparison:
    """Hold the first run against the other.

    Args:
        sales: those that both priced, in the order in which they were taken in.
        worths: micro-units of a point under each.
    """
    first, other = runs

    def held(name: str, one: Got, against: Got) -> Difference:
        return _difference(name, _value(one, worths[0], currency), _value(against, worths[1], currency))

    receipts = [
        held(sale.basket.receipt_id, one, against)
        for sale, one, against in zip(sales, first.given, other.given, strict=True)
    ]
    members = [
        held(token_of(number), first.members[number].sum, other.members[number].sum) for number in sorted(first.members)
    ]
    names = sorted(first.departments.keys() | other.departments.keys())
    departments = [held(name, first.departments.get(name, Sum()), other.departments.get(name, Sum())) for name in names]
    return Comparison(
        receipts=_tally(receipts),
        members=_tally(members),
        departments=_tally(departments),
        difference=_together(one.difference for one in receipts),
        distribution=distribution([one.difference.value_micro for one in receipts], currency),
        receipts_most_better=_most(receipts, 1),
        receipts_most_worse=_most(receipts, -1),
        members_most_better=_most(members, 1),
        members_most_worse=_most(members, -1),
        by_department=tuple(sorted(departments, key=lambda one: (-abs(one.difference.value_micro), one.name))),
    )


def token_of(number: int) -> str:
    """What a member is called in results: a number in the order of first sales, which says nothing of the card."""
    return f"M{number:05d}"


def worth_of(got: Got, worth: int, currency: str) -> int:
    """What money off and points are worth together, in micro-units."""
    return got.discount_minor * minor_in_micro(currency) + got.points * worth


def distribution(values_micro: Iterable[int], currency: str) -> tuple[Bar, ...]:
    """How many receipts lie in each bar, from the lowest to the highest that holds any; none of no receipts."""
    # Where money has no decimals, a bar's edge is as many whole units.
    scale = 10 ** max(0, exponent_of(currency) - 2)
    minor = [edge * scale for edge in EDGES]
    micro = [edge * minor_in_micro(currency) for edge in minor]
    counts: Counter[int] = Counter()
    for value in values_micro:
        place = bisect_left(micro, abs(value))
        counts[place if value >= 0 else -place] += 1
    if not counts:
        return ()
    return tuple(_bar(place, minor, counts[place]) for place in range(min(counts), max(counts) + 1))


def _bar(place: int, edges: Sequence[int], receipts: int) -> Bar:
    """Bar 0 is exactly 0, bar n reaches from the edge before it up to its own; the last one is open."""
    bounds: list[int | None] = [*edges, None]
    if place == 0:
        return Bar(above_minor=0, to_minor=0, receipts=receipts)
    near, far = edges[abs(place) - 1], bounds[abs(place)]
    if place > 0:
        return Bar(above_minor=near, to_minor=far, receipts=receipts)
    return Bar(above_minor=None if far is None else -far, to_minor=-near, receipts=receipts)


def _value(got: Got, worth: int, currency: str) -> Value:
    return Value(discount_minor=got.discount_minor, points=got.points, value_micro=worth_of(got, worth, currency))


def _difference(name: str, first: Value, other: Value) -> Difference:
    return Difference(
        name=name,
        first=first,
        other=other,
        difference=Value(
            discount_minor=first.discount_minor - other.discount_minor,
            points=first.points - other.points,
            value_micro=first.value_micro - other.value_micro,
        ),
    )


def _tally(rows: Sequence[Difference]) -> Tally:
    better = [one.difference for one in rows if one.difference.value_micro > 0]
    worse = [one.difference for one in rows if one.difference.value_micro < 0]
    return Tally(
        better=len(better),
        worse=len(worse),
        same=len(rows) - len(better) - len(worse),
        gained=_together(better),
        lost=_together(worse),
    )


def _together(values: Iterable[Value]) -> Value:
    found = list(values)
    return Value(
        discount_minor=sum(one.discount_minor for one in found),
        points=sum(one.points for one in found),
        value_micro=sum(one.value_micro for one in found),
    )


def _most(rows: Sequence[Difference], turn: int) -> tuple[Difference, ...]:
    """The largest differences of one direction; equals as they stand."""
    found = [one for one in rows if one.difference.value_micro * turn > 0]
    return tuple(sorted(found, key=lambda one: -one.difference.value_micro * turn)[:MOST_LISTED])
