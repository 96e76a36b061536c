"""What everybody together may have only so often: coupons of bearers, promotions that are limited in all, budgets.

Tills that are apart may each grant the last one. Every fact stands; in the order of sale each receipt beyond the limit
is a finding that names the one before it, whichever of them arrived first.
Source: engine.md capabilities 17 and 25; DECISIONS 14.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, func, select

from central.database.rows import as_table, find
from central.database.tables import event, flag, shared_use
from central.posting.fixed_receipts import Named, fixed_at, fixed_receipts, names_of
from central.posting.posting import stored_heads
from central.recomputing.judging import Figures
from loyalty.facts.events import Event
from loyalty.facts.receipts import Receipt
from loyalty.facts.reversals import Reversal, receipt_named
from loyalty.lots import EventRef
from loyalty.members import coupon_use
from loyalty.programme.compiled import Compiled

Finding = tuple[str, Figures]
Sales = Mapping[EventRef, tuple[Receipt, Compiled | None]]


class _Limit(NamedTuple):
    """The most of a counter, and what going beyond it is called."""

    most: int
    cause: str


class _Had(NamedTuple):
    """What one receipt had of a counter, less what came back of it."""

    sold_at_ms: int
    ref: EventRef
    amount: int
    is_judged: bool


def beyond_limits(connection: Connection, sales: Sales) -> dict[EventRef, list[Finding]]:
    """Findings about receipts that went beyond a limit.

    Args:
        sales: the receipts that are judged now, each with its programme; without that its limits are not known.
    Returns:
        By receipt; also by one that was judged before and that an earlier sale, arriving now, puts beyond the limit.
    """
    limits = _limits(sales)
    over = _totals_over(connection, limits)
    found: dict[EventRef, list[Finding]] = {}
    for name, everybody in _had(connection, over).items():
        most, cause = limits[name]
        used = known = 0
        for before, one in zip([None, *everybody], everybody, strict=False):
            used += one.amount
            known += 0 if one.ref in sales else one.amount
            is_new = one.ref in sales or (one.is_judged and known <= most)
            if before is not None and used > most and is_new:
                other = f"{before.ref.till_id}:{before.ref.epoch}:{before.ref.seq}"
                figures: Figures = {"counter": name, "limit": most, "used": used, "other": other}
                found.setdefault(one.ref, []).append((cause, figures))
    return found


def told_already(connection: Connection, refs: Iterable[EventRef]) -> dict[tuple[EventRef, str], list[str]]:
    """The counters that findings about these receipts name already, by receipt and cause."""
    told: dict[tuple[EventRef, str], list[str]] = {}
    for row in find(connection, flag, [msgspec.structs.asdict(ref) for ref in refs]):
        counter = msgspec.json.decode(row.figures).get("counter", "")
        told.setdefault((_ref(row), row.cause), []).append(counter)
    return told


def _limits(sales: Sales) -> dict[str, _Limit]:
    """The limits of counters that these receipts advance; of two programmes the one that allows more."""
    limits: dict[str, _Limit] = {}
    for receipt, compiled in sales.values():
        declared = _declared(compiled)
        for use in receipt.shared_uses:
            limit = _Limit(1, "coupon_used_twice") if use.name.startswith(coupon_use("")) else declared.get(use.name)
            if limit is not None and use.amount > 0:
                limits[use.name] = max(limit, limits.get(use.name, limit))
    return limits


def _declared(compiled: Compiled | None) -> dict[str, _Limit]:
    declared = {}
    for promotion in compiled.programme.promotions if compiled else ():
        if promotion.limits and promotion.limits.times_in_all:
            declared[f"promo:{promotion.id}"] = _Limit(promotion.limits.times_in_all, "limit_overshot")
        if promotion.limits and promotion.limits.budget_minor:
            declared[f"budget:{promotion.id}"] = _Limit(promotion.limits.budget_minor, "budget_overshot")
    return declared


def _totals_over(connection: Connection, limits: Mapping[str, _Limit]) -> list[str]:
    """The counters that stand beyond their limit; only of these the single receipts are looked at."""
    if not limits:
        return []
    asked = as_table(connection.dialect.name, [shared_use.c.name], [{"name": name} for name in limits])
    joined = shared_use.join(asked, shared_use.c.name == asked.c.name)
    totals = select(shared_use.c.name, func.sum(shared_use.c.amount).label("total")).select_from(joined)
    rows = connection.execute(totals.group_by(shared_use.c.name)).all()
    return sorted(row.name for row in rows if int(row.total) > limits[row.name].most)


def _had(connection: Connection, names: Iterable[str]) -> dict[str, list[_Had]]:
    """What each receipt had of each counter, in the order of sale."""
    rows = find(connection, shared_use, [{"name": name} for name in names])
    events = _events(connection, {_ref(row) for row in rows})
    # A void or return names its receipt, and takes from what that had.
    heads = stored_heads(connection, [ref for ref, row in events.items() if row.of_till])
    heads |= {ref: one.fact for ref, one in fixed_at(connection, events.keys() - heads.keys()).items()}
    # People may have posted it from what is in quarantine; it stands elsewhere then than its goods say.
    fixed = {(one.of, one.fact.receipt_id): ref
             for ref, one in fixed_receipts(connection, names_of(heads.values())).items()}  # fmt: skip
    named = {_of(row) for row in events.values() if row.of_till} | set(fixed.values())
    events |= _events(connection, named - events.keys())
    of = {ref: _taken_back(ref, row, heads.get(ref), events, fixed) for ref, row in events.items()}
    sums: dict[str, dict[EventRef, int]] = {}
    for row in rows:
        by_receipt, ref = sums.setdefault(row.name, {}), of[_ref(row)]
        by_receipt[ref] = by_receipt.get(ref, 0) + row.amount
    return {
        name: sorted(
            _Had(events[ref].sold_at_ms, ref, amount, bool(events[ref].checked))
            for ref, amount in by_receipt.items()
            if amount > 0 and ref in events
        )
        for name, by_receipt in sums.items()
    }


def _events(connection: Connection, refs: Iterable[EventRef]) -> dict[EventRef, Any]:
    columns = ["till_id", "epoch", "seq", "receipt_id", "sold_at_ms", "checked", "of_till", "of_epoch", "of_seq"]
    return {_ref(row): row for row in find(connection, event, [msgspec.structs.asdict(ref) for ref in refs], columns)}


def _taken_back(
    ref: EventRef, row: Any, head: Event | None, events: Mapping[EventRef, Any], fixed: Mapping[Named, EventRef]
) -> EventRef:
    """The receipt whose counters an event changes: its own, unless it takes back one that stands where it says, or
    where people posted it."""
    if not isinstance(head, Reversal):
        return ref
    if head.of is not None and (posted := fixed.get((head.of, receipt_named(head)))) is not None:
        return posted
    if (there := events.get(_of(row))) is None:
        return ref
    return _of(row) if receipt_named(head) in ("", there.receipt_id) else ref


def _ref(row: Any) -> EventRef:
    return EventRef(till_id=row.till_id, epoch=row.epoch, seq=row.seq)


def _of(row: Any) -> EventRef:
    return EventRef(till_id=row.of_till, epoch=row.of_epoch, seq=row.of_seq)
