"""Offers that both this engine and django-oscar can be given: percent by goods, n for m, an amount from a spend on.

Where the two mean the same by them: every good is in one offer at most, for there a line that one offer has touched is
closed to others; and prices are whole fifths of a unit of money, so that no percentage is rounded on either side.
"""

from typing import Any

import msgspec

from bench.goods import CURRENCY, GOODS, sku
from loyalty.baskets import Basket
from loyalty.programme.programme import Programme, programme_from

KINDS = ("percent", "percent", "n_for_m", "percent", "threshold")
THRESHOLD_GOODS = 3
STEP_MINOR = 20


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """One offer on some goods, each of them in no other.

    `percent` off each; of `units` of a kind the cheapest is free; `amount_minor` off once they cost `at_least_minor`.
    """

    kind: str
    skus: tuple[str, ...]
    percent: int = 0
    units: int = 0
    at_least_minor: int = 0
    amount_minor: int = 0


def offers(size: int) -> list[Offer]:
    """So many offers, the most popular goods first."""
    rank = iter(range(1, GOODS + 1))
    return [_offer(number, [sku(next(rank)) for _ in range(_goods_in(number))]) for number in range(size)]


def priced_alike(basket: Basket) -> Basket:
    """The basket at prices of whole steps."""
    lines = []
    for line in basket.lines:
        price = -(-line.unit_price_minor // STEP_MINOR) * STEP_MINOR
        units = line.quantity_milli // 1000
        lines.append(msgspec.structs.replace(line, unit_price_minor=price, amount_minor=price * units))
    return msgspec.structs.replace(basket, lines=tuple(lines))


def programme_of(wanted: list[Offer]) -> Programme:
    """The offers as one of our programmes."""
    promotions = [{"id": f"offer{number}", **_promotion(offer)} for number, offer in enumerate(wanted)]
    return programme_from({"id": "peer", "currency": CURRENCY, "promotions": promotions})


def _goods_in(number: int) -> int:
    return THRESHOLD_GOODS if KINDS[number % len(KINDS)] == "threshold" else 1


def _offer(number: int, skus: list[str]) -> Offer:
    kind = KINDS[number % len(KINDS)]
    if kind == "percent":
        return Offer(kind=kind, skus=tuple(skus), percent=(5, 10, 15)[number % 3])
    if kind == "n_for_m":
        return Offer(kind=kind, skus=tuple(skus), units=(2, 3)[number % 2])
    return Offer(kind=kind, skus=tuple(skus), at_least_minor=(500, 2_000)[number % 2], amount_minor=100)


def _promotion(offer: Offer) -> dict[str, Any]:
    of = {"sku": list(offer.skus)}
    if offer.kind == "percent":
        return {"then": [{"kind": "percent_off", "percent_bp": offer.percent * 100, "of": of}]}
    if offer.kind == "n_for_m":
        return {"then": [{"kind": "buy_get", "buy_units": offer.units, "buy": of, "counts": True}]}
    return {
        "when": [{"kind": "spend", "at_least_minor": offer.at_least_minor, "looks_at": "before", "of": of}],
        "then": [{"kind": "amount_off", "amount_minor": offer.amount_minor, "per": "basket", "of": of}],
    }
