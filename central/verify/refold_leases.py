"""Holds and leases folded once more from bytes, into the sums of `central.verify.refold`.

This shares no line with `loyalty.ledger.lease_postings` on purpose: it is what its result is held against.
Source: offline-redemption.md "Invariant and proof sketch".
"""

import base64
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select

from central.database import tables as t
from central.verify.refold import Key, Member, Ref, Refold
from central.verify.violations import Violations
from sync.keys import PublicKeys
from sync.keys import verify as signature_holds

LEASE_EVENTS = ("grant.v1", "lease.v1", "reclaim.v1")
# A number alone may be that of another grant: one of a history that a restore lost.
_GRANT = ("till_id", "epoch", "grant_no", "lease_id", "account_id", "points", "granted_at_ms")


def fold_lease(fold: Refold, event: Mapping[str, Any], account_id: int, ref: Ref) -> None:
    """Fold in an event about a hold or lease of an account.

    Args:
        ref: its place.
    Raises:
        LookupError, TypeError, ValueError: bytes that could not have been posted, or points that were not there.
    """
    member = fold.members[account_id]
    what = event.get("what", "returned") if event["type"] == "lease.v1" else ""
    if what in ("sent", "received", "suspended", "resumed") or not account_id:
        return  # rights that moved between tills or rest: the points stay where they are
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
    if what == "accepted":
        _set_aside_again(fold, ref, event, member, left)
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


def grants_shown(
    db: Connection, found: Violations, events: Mapping[Ref, Mapping[str, Any]], keys: PublicKeys | None
) -> dict[Ref, list[dict[str, Any]]]:
    """The grants that head office took from the events that show them, read from their bytes; each must bear its
    signature.

    Args:
        events: that are posted.
        keys: head office's; without them signatures are not looked at.
    """
    taken = {tuple(getattr(row, name) for name in _GRANT) for row in db.execute(select(t.till_grant))}
    shown: dict[Ref, list[dict[str, Any]]] = {}
    for ref, event in events.items():
        for text in event.get("grants", ()) if event["type"] == "lease.v1" else ():
            grant, signed, signature = _opened(base64.b64decode(text))
            if tuple(grant.get(name) for name in _GRANT) not in taken:
                continue  # head office set nothing aside for it
            if keys:
                public = keys.find(grant["key_no"]) or ""
                good = signature_holds(public, signature, b"TP-GRANT1\0" + signed)
                found.differs("grant.signature", ref, True, good)
            shown.setdefault(ref, []).append(grant)
    return shown


def _opened(data: bytes) -> tuple[dict[str, Any], bytes, bytes]:
    """A message, the bytes that were signed, and the signature: u16 length, JSON, 64 bytes. An empty one where a till
    sent other bytes."""
    end = 2 + int.from_bytes(data[:2], "big")
    try:
        message = json.loads(data[2:end])
    except ValueError:
        return {}, b"", b""
    return (message, data[2:end], data[end : end + 64]) if isinstance(message, dict) else ({}, b"", b"")


def float_points(fold: Refold) -> int:
    """Points of floats that tills showed and whose own events are lost, each once."""
    lost = {}
    for (till_id, epoch, _), grants in fold.grants_shown.items():
        for grant in grants:
            name = f"grant:{grant['till_id']}:{grant['epoch']}:{grant['grant_no']}"
            is_own = (grant["till_id"], grant["epoch"]) == (till_id, epoch)
            if grant["account_id"] is None and is_own and name not in fold.own_grants:
                lost[name] = int(grant["points"])
    return sum(lost.values())


def _set_aside_again(fold: Refold, ref: Ref, event: Mapping[str, Any], member: Member, left: dict[Key, int]) -> None:
    """What the till has left of a lease goes back into it, as far as lost grants go that it shows the first time."""
    rests = []
    for grant in fold.grants_shown.get(ref, ()):
        if (grant["lease_id"], grant["account_id"]) != (event["lease_id"], event["account_id"]):
            continue
        if f"grant:{grant['lease_id']}:{grant['grant_no']}" in fold.own_grants:
            continue
        place = grant["till_id"], grant["epoch"], grant["grant_no"]
        rest, showers = fold.shown.setdefault(place, (dict(_by_lot(grant["slices"])), set()))
        if ref[0] not in showers:
            showers.add(ref[0])
            rests.append(rest)
    for key, points in _by_lot(event.get("slices", ())):
        missing = min(points, member.lots[key])
        for rest in rests:
            taken = min(missing, rest.get(key, 0))
            rest[key] = rest.get(key, 0) - taken
            missing -= taken
            member.lots[key] -= taken
            left[key] += taken
            member.legs["leased", key[1], key[2], "", "", ""] += taken


def _by_lot(slices: Iterable[Any]) -> list[tuple[Key, int]]:
    parts: dict[Key, int] = defaultdict(int)
    for (through, issuer, terms), points in slices:
        parts[through, issuer, terms] += points
    return list(parts.items())
