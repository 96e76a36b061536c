"""What a transfer writes into the books of one account: a posting a leg, against the bucket that nets to zero."""

from loyalty.facts.transfers import Transferred
from loyalty.ledger.books import NO_TERMS, Books, Posted
from loyalty.ledger.posting_writer import Writer
from loyalty.lots import FOREVER, EventRef, LotKey, Slice


def post_transfer(event: Transferred, ref: EventRef, books: Books) -> Posted:
    """What one account's part of a transfer does to it; `check_transfer` has decided that it may."""
    writer = Writer(ref, event.account_id, books, "", event.on)
    for part in event.parts:
        slice_ = Slice(key=transfer_key(part.issuer_id), points=part.amount)
        if part.side == "credit":
            writer.post("moved", "available", slice_, at=part.issuer_id)
        else:
            writer.post("available", "moved", slice_, at=part.issuer_id)
    return writer.posted((), ())


def transfer_key(issuer_id: str) -> LotKey:
    """The one lot in which an account keeps what is transferred of an issuer: it never lapses."""
    return LotKey(valid_through=FOREVER, issuer_id=issuer_id, terms_id=NO_TERMS)
