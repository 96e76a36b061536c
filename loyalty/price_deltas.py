"""A receipt that comes out otherwise under its programme costs whoever published that: a delta between partners.

Head office's own fact, for no account: who bears it owes the partner of the store what was taken too little, or paid
out too much. Source: offline-redemption.md "Who bears what"; settlement.md "Corrections".
"""

from datetime import date

import msgspec

from loyalty.amounts import Positive
from loyalty.books import Books, Posted
from loyalty.lots import FOREVER, EventRef, LotKey, Slice
from loyalty.posting_writer import Writer
from loyalty.receipts import EMPTY

DELTA = "delta"  # in place of the terms of points: a correction of prices between partners


class PriceDelta(msgspec.Struct, frozen=True, kw_only=True, tag="delta.v1", tag_field="type", omit_defaults=True):
    """What a wrong price cost a partner, and who bears it.

    Attributes:
        of: the receipt or return; `of_period_no`: the period it was booked in, which this corrects.
        bearer_id: who published its programme; `operator` where head office did.
        partner_id: the partner of the store.
        version: the programme it was decided under.
    """

    receipt_id: str
    of: EventRef
    of_period_no: int
    bearer_id: str
    partner_id: str
    amount_minor: Positive
    on: date
    version: str = ""
    detail: msgspec.Raw = EMPTY


def post_delta(event: PriceDelta, ref: EventRef, books: Books) -> Posted:
    """One currency row, from who bears it to the partner of the store."""
    writer = Writer(ref, None, books, event.partner_id, event.on)
    key = LotKey(valid_through=FOREVER, issuer_id=event.bearer_id, terms_id=DELTA)
    part = Slice(key=key, points=event.amount_minor)
    writer.post("issued", "redeemed", part, unit="currency", of=event.of, origin=event.of_period_no)
    return writer.posted((), ())
