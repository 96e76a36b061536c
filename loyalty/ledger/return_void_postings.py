"""What the void of a return writes: each row of the return the other way round, and its spent points are spent again.

What later events did with the points that came back stands: what is not there any more is taken from other lots, else
owed to the partner of the receipt, as after any spend that nothing covers.
Source: docs/decisions/void-of-a-return.md; settlement.md section 2, rows "Return", "Refund of a redemption".
"""

from collections.abc import Iterator

from loyalty.facts.reversals import ReturnVoid
from loyalty.ledger.books import NO_TERMS, Bucket, Posted, Posting, Recorded, Returned, Reversed
from loyalty.ledger.certificate_postings import put_back, take_again
from loyalty.ledger.reversal_postings import ReversalWriter
from loyalty.lots import LotKey, Slice, points_in
from loyalty.trouble import InvariantBroken


class VoidOfNothing(InvariantBroken):
    code = "void_of_nothing"


class ReturnVoidWriter(ReversalWriter):
    """The void of one return, on what its receipt has left; `recorded` is none where it was posted without one."""

    def give_again(self, event: ReturnVoid, returned: Returned) -> Posted:
        """Earned points come first, so that the points spent again can be paid from them too."""
        fresh = self._other_way(returned)
        for at, debt in enumerate(self.debts):
            if debt.of == returned.ref:
                self.forgive(at, debt.points)
        left = self.recorded
        if left is None or returned.reversed is None:
            self.repay(fresh)
            return self.posted(event.uses, event.shared_uses)
        anew = self.of_granted(event.reversed, {one.key: one.points for one in left.granted})
        put_back(self, event.certificates_again, returned.ref)
        take_again(self, (*event.uses, *event.shared_uses), left.ref)
        for slice_ in anew:
            self.draw_back(slice_, clamp=event.clamp)
        self._spend_again(left, returned)
        self.repay(fresh)
        undone = returned.reversed
        return self.posted(
            event.uses,
            event.shared_uses,
            reversed_=Reversed(
                of=left.ref,
                by=self.ref,
                account_id=self.account_id,
                granted=anew,
                net_minor=-undone.net_minor,
                regranted=undone.granted,
                refunded=undone.funded,
            ),
        )

    def _other_way(self, returned: Returned) -> list[Slice]:
        """Points that were taken go back where they were taken from, discounts are funded again; those of these points
        that are there to be spent."""
        fresh = []
        for row in returned.postings:
            if not (_is_taken(row, returned) or _is_funding(row, returned)):
                continue
            part = Slice(key=row.key, points=row.amount)
            self.post(row.target, row.source, part, unit=row.unit, at=row.at_partner_id, at_terms=row.at_terms_id,
                      origin=row.origin_period_no, funding=row.priced_by == "funding")  # fmt: skip
            if row.unit == "point" and row.source == "available":
                fresh.append(part)
        return fresh

    def _spend_again(self, left: Recorded, returned: Returned) -> None:
        """The points that had come back: out of their own lots, then of any that is live, soonest to lapse first."""
        back = [row for row in returned.postings if _is_restored(row, returned)]
        slices = [Slice(key=row.key, points=row.amount) for row in reversed(back)]
        wanted = short = points_in(slices) + _forgiven(returned)
        for key, most in (*((one.key, one.points) for one in slices), *self._live(wanted)):
            short -= self._pay_again(left, key, min(most, short))
        if short:
            self.owe(None, None, left.at_terms_id, short, of=left.ref)
            self.flag("uncovered", asked=wanted, covered=wanted - short, bearer=self.partner_id)

    def _live(self, points: int) -> Iterator[tuple[LotKey, int]]:
        for key in sorted(self.lots.keys() | self.expired.keys()):
            if key.valid_through >= self.on:
                yield key, points

    def _pay_again(self, left: Recorded, key: LotKey, points: int) -> int:
        """From one lot, or from what had lapsed of it; how many."""
        paid = 0
        held = self.lots[key].points if key in self.lots else 0
        sources: tuple[tuple[Bucket, int], ...] = (("available", held), ("expired", self.expired.get(key, 0)))
        for source, there in sources:
            part = Slice(key=key, points=min(points - paid, there))
            if part.points > 0:
                self.post(source, "redeemed", part, at_terms=left.at_terms_id, of=left.ref)
                paid += part.points
        return paid


def _is_taken(row: Posting, returned: Returned) -> bool:
    """Points that were taken for it: by the return itself, or later where they were owed."""
    is_out = row.source in ("available", "expired") and row.target in ("reversed", "redeemed")
    return row.unit == "point" and row.of == returned.ref and is_out


def _is_funding(row: Posting, returned: Returned) -> bool:
    return row.unit == "currency" and row.key.terms_id == NO_TERMS and row.by == returned.ref


def _is_restored(row: Posting, returned: Returned) -> bool:
    is_back = (row.source, row.target) == ("redeemed", "available")
    return row.unit == "point" and row.by == returned.ref and is_back


def _forgiven(returned: Returned) -> int:
    """Points of the receipt that nothing had covered, and that its return cancelled: claims that it dropped, but for
    those that points of its own had come to pay."""
    of = returned.reversed.of if returned.reversed else None
    mine = [row for row in returned.postings if row.by == returned.ref and row.of == of]
    dropped = sum(row.amount for row in mine if row.unit == "claim" and row.source == "pending")
    return dropped - sum(row.amount for row in mine if row.unit == "point" and row.target == "redeemed")
