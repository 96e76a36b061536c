"""What a span of the members comes to for a till, so that a row that is wrong, missing or too many there is found.

The chunk says what the span was; accounts that changed since are told as they are now, as far as the till's cursor says
that it has heard of them. What it has not heard of yet, what waits, and points whose last day is over but whose expiry
is not posted, are left apart. Source: sync.md section 3, "Convergence proof"; house.md section 4.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from central.database.asking import ask
from central.database.lanes import newest
from central.database.rows import find
from central.database.tables import account, changed, lease_slice, lot, member, member_page
from central.tills.snapshots import chunk_spans, span_of, sums_of, waiting_in
from central.tills.telling import Telling
from sync.ports import SpanDigest, TillRecord
from sync.snapshots import Span, digest_of, row_hash
from sync.wire import DigestAsk

MOST_APART = 2_500  # numbers of 16 digits, in a message below 64 KiB


def _moved_since() -> Any:
    told = member_page.c
    chosen = select(told.account_id, told.no, account.c.version, account.c.status, member.c.home_store_id)
    joined = chosen.join_from(member_page, account, account.c.account_id == told.account_id, isouter=True)
    joined = joined.join(member, member.c.account_id == told.account_id, isouter=True)
    return joined.where(told.no > bindparam("after"), _within(told.account_id))


def _within(account_id: Any) -> Any:
    return account_id.between(bindparam("first"), bindparam("last"))


def _accounts(column: Any, *more: Any) -> Any:
    return select(column).where(_within(column), *more).distinct()


_DAY = bindparam("day")
_MOVED = _moved_since()
_IN_CHANGE = _accounts(changed.c.account_id)
_LAPSING = (
    _accounts(lot.c.account_id, lot.c.points > 0, lot.c.valid_through <= _DAY),
    _accounts(lease_slice.c.account_id, lease_slice.c.valid_through < _DAY),
)


def digest_for(connection: Connection, asking: TillRecord, ask: DigestAsk, today: str) -> SpanDigest | None:
    """The span whose turn it is, in one snapshot; none where there is none, or too much of it is changing."""
    telling = Telling(connection, asking, today)
    chunks = chunk_spans(connection, telling.store_id)
    version = newest(connection).members
    if not chunks or not ask.cursor.isdecimal() or int(ask.cursor) > version:
        return None
    held = chunks[ask.place % len(chunks)]
    span, cursor = span_of(held), int(ask.cursor)
    if cursor < held.as_of:
        return None
    moved = _moved(connection, held.as_of, span)
    apart = _changing(connection, span, today) | {row.account_id for row in moved if row.no > cursor}
    if len(apart) > MOST_APART:
        return None
    return _digest(connection, telling, span, moved, apart)


def _digest(connection: Connection, telling: Telling, span: Span, moved: list[Row[Any]], apart: set[int]) -> SpanDigest:
    sums = sums_of(connection, span)
    but = apart | {row.account_id for row in moved}
    still = [hash_ for one, hash_ in zip(sums.ids, sums.hashes, strict=True) if one not in but]
    now = [row for row in moved if row.account_id not in apart and row.version is not None and _is_in(row, span)]
    hashes = [*still, *(row_hash(one, span) for one in telling.of(now) if not one.closed)]
    return SpanDigest(span=span, rows=len(hashes), digest=digest_of(hashes), apart=tuple(sorted(apart)))


def _moved(connection: Connection, after: int, span: Span) -> list[Row[Any]]:
    """Accounts of the span's numbers that were told since, whosever members they are now or were."""
    return list(ask(connection, _MOVED, {"after": after, "first": span.first, "last": span.last}))


def _is_in(row: Row[Any], span: Span) -> bool:
    return not span.home or row.home_store_id == span.home


def _changing(connection: Connection, span: Span, today: str) -> set[int]:
    """Accounts whose rows are not the same at every till that is up to date."""
    here = {"first": span.first, "last": span.last}
    found = waiting_in(connection, span) | {row.account_id for row in ask(connection, _IN_CHANGE, here)}
    for lapsing in _LAPSING:
        found |= {row.account_id for row in ask(connection, lapsing, {**here, "day": today})}
    return _of_store(connection, span, found)


def _of_store(connection: Connection, span: Span, accounts: Iterable[int]) -> set[int]:
    """Of a store's span, only its own members can be in the way."""
    if not span.home:
        return set(accounts)
    facts = find(connection, member, [{"account_id": one} for one in accounts], ["account_id", "home_store_id"])
    return {row.account_id for row in facts if row.home_store_id == span.home}
