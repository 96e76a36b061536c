"""Event head and books to postings, debts, uses and flags: the one place where a fact becomes ledger rows.

A fact is never refused. What the books cannot cover becomes a debt, what does not add up a flag, and an event that
names one that has not arrived waits for it.
Source: ledger.md rules 1 and 5; settlement.md section 2; house.md section 3.
"""

from collections.abc import Iterable, Iterator

import msgspec

from loyalty.facts.centre_events import AccountEvent
from loyalty.facts.certificate_events import CertificateEvent
from loyalty.facts.events import Event
from loyalty.facts.fixed import Fixed
from loyalty.facts.lease_events import Granted, LeaseMoved, Reclaimed
from loyalty.facts.price_deltas import PriceDelta
from loyalty.facts.receipts import Receipt
from loyalty.facts.reversals import Return, ReturnVoid, Reversal, Void, receipt_named, return_named
from loyalty.facts.transfers import Transferred
from loyalty.ledger.books import NO_TERMS, NOBODY, Books, Flag, Posted, Recorded, Returned
from loyalty.ledger.certificate_postings import post_certificate, put_on, redeem
from loyalty.ledger.correction_postings import post_correction
from loyalty.ledger.lease_postings import post_lease
from loyalty.ledger.posting_writer import Writer
from loyalty.ledger.price_delta_postings import post_delta
from loyalty.ledger.return_void_postings import ReturnVoidWriter, VoidOfNothing
from loyalty.ledger.reversal_postings import ReversalWriter
from loyalty.ledger.transfer_postings import post_transfer
from loyalty.lots import EventRef, Lot, Slice, draw_down, points_in
from loyalty.moments import Moment, moment_of
from loyalty.pricing.leases import Redemption


def post_event(event: Event, ref: EventRef, account_id: int | None, books: Books) -> Posted:
    """What one event does to the books.

    Args:
        event: its head; the detail is not looked at.
        ref: its place in its stream.
        account_id: whom the centre takes it to concern, a card token resolved; none for an anonymous one.
        books: lots, debts and recorded events it may touch; not changed here, see `Books.take`.
    Returns:
        Postings and the rest; or `waits_for`, when it names a receipt that is not in the books. Where another receipt
        has the place of that one, which a till whose disk went back gave twice, a flag says so: points are never taken
        from a sale that the goods are not of.
    Raises:
        VoidOfNothing: the return that it undoes is not in the books, though all that came before it is.
    """
    if isinstance(event, Receipt):  # nearly all are
        return _SaleWriter(ref, account_id, books, event.place.partner_id, event.place.business_date).receipt(event)
    if isinstance(event, Granted | LeaseMoved | Reclaimed):
        return post_lease(event, ref, books)
    if isinstance(event, AccountEvent):
        return post_correction(event, ref, books)
    if isinstance(event, Transferred):
        return post_transfer(event, ref, books)
    if isinstance(event, PriceDelta):
        return post_delta(event, ref, books)
    if isinstance(event, CertificateEvent):
        return post_certificate(event, ref, books)
    if isinstance(event, Fixed):
        return _instead(event.of, post_event(event.fact, ref, account_id, books))
    if not isinstance(event, Reversal):
        return Posted(ref=ref)
    on = event.place.business_date
    if isinstance(event, ReturnVoid):
        return _void_of_return(event, ref, books)
    if event.of is None:
        assert isinstance(event, Return)
        return _kept(ReversalWriter(ref, account_id, books, event.place.partner_id, on).unreferenced(event), event)
    recorded = books.taken_back(event.of, receipt_named(event))
    if recorded is None:
        return Posted(ref=ref, waits_for=event.of, flags=_other_there(event, event.of, ref, books))
    whom = recorded.account_id if recorded.account_id != NOBODY else None
    writer = ReversalWriter(ref, whom, books, recorded.at_partner_id, on, recorded)
    if isinstance(event, Void):
        return writer.void(event)
    return _kept(writer.referenced(event), event)


def _void_of_return(event: ReturnVoid, ref: EventRef, books: Books) -> Posted:
    returned = books.returned(event.undoes, return_named(event))
    if returned is None:
        # A return waits for its receipt, and so does whatever undoes it.
        if event.of is not None and books.taken_back(event.of, receipt_named(event)) is None:
            return Posted(ref=ref, waits_for=event.of, flags=_other_there(event, event.of, ref, books))
        raise VoidOfNothing("the return that it undoes is not in the books", receipt_id=event.receipt_id)
    recorded = books.recorded(returned.reversed.of) if returned.reversed else None
    whom = recorded.account_id if recorded else returned.account_id
    at, on = (recorded or returned).at_partner_id, event.place.business_date
    return ReturnVoidWriter(ref, whom or None, books, at, on, recorded).give_again(event, returned)


def _kept(posted: Posted, event: Return) -> Posted:
    """A return's rows are kept for its void."""
    returned = Returned(
        ref=posted.ref, return_id=event.receipt_id, account_id=posted.account_id,
        at_partner_id=event.place.partner_id, postings=posted.postings, reversed=posted.reversed,
    )  # fmt: skip
    return msgspec.structs.replace(posted, returned=returned)


def _instead(of: EventRef, posted: Posted) -> Posted:
    """A receipt or return that people posted is found under the place of the event that it stands for, too."""
    if posted.recorded is not None:
        return msgspec.structs.replace(posted, recorded=msgspec.structs.replace(posted.recorded, instead_of=of))
    if posted.returned is not None:
        return msgspec.structs.replace(posted, returned=msgspec.structs.replace(posted.returned, instead_of=of))
    return posted


def _other_there(event: Reversal, of: EventRef, ref: EventRef, books: Books) -> tuple[Flag, ...]:
    there = books.recorded(of)
    if there is None:
        return ()
    return (Flag(of=ref, cause="other_receipt", figures={"named": receipt_named(event), "found": there.receipt_id}),)


class _SaleWriter(Writer):
    """What a sale writes."""

    def receipt(self, event: Receipt) -> Posted:
        """Redemption before earning, so that a sale never spends what it earns, unless the programme lets it."""
        at_terms = self.terms(self.partner_id) if event.redemption else NO_TERMS
        granted = self.accrue(event.earned) if event.spends_own else ()
        redeemed: tuple[Slice, ...] = ()
        if event.redemption:
            redeemed = self._redeem(event.redemption, moment_of(event.place), at_terms, granted)
        if not event.spends_own:
            granted = self.accrue(event.earned)
        self.repay(granted)
        for part in event.funded:
            self.fund(part, "issued", "redeemed")
        redeem(self, (*event.uses, *event.shared_uses))
        put_on(self, event.certificates_sold)
        recorded = Recorded(
            ref=self.ref,
            receipt_id=event.receipt_id,
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

    def _redeem(self, asked: Redemption, now: Moment, at_terms: str, granted: Iterable[Slice]) -> tuple[Slice, ...]:
        slices: tuple[Slice, ...] = ()
        if self.account_id:
            leased = self._from_lease(asked, at_terms) if asked.slices else ()
            drawn = draw_down(
                self._lots_after(granted),
                asked.points - points_in(leased),
                today=self.on,
                now=now,
                order=asked.lot_order,
                expiry=asked.expiry,
            )
            for slice_ in drawn:
                self._pay(slice_, at_terms)
            if asked.authority == "hold":
                self.release(asked.lease_id)
            slices = (*leased, *drawn)
        uncovered = asked.points - points_in(slices)
        if uncovered:
            self.owe(None, None, at_terms, uncovered)
            self.flag("uncovered", asked=asked.points, covered=asked.points - uncovered, bearer=self.partner_id)
        return slices

    def _from_lease(self, asked: Redemption, at_terms: str) -> tuple[Slice, ...]:
        """What the till drew from its hold or lease, as far as that still has it: once it was reclaimed the member may
        have spent these points elsewhere."""
        left = self.lease_left(asked.lease_id)
        taken = []
        for slice_ in asked.slices:
            points = min(slice_.points, left.get(slice_.key, 0))
            if points:
                part = Slice(key=slice_.key, points=points)
                self.move_leased(asked.lease_id, "leased", "redeemed", part, at_terms=at_terms)
                left[slice_.key] -= points
                taken.append(part)
        short = points_in(asked.slices) - points_in(taken)
        if short:
            reclaimed = asked.lease_id in self.books.account(self.account_id).reclaimed
            cause = "spent_after_reclaim" if reclaimed else "over_lease"
            self.flag(cause, lease_id=asked.lease_id, points=short, bearer=self.partner_id)
        return tuple(taken)

    def _lots_after(self, granted: Iterable[Slice]) -> Iterator[Lot]:
        """Lots as the books will know them: points of a sale that comes late make the lot they go to older.

        What the expiry run has taken is still there for a sale of a day on which it was live.
        """
        fresh = {slice_.key for slice_ in granted}
        remembered = self.books.account(self.account_id).earned_on
        for key in self.lots.keys() | self.expired.keys():
            lot = self.lots.get(key) or Lot(key=key, points=0, earned_on=remembered.get(key))
            if key in fresh and lot.earned_on is not None:
                lot = msgspec.structs.replace(lot, earned_on=min(lot.earned_on, self.on))
            yield msgspec.structs.replace(lot, points=lot.points + self.expired.get(key, 0))

    def _pay(self, drawn: Slice, at_terms: str) -> None:
        """From the lot; and what it lacks from what had lapsed of it, which takes the breakage back."""
        held = self.lots[drawn.key].points if drawn.key in self.lots else 0
        from_lot = min(drawn.points, held)
        if from_lot:
            self.post("available", "redeemed", Slice(key=drawn.key, points=from_lot), at_terms=at_terms)
        if drawn.points > from_lot:
            lapsed = Slice(key=drawn.key, points=drawn.points - from_lot)
            self.post("expired", "redeemed", lapsed, at_terms=at_terms)
