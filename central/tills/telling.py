"""What is told of members: a row for one till, with what is in it of that till's own, or one that all tills share.

Source: house.md "History-dependent rules".
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, bindparam, func, not_, select

from central.coalition.programmes import current_programme
from central.database.asking import ask, ask_first
from central.database.rows import find
from central.database.tables import (
    IS_COUNTER,
    IS_LEFT,
    account,
    card,
    event,
    lease_slice,
    member,
    stream,
    till,
    use,
    waiting,
)
from central.keys.card_keys import retired_ids
from central.posting.books import live_lots
from central.tills.told_rows import ToldRows
from loyalty.lots import FOREVER
from loyalty.members import (
    EARNED,
    LEASED,
    REVERSED,
    SPENT,
    MemberRow,
    PublishedMember,
    Use,
    add_uses,
    counter,
)
from sync.ports import TillRecord

LATER_DAYS = 3
_OF_A_USE = ("account_id", "name", "amount", "by_till", "by_epoch", "by_seq")
LAST_VERSION = 2**53  # of an account that is gone: no row that a till has is newer


class Telling:
    """What a till is told of accounts, a table at a time.

    Args:
        asking: the till; none for rows that all tills share, in which everything of every stream is: those of accounts
            with an event that waits are not right for all.
        today: the centre's date (ISO), after which lots have lapsed.
        store_id: whose own members are told with their counters; the asking till's where it is none.
    """

    def __init__(
        self, connection: Connection, asking: TillRecord | None, today: str, *, store_id: str | None = None
    ) -> None:
        self._connection, self._asking, self._today = connection, asking, today
        its_store, self._seen = _about(connection, asking) if asking else ("", 0)
        self.store_id = store_id or its_store
        self._epoch = (asking.till_id, asking.epoch) if asking else ("", 0)
        # Lots that lapse at an instant of their last day are told until it is over: a till knows its store's clock.
        rules = current_programme(connection)
        self._through_last_day = rules is None or rules.options.expiry != "start_of_day"

    def of(self, rows: Sequence[Row[Any]]) -> list[PublishedMember]:
        """The rows of accounts, in order, as of all their events but those that this till still keeps itself.

        Args:
            rows: `account_id`, `version` and `status` of each; version none where the account is gone.
        """
        told = _Told(self, rows)
        return [told.published(row) for row in rows]

    def numbered(self, rows: Sequence[Row[Any]], kept: ToldRows) -> list[PublishedMember]:
        """The same of rows that also name the account's number in the lane, `no`; those that another till was told
        already are not read again.

        A till with an event that waits keeps uses of its own beside its rows, so that its rows are nobody else's.
        """
        if self._asking is None or first_waiting(self._connection, self._asking, {row.account_id for row in rows}):
            return self.of(rows)
        of_all = (self._today, self._through_last_day, retired_ids(self._connection))
        made_of = [(row.version, row.status, row.no, of_all) for row in rows]
        found = [kept.find(row.account_id, of, self.store_id) for row, of in zip(rows, made_of, strict=True)]
        new = [row for row, one in zip(rows, found, strict=True) if one is None]
        told = _Told(self, new)
        answer = []
        for row, of, one in zip(rows, made_of, found, strict=True):
            if one is None:
                one = told.published(row)
                kept.keep(row.account_id, of, told.home_of(row.account_id), self.store_id, one)
            answer.append(msgspec.structs.replace(one, row=msgspec.structs.replace(one.row, own_seq=self._seen)))
        return answer

    def between(self, first: int, last: int, at_once: int, *, home: bool = False) -> Iterator[PublishedMember]:
        """The rows of all accounts from one to another, ascending; with `home`, of the store's own members alone."""
        while first <= last:
            rows = self.accounts(first, last, at_once, home=home)
            yield from self.of(rows)
            if len(rows) < at_once:
                return
            first = rows[-1].account_id + 1

    def accounts(self, first: int, last: int, limit: int, *, home: bool = False) -> Sequence[Row[Any]]:
        """The accounts themselves, `limit` at most."""
        told = {"first": first, "last": last, "at_most": limit}
        if home:
            return ask(self._connection, _OF_STORE, {**told, "store": self.store_id})
        return ask(self._connection, _ACCOUNTS, told)


_ACCOUNTS = (
    select(account.c.account_id, account.c.version, account.c.status)
    .where(account.c.account_id.between(bindparam("first"), bindparam("last")))
    .order_by(account.c.account_id)
    .limit(bindparam("at_most"))
)
_OF_STORE = _ACCOUNTS.join_from(account, member, member.c.account_id == account.c.account_id).where(
    member.c.home_store_id == bindparam("store")
)


_THROUGH = lease_slice.c.valid_through >= bindparam("day")
_STILL_KEPT = (
    not_(IS_COUNTER), use.c.by_till == bindparam("till"), use.c.by_epoch == bindparam("in_epoch"),
    use.c.by_seq >= bindparam("first"),
)  # fmt: skip


class _Told:
    """What belongs to a set of accounts, read a table at a time."""

    def __init__(self, telling: Telling, rows: Sequence[Row[Any]]) -> None:
        connection, today = telling._connection, telling._today
        ids = [row.account_id for row in rows]
        keys = [{"account_id": one} for one in ids]
        self._lots = _grouped(live_lots(connection, ids, today, through_last_day=telling._through_last_day))
        leased = find(connection, lease_slice, keys, ("account_id", "points"), _THROUGH, IS_LEFT, told={"day": today})
        self._leased = _grouped(leased)
        self._facts = {row.account_id: row for row in find(connection, member, keys)}
        retired = retired_ids(connection)
        in_force = (card.c.key_id.not_in(retired),) if retired else ()
        self._cards = _grouped(find(connection, card, keys, ["account_id", "card_token"], *in_force))
        self._store = telling.store_id
        self._seen = telling._seen
        asking = telling._asking
        self._first_waiting = first_waiting(connection, asking, set(ids)) if asking else {}
        # Of its points only what a till still keeps itself is looked at: years of a member's sales stay where they are.
        uses = find(connection, use, keys, _OF_A_USE, IS_COUNTER, told={})
        if asking:
            late = {"till": asking.till_id, "in_epoch": asking.epoch,
                    "first": min(self._first_waiting.values(), default=telling._seen + 1)}  # fmt: skip
            uses = [*uses, *find(connection, use, keys, _OF_A_USE, *_STILL_KEPT, told=late)]
        self._uses = _grouped(uses)
        self._epoch = telling._epoch

    def home_of(self, account_id: int) -> str:
        """The store that a member belongs to; "" for none."""
        facts = self._facts.get(account_id)
        return facts.home_store_id if facts else ""

    def published(self, row: Any) -> PublishedMember:
        """The row of one account."""
        if row.version is None:
            gone = MemberRow(account_id=row.account_id, version=LAST_VERSION, own_seq=self._seen)
            return PublishedMember(row=gone, cards=(), closed=True)
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
        home_store = self.home_of(row.account_id)
        return PublishedMember(
            row=MemberRow(
                account_id=row.account_id,
                version=row.version,
                own_seq=own_seq,
                balance_points=points,
                tier=facts.tier if facts else "",
                segments=tuple(msgspec.json.decode(facts.segments)) if facts else (),
                birthday_mmdd=facts.birthday_mmdd if facts else "",
                # Counters go to the member's own store; to all where none is set.
                counters=_counters(held) if home_store in ("", self._store) else None,
                # The till takes what it spent off these, too.
                lapsing_points=max(0, lapsing_points + on_floats) if lapsing_on else 0,
                lapsing_on=lapsing_on,
                leased_points=leased - counter(kept, LEASED),
                # For its own store's tills: the others' rows are short, so that a new till has a million of them soon.
                lapsing_later=_later_to_lapse(lots) if home_store and home_store == self._store else (),
            ),
            cards=tuple(sorted(one.card_token for one in self._cards.get(row.account_id, []))),
            language=facts.language if facts else "",
            closed=row.status == "closed",
            home=bool(home_store) and home_store == self._store,
        )


_FIRST_WAITING = (
    select(event.c.account_id, func.min(event.c.seq))
    .join_from(waiting, event, and_(*(event.c[name] == waiting.c[name] for name in ("till_id", "epoch", "seq"))))
    .where(waiting.c.till_id == bindparam("till"), waiting.c.epoch == bindparam("in_epoch"))
    .group_by(event.c.account_id)
)


def first_waiting(connection: Connection, asking: TillRecord, accounts: set[int]) -> dict[int, int]:
    """By account, the first event of this stream that waits: it and all behind it stay with the till."""
    rows = ask(connection, _FIRST_WAITING, {"till": asking.till_id, "in_epoch": asking.epoch})
    return {account_id: seq for account_id, seq in rows if account_id in accounts}


_ASKING = select(till.c.store_id, stream.c.seq).join_from(
    till, stream, and_(stream.c.till_id == till.c.till_id, stream.c.epoch == bindparam("in_epoch")), isouter=True
).where(till.c.till_id == bindparam("till"))


def _about(connection: Connection, asking: TillRecord) -> tuple[str, int]:
    """Its store, and how far its stream is here."""
    row = ask_first(connection, _ASKING, {"till": asking.till_id, "in_epoch": asking.epoch})
    return (row.store_id, row.seq or 0) if row else ("", 0)


def _next_to_lapse(lots: Iterable[Row[Any]]) -> tuple[int, date | None]:
    """The points that lapse next of these lots, and their last valid day; none where all are good for ever."""
    by_day: dict[str, int] = {}
    for one in lots:
        by_day[one.valid_through] = by_day.get(one.valid_through, 0) + one.points
    day = min(by_day, default=FOREVER.isoformat())
    return (by_day[day], date.fromisoformat(day)) if day != FOREVER.isoformat() else (0, None)


def _later_to_lapse(lots: Iterable[Row[Any]]) -> tuple[tuple[date, int], ...]:
    """The last valid days after the next one with their points, the first few."""
    by_day: dict[str, int] = {}
    for one in lots:
        by_day[one.valid_through] = by_day.get(one.valid_through, 0) + one.points
    by_day.pop(FOREVER.isoformat(), None)
    return tuple((date.fromisoformat(day), by_day[day]) for day in sorted(by_day)[1 : 1 + LATER_DAYS])


def _counters(rows: Iterable[Row[Any]]) -> tuple[Use, ...]:
    return add_uses((), (one for one in _as_uses(rows) if not one.name.startswith("points:")))


def _as_uses(rows: Iterable[Row[Any]]) -> Iterable[Use]:
    return (Use(name=row.name, amount=row.amount) for row in rows)


def _grouped(rows: Iterable[Row[Any]]) -> Mapping[int, list[Row[Any]]]:
    grouped: dict[int, list[Row[Any]]] = {}
    for row in rows:
        grouped.setdefault(row.account_id, []).append(row)
    return grouped
