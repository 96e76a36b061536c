"""Could the till have been told what it says it was told? Second finding, apart from whether it decided rightly.

An event told `(version v, counters c)` is explained when c is the fold of the account's first v events and of all
earlier ones of the same stream; the balance likewise. Stale but honest passes. Source: house.md "Same inputs".
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, not_

from central.database.rows import find
from central.database.tables import IS_COUNTER, lease_slice, lot, posting, use
from central.posting.posting import stored_heads
from central.recomputing.judging import Figures
from loyalty.facts.receipts import Receipt, ReceiptDetail
from loyalty.lots import EventRef
from loyalty.members import EARNED, REVERSED, SPENT, MemberView, Use, add_uses, counter
from loyalty.moments import moment_of
from loyalty.pricing.conditions import limit_name
from loyalty.pricing.leases import Authority
from loyalty.programme.compiled import Compiled

Finding = tuple[str, Figures]
_OWNED = ("available", "leased")


_NO_COUNTER, _OF_POINTS = (not_(IS_COUNTER),), (posting.c.unit == "point",)
_MOVED = ("account_id", "account_version", "source", "target", "valid_through", "amount")
_HOLDS = ("account_id", "valid_through", "points")


class History(msgspec.Struct, frozen=True):
    """What the books know of one account.

    Attributes:
        counters: rows of `use`, those of points left out.
        steps: rows of `use` about points, `postings` of points: both since the oldest version that anybody was told.
        held: points by last valid day now, leased ones in them.
    """

    counters: tuple[Any, ...] = ()
    steps: tuple[Any, ...] = ()
    postings: tuple[Any, ...] = ()
    held: Mapping[str, int] = {}


def histories(connection: Connection, told: Mapping[int, int | None]) -> dict[int, History]:
    """The history of each account: what it has now, and what happened since a version. Years of sales that went before
    stay where they are.

    Args:
        told: the oldest version of each account that a till was told; none where no till was.
    """
    keys = [{"account_id": one} for one in sorted(told)]
    since = [{"account_id": one, "account_version": version} for one, version in sorted(told.items())
             if version is not None]  # fmt: skip
    known = [{"account_id": one["account_id"]} for one in since]
    counters = _grouped(find(connection, use, keys, (), IS_COUNTER, told={}))
    steps = _grouped(find(connection, use, since, (), *_NO_COUNTER, told={}, beyond="account_version"))
    moves = _grouped(find(connection, posting, since, _MOVED, *_OF_POINTS, told={}, beyond="account_version"))
    held: dict[int, dict[str, int]] = {}
    for row in (*find(connection, lot, known, _HOLDS), *find(connection, lease_slice, known, _HOLDS)):
        of_account = held.setdefault(row.account_id, {})
        of_account[row.valid_through] = of_account.get(row.valid_through, 0) + row.points
    return {one: History(tuple(counters.get(one, ())), tuple(steps.get(one, ())), tuple(moves.get(one, ())),
                         held.get(one, {})) for one in told}  # fmt: skip


def unexplained(
    connection: Connection, ref: EventRef, account_version: int, detail: ReceiptDetail, history: History
) -> list[Finding]:
    """Findings about what a receipt was told; none where nothing was.

    Args:
        account_version: of the account, once this receipt was folded in.
    """
    view = detail.view
    if view is None or view.account_id is None:
        return []
    if view.version >= account_version:
        return [_finding(told_version=view.version, events_before=account_version - 1)]
    own = [row for row in (*history.counters, *history.steps) if _is_own(row, ref)]
    found = _differences(view, own, history)
    if found:
        # While a till did not know whose card it was, it kept no uses of the account.
        later = [row for row in own if row.account_version > view.version]
        named = stored_heads(connection, {_by(row) for row in later})
        unnamed = {by for by, head in named.items() if getattr(head, "account_id", None) is None}
        if unnamed:
            found = _differences(view, [row for row in own if _by(row) not in unnamed], history)
    return [_finding(**found)] if found else _authority(detail.authority, view)


def overshot(
    receipt: Receipt, ref: EventRef, account_version: int, compiled: Compiled | None, history: History
) -> list[Finding]:
    """Limits that this receipt went beyond because another till gave the same at the same time; both are named.

    Args:
        compiled: the receipt's programme; without it only the member's own coupons are known to serve once.
    """
    on = moment_of(receipt.place).on
    promotions = compiled.promotions if compiled else ()
    limits = {limit_name(one, on): one for one in promotions if one.limits and one.limits.times}
    found: list[Finding] = []
    for step in receipt.uses:
        promotion = limits.get(step.name)
        limit = (promotion.limits.times or 0) if promotion and promotion.limits else 1
        if step.amount <= 0 or (promotion is None and not step.name.startswith("coupon:")):
            continue
        before = [row for row in history.counters if row.name == step.name and row.account_version < account_version]
        used = sum(row.amount for row in before) + step.amount
        if used > limit and before:
            other = max(before, key=lambda row: row.account_version)
            what = {"promotion": promotion.id} if promotion else {"counter": step.name}
            cause = "limit_overshot" if promotion else "coupon_used_twice"
            found.append((cause, {**what, "limit": limit, "used": used,
                                  "other": f"{other.by_till}:{other.by_epoch}:{other.by_seq}"}))  # fmt: skip
    return found


def _differences(view: MemberView, own: Sequence[Row[Any]], history: History) -> Figures:
    """The first thing told that nobody could have told, beside what the books say."""
    told = [row for row in history.counters if row.account_version <= view.version]
    later = [row for row in own if row.account_version > view.version]
    counters = add_uses((), _uses(row for row in [*told, *later] if not row.name.startswith("points:")))
    if view.counters is not None and view.counters != counters:
        return _first_counter(view.counters, counters)
    steps = add_uses((), _uses(later))
    earned, gone = counter(steps, EARNED), counter(steps, SPENT) + counter(steps, REVERSED)
    balances = _balances(history, view.version)
    if view.balance_points - earned + gone not in balances:
        return {"told_balance": view.balance_points, "books_balance": max(balances) + earned - gone}
    if view.spendable_points > max(0, max(balances) - gone):
        return {"told_spendable": view.spendable_points, "books_spendable": max(0, max(balances) - gone)}
    return {}


def _balances(history: History, version: int) -> set[int]:
    """The balances that a row of this version can have shown, leased points in them: lots lapse between two rows of one
    version. They are what there is now but for what came and went since."""
    lots = dict(history.held)
    for row in history.postings:
        if row.account_version > version:
            step = (row.target in _OWNED) - (row.source in _OWNED)
            lots[row.valid_through] = lots.get(row.valid_through, 0) - step * row.amount
    sums, left = {0}, 0
    for day in sorted(lots, reverse=True):
        left += lots[day]
        sums.add(left)
    return sums


def _authority(authority: Authority, view: MemberView) -> list[Finding]:
    if authority.kind == "float" and authority.points > view.spendable_points:
        return [_finding(authority_points=authority.points, told_spendable=view.spendable_points)]
    return []


def _first_counter(told: Iterable[Use], books: Iterable[Use]) -> Figures:
    names = sorted({use.name for use in (*told, *books)})
    name = next(name for name in names if counter(told, name) != counter(books, name))
    return {"counter": name, "told": counter(told, name), "books": counter(books, name)}


def _finding(**figures: int | str) -> Finding:
    return "inputs_unexplained", figures


def _is_own(row: Row[Any], ref: EventRef) -> bool:
    return (row.by_till, row.by_epoch) == (ref.till_id, ref.epoch) and row.by_seq < ref.seq


def _by(row: Row[Any]) -> EventRef:
    return EventRef(till_id=row.by_till, epoch=row.by_epoch, seq=row.by_seq)


def _uses(rows: Iterable[Row[Any]]) -> Iterable[Use]:
    return (Use(name=row.name, amount=row.amount) for row in rows)


def _grouped(rows: Iterable[Row[Any]]) -> Mapping[int, list[Row[Any]]]:
    grouped: dict[int, list[Row[Any]]] = {}
    for row in rows:
        grouped.setdefault(row.account_id, []).append(row)
    return grouped
