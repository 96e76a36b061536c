"""Holds and leases folded once more from bytes, into the sums of `central.refold`.

This shares no line with `loyalty.lease_postings` on purpose: it is what its result is held against.
Source: offline-redemption.md "Invariant and proof sketch".
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select

from central import tables as t
from central.refold import Key, Member, Refold
from central.violations import Violations

LEASE_EVENTS = ("grant.v1", "lease.v1", "reclaim.v1")


def fold_lease(fold: Refold, event: Mapping[str, Any], account_id: int) -> None:
    """Fold in an event about a hold or lease of an account.

    Raises:
        LookupError, TypeError, ValueError: bytes that could not have been posted, or points that were not there.
    """
    member = fold.members[account_id]
    if event["type"] == "lease.v1" and event.get("what", "returned") != "returned":
        return  # rights that moved between tills: the points stay where they are
    member.events += 1
    left = member.leases[event["lease_id"]]
    if event["type"] == "grant.v1":
        for key, points in _by_lot(event["slices"]):
            if member.lots[key] < points:
                raise ValueError("granted what was not there")
            member.lots[key] -= points
            left[key] += points
            member.legs["leased", key[1], key[2], "", "", ""] += points
        return
    if event["type"] == "reclaim.v1":
        fold.reclaimed += sum(left.values())
        _back(member, left, list(left.items()))
    else:
        _back(member, left, _by_lot(event["slices"]))


def check_leases(db: Connection, found: Violations, fold: Refold, unproven: set[int]) -> None:
    """What is left of each lease, as kept and as folded."""
    kept = {(r.account_id, r.lease_id, (r.valid_through, r.issuer_id, r.terms_id)): r.points
            for r in db.execute(select(t.lease_slice).where(t.lease_slice.c.points != 0))}  # fmt: skip
    folded = {
        (account_id, lease_id, key): points
        for account_id, member in fold.members.items()
        for lease_id, left in member.leases.items()
        for key, points in left.items()
        if points
    }
    for about in sorted(kept.keys() | folded.keys(), key=repr):
        if about[0] not in unproven:
            found.differs("lease.folded", about, folded.get(about, 0), kept.get(about, 0))


def _back(member: Member, left: dict[Key, int], parts: Iterable[tuple[Key, int]]) -> None:
    for key, points in parts:
        back = min(points, left[key])
        left[key] -= back
        member.lots[key] += back
        member.legs["leased", key[1], key[2], "", "", ""] -= back


def _by_lot(slices: Iterable[Any]) -> list[tuple[Key, int]]:
    parts: dict[Key, int] = defaultdict(int)
    for (through, issuer, terms), points in slices:
        parts[through, issuer, terms] += points
    return list(parts.items())
