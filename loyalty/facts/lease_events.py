"""What becomes of authority to spend a member's points: given and taken back by the centre, ended by its holder.

A grant freezes the lots that it may be spent from, so that a spend without the line is attributed without asking.
Source: offline-redemption.md "Lease lifecycle"; house.md section 3.
"""

from datetime import date
from typing import Annotated, Literal

import msgspec

from loyalty.facts.receipts import EMPTY
from loyalty.lots import Slice
from loyalty.members import AccountId


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


SignedBytes = Annotated[bytes, msgspec.Meta(max_length=8_192)]
MOST_SHOWN = 50  # grants that one event shows


class LeaseMoved(msgspec.Struct, frozen=True, kw_only=True, tag="lease.v1", tag_field="type", omit_defaults=True):
    """What its holder tells of a lease: rights that leave it or come to it, or that it may not use now.

    `returned` gives back for good what a till has left, or had set aside for a sale that was not made; `sent` and
    `received` move rights between tills of a store, and the member's points stay leased. `accepted` shows grants to a
    centre that may have lost them: `slices` is what the till has left of the lease. `suspended` and `resumed` concern
    all leases and floats of the till: it stops spending them, for `reason`, and goes on.

    Attributes:
        lease_id, account_id: of the lease; "" and none where a float or all leases are meant.
        grants: of `accepted`, the signed messages of the centre, each a `sync.wire.Grant`.
    """

    receipt_id: str
    lease_id: str
    on: date
    account_id: AccountId | None = None
    slices: tuple[Slice, ...] = ()
    what: Literal["returned", "sent", "received", "accepted", "suspended", "resumed"] = "returned"
    other_till: str = ""
    other_seq: int = 0  # of a transfer received: the donor's number of it
    grants: Annotated[tuple[SignedBytes, ...], msgspec.Meta(max_length=MOST_SHOWN)] = ()
    reason: str = ""
    detail: msgspec.Raw = EMPTY


class LeaseShown(LeaseMoved, frozen=True, kw_only=True, tag="lease.v1", tag_field="type", omit_defaults=True):
    """An `accepted` event whose grants the centre has checked; made when it is posted, and never sent.

    `proven` is what the grants among them that are not in the books allow to be set aside once more, by lot.
    """

    proven: tuple[Slice, ...] = ()


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
