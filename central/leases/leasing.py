"""Holds and leases: points taken out of an account's balance for one till, which may then spend them without asking.

A hold is for one sale that asks now. A lease is for the members of a store, topped up while the line is there. The
account is locked while points are taken, so what is set aside twice is two sums. Source: offline-redemption.md.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Select, bindparam, func, select, update

from central.coalition.programmes import current_programme
from central.coalition.registry import partner_of
from central.coalition.streams import at
from central.database.asking import ask, ask_one, tell
from central.database.rows import find, hold, put
from central.database.tables import (
    IS_ACTIVE,
    IS_LEFT,
    account,
    lease,
    lease_holder,
    lease_slice,
    stream,
    till,
    till_grant,
)
from central.leases.granting import may_grant, newest_grant
from central.ports import Randomness
from central.posting.books import live_lots
from central.posting.own_posting import post_own
from central.posting.recorded import key_of
from central.streams.own_events import append_own
from central.worklist.worklist import raise_flags
from loyalty.facts.lease_events import Granted, Reclaimed
from loyalty.ledger.books import Flag, Posted
from loyalty.lots import EventRef, Lot, draw_down, points_in
from loyalty.moments import utc_date
from loyalty.pricing.leases import NotEnoughPoints, expiry_of, lease_wanted
from loyalty.programme.programme import LeaseRules, Programme
from sync.ports import LeaseTaken
from sync.wire import LeaseAsk

HOLD_FOR_S = 20 * 60  # the till lets a hold go after 15 minutes; it stops a minute early
HOLD_SETTLES_MS = 7 * 24 * 3_600_000  # a till that holds and is not heard
RECLAIMS = "reclaims"  # the stream
NEVER_MS = 2**53 - 1
DAY_MS = 24 * 3_600_000
AT_ONCE = 200
RECALLS_AT_ONCE = 50
_OF_THE_LAST_GRANT = ("grant_no", "state", "spend_for_s", "settle_until_ms", "granted_at_ms", "recalled_at_ms")
MOST_TOPPED_UP = 50  # accounts after one batch; who comes again is topped up again


class Set(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be set aside: the most points of which account, of what kind, for how long."""

    account_id: int
    kind: Literal["hold", "lease"]
    points: int
    spend_for_s: int
    settle_until_ms: int
    hold_id: str = ""


_HEARD = update(stream).where(at(bindparam("till"), bindparam("in_epoch"))).values(heard_at_ms=bindparam("now_ms"))
_SET_BEFORE = select(lease.c.points).where(
    lease.c.account_id == bindparam("of"), lease.c.till_id == bindparam("till"), lease.c.hold_id == bindparam("hold")
)
_STATUS = select(account.c.status).where(account.c.account_id == bindparam("of"))


def take_ask(tx: Connection, ask: LeaseAsk, now_ms: int, randomness: Randomness) -> LeaseTaken:
    """Answer a till that asks for points; the same request gets the same answer.

    The stream's row is written first, which keeps a second grant to the till out.
    """
    tell(tx, _HEARD, {"till": ask.till_id, "in_epoch": ask.epoch, "now_ms": now_ms})
    mine = {"of": ask.account_id, "till": ask.till_id, "hold": ask.request_id}
    before = ask_one(tx, _SET_BEFORE, mine)
    if before is not None:
        return LeaseTaken(granted=before, available=before)
    programme = current_programme(tx)
    if programme is None or programme.spending is None or not programme.spending.online:
        return LeaseTaken(refused="redemption.off")
    if not may_grant(tx, ask.till_id, ask.epoch, ask.grants):
        return LeaseTaken(refused="lease.suspended")
    if ask_one(tx, _STATUS, {"of": ask.account_id}) in (None, "closed"):
        return LeaseTaken(refused="account.unknown")
    lots = _locked_lots(tx, [ask.account_id], utc_date(now_ms))
    available = sum(one.points for one in lots[ask.account_id])
    if available < ask.points and not (ask.partial and available):
        recall(tx, [ask.account_id], now_ms)  # what lies at other tills may be here the next time
        return LeaseTaken(available=available, refused=NotEnoughPoints.code)
    wanted = Set(
        account_id=ask.account_id,
        kind=ask.kind,
        points=min(ask.points, available),
        spend_for_s=HOLD_FOR_S,
        settle_until_ms=now_ms + HOLD_SETTLES_MS,
        hold_id=ask.request_id,
    )
    granted = _set_aside(tx, ask.till_id, ask.epoch, [wanted], lots, programme, now_ms, randomness)
    return LeaseTaken(granted=granted, available=available)


_RECALLED = IS_ACTIVE, lease.c.recalled_at_ms > 0


def top_up_leases(
    tx: Connection,
    programme: Programme | None,
    till_id: str,
    epoch: int,
    account_ids: Collection[int],
    now_ms: int,
    randomness: Randomness,
    *,
    taken: int = 0,
) -> int:
    """Set points of members who have just been at a till aside for it, as the programme's lease rules say.

    The caller has moved the till's stream on in this transaction, so it is active, and locked the accounts.

    Args:
        programme: the one in force; none where there is none.
        account_ids: of a batch that was posted.
        taken: the newest grant that the till has; see `granting.may_grant`.
    Returns:
        How many points were set aside.
    """
    rules = _rules(programme)
    if programme is None or rules is None or not account_ids or not may_grant(tx, till_id, epoch, taken):
        return 0
    tills, ids = _tills_of_the_store(tx, till_id), sorted(account_ids)[:MOST_TOPPED_UP]
    lots, out = _locked_lots(tx, ids, utc_date(now_ms)), _leased(tx, ids)
    keys = [{"account_id": one} for one in ids]
    recalled = {row.account_id for row in find(tx, lease, keys, ("account_id",), *_RECALLED, told={})}
    wanted = []
    for account_id in ids:
        leased = out.get(account_id, {})
        own, of_store = leased.get(till_id, 0), sum(leased.get(one, 0) for one in tills)
        balance = sum(one.points for one in lots[account_id]) + sum(leased.values())
        share = lease_wanted(rules, balance, 0) // len(tills)
        points = min(lease_wanted(rules, balance, of_store), share - own)
        # While it is half full it is left alone: a lease for every sale would be a row for every sale.
        if points > 0 and own * 2 < share and account_id not in recalled:
            wanted.append(_lease(account_id, points, rules, now_ms))
    return _set_aside(tx, till_id, epoch, wanted, lots, programme, now_ms, randomness)


def _lease(account_id: int, points: int, rules: LeaseRules, now_ms: int) -> Set:
    settle_ms = 3_600_000 * rules.spend_for_hours + DAY_MS * (rules.settle_for_days or 0)
    return Set(
        account_id=account_id,
        kind="lease",
        points=points,
        spend_for_s=3_600 * rules.spend_for_hours,
        settle_until_ms=NEVER_MS if rules.settle_for_days is None else now_ms + settle_ms,
    )


_TO_RECALL = lease.c.state == "active", lease.c.kind == "lease", lease.c.recalled_at_ms == 0


def recall(tx: Connection, account_ids: Iterable[int], now_ms: int) -> int:
    """Ask for all leases of these accounts back; each till hears it with its next answer. How many there were."""
    keys = [{"account_id": one} for one in account_ids]
    rows = find(tx, lease, keys, (), *_TO_RECALL, told={})
    put(tx, lease, [{**row._mapping, "recalled_at_ms": now_ms} for row in rows], {"recalled_at_ms": "given"})
    return len(rows)


def _recalls() -> list[Select[tuple[str]]]:
    """Its own, and those of others: two queries, each from its own index."""
    whose, wanted = (bindparam("till"), bindparam("in_epoch")), (lease.c.state == "active", lease.c.recalled_at_ms > 0)
    own = select(lease.c.lease_id).where(lease.c.till_id == whose[0], lease.c.epoch == whose[1], *wanted)
    named = (lease.c.account_id == lease_holder.c.account_id) & (lease.c.lease_id == lease_holder.c.lease_id)
    held = select(lease.c.lease_id).join_from(lease_holder, lease, named)
    got = held.where(lease_holder.c.till_id == whose[0], lease_holder.c.epoch == whose[1], *wanted)
    return [query.order_by(lease.c.recalled_at_ms).limit(RECALLS_AT_ONCE) for query in (own, got)]


_RECALLS = _recalls()


def recalls_for(connection: Connection, till_id: str, epoch: int) -> tuple[str, ...]:
    """Leases that a till should give back: its own, and those it got rights of from another till of its store.

    Of the latter it is told anew whenever more of them come to it, however long after the recall.
    """
    whose = {"till": till_id, "in_epoch": epoch}
    return tuple(dict.fromkeys(name for query in _RECALLS for (name,) in ask(connection, query, whose)))


def reclaim_overdue(tx: Connection, now_ms: int, randomness: Randomness) -> dict[EventRef, Reclaimed]:
    """Take back what is left of leases whose holder was not heard in time.

    Whatever was spent on them and comes later is at the risk of the partner where it was spent; see docs/spending.md.

    Returns:
        The facts by place; at most `AT_ONCE`, so call it again until there are none.
    """
    is_over = IS_ACTIVE, lease.c.settle_until_ms <= now_ms
    first = select(lease.c.account_id, lease.c.lease_id).where(*is_over).order_by(lease.c.account_id, lease.c.lease_id)
    keys = [dict(row) for row in tx.execute(first.limit(AT_ONCE)).mappings()]
    if not keys:
        return {}
    append_own(tx, RECLAIMS, (), now_ms, randomness)
    hold(tx, account, [{"account_id": one} for one in {key["account_id"] for key in keys}], ("account_id",))
    # Read once more: its till may have been heard while we waited, and have been granted more to spend of it.
    rows = sorted(find(tx, lease, keys, (), *is_over), key=lambda row: (row.account_id, row.lease_id))
    if not rows:
        return {}
    facts = [
        Reclaimed(
            receipt_id=f"reclaim:{row.lease_id}",
            lease_id=row.lease_id,
            account_id=row.account_id,
            till_id=row.till_id,
            epoch=row.epoch,
            on=utc_date(now_ms),
        )
        for row in rows
    ]
    posted = post_own(tx, RECLAIMS, facts, now_ms, randomness)
    _flag_reclaimed(tx, posted, facts, now_ms)
    return dict(zip(posted, facts, strict=True))


def _flag_reclaimed(
    tx: Connection, posted: Mapping[EventRef, Posted], facts: Sequence[Reclaimed], now_ms: int
) -> None:
    """A row of the worklist for each: the partner of the till bears what its lease may still bring."""
    stores = {row.till_id: row.store_id for row in tx.execute(select(till.c.till_id, till.c.store_id))}
    flags, about = [], {}
    for (ref, did), fact in zip(posted.items(), facts, strict=True):
        store_id, on = stores[fact.till_id], fact.on.isoformat()
        partner_id = partner_of(tx, store_id, on)
        points = -sum(step.points for step in did.leased)
        flags.append(Flag(of=ref, cause="lease_reclaimed",
                          figures={"lease_id": fact.lease_id, "points": points, "bearer": partner_id}))  # fmt: skip
        about[ref] = {"receipt_id": fact.receipt_id, "store_id": store_id, "partner_id": partner_id,
                      "business_date": on, "account_id": fact.account_id}  # fmt: skip
    raise_flags(tx, flags, about, now_ms)


def leased_points(connection: Connection) -> dict[str, int]:
    """Points in leases by state, over all accounts: what is out, for health and reports."""
    of_lease = (lease.c.account_id == lease_slice.c.account_id) & (lease.c.lease_id == lease_slice.c.lease_id)
    summed = select(lease.c.kind, func.sum(lease_slice.c.points)).join_from(lease, lease_slice, of_lease)
    return {kind: int(points) for kind, points in connection.execute(summed.group_by(lease.c.kind))}


def _set_aside(
    tx: Connection,
    till_id: str,
    epoch: int,
    wanted: Sequence[Set],
    lots: Mapping[int, Sequence[Lot]],
    programme: Programme,
    now_ms: int,
    randomness: Randomness,
) -> int:
    """Grant what can be granted of these, and tell the books; how many points."""
    options, on = programme.options, utc_date(now_ms)
    grant_no = newest_grant(tx, till_id, epoch)
    extended = _extended(tx, till_id, epoch, [one.account_id for one in wanted if one.kind == "lease"])
    rows: list[dict[str, Any]] = []
    facts: list[Granted] = []
    for one in wanted:
        slices = draw_down(
            lots[one.account_id], one.points, today=on, order=options.lot_order, expiry=expiry_of(options)
        )
        points = points_in(slices)
        if not points:
            continue
        grant_no += 1
        lease_id = extended.get(one.account_id) or f"{one.kind}:{till_id}:{epoch}:{grant_no}"
        whose: dict[str, Any] = {
            "till_id": till_id, "epoch": epoch, "lease_id": lease_id, "kind": one.kind, "points": points,
            "account_id": one.account_id,
        }  # fmt: skip
        rows.append({**whose, "grant_no": grant_no, "hold_id": one.hold_id, "spend_for_s": one.spend_for_s,
                     "settle_until_ms": one.settle_until_ms, "granted_at_ms": now_ms, "recalled_at_ms": 0,
                     "slices": msgspec.json.encode(slices).decode()})  # fmt: skip
        named = f"grant:{lease_id}:{grant_no}"
        facts.append(Granted(receipt_id=named, granted_at_ms=now_ms, on=on, slices=slices, **whose))
    fresh = [{name: row[name] for name in row if name != "slices"} | {"state": "active"} for row in rows]
    put(tx, lease, fresh, {"points": "add", **dict.fromkeys(_OF_THE_LAST_GRANT, "given")})
    put(tx, till_grant, [{name: row[name] for name in row if name != "recalled_at_ms"} for row in rows])
    if facts:
        post_own(tx, f"grants:{till_id}", facts, now_ms, randomness)
    return sum(fact.points for fact in facts)


_OWN = (
    lease.c.till_id == bindparam("till"), lease.c.epoch == bindparam("in_epoch"), lease.c.kind == "lease",
    lease.c.state != "reclaimed",
)  # fmt: skip


def _extended(tx: Connection, till_id: str, epoch: int, account_ids: Sequence[int]) -> dict[int, str]:
    """The lease of each account that a till has or had, which a new grant makes larger; one that was reclaimed stays
    apart, for what its holder spent on it may still come."""
    keys, names = [{"account_id": one} for one in account_ids], ("account_id", "lease_id", "grant_no")
    found = find(tx, lease, keys, names, *_OWN, told={"till": till_id, "in_epoch": epoch})
    return {row.account_id: row.lease_id for row in sorted(found, key=lambda row: row.grant_no)}


def _locked_lots(tx: Connection, account_ids: Sequence[int], today: date) -> dict[int, list[Lot]]:
    """The live lots of accounts, read while nobody else can change them."""
    hold(tx, account, [{"account_id": one} for one in account_ids], ("account_id",))
    lots: dict[int, list[Lot]] = {one: [] for one in account_ids}
    for row in live_lots(tx, account_ids, today.isoformat()):
        earned_on = date.fromisoformat(row.earned_on) if row.earned_on else None
        lots[row.account_id].append(Lot(key=key_of(row), points=row.points, earned_on=earned_on))
    return lots


def _leased(tx: Connection, account_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Points of accounts in leases, by account and till."""
    keys = [{"account_id": one} for one in account_ids]
    left = find(tx, lease_slice, keys, ("account_id", "lease_id", "points"), IS_LEFT, told={})
    # Of all the leases there ever were of an account, few have anything left.
    named = [{"account_id": account_id, "lease_id": lease_id}
             for account_id, lease_id in {(row.account_id, row.lease_id) for row in left}]  # fmt: skip
    active = find(tx, lease, named, ("account_id", "lease_id", "till_id"), IS_ACTIVE, told={})
    holder = {(row.account_id, row.lease_id): row.till_id for row in active}
    out: dict[int, dict[str, int]] = {}
    for row in left:
        of_account = out.setdefault(row.account_id, {})
        at_till = holder.get((row.account_id, row.lease_id), "")
        of_account[at_till] = of_account.get(at_till, 0) + row.points
    return out


_ITS_STORE = select(till.c.store_id).where(till.c.till_id == bindparam("of")).scalar_subquery()
_OF_THE_STORE = select(till.c.till_id).where(till.c.store_id == _ITS_STORE, till.c.epoch > 0)


def _tills_of_the_store(tx: Connection, till_id: str) -> tuple[str, ...]:
    return tuple(one for (one,) in ask(tx, _OF_THE_STORE, {"of": till_id}))


def _rules(programme: Programme | None) -> LeaseRules | None:
    offline = programme.spending.offline if programme and programme.spending else None
    return offline.lease if offline else None
