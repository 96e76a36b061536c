"""What head office's own facts about an account write: adjustments, expiry, moves, points of an older scheme.

They were decided with the account's books at hand and locked, so what they name is there; else a sum of ours is wrong.
Source: settlement.md section 2, rows "Earn", "Expire", "Return, unspent part"; docs/ledger.md.
"""

import msgspec

from loyalty.facts.centre_events import AccountEvent, Adjusted, Carried, ClaimSettled, Expired, Moved, Taken, WrittenOff
from loyalty.ledger.books import NOBODY, Books, Posted, same_debt
from loyalty.ledger.claim_postings import post_claim
from loyalty.ledger.expiry import expire_lots
from loyalty.ledger.posting_writer import Writer
from loyalty.lots import EventRef, Slice, draw_down, points_in
from loyalty.trouble import InvariantBroken


def post_correction(event: AccountEvent, ref: EventRef, books: Books) -> Posted:
    """What one of the centre's own facts does to its account.

    Raises:
        InvariantBroken: it takes points that the account does not have.
    """
    if isinstance(event, Expired):
        return expire_lots(event.account_id, ref, event.on, books, expiry=event.expiry)
    if isinstance(event, ClaimSettled):
        return post_claim(event, ref, books)
    if isinstance(event, WrittenOff):
        return _written_off(event, ref, books)
    partner_id = event.at_partner_id if isinstance(event, Adjusted) else ""
    writer = _CorrectionWriter(ref, event.account_id, books, partner_id, event.on)
    if isinstance(event, Adjusted):
        writer.adjust(event)
    elif isinstance(event, Moved):
        writer.move(event)
    else:
        writer.carry(event)
    if not isinstance(event, Moved):
        return writer.posted((), ())
    posted = writer.posted(event.uses, ())
    if event.direction == "out":
        return posted
    return msgspec.structs.replace(
        posted,
        takes_over=event.other_id if event.closes else NOBODY,
        ages=tuple((slice_.key, day) for slice_, day in zip(event.slices, event.earned_on, strict=False)),
        redated=event.redated,
    )


def _written_off(event: WrittenOff, ref: EventRef, books: Books) -> Posted:
    """The debts of one spend are forgiven, and its claim ends without being paid."""
    writer = Writer(ref, event.account_id, books, "", event.on)
    left = event.points
    for at, debt in enumerate(writer.debts):
        if debt.issuer_id is None and debt.of == event.of and 0 < debt.points <= left:
            left -= debt.points
            writer.write_off(at)
    if left:
        raise InvariantBroken("more is written off than is owed", points=event.points, left=left)
    return writer.posted((), ())


class _CorrectionWriter(Writer):
    """What a correction writes."""

    def adjust(self, event: Adjusted) -> None:
        """Takes before it grants, so that an exchange never takes what it gives."""
        for taken in event.taken:
            for slice_ in self._drawn(taken):
                self.post("available", "reversed", slice_, at=slice_.key.issuer_id)
        granted = []
        for part in event.granted:
            slice_ = Slice(key=self.key_of(part), points=part.points)
            self.post("issued", "available", slice_, at=event.at_partner_id or part.issuer_id)
            granted.append(slice_)
        self.repay(granted)

    def _drawn(self, taken: Taken) -> tuple[Slice, ...]:
        lots = [lot for lot in self.lots.values() if taken.issuer_id in ("", lot.key.issuer_id)]
        slices = draw_down(lots, taken.points, today=self.on)
        self._check(points_in(slices), taken.points)
        return slices

    def move(self, event: Moved) -> None:
        """One side of a move: points, lapsed points and debts leave, or arrive."""
        if event.direction == "out":
            for slice_ in event.slices:
                self._check(self.lots[slice_.key].points if slice_.key in self.lots else 0, slice_.points)
                self.post("available", "moved", slice_, at=slice_.key.issuer_id)
            for slice_ in event.expired:
                self._check(self.expired.get(slice_.key, 0), slice_.points)
                self.post("expired", "moved", slice_, at=slice_.key.issuer_id)
            for debt in event.debts:
                open_ = [at for at, one in enumerate(self.debts) if same_debt(one, debt) and one.points >= debt.points]
                self._check(len(open_), 1)
                self.forgive(open_[0], debt.points)
            return
        for slice_ in event.slices:
            self.post("moved", "available", slice_, at=slice_.key.issuer_id)
        for slice_ in event.expired:
            self.post("moved", "expired", slice_, at=slice_.key.issuer_id)
        self.owed += event.debts
        self.debts += event.debts
        # A debt that comes along meets the points that are there already: nobody keeps both.
        self.repay(self._live() if event.debts else event.slices)

    def carry(self, event: Carried) -> None:
        """Issued under the terms that are named, as if earned on the day."""
        for slice_ in event.slices:
            self.post("issued", "available", slice_, at=slice_.key.issuer_id)
        self.repay(event.slices)

    def _live(self) -> list[Slice]:
        """Every lot as it stands that can be spent on the day."""
        return [Slice(key=lot.key, points=lot.points) for lot in self.lots.values()
                if lot.points and lot.key.valid_through >= self.on]  # fmt: skip

    def _check(self, there: int, wanted: int) -> None:
        if there < wanted:
            raise InvariantBroken("a correction takes more than there is", there=there, wanted=wanted)
