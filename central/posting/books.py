"""The accounts and earlier events that a set of events names, opened together, posted on, written back together.

Which lots pay is decided by the kernel's `post_event` alone; here is only reading and writing, a statement a table.
Source: house.md section 5.
"""

import logging
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from datetime import date
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, bindparam, update

from central.coalition.registry import all_terms
from central.database.asking import tell
from central.database.lanes import mark_changed
from central.database.rows import Cells, OnConflict, Soon, find, find_soon, hold_soon, put, put_cells, put_soon, remove
from central.database.tables import account, debt, event, lease, lease_slice, lot, posting, reversed_, shared_use, use
from central.members.accounts import accounts_of_cards, give_cards
from central.ports import Randomness, without_waiting
from central.posting.book_rows import debt_of, debt_row, lot_row, posting_row, reversed_row, use_rows
from central.posting.certificate_books import open_certificates, write_certificates
from central.posting.fixed_receipts import fixed_receipts, fixed_returns, names_of, returns_named
from central.posting.plain_sales import plain_sales
from central.posting.recorded import RECEIPT, key_columns, key_of, lot_key, recorded_receipts
from central.posting.returned import posted_returns, rows_of_returns
from loyalty.facts.events import Event, own_uses, points_told
from loyalty.facts.fixed import Fixed
from loyalty.facts.lease_events import Granted, LeaseMoved, Reclaimed
from loyalty.facts.member_events import MemberEvent, owned_tokens
from loyalty.facts.receipts import Receipt
from loyalty.facts.reversals import Reversal, Void
from loyalty.ledger.books import NOBODY, Account, Books, Posted
from loyalty.ledger.postings import post_event
from loyalty.lots import Debt, EventRef
from loyalty.members import REVERSED, SPENT, Use, add_uses
from loyalty.trouble import InvariantBroken

_STANDS = ("account_id", "version", "merged_into")
_LOCKED: OnConflict = {"version": "most", "version_before": ("old", "version")}
_LOT = ("account_id", "valid_through", "issuer_id", "terms_id", "points", "earned_on", "expired", "redated_to")
NEVER = -1  # no version of an account
MISTAKES = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
_log = logging.getLogger(__name__)


class Unpostable(InvariantBroken):
    """Our own code trips over an event that it let in; it waits in quarantine for a version that can."""

    code = "event.unpostable"


class _Done(NamedTuple):
    """What became of an event, and its rows."""

    posted: Posted
    postings: list[Cells]
    uses: list[Cells]


class CentreBooks:
    """Books over one transaction.

    Args:
        period_no: the period that postings belong to.
    """

    def __init__(self, tx: Connection, *, period_no: int, now_ms: int, randomness: Randomness) -> None:
        self._tx = tx
        self._now_ms = now_ms
        self._randomness = randomness
        self._cards: dict[str, int] = {}
        self._owed_before: dict[int, tuple[Debt, ...]] = {}
        self._new: list[_Done] = []
        self._posted: list[Posted] = []
        self._shared: list[Cells] = []
        self._ahead: dict[int, int] = {}  # accounts read before the lock, with the version that they had
        self._decided: dict[EventRef, _Done] = {}  # sales of these, as far as the lock has not said otherwise
        self._raised: dict[int, int] = {}  # the versions that were written with the lock and hold
        self._marked: set[int] = set()
        self._points: dict[EventRef, tuple[int, int]] = {}
        self._merged: dict[int, int] = {}
        self.unknown_accounts: set[int] = set()
        self.books = Books(all_terms(tx), period_no)

    def open(
        self,
        events: Iterable[Event],
        new: Mapping[EventRef, Event] = MappingProxyType({}),
        meanwhile: Callable[[Iterator[tuple[EventRef, Posted]]], None] = lambda _: None,
    ) -> None:
        """Read all that these events may touch, and lock their accounts, in the order of their numbers.

        Args:
            new: those of them that will be posted in this order.
            meanwhile: is given plain sales among them as each is decided, before the lock. It runs within
                `without_waiting`; what it does not take is decided in its turn.
        """
        told_events = tuple(events)
        events = tuple(one.fact if isinstance(one, Fixed) else one for one in told_events)
        heads = [one for one in events if isinstance(one, Receipt | Reversal)]
        refs = {one.of for one in heads if isinstance(one, Reversal) and one.of is not None}
        arrived = {EventRef(till_id=row.till_id, epoch=row.epoch, seq=row.seq): row
                   for row in find(self._tx, event, [msgspec.structs.asdict(ref) for ref in refs])}  # fmt: skip
        beside = {name for name in names_of(heads) if not _is_at(arrived.get(name[0]), name[1])}
        instead = fixed_receipts(self._tx, beside) if beside else {}
        arrived |= {EventRef(till_id=row.till_id, epoch=row.epoch, seq=row.seq): row
                    for row in find(self._tx, event, [msgspec.structs.asdict(ref) for ref in instead])}  # fmt: skip
        self._points = {ref: (row.points_earned, row.points_spent) for ref, row in arrived.items()}
        tokens = {one.card_token for one in heads if one.card_token is not None}
        give_cards(self._tx, events, self._now_ms, self._randomness)
        tokens |= {token for one in events if isinstance(one, MemberEvent) for token in owned_tokens(one)}
        self._cards = accounts_of_cards(self._tx, tokens, self._now_ms, self._randomness)
        told = {account_id for one in events if (account_id := getattr(one, "account_id", None)) is not None}
        undone = returns_named(heads)
        undone_instead = fixed_returns(self._tx, undone) if undone else {}
        returns = {ref for ref, _ in undone} | undone_instead.keys()
        seen = {row.account_id for row in (*arrived.values(), *rows_of_returns(self._tx, returns, undone_instead))}
        # A sale to nobody has no account to lock, so whoever takes its goods back locks the sale.
        put(self._tx, event, [dict(row._mapping) for row in arrived.values() if row.account_id == NOBODY],
            {"checked": "keep"})  # fmt: skip
        sales: Mapping[EventRef, tuple[Receipt, int]] = {}
        if self._tx.dialect.name == "postgresql":  # on SQLite all that others could wait for is held already
            sales = plain_sales(told_events, new, self.account_of, seen)
            self._read_ahead({who for _, who in sales.values()})
        with without_waiting(self._tx):
            meanwhile(self._decided_ahead(sales))
            self._lock((told | seen | set(self._cards.values())) - {NOBODY}, told)
        self._open_leases(events)
        open_certificates(self._tx, self.books, events)
        # Read last: while we waited, another till may have taken goods of the same receipt back. Only of what had
        # arrived before we locked.
        for recorded in recorded_receipts(self._tx, arrived, self.books, self._merged, instead):
            self.books.remember(recorded)
        for returned in posted_returns(self._tx, returns, arrived.keys(), self._merged, undone_instead):
            self.books.remember_return(returned)

    def _lock(self, account_ids: set[int], told: set[int]) -> None:
        known = find_soon(self._tx, account, [{"account_id": one} for one in told], ("account_id",))
        self.lock(account_ids)
        self.unknown_accounts = told - {row.account_id for row in known()}

    def lock(self, account_ids: Iterable[int]) -> None:
        """Keep others from these accounts, and from those they were merged into, and read what they hold."""
        ids = set(account_ids)
        new = {"status": "unregistered", "created_at_ms": self._now_ms}
        versions = {one: self.books.account(one).version if one in self._ahead else 0 for one in ids}
        if self._tx.dialect.name == "postgresql":
            # What was decided is written with the lock, all in one order; the version of before says whether it holds.
            rows = [{"account_id": one, "version": version, **new} for one, version in versions.items()]
            held = put_soon(self._tx, account, rows, _LOCKED, ("account_id", "version_before", "merged_into"))
        else:
            rows = [{"account_id": one, **new} for one in ids]
            held = hold_soon(self._tx, account, rows, _STANDS)
        # Each is asked once the one before it is done, so lots and debts are those of accounts that are locked.
        what = self._ask(ids - self._ahead.keys())
        moved = set()
        for account_id, version, into in held():
            if into:
                self._merged[account_id] = into
            if not into and self._ahead.get(account_id, NEVER) == version:
                self._raised[account_id] = versions[account_id]
                continue
            self.books.accounts[account_id] = Account(version=version)
            if account_id in self._ahead:
                moved.add(account_id)
        self._take(what)
        if moved:
            self._decided = {ref: one for ref, one in self._decided.items() if one.posted.account_id not in moved}
            self._owed_before = {who: debts for who, debts in self._owed_before.items() if who not in moved}
            self._take(self._ask(moved))
        if beyond := set(self._merged.values()) - self.books.accounts.keys():
            self.lock(beyond)

    def _read_ahead(self, ids: set[int]) -> None:
        """Read accounts before they are locked. Their versions say afterwards whether they are still as they were."""
        with without_waiting(self._tx):
            # The versions first: what changes after that shows in them.
            stands = find_soon(self._tx, account, [{"account_id": one} for one in ids], _STANDS)
            what = self._ask(ids)
            found = stands()
            for row in found:
                self._ahead[row.account_id] = NEVER if row.merged_into else row.version
                self.books.accounts[row.account_id] = Account(version=row.version)
            self._take(what)
        into = {row.merged_into for row in found if row.merged_into}
        # Where a merged account lives on, what was sold to either comes in the order of the batch.
        while into:
            self._ahead |= dict.fromkeys(into & self._ahead.keys(), NEVER)
            found = find(self._tx, account, [{"account_id": one} for one in into], _STANDS)
            into = {row.merged_into for row in found if row.merged_into}

    def _decided_ahead(self, sales: Mapping[EventRef, tuple[Receipt, int]]) -> Iterator[tuple[EventRef, Posted]]:
        """Post sales before their accounts are locked, so that others wait only while rows are written; those of an
        account that moves on meanwhile are posted anew."""
        for ref, (head, who) in sales.items():
            if self._ahead.get(who, NEVER) == NEVER:
                continue
            try:
                posted = _decide(head, ref, who, self.books)
            except InvariantBroken:
                # Said again once the account is locked, where it is struck out.
                self._ahead[who] = NEVER
                continue
            self.books.take(posted)
            self._decided[ref] = self._done(head, posted)
            yield ref, posted

    def is_decided(self, ref: EventRef) -> bool:
        """Whether an event was decided before the lock, and that still holds."""
        return ref in self._decided

    def _ask(self, account_ids: Iterable[int]) -> tuple[Soon, Soon]:
        """What these accounts hold: their lots and their debts."""
        keys = [{"account_id": one} for one in account_ids]
        return find_soon(self._tx, lot, keys, _LOT), find_soon(self._tx, debt, keys)

    def _take(self, what: tuple[Soon, Soon]) -> None:
        lots, debts = what
        for account_id, valid_through, issuer_id, terms_id, points, earned_on, lapsed, redated_to in lots():
            opened, key = self.books.account(account_id), lot_key(valid_through, issuer_id, terms_id)
            opened.lots[key] = points
            if lapsed:
                opened.expired[key] = lapsed
            if earned_on:
                opened.earned_on[key] = date.fromisoformat(earned_on)
            if redated_to:
                opened.redated[key] = date.fromisoformat(redated_to)
        for row in sorted(debts(), key=lambda row: (row.account_id, row.n)):
            self.books.account(row.account_id).debts.append(debt_of(row))
            self._owed_before[row.account_id] = tuple(self.books.account(row.account_id).debts)

    def survivor(self, account_id: int) -> int:
        """The account that an account lives on in; itself where it was not merged. It was locked."""
        while account_id in self._merged:
            account_id = self._merged[account_id]
        return account_id

    def _open_leases(self, events: Iterable[Event]) -> None:
        """What is left of the holds and leases that these events name."""
        named = [{"account_id": who, "lease_id": name} for who, name in {_lease_of(one) for one in events} if who]
        for row in find(self._tx, lease_slice, named, (), *_SOME_LEFT, told={}):
            self.books.account(row.account_id).leases.setdefault(row.lease_id, {})[key_of(row)] = row.points
        for row in find(self._tx, lease, named, (), *_RECLAIMED, told={}):
            self.books.account(row.account_id).reclaimed.add(row.lease_id)

    def account_of(self, head: Receipt | Reversal) -> int | None:
        """Whom an event concerns: the account it names, or the one behind its card; none when anonymous.

        What names an account that was merged away concerns the one it lives on in.
        """
        if head.account_id is not None:
            return self.survivor(head.account_id)
        return self.survivor(self._cards[head.card_token]) if head.card_token is not None else None

    def post(self, head: Event, ref: EventRef) -> Posted:
        """Let the kernel post one event, and keep what came of it until `write`."""
        told, head = head, head.fact if isinstance(head, Fixed) else head
        done = self._decided.get(ref)
        if done is None:
            whom = self.account_of(head) if isinstance(head, Receipt | Reversal) else None
            posted = _decide(told, ref, whom, self.books)
            self.books.take(posted)
            if posted.waits_for is not None:
                return posted
            done = self._done(head, posted)
        if isinstance(head, Receipt):
            self._points[ref] = points_told(head)[:2]
        self._new.append(done)
        for one in add_uses((), getattr(head, "shared_uses", ())):
            self._shared.append((ref.till_id, ref.epoch, ref.seq, one.name, one.amount))
        return done.posted

    def _done(self, head: Event, posted: Posted) -> "_Done":
        uses = self._uses(head, posted) if posted.account_id != NOBODY else ()
        return _Done(posted, [posting_row(one) for one in posted.postings], use_rows(posted, uses))

    def _uses(self, head: Event, posted: Posted) -> tuple[Use, ...]:
        """What the till, too, adds to the member's counters for this event."""
        uses = own_uses(head)
        if isinstance(head, Void):
            earned, spent = self._points.get(posted.reversed.of if posted.reversed else head.of, (0, 0))
            uses += (Use(name=REVERSED, amount=earned), Use(name=SPENT, amount=-spent))
        return add_uses((), uses)

    def append(self) -> None:
        """Write down what nothing will change any more of the events that were posted since the last time."""
        new, self._new = self._new, []
        put_cells(self._tx, posting, [row for one in new for row in one.postings])
        put_cells(self._tx, use, [row for one in new for row in one.uses])
        posted = [one.posted for one in new]
        put(self._tx, reversed_, [reversed_row(one.reversed, one) for one in posted if one.reversed])
        self._posted += posted

    def mark(self, account_ids: Set[int], mark: str) -> None:
        """Say that these accounts change; of no use to anybody before the commit, and so done when there is time."""
        mark_changed(self._tx, account_ids - self._marked, mark)
        self._marked |= account_ids

    def write(self, mark: str) -> None:
        """Write down what all the posted events changed; `mark` names this set of events."""
        self.append()
        everything = self._posted
        touched = {posted.account_id for posted in everything} - {NOBODY}
        # Of an account that had moved on, what was written with the lock was too much.
        versions = {one: self.books.account(one).version for one in touched | self._ahead.keys()}
        rows = [{"account_id": one, "version": last} for one, last in versions.items() if self._raised.get(one) != last]
        put(self._tx, account, rows, {"version": "given"})
        put_cells(self._tx, shared_use, self._shared)
        self._write_lots(everything)
        self._write_debts(touched)
        self._write_leases(everything)
        write_certificates(self._tx, everything)
        # A till that named an account which lives on in another keeps uses of its own for it until it hears, as of this
        # very event, that it is gone.
        self.mark(touched | self._merged.keys(), mark)

    def _write_lots(self, everything: Iterable[Posted]) -> None:
        """The lots that postings moved."""
        moved = {(one.account_id, one.key) for posted in everything for one in posted.postings if one.unit == "point"}
        moved |= {(posted.account_id, one.key) for posted in everything for one in posted.redated}
        rows = [lot_row(who, self.books.account(who), key) for who, key in moved]
        put_cells(self._tx, lot, rows, _OF_A_LOT)

    def _write_leases(self, everything: Iterable[Posted]) -> None:
        """What is left of leases; one with nothing left has ended."""
        moved = {(one.account_id, step.lease_id) for one in everything for step in one.leased}
        left = [(who, name, key, points) for who, name in moved
                for key, points in self.books.account(who).leases[name].items()]  # fmt: skip
        put(self._tx, lease_slice, [{"account_id": who, "lease_id": name, **key_columns(key), "points": points}
                                    for who, name, key, points in left], {"points": "given"})  # fmt: skip
        given = {one.reclaimed for one in everything}
        for who, name in sorted(moved - {(who, name) for who, name, _, points in left if points}):
            state = "reclaimed" if name in given else "ended"
            tell(self._tx, _ENDED, {"of": who, "named": name, "to": state, "now_ms": self._now_ms})

    def _write_debts(self, touched: set[int]) -> None:
        moved = [one for one in touched if self._owed_before.get(one, ()) != tuple(self.books.account(one).debts)]
        remove(self._tx, debt, [{"account_id": one} for one in moved])
        put(self._tx, debt, [debt_row(one, n) for account_id in moved
                             for n, one in enumerate(self.books.account(account_id).debts)])  # fmt: skip


_ENDED = (
    update(lease)
    .where(lease.c.account_id == bindparam("of"), lease.c.lease_id == bindparam("named"), lease.c.state == "active")
    .values(state=bindparam("to"), ended_at_ms=bindparam("now_ms"))
)
_OF_A_LOT: OnConflict = {"points": "given", "earned_on": "given", "expired": "given", "redated_to": "given"}


_LIVE = lot.c.valid_through >= bindparam("day"), lot.c.points > 0
_LIVE_BEFORE = lot.c.valid_through > bindparam("day"), lot.c.points > 0


def _decide(head: Event, ref: EventRef, whom: int | None, books: Books) -> Posted:
    """As `post_event`; a mistake of ours in it must not stop the events behind, which a till sends in their order.

    Raises: InvariantBroken.
    """
    try:
        return post_event(head, ref, whom, books)
    except InvariantBroken:
        raise
    except MISTAKES as mistake:
        # Where and what kind, never the message: it may quote what was sent.
        frames = "; ".join(f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(mistake.__traceback__))
        kind = type(mistake).__name__
        _log.error("event %s/%s/%s cannot be posted: %s at %s", ref.till_id, ref.epoch, ref.seq, kind, frames)
        raise Unpostable(f"{kind} while it was posted.") from None


def live_lots(
    connection: Connection, account_ids: Iterable[int], today: str, *, through_last_day: bool = True
) -> Sequence[Row[Any]]:
    """What these accounts can spend on a day (ISO): their lots that have not lapsed by then.

    Args:
        through_last_day: whether a lot is there on its last valid day.
    """
    live = _LIVE if through_last_day else _LIVE_BEFORE
    return find(connection, lot, [{"account_id": one} for one in account_ids], (), *live, told={"day": today})


_SOME_LEFT = (lease_slice.c.points > 0,)
_RECLAIMED = (lease.c.state == "reclaimed",)


def _lease_of(head: Event) -> tuple[int, str]:
    """The account and lease that an event names; account 0 where it names none."""
    if isinstance(head, Receipt):
        paid = head.redemption
        return (head.account_id or NOBODY, paid.lease_id) if paid and paid.authority in ("hold", "lease") else (0, "")
    if isinstance(head, Granted | LeaseMoved | Reclaimed):
        return head.account_id or NOBODY, head.lease_id
    return NOBODY, ""


def _is_at(row: Row[Any] | None, receipt_id: str) -> bool:
    return row is not None and row.kind == RECEIPT and row.state == "posted" and row.receipt_id == receipt_id
