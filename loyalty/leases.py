"""Authority to spend points: a hold for one receipt, a lease for one member, a float for no member in particular.

Here a till draws on floats alone: a hold is its own promise against its float until the receipt is written.
Source: house.md idea 4; offline-redemption.md "Redemption ladder".
"""

from typing import Literal

import msgspec

from loyalty.amounts import Positive, Whole
from loyalty.lots import END_OF_DAY, Expiry, LotOrder, Slice
from loyalty.members import MemberView
from loyalty.programme import OfflineCaps, Options
from loyalty.trouble import Refusal

Kind = Literal["none", "hold", "lease", "float"]


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """What a till was allowed when it quoted: the kind and the most points; travels in the receipt."""

    kind: Kind = "none"
    points: int = 0
    lease_id: str = ""


NO_AUTHORITY = Authority()


class Redemption(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Points that paid: their worth and the authority they were spent under.

    `slices` come with a lease; under a float the centre chooses the lots when the receipt arrives, in `lot_order` of
    those live by `expiry`: said here as the programme of the sale has them, for posting reads no programme.
    """

    points: Positive
    amount_minor: Whole
    authority: Kind
    lease_id: str
    slices: tuple[Slice, ...] = ()
    lot_order: LotOrder = "valid_through"
    expiry: Expiry = END_OF_DAY


class NotEnoughPoints(Refusal):
    code = "redemption.not_enough_points"


def authority_for(
    view: MemberView | None, caps: OfflineCaps | None, *, float_points: int, card_spent: int, lease_id: str
) -> Authority:
    """How many points this member may spend at this till now, and under which authority.

    Args:
        view: none for an anonymous basket; a card this till does not know has nothing spendable.
        caps: the programme's offline caps; none keeps spending off.
        float_points: what is left of the till's float, open holds taken off.
        card_spent: points of this account spent or held here that the centre has not confirmed.
        lease_id: the float drawn on.
    Source: offline-redemption.md, step 3 of the ladder.
    """
    if view is None or view.account_id is None or caps is None or float_points <= 0:
        return NO_AUTHORITY
    points = min(view.spendable_points, caps.sale_points, caps.card_points - card_spent, float_points)
    return Authority(kind="float", points=points, lease_id=lease_id) if points > 0 else NO_AUTHORITY


def expiry_of(options: Options) -> Expiry:
    """When points go on their last valid day, as a programme says."""
    if options.expiry == "end_of_day":
        return END_OF_DAY  # the very value, else a usual receipt would spell it out
    return Expiry(when=options.expiry, at=options.expiry_at)
