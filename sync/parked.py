"""Baskets laid aside at one till of a store and resumed at another, over the LAN, without a leader.

A basket lies at the till that parked it, and only that till gives it away: in one durable step it writes down who has
it. Who asks again, because the answer was lost, is given it again; the others are told who has it.
Messages are signed as those of `sync.rights`.
"""

from typing import Annotated, Literal

import msgspec

from sync.rights import RightsMessage
from sync.wire import Count, Short, Stored

PARKED_PATH = "/lan/v1/parked"
LIST_TAG = b"TP-PKLIST1\0"
LISTED_TAG = b"TP-PKLISTED1\0"
TAKE_TAG = b"TP-PKTAKE1\0"
GIVEN_TAG = b"TP-PKGIVEN1\0"
MOST_LISTED = 100


class ParkedListAsk(RightsMessage, frozen=True, kw_only=True):
    """Please say what lies at your till."""


class ParkedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A basket by what a cashier knows it by; amounts in minor units before discounts."""

    park_id: Stored
    parked_at_ms: int
    lines: Count
    amount_minor: int
    currency: Stored
    note: Stored = ""
    cashier: Stored = ""
    has_card: bool = False


class ParkedListed(RightsMessage, frozen=True, kw_only=True):
    """What lies there, the oldest first; `label` is what the till is called."""

    rows: Annotated[tuple[ParkedRow, ...], msgspec.Meta(max_length=MOST_LISTED)]
    label: Short = ""


class ParkedTake(RightsMessage, frozen=True, kw_only=True):
    """Please give the basket to the till that sends this."""

    park_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    resume_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class ParkedGiven(RightsMessage, frozen=True, kw_only=True):
    """What became of it: `given` with the basket, `taken` by whom, or it is not there: `unknown`, `dropped`, `expired`.

    `body` is opaque here: the till that parked it wrote it, and it holds neither card number nor code.
    """

    park_id: Short
    outcome: Literal["given", "taken", "unknown", "dropped", "expired"]
    body: msgspec.Raw = msgspec.Raw(b"null")
    parked_at_ms: int = 0
    taken_by: Short = ""


TAGS: dict[type[RightsMessage], bytes] = {
    ParkedListAsk: LIST_TAG,
    ParkedListed: LISTED_TAG,
    ParkedTake: TAKE_TAG,
    ParkedGiven: GIVEN_TAG,
}
