"""What tills tell of their leases besides spending them: grants shown again, rights that moved, leases that rest.

A grant that this centre lost in a restore is shown by whoever has something of it left. What it proves is set aside
once, whoever shows it and however often. Source: house.md section 4, point 6; offline-redemption.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, bindparam, update

from central.coalition.streams import at
from central.database.asking import tell
from central.database.rows import find, put, remove
from central.database.tables import lease, lease_holder, lease_slice, stream, till_grant
from central.posting.posting import Heads, Poster
from central.worklist.worklist import raise_flags
from loyalty.facts.lease_events import LeaseMoved, LeaseShown
from loyalty.ledger.books import Flag
from loyalty.lots import EventRef, LotKey, Slice
from loyalty.pricing.leases import less
from sync.wire import Grant

Shown = Sequence[tuple[int, Grant]]
GrantKey = tuple[str, int, int]
_SLICES = tuple[Slice, ...]
_DEADLINES = ("grant_no", "spend_for_s", "settle_until_ms", "granted_at_ms")


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """A grant that a till shows: what of it may still be set aside, the tills that showed it, and whether it is in the
    books at all."""

    grant: Grant
    rest: tuple[Slice, ...]
    shown_by: tuple[str, ...] = ()
    is_known: bool = False


class _Here(NamedTuple):
    """A grant in the books: what it grants, what of it was not set aside again, the tills that showed it."""

    what: tuple[Any, ...]
    rest: tuple[Slice, ...]
    shown_by: tuple[str, ...]


Proofs = Mapping[EventRef, Sequence[Proof]]


def proofs_of(tx: Connection, heads: Heads, shown: Shown) -> Proofs:
    """What counts of the grants that `accepted` events show: those of the very lease, each once for each till. The
    leases that may grow by them are opened. Call once the accounts are locked.

    Args:
        shown: grants that this centre signed, by the sequence of the event that shows them.
    """
    if not shown:
        return {}
    proofs = _proofs(tx, heads, shown)
    _open_leases(tx, proofs)
    return proofs


def proven(heads: Heads, proofs: Proofs) -> Heads:
    """Heads in which each `accepted` event says what its grants prove."""
    return {ref: _shown(head, proofs[ref]) if ref in proofs else head for ref, head in heads.items()}


def note_told(tx: Connection, poster: Poster, heads: Heads, proofs: Proofs, now_ms: int) -> None:
    """Keep what these events, now posted, tell of leases: what of lost grants is in the books again, who has rights of
    whose lease, and whether the till spends its leases."""
    told = {ref: head for ref, head in heads.items() if isinstance(head, LeaseMoved)}
    if not told:
        return
    _note_holders(tx, told)
    _note_shown(tx, poster, heads, proofs)
    flags = []
    for ref, head in told.items():
        if head.what in ("suspended", "resumed"):
            reason = head.reason or head.what if head.what == "suspended" else ""
            tx.execute(update(stream).where(at(ref.till_id, ref.epoch)).values(leases_suspended=reason))
        if head.what == "suspended":
            flags.append(Flag(of=ref, cause="leases_suspended", figures={"reason": head.reason}))
    raise_flags(tx, flags, poster.rows, now_ms)


# Grants shown again


def _shown(head: Any, proofs: Iterable[Proof]) -> LeaseShown:
    told = {name: getattr(head, name) for name in LeaseMoved.__struct_fields__}
    return LeaseShown(**told, proven=_merged(proof.rest for proof in proofs))


def _proofs(tx: Connection, heads: Heads, shown: Shown) -> dict[EventRef, list[Proof]]:
    rests = _rests(tx, [grant for _, grant in shown])
    keys = {(grant.till_id, grant.epoch) for _, grant in shown}
    known = {(row.till_id, row.epoch) for row in find(tx, stream, [_of(key) for key in keys], ("till_id", "epoch"))}
    proofs: dict[EventRef, list[Proof]] = {}
    seen: set[GrantKey] = set()
    for ref, head in heads.items():
        if not isinstance(head, LeaseMoved) or head.what != "accepted":
            continue
        proofs[ref] = []
        for grant in (one for seq, one in shown if seq == ref.seq):
            key = _key(grant)
            here = rests.get(key, _Here(_what(grant), grant.slices, ()))
            if here.what != _what(grant) or not _fits(grant, head, ref) or key[:2] not in known:
                continue
            if key not in seen and ref.till_id not in here.shown_by:
                seen.add(key)
                proofs[ref].append(
                    Proof(grant=grant, rest=here.rest, shown_by=here.shown_by, is_known=key in rests)
                )
    return proofs


def _fits(grant: Grant, head: LeaseMoved, ref: EventRef) -> bool:
    """A lease's grant belongs to the event of that lease, whoever has rights of it; a float's to its own till."""
    if grant.account_id is None:
        return head.account_id is None and (grant.till_id, grant.epoch) == (ref.till_id, ref.epoch)
    return (grant.account_id, grant.lease_id) == (head.account_id, head.lease_id)


def _rests(tx: Connection, grants: Iterable[Grant]) -> dict[GrantKey, _Here]:
    """Of grants that are here: what was not set aside again, and the tills that showed them."""
    names = ("till_id", "epoch", "grant_no")
    keys = [dict(zip(names, key, strict=True)) for key in {_key(one) for one in grants}]
    return {
        (row.till_id, row.epoch, row.grant_no): _Here(
            _what(row),
            msgspec.json.decode(row.unrestored, type=_SLICES),
            msgspec.json.decode(row.shown_by, type=tuple[str, ...]),
        )
        for row in find(tx, till_grant, keys)
    }


def _open_leases(tx: Connection, proofs: Proofs) -> None:
    """The rows of the leases that may grow, before points go into them; the last grant says until when."""
    last: dict[tuple[int, str], Grant] = {}
    for grant in (proof.grant for of_event in proofs.values() for proof in of_event):
        if grant.account_id is not None:
            before = last.get((grant.account_id, grant.lease_id), grant)
            last[grant.account_id, grant.lease_id] = max(before, grant, key=lambda one: one.grant_no)
    keys = [{"account_id": account_id, "lease_id": lease_id} for account_id, lease_id in last]
    here = {(row.account_id, row.lease_id): row.grant_no for row in find(tx, lease, keys)}
    rows = [_lease_row(grant) for key, grant in last.items() if grant.grant_no > here.get(key, 0)]
    put(tx, lease, rows, dict.fromkeys(_DEADLINES, "given"))


def _lease_row(grant: Grant) -> dict[str, Any]:
    return {
        "account_id": grant.account_id, "lease_id": grant.lease_id, "till_id": grant.till_id, "epoch": grant.epoch,
        "grant_no": grant.grant_no, "kind": grant.kind, "hold_id": grant.hold_id, "points": grant.points,
        "state": "ended", "spend_for_s": grant.spend_for_s, "settle_until_ms": grant.settle_until_ms,
        "granted_at_ms": grant.granted_at_ms,
    }  # fmt: skip


def _note_shown(tx: Connection, poster: Poster, heads: Heads, proofs: Proofs) -> None:
    rows = []
    for ref, of_event in proofs.items():
        posted = poster.posted.get(ref)
        moved = tuple(Slice(key=step.key, points=step.points) for step in posted.leased) if posted else ()
        for proof in of_event:
            rest, moved = less(proof.rest, moved), less(moved, proof.rest)
            rows.append(_grant_row(proof.grant, rest, (*proof.shown_by, ref.till_id)))
            if proof.grant.account_id is None and not proof.is_known:
                granted = stream.c.float_granted + proof.grant.points
                tx.execute(update(stream).where(at(ref.till_id, ref.epoch)).values(float_granted=granted))
        _settle_state(tx, heads[ref])
    put(tx, till_grant, rows, {"unrestored": "given", "shown_by": "given"})


_SOME_LEFT = (lease_slice.c.points > 0,)
_GOES_ON = (
    update(lease)
    .where(lease.c.account_id == bindparam("of"), lease.c.lease_id == bindparam("named"), lease.c.state == "ended")
    .values(state="active", ended_at_ms=0)
)


def _settle_state(tx: Connection, head: Any) -> None:
    """A lease that has something again is active; one that was reclaimed stays so."""
    key = {"account_id": head.account_id or 0, "lease_id": head.lease_id}
    if find(tx, lease_slice, [key], ("points",), *_SOME_LEFT, told={}):
        tell(tx, _GOES_ON, {"of": key["account_id"], "named": head.lease_id})


def _grant_row(grant: Grant, rest: tuple[Slice, ...], showers: tuple[str, ...]) -> dict[str, Any]:
    return {
        "till_id": grant.till_id, "epoch": grant.epoch, "grant_no": grant.grant_no, "lease_id": grant.lease_id,
        "account_id": grant.account_id, "points": grant.points, "spend_for_s": grant.spend_for_s,
        "settle_until_ms": grant.settle_until_ms, "granted_at_ms": grant.granted_at_ms, "kind": grant.kind,
        "hold_id": grant.hold_id, "slices": _json(grant.slices), "unrestored": _json(rest),
        "shown_by": msgspec.json.encode(showers).decode(),
    }  # fmt: skip


# Rights that moved


def _note_holders(tx: Connection, told: dict[EventRef, LeaseMoved]) -> None:
    """Who got rights of a lease over the LAN holds some of it until they give them back; the last word of a batch."""
    holds: dict[tuple[Any, ...], bool] = {}
    for ref, head in told.items():
        if head.account_id is not None and head.what in ("received", "returned"):
            holds[head.account_id, head.lease_id, ref.till_id, ref.epoch] = head.what == "received"
    names = ("account_id", "lease_id", "till_id", "epoch")
    rows = [(dict(zip(names, key, strict=True)), is_held) for key, is_held in holds.items()]
    put(tx, lease_holder, [row for row, is_held in rows if is_held], "nothing")
    remove(tx, lease_holder, [row for row, is_held in rows if not is_held])


def _merged(parts: Iterable[Iterable[Slice]]) -> tuple[Slice, ...]:
    points: dict[LotKey, int] = {}
    for part in parts:
        for one in part:
            points[one.key] = points.get(one.key, 0) + one.points
    return tuple(Slice(key=key, points=points[key]) for key in sorted(points))


def _key(grant: Grant) -> GrantKey:
    return grant.till_id, grant.epoch, grant.grant_no


def _what(grant: Any) -> tuple[Any, ...]:
    """A till whose disk was put back asks for numbers again that a restore of head office had lost: what is shown then
    under such a number is not what is here under it."""
    return grant.lease_id, grant.account_id, grant.points, grant.granted_at_ms


def _of(key: tuple[str, int]) -> dict[str, Any]:
    return {"till_id": key[0], "epoch": key[1]}


def _json(slices: tuple[Slice, ...]) -> str:
    return msgspec.json.encode(slices).decode()
