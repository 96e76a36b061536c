"""Leases and floats that rest: this till's memory or clock went back, so it cannot know what it still has.

It says so as an event, spends nothing of them, gives nothing of them back, and goes on once the centre has answered it
well: whoever was rewound never gets there, for its stream stands and a person decides. Source: DECISIONS 20;
offline-redemption.md "Clocks", "Rollback or clone".
"""

from typing import Literal

from edge.journal.journal import Journal
from edge.ports import Instant
from loyalty.facts.lease_events import LeaseMoved
from loyalty.moments import utc_date

CLOCK_WENT_BACK = "clock.went_back"


def suspend_leases(journal: Journal, reason: str, now: Instant) -> bool:
    """Stop spending leases and floats, and say so where there are any; False when that was done before.

    Args:
        reason: a stable code.
    """
    if journal.outbox.leases_suspended() or not journal.promises.has_any(now):
        return False
    _write(journal, "suspended", reason, now)
    return True


def resume_leases(journal: Journal, now: Instant) -> bool:
    """The centre answered this till well: spend them again. False when they did not rest.

    What cannot be measured any more, since the clock went back across a restart, goes back to the balance by itself.
    """
    if not journal.outbox.leases_suspended():
        return False
    _write(journal, "resumed", "", now)
    return True


def notice_clock(journal: Journal, now: Instant) -> bool:
    """Suspend leases at a start where the wall clock stands before what this till wrote down or was granted earlier.

    Within one boot nothing hangs on it, for a clock that cannot be set measures there.
    """
    granted_ms = journal.promises.newest_of_other_boots(now)
    if not granted_ms or now.wall_ms >= max(journal.reached_ms(), granted_ms):
        return False
    return suspend_leases(journal, CLOCK_WENT_BACK, now)


def _write(journal: Journal, what: Literal["suspended", "resumed"], reason: str, now: Instant) -> None:
    with journal.writing():
        head = journal.head()
        # An id is taken once in all epochs, and those of the first events of each would be the same.
        name, on = f"{what}:{head.epoch}:{head.seq}", utc_date(now.wall_ms)
        event = LeaseMoved(receipt_id=name, lease_id="", on=on, what=what, reason=reason)
        journal.append(event)
        journal.outbox.set_leases_suspended(reason)
