"""Goods of a supermarket and baskets of them: few articles are bought often, most of them seldom.

Every draw is from a seed of its own, so that the same figures stand before both sides, on every machine.
"""

from collections.abc import Iterator
from datetime import date
from random import Random
from typing import Any

import msgspec

from loyalty.baskets import Basket, Line, Place
from loyalty.members import MemberView

CURRENCY = "EUR"
GOODS = 5_000
AISLES = 200
BRANDS = 150
PLACE = Place(
    partner_id="acme",
    store_id="S1",
    till_id="T1",
    channel="store",
    sold_at_ms=1_772_452_800_000,  # 2026-03-02 12:00 UTC
    offset_min=0,
    business_date=date(2026, 3, 2),
)
MEMBER = MemberView(account_id=7, balance_points=500, spendable_points=500, counters=())


def popular(draw: Random) -> int:
    """A good by its rank from 1, small ranks far more often, as 1/rank."""
    return min(GOODS, int(GOODS ** draw.random()))


def sku(good: int) -> str:
    return f"sku{good}"


def category(good: int) -> tuple[str, str]:
    """Department and aisle; the aisle alone would do, but shops file by both."""
    aisle = good % AISLES
    return f"dept{aisle % 20}", f"aisle{aisle}"


def brand(good: int) -> str:
    return f"brand{good % BRANDS}"


def unit_price_minor(good: int) -> int:
    return 50 + good * 7_919 % 2_950


def basket(lines: int, seed: int = 1) -> Basket:
    """So many different goods, one to three of each, popular ones first to be drawn."""
    draw = Random(f"basket {seed}")
    goods: dict[int, None] = {}
    while len(goods) < lines:
        goods[popular(draw)] = None
    return Basket(
        receipt_id="R1",
        currency=CURRENCY,
        lines=tuple(_line(number, good, draw.choice((1, 1, 2, 3))) for number, good in enumerate(goods, 1)),
    )


def one_piece_more(wanted: Basket) -> Iterator[Basket]:
    """The basket with one piece more of its first line, then of its second instead, and so on."""
    for at, line in enumerate(wanted.lines):
        milli = line.quantity_milli + 1000
        more = msgspec.structs.replace(line, quantity_milli=milli, amount_minor=line.unit_price_minor * milli // 1000)
        yield msgspec.structs.replace(wanted, lines=(*wanted.lines[:at], more, *wanted.lines[at + 1 :]))


def goods_of(wanted: Basket) -> list[int]:
    """The ranks of the goods in a basket, in its order."""
    return [int(line.sku.removeprefix("sku")) for line in wanted.lines]


def request_body(wanted: Basket, card: str) -> dict[str, Any]:
    """The basket as a POS sends it to `/v1/quotes`."""
    lines = [
        {
            "line": line.line,
            "sku": line.sku,
            "amount_minor": line.amount_minor,
            "quantity": f"{line.quantity_milli // 1000}.000",
            "unit_price_minor": line.unit_price_minor,
            "category": list(line.category),
            "brand": line.brand,
        }
        for line in wanted.lines
    ]
    return {"quote_id": "Q1", "card": card, "basket": {"currency": wanted.currency, "lines": lines}}


def _line(number: int, good: int, units: int) -> Line:
    price = unit_price_minor(good)
    return Line(
        line=number,
        sku=sku(good),
        amount_minor=price * units,
        quantity_milli=1000 * units,
        unit_price_minor=price,
        category=category(good),
        brand=brand(good),
    )
