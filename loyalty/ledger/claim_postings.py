"""What head office's word on a claimed receipt writes: points of its goods, or those points back.

Source: docs/members.md "A receipt claimed later"; what is taken back goes the way of a return, DECISIONS 8.
"""

from loyalty.facts.centre_events import ClaimSettled
from loyalty.ledger.books import Books, Posted
from loyalty.ledger.reversal_postings import ReversalWriter
from loyalty.lots import EventRef, Slice


def post_claim(event: ClaimSettled, ref: EventRef, books: Books) -> Posted:
    """Points are granted under the terms of the receipt's day; what is taken back and gone is owed."""
    writer = ReversalWriter(ref, event.account_id, books, event.at_partner_id, event.on)
    writer.repay(writer.accrue(event.granted, of=event.of))
    for part in event.reversed:
        writer.draw_back(Slice(key=writer.key_of(part), points=part.points), clamp=event.clamp)
    return writer.posted((), ())
