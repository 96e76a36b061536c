"""The accounts and earlier events that a set of events names, opened together, posted on, written back together.

Which lots pay is decided by the kernel's `post_event` alone; here is only reading and writing, a statement a table.
Source: house.md section 5.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, update

from central.accounts import accounts_of_cards, give_cards
from central.certificate_books import open_certificates, write_certificates
from central.lanes import mark_changed
from central.ports import Randomness, without_waiting
from central.recorded import key_columns, key_of, lot_key, recorded_receipts
from central.registry import all_terms
from central.rows import find, find_soon, hold_soon, put, remove
from central.tables import account, debt, event, lease, lease_slice, lot, posting, reversed_, shared_use, use
from loyalty.books import NOBODY, Account, Books, Posted, Posting, Reversed
from loyalty.events import Event, own_uses
from loyalty.fixed import Fixed
from loyalty.lease_events import Granted, LeaseMoved, Reclaimed
from loyalty.lots import Debt, EventRef, LotKey
from loyalty.member_events import MemberEvent, owned_tokens
from loyalty.members import EARNED, REVERSED, SPENT, Use, add_uses
from loyalty.postings import post_event
from loyalty.receipts import Receipt
from loyalty.reversals import Return, Void


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
        self._new: list[tuple[Posted, tuple[Use, ...]]] = []
        self._posted: list[Posted] = []
        self._shared: list[dict[str, Any]] = []
        self._points: dict[EventRef, tuple[int, int]] = {}
        self._merged: dict[int, int] = {}
        self.unknown_accounts: set[int] = set()
        self.books = Books(all_terms(tx), period_no)

    def open(self, events: Iterable[Event]) -> None:
        """Read all that these events may touch, and lock their accounts, in the order of their numbers."""
        events = tuple(one.fact if isinstance(one, Fixed) else one for one in events)
        heads = [one for one in events if isinstance(one, Receipt | Return | Void)]
        refs = {one.of for one in heads if isinstance(one, Return | Void) and one.of is not None}
        arrived = {EventRef(till_id=row.till_id, epoch=row.epoch, seq=row.seq): row
                   for row in find(self._tx, event, [msgspec.structs.asdict(ref) for ref in refs])}  # fmt: skip
        self._points = {ref: (row.points_earned, row.points_spent) for ref, row in arrived.items()}
        tokens = {one.card_token for one in heads if one.card_token is not None}
        give_cards(self._tx, events, self._now_ms, self._randomness)
        tokens |= {token for one in events if isinstance(one, MemberEvent) for token in owned_tokens(one)}
        self._cards = accounts_of_cards(self._tx, tokens, self._now_ms, self._randomness)
        told = {account_id for one in events if (account_id := getattr(one, "account_id", None)) is not None}
        seen = {row.account_id for row in arrived.values()}
        # A sale to nobody has no account to lock, so whoever takes its goods back locks the sale.
        put(self._tx, event, [dict(row._mapping) for row in arrived.values() if row.account_id == NOBODY],
            {"checked": "keep"})  # fmt: skip
        self._lock((told | seen | set(self._cards.values())) - {NOBODY}, told)
        self._open_leases(events)
        open_certificates(self._tx, self.books, events)
        # Read last: while we waited, another till may have taken goods of the same receipt back. Only of what had
        # arrived before we locked.
        for recorded in recorded_receipts(self._tx, arrived, self.books, self._merged):
            self.books.remember(recorded)

    def _lock(self, account_ids: set[int], told: set[int]) -> None:
        with without_waiting(self._tx):
            known = find_soon(self._tx, account, [{"account_id": one} for one in told], ("account_id",))
            self.lock(account_ids)
            self.unknown_accounts = told - {row.account_id for row in known()}

    def lock(self, account_ids: Iterable[int]) -> None:
        """Keep others from these accounts, and from those they were merged into, and read what they hold."""
        keys = [{"account_id": account_id} for account_id in set(account_ids)]
        rows = [{**key, "status": "unregistered", "created_at_ms": self._now_ms} for key in keys]
        columns = ("account_id", "valid_through", "issuer_id", "terms_id", "points", "earned_on", "expired",
                   "redated_to")  # fmt: skip
        # Each is asked once the one before it is done, so lots and debts are those of accounts that are locked.
        held = hold_soon(self._tx, account, rows, ("account_id", "version", "merged_into"))
        lots, debts = find_soon(self._tx, lot, keys, columns), find_soon(self._tx, debt, keys)
        for row in held():
            self.books.accounts[row.account_id] = Account(version=row.version)
            if row.merged_into:
                self._merged[row.account_id] = row.merged_into
        for account_id, valid_through, issuer_id, terms_id, points, earned_on, lapsed, redated_to in lots():
            opened, key = self.books.accounts[account_id], lot_key(valid_through, issuer_id, terms_id)
            opened.lots[key] = points
            if lapsed:
                opened.expired[key] = lapsed
            if earned_on:
                opened.earned_on[key] = date.fromisoformat(earned_on)
            if redated_to:
                opened.redated[key] = date.fromisoformat(redated_to)
        for row in sorted(debts(), key=lambda row: (row.account_id, row.n)):
            self.books.account(row.account_id).debts.append(_debt(row))
        for account_id in (key["account_id"] for key in keys):
            self._owed_before[account_id] = tuple(self.books.account(account_id).debts)
        if beyond := set(self._merged.values()) - self.books.accounts.keys():
            self.lock(beyond)

    def survivor(self, account_id: int) -> int:
        """The account that an account lives on in; itself where it was not merged. It was locked."""
        while account_id in self._merged:
            account_id = self._merged[account_id]
        return account_id

    def _open_leases(self, events: Iterable[Event]) -> None:
        """What is left of the holds and leases that these events name."""
        named = [{"account_id": who, "lease_id": name} for who, name in {_lease_of(one) for one in events} if who]
        for row in find(self._tx, lease_slice, named, (), lease_slice.c.points > 0):
            self.books.account(row.account_id).leases.setdefault(row.lease_id, {})[key_of(row)] = row.points
        for row in find(self._tx, lease, named, (), lease.c.state == "reclaimed"):
            self.books.account(row.account_id).reclaimed.add(row.lease_id)

    def account_of(self, head: Receipt | Return | Void) -> int | None:
        """Whom an event concerns: the account it names, or the one behind its card; none when anonymous.

        What names an account that was merged away concerns the one it lives on in.
        """
        if head.account_id is not None:
            return self.survivor(head.account_id)
        return self.survivor(self._cards[head.card_token]) if head.card_token is not None else None

    def post(self, head: Event, ref: EventRef) -> Posted:
        """Let the kernel post one event, and keep what came of it until `write`."""
        head = head.fact if isinstance(head, Fixed) else head
        whom = self.account_of(head) if isinstance(head, Receipt | Return | Void) else None
        posted = post_event(head, ref, whom, self.books)
        self.books.take(posted)
        if isinstance(head, Receipt):
            self._points[ref] = (sum(part.points for part in head.earned), _spent(head))
        if posted.waits_for is None and posted.account_id != NOBODY:
            self._new.append((posted, self._uses(head)))
        elif posted.waits_for is None:
            self._new.append((posted, ()))
        if posted.waits_for is None:
            shared = add_uses((), getattr(head, "shared_uses", ()))
            self._shared += [{**msgspec.structs.asdict(ref), "name": one.name, "amount": one.amount} for one in shared]
        return posted

    def _uses(self, head: Event) -> tuple[Use, ...]:
        """What the till, too, adds to the member's counters for this event."""
        uses = own_uses(head)
        if isinstance(head, Void):
            earned, spent = self._points.get(head.of, (0, 0))
            uses += (Use(name=REVERSED, amount=earned), Use(name=SPENT, amount=-spent))
        return add_uses((), uses)

    def append(self) -> None:
        """Write down what nothing will change any more of the events that were posted since the last time."""
        new, self._new = self._new, []
        put(self._tx, posting, [_posting_row(one) for posted, _ in new for one in posted.postings])
        put(self._tx, use, [row for posted, uses in new for row in _use_rows(posted, uses)])
        put(self._tx, reversed_, [_reversed_row(one.reversed, one) for one, _ in new if one.reversed])
        self._posted += [posted for posted, _ in new]

    def write(self, mark: str) -> None:
        """Write down what all the posted events changed; `mark` names this set of events."""
        self.append()
        everything = self._posted
        touched = {posted.account_id for posted in everything} - {NOBODY}
        versions = [{"account_id": one, "version": self.books.account(one).version} for one in touched]
        put(self._tx, account, versions, {"version": "given"})
        put(self._tx, shared_use, self._shared)
        self._write_lots(everything)
        self._write_debts(touched)
        self._write_leases(everything)
        write_certificates(self._tx, everything)
        mark_changed(self._tx, touched, mark)

    def _write_lots(self, everything: Iterable[Posted]) -> None:
        """The lots that postings moved."""
        moved = {(one.account_id, one.key) for posted in everything for one in posted.postings if one.unit == "point"}
        moved |= {(posted.account_id, one.key) for posted in everything for one in posted.redated}
        rows = [{"account_id": who, **key_columns(key), **_lot_row(self.books.account(who), key)} for who, key in moved]
        put(self._tx, lot, rows, {"points": "given", "earned_on": "given", "expired": "given", "redated_to": "given"})

    def _write_leases(self, everything: Iterable[Posted]) -> None:
        """What is left of leases; one with nothing left has ended."""
        moved = {(one.account_id, step.lease_id) for one in everything for step in one.leased}
        left = [(who, name, key, points) for who, name in moved
                for key, points in self.books.account(who).leases[name].items()]  # fmt: skip
        put(self._tx, lease_slice, [{"account_id": who, "lease_id": name, **key_columns(key), "points": points}
                                    for who, name, key, points in left], {"points": "given"})  # fmt: skip
        given = {one.reclaimed for one in everything}
        ended = {"state": "ended", "ended_at_ms": self._now_ms}
        for who, name in sorted(moved - {(who, name) for who, name, _, points in left if points}):
            here = lease.c.account_id == who, lease.c.lease_id == name, lease.c.state == "active"
            values = {**ended, "state": "reclaimed"} if name in given else ended
            self._tx.execute(update(lease).where(*here).values(values))

    def _write_debts(self, touched: set[int]) -> None:
        moved = [one for one in touched if self._owed_before.get(one, ()) != tuple(self.books.account(one).debts)]
        remove(self._tx, debt, [{"account_id": one} for one in moved])
        put(self._tx, debt, [_debt_row(one, n) for account_id in moved
                             for n, one in enumerate(self.books.account(account_id).debts)])  # fmt: skip


def live_lots(
    connection: Connection, account_ids: Iterable[int], today: str, *, through_last_day: bool = True
) -> Sequence[Row[Any]]:
    """What these accounts can spend on a day (ISO): their lots that have not lapsed by then.

    Args:
        through_last_day: whether a lot is there on its last valid day.
    """
    last_day = lot.c.valid_through
    live = last_day >= today if through_last_day else last_day > today
    return find(connection, lot, [{"account_id": one} for one in account_ids], (), live, lot.c.points > 0)


def points_told(head: Event) -> dict[str, int]:
    """The points an event granted, took and reversed, as the columns of its row."""
    uses = {one.name: one.amount for one in own_uses(head) if one.name.startswith("points:")}
    names = {"points_earned": EARNED, "points_spent": SPENT, "points_reversed": REVERSED}
    return {column: uses.get(name, 0) for column, name in names.items()}


def _lease_of(head: Event) -> tuple[int, str]:
    """The account and lease that an event names; account 0 where it names none."""
    if isinstance(head, Receipt):
        paid = head.redemption
        return (head.account_id or NOBODY, paid.lease_id) if paid and paid.authority in ("hold", "lease") else (0, "")
    if isinstance(head, Granted | LeaseMoved | Reclaimed):
        return head.account_id or NOBODY, head.lease_id
    return NOBODY, ""


def _lot_row(of: Account, key: LotKey) -> dict[str, Any]:
    earned_on = of.earned_on.get(key)
    return {"points": of.lots.get(key, 0), "earned_on": earned_on.isoformat() if earned_on else "",
            "expired": of.expired.get(key, 0),
            "redated_to": of.redated[key].isoformat() if key in of.redated else ""}  # fmt: skip


def _spent(head: Receipt) -> int:
    return head.redemption.points if head.redemption else 0


def _posting_row(one: Posting) -> dict[str, Any]:
    key, by, of = one.key, one.by, one.of
    return {
        "account_id": one.account_id, "account_version": one.account_version, "n": one.n, "unit": one.unit,
        "source": one.source, "target": one.target, "amount": one.amount,
        "valid_through": key.valid_through.isoformat(), "issuer_id": key.issuer_id, "terms_id": key.terms_id,
        "at_partner_id": one.at_partner_id, "at_terms_id": one.at_terms_id, "priced_by": one.priced_by,
        "by_till": by.till_id, "by_epoch": by.epoch, "by_seq": by.seq,
        "of_till": of.till_id, "of_epoch": of.epoch, "of_seq": of.seq,
        "period_no": one.period_no, "origin_period_no": one.origin_period_no,
    }  # fmt: skip


def _use_rows(posted: Posted, uses: Iterable[Use]) -> list[dict[str, Any]]:
    return [{"account_id": posted.account_id, "account_version": posted.account_version, "name": one.name,
             "amount": one.amount, **_place("by", posted.ref)} for one in uses]  # fmt: skip


def _reversed_row(one: Reversed, posted: Posted) -> dict[str, Any]:
    return {
        "account_id": one.account_id,
        "account_version": posted.account_version,
        "restored_points": one.restored_points,
        "net_minor": one.net_minor,
        "granted": msgspec.json.encode(one.granted).decode(),
        "funded": msgspec.json.encode(one.funded).decode(),
        **_place("of", one.of),
        **_place("by", one.by),
    }


def _debt_row(one: Debt, n: int) -> dict[str, Any]:
    plain = msgspec.structs.asdict(one)
    of = plain.pop("of")
    return {**plain, "n": n, "issuer_id": one.issuer_id or "", "terms_id": one.terms_id or "", **_place("of", of)}


def _debt(row: Any) -> Debt:
    return Debt(
        account_id=row.account_id,
        issuer_id=row.issuer_id or None,
        terms_id=row.terms_id or None,
        at_partner_id=row.at_partner_id,
        at_terms_id=row.at_terms_id,
        points=row.points,
        of=EventRef(till_id=row.of_till, epoch=row.of_epoch, seq=row.of_seq),
        origin_period_no=row.origin_period_no,
    )


def _place(side: str, ref: EventRef) -> dict[str, Any]:
    return {f"{side}_till": ref.till_id, f"{side}_epoch": ref.epoch, f"{side}_seq": ref.seq}
