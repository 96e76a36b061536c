"""Baskets laid aside at head office, to be resumed at any store of the same partner until the day's end.

A till that leaves a basket there gives it away: from then on head office alone hands it out, once, in one durable step.
Who asks again because the answer was lost, under the same id, is given it again. All of it goes as questions of the
counter (`sync.desk`). A basket holds neither card number nor code: see `sync.parked`.

Head office that was put back from a backup has forgotten what it gave away since. Its baskets rest until every till of
the partner has said which ones it resumed.
"""

from typing import Annotated, Literal

import msgspec

from sync.chain import Hex32
from sync.parked import ParkedRow
from sync.wire import Short, Stored


class OfficeBasket(msgspec.Struct, frozen=True, kw_only=True):
    """A basket as a till leaves it: what it is known by, its bytes, and until when it may be resumed; `again`: the till
    has tried before, and may have been heard."""

    row: ParkedRow
    until_ms: int
    body: msgspec.Raw
    again: bool = False


class OfficeTaken(msgspec.Struct, frozen=True, kw_only=True):
    """A basket that a till resumed, or threw away: its id at the till that parked it, and under which id it has it."""

    till_id: Hex32
    park_id: Stored
    resume_id: Stored


class OfficeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A basket that waits at head office; `till` and `store` are what they are called where it was parked."""

    till_id: Hex32
    till: Short
    store: Short
    row: ParkedRow


class OfficeTold(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a basket: `kept` there; `reused`: the id stands for another; `full`: too many of this till wait;
    `given` with its bytes; `taken` by which till; `resting` after a restore; `expired`, or `unknown` there."""

    outcome: Literal["kept", "reused", "full", "given", "taken", "resting", "expired", "unknown"]
    body: msgspec.Raw = msgspec.Raw(b"null")
    parked_at_ms: int = 0
    taken_by: Annotated[str, msgspec.Meta(max_length=200)] = ""
