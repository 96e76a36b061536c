"""Event head and books to postings, debts, uses and flags: the one place where a fact becomes ledger rows.

A fact is never refused. What the books cannot cover becomes a debt, what does not add up a flag, and an event that
names one that has not arrived waits for it.
Source: ledger.md rules 1 and 5; settlement.md section 2; house.md section 3.
"""

from collections.abc import Iterable

import msgspec

from loyalty.books import NO_TERMS, NOBODY, Books, Posted, Recorded
from loyalty.earning import Earned
from loyalty.events import Event
from loyalty.lots import Debt, EventRef, LotKey, Slice, draw_down, points_in
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
    if isinstance(event, Receipt):
        return _SaleWriter(ref, account_id, books, event.place.partner_id, event.place.business_date).receipt(event)
    if isinstance(event, Return | Void):
        on = event.place.business_date
        if event.of is None:
            return ReversalWriter(ref, account_id, books, event.place.partner_id, on).unreferenced(event)
        recorded = books.recorded(event.of)
        if recorded is None:
            return Posted(ref=ref, waits_for=event.of)
        whom = recorded.account_id if recorded.account_id != NOBODY else None
        writer = ReversalWriter(ref, whom, books, recorded.at_partner_id, on, recorded)
        return writer.void(event) if isinstance(event, Void) else writer.referenced(event)
    return Posted(ref=ref)


class _SaleWriter(Writer):
    """What a sale writes."""

    def receipt(self, event: Receipt) -> Posted:
        """Redemption before earning, so a sale never spends what it earns."""
        at_terms = self.terms(self.partner_id) if event.redemption else NO_TERMS
        redeemed: tuple[Slice, ...] = ()
        if event.redemption:
            redeemed = self._redeem(event.redemption.points, at_terms)
        granted = self._accrue(event.earned)
        self._repay(granted)
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
        return self.posted(event.uses, recorded=recorded)

    def _redeem(self, points: int, at_terms: str) -> tuple[Slice, ...]:
        slices = draw_down(self.lots.values(), points, today=self.on) if self.account_id else ()
        for slice_ in slices:
            self.post("available", "redeemed", slice_, at_terms=at_terms)
        uncovered = points - points_in(slices)
        if uncovered:
            self.owe(None, None, at_terms, uncovered)
            self.flag("uncovered", asked=points, covered=points - uncovered)
        return slices

    def _accrue(self, earned: Iterable[Earned]) -> tuple[Slice, ...]:
        fresh: dict[LotKey, int] = {}
        for part in earned:
            if not self.account_id:
                self.flag("earned_by_nobody", points=part.points)
                continue
            key = self.key_of(part)
            fresh[key] = fresh.get(key, 0) + part.points
        slices = tuple(Slice(key=key, points=points) for key, points in fresh.items())
        for slice_ in slices:
            self.post("issued", "available", slice_)
        return slices

    def _repay(self, granted: Iterable[Slice]) -> None:
        """New points repay debts, oldest first."""
        fresh = {slice_.key: slice_.points for slice_ in granted}
        for debt in self.debts:
            owed = debt.points
            for key in sorted(fresh):
                part = Slice(key=key, points=min(owed, fresh[key]))
                if part.points:
                    self._settle(debt, part)
                    fresh[key] -= part.points
                    owed -= part.points
            if owed < debt.points:
                self.repaid.append(msgspec.structs.replace(debt, points=debt.points - owed))

    def _settle(self, debt: Debt, part: Slice) -> None:
        origin = debt.origin_period_no
        if debt.issuer_id is None:
            at, terms = debt.at_partner_id, debt.at_terms_id
            self.post("available", "redeemed", part, at=at, at_terms=terms, of=debt.of, origin=origin)
        else:
            self.claw(part, debt.issuer_id, debt.terms_id or NO_TERMS, of=debt.of, origin=origin)
