"""A receipt that comes out otherwise under its programme costs whoever published that: a delta between partners.

Head office's own fact, for no account: who bears it owes the partner of the store what was taken too little, or paid
out too much. Source: offline-redemption.md "Who bears what"; settlement.md "Corrections".
"""

from datetime import date

import msgspec

from loyalty.amounts import Positive
from loyalty.facts.receipts import EMPTY
from loyalty.lots import EventRef

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
