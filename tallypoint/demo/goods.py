"""What the demo's three stores sell, and the baskets their customers bring to the till; all from one seed."""

from random import Random
from typing import Any

import msgspec


class Article(msgspec.Struct, frozen=True, kw_only=True):
    """One product: price in minor units; `by_weight` is sold by the kilogram."""

    sku: str
    name: str
    price_minor: int
    category: tuple[str, ...]
    brand: str = ""
    tags: tuple[str, ...] = ()
    by_weight: bool = False


def _article(sku: str, name: str, price: int, path: str, brand: str = "", tags: str = "", kg: bool = False) -> Article:
    return Article(
        sku=sku,
        name=name,
        price_minor=price,
        category=tuple(path.split("/")),
        brand=brand,
        tags=tuple(tags.split()),
        by_weight=kg,
    )


GROCERY = (
    _article("4006381333931", "Whole milk 1 l", 129, "Grocery/Dairy", "Meadow"),
    _article("4006381333948", "Butter 250 g", 249, "Grocery/Dairy", "Meadow"),
    _article("4006381333955", "Mature cheddar", 1490, "Grocery/Dairy", "Meadow", kg=True),
    _article("4006381333962", "Yoghurt, plain", 89, "Grocery/Dairy", "Alba"),
    _article("4006381333979", "Tomatoes", 379, "Grocery/Produce", kg=True),
    _article("4006381333986", "Bananas", 189, "Grocery/Produce", kg=True),
    _article("4006381333993", "Sourdough loaf", 345, "Grocery/Bakery", "Hearth"),
    _article("4006381334006", "Croissant", 95, "Grocery/Bakery", "Hearth"),
    _article("4006381334013", "Coffee beans 500 g", 899, "Grocery/Pantry", "Porto"),
    _article("4006381334020", "Olive oil 1 l", 1149, "Grocery/Pantry", "Oliva"),
    _article("4006381334037", "Spaghetti 500 g", 139, "Grocery/Pantry", "Oliva"),
    _article("4006381334044", "Still water 6 x 1.5 l", 299, "Grocery/Drinks", "Brook"),
    _article("4006381334051", "Bottle deposit", 150, "Grocery/Drinks", tags="deposit"),
    _article("4006381334068", "Cigarettes", 799, "Tobacco", tags="tobacco"),
    _article("4006381334075", "Gift card 20", 2000, "Gift cards", tags="gift-card"),
    _article("4006381334082", "Shampoo 300 ml", 429, "Care/Hair", "Lind"),
    _article("4006381334099", "Toothpaste", 279, "Care/Mouth", "Lind"),
)
PHARMACY = (
    _article("5012345678900", "Sun cream SPF 50", 1695, "Care/Skin", "Lind"),
    _article("5012345678917", "Hand cream", 549, "Care/Skin", "Lind"),
    _article("5012345678924", "Vitamin D, 90 tablets", 1290, "Health", "Vita"),
    _article("5012345678931", "Plasters, 40", 325, "Health", "Vita"),
    _article("5012345678948", "Cough syrup", 895, "Health", "Vita"),
    _article("4006381334082", "Shampoo 300 ml", 429, "Care/Hair", "Lind"),
    _article("4006381334099", "Toothpaste", 279, "Care/Mouth", "Lind"),
    _article("5012345678955", "Baby wipes, 3 packs", 599, "Care/Baby", "Lind"),
)
SHELVES = {"northwind": GROCERY, "bluebird": PHARMACY}


def basket(random: Random, partner: str, currency: str = "EUR") -> dict[str, Any]:
    """A basket of one to twelve lines, as `POST /v1/quotes` takes it; weighed goods have three decimals."""
    chosen = random.sample(SHELVES[partner], min(len(SHELVES[partner]), random.randint(1, 12)))
    return {
        "currency": currency,
        "lines": [_line(number, article, random) for number, article in enumerate(chosen, start=1)],
    }


def article_line(partner: str, sku: str) -> dict[str, Any] | None:
    """One piece of an article of this partner's shelves; None for what is none of its goods."""
    article = next((one for one in SHELVES[partner] if one.sku == sku), None)
    return _line_of(1, article, 1000) if article else None


def coffee() -> dict[str, Any]:
    """Three bags of coffee, 26.97."""
    article = next(one for one in GROCERY if one.name.startswith("Coffee"))
    return {"currency": "EUR", "lines": [_line_of(1, article, 3000)]}


def _line(number: int, article: Article, random: Random) -> dict[str, Any]:
    milli = random.randint(150, 2400) if article.by_weight else 1000 * random.choice((1, 1, 1, 2, 3))
    return _line_of(number, article, milli)


def _line_of(number: int, article: Article, milli: int) -> dict[str, Any]:
    return {
        "line": number,
        "sku": article.sku,
        "name": article.name,
        "category": list(article.category),
        "brand": article.brand,
        "tags": list(article.tags),
        "quantity": f"{milli // 1000}.{milli % 1000:03d}",
        "unit_price_minor": article.price_minor,
        "amount_minor": (article.price_minor * milli + 500) // 1000,
    }
