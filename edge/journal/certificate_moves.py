"""What this till's own events did to certificates since head office's last word about each of them."""

from collections.abc import Iterable

import msgspec

from edge.database import Database
from edge.journal.places import OF_STREAM, place_of
from loyalty.facts.certificate_events import CertificateMoved
from loyalty.facts.events import Event
from loyalty.facts.receipts import Receipt
from loyalty.facts.reversals import ReturnVoid, Reversal
from loyalty.ledger.certificate_postings import codes_of, sold_in
from loyalty.lots import EventRef
from sync.chain import StreamHead


class OwnMoves(msgspec.Struct, frozen=True, kw_only=True):
    """What later events than one did to a certificate: minor units put on, taken back off, and paid with it. What the
    void of a return put on again is taken off below 0. `undone_minor` of what was taken back was put on by these events
    themselves."""

    sold_minor: int = 0
    taken_back_minor: int = 0
    undone_minor: int = 0
    used_minor: int = 0
    blocked: bool = False

    @property
    def fresh_minor(self) -> int:
        """What came onto it; 0 or less where nothing did."""
        return self.sold_minor - self.taken_back_minor


class _TakesBack(msgspec.Struct, frozen=True, kw_only=True):
    of: EventRef | None = None


class CertificateMoves:
    """The rows of one epoch; an earlier epoch's went with it, as members' uses do."""

    def __init__(self, database: Database, epoch: int) -> None:
        self._database, self._epoch = database, epoch

    def keep(self, event: Event, head: StreamHead) -> None:
        """Note what an event does, inside the transaction that writes it."""
        rows = [(code, head.epoch, head.seq, what, amount) for code, what, amount in _moves(event)]
        if rows:
            self._database.writer.executemany(
                "INSERT INTO certificate_move (code, epoch, seq, what, amount_minor) VALUES (?, ?, ?, ?, ?)", rows
            )

    def after(self, code: str, own_seq: int) -> OwnMoves:
        """What events later than `own_seq` did to a certificate."""
        sums = {
            what: (count, amount)
            for what, count, amount in self._database.rows(
                "SELECT what, count(*), sum(amount_minor) FROM certificate_move"
                " WHERE code = ? AND epoch = ? AND seq > ? GROUP BY what",
                (code, self._epoch, own_seq),
            )
        }
        return OwnMoves(
            sold_minor=sums.get("sold", (0, 0))[1],
            taken_back_minor=sums.get("back", (0, 0))[1],
            undone_minor=self._undone(code, own_seq) if "back" in sums else 0,
            used_minor=sums.get("used", (0, 0))[1],
            blocked="blocked" in sums,
        )

    def _undone(self, code: str, own_seq: int) -> int:
        """What was taken back off of what came on later than `own_seq`."""
        found = self._database.rows(
            "SELECT seq, amount_minor FROM certificate_move WHERE code = ? AND epoch = ? AND seq > ? AND what = 'back'",
            (code, self._epoch, own_seq),
        )
        return sum(amount for seq, amount in found if self._sale_of(seq) > own_seq)

    def _sale_of(self, seq: int) -> int:
        """The number of the sale that a reversal names; 0 for one of an earlier epoch, and once either is forgotten."""
        found = self._database.row("SELECT payload FROM event WHERE place = ?", (place_of(self._epoch, seq),))
        of = msgspec.json.decode(found[0], type=_TakesBack).of if found else None
        return of.seq if of and of.epoch == self._epoch else 0

    def was_paid_after(self, code: str, seq: int) -> bool:
        """Whether any later event than one is a sale that was paid with a certificate, taken back since or not."""
        query = (
            "SELECT 1 FROM certificate_move WHERE code = ? AND epoch = ? AND seq > ? AND what = 'used'"
            " AND amount_minor < 0 LIMIT 1"
        )
        return self._database.row(query, (code, self._epoch, seq)) is not None

    def used_since(self, code: str, of: EventRef | None) -> int:
        """Minor units, below 0 where they were paid, that sales later than an event of this till paid with a
        certificate, less what came back of these very sales, as far as it remembers; of another epoch it counts all."""
        epoch, seq = (of.epoch, of.seq) if of else (0, 0)
        since = seq if epoch == self._epoch else 0
        found = self._database.rows(
            "SELECT epoch, seq, amount_minor FROM certificate_move WHERE code = ? AND what = 'used'"
            " AND (epoch <> ? OR seq > ?)",
            (code, epoch, seq),
        )
        # A sale itself names none.
        sales = ((self._sale_of(no) if at == self._epoch else 0, amount) for at, no, amount in found)
        return sum(amount for sale, amount in sales if sale > since or (not sale and amount < 0))

    def prune(self) -> None:
        """Forget what belongs to events that are not kept any more, and to epochs that are over."""
        self._database.writer.execute(
            "DELETE FROM certificate_move AS s WHERE epoch <> ? OR seq <"
            f" coalesce((SELECT e.seq FROM event e WHERE {OF_STREAM} ORDER BY e.place LIMIT 1), 0)",
            (self._epoch,),
        )


def _moves(event: Event) -> Iterable[tuple[str, str, int]]:
    if isinstance(event, CertificateMoved):
        yield event.code, "blocked" if event.what == "blocked" else "sold", event.amount_minor
        return
    if not isinstance(event, Receipt | Reversal):
        return
    for code, amount in codes_of((*event.uses, *event.shared_uses)).items():
        if amount:
            yield code, "used", -amount
    if isinstance(event, Receipt):
        for sold in event.certificates_sold:
            yield sold.code, "sold", sold.amount_minor
        return
    for one in sold_in(event):
        yield one.code, "back", -one.amount_minor if isinstance(event, ReturnVoid) else one.amount_minor
