"""Pages down: hotlist, programme, members, each by a cursor that is a number of its lane.

A member's row says which events of the asking till are in it (`own_seq`), so that the till drops just those of its
own uses. Source: house.md "History-dependent rules"; sync.md section 3.
"""

import re
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, bindparam, select

from central.coalition.settings import generation
from central.database.asking import ask
from central.database.lanes import floor_of, newest
from central.database.tables import account, hotlist, member_page, programme, release
from central.posting.certificates import certificates_after
from central.tills.telling import Telling
from central.tills.told_rows import ToldRows
from loyalty.members import HotlistedCard
from sync.ports import TillRecord
from sync.wire import Lane, Page, PageAsk

KEPT_PROGRAMMES = 2  # a till keeps the last two (DECISIONS 5)
MOST_ROWS = 10_000
MOST_BYTES = 4 * 1024 * 1024  # of rows as JSON, below what a page may inflate to

_CURSOR = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?", re.ASCII)
Numbered = list[tuple[int, Any]]


class _Place(NamedTuple):
    """Where a cursor stands: rows up to number `after` are told. While a lane that began anew is not told to its end,
    `begun` is the number it had as it began: what went before that the till gives up at the end, told or not."""

    after: int
    begun: int = 0

    def cursor_at(self, no: int) -> str:
        """The cursor behind the row of this number, where more are to come."""
        return f"{no}-{self.begun}" if self.begun else str(no)


def page_for(
    connection: Connection, asking: TillRecord, ask: PageAsk, today: str, expires_ms: int = 0, *, told: ToldRows
) -> Page:
    """The rows of a lane after a cursor, in one snapshot.

    Args:
        told: rows of members that other tills were told.
        today: the centre's date (ISO), after which lots have lapsed.
        expires_ms: until when the lane may be relied on, 0 for ever.
    """
    version = newest(connection).of(ask.lane)
    if ask.last and ask.lane == "members":
        return _range(connection, asking, ask, today, version)
    going_on = _place_of(connection, ask, version)
    restart, place = going_on is None, going_on or _Place(0, version)
    limit = min(ask.limit, MOST_ROWS)
    found = _rows(connection, asking, ask.lane, place.after, limit, today, told)
    rows = _that_fit([(no, _raw(row)) for no, row in found], ask)
    more = len(found) == limit or len(rows) < len(found)
    return Page(
        lane=ask.lane,
        from_cursor="" if restart else ask.cursor,
        # Numbers that were given to rows which have moved on since leave gaps; the end of the lane is its version.
        to_cursor=place.cursor_at(rows[-1][0]) if more else str(version),
        version=version,
        more=more,
        restart=restart,
        expires_ms=expires_ms,
        rows=tuple(row for _, row in rows),
        generation=generation(connection) if ask.lane == "members" else 0,
    )


def begins_anew(connection: Connection, ask: PageAsk, version: int) -> bool:
    """Whether a lane cannot go on from a cursor: none, one that was never given here, or one from before rows whose
    disappearance has been forgotten."""
    return _place_of(connection, ask, version) is None


def _place_of(connection: Connection, ask: PageAsk, version: int) -> _Place | None:
    """Where the lane goes on from; none where it begins anew."""
    found = _CURSOR.fullmatch(ask.cursor)
    if found is None:
        return None
    place = _Place(int(found[1]), int(found[2] or 0))
    return place if floor_of(connection, ask.lane) <= max(place) <= version else None


def _range(connection: Connection, asking: TillRecord, ask: PageAsk, today: str, version: int) -> Page:
    """Accounts as they are now; those that are closed need not be told, for the page says what there is."""
    telling, limit = Telling(connection, asking, today), min(ask.limit, MOST_ROWS)
    accounts = telling.accounts(ask.first, ask.last, limit, home=ask.home)
    told = [(one.row.account_id, _raw(one)) for one in telling.of(accounts) if not one.closed]
    rows = _that_fit(told, ask)
    is_cut = len(rows) < len(told)
    more = is_cut or len(accounts) == limit
    last = rows[-1][0] if is_cut else accounts[-1].account_id if more else ask.last
    return Page(
        lane=ask.lane,
        from_cursor=ask.cursor,
        to_cursor=ask.cursor,
        version=version,
        more=more and last < ask.last,
        rows=tuple(row for _, row in rows),
        first=ask.first,
        last=last,
        generation=generation(connection),
    )


def _that_fit(rows: list[tuple[int, msgspec.Raw]], ask: PageAsk) -> list[tuple[int, msgspec.Raw]]:
    """The first rows that stay below what was asked for in bytes; one at least."""
    left = min(ask.most_bytes or MOST_BYTES, MOST_BYTES)
    for count, (_, row) in enumerate(rows):
        left -= len(bytes(row))
        if left < 0 and count:
            return rows[:count]
    return rows


def _rows(
    connection: Connection, asking: TillRecord, lane: Lane, after: int, limit: int, today: str, told: ToldRows
) -> Numbered:
    if lane == "hotlist":
        return _hotlist(connection, after, limit)
    if lane == "programme":
        return _programmes(connection, after)
    if lane == "certificates":
        return certificates_after(connection, asking, after, limit)
    return _members(connection, asking, after, limit, today, told)


_HOTLIST = select(hotlist).where(hotlist.c.no > bindparam("after")).order_by(hotlist.c.no).limit(bindparam("at_most"))
_BLOCKED = _HOTLIST.where(hotlist.c.lifted == 0)


def _hotlist(connection: Connection, after: int, limit: int) -> Numbered:
    """From the beginning, cards that were lifted need not be told."""
    rows = ask(connection, _HOTLIST if after else _BLOCKED, {"after": after, "at_most": limit})
    return [(row.no, HotlistedCard(card_token=row.card_token, reason=row.reason, lifted=bool(row.lifted)))
            for row in rows]  # fmt: skip


_RELEASED = (
    select(release.c.no, programme.c.document)
    .join_from(release, programme)
    .where(release.c.no > bindparam("after"))
    .order_by(release.c.no.desc())
    .limit(KEPT_PROGRAMMES)
)


def _programmes(connection: Connection, after: int) -> Numbered:
    """The documents themselves; their version is the hash of their bytes."""
    rows = ask(connection, _RELEASED, {"after": after})
    return [(row.no, msgspec.Raw(row.document)) for row in reversed(rows)]


_CHANGED = (
    select(member_page.c.no, member_page.c.account_id, account.c.version, account.c.status)
    .join_from(member_page, account, account.c.account_id == member_page.c.account_id, isouter=True)
    .where(member_page.c.no > bindparam("after"))
    .order_by(member_page.c.no)
    .limit(bindparam("at_most"))
)


def _members(
    connection: Connection, asking: TillRecord, after: int, limit: int, today: str, kept: ToldRows
) -> Numbered:
    """Accounts that changed; one that is gone altogether is told as closed."""
    rows = ask(connection, _CHANGED, {"after": after, "at_most": limit})
    if not rows:
        return []
    told = Telling(connection, asking, today).numbered(rows, kept)
    return [(row.no, member) for row, member in zip(rows, told, strict=True)]


def _raw(row: Any) -> msgspec.Raw:
    return row if isinstance(row, msgspec.Raw) else msgspec.Raw(msgspec.json.encode(row))
