"""Pages down: hotlist, programme, members, each by a cursor that is a number of its lane.

A member's row says which events of the asking till are in it (`own_seq`), so that the till drops just those of its
own uses. Source: house.md "History-dependent rules"; sync.md section 3.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, func, select

from central.books import live_lots
from central.lanes import newest
from central.programmes import current_programme
from central.registry import at
from central.rows import find
from central.tables import (
    account,
    card,
    event,
    hotlist,
    lease_slice,
    member,
    member_page,
    programme,
    release,
    stream,
    till,
    use,
    waiting,
)
from loyalty.lots import FOREVER
from loyalty.members import (
    EARNED,
    LEASED,
    REVERSED,
    SPENT,
    HotlistedCard,
    MemberRow,
    PublishedMember,
    Use,
    add_uses,
    counter,
)
from sync.ports import TillRecord
from sync.wire import Lane, Page, PageAsk

KEPT_PROGRAMMES = 2  # a till keeps the last two (DECISIONS 5)
MOST_ROWS = 10_000

_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
Numbered = list[tuple[int, Any]]


def page_for(connection: Connection, asking: TillRecord, ask: PageAsk, today: str, expires_ms: int = 0) -> Page:
    """The rows of a lane after a cursor, in one snapshot.

    Args:
        today: the centre's date (ISO), after which lots have lapsed.
        expires_ms: until when the lane may be relied on, 0 for ever.
    """
    version = newest(connection).of(ask.lane)
    restart = _NUMBER.fullmatch(ask.cursor) is None or int(ask.cursor) > version
    after = 0 if restart else int(ask.cursor)
    limit = min(ask.limit, MOST_ROWS)
    rows = _rows(connection, asking, ask.lane, after, limit, today)
    more = len(rows) == limit
    return Page(
        lane=ask.lane,
        from_cursor="" if restart else ask.cursor,
        # Numbers that were given to rows which have moved on since leave gaps; the end of the lane is its version.
        to_cursor=str(rows[-1][0] if more else version),
        version=version,
        more=more,
        restart=restart,
        expires_ms=expires_ms,
        rows=tuple(_raw(row) for _, row in rows),
    )


def _rows(
    connection: Connection, asking: TillRecord, lane: Lane, after: int, limit: int, today: str
) -> Numbered:
    if lane == "hotlist":
        return _hotlist(connection, after, limit)
    if lane == "programme":
        return _programmes(connection, after)
    return _members(connection, asking, after, limit, today)


def _hotlist(connection: Connection, after: int, limit: int) -> Numbered:
    """From the beginning, cards that were lifted need not be told."""
    chosen = select(hotlist).where(hotlist.c.no > after)
    chosen = chosen if after else chosen.where(hotlist.c.lifted == 0)
    rows = connection.execute(chosen.order_by(hotlist.c.no).limit(limit))
    return [(row.no, HotlistedCard(card_token=row.card_token, reason=row.reason, lifted=bool(row.lifted)))
            for row in rows]  # fmt: skip


def _programmes(connection: Connection, after: int) -> Numbered:
    """The documents themselves; their version is the hash of their bytes."""
    joined = select(release.c.no, programme.c.document).join_from(release, programme).where(release.c.no > after)
    rows = connection.execute(joined.order_by(release.c.no.desc()).limit(KEPT_PROGRAMMES)).all()
    return [(row.no, msgspec.Raw(row.document)) for row in reversed(rows)]


def _members(connection: Connection, asking: TillRecord, after: int, limit: int, today: str) -> Numbered:
    turn = member_page.c.no
    chosen = select(turn, account.c.account_id, account.c.version, account.c.status)
    joined = chosen.join_from(member_page, account, account.c.account_id == member_page.c.account_id)
    rows = connection.execute(joined.where(turn > after).order_by(turn).limit(limit)).all()
    told = _Told(connection, asking, rows, today)
    return [(row.no, told.published(row)) for row in rows]


class _Told:
    """What one till is told of a set of accounts, read a table at a time."""

    def __init__(self, connection: Connection, asking: TillRecord, rows: Sequence[Any], today: str) -> None:
        ids = [row.account_id for row in rows]
        keys = [{"account_id": one} for one in ids]
        # Lots that lapse at an instant of their last day are told until it is over: a till knows its store's clock.
        rules = current_programme(connection)
        through_last_day = rules is None or rules.options.expiry != "start_of_day"
        self._lots = _grouped(live_lots(connection, ids, today, through_last_day=through_last_day))
        self._leased = _grouped(find(connection, lease_slice, keys, (), lease_slice.c.valid_through >= today))
        self._facts = {row.account_id: row for row in find(connection, member, keys)}
        self._cards = _grouped(find(connection, card, keys, ["account_id", "card_token"]))
        self._store = connection.execute(select(till.c.store_id).where(till.c.till_id == asking.till_id)).scalar()
        self._seen = connection.execute(select(stream.c.seq).where(at(asking.till_id, asking.epoch))).scalar() or 0
        self._first_waiting = _first_waiting(connection, asking, keys)
        self._uses = _grouped(find(connection, use, keys))
        self._epoch = (asking.till_id, asking.epoch)

    def published(self, row: Any) -> PublishedMember:
        """The row of one account, as of all its events but those that this till still keeps itself."""
        facts = self._facts.get(row.account_id)
        own_seq = self._first_waiting.get(row.account_id, self._seen + 1) - 1
        uses = self._uses.get(row.account_id, [])
        kept = add_uses((), _as_uses(u for u in uses if (u.by_till, u.by_epoch) == self._epoch and u.by_seq > own_seq))
        lots = self._lots.get(row.account_id, [])
        leased = sum(one.points for one in self._leased.get(row.account_id, []))
        points = sum(one.points for one in lots) + leased
        points -= counter(kept, EARNED) - counter(kept, SPENT) - counter(kept, REVERSED)
        on_floats = counter(kept, SPENT) + counter(kept, LEASED)
        lapsing_points, lapsing_on = _next_to_lapse(lots)
        held = [u for u in uses if not ((u.by_till, u.by_epoch) == self._epoch and u.by_seq > own_seq)]
        return PublishedMember(
            row=MemberRow(
                account_id=row.account_id,
                version=row.version,
                own_seq=own_seq,
                balance_points=points,
                tier=facts.tier if facts else "",
                segments=tuple(msgspec.json.decode(facts.segments)) if facts else (),
                birthday_mmdd=facts.birthday_mmdd if facts else "",
                counters=_counters(held) if self._is_home(facts) else None,
                # The till takes what it spent off these, too.
                lapsing_points=max(0, lapsing_points + on_floats) if lapsing_on else 0,
                lapsing_on=lapsing_on,
                leased_points=leased - counter(kept, LEASED),
            ),
            cards=tuple(sorted(one.card_token for one in self._cards.get(row.account_id, []))),
            language=facts.language if facts else "",
            closed=row.status == "closed",
        )

    def _is_home(self, facts: Row[Any] | None) -> bool:
        """Counters go to the member's own store; to all where none is set."""
        return facts is None or facts.home_store_id in ("", self._store)


def _first_waiting(connection: Connection, asking: TillRecord, keys: Sequence[Mapping[str, int]]) -> dict[int, int]:
    """By account, the first event of this stream that waits: it and all behind it stay with the till."""
    its_own = and_(*(event.c[name] == waiting.c[name] for name in ("till_id", "epoch", "seq")))
    here = waiting.c.till_id == asking.till_id, waiting.c.epoch == asking.epoch
    waits = select(event.c.account_id, func.min(event.c.seq)).join_from(waiting, event, its_own).where(*here)
    grouped = waits.group_by(event.c.account_id)
    wanted = {key["account_id"] for key in keys}
    return {account_id: seq for account_id, seq in connection.execute(grouped) if account_id in wanted}


def _next_to_lapse(lots: Iterable[Row[Any]]) -> tuple[int, date | None]:
    """The points that lapse next of these lots, and their last valid day; none where all are good for ever."""
    by_day: dict[str, int] = {}
    for one in lots:
        by_day[one.valid_through] = by_day.get(one.valid_through, 0) + one.points
    day = min(by_day, default=FOREVER.isoformat())
    return (by_day[day], date.fromisoformat(day)) if day != FOREVER.isoformat() else (0, None)


def _counters(rows: Iterable[Row[Any]]) -> tuple[Use, ...]:
    return add_uses((), (one for one in _as_uses(rows) if not one.name.startswith("points:")))


def _as_uses(rows: Iterable[Row[Any]]) -> Iterable[Use]:
    return (Use(name=row.name, amount=row.amount) for row in rows)


def _grouped(rows: Iterable[Row[Any]]) -> dict[int, list[Row[Any]]]:
    grouped: dict[int, list[Row[Any]]] = {}
    for row in rows:
        grouped.setdefault(row.account_id, []).append(row)
    return grouped


def _raw(row: Any) -> msgspec.Raw:
    return row if isinstance(row, msgspec.Raw) else msgspec.Raw(msgspec.json.encode(row))
