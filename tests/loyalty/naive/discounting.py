"""What one promotion would take off each line now, before anything else has its turn.

Where the page leaves something open the simplest reading was taken: a cap on the amount is the whole promotion's, is
looked at after all its benefits, and is shared by largest remainder, so that no line gets more than it would have got.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from loyalty.programme.benefits import AmountOff, Bundle, BuyGet, PercentOff, PriceList, Scale, SetPrice
from loyalty.programme.promotion import Promotion
from tests.loyalty.naive.bench import Bench
from tests.loyalty.naive.goods import parts_of
from tests.loyalty.naive.money import amount_off, percent_off, price_list, set_price
from tests.loyalty.naive.sale import Sale
from tests.loyalty.naive.sets import bundle, buy_get, scale

HOW: dict[type, Callable[[Any, Bench], list[int]]] = {
    PercentOff: percent_off,
    AmountOff: amount_off,
    SetPrice: set_price,
    PriceList: price_list,
    BuyGet: buy_get,
    Bundle: bundle,
    Scale: scale,
}


@dataclass(frozen=True)
class Worked:
    """What a promotion would take off each line, and how many units of it that rewards."""

    cuts: list[int]
    units: list[int]


def work_out(promotion: Promotion, sale: Sale) -> Worked:
    """All its benefits in order, each on what the one before left, then its caps on amounts."""
    got, costs, rewarded = [0] * len(sale.lines), sale.costs(), [0] * len(sale.lines)
    units_left = left_of("units", promotion, sale)
    for benefit in promotion.then:
        if type(benefit) not in HOW:
            continue
        bench = Bench(promotion, sale, list(costs), None if units_left is None else units_left - sum(rewarded))
        cuts = [min(cut, room) for cut, room in zip(HOW[type(benefit)](benefit, bench), bench.rooms, strict=True)]
        got = [one + cut for one, cut in zip(got, cuts, strict=True)]
        costs = [cost - cut for cost, cut in zip(costs, cuts, strict=True)]
        rewarded = [one + more for one, more in zip(rewarded, bench.rewarded, strict=True)]
    most = left_of("amount", promotion, sale)
    if most is not None and sum(got) > most:
        got = parts_of(most, got)
    return Worked(got, rewarded)


def left_of(measure: str, promotion: Promotion, sale: Sale) -> int | None:
    """What the caps of a measure still allow: less what the member had in the period, less what this receipt had."""
    lefts = []
    now = {
        "units": sale.units_by.get(promotion.id, 0),
        "amount": sale.took(promotion),
        "points": sum(sale.points_by.get(promotion.id, ())),
    }[measure]
    for cap in promotion.caps:
        if cap.of == measure:
            before = 0
            if cap.per != "receipt":
                before = sale.counter(f"cap:{promotion.id}:{measure}{sale.suffix(cap.per)}") or 0
            lefts.append(max(0, cap.most - before - now))
    return min(lefts, default=None)
