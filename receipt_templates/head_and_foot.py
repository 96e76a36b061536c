"""What slips begin and end with: whose paper it is and which one; sentences to the customer, and the record to quote.

Every sale has both, made while its customer waits, so they are made here; the layouts of the other slips mark their
places by `[head …]`, `[lapsing]` and `[foot]`.
"""

from collections.abc import Iterator

from receipt_templates.blocks import Block, Feed, Note, Pair, Rule, Text
from receipt_templates.languages import Tongue, date_and_time, day, fill, money, points, purchases
from receipt_templates.markup import INDENT, as_printed
from receipt_templates.reversal_views import ReturnView, VoidView
from receipt_templates.slip_views import BalanceView, ClaimView
from receipt_templates.view import Lapsing, NextTier, ReceiptView, Slip

MOST_LAPSING = 2  # days on which points lapse


def head(view: Slip, tongue: Tongue, title: str) -> Iterator[Block]:
    """Whose paper it is, and which one.

    Args:
        title: the name of the word for this kind of slip; a sale's own is not printed.
    """
    words = tongue.words
    named = getattr(words, title)
    if view.training:
        yield Text(text=f"*** {words.training} ***", align="center", bold=True)
        yield Text(text=words.training_note, align="center")
        yield Feed()
    yield Text(text=as_printed(view.shop.name), align="center", bold=True, size="large")
    for line in view.shop.address:
        yield Text(text=as_printed(line), align="center")
    if named != words.receipt:
        yield Feed()
        yield Text(text=named, align="center", bold=True, size="tall")
    if view.copy:
        yield Feed()
        yield _copy(tongue)
    yield Rule()
    if view.number:
        yield Pair(left=_kind_of_number(view, tongue, named), right=as_printed(view.number))
    if isinstance(view, ReturnView | ClaimView) and view.of_number:
        yield Pair(left=words.of_receipt, right=as_printed(view.of_number))
    if view.exchange:
        yield Pair(left=words.exchange_slip.capitalize(), right=as_printed(view.exchange))
    yield Pair(left=date_and_time(tongue, view.sold_at), right=as_printed(f"{words.till} {view.till_id}"))
    if view.cashier:
        yield Pair(left=words.cashier, right=as_printed(view.cashier))
    if view.approved_by:
        yield Pair(left=words.approved_by, right=as_printed(view.approved_by))
        if view.reason:
            yield Text(text=as_printed(f"{words.reason}: {view.reason}"))
    yield Rule()


def _kind_of_number(view: Slip, tongue: Tongue, named: str) -> str:
    """What the number is one of; of a void, what was undone."""
    words = tongue.words
    undone = view.what if isinstance(view, VoidView) else ""
    if undone == "return":
        return words.return_slip.capitalize()
    if undone == "exchange":
        return words.exchange_slip.capitalize()
    return words.receipt if undone or named == words.receipt else words.number


def foot(view: Slip, tongue: Tongue) -> Iterator[Block]:
    """Sentences to the customer and the record. What has no room is left out from the highest rank down; 0 and what is
    legal always stays."""
    words = tongue.words
    if view.unconfirmed:
        yield Note(text=words.to_be_confirmed, rank=0)
    if view.offline:
        yield Note(text=words.offline, rank=0)
    for message in view.messages:
        yield Note(text=as_printed(message), rank=2)
    if isinstance(view, ReceiptView | BalanceView) and view.next_tier:
        yield Note(text=as_printed(next_tier_in_words(view.next_tier, tongue, view.currency)), rank=3)
    for message in view.missed:
        yield Note(text=as_printed(message), rank=4)
    if view.legal:
        yield Note(text=as_printed(view.legal), rank=1, legal=True)
    if view.record:
        yield Rule()
        yield Text(text=as_printed(fill(words.record, record=view.record)), align="center")
    if view.copy:
        yield _copy(tongue)
    if view.training:
        yield Feed()
        yield Text(text=f"*** {words.training} ***", align="center", bold=True)
        yield Text(text=words.training_note, align="center")


def lapsing(told: tuple[Lapsing, ...], tongue: Tongue) -> Iterator[Block]:
    """Points that lapse next, the first two days of them."""
    for one in told[:MOST_LAPSING]:
        through = fill(tongue.words.lapsing, day=day(tongue, one.through))
        yield Pair(left=through, right=points(tongue, one.points), indent=INDENT)


def next_tier_in_words(tier: NextTier, tongue: Tongue, currency: str) -> str:
    """What the next tier still wants, as a sentence."""
    return fill(tongue.words.next_tier, more=_more(tongue, tier, currency), tier=tier.name)


def _copy(tongue: Tongue) -> Text:
    return Text(text=f"*** {tongue.words.copy} ***", align="center", bold=True)


def _more(tongue: Tongue, tier: NextTier, currency: str) -> str:
    """What the next tier still wants, with its word or currency."""
    if tier.measure == "purchases":
        return purchases(tongue, tier.short_of)
    return money(tongue, tier.short_of, currency)
