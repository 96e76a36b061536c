"""Authority to spend points: a hold for one receipt, a lease for one member, a float for no member in particular.

Hold and lease take points out of the account's balance and name the lots; a float names none, and what is spent on it
beyond the balance is the bound of what can be lost. Source: house.md idea 4; offline-redemption.md "Redemption ladder".
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Literal

import msgspec

from loyalty.amounts import Positive, Whole
from loyalty.baskets import Place
from loyalty.lots import END_OF_DAY, Expiry, Lot, LotOrder, Slice, draw_down, is_live, points_in
from loyalty.members import MemberView
from loyalty.moments import Moment, moment_of
from loyalty.programme.programme import LeaseRules, OfflineCaps, Options
from loyalty.trouble import Refusal

Kind = Literal["none", "hold", "lease", "float"]


class Authority(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a till was allowed when it quoted: the kind and the most points; travels in the receipt.

    `slices` are what is left of a hold or lease, in the order in which they are spent.
    """

    kind: Kind = "none"
    points: int = 0
    lease_id: str = ""
    slices: tuple[Slice, ...] = ()


NO_AUTHORITY = Authority()


class Redemption(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Points that paid: their worth and the authority they were spent under.

    `slices` come with a hold or lease; under a float the centre chooses the lots when the receipt arrives, in
    `lot_order` of those live by `expiry`: said here as the programme of the sale has them, for posting reads no
    programme.
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


def float_authority(
    view: MemberView | None, caps: OfflineCaps | None, *, float_points: int, card_spent: int, lease_id: str
) -> Authority:
    """How many points this member may spend at this till on its float.

    Args:
        view: none for an anonymous basket; a card this till does not know has nothing spendable.
        caps: the programme's offline caps; none keeps spending off.
        float_points: what is left of the till's float, open holds taken off.
        card_spent: points of this account spent or held here on floats that the centre has not confirmed.
        lease_id: the float drawn on.
    Source: offline-redemption.md, step 3 of the ladder.
    """
    if view is None or view.account_id is None or caps is None or float_points <= 0:
        return NO_AUTHORITY
    points = min(view.spendable_points, caps.sale_points, caps.card_points - card_spent, float_points)
    return Authority(kind="float", points=points, lease_id=lease_id) if points > 0 else NO_AUTHORITY


def lease_authority(
    kind: Literal["hold", "lease"],
    lease_id: str,
    slices: Iterable[Slice],
    *,
    today: date,
    now: Moment | None = None,
    expiry: Expiry = END_OF_DAY,
) -> Authority:
    """What a hold or lease allows: all that is left of its lots that live on the day of the basket; no cap but itself.

    Args:
        slices: what is left of it; `today`: business date of the basket; `now`: its store time.
    """
    live = tuple(one for one in slices if one.points > 0 and is_live(one.key, expiry, today, now))
    if not live:
        return NO_AUTHORITY
    return Authority(kind=kind, points=points_in(live), lease_id=lease_id, slices=live)


def widest(*allowed: Authority) -> Authority:
    """The one that allows most, the first of equals: name the surer one first."""
    return max(allowed, key=lambda one: one.points)


def spend_slices(
    slices: Iterable[Slice], points: int, *, today: date, now: Moment | None, order: LotOrder, expiry: Expiry
) -> tuple[Slice, ...]:
    """Which lots of a hold or lease pay for so many points; fewer where it holds fewer. Args: as `draw_down`."""
    lots = [Lot(key=one.key, points=one.points) for one in slices]
    return draw_down(lots, points, today=today, now=now, order=order, expiry=expiry)


def less(slices: Iterable[Slice], used: Iterable[Slice]) -> tuple[Slice, ...]:
    """What is left of slices once some were used; lots with nothing left are gone."""
    left = {one.key: one.points for one in slices}
    for one in used:
        left[one.key] = left.get(one.key, 0) - one.points
    return tuple(Slice(key=key, points=points) for key, points in left.items() if points > 0)


def lease_wanted(rules: LeaseRules, balance_points: int, leased_points: int) -> int:
    """How many more points a store's lease of a member may take out of their balance.

    Args:
        balance_points: available and leased together; `leased_points`: of it leased to this store.
    Source: offline-redemption.md, step 2 of the ladder.
    """
    most = min(balance_points * rules.share_bp // 10_000, rules.most_points)
    return max(0, most - leased_points)


def expiry_of(options: Options) -> Expiry:
    """When points go on their last valid day, as a programme says."""
    if options.expiry == "end_of_day":
        return END_OF_DAY  # the very value, else a usual receipt would spell it out
    return Expiry(when=options.expiry, at=options.expiry_at)


def drawn_slices(authority: Authority, points: int, options: Options, place: Place) -> Sequence[Slice]:
    """The lots of a hold or lease that a redemption at this place names; none under a float."""
    if not authority.slices:
        return ()
    return spend_slices(
        authority.slices, points, today=place.business_date, now=moment_of(place), order=options.lot_order,
        expiry=expiry_of(options),
    )  # fmt: skip
