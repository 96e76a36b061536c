"""What a programme says and hardly means: rules that can never apply, sentences that come out wrong.

Nothing here keeps a programme from being read; `programme_check` shows it as warnings.
"""

import re
from collections.abc import Iterator
from difflib import get_close_matches

import msgspec

from loyalty.programme import EVERYTHING, Earn, Message, MultiplyPoints, Programme, Promotion, Selector, Spending

Path = tuple[str | int, ...]
PLACEHOLDERS = ("saved", "points", "short_of", "balance")
_BRACED = re.compile(r"\{([^{}]*)\}")


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """Where, by keys and positions from the top; which rule of ours it breaks; and what to do."""

    path: Path
    rule: str
    say: str


def doubts_about(programme: Programme) -> Iterator[Doubt]:
    """Everything doubtful in a programme, in the order of the document's parts."""
    if programme.spending is not None:
        yield from _spending(programme.spending)
    spoken = _languages(programme)
    earns = any(isinstance(rule, Earn) for promotion in programme.promotions for rule in promotion.then)
    for i, promotion in enumerate(programme.promotions):
        yield from _promotion(("promotions", i), promotion, earns=earns)
        for n, message in enumerate(promotion.messages):
            yield from _message(("promotions", i, "messages", n), message, programme, spoken)
    for n, message in enumerate(programme.messages):
        yield from _message(("messages", n), message, programme, spoken)
        if message.case == "missed":
            yield Doubt(
                path=("messages", n, "case"),
                rule="never_said",
                say="Only a promotion can be missed; move this message to one, or take the case out.",
            )


def never_selects(selector: Selector) -> bool:
    """Whether a selector excludes all that it includes."""
    out = selector.exclude
    if out is None or out.exclude is not None:
        return False
    low, high = selector.unit_price_from_minor, selector.unit_price_to_minor
    return (
        all(
            not excluded or (included and set(included) <= set(excluded))
            for excluded, included in ((out.sku, selector.sku), (out.brand, selector.brand), (out.tags, selector.tags))
        )
        and (not out.category or (bool(selector.category) and all(_below(p, out.category) for p in selector.category)))
        and (out.unit_price_from_minor is None or (low is not None and low >= out.unit_price_from_minor))
        and (out.unit_price_to_minor is None or (high is not None and high <= out.unit_price_to_minor))
    )


def _below(path: tuple[str, ...], roots: tuple[tuple[str, ...], ...]) -> bool:
    return any(path[: len(root)] == root for root in roots)


def _spending(spending: Spending) -> Iterator[Doubt]:
    if spending.largest_share_bp == 0:
        yield Doubt(
            path=("spending", "largest_share_bp"),
            rule="never_applies",
            say="At a share of 0 no points can be spent; raise it, or take spending out.",
        )
    if spending.offline and spending.offline.sale_points < max(spending.least_points, spending.step_points):
        yield Doubt(
            path=("spending", "offline", "sale_points"),
            rule="never_applies",
            say="Offline a sale may take fewer points than the least that can be spent; raise it, or take offline out.",
        )
    yield from _selector(("spending", "of"), spending.of)


def _promotion(path: Path, promotion: Promotion, *, earns: bool) -> Iterator[Doubt]:
    if not promotion.then and not promotion.messages:
        say = f"{promotion.id} has neither effects nor messages; add one, or take it out."
        yield Doubt(path=path, rule="does_nothing", say=say)
    for part, rules in (("then", promotion.then), ("when", promotion.when)):
        for n, rule in enumerate(rules):
            yield from _selector((*path, part, n, "of"), rule.of)
            if isinstance(rule, MultiplyPoints) and not earns:
                yield Doubt(
                    path=(*path, part, n),
                    rule="never_applies",
                    say="There are no points to multiply: no promotion has an effect of kind earn; add one.",
                )
    for n, message in enumerate(promotion.messages):
        if message.case == "missed" and not promotion.when:
            yield Doubt(
                path=(*path, "messages", n, "case"),
                rule="never_said",
                say="Without conditions under `when` nothing can be just missed; add one, or take the case out.",
            )


def _selector(path: Path, selector: Selector) -> Iterator[Doubt]:
    if never_selects(selector):
        what = "everything" if selector.exclude == EVERYTHING else "all that it names"
        yield Doubt(
            path=(*path, "exclude"), rule="never_applies", say=f"This selector excludes {what}; narrow the exclude."
        )


def _message(path: Path, message: Message, programme: Programme, spoken: tuple[str, ...]) -> Iterator[Doubt]:
    for language, text in message.text.items():
        for name in _BRACED.findall(text):
            if name not in PLACEHOLDERS:
                near = get_close_matches(name, PLACEHOLDERS, 1, 0.5)
                instead = f"did you mean {{{near[0]}}}" if near else f"known are {', '.join(PLACEHOLDERS)}"
                yield Doubt(
                    path=(*path, "text", language),
                    rule="unknown_placeholder",
                    say=f"{{{name}}} would be printed as it stands; {instead}.",
                )
    missing = [language for language in spoken if language not in message.text]
    if missing:
        yield Doubt(
            path=(*path, "text"),
            rule="language_missing",
            say=f"There is no text in {', '.join(missing)}; add it, or those members read another language.",
        )


def _languages(programme: Programme) -> tuple[str, ...]:
    """The programme's own language, then the others that any of its messages is written in."""
    messages = [*programme.messages, *(one for promotion in programme.promotions for one in promotion.messages)]
    others = {str(language) for message in messages for language in message.text} - {programme.language}
    return (programme.language, *sorted(others))
