"""What a return or a void writes: back what the receipt recorded, at most what is left of it.

Source: DECISIONS 8, 10; docs/programme.md "Returns"; settlement.md section 2, rows "Return", "Refund of a redemption".
"""

from collections.abc import Iterable, Sequence

from loyalty.facts.receipts import Funded
from loyalty.facts.reversals import Return, Void
from loyalty.ledger.books import Posted, Recorded, Reversed
from loyalty.ledger.certificate_postings import refill, take_off
from loyalty.ledger.posting_writer import Writer
from loyalty.lots import EventRef, LotKey, Slice, draw_back, give_back, points_in, whereabouts
from loyalty.pricing.earning import Earned


class ReversalWriter(Writer):
    """A return or a void."""

    def referenced(self, event: Return) -> Posted:
        """Back what the receipt recorded, at most what is left of it."""
        assert self.recorded is not None
        left = self.recorded
        worth = event.net_minor + event.withheld_minor
        if worth > left.net_minor:
            self.flag("returned_twice", returned_minor=worth, left_minor=left.net_minor)
        room = {one.key: one.points for one in left.granted}
        taken, withheld = self.of_granted(event.reversed, room), self.of_granted(event.withheld, room)
        restored = min(event.restored_points, points_in(left.redeemed) + self._open_spend(left.ref))
        if restored < event.restored_points:
            self.flag("restored_more_than_spent", asked=event.restored_points, left=restored)
        funded = self._cap_funded(event.funded, left)
        given_back = self._restore(restored)
        self._certificates(event, left.ref)
        # Granted before anything is taken: what the goods that are kept earn today may meet what they no longer earn.
        self.repay(self.accrue(event.earned, of=left.ref))
        return self._take_back(
            event, taken, Reversed(
                of=left.ref,
                by=self.ref,
                account_id=self.account_id,
                granted=_merged((*taken, *withheld)),
                restored_points=given_back,
                net_minor=min(worth, left.net_minor),
                funded=funded,
            ),
        )  # fmt: skip

    def void(self, event: Void) -> Posted:
        """Back everything that is left of the receipt."""
        assert self.recorded is not None
        left = self.recorded
        given_back = self._restore(points_in(left.redeemed) + self._open_spend(left.ref))
        self._certificates(event, left.ref)
        return self._take_back(
            event, sorted(left.granted, key=lambda one: one.key), Reversed(
                of=left.ref,
                by=self.ref,
                account_id=self.account_id,
                granted=left.granted,
                restored_points=given_back,
                net_minor=left.net_minor,
                funded=left.funded,
            ),
        )  # fmt: skip

    def unreferenced(self, event: Return) -> Posted:
        """Points of today's goods are reversed; points that were spent are not given back (DECISIONS 10)."""
        if self.account_id:
            self.repay(self.accrue(event.earned))
            for part in event.reversed:
                self.draw_back(Slice(key=self.key_of(part), points=part.points), clamp=event.clamp)
        for funded in event.funded:
            self.fund(funded, "redeemed", "issued")
        return self.posted(event.uses, event.shared_uses)

    def _take_back(self, event: Return | Void, granted: Sequence[Slice], reversed_: Reversed) -> Posted:
        """Spent points have come back before, so that they can meet the clawback of earned ones."""
        for slice_ in granted:
            self.draw_back(slice_, clamp=event.clamp)
        for part in reversed_.funded:
            self.fund(part, "redeemed", "issued")
        return self.posted(event.uses, event.shared_uses, reversed_=reversed_)

    def _certificates(self, event: Return | Void, of: EventRef) -> None:
        """Money back onto certificates that paid, before those that were sold are taken out of use."""
        refill(self, (*event.uses, *event.shared_uses), of)
        take_off(self, event.certificates_back, of)

    def _restore(self, points: int) -> int:
        """Give a redemption back: first what nothing had covered, then its slices, last used first; points of these.

        Points that come back repay debts like new ones: else goods that come back in parts could leave a debt beside
        points that are there to pay it.
        """
        assert self.recorded is not None
        for at in self._spend_debts(self.recorded.ref):
            part = min(points, self.debts[at].points)
            if part:
                self.drop_claim(self.debts[at], part)
                self.forgive(at, part)
                points -= part
        slices = give_back(self.recorded.redeemed, points)
        for slice_ in slices:
            self.post("redeemed", "available", slice_, at_terms=self.recorded.at_terms_id)
        self.repay(slices)
        return points_in(slices)

    def draw_back(self, wanted: Slice, *, clamp: bool) -> None:
        """Points granted into a lot are taken from it, then from others; what is not there is owed, or let go."""
        homes = whereabouts(wanted.key, self.books.account(self.account_id).redated)
        lapsed = self._lapsed(wanted, homes)
        slices = draw_back(self.lots.values(), wanted.key, wanted.points - lapsed, homes)
        for slice_ in slices:
            self.claw(slice_, wanted.key.issuer_id, wanted.key.terms_id)
        short = wanted.points - lapsed - points_in(slices)
        if short and clamp:
            self.flag("clawback_clamped", asked=wanted.points, taken=wanted.points - short, let_go=short)
        elif short:
            self.owe(wanted.key.issuer_id, wanted.key.terms_id, wanted.key.terms_id, short)

    def _lapsed(self, wanted: Slice, homes: Sequence[LotKey]) -> int:
        """What the expiry run took of the very lot that was granted, wherever its points lapsed, as if the goods had
        come back before it ran."""
        held = sum(self.lots[key].points for key in homes if key in self.lots)
        short = max(0, wanted.points - held)
        total = 0
        for key in homes:
            points = min(short - total, self.expired.get(key, 0))
            if points > 0:
                self.post("expired", "reversed", Slice(key=key, points=points))
                total += points
        return total

    def of_granted(self, asked: Iterable[Earned], room: dict[LotKey, int]) -> tuple[Slice, ...]:
        """The lots that points were granted into, at most what is left in each; takes it off `room`."""
        found: list[Slice] = []
        for part in asked:
            wanted = part.points
            for key in sorted(room):
                if (key.issuer_id, key.valid_through) == (part.issuer_id, part.valid_through):
                    points = min(wanted, room[key])
                    room[key] -= points
                    wanted -= points
                    found.append(Slice(key=key, points=points))
            if wanted:
                self.flag("returned_twice", asked=part.points, left=part.points - wanted)
        return _merged(found)

    def _cap_funded(self, asked: Iterable[Funded], left: Recorded) -> tuple[Funded, ...]:
        room = {part.partner_id: part.amount_minor for part in left.funded}
        capped: dict[str, int] = {}
        for part in asked:
            amount = min(part.amount_minor, room.get(part.partner_id, 0) - capped.get(part.partner_id, 0))
            if amount:
                capped[part.partner_id] = capped.get(part.partner_id, 0) + amount
        return tuple(Funded(partner_id=partner_id, amount_minor=amount) for partner_id, amount in capped.items())

    def _spend_debts(self, of: EventRef) -> list[int]:
        return [at for at, debt in enumerate(self.debts) if debt.of == of and debt.issuer_id is None]

    def _open_spend(self, of: EventRef) -> int:
        return sum(self.debts[at].points for at in self._spend_debts(of))


def _merged(slices: Iterable[Slice]) -> tuple[Slice, ...]:
    """One slice a lot, in the order in which they come; none that is empty."""
    sums: dict[LotKey, int] = {}
    for slice_ in slices:
        sums[slice_.key] = sums.get(slice_.key, 0) + slice_.points
    return tuple(Slice(key=key, points=points) for key, points in sums.items() if points)
