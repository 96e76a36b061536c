"""Is the head of an event fit to be posted? A till's bytes may be signed and still say anything.

The kernel's types turn away wrong figures; here is what they let pass and a database should not hold. An unfit event
is kept and quarantined; it must not stop the events behind it.
"""

import re
from typing import Any

import msgspec

from loyalty.facts.centre_events import AccountEvent
from loyalty.facts.certificate_events import CertificateKept
from loyalty.facts.events import Event, PeriodTurned, UnknownEvent, read_head
from loyalty.facts.fixed import Fixed
from loyalty.facts.lease_events import Granted, LeaseMoved, Reclaimed
from loyalty.facts.member_events import CardChanged
from loyalty.facts.price_deltas import PriceDelta
from loyalty.facts.receipts import Receipt
from loyalty.facts.redacting import Redacted
from loyalty.facts.reversals import Return, ReturnVoid, Reversal, Void
from loyalty.facts.transfers import Transferred
from loyalty.ledger.certificate_postings import certificates_in, sold_in

OF_HEAD_OFFICE = (
    Granted | Reclaimed | PeriodTurned | Transferred | AccountEvent | Fixed | CertificateKept | PriceDelta
    | Redacted
)
LARGEST = 2**53
MOST = 10**13  # points and minor units that one event may move: above any sale, and a million of them fit 63 bits
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
    if not isinstance(head, Receipt) and isinstance(head, OF_HEAD_OFFICE):
        return Unfit(cause="event.not_a_tills", say="Only the centre grants and corrects points and turns periods.")
    if trouble := _trouble(head):
        return Unfit(cause="event.out_of_range", say=trouble)
    return head


def kind_of(head: Event) -> str:
    """The event's type, such as `receipt.v1`."""
    return str(head.__struct_config__.tag)


def _trouble(head: Event) -> str:
    if not head.receipt_id:
        return "It has no id."
    # Grants that a till shows are signed bytes of ours; their type bounds them. Details stay closed.
    bare = msgspec.structs.replace(head, grants=()) if isinstance(head, LeaseMoved) else head
    if trouble := _wild(msgspec.to_builtins(bare, builtin_types=(msgspec.Raw,))):
        return trouble
    if isinstance(head, CardChanged) and head.what != "blocked" and head.other_token is None:
        return "It gives a card and names no other of its member."
    if isinstance(head, LeaseMoved):
        return "It moves more than any sale." if sum(abs(part.points) for part in head.slices) > MOST else ""
    if not isinstance(head, Receipt | Reversal):
        return ""
    if _moved(head) > MOST:
        return "It moves more than any sale."
    if not all(_TOKEN.fullmatch(code) for code in certificates_in(head)):
        return "The code of a certificate is not a token."
    return "" if head.card_token is None or _TOKEN.fullmatch(head.card_token) else "The card token is not one."


def _moved(head: Receipt | Reversal) -> int:
    """All its points, money and steps of counters together, whatever their sign."""
    moved = sum(abs(use.amount) for use in (*head.uses, *head.shared_uses))
    moved += sum(abs(one.amount_minor) for one in sold_in(head))
    if isinstance(head, ReturnVoid):
        granted = sum(part.points for part in (*head.earned, *head.reversed))
        return moved + head.net_minor + sum(part.amount_minor for part in head.funded) + granted + head.spent_points
    if isinstance(head, Void):
        return moved
    moved += head.net_minor + sum(part.amount_minor for part in head.funded)
    moved += sum(part.points for part in head.earned)
    if isinstance(head, Return):
        taken = sum(part.points for part in (*head.reversed, *head.withheld))
        return moved + head.restored_points + taken + head.withheld_minor
    return moved + (head.redemption.points + head.redemption.amount_minor if head.redemption else 0)


def _wild(value: Any) -> str:
    """Numbers and texts that no index or column should have to hold."""
    left = [value]
    while left:
        part = left.pop()
        kind = type(part)
        if kind is int:
            if abs(part) > LARGEST:
                return "A number is too large."
        elif kind is str:
            if len(part) > LONGEST or "\0" in part:
                return "A text is too long or holds a zero character."
        elif kind is list or kind is tuple:
            left += part
        elif kind is dict:
            left += part.values()
    return ""
