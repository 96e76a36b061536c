"""A few plain lines for the places that a fiscal printer lends to others: below its own receipt, line by line.

Such a printer has so many lines of so many columns, takes no command and no code in them, and in some countries must
not print what looks like a part of the fiscal receipt: totals, taxes. Whoever drives it may cut our lines off after any
one, so the most important stand first, and what would not fit whole is left out.
Source: devices-and-receipts.md D6.
"""

import re
from collections.abc import Iterable, Iterator

import msgspec

from receipt_templates import languages
from receipt_templates.columns import wrapped
from receipt_templates.compose import AnyView
from receipt_templates.head_and_foot import next_tier_in_words
from receipt_templates.languages import Tongue, tongue_of
from receipt_templates.normalise import normalise
from receipt_templates.reversal_views import ReturnView, VoidView
from receipt_templates.slip_views import BalanceView, ExchangeView
from receipt_templates.view import Lapsing, ReceiptView

COLUMNS, LINES = 40, 8
MOST_LINES = 40
MOST_LINES_OF_ONE = 3  # a longer sentence would push out several short ones
_WORD = re.compile(r"\w+(?:-\w+)*")


class FiscalLines(msgspec.Struct, frozen=True, kw_only=True):
    """Lines in the order of their importance; how many sentences had no room, and how many looked fiscal."""

    lines: tuple[str, ...]
    no_room: int = 0
    barred: int = 0


def render_fiscal(
    view: AnyView, *, columns: int = COLUMNS, lines: int = LINES, encoding: str | None = None
) -> FiscalLines:
    """What a slip says in the lines of a fiscal printer.

    Args:
        columns, lines: that the printer lends, 16 to 64 and 0 to 40.
        encoding: of the printer's driver, where it is not a Unicode one.
    """
    tongue = tongue_of(view.language)
    told: list[str] = []
    no_room = barred = 0
    for sentence in _sentences(view, tongue):
        if looks_fiscal(sentence, tongue):
            barred += 1
            continue
        rows = wrapped(normalise(sentence.replace("\n", " "), encoding).text, columns)
        if not any(rows):
            continue
        most = lines if sentence == view.legal else MOST_LINES_OF_ONE
        if len(rows) > min(most, lines - len(told)):
            no_room += 1
            continue
        told += rows
    return FiscalLines(lines=tuple(told), no_room=no_room, barred=barred)


def looks_fiscal(text: str, tongue: Tongue) -> bool:
    """Whether a word of a text is one that the language's fiscal receipts use for figures of their own."""
    words = _WORD.findall(text.casefold())
    return any(
        word.startswith(barred[:-1]) if barred.endswith("*") else word == barred
        for barred in tongue.fiscal_looking
        for word in words
    )


def _sentences(view: AnyView, tongue: Tongue) -> Iterator[str]:
    """Most important first: what it is not, what became of points, until when, whom to ask, then what is offered."""
    words = tongue.fiscal
    if not isinstance(view, ReceiptView | ReturnView | VoidView | ExchangeView | BalanceView):
        return  # such a slip needs paper of its own: a code to scan, a figure to sign
    if view.training:
        yield words.training
    match view:
        case ReceiptView():
            yield from _moved(tongue, words.earned, view.points_earned)
            yield from _moved(tongue, words.spent, view.points_spent)
        case ReturnView():
            # What the goods that stay earn anew belongs to what was taken: lines may be cut off between the two.
            taken = view.taken_back_points - view.earned_points
            yield from _moved(tongue, words.earned, max(0, -taken))
            yield from _moved(tongue, words.taken_back, max(0, taken))
            yield from _moved(tongue, words.given_back, view.given_back_points)
        case VoidView():
            yield from _moved(tongue, words.taken_back, view.taken_back_points)
            yield from _moved(tongue, words.given_back, view.given_back_points)
        case ExchangeView():
            yield from _moved(tongue, words.earned, max(0, view.points_net))
            yield from _moved(tongue, words.taken_back, max(0, -view.points_net))
    if view.balance_points is not None:
        known = words.balance_offline if view.offline else words.balance
        yield known.format(points=languages.number(tongue, str(view.balance_points)))
    if view.unconfirmed:
        yield words.waits
    if view.offline:
        yield words.offline
    if isinstance(view, ReceiptView | BalanceView):
        yield from _lapsing(tongue, view.lapsing)
    if view.record:
        yield words.record.format(record=view.record)
    if view.legal:
        yield view.legal
    if isinstance(view, ReceiptView):
        for coupon in view.coupons:
            yield words.coupon.format(name=coupon.name, code=coupon.code)
    yield from view.messages
    if isinstance(view, ReceiptView | BalanceView) and view.next_tier:
        yield next_tier_in_words(view.next_tier, tongue, view.currency)
    yield from view.missed


def _moved(tongue: Tongue, sentence: str, points: int) -> Iterator[str]:
    if points:
        yield sentence.format(points=languages.number(tongue, str(points)))


def _lapsing(tongue: Tongue, lapsing: Iterable[Lapsing]) -> Iterator[str]:
    for part in lapsing:
        yield tongue.fiscal.lapsing.format(
            points=languages.points(tongue, part.points), day=languages.day(tongue, part.through)
        )
