"""Which goods are meant: by article, category, brand, tag, unit price, with exclusions."""

from loyalty.amounts import Whole
from loyalty.baskets import Line
from loyalty.document import Document, Path, Word


class Selector(Document, frozen=True):
    """Names goods. Within a kind one match is enough, all kinds given must match; empty means everything.

    `category` holds paths from the root: `[Grocery, Dairy]` matches everything below Dairy.
    """

    sku: tuple[Word, ...] = ()
    category: tuple[Path, ...] = ()
    brand: tuple[Word, ...] = ()
    tags: tuple[Word, ...] = ()
    unit_price_from_minor: Whole | None = None
    unit_price_to_minor: Whole | None = None
    exclude: "Selector | None" = None

    def __post_init__(self) -> None:
        low, high = self.unit_price_from_minor, self.unit_price_to_minor
        if low is not None and high is not None and low > high:
            raise ValueError("unit_price_to_minor: lies below unit_price_from_minor; swap the two")


EVERYTHING = Selector()


def selects(selector: Selector, line: Line) -> bool:
    """Whether a selector names a line: every kind that is given must match, one match within a kind suffices."""
    if selector.sku and line.sku not in selector.sku:
        return False
    if selector.category and not any(line.category[: len(path)] == path for path in selector.category):
        return False
    if selector.brand and line.brand not in selector.brand:
        return False
    if selector.tags and not any(tag in line.tags for tag in selector.tags):
        return False
    if selector.unit_price_from_minor is not None and line.unit_price_minor < selector.unit_price_from_minor:
        return False
    if selector.unit_price_to_minor is not None and line.unit_price_minor > selector.unit_price_to_minor:
        return False
    return selector.exclude is None or not selects(selector.exclude, line)
