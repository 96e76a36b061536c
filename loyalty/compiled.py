"""A programme document as immutable indexes, so that a quote costs what the basket costs.

A promotion concerns a basket when one of its effects selects one of the lines; each selector is filed under the most
telling thing it names, so a line looks up a handful of candidates instead of walking the programme.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from loyalty.baskets import Line
from loyalty.programme import Programme, Promotion, Selector

STAGES = ("before", "main", "after")
Key = tuple[str, str]
_ANY: Key = ("any", "")


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """A programme ready to quote: promotions in the order in which they run, filed by what they select.

    Attributes:
        version: of the programme, computed once.
        promotions: stage, then priority (high first), then as listed.
        filed: what a line can be looked up by → positions in `promotions`, ascending.
        messages_alone: positions of promotions without effects; they concern every basket.
        line_facts: which facts of a line selectors look at; only these travel in a receipt.
    """

    version: str
    programme: Programme
    promotions: tuple[Promotion, ...]
    filed: Mapping[Key, tuple[int, ...]]
    messages_alone: tuple[int, ...]
    line_facts: frozenset[str]


def compile_programme(programme: Programme) -> Compiled:
    """Order and index a programme; done once when it is published or swapped in."""
    ranked = sorted(
        enumerate(programme.promotions),
        key=lambda item: (STAGES.index(item[1].stage), -item[1].priority, item[0]),
    )
    promotions = tuple(promotion for _, promotion in ranked)
    filed: dict[Key, set[int]] = {}
    for position, promotion in enumerate(promotions):
        for effect in promotion.then:
            for key in _keys_of_selector(effect.of):
                filed.setdefault(key, set()).add(position)
    return Compiled(
        version=programme.version,
        programme=programme,
        promotions=promotions,
        filed=MappingProxyType({key: tuple(sorted(positions)) for key, positions in filed.items()}),
        messages_alone=tuple(i for i, promotion in enumerate(promotions) if not promotion.then),
        line_facts=frozenset(_facts(programme)),
    )


def candidates_for(compiled: Compiled, lines: Iterable[Line]) -> tuple[int, ...]:
    """Positions of the promotions that could concern these lines, in running order."""
    found: set[int] = set(compiled.messages_alone)
    for line in lines:
        for key in _keys_of_line(line):
            found.update(compiled.filed.get(key, ()))
    return tuple(sorted(found))


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


def slim(compiled: Compiled, line: Line) -> Line:
    """The line without facts that no selector looks at; quoting it again gives the same figures."""
    facts = compiled.line_facts
    return msgspec.structs.replace(
        line,
        category=line.category if "category" in facts else (),
        brand=line.brand if "brand" in facts else "",
        tags=line.tags if "tags" in facts else (),
    )


def _keys_of_selector(selector: Selector) -> Iterable[Key]:
    """The most telling kind that a selector names: goods are filed under it alone."""
    if selector.sku:
        return [("sku", sku) for sku in selector.sku]
    if selector.category:
        return [("category", "\x1f".join(path)) for path in selector.category]
    if selector.brand:
        return [("brand", brand) for brand in selector.brand]
    if selector.tags:
        return [("tag", tag) for tag in selector.tags]
    return [_ANY]


def _keys_of_line(line: Line) -> Iterable[Key]:
    yield _ANY
    yield ("sku", line.sku)
    for depth in range(1, len(line.category) + 1):
        yield ("category", "\x1f".join(line.category[:depth]))
    if line.brand:
        yield ("brand", line.brand)
    for tag in line.tags:
        yield ("tag", tag)


def _facts(programme: Programme) -> Iterable[str]:
    selectors: list[Selector] = []
    for promotion in programme.promotions:
        selectors += [effect.of for effect in promotion.then]
        selectors += [condition.of for condition in promotion.when]
    if programme.spending is not None:
        selectors.append(programme.spending.of)
    while selectors:
        selector = selectors.pop()
        yield from (fact for fact in ("category", "brand", "tags") if getattr(selector, fact))
        if selector.exclude is not None:
            selectors.append(selector.exclude)
