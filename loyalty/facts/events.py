"""The one list of everything that happens; head and detail.

An event's bytes are made once, where it happened; from then on they are copied, hashed and read, never made again.
Source: house.md section 3; DECISIONS 12.
"""

from collections.abc import Iterable
from datetime import date

import msgspec

from loyalty.baskets import Place
from loyalty.facts.centre_events import Adjusted, Carried, ClaimSettled, Expired, Moved, WrittenOff
from loyalty.facts.certificate_events import CertificateKept, CertificateMoved
from loyalty.facts.fixed import Fixed
from loyalty.facts.lease_events import Granted, LeaseMoved, Reclaimed
from loyalty.facts.member_events import CardChanged, CardNamed, Claimed, ConsentChanged, Enrolled
from loyalty.facts.price_deltas import PriceDelta
from loyalty.facts.receipts import EMPTY, Receipt
from loyalty.facts.redacting import Redacted
from loyalty.facts.reversals import Return, ReturnVoid, Void
from loyalty.facts.transfers import Transferred
from loyalty.lots import points_in
from loyalty.members import EARNED, LEASED, REVERSED, SPENT, Use
from loyalty.pricing.earning import Earned
from loyalty.trouble import BadInput, InvariantBroken


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag="opened.v1", tag_field="type", omit_defaults=True):
    """The first event of every epoch of a till: why, and the head it leaves behind (seq 0 at enrolment)."""

    receipt_id: str
    reason: str
    left_epoch: int = 0
    left_seq: int = 0
    left_hash: str = ""
    detail: msgspec.Raw = EMPTY


class TillClose(msgspec.Struct, frozen=True, kw_only=True, tag="till_close.v1", tag_field="type", omit_defaults=True):
    """Counts and sums of a till's business day, for the centre to compare; nothing else depends on it."""

    receipt_id: str
    place: Place
    receipts: int
    voids: int
    returns: int
    net_minor: int
    returned_minor: int
    points_earned: int
    points_spent: int
    points_reversed: int
    first_seq: int
    last_seq: int
    detail: msgspec.Raw = EMPTY


class PeriodTurned(msgspec.Struct, frozen=True, kw_only=True, tag="period.v1", tag_field="type", omit_defaults=True):
    """The page turned: the period closed, its last business date, and each statement by partner and hash."""

    receipt_id: str
    period_no: int
    through: date
    statements: tuple[tuple[str, str], ...] = ()
    detail: msgspec.Raw = EMPTY


Event = (
    Opened
    | Receipt
    | Void
    | Return
    | TillClose
    | LeaseMoved
    | Granted
    | Reclaimed
    | PeriodTurned
    | Adjusted
    | Expired
    | Moved
    | Carried
    | Transferred
    | Fixed
    | CertificateMoved
    | WrittenOff
    | PriceDelta
    | CertificateKept
    | Enrolled
    | CardChanged
    | CardNamed
    | ConsentChanged
    | Claimed
    | ClaimSettled
    | ReturnVoid
    | Redacted
)


class UnknownEvent(BadInput):
    code = "event.unknown"


_DECODER: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def encode(event: Event) -> bytes:
    """The payload: one line of JSON, ASCII newline free. Made once, at commit.

    Raises:
        InvariantBroken: nobody could read it again; a fact like that must never be written.
    """
    payload = msgspec.json.encode(event)
    try:
        _DECODER.decode(payload)
    except msgspec.MsgspecError as trouble:
        raise InvariantBroken(f"an event that cannot be read was about to be written: {trouble}") from None
    return payload


def read_head(payload: bytes) -> Event:
    """The event with its detail left undecoded.

    Raises:
        UnknownEvent: a type this version does not know, or a malformed head; the bytes are kept and quarantined.
    """
    try:
        return _DECODER.decode(payload)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as trouble:
        raise UnknownEvent(f"This event cannot be read: {trouble}") from None


def read_receipt(payload: bytes) -> Receipt:
    """A sale from its event's bytes, whichever till they come from; all that its return needs is in them.

    Raises:
        UnknownEvent: malformed, or no sale.
    """
    event = read_head(payload)
    if not isinstance(event, Receipt):
        raise UnknownEvent("This event is no sale, so nothing of it can come back.", receipt_id=event.receipt_id)
    return event


def own_uses(event: Event) -> tuple[Use, ...]:
    """What an event adds to its member's counters, points granted and taken included.

    Till and centre both derive them, so neither has to send them.
    """
    if isinstance(event, Receipt):
        earned, spent, _ = points_told(event)
        leased = _points(LEASED, -points_in(event.redemption.slices)) if event.redemption else ()
        return event.uses + _points(EARNED, earned) + _points(SPENT, spent) + leased
    if isinstance(event, Return | ReturnVoid):
        earned, spent, reversed_ = points_told(event)
        return event.uses + _points(EARNED, earned) + _points(REVERSED, reversed_) + _points(SPENT, spent)
    if isinstance(event, LeaseMoved) and event.what == "returned":
        return _points(LEASED, -points_in(event.slices))
    return event.uses if isinstance(event, Void | Moved) else ()


def points_told(event: Receipt | Return | ReturnVoid) -> tuple[int, int, int]:
    """The points that a sale or return granted, took and reversed; a return's restored points are taken below 0, and
    the void of a return has all of its return's the other way round."""
    earned = _sum(event.earned)
    if isinstance(event, ReturnVoid):
        return -_sum(event.reversed), event.spent_points, -earned
    if isinstance(event, Receipt):
        return earned, event.redemption.points if event.redemption else 0, 0
    return earned, -event.restored_points, _sum(event.reversed)


def voided_uses(receipt: Receipt) -> tuple[Use, ...]:
    """The points side of a void, which only who knows the receipt can tell."""
    spent = receipt.redemption.points if receipt.redemption else 0
    return _points(REVERSED, _sum(receipt.earned)) + _points(SPENT, -spent)


def _points(name: str, amount: int) -> tuple[Use, ...]:
    return (Use(name=name, amount=amount),) if amount else ()


def _sum(earned: Iterable[Earned]) -> int:
    return sum(part.points for part in earned)
