"""What a price delta writes: one currency row between partners, and nothing of any account."""

from loyalty.facts.price_deltas import DELTA, PriceDelta
from loyalty.ledger.books import Books, Posted
from loyalty.ledger.posting_writer import Writer
from loyalty.lots import FOREVER, EventRef, LotKey, Slice


def post_delta(event: PriceDelta, ref: EventRef, books: Books) -> Posted:
    """One currency row, from who bears it to the partner of the store."""
    writer = Writer(ref, None, books, event.partner_id, event.on)
    key = LotKey(valid_through=FOREVER, issuer_id=event.bearer_id, terms_id=DELTA)
    part = Slice(key=key, points=event.amount_minor)
    writer.post("issued", "redeemed", part, unit="currency", of=event.of, origin=event.of_period_no)
    return writer.posted((), ())
