"""What a grant, a return or a reclaim of a lease writes: points between a balance and what is set aside of it.

Source: offline-redemption.md "Invariant and proof sketch".
"""

import msgspec

from loyalty.books import Books, Posted
from loyalty.lease_events import Granted, LeaseMoved, Reclaimed
from loyalty.lots import EventRef, Slice, points_in
from loyalty.moments import midnight
from loyalty.posting_writer import Writer


def post_lease(event: Granted | LeaseMoved | Reclaimed, ref: EventRef, books: Books) -> Posted:
    """What an event about authority to spend does to the books; of floats and of rights that move between tills,
    nothing."""
    if event.account_id is None or event.on is None or (isinstance(event, LeaseMoved) and event.what != "returned"):
        return Posted(ref=ref)
    writer = Writer(ref, event.account_id, books, "", event.on, midnight(event.on))
    if isinstance(event, Granted):
        _grant(event, writer)
    elif isinstance(event, LeaseMoved):
        back = writer.release(event.lease_id, event.slices)
        short = points_in(event.slices) - back
        if short and event.lease_id not in books.account(event.account_id).reclaimed:
            writer.flag("lease_return_differs", lease_id=event.lease_id, points=short)
    else:
        writer.release(event.lease_id)
    reclaimed = event.lease_id if isinstance(event, Reclaimed) else ""
    return msgspec.structs.replace(writer.posted((), ()), reclaimed=reclaimed)


def _grant(event: Granted, writer: Writer) -> None:
    for slice_ in event.slices:
        held = writer.lots.get(slice_.key)
        points = min(slice_.points, held.points if held else 0)
        if points < slice_.points:
            writer.flag("grant_not_covered", lease_id=event.lease_id, points=slice_.points - points)
        if points:
            writer.move_leased(event.lease_id, "available", "leased", Slice(key=slice_.key, points=points))
