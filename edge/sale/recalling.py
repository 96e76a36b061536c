"""Ids that were asked before, and the same answer again."""

import re
from collections.abc import Iterable

from edge.journal.journal import Entry
from edge.refusals import IdReserved, IdReused
from edge.sale.asks import Committed
from edge.sale.priced import Priced
from loyalty.document import Language
from loyalty.facts.receipts import Receipt, ReceiptDetail, quote_again, read_detail
from loyalty.pricing.quotes import ENGINE_NO, Quote
from loyalty.programme.compiled import Compiled
from sync.chain import StreamHead

LONGEST_ID = 200
_SYSTEM_ID = re.compile(r"(void|till_close|opened|card_named):")


def check_id(caller_id: str) -> None:
    """Refuse an id that cannot be one. Raises: IdReserved."""
    if not caller_id or len(caller_id) > LONGEST_ID or _SYSTEM_ID.match(caller_id):
        raise IdReserved(
            f"An id has 1 to {LONGEST_ID} characters and does not begin with void:, till_close:, opened: or"
            " card_named:.",
            receipt_id=caller_id[:LONGEST_ID],
        )


def check_same(before: Entry, sha: str, earlier: Iterable[str] = ()) -> None:
    """Refuse another ask under an id that stands for something already.

    Args:
        earlier: what else it may have been known by (`edge.sale.asked_before`); not looked at where `sha` fits.
    Raises:
        IdReused.
    """
    if before.ask_sha256 != sha and before.ask_sha256 not in earlier:
        raise IdReused(
            "This id stands for another sale or return already. If this one is new, send it under a new id.",
            receipt_id=before.event.receipt_id,
        )


def recall(programmes: Iterable[Compiled], entry: Entry, language: Language, priced: Priced) -> Committed:
    """The answer that a receipt's commit was given, from its bytes.

    Args:
        programmes: that the till holds now; without the receipt's own the answer has no quote.
        entry: a receipt's.
        priced: what sales were answered by lately.
    """
    receipt = entry.event
    if not isinstance(receipt, Receipt):
        raise IdReused("This id stands for something else than a sale.", receipt_id=receipt.receipt_id)
    detail = read_detail(receipt)
    compiled = next((held for held in programmes if held.version == detail.programme_version), None)
    return Committed(
        receipt=receipt,
        detail=detail,
        quote=_same_quote(compiled, entry.head, receipt, detail, language, priced) if compiled else None,
        language=language,
        head=entry.head,
        record=record_of(entry.head),
        replayed=True,
    )


def record_of(head: StreamHead) -> str:
    """Eight digits of an event's hash, as a receipt prints them."""
    return head.hash[:8].upper()


def _same_quote(
    compiled: Compiled, head: StreamHead, receipt: Receipt, detail: ReceiptDetail, language: Language, priced: Priced
) -> Quote | None:
    """Same inputs, same quote; none when they were priced by an engine with other figures."""
    if detail.engine_no != ENGINE_NO:
        return None
    quote = priced.answered(head, language)
    if quote is None:
        quote = quote_again(compiled, receipt, detail, language)
        priced.answer(head, language, quote)
    return quote
