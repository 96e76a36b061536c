"""How goods are looked up: what a selector is filed under, and what a line can be looked up by."""

from collections.abc import Iterable

from loyalty.baskets import Line
from loyalty.programme.selectors import Selector

Key = tuple[str, str]


def keys_of_selector(selector: Selector) -> Iterable[Key]:
    """The most telling kind that a selector names: goods are filed under it alone."""
    if selector.sku:
        return [("sku", sku) for sku in selector.sku]
    if selector.category:
        return [("category", "\x1f".join(path)) for path in selector.category]
    if selector.brand:
        return [("brand", brand) for brand in selector.brand]
    if selector.tags:
        return [("tag", tag) for tag in selector.tags]
    return [("any", "")]


def keys_of_line(line: Line) -> Iterable[Key]:
    """Everything a line can be looked up by."""
    yield ("any", "")
    yield ("sku", line.sku)
    for depth in range(1, len(line.category) + 1):
        yield ("category", "\x1f".join(line.category[:depth]))
    if line.brand:
        yield ("brand", line.brand)
    for tag in line.tags:
        yield ("tag", tag)


def facts_of(selectors: Iterable[Selector]) -> Iterable[str]:
    """The facts of a line that these selectors look at, besides its article."""
    left = list(selectors)
    while left:
        selector = left.pop()
        yield from (fact for fact in ("category", "brand", "tags") if getattr(selector, fact))
        if selector.unit_price_from_minor is not None or selector.unit_price_to_minor is not None:
            yield "unit_price"
        if selector.exclude is not None:
            left.append(selector.exclude)
