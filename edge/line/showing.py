"""After a restore of the centre: what this till has of grants that the centre may have lost, as events.

Nothing of it is written while the centre remembers; one event for each lease when its generation rises. The events
stand behind all that was spent of the lease before, so what is left is all that the centre has to set aside again.
Source: house.md sections 3 and 4, point 6.
"""

from collections.abc import Sequence

from edge.journal.journal import Journal
from edge.journal.kept_grants import KeptGrant
from edge.ports import Instant
from loyalty.facts.lease_events import MOST_SHOWN, LeaseMoved
from loyalty.lots import Slice
from loyalty.moments import utc_date
from sync.framing import read_json, split
from sync.wire import Grant


def show_grants(journal: Journal, generation: int, granted_no: int, now: Instant) -> None:
    """Write an event for each lease of which something is left, and one for the floats; call inside a transaction.

    The newest grant is always among them, even when nothing is left of it: until the centre has its number it grants
    nothing more.

    Args:
        granted_no: the newest grant to this till that the centre knows of.
    """
    own_id = journal.head().till_id
    lost = journal.promises.kept.after(own_id, granted_no)
    of_lease: dict[str, list[KeptGrant]] = {}
    for one in lost:
        of_lease.setdefault(one.lease_id, []).append(one)
    left = {one.lease_id: one.slices for one in journal.promises.leases.all(now, 0) if one.slices}
    for lease_id, slices in left.items():
        of_others = [one for one in journal.promises.kept.of_lease(lease_id) if one.till_id != own_id]
        if grants := of_lease.get(lease_id) or of_others:
            _show(journal, generation, grants, slices, now)
    if floats := [one for one in lost if _read(one).account_id is None]:
        _show(journal, generation, floats, (), now)
    if lost and lost[-1].lease_id not in left and lost[-1] not in floats:
        _show(journal, generation, lost[-1:], (), now)


def _show(
    journal: Journal, generation: int, grants: Sequence[KeptGrant], slices: tuple[Slice, ...], now: Instant
) -> None:
    last = _read(grants[-1])
    lease_id = "" if last.account_id is None else last.lease_id
    event = LeaseMoved(
        receipt_id=f"accepted:{generation}:{lease_id or 'floats'}",
        lease_id=lease_id,
        account_id=last.account_id,
        on=utc_date(now.wall_ms),
        slices=slices,
        what="accepted",
        grants=tuple(one.signed for one in grants[-MOST_SHOWN:]),
    )
    journal.append(event)


def _read(kept: KeptGrant) -> Grant:
    return read_json(split(kept.signed), Grant)
