"""What a return or a void writes: back what the receipt recorded, at most what is left of it.

Source: DECISIONS 8, 10; settlement.md section 2, rows "Return" and "Refund of a redemption".
"""

from collections.abc import Iterable, Sequence

import msgspec

from loyalty.books import Posted, Recorded, Reversed
from loyalty.earning import Earned
from loyalty.lots import Debt, EventRef, LotKey, Slice, draw_back, give_back, points_in
from loyalty.members import Use
from loyalty.posting_writer import Writer
from loyalty.receipts import Funded
from loyalty.reversals import Return, Void


class ReversalWriter(Writer):
    """A return or a void."""

    def referenced(self, event: Return) -> Posted:
        """Back what the receipt recorded, at most what is left of it."""
        assert self.recorded is not None
        left = self.recorded
        if event.net_minor > left.net_minor:
            self.flag("returned_twice", returned_minor=event.net_minor, left_minor=left.net_minor)
        granted = self._cap_granted(event.reversed, left)
        restored = min(event.restored_points, points_in(left.redeemed) + self._open_spend(left.ref))
        if restored < event.restored_points:
            self.flag("restored_more_than_spent", asked=event.restored_points, left=restored)
        net_minor = min(event.net_minor, left.net_minor)
        return self._take_back(granted, restored, net_minor, self._cap_funded(event.funded, left), event.uses)

    def void(self, event: Void) -> Posted:
        """Back everything that is left of the receipt."""
        assert self.recorded is not None
        left = self.recorded
        restored = points_in(left.redeemed) + self._open_spend(left.ref)
        return self._take_back(left.granted, restored, left.net_minor, left.funded, event.uses)

    def unreferenced(self, event: Return | Void) -> Posted:
        """Points of today's goods are reversed; points that were spent are not given back (DECISIONS 10)."""
        assert isinstance(event, Return)
        for part in event.reversed:
            key = self.key_of(part)
            if self.account_id:
                self._draw_back(Slice(key=key, points=part.points))
        for funded in event.funded:
            self.fund(funded, "redeemed", "issued")
        return self.posted(event.uses)

    def _take_back(
        self,
        granted: Sequence[Slice],
        restored: int,
        net_minor: int,
        funded: Sequence[Funded],
        uses: Sequence[Use],
    ) -> Posted:
        """Spent points come back first, so that they can meet the clawback of earned ones."""
        assert self.recorded is not None
        given_back = self._restore(restored)
        for slice_ in granted:
            self._draw_back(slice_)
        for part in funded:
            self.fund(part, "redeemed", "issued")
        return self.posted(
            uses,
            reversed_=Reversed(
                of=self.recorded.ref,
                by=self.ref,
                account_id=self.account_id,
                granted=tuple(granted),
                restored_points=given_back,
                net_minor=net_minor,
                funded=tuple(funded),
            ),
        )

    def _restore(self, points: int) -> int:
        """Give a redemption back: first what nothing had covered, then its slices, last used first; points of these."""
        assert self.recorded is not None
        for debt in self._spend_debts(self.recorded.ref):
            part = min(points, debt.points)
            if part:
                self.repaid.append(msgspec.structs.replace(debt, points=part))
                points -= part
        slices = give_back(self.recorded.redeemed, points)
        for slice_ in slices:
            self.post("redeemed", "available", slice_, at_terms=self.recorded.at_terms_id)
        return points_in(slices)

    def _draw_back(self, wanted: Slice) -> None:
        slices = draw_back(self.lots.values(), wanted.key, wanted.points)
        for slice_ in slices:
            self.claw(slice_, wanted.key.issuer_id, wanted.key.terms_id)
        short = wanted.points - points_in(slices)
        if short:
            self.owe(wanted.key.issuer_id, wanted.key.terms_id, wanted.key.terms_id, short)

    def _cap_granted(self, asked: Iterable[Earned], left: Recorded) -> tuple[Slice, ...]:
        keys = {(one.key.issuer_id, one.key.valid_through): one.key for one in left.granted}
        had = {one.key: one.points for one in left.granted}
        capped: dict[LotKey, int] = {}
        for part in asked:
            key = keys.get((part.issuer_id, part.valid_through))
            points = min(part.points, had[key] - capped.get(key, 0)) if key else 0
            if points < part.points:
                self.flag("returned_twice", asked=part.points, left=points)
            if key and points:
                capped[key] = capped.get(key, 0) + points
        return tuple(Slice(key=key, points=points) for key, points in capped.items())

    def _cap_funded(self, asked: Iterable[Funded], left: Recorded) -> tuple[Funded, ...]:
        room = {part.partner_id: part.amount_minor for part in left.funded}
        capped: dict[str, int] = {}
        for part in asked:
            amount = min(part.amount_minor, room.get(part.partner_id, 0) - capped.get(part.partner_id, 0))
            if amount:
                capped[part.partner_id] = capped.get(part.partner_id, 0) + amount
        return tuple(Funded(partner_id=partner_id, amount_minor=amount) for partner_id, amount in capped.items())

    def _spend_debts(self, of: EventRef) -> list[Debt]:
        return [debt for debt in self.debts if debt.of == of and debt.issuer_id is None]

    def _open_spend(self, of: EventRef) -> int:
        return sum(debt.points for debt in self._spend_debts(of))
