"""Event head and books to postings, debts, uses and flags: the one place where a fact becomes ledger rows.

A fact is never refused. What the books cannot cover becomes a debt, what does not add up a flag, and an event that
names one that has not arrived waits for it.
Source: ledger.md rules 1 and 5; settlement.md section 2; house.md section 3.
"""

from collections.abc import Iterable, Iterator

import msgspec

from loyalty.books import NO_TERMS, NOBODY, Books, Posted, Recorded
from loyalty.events import Event
from loyalty.leases import Redemption
from loyalty.lots import EventRef, Lot, Slice, draw_down, points_in
from loyalty.moments import moment_of
from loyalty.posting_writer import Writer
from loyalty.receipts import Receipt
from loyalty.reversal_postings import ReversalWriter
from loyalty.reversals import Return, Void


def post_event(event: Event, ref: EventRef, account_id: int | None, books: Books) -> Posted:
    """What one event does to the books.

    Args:
        event: its head; the detail is not looked at.
        ref: its place in its stream.
        account_id: whom the centre takes it to concern, a card token resolved; none for an anonymous one.
        books: lots, debts and recorded events it may touch; not changed here, see `Books.take`.
    Returns:
        Postings and the rest; or `waits_for`, and nothing else, when it names an event that is not in the books.
    """
    if not isinstance(event, Receipt | Return | Void):
        return Posted(ref=ref)
    on, now = event.place.business_date, moment_of(event.place)
    if isinstance(event, Receipt):
        return _SaleWriter(ref, account_id, books, event.place.partner_id, on, now).receipt(event)
    if event.of is None:
        return ReversalWriter(ref, account_id, books, event.place.partner_id, on, now).unreferenced(event)
    recorded = books.recorded(event.of)
    if recorded is None:
        return Posted(ref=ref, waits_for=event.of)
    whom = recorded.account_id if recorded.account_id != NOBODY else None
    writer = ReversalWriter(ref, whom, books, recorded.at_partner_id, on, now, recorded)
    return writer.void(event) if isinstance(event, Void) else writer.referenced(event)


class _SaleWriter(Writer):
    """What a sale writes."""

    def receipt(self, event: Receipt) -> Posted:
        """Redemption before earning, so that a sale never spends what it earns, unless the programme lets it."""
        at_terms = self.terms(self.partner_id) if event.redemption else NO_TERMS
        granted = self.accrue(event.earned) if event.spends_own else ()
        redeemed: tuple[Slice, ...] = ()
        if event.redemption:
            redeemed = self._redeem(event.redemption, at_terms, granted)
        if not event.spends_own:
            granted = self.accrue(event.earned)
        self.repay(granted)
        for part in event.funded:
            self.fund(part, "issued", "redeemed")
        recorded = Recorded(
            ref=self.ref,
            account_id=self.account_id,
            period_no=self.books.period_no,
            at_partner_id=self.partner_id,
            at_terms_id=at_terms,
            net_minor=event.net_minor,
            granted=granted,
            redeemed=redeemed,
            funded=event.funded,
        )
        return self.posted(event.uses, event.shared_uses, recorded=recorded)

    def _redeem(self, asked: Redemption, at_terms: str, granted: Iterable[Slice]) -> tuple[Slice, ...]:
        slices: tuple[Slice, ...] = ()
        if self.account_id:
            slices = draw_down(
                self._lots_after(granted),
                asked.points,
                today=self.on,
                now=self.now,
                order=asked.lot_order,
                expiry=asked.expiry,
            )
        for slice_ in slices:
            self.post("available", "redeemed", slice_, at_terms=at_terms)
        uncovered = asked.points - points_in(slices)
        if uncovered:
            self.owe(None, None, at_terms, uncovered)
            self.flag("uncovered", asked=asked.points, covered=asked.points - uncovered)
        return slices

    def _lots_after(self, granted: Iterable[Slice]) -> Iterator[Lot]:
        """Lots as the books will know them: points of a sale that comes late make the lot they go to older."""
        fresh = {slice_.key for slice_ in granted}
        for lot in self.lots.values():
            if lot.key in fresh and lot.earned_on is not None:
                yield msgspec.structs.replace(lot, earned_on=min(lot.earned_on, self.on))
            else:
                yield lot
