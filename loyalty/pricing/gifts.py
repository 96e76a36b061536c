"""Gifts: goods to be added at no price, once or again for every so much. A gift is told, not priced.

Source: engine.md capability 22.
"""

import msgspec

from loyalty.pricing.units import units_of
from loyalty.pricing.workings import Workings
from loyalty.programme.benefits import Gift
from loyalty.programme.compiled import Numbers, Rule


class GiftGiven(msgspec.Struct, frozen=True, kw_only=True):
    """`units` of one article; `choice` holds the articles to choose from where there are several."""

    promotion: str
    sku: str
    units: int
    name: str = ""
    note: str = ""
    choice: tuple[str, ...] = ()


def gift_of(rule: Rule, gift: Gift, numbers: Numbers, workings: Workings) -> GiftGiven | None:
    """The gift that a promotion which holds gives for this basket; none where its goods are too few."""
    positions = workings.positions(numbers[0])
    if gift.for_units is not None:
        times = sum(units_of(workings.lines[i]) for i in positions) // gift.for_units
    elif gift.for_minor is not None:
        times = sum(workings.remaining[i] for i in positions) // gift.for_minor
    else:
        times = 1 if positions or not rule.needs_goods else 0
    if gift.times is not None:
        times = min(times, gift.times)
    if not times:
        return None
    first = gift.items[0]
    return GiftGiven(
        promotion=rule.promotion.id,
        sku=first.sku,
        units=gift.units * times,
        name=first.name,
        note=first.note,
        choice=tuple(item.sku for item in gift.items) if len(gift.items) > 1 else (),
    )
