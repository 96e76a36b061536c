"""Is the head of an event fit to be posted? A till's bytes may be signed and still say anything.

The kernel's types turn away wrong figures; here is what they let pass and a database should not hold. An unfit event
is kept and quarantined; it must not stop the events behind it.
"""

import re
from typing import Any

import msgspec

from loyalty.events import Event, Granted, PeriodTurned, UnknownEvent, read_head
from loyalty.receipts import EMPTY, Receipt
from loyalty.reversals import Return, Void

LARGEST = 2**53
LONGEST = 200
_TOKEN = re.compile(r"[0-9a-f]{32}")


class Unfit(msgspec.Struct, frozen=True, kw_only=True):
    """Why an event is quarantined: a stable cause and what was found."""

    cause: str
    say: str


def read_fit_head(payload: bytes) -> Event | Unfit:
    """The head of an event that may be posted, or why it may not."""
    try:
        head = read_head(payload)
    except UnknownEvent as unknown:
        return Unfit(cause=unknown.code, say=unknown.say[:LONGEST])
    if isinstance(head, Granted | PeriodTurned):
        return Unfit(cause="event.not_a_tills", say="Only the centre grants points to tills and turns periods.")
    if trouble := _trouble(head):
        return Unfit(cause="event.out_of_range", say=trouble)
    return head


def kind_of(head: Event) -> str:
    """The event's type, such as `receipt.v1`."""
    return str(head.__struct_config__.tag)


def _trouble(head: Event) -> str:
    if not head.receipt_id:
        return "It has no id."
    plain = msgspec.to_builtins(msgspec.structs.replace(head, detail=EMPTY), builtin_types=(msgspec.Raw,))
    if trouble := _wild(plain):
        return trouble
    token = head.card_token if isinstance(head, Receipt | Return | Void) else None
    return "" if token is None or _TOKEN.fullmatch(token) else "The card token is not one."


def _wild(value: Any) -> str:
    """Numbers and texts that no index or column should have to hold."""
    if isinstance(value, int):
        return "" if abs(value) <= LARGEST else "A number is too large."
    if isinstance(value, str):
        return "" if len(value) <= LONGEST and "\0" not in value else "A text is too long or holds a zero character."
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return next((found for part in parts if (found := _wild(part))), "")
