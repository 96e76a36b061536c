"""What left one account came to the other, once and whole; accounts that were merged away hold nothing.

Source: docs/ledger.md "Transfer", "Merge".
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from central.database import tables as t
from central.verify.refold import Ref
from central.verify.violations import Violations

Events = Mapping[Ref, Mapping[str, Any]]
MOVE = "move.v1"


def merges(events: Events) -> dict[int, int]:
    """The accounts that were merged away, and into which, as the arrivals say."""
    closing = [event for event in events.values() if event["type"] == MOVE and event.get("closes")]
    arrived = [event for event in closing if event.get("direction") == "in" and isinstance(event.get("other_id"), int)]
    return {event["other_id"]: event["account_id"] for event in arrived}


def homes(account_id: int, merged: Mapping[int, int]) -> list[int]:
    """An account, the one it was merged into, and so on."""
    found = [account_id]
    while found[-1] in merged and merged[found[-1]] not in found:
        found.append(merged[found[-1]])
    return found


def check_moves(db: Connection, found: Violations, events: Events) -> None:
    """Hold departures against arrivals, and what the tables say of merged accounts against both."""
    moves = {ref: event for ref, event in events.items() if event["type"] == MOVE}
    arrived: dict[Ref, list[Mapping[str, Any]]] = defaultdict(list)
    for ref, event in sorted(moves.items()):
        if event["direction"] == "in":
            of = tuple(event.get("of") or ())
            arrived[of].append(event)  # type: ignore[index]
            out = moves.get(of, {})  # type: ignore[call-overload]
            found.differs("move.departed", ref, "out", out.get("direction", "not there"))
    for ref, event in sorted(moves.items()):
        if event["direction"] == "out":
            wanted = (event["other_id"], event["account_id"], _points(event))
            came = [(one["account_id"], one["other_id"], _points(one)) for one in arrived[ref]]
            found.differs("move.arrived", ref, [wanted], came)
    _check_merged(db, found, merges(events))


def _points(event: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    """By issuer and terms, which never change; the last valid day may."""
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for (_, issuer, terms), points in (*event.get("slices", ()), *event.get("expired", ())):
        sums[issuer, terms] += points
    return dict(sums)


def _check_merged(db: Connection, found: Violations, merged: Mapping[int, int]) -> None:
    kept = {row.account_id: row for row in db.execute(select(t.account).where(t.account.c.merged_into != 0))}
    for account_id in sorted(kept.keys() | merged.keys()):
        said = kept[account_id].merged_into if account_id in kept else 0
        found.differs("account.merged", account_id, merged.get(account_id, 0), said)
        if account_id in kept:
            found.differs("account.closed", account_id, "closed", kept[account_id].status)
    held = select(t.lot.c.account_id).where(t.lot.c.points + t.lot.c.expired > 0)
    for account_id in sorted(set(db.execute(held).scalars()) & merged.keys()):
        found.differs("account.emptied", account_id, "no points", "points")
    for account_id in sorted(set(db.execute(select(t.card.c.account_id)).scalars()) & merged.keys()):
        found.differs("account.cards", account_id, "no cards", "a card")
