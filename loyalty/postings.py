"""Event head and books to postings, debts, uses and flags: the one place where a fact becomes ledger rows.

A fact is never refused. What the books cannot cover becomes a debt, what does not add up a flag, and an event that
names one that has not arrived waits for it.
Source: ledger.md rules 1 and 5; settlement.md section 2; house.md section 3.
"""

from collections.abc import Iterable, Sequence
from datetime import date

import msgspec

from loyalty.books import NO_TERMS, NOBODY, Books, Bucket, Flag, Posted, Posting, Recorded, Reversed, Unit
from loyalty.earning import Earned
from loyalty.events import Event
from loyalty.lots import FOREVER, Debt, EventRef, Lot, LotKey, Slice, draw_back, draw_down, give_back, points_in
from loyalty.members import Use
from loyalty.receipts import Funded, Receipt
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
        return _Writer(ref, account_id, books, event.place.partner_id, event.place.business_date).receipt(event)
    if isinstance(event, Return | Void):
        on = event.place.business_date
        if event.of is None:
            return _Writer(ref, account_id, books, event.place.partner_id, on).unreferenced(event)
        recorded = books.recorded(event.of)
        if recorded is None:
            return Posted(ref=ref, waits_for=event.of)
        whom = recorded.account_id if recorded.account_id != NOBODY else None
        writer = _Writer(ref, whom, books, recorded.at_partner_id, on, recorded)
        return writer.void(event) if isinstance(event, Void) else writer.referenced(event)
    return Posted(ref=ref)


class _Writer:
    """Collects what one event posts, on lots that shrink and grow as it goes."""

    def __init__(
        self,
        ref: EventRef,
        account_id: int | None,
        books: Books,
        partner_id: str,
        on: date,
        recorded: Recorded | None = None,
    ) -> None:
        self.ref = ref
        self.account_id = account_id or NOBODY
        self.books = books
        self.partner_id = partner_id
        self.on = on
        self.recorded = recorded
        self.version = books.account(self.account_id).version + 1 if account_id else 0
        self.lots = {lot.key: lot for lot in books.lots(self.account_id)} if account_id else {}
        self.debts = list(books.account(self.account_id).debts) if account_id else []
        self.postings: list[Posting] = []
        self.owed: list[Debt] = []
        self.repaid: list[Debt] = []
        self.flags: list[Flag] = []

    # Sales

    def receipt(self, event: Receipt) -> Posted:
        """Redemption before earning, so a sale never spends what it earns."""
        at_terms = self.terms(self.partner_id) if event.redemption else NO_TERMS
        redeemed: tuple[Slice, ...] = ()
        if event.redemption:
            redeemed = self._redeem(event.redemption.points, at_terms)
        granted = self._accrue(event.earned)
        self._repay(granted)
        for part in event.funded:
            self._fund(part, "issued", "redeemed")
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
        return self._posted(event.uses, recorded=recorded)

    def _redeem(self, points: int, at_terms: str) -> tuple[Slice, ...]:
        slices = draw_down(self.lots.values(), points, today=self.on) if self.account_id else ()
        for slice_ in slices:
            self._post("available", "redeemed", slice_, at_terms=at_terms)
        uncovered = points - points_in(slices)
        if uncovered:
            self._owe(None, None, at_terms, uncovered)
            self._flag("uncovered", asked=points, covered=points - uncovered)
        return slices

    def _accrue(self, earned: Iterable[Earned]) -> tuple[Slice, ...]:
        fresh: dict[LotKey, int] = {}
        for part in earned:
            if not self.account_id:
                self._flag("earned_by_nobody", points=part.points)
                continue
            key = LotKey(
                valid_through=part.valid_through, issuer_id=part.issuer_id, terms_id=self.terms(part.issuer_id)
            )
            fresh[key] = fresh.get(key, 0) + part.points
        slices = tuple(Slice(key=key, points=points) for key, points in fresh.items())
        for slice_ in slices:
            self._post("issued", "available", slice_)
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
            self._post("available", "redeemed", part, at=at, at_terms=terms, of=debt.of, origin=origin)
        else:
            self._claw(part, debt.issuer_id, debt.terms_id or NO_TERMS, of=debt.of, origin=origin)

    # Reversals

    def referenced(self, event: Return) -> Posted:
        """Back what the receipt recorded, at most what is left of it."""
        assert self.recorded is not None
        left = self.recorded
        if event.net_minor > left.net_minor:
            self._flag("returned_twice", returned_minor=event.net_minor, left_minor=left.net_minor)
        granted = self._cap_granted(event.reversed, left)
        restored = min(event.restored_points, points_in(left.redeemed) + self._open_spend(left.ref))
        if restored < event.restored_points:
            self._flag("restored_more_than_spent", asked=event.restored_points, left=restored)
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
            key = LotKey(
                valid_through=part.valid_through, issuer_id=part.issuer_id, terms_id=self.terms(part.issuer_id)
            )
            if self.account_id:
                self._draw_back(Slice(key=key, points=part.points))
        for funded in event.funded:
            self._fund(funded, "redeemed", "issued")
        return self._posted(event.uses)

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
            self._fund(part, "redeemed", "issued")
        return self._posted(
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
            self._post("redeemed", "available", slice_, at_terms=self.recorded.at_terms_id)
        return points_in(slices)

    def _draw_back(self, wanted: Slice) -> None:
        slices = draw_back(self.lots.values(), wanted.key, wanted.points)
        for slice_ in slices:
            self._claw(slice_, wanted.key.issuer_id, wanted.key.terms_id)
        short = wanted.points - points_in(slices)
        if short:
            self._owe(wanted.key.issuer_id, wanted.key.terms_id, wanted.key.terms_id, short)

    def _claw(
        self, part: Slice, issuer_id: str, terms_id: str, of: EventRef | None = None, origin: int | None = None
    ) -> None:
        """The issuer's own points are reversed; another issuer's are redeemed there, at the funding price."""
        if part.key.issuer_id == issuer_id:
            self._post("available", "reversed", part, of=of, origin=origin)
        else:
            self._post(
                "available", "redeemed", part, at=issuer_id, at_terms=terms_id, of=of, origin=origin, funding=True
            )

    def _cap_granted(self, asked: Iterable[Earned], left: Recorded) -> tuple[Slice, ...]:
        keys = {(one.key.issuer_id, one.key.valid_through): one.key for one in left.granted}
        had = {one.key: one.points for one in left.granted}
        capped: dict[LotKey, int] = {}
        for part in asked:
            key = keys.get((part.issuer_id, part.valid_through))
            points = min(part.points, had[key] - capped.get(key, 0)) if key else 0
            if points < part.points:
                self._flag("returned_twice", asked=part.points, left=points)
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

    # Rows

    def terms(self, partner_id: str) -> str:
        """The partner's terms on the day of the event; flagged where there are none."""
        terms_id = self.books.terms_id(partner_id, self.on)
        if terms_id == NO_TERMS:
            self._flag("no_terms", partner_id=partner_id)
        return terms_id

    def _fund(self, part: Funded, source: Bucket, target: Bucket) -> None:
        key = LotKey(valid_through=FOREVER, issuer_id=part.partner_id, terms_id=NO_TERMS)
        self._post(source, target, Slice(key=key, points=part.amount_minor), unit="currency")

    def _post(
        self,
        source: Bucket,
        target: Bucket,
        part: Slice,
        *,
        unit: Unit = "point",
        at: str | None = None,
        at_terms: str = NO_TERMS,
        of: EventRef | None = None,
        origin: int | None = None,
        funding: bool = False,
    ) -> None:
        corrects = self.recorded.period_no if self.recorded else self.books.period_no
        posting = Posting(
            account_id=self.account_id,
            account_version=self.version,
            n=len(self.postings) + 1,
            unit=unit,
            source=source,
            target=target,
            amount=part.points,
            key=part.key,
            at_partner_id=at or self.partner_id,
            at_terms_id=at_terms,
            priced_by="funding" if funding else "reimburse",
            by=self.ref,
            of=of or self.ref,
            period_no=self.books.period_no,
            origin_period_no=corrects if origin is None else origin,
        )
        self.postings.append(posting)
        if unit == "point":
            self._move(posting)

    def _move(self, posting: Posting) -> None:
        held = self.lots.get(posting.key)
        step = (posting.target == "available") - (posting.source == "available")
        points = (held.points if held else 0) + step * posting.amount
        self.lots[posting.key] = Lot(key=posting.key, points=points)

    def _owe(self, issuer_id: str | None, terms_id: str | None, at_terms: str, points: int) -> None:
        self.owed.append(
            Debt(
                account_id=self.account_id,
                issuer_id=issuer_id,
                terms_id=terms_id,
                at_partner_id=self.partner_id,
                at_terms_id=at_terms,
                points=points,
                of=self.ref,
                origin_period_no=self.recorded.period_no if self.recorded else self.books.period_no,
            )
        )

    def _flag(self, cause: str, **figures: int | str) -> None:
        self.flags.append(Flag(of=self.ref, cause=cause, figures=figures))

    def _posted(
        self, uses: Sequence[Use], recorded: Recorded | None = None, reversed_: Reversed | None = None
    ) -> Posted:
        return Posted(
            ref=self.ref,
            account_id=self.account_id,
            account_version=self.version,
            postings=tuple(self.postings),
            owed=tuple(self.owed),
            repaid=tuple(self.repaid),
            uses=tuple(uses) if self.account_id else (),
            flags=tuple(self.flags),
            recorded=recorded,
            reversed=reversed_,
        )
