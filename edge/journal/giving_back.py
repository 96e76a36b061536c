"""Holds and leases that go back to the balance: the till writes it down, and from then on spends nothing of them.

Source: offline-redemption.md "Lease lifecycle".
"""

from edge.journal.journal import Journal
from edge.journal.leases_held import HeldLease
from edge.ports import Instant
from loyalty.facts.lease_events import LeaseMoved
from loyalty.moments import utc_date


def give_back(journal: Journal, now: Instant) -> int:
    """Give back what is over, recalled, or held for a sale that was not made; how many events were written."""
    if not journal.to_give_back(now):
        return 0
    with journal.writing():
        leases = journal.to_give_back(now)
        for lease in leases:
            give_lease_back(journal, lease, now)
    return len(leases)


def give_lease_back(journal: Journal, lease: HeldLease, now: Instant) -> None:
    """Give back all that is left of one; call inside a transaction."""
    event = LeaseMoved(
        # A lease may be granted anew under its id and end once more.
        receipt_id=f"returned:{lease.lease_id}:{journal.head().seq}",
        lease_id=lease.lease_id,
        account_id=lease.account_id,
        on=utc_date(now.wall_ms),
        slices=lease.slices,
    )
    journal.append(event)
    journal.promises.leases.end(lease.lease_id)
