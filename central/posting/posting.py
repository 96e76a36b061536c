"""A set of events posted in one transaction: each in its turn, and after it those that had waited for it.

Nothing that an event says may stop the events behind it: what breaks a sum of ours is struck out and flagged.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection

from central.database.rows import find, put, put_cells, remove
from central.database.tables import account, event, waiting
from central.ports import Randomness
from central.posting.approvals import Approvals
from central.posting.books import CentreBooks
from central.posting.certificate_books import tell_anew
from central.streams.evidence import payloads_of
from central.streams.heads import Unfit, kind_of, read_fit_head
from central.worklist.worklist import raise_flags
from loyalty.facts.events import Event, points_told
from loyalty.facts.fixed import Fixed
from loyalty.facts.receipts import Receipt
from loyalty.facts.reversals import Return, ReturnVoid, Reversal, receipt_named
from loyalty.ledger.books import NOBODY, Flag, Posted
from loyalty.ledger.certificate_postings import certificates_in
from loyalty.lots import EventRef
from loyalty.trouble import InvariantBroken

Heads = Mapping[EventRef, Event]
AT_ONCE = 100  # events whose rows go out while the next are decided
_EVERYTHING: Mapping[str, Literal["given"]] = {one.name: "given" for one in event.c if not one.primary_key}
OUTCOME = ("state", "reason", "account_id", "account_version", "period_no")


class Poster:
    """Posts heads and collects the rows of their events and the findings about them.

    Args:
        period_no: the period that postings belong to.
        again: the events have rows already, for they were struck out before.
    """

    def __init__(
        self, tx: Connection, *, period_no: int, now_ms: int, randomness: Randomness, again: bool = False
    ) -> None:
        self._again = again
        self._tx = tx
        # SQLite has nobody to work meanwhile, and takes a whole table faster than parts of it in turns.
        self._is_ahead = tx.dialect.name == "postgresql"
        self._now_ms = now_ms
        self._period_no = period_no
        self._books = CentreBooks(tx, period_no=period_no, now_ms=now_ms, randomness=randomness)
        self.rows: dict[EventRef, dict[str, Any]] = {}
        self._told: dict[EventRef, dict[str, Any]] = {}
        self._new: list[EventRef] = []
        self._waiters: dict[EventRef, dict[EventRef, Event]] = {}
        self._waited: dict[EventRef, dict[str, Any]] = {}
        self._names: dict[EventRef, str] = {}
        self._written: set[EventRef] = set()
        self._mark = ""
        self._late: dict[EventRef, dict[str, Any]] = {}
        self._kept_out: set[int] = set()
        self._certificates_out: set[str] = set()
        self.flags: list[Flag] = []
        self._approvals = Approvals(tx, {})
        self.posted: dict[EventRef, Posted] = {}

    def open(self, heads: Heads, batch_seq: int, mark: str = "") -> None:
        """Read and lock what these new events touch, and what waited for them does. From here on only writes.

        Args:
            mark: of `write`, where it is known by now.
        """
        self._mark = mark
        self._told = {ref: self._row(ref, head, batch_seq) for ref, head in heads.items()}
        self._names = {ref: receipt_named(head) for ref, head in heads.items() if isinstance(head, Reversal)}
        self._approvals = Approvals(self._tx, heads)
        self._waiters = self._waiters_for(heads)
        late = {ref: head for rows in self._waiters.values() for ref, head in rows.items()}
        # Whoever posts again may look at what came of it and leave everything as it was.
        self._open([*heads.values(), *late.values()], late, {} if self._again else heads)

    def post(self, heads: Heads) -> None:
        """Post events that were opened, in the order given, each followed by those that waited for it."""
        for n, (ref, head) in enumerate(heads.items(), 1):
            row = self._told[ref]
            is_written = self._books.is_decided(ref)
            row.update(self._outcome(ref, head))
            if is_written:
                self.rows[ref] = row
            else:
                self._keep(ref, row)
            if row["state"] != "quarantined":
                self._approvals.add(ref)
            for waiter, late in self._waiters.get(ref, {}).items():
                self._settle(waiter, late)
            # What only names an account, as rights that moved between tills, opens it as well.
            for unknown in self._books.unknown_accounts & {row["account_id"], getattr(head, "account_id", None)}:
                self.flag(ref, "account_unknown", account_id=unknown)
            if self._is_ahead and n % AT_ONCE == 0:
                self._append()

    def open_late(self, heads: Heads) -> None:
        """The same for events that have waited."""
        self._open(heads.values(), heads)

    def post_late(self, heads: Heads) -> None:
        """Post events that have waited, or some of them."""
        for ref, head in heads.items():
            self._settle(ref, head)

    @property
    def settled(self) -> int:
        """How many events that had waited do not wait any more."""
        return len(self._late)

    def is_settled(self, ref: EventRef) -> bool:
        """Whether an event that had waited does not wait any more."""
        return ref in self._late

    def strike(self, ref: EventRef, cause: str, say: str, batch_seq: int, head: Event | None = None) -> None:
        """Keep a new event out of the books."""
        self._keep(ref, self._row(ref, head, batch_seq) | self._struck(ref, head, cause, say))

    def strike_late(self, ref: EventRef, cause: str, say: str, head: Event) -> None:
        """Give an event up that has waited."""
        self._late[ref] = self._struck(ref, head, cause, say)

    def flag(self, ref: EventRef, cause: str, **figures: int | str) -> None:
        """Remember a finding for the worklist."""
        self.flags.append(Flag(of=ref, cause=cause, figures=figures))

    def write(self, mark: str) -> None:
        """Write down books and findings, the new events' rows, and what became of those that had waited."""
        self._append()
        self._books.write(mark)
        # A till counts these for their accounts and certificates until it hears of them as of that event.
        named = find(self._tx, account, [{"account_id": one} for one in self._kept_out], ("account_id",))
        self._books.mark({row.account_id for row in named}, mark)
        tell_anew(self._tx, self._certificates_out)
        late = {ref: self._waited[ref] | outcome for ref, outcome in self._late.items()}
        put(self._tx, event, late.values(), dict.fromkeys(OUTCOME, "given"))
        remove(self._tx, waiting, [_key(ref) for ref in late])
        self.flags += self._approvals.write()
        raise_flags(self._tx, self.flags, {**self.rows, **late}, self._now_ms)

    def _append(self) -> None:
        """Write down what was posted since the last time, as far as nothing will change it."""
        self._books.append()
        refs, self._new = self._new, []
        new = [self.rows[ref] for ref in refs]
        self._write_events(row for ref, row in zip(refs, new, strict=True) if ref not in self._written)
        # Accounts had moved on since these were decided.
        moved = [tuple(self.rows[ref].values()) for ref in refs if ref in self._written]
        put_cells(self._tx, event, moved, _EVERYTHING)
        waits = ("till_id", "epoch", "seq", "of_till", "of_epoch", "of_seq")
        since = {"since_ms": self._now_ms}
        put(self._tx, waiting, [{name: row[name] for name in waits} | since | {"of_receipt": self._names.get(ref, "")}
                                for ref, row in zip(refs, new, strict=True) if row["state"] == "waiting"])  # fmt: skip

    def _write_ahead(self, decided: Iterator[tuple[EventRef, Posted]]) -> None:
        """Write down sales that are decided before their accounts are locked: nobody waits for these rows, and the
        database works while the next sales are decided."""
        while some := list(islice(decided, AT_ONCE)):
            for ref, posted in some:
                self._told[ref].update(
                    self._state("posted", account_id=posted.account_id, version=posted.account_version)
                )
            self._write_events(self._told[ref] for ref, _ in some)
            self._written.update(ref for ref, _ in some)
            if self._mark:
                self._books.mark({posted.account_id for _, posted in some}, self._mark)

    def _write_events(self, rows: Iterable[dict[str, Any]]) -> None:
        put_cells(self._tx, event, [tuple(row.values()) for row in rows], _EVERYTHING if self._again else "raise")

    def _keep(self, ref: EventRef, row: dict[str, Any]) -> None:
        self.rows[ref] = row
        self._new.append(ref)

    def _open(self, heads: Iterable[Event], late: Iterable[EventRef], new: Heads = MappingProxyType({})) -> None:
        self._books.open(heads, new, self._write_ahead)
        self._waited = {_ref(row): dict(row._mapping) for row in find(self._tx, event, [_key(ref) for ref in late])}

    def _settle(self, ref: EventRef, head: Event) -> None:
        outcome = self._outcome(ref, head)
        if outcome["state"] != "waiting":
            self._late[ref] = outcome

    def _outcome(self, ref: EventRef, head: Event) -> dict[str, Any]:
        try:
            posted = self._books.post(head, ref)
        except InvariantBroken as broken:
            return self._struck(ref, head, broken.code, broken.say)
        self.posted[ref] = posted
        self.flags += posted.flags
        state = "waiting" if posted.waits_for else "posted"
        return self._state(state, account_id=self._whom(head, posted), version=posted.account_version)

    def _whom(self, head: Event, posted: Posted) -> int:
        if posted.waits_for and isinstance(head, Reversal):
            return self._books.account_of(head) or 0
        return posted.account_id

    def _struck(self, ref: EventRef, head: Event | None, cause: str, say: str) -> dict[str, Any]:
        self.flag(ref, cause, say=say)
        if account_id := getattr(head, "account_id", None):
            self._kept_out.add(account_id)
        self._certificates_out |= certificates_in(head)
        return self._state("quarantined", cause)

    def _state(self, state: str, reason: str = "", account_id: int = NOBODY, version: int = 0) -> dict[str, Any]:
        return {"state": state, "reason": reason, "account_id": account_id, "account_version": version,
                "period_no": self._period_no}  # fmt: skip

    def _waiters_for(self, heads: Heads) -> dict[EventRef, dict[EventRef, Event]]:
        """What waits for these events, or for those that they stand for, by event."""
        places = {head.of if isinstance(head, Fixed) else ref: ref for ref, head in heads.items()}
        keys = [{"of_till": ref.till_id, "of_epoch": ref.epoch, "of_seq": ref.seq} for ref in places]
        of = {_ref(row): places[EventRef(till_id=row.of_till, epoch=row.of_epoch, seq=row.of_seq)]
              for row in find(self._tx, waiting, keys, lock=True)}  # fmt: skip
        waiters: dict[EventRef, dict[EventRef, Event]] = {}
        for ref, head in stored_heads(self._tx, of).items():
            waiters.setdefault(of[ref], {})[ref] = head
        return waiters

    def _row(self, ref: EventRef, head: Event | None, batch_seq: int) -> dict[str, Any]:
        """All columns of an event, in the table's order; what comes of it is still open."""
        fact = head.fact if isinstance(head, Fixed) else head
        place, on = getattr(fact, "place", None), getattr(fact, "on", None)
        if place is not None:
            on = place.business_date
        told = isinstance(fact, Receipt | Return | ReturnVoid)
        earned, spent, reversed_ = points_told(fact) if told else (0, 0, 0)
        of = fact.of if isinstance(fact, Reversal) else None
        return {
            "till_id": ref.till_id, "epoch": ref.epoch, "seq": ref.seq,
            "kind": kind_of(head) if head else "", "state": "", "reason": "",
            "receipt_id": head.receipt_id if head else "", "account_id": NOBODY, "account_version": 0,
            "partner_id": place.partner_id if place else "", "store_id": place.store_id if place else "",
            "business_date": on.isoformat() if on else "", "sold_at_ms": place.sold_at_ms if place else 0,
            "net_minor": fact.net_minor if told else 0,
            "points_earned": earned, "points_spent": spent, "points_reversed": reversed_,
            "of_till": of.till_id if of else "", "of_epoch": of.epoch if of else 0, "of_seq": of.seq if of else 0,
            "period_no": self._period_no, "batch_seq": batch_seq,
            # Of what people posted, a receipt is looked at for what everybody may have together.
            "checked": "" if isinstance(head, Receipt | Reversal) or isinstance(fact, Receipt) else "nothing",
        }  # fmt: skip


def stored_heads(connection: Connection, refs: Iterable[EventRef]) -> dict[EventRef, Event]:
    """The heads of events, read from the batches they came in, by place; unfit ones left out."""
    heads = {ref: read_fit_head(line) for ref, line in payloads_of(connection, refs).items()}
    return {ref: head for ref, head in sorted(heads.items()) if not isinstance(head, Unfit)}


def _ref(row: Any) -> EventRef:
    return EventRef(till_id=row.till_id, epoch=row.epoch, seq=row.seq)


def _key(ref: EventRef) -> dict[str, Any]:
    return msgspec.structs.asdict(ref)
