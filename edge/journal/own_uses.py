"""What this till's own events add to counters, for as long as no row that came down holds it.

It follows from the events, so a sale does not write it a second time: of the newest events it is kept in memory, and
goes into its table with every hundredth event. What a run that was cut short still had in memory is read from its
events at the next start. Source: docs/decisions/uses-follow-from-events.md.
"""

import logging
from collections.abc import Iterable

import msgspec

from edge.database import Database
from edge.journal.places import place_of, places_after
from loyalty.facts.events import Event, UnknownEvent, own_uses, read_head, read_receipt, voided_uses
from loyalty.facts.receipts import Receipt
from loyalty.facts.reversals import Void
from loyalty.ledger.books import NOBODY
from loyalty.lots import EventRef
from loyalty.members import LEASED, SPENT, Use, add_uses, counter, coupon_use
from sync.chain import StreamHead

WRITTEN_AT_ONCE = 100  # events; a start reads fewer than that
_log = logging.getLogger(__name__)

Uses = tuple[Use, ...]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What is in memory: account, number and uses of each event later than `written`, up to which the table has all.
    Counters of no account are NOBODY's. A change makes another one."""

    written: int
    young: tuple[tuple[int, int, Uses], ...] = ()


class OwnUses:
    """The uses of one epoch; what writes belongs inside the journal's transaction.

    Attributes:
        standing: put back by the journal when a transaction is taken back.
    """

    def __init__(self, database: Database, epoch: int) -> None:
        self._database, self._epoch = database, epoch
        query = "SELECT uses_seq FROM stream WHERE epoch = ?"
        self.standing = Standing(written=database.rows(query, (epoch,))[0][0])

    def catch_up(self) -> None:
        """Write what the last run had in memory, of any epoch: the counters of no account outlive theirs."""
        for epoch, written in self._database.rows("SELECT epoch, uses_seq FROM stream"):
            last = written
            for seq, payload in self._database.rows(
                "SELECT seq, payload FROM event WHERE place BETWEEN ? AND ? ORDER BY place",
                places_after(epoch, written),
            ):
                last = seq
                kept = self._uses_of(event) if (event := _known(payload)) else []
                self._insert(kept if epoch == self._epoch else [one for one in kept if one[0] == NOBODY], seq)
            if last > written:
                self._note(epoch, last)
            if epoch == self._epoch:
                self.standing = Standing(written=last)

    def keep(self, event: Event, head: StreamHead) -> None:
        """Count what an event adds, inside the transaction that writes it."""
        now = self.standing
        if kept := self._uses_of(event):
            young = (*now.young, *[(account_id, head.seq, uses) for account_id, uses in kept])
            self.standing = Standing(written=now.written, young=young)
        if head.seq - now.written >= WRITTEN_AT_ONCE:
            self._write(head.seq)
            self.standing = Standing(written=head.seq)

    def write_all(self, seq: int) -> None:
        """Write what is in memory, in a transaction of its own, under the lock; `seq` is that of the last event."""
        with self._database.writing():
            self._write(seq)
        self.standing = Standing(written=seq)

    def after(self, account_id: int, own_seq: int) -> Uses:
        """Uses of events later than `own_seq`, the last of them that a published row holds; folded as by `add_uses`."""
        with self._database.lock:
            written = self._database.remembered(
                "SELECT name, CASE WHEN name LIKE 'last:%' THEN max(amount) ELSE sum(amount) END FROM own_use"
                " WHERE account_id = ? AND epoch = ? AND seq > ? GROUP BY name",
                (account_id, self._epoch, own_seq),
            )
            young = self._young(account_id, own_seq)
        return add_uses((Use(name=name, amount=amount) for name, amount in written), _joined(young))

    def on_floats_after(self, account_id: int, own_seq: int) -> int:
        """Points that sales later than `own_seq` spent on floats, less what reversals of these very sales gave back.

        What goes back of a lease, or of a sale that was paid out of one, is no part of it.
        """
        with self._database.lock:
            rows = [
                *self._database.remembered(
                    "SELECT seq, name, amount FROM own_use WHERE account_id = ? AND epoch = ? AND seq > ?"
                    " AND name IN (?, ?)",
                    (account_id, self._epoch, own_seq, SPENT, LEASED),
                ),
                *((seq, use.name, use.amount) for whose, seq, uses in self.standing.young
                  if whose == account_id and seq > own_seq for use in uses),
            ]  # fmt: skip
            out_of_leases = {seq for seq, name, _ in rows if name == LEASED}
            of = [(self._sale_of(seq), amount) for seq, name, amount in rows if name == SPENT]
        return sum(amount for sale, amount in of if sale > own_seq and sale not in out_of_leases)

    def _sale_of(self, seq: int) -> int:
        """The number of the sale that an event is, or takes back; 0 for one of an earlier epoch, or forgotten."""
        found = self._database.remembered(
            "SELECT s.epoch, s.seq FROM event e LEFT JOIN event s ON s.receipt_id = e.of_id"
            " WHERE e.place = ? AND e.of_id IS NOT NULL",
            (place_of(self._epoch, seq),),
        )
        if not found:
            return seq
        epoch, sale = found[0]
        return int(sale) if epoch == self._epoch else 0

    def float_sales_after(self, account_id: int, own_seq: int) -> int:
        """How many sales later than `own_seq` an account paid with points on floats."""
        with self._database.lock:
            written = self._database.remembered(
                "SELECT count(*) FROM own_use s WHERE account_id = ? AND epoch = ? AND seq > ? AND name = ?"
                " AND amount > 0 AND NOT EXISTS (SELECT 1 FROM own_use l WHERE l.account_id = s.account_id"
                " AND l.epoch = s.epoch AND l.seq = s.seq AND l.name = ?)",
                (account_id, self._epoch, own_seq, SPENT, LEASED),
            )
            young = self._young(account_id, own_seq)
        on_floats = (counter(uses, SPENT) > 0 and all(use.name != LEASED for use in uses) for uses in young)
        return int(written[0][0]) + sum(on_floats)

    def shared(self, names: Iterable[str]) -> Uses:
        """Counters of no account, as far as this till ever moved them; sorted by name, those at zero left out."""
        wanted = sorted(set(names))
        marks = ", ".join("?" * len(wanted))
        with self._database.lock:
            written = self._database.remembered(
                "SELECT name, amount FROM own_use WHERE account_id = ? AND epoch = 0 AND seq = 0"
                f" AND name IN ({marks})",
                (NOBODY, *wanted),
            )
            young = self._young(NOBODY, 0)
        return add_uses(
            (Use(name=name, amount=amount) for name, amount in written),
            (use for use in _joined(young) if use.name in wanted),
        )

    def accounts(self) -> frozenset[int]:
        """The accounts whose rows this till adds something to."""
        with self._database.lock:
            written = self._database.rows("SELECT DISTINCT account_id FROM own_use")
            return frozenset({row[0] for row in written} | {one[0] for one in self.standing.young})

    def forget(self, rows: Iterable[tuple[int, int]]) -> None:
        """Drop uses up to `own_seq` of each (account_id, own_seq); in a transaction of its own.

        Only once the row is safe in the cache: then nobody reads them, and whether they go now or after a crash
        makes no difference. The other way round a crash would show a balance that is too high.
        """
        upto = {account_id: own_seq for account_id, own_seq in rows if account_id != NOBODY}
        with self._database.lock:
            with self._database.writing() as writer:
                writer.executemany(
                    "DELETE FROM own_use WHERE account_id = ? AND epoch = ? AND seq <= ?",
                    [(account_id, self._epoch, own_seq) for account_id, own_seq in upto.items()],
                )
            now = self.standing
            young = tuple(one for one in now.young if one[1] > upto.get(one[0], 0))
            self.standing = Standing(written=now.written, young=young)

    def count(self) -> int:
        """How many uses are kept, in memory and in the table."""
        with self._database.lock:
            young = sum(len(uses) for _, _, uses in self.standing.young)
            return young + int(self._database.rows("SELECT count(*) FROM own_use")[0][0])

    def _write(self, seq: int) -> None:
        for account_id, of_seq, uses in self.standing.young:
            self._insert([(account_id, uses)], of_seq)
        self._note(self._epoch, seq)

    def _note(self, epoch: int, seq: int) -> None:
        self._database.writer.execute("UPDATE stream SET uses_seq = ? WHERE epoch = ?", (seq, epoch))

    def _young(self, account_id: int, own_seq: int) -> list[Uses]:
        return [uses for whose, seq, uses in self.standing.young if whose == account_id and seq > own_seq]

    def _uses_of(self, event: Event) -> list[tuple[int, Uses]]:
        """What an event adds, by account; no account to which it adds nothing.

        Coupons of members are counted as nobody's too: of a member of another store no row ever tells that one was
        used here.
        """
        account_id, shared = getattr(event, "account_id", None), getattr(event, "shared_uses", ())
        uses = own_uses(event) if account_id is not None else ()
        shared += tuple(use for use in uses if use.name.startswith(coupon_use("")))
        if account_id is not None and isinstance(event, Void):
            uses += voided_uses(self._sold(event.of))
        return [(whose, told) for whose, told in ((account_id, uses), (NOBODY, shared)) if told]

    def _sold(self, of: EventRef) -> Receipt:
        """The receipt that a void undoes: sold at this till the same day, so it is here."""
        place = place_of(of.epoch, of.seq)
        return read_receipt(self._database.rows("SELECT payload FROM event WHERE place = ?", (place,))[0][0])

    def _insert(self, kept: Iterable[tuple[int, Uses]], seq: int) -> None:
        """Counters of no account are kept for good, for nobody sends them down: one row each, whatever the epoch."""
        self._database.writer.executemany(
            "INSERT INTO own_use (account_id, epoch, seq, name, amount) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (account_id, epoch, seq, name) DO UPDATE SET amount = amount + excluded.amount",
            [
                (account_id, *((0, 0) if account_id == NOBODY else (self._epoch, seq)), use.name, use.amount)
                for account_id, uses in kept
                for use in uses
            ],
        )


def _known(payload: bytes) -> Event | None:
    """An event; none where a later version wrote it, which this one took the place of: head office counts it."""
    try:
        return read_head(payload)
    except UnknownEvent as trouble:
        _log.warning("what an event adds to counters is not known to this version: %s", trouble)
        return None


def _joined(uses: Iterable[Uses]) -> Iterable[Use]:
    return (use for some in uses for use in some)
