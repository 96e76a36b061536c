"""What one event writes into the books, row by row, on lots and debts that shrink and grow as it goes."""

from collections.abc import Iterable, Sequence
from datetime import date

import msgspec

from loyalty.certificates import Certificate
from loyalty.facts.receipts import Funded
from loyalty.ledger.books import (
    EARNS,
    NO_TERMS,
    NOBODY,
    Books,
    Bucket,
    Flag,
    LeaseStep,
    Posted,
    Posting,
    Recorded,
    Reversed,
    Unit,
)
from loyalty.lots import FOREVER, Debt, EventRef, Lot, LotKey, Slice
from loyalty.members import Use
from loyalty.pricing.earning import Earned


class Writer:
    """Collects what one event posts.

    Args:
        account_id: none for an anonymous event, whose points concern nobody.
        partner_id: the partner at whose till it happened; of a reversal, where the receipt was.
        on: its business date.
        recorded: of a reversal, what is left of the event it names.
    """

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
        held = books.account(self.account_id) if account_id else None
        self.version = held.version + 1 if held else 0
        self._lots: dict[LotKey, Lot] | None = None
        self.expired = dict(held.expired) if held else {}
        self.debts = list(held.debts) if held else []
        self.postings: list[Posting] = []
        self.owed: list[Debt] = []
        self.repaid: list[Debt] = []
        self.flags: list[Flag] = []
        self.steps: list[LeaseStep] = []
        self.certificates: dict[str, Certificate] = {}

    @property
    def lots(self) -> dict[LotKey, Lot]:
        """The account's open lots, what was posted so far counted. Most sales only add points, and never look."""
        if self._lots is None:
            self._lots = {lot.key: lot for lot in self.books.lots(self.account_id)} if self.account_id else {}
            for posting in self.postings:
                self._move(posting, self._lots)
        return self._lots

    def key_of(self, part: Earned) -> LotKey:
        """The lot that granted points go to: the issuer's terms of the day complete its key."""
        return LotKey(valid_through=part.valid_through, issuer_id=part.issuer_id, terms_id=self.terms(part.issuer_id))

    def accrue(self, earned: Iterable[Earned], of: EventRef | None = None) -> tuple[Slice, ...]:
        """Points granted, as lots of their issuers; what is granted under one key is one lot.

        Args:
            of: the receipt whose goods they are granted for, where that is another event.
        """
        fresh: dict[LotKey, int] = {}
        for part in earned:
            if not self.account_id:
                self.flag("earned_by_nobody", points=part.points)
                continue
            key = self.key_of(part)
            fresh[key] = fresh.get(key, 0) + part.points
        slices = tuple(Slice(key=key, points=points) for key, points in fresh.items())
        for slice_ in slices:
            self.post("issued", "available", slice_, of=of, origin=self.books.period_no)
        return slices

    def repay(self, fresh: Iterable[Slice]) -> None:
        """Points that have just become available repay debts, oldest first, as far as nothing has spent them since."""
        if not self.debts:
            return
        left: dict[LotKey, int] = {}
        for slice_ in fresh:
            left[slice_.key] = left.get(slice_.key, 0) + slice_.points
        for at in range(len(self.debts)):
            for key in sorted(left):
                debt = self.debts[at]
                part = Slice(key=key, points=min(debt.points, left[key], self.lots[key].points))
                if part.points:
                    self._settle(debt, part)
                    self.drop_claim(debt, part.points)
                    left[key] -= part.points
                    self.forgive(at, part.points)

    def forgive(self, at: int, points: int) -> None:
        """Take points off the debt at a place in `debts`; one that is paid stays there with none left."""
        debt = self.debts[at]
        self.repaid.append(msgspec.structs.replace(debt, points=points))
        self.debts[at] = msgspec.structs.replace(debt, points=debt.points - points)

    def drop_claim(self, debt: Debt, points: int) -> None:
        """A redemption that nothing covered is covered now, or undone: its reimbursement is not withheld any more."""
        if debt.issuer_id is None:
            at, terms, origin = debt.at_partner_id, debt.at_terms_id, debt.origin_period_no
            self._claim("pending", "issued", points, at=at, at_terms=terms, of=debt.of, origin=origin)

    def write_off(self, at: int) -> None:
        """Give up the claim of the debt at a place in `debts`: it is owed no more, and never reimbursed."""
        debt = self.debts[at]
        where, terms, origin = debt.at_partner_id, debt.at_terms_id, debt.origin_period_no
        self._claim("pending", "expired", debt.points, at=where, at_terms=terms, of=debt.of, origin=origin)
        self.forgive(at, debt.points)

    def _claim(self, source: Bucket, target: Bucket, points: int, *, at: str, at_terms: str, of: EventRef | None = None,
               origin: int | None = None) -> None:  # fmt: skip
        part = Slice(key=LotKey(valid_through=FOREVER, issuer_id=at, terms_id=NO_TERMS), points=points)
        self.post(source, target, part, unit="claim", at=at, at_terms=at_terms, of=of, origin=origin)

    def _settle(self, debt: Debt, part: Slice) -> None:
        origin = debt.origin_period_no
        if debt.issuer_id is None:
            at, terms = debt.at_partner_id, debt.at_terms_id
            self.post("available", "redeemed", part, at=at, at_terms=terms, of=debt.of, origin=origin)
        else:
            self.claw(part, debt.issuer_id, debt.terms_id or NO_TERMS, of=debt.of, origin=origin)

    def claw(
        self, part: Slice, issuer_id: str, terms_id: str, of: EventRef | None = None, origin: int | None = None
    ) -> None:
        """The issuer's own points are reversed; another issuer's are redeemed there, at the funding price."""
        if part.key.issuer_id == issuer_id:
            self.post("available", "reversed", part, of=of, origin=origin)
        else:
            self.post(
                "available", "redeemed", part, at=issuer_id, at_terms=terms_id, of=of, origin=origin, funding=True
            )

    def lease_left(self, lease_id: str) -> dict[LotKey, int]:
        """What is left of a lease by lot, what this event did to it counted."""
        left = dict(self.books.account(self.account_id).leases.get(lease_id, {}))
        for step in self.steps:
            if step.lease_id == lease_id:
                left[step.key] = left.get(step.key, 0) + step.points
        return {key: points for key, points in left.items() if points}

    def move_leased(
        self, lease_id: str, source: Bucket, target: Bucket, part: Slice, *, at_terms: str = NO_TERMS
    ) -> None:
        """Points of one lot into a lease (`target` leased) or out of it."""
        self.post(source, target, part, at_terms=at_terms)
        step = part.points if target == "leased" else -part.points
        self.steps.append(LeaseStep(lease_id=lease_id, key=part.key, points=step))

    def release(self, lease_id: str, slices: Iterable[Slice] | None = None) -> int:
        """Points of a lease back into the balance: these, as far as they are there, or all that is left of it.

        Returns:
            How many went back.
        """
        left = self.lease_left(lease_id)
        wanted = {key: left[key] for key in sorted(left)} if slices is None else _by_key(slices)
        total = 0
        for key, points in wanted.items():
            back = min(points, left.get(key, 0))
            if back:
                self.move_leased(lease_id, "leased", "available", Slice(key=key, points=back))
                total += back
        return total

    def terms(self, partner_id: str) -> str:
        """The partner's terms on the day of the event; flagged where there are none."""
        terms_id = self.books.terms_id(partner_id, self.on)
        if terms_id == NO_TERMS:
            self.flag("no_terms", partner_id=partner_id)
        return terms_id

    def certificate(self, code: str) -> Certificate:
        """A certificate, what this event did to it counted."""
        return self.certificates.get(code) or self.books.certificate(code)

    def fund(self, part: Funded, source: Bucket, target: Bucket) -> None:
        """A discount that one partner pays and another gave, in minor units."""
        key = LotKey(valid_through=FOREVER, issuer_id=part.partner_id, terms_id=NO_TERMS)
        self.post(source, target, Slice(key=key, points=part.amount_minor), unit="currency")

    def post(
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
        """One posting; a reversal corrects the period of what it reverses unless `origin` names another."""
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
        if unit == "point" and (lapsed := (target == "expired") - (source == "expired")):
            self.expired[part.key] = self.expired.get(part.key, 0) + lapsed * part.points
        if self._lots is not None:
            self._move(posting, self._lots)

    def _move(self, posting: Posting, lots: dict[LotKey, Lot]) -> None:
        if posting.unit != "point":
            return
        held = lots.get(posting.key) or Lot(
            key=posting.key, points=0, earned_on=self.on if posting.source in EARNS else None
        )
        step = (posting.target == "available") - (posting.source == "available")
        lots[posting.key] = Lot(
            key=held.key, points=held.points + step * posting.amount, earned_on=held.earned_on
        )

    def owe(
        self, issuer_id: str | None, terms_id: str | None, at_terms: str, points: int, of: EventRef | None = None
    ) -> None:
        """Points that no lot held; of a redemption, the partner is not reimbursed for them yet.

        Nobody's can never be covered, so nothing is claimed for them. Args: `of`: as for `accrue`.
        """
        if issuer_id is None and self.account_id:
            self._claim("issued", "pending", points, at=self.partner_id, at_terms=at_terms, of=of)
        self.owed.append(
            Debt(
                account_id=self.account_id,
                issuer_id=issuer_id,
                terms_id=terms_id,
                at_partner_id=self.partner_id,
                at_terms_id=at_terms,
                points=points,
                of=of or self.ref,
                origin_period_no=self.recorded.period_no if self.recorded else self.books.period_no,
            )
        )

    def flag(self, cause: str, **figures: int | str) -> None:
        """Something that does not add up about this event."""
        self.flags.append(Flag(of=self.ref, cause=cause, figures=figures))

    def posted(
        self,
        uses: Sequence[Use],
        shared_uses: Sequence[Use],
        recorded: Recorded | None = None,
        reversed_: Reversed | None = None,
    ) -> Posted:
        """Everything this event did."""
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
            shared_uses=tuple(shared_uses),
            on=self.on,
            leased=tuple(self.steps),
            certificates=tuple(
                (code, msgspec.structs.replace(one, n=self.books.certificate(code).n + 1))
                for code, one in self.certificates.items()
            ),
        )


def _by_key(slices: Iterable[Slice]) -> dict[LotKey, int]:
    points: dict[LotKey, int] = {}
    for slice_ in slices:
        points[slice_.key] = points.get(slice_.key, 0) + slice_.points
    return points
