"""What head office does to one account: adjustments, expiry, moves, and points of an older scheme.

Facts of the centre's own streams; each is about one account, so that its version counts them like a till's events.
A move is two facts, one for each account. Source: house.md section 3; docs/ledger.md.
"""

from datetime import date
from typing import Literal

import msgspec

from loyalty.amounts import Positive
from loyalty.facts.receipts import EMPTY
from loyalty.lots import Debt, EventRef, Expiry, Redated, Slice
from loyalty.members import AccountId, Use
from loyalty.pricing.earning import Earned


class Taken(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Points that a correction takes: of one issuer, or of any where that is "". Soonest to lapse go first."""

    issuer_id: str
    points: Positive


class Adjusted(msgspec.Struct, frozen=True, kw_only=True, tag="adjustment.v1", tag_field="type", omit_defaults=True):
    """Points given or taken by hand.

    Attributes:
        on: the business date: granted points get the terms of it, and lots that had lapsed by then are not taken.
        at_partner_id: the partner for whose sake; "" for the operator's own.
        reason: a stable code; `note` is for people.
        approved_by: the second person; "" where the first might do it alone.
    """

    receipt_id: str
    account_id: AccountId
    on: date
    at_partner_id: str
    reason: str
    asked_by: str
    granted: tuple[Earned, ...] = ()
    taken: tuple[Taken, ...] = ()
    approved_by: str = ""
    note: str = ""
    detail: msgspec.Raw = EMPTY


class Expired(msgspec.Struct, frozen=True, kw_only=True, tag="expiry.v1", tag_field="type", omit_defaults=True):
    """What the expiry run of a date took from one account: every lot that is not live on that date any more."""

    receipt_id: str
    account_id: AccountId
    on: date
    expiry: Expiry = Expiry()
    detail: msgspec.Raw = EMPTY


class Moved(msgspec.Struct, frozen=True, kw_only=True, tag="move.v1", tag_field="type", omit_defaults=True):
    """Points that leave an account, or come to one; they stay what they are, so no money moves with them.

    Attributes:
        other_id: the account on the other side; the same one where points only get another last valid day.
        slices: by lot as they leave, or as they arrive.
        expired: points that had lapsed and go along, so that a sale made in time can still be paid with them.
        debts: what is owed goes along; the account is the receiver's.
        uses: counters that come along, so that what was used up stays used up.
        of: of an arrival, the departure.
        closes: the account that the points leave is merged into the other and lives on in it.
        earned_on: since when each of `slices` was held, none where nobody remembers; points keep their age when they
            move. Without any, they count from `on`.
        redated: of an arrival, the lots whose points have another last valid day from here on: goods that come back
            find them there.
    """

    receipt_id: str
    account_id: AccountId
    other_id: AccountId
    on: date
    direction: Literal["out", "in"]
    reason: str
    asked_by: str
    slices: tuple[Slice, ...] = ()
    expired: tuple[Slice, ...] = ()
    debts: tuple[Debt, ...] = ()
    uses: tuple[Use, ...] = ()
    of: EventRef | None = None
    closes: bool = False
    approved_by: str = ""
    note: str = ""
    detail: msgspec.Raw = EMPTY
    earned_on: tuple[date | None, ...] = ()
    redated: tuple[Redated, ...] = ()


class Carried(msgspec.Struct, frozen=True, kw_only=True, tag="opening.v1", tag_field="type", omit_defaults=True):
    """Points brought over from an older scheme, under terms and with a last valid day of their own."""

    receipt_id: str
    account_id: AccountId
    on: date
    scheme: str
    slices: tuple[Slice, ...]
    asked_by: str = ""
    approved_by: str = ""
    detail: msgspec.Raw = EMPTY


class ClaimSettled(
    msgspec.Struct, frozen=True, kw_only=True, tag="claim_settled.v1", tag_field="type", omit_defaults=True
):
    """What head office made of a claimed receipt: points granted, or taken back because its goods came back since.

    Attributes:
        on: the receipt's business date, whose terms its points have.
        at_partner_id: where the receipt was.
        of: the receipt; `by`: the claim.
        reversed: points that were granted for it before; where they are gone they are owed, as for a return, or let go
            with `clamp`.
    """

    receipt_id: str
    account_id: AccountId
    on: date
    at_partner_id: str
    of: EventRef
    by: EventRef
    granted: tuple[Earned, ...] = ()
    reversed: tuple[Earned, ...] = ()
    clamp: bool = False
    detail: msgspec.Raw = EMPTY


class WrittenOff(msgspec.Struct, frozen=True, kw_only=True, tag="write_off.v1", tag_field="type", omit_defaults=True):
    """Points of a redemption that nothing covered are given up: the account owes them no more.

    Attributes:
        of: the sale; `points`: all that is without cover of it.
        reason: a stable code; `note` is for people.
        approved_by: the second person.
    """

    receipt_id: str
    account_id: AccountId
    of: EventRef
    points: Positive
    on: date
    reason: str
    asked_by: str
    approved_by: str
    note: str = ""
    detail: msgspec.Raw = EMPTY


AccountEvent = Adjusted | Expired | Moved | Carried | ClaimSettled | WrittenOff
