"""What becomes of authority to spend a member's points: given and taken back by the centre, ended by its holder.

A grant freezes the lots that it may be spent from, so that a spend without the line is attributed without asking.
Source: offline-redemption.md "Lease lifecycle"; house.md section 3.
"""

from datetime import date
from typing import Literal

import msgspec

from loyalty.lots import Slice
from loyalty.members import AccountId
from loyalty.receipts import EMPTY


class Granted(msgspec.Struct, frozen=True, kw_only=True, tag="grant.v1", tag_field="type", omit_defaults=True):
    """Authority given to a till by the centre: a float, while `account_id` is none. In a stream of the centre's own.

    Attributes:
        kind: a hold is for one sale, a lease for any.
        on: the business day of the grant; none for a float.
        slices: the lots of the account that it takes out of its balance; together `points`.
    """

    receipt_id: str
    lease_id: str
    till_id: str
    epoch: int
    points: int
    granted_at_ms: int
    account_id: AccountId | None = None
    detail: msgspec.Raw = EMPTY
    kind: Literal["float", "hold", "lease"] = "float"
    on: date | None = None
    slices: tuple[Slice, ...] = ()


class LeaseMoved(msgspec.Struct, frozen=True, kw_only=True, tag="lease.v1", tag_field="type", omit_defaults=True):
    """Rights of a lease that leave their holder or come to it.

    `returned` gives back for good what a till has left, or had set aside for a sale that was not made; `sent` and
    `received` move rights between tills of a store, and the member's points stay leased.
    """

    receipt_id: str
    lease_id: str
    account_id: AccountId
    on: date
    slices: tuple[Slice, ...]
    what: Literal["returned", "sent", "received"] = "returned"
    other_till: str = ""
    other_seq: int = 0  # of a transfer received: the donor's number of it
    detail: msgspec.Raw = EMPTY


class Reclaimed(msgspec.Struct, frozen=True, kw_only=True, tag="reclaim.v1", tag_field="type", omit_defaults=True):
    """What was left of a lease whose holder was not heard in time goes back to the balance. In a stream of the
    centre's own: a spend that comes later was at the risk of the partner where it was made."""

    receipt_id: str
    lease_id: str
    account_id: AccountId
    till_id: str
    epoch: int
    on: date
    detail: msgspec.Raw = EMPTY
