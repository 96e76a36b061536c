"""A fact that a till could not tell right, told by head office: what a person corrected, naming what it stands for.

The till's own bytes stay as they came, in quarantine. Source: sync.md section 8, "fix, replay, or write off with
reason".
"""

from datetime import date
from typing import Annotated

import msgspec

from loyalty.facts.receipts import EMPTY, Receipt
from loyalty.facts.reversals import Return, ReturnVoid, Void
from loyalty.lots import EventRef

FIXED = "fixed.v1"

Fixable = Receipt | Return | Void | ReturnVoid


class Fixed(msgspec.Struct, frozen=True, kw_only=True, tag=FIXED, tag_field="type", omit_defaults=True):
    """A sale, return, void or void of a return that is posted instead of an event in quarantine.

    Attributes:
        of: the place that the event has, or says it has.
        kept: SHA-256 of the upload that was kept aside and holds it; "" where it stands in its till's own stream.
        fact: what is posted, under the place of this event.
        reason: a stable code; `note` is for people.
        approved_by: the second person.
    """

    receipt_id: str
    of: EventRef
    fact: Fixable
    reason: str
    asked_by: str
    approved_by: str
    kept: Annotated[str, msgspec.Meta(max_length=64)] = ""
    note: str = ""
    detail: msgspec.Raw = EMPTY

    @property
    def on(self) -> date:
        """The business date of the fact."""
        return self.fact.place.business_date
