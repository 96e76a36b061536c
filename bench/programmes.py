"""Programmes to quote under: every kind of rule in the shares of a supermarket's leaflet.

*Dense*: promotions are for goods as popular as those of the basket, so a good part of them concerns it. *Sparse*: ten
concern it, one of which earns on everything, and the others are for goods that lie elsewhere.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Literal

from bench.goods import CURRENCY, GOODS, brand, category, goods_of, popular, sku
from loyalty.baskets import Basket
from loyalty.programme.programme import Programme, programme_from

Density = Literal["sparse", "dense"]
CONCERNED = 10  # promotions of a sparse programme that concern the basket
# Of twenty promotions so many are of a kind; in this order, so that ten in a row hold every kind.
MIX = (
    "percent amount percent buy_get points percent bundle threshold percent amount "
    "percent buy_get amount percent threshold percent amount points percent multiply"
).split()

Doc = dict[str, Any]
DrawGood = Callable[[], int]


def programme(density: Density, size: int, basket: Basket, seed: int = 2) -> Programme:
    """A programme of `size` promotions, the last of which earns on everything; drawn anew for each size."""
    draw = Random(f"{density} {size} {seed}")
    promotions = _dense(size - 1, draw) if density == "dense" else _sparse(size - 1, basket, draw)
    earn = {"id": "base", "then": [{"kind": "earn", "points": 1, "per_minor": 100}]}
    document: Doc = {
        "id": f"{density}-{size}",
        "currency": CURRENCY,
        "cards": {"ranges": [{"kind": "ean13", "prefix": "20"}]},
        "promotions": [*promotions, earn],
    }
    return programme_from(document)


def _dense(size: int, draw: Random) -> Iterator[Doc]:
    for number in range(size):
        yield _promotion(number, draw, lambda: popular(draw))


def _sparse(size: int, basket: Basket, draw: Random) -> Iterator[Doc]:
    bought = goods_of(basket)
    aisles, brands = {category(good) for good in bought}, {brand(good) for good in bought}
    # An aisle or a brand of the basket would concern it whatever the good is.
    elsewhere = [
        good for good in range(1, GOODS + 1) if category(good) not in aisles and brand(good) not in brands
    ]
    for number in range(size):
        goods = bought if number < CONCERNED - 1 else elsewhere
        yield _promotion(number, draw, lambda goods=goods: draw.choice(goods))


def _promotion(number: int, draw: Random, good: DrawGood) -> Doc:
    kind = MIX[number % len(MIX)]
    return {"id": f"{kind}{number}", "priority": draw.randint(0, 9), **_KINDS[kind](draw, good)}


def _percent(draw: Random, good: DrawGood) -> Doc:
    return {"then": [{"kind": "percent_off", "percent_bp": draw.choice((500, 1000, 1500)), "of": _one(good)}]}


def _amount(draw: Random, good: DrawGood) -> Doc:
    per = draw.choice(("line", "unit", "basket"))
    return {"then": [{"kind": "amount_off", "amount_minor": draw.choice((10, 20, 50)), "per": per, "of": _one(good)}]}


def _buy_get(draw: Random, good: DrawGood) -> Doc:
    """Three for two of one good, or one good cheaper beside another."""
    if draw.random() < 0.5:
        return {"then": [{"kind": "buy_get", "buy_units": 3, "buy": _one(good), "counts": True}]}
    return {"then": [{"kind": "buy_get", "buy_units": 1, "buy": _one(good), "get": _one(good), "percent_bp": 5000}]}


def _bundle(draw: Random, good: DrawGood) -> Doc:
    parts = [{"of": _one(good)}, {"of": _one(good)}]
    return {"then": [{"kind": "bundle", "parts": parts, "amount_minor": draw.choice((30, 60))}]}


def _threshold(draw: Random, good: DrawGood) -> Doc:
    """Something off one good for those who spend enough in its aisle."""
    chosen = good()
    return {
        "when": [
            {"kind": "spend", "at_least_minor": draw.choice((300, 1000, 3000)), "of": {"category": [category(chosen)]}}
        ],
        "then": [{"kind": "percent_off", "percent_bp": 1000, "of": {"sku": [sku(chosen)]}}],
    }


def _points(draw: Random, good: DrawGood) -> Doc:
    return {
        "who": {"card": True},
        "then": [{"kind": "points", "points": draw.choice((5, 20)), "per": draw.choice(("line", "unit")),
                  "of": _one(good)}],
    }  # fmt: skip


def _multiply(draw: Random, good: DrawGood) -> Doc:
    """More points on a brand."""
    return {
        "who": {"card": True},
        "then": [{"kind": "multiply_points", "times_percent": 200, "of": {"brand": [brand(good())]}}],
    }


def _one(good: DrawGood) -> Doc:
    return {"sku": [sku(good())]}


_KINDS: dict[str, Callable[[Random, DrawGood], Doc]] = {
    "percent": _percent,
    "amount": _amount,
    "buy_get": _buy_get,
    "bundle": _bundle,
    "threshold": _threshold,
    "points": _points,
    "multiply": _multiply,
}
