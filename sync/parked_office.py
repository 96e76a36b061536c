"""Baskets laid aside at head office, to be resumed at any store of the same partner until the day's end.

A till that leaves a basket there gives it away: from then on head office alone hands it out, once, in one durable step.
Who asks again because the answer was lost, under the same id, is given it again. All of it goes as questions of the
counter (`sync.desk`). A basket holds neither card number nor code: see `sync.parked`.
"""

from typing import Annotated, Literal

import msgspec

from sync.chain import Hex32
from sync.parked import ParkedRow
from sync.wire import Short


class OfficeBasket(msgspec.Struct, frozen=True, kw_only=True):
    """A basket as a till leaves it: what it is known by, its bytes, and until when it may be resumed."""

    row: ParkedRow
    until_ms: int
    body: msgspec.Raw


class OfficeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A basket that waits at head office; `till` and `store` are what they are called where it was parked."""

    till_id: Hex32
    till: Short
    store: Short
    row: ParkedRow


class OfficeTold(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a basket: `kept` there; `reused`: the id stands for another; `full`: too many of this till wait;
    `given` with its bytes; `taken` by which till; `expired`, or `unknown` there."""

    outcome: Literal["kept", "reused", "full", "given", "taken", "expired", "unknown"]
    body: msgspec.Raw = msgspec.Raw(b"null")
    parked_at_ms: int = 0
    taken_by: Annotated[str, msgspec.Meta(max_length=200)] = ""
