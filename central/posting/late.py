"""Events that name one which has not arrived: posted when it comes, or after a grace without it.

Source: house.md section 4, point 2.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, bindparam, exists, or_, select

from central.coalition.periods import hold_open_period
from central.database.asking import ask, ask_first
from central.database.tables import claim, event, quarantine_outcome, waiting
from central.ports import Randomness
from central.posting.member_facts import note_reversals
from central.posting.posting import Heads, Poster, stored_heads
from central.posting.recorded import RECEIPT
from loyalty.facts.reversals import Return, ReturnVoid
from loyalty.lots import EventRef
from loyalty.moments import DAY_MS

GRACE_DAYS = 7
AT_ONCE = 200


def post_arrived(tx: Connection, now_ms: int, randomness: Randomness) -> int:
    """Post events that wait although what they name is here: both came at once, and neither saw the other.

    Returns:
        How many were posted; at most `AT_ONCE`, so call it again until it is 0.
    """
    # Most of what waits does so for days: nothing is locked for a look that finds nobody's event here.
    if ask_first(tx, _HERE) is None and ask_first(tx, _FIXED) is None:
        return 0
    poster = _poster(tx, now_ms, randomness)
    heads = _chosen(tx, _HERE_FIRST) or _chosen(tx, _FIXED_FIRST)
    poster.open_late(heads)
    poster.post_late(heads)
    poster.write(_mark(heads, now_ms))
    note_reversals(tx, (head for ref, head in heads.items() if poster.is_settled(ref)))
    return poster.settled


def post_overdue(tx: Connection, now_ms: int, randomness: Randomness, grace_days: int = GRACE_DAYS) -> int:
    """Post returns whose receipt did not come in time as returns without one; give up voids of nothing.

    What has arrived after all is posted as it should be, first.

    Returns:
        How many were settled; at most `AT_ONCE`, so call it again until it is 0.
    """
    if arrived := post_arrived(tx, now_ms, randomness):
        return arrived
    poster = _poster(tx, now_ms, randomness)
    heads = _chosen(tx, _OVERDUE_FIRST, {"until_ms": now_ms - grace_days * DAY_MS})
    returns = {ref: msgspec.structs.replace(head, of=None) for ref, head in heads.items()
               if isinstance(head, Return | ReturnVoid)}  # fmt: skip
    poster.open_late({**heads, **returns})
    for ref in returns:
        poster.flag(ref, "posted_unreferenced", grace_days=grace_days)
    poster.post_late(returns)
    for ref in sorted(heads.keys() - returns.keys()):
        poster.strike_late(ref, "void_of_nothing", "The receipt that it voids never came.", heads[ref])
    poster.write(_mark(heads, now_ms))
    return len(heads)


def _for_those_here() -> Any:
    """What waits for a receipt that stands at the place it names, and is the one it names."""
    named = or_(waiting.c.of_receipt == "", waiting.c.of_receipt == event.c.receipt_id)
    here = select(waiting).join(event, _same(event.c))
    return here.where(event.c.state == "posted", event.c.kind == RECEIPT, named)


def _for_those_fixed() -> Any:
    """What waits for a receipt that people posted instead of the event at the place it names."""
    outcome, own = quarantine_outcome.c, _same(claim.c) & (claim.c.receipt_id == waiting.c.of_receipt)
    here = select(waiting).join(claim, own)
    return here.where(exists().where(_same(outcome), outcome.outcome == "fixed"))


def _same(columns: Any) -> Any:
    here = columns.till_id == waiting.c.of_till, columns.epoch == waiting.c.of_epoch, columns.seq == waiting.c.of_seq
    return and_(*here)


_PLACE = waiting.c.till_id, waiting.c.epoch, waiting.c.seq


def _first(chosen: Any) -> Any:
    """The oldest of them. A batch that brings what they name at this very moment posts them too; whoever is second
    finds none."""
    oldest = chosen.order_by(waiting.c.since_ms, waiting.c.till_id, waiting.c.seq).limit(AT_ONCE)
    return oldest.with_for_update(of=waiting)


_HERE, _FIXED = (chosen.with_only_columns(*_PLACE).limit(1) for chosen in (_for_those_here(), _for_those_fixed()))
_HERE_FIRST, _FIXED_FIRST = _first(_for_those_here()), _first(_for_those_fixed())
_OVERDUE_FIRST = _first(select(waiting).where(waiting.c.since_ms <= bindparam("until_ms")))


def _poster(tx: Connection, now_ms: int, randomness: Randomness) -> Poster:
    """Made before anything else is locked: a close holds the period while it waits for batches, and these for us."""
    return Poster(tx, period_no=hold_open_period(tx), now_ms=now_ms, randomness=randomness)


def _chosen(tx: Connection, chosen: Any, told: Mapping[str, Any] = MappingProxyType({})) -> Heads:
    rows = ask(tx, chosen, told)
    return stored_heads(tx, [EventRef(till_id=row.till_id, epoch=row.epoch, seq=row.seq) for row in rows])


def _mark(heads: Heads, now_ms: int) -> str:
    first = min(heads, default=None)
    return f"late:{now_ms}:{first.till_id}:{first.epoch}:{first.seq}" if first else ""
