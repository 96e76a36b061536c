"""What grants, returns and reclaims of leases write: points between a balance and what is set aside of it.

Source: offline-redemption.md "Invariant and proof sketch".
"""

from collections.abc import Iterable

import msgspec

from loyalty.facts.lease_events import Granted, LeaseMoved, LeaseShown, Reclaimed
from loyalty.ledger.books import Books, Posted
from loyalty.ledger.posting_writer import Writer
from loyalty.lots import EventRef, Slice, points_in

POSTED = ("returned", "accepted")


def post_lease(event: Granted | LeaseMoved | Reclaimed, ref: EventRef, books: Books) -> Posted:
    """What an event about authority to spend does to the books; of floats, of rights that move between tills and of
    those that rest, nothing."""
    if event.account_id is None or event.on is None:
        return Posted(ref=ref)
    if isinstance(event, LeaseMoved) and event.what not in POSTED:
        return Posted(ref=ref)
    writer = Writer(ref, event.account_id, books, "", event.on)
    if isinstance(event, Granted):
        _take_out(event.lease_id, event.slices, writer)
    elif isinstance(event, LeaseMoved) and event.what == "accepted":
        _take_out(event.lease_id, _missing(event, writer), writer)
    elif isinstance(event, LeaseMoved):
        back = writer.release(event.lease_id, event.slices)
        short = points_in(event.slices) - back
        if short and event.lease_id not in books.account(event.account_id).reclaimed:
            writer.flag("lease_return_differs", lease_id=event.lease_id, points=short)
    else:
        writer.release(event.lease_id)
    reclaimed = event.lease_id if isinstance(event, Reclaimed) else ""
    return msgspec.structs.replace(writer.posted((), ()), reclaimed=reclaimed)


def _missing(event: LeaseMoved, writer: Writer) -> tuple[Slice, ...]:
    """What the till has left of a lease and the books have not: as much as grants that they lost prove.

    Let g be granted and known, l granted and lost, x spent or given back before the till shows it. Of x the books took
    what they could, g at most, from the lease and the rest from the balance; so they have max(0, g - x) left, the till
    g + l - x, and what is missing is the smaller of the till's and l, however many tills have a part of it.
    """
    proven = {one.key: one.points for one in event.proven} if isinstance(event, LeaseShown) else {}
    here = writer.lease_left(event.lease_id)
    slices = tuple(Slice(key=one.key, points=min(one.points, proven.get(one.key, 0))) for one in event.slices)
    missing = tuple(one for one in slices if one.points > 0)
    back = {one.key: one.points for one in missing}
    unproven = sum(max(0, one.points - here.get(one.key, 0) - back.get(one.key, 0)) for one in event.slices)
    if missing:
        # For who looks at rows of the worklist that came of the loss.
        writer.flag("lease_restored", lease_id=event.lease_id, points=points_in(missing))
    if unproven:
        writer.flag("lease_not_proven", lease_id=event.lease_id, points=unproven)
    return missing


def _take_out(lease_id: str, slices: Iterable[Slice], writer: Writer) -> None:
    """Points of the balance into a lease, as far as they are there."""
    for slice_ in slices:
        held = writer.lots.get(slice_.key)
        points = min(slice_.points, held.points if held else 0)
        if points < slice_.points:
            writer.flag("grant_not_covered", lease_id=lease_id, points=slice_.points - points)
        if points:
            writer.move_leased(lease_id, "available", "leased", Slice(key=slice_.key, points=points))
