"""What movements of points are worth between partners: money is linear in points, so sums of postings suffice.

Each bucket has a price per point; a movement costs what its target is worth less what its source was. So a
reversal is its mirror without a rule of its own. Funded discounts are money already and stay as they are.
Source: settlement.md section 2, the table of events; house.md idea 3.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Literal

import msgspec

from loyalty.amounts import minor_in_micro
from loyalty.certificates import STORED
from loyalty.facts.price_deltas import DELTA
from loyalty.ledger.books import NO_TERMS, Bucket, Posting, Unit
from loyalty.terms import Terms
from loyalty.trouble import InvariantBroken

Kind = Literal[
    "fee", "advance", "funding", "reimbursement", "expiry", "uncovered", "suspense:offline", "discount_funded",
    "discount_given", "certificate_owed", "certificate_taken", "written_off",
    "price_delta_owed", "price_delta_given",
]  # fmt: skip
PricedBy = Literal["reimburse", "funding"]
OPERATOR = "operator"


class PointSum(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Postings summed over all that sets a price; `points` are minor units where the unit is currency."""

    unit: Unit
    source: Bucket
    target: Bucket
    issuer_id: str
    terms_id: str
    at_partner_id: str
    at_terms_id: str
    priced_by: PricedBy
    origin_period_no: int
    points: int


class Charge(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """What one partner owes of one kind: `points` at `price_micro`, negative where earlier points come back.

    Attributes:
        counterparty_id: where the points were redeemed, whose points they were, or the other side of a discount.
        terms_id: the terms that set the price.
        points: points; minor units for discounts.
        reserve_micro: per point, what leaves the issuer's reserve with it; of what is written off, the operator's loss.
    """

    partner_id: str
    kind: Kind
    counterparty_id: str
    terms_id: str
    origin_period_no: int
    price_micro: int
    reserve_micro: int = 0
    points: int

    @property
    def exact_micro(self) -> int:
        """What the partner owes the operator for it; negative where the operator pays."""
        return owed_micro(self.kind, self.points, self.price_micro)


class Leg(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One side of a money entry in micro-units of the major currency; debits are positive."""

    account: str
    micro: int


# The operator pays these to the partner; all others the partner owes.
_PAID_OUT = ("reimbursement", "expiry", "uncovered", "discount_given", "certificate_taken", "price_delta_given")


def owed_micro(kind: Kind, points: int, price_micro: int) -> int:
    """What a partner owes for so many points of a kind, by sign and price."""
    return -points * price_micro if kind in _PAID_OUT else points * price_micro


def sum_postings(postings: Iterable[Posting]) -> tuple[PointSum, ...]:
    """Postings of one period as sums, sorted; the centre does the same with one GROUP BY."""
    sums: dict[PointSum, int] = {}
    for posting in postings:
        key = PointSum(
            unit=posting.unit,
            source=posting.source,
            target=posting.target,
            issuer_id=posting.key.issuer_id,
            terms_id=posting.key.terms_id,
            at_partner_id=posting.at_partner_id,
            at_terms_id=posting.at_terms_id,
            priced_by=posting.priced_by,
            origin_period_no=posting.origin_period_no,
            points=0,
        )
        sums[key] = sums.get(key, 0) + posting.amount
    return tuple(msgspec.structs.replace(key, points=sums[key]) for key in sorted(sums))


def money_legs(sum_: PointSum, terms: Mapping[str, Terms], currency: str) -> tuple[Leg, ...]:
    """The entry that a movement makes in the money accounts; its legs sum to zero.

    Args:
        terms: by terms id.
        currency: of the programme; discounts are in its minor units.
    Raises:
        InvariantBroken: a posting names terms that do not exist.
    """
    return tuple(leg for charge in charges(sum_, terms, currency) for leg in legs_of(charge))


def charges(sum_: PointSum, terms: Mapping[str, Terms], currency: str) -> tuple[Charge, ...]:
    """What a movement makes each partner owe, by kind. Raises: as `money_legs`."""
    if sum_.terms_id == STORED:
        return _certificate(sum_, currency)
    if sum_.terms_id == DELTA:
        sides = _two_sides("price_delta_owed", "price_delta_given", sum_, currency)
        return tuple(one for one in sides if one.partner_id != OPERATOR)
    if sum_.unit == "currency":
        return _discount(sum_, currency)
    if sum_.unit == "claim":
        return _uncovered(sum_, terms)
    return tuple(charge for charge in _priced(sum_, terms) if charge.points)


def legs_of(charge: Charge) -> Iterator[Leg]:
    """The entry of one charge: what the partner owes, what its reserve gives, the rest the operator's income.

    Of a discount it is one side; the other partner's charge is the other, or the operator's loss.
    """
    owed = charge.exact_micro
    yield Leg(account=f"accrual:{charge.partner_id}", micro=owed)
    if charge.kind == "price_delta_given" and charge.counterparty_id == OPERATOR:
        yield Leg(account="loss:prices", micro=-owed)
    if charge.kind == "fee":
        yield Leg(account="income:fee", micro=-owed)
    elif charge.kind == "advance":
        yield Leg(account=f"reserve:{charge.partner_id}", micro=-owed)
    elif charge.kind in ("funding", "expiry"):
        released = charge.points * charge.reserve_micro
        yield Leg(account=f"reserve:{charge.partner_id}", micro=released)
        income = "income:spread" if charge.kind == "funding" else "income:breakage"
        yield Leg(account=income, micro=-owed - released)
    elif charge.kind == "reimbursement":
        yield Leg(account="income:spread", micro=-owed)
    elif charge.kind == "uncovered":
        yield Leg(account="claims:offline", micro=-owed)
    elif charge.kind == "suspense:offline":
        yield Leg(account=f"suspense:offline:{charge.partner_id}", micro=-owed)
    elif charge.kind == "written_off":
        lost = charge.points * charge.reserve_micro
        yield Leg(account="claims:offline", micro=-owed - lost)
        yield Leg(account="loss:offline", micro=lost)


def balances(legs: Iterable[Leg]) -> dict[str, int]:
    """Balance of each account in micro, sorted by name; accounts at zero are left out."""
    sums: dict[str, int] = {}
    for leg in legs:
        sums[leg.account] = sums.get(leg.account, 0) + leg.micro
    return {account: sums[account] for account in sorted(sums) if sums[account]}


def _priced(sum_: PointSum, terms: Mapping[str, Terms]) -> Iterator[Charge]:
    issued = _terms(terms, sum_.terms_id, sum_.issuer_id)
    at = _terms(terms, sum_.at_terms_id, sum_.at_partner_id)
    paid_at = at.funding_micro if sum_.priced_by == "funding" else at.reimburse_micro

    def charge(kind: Kind, partner: str, other: str, terms_id: str, price: int, reserve: int = 0) -> Charge:
        step = _carries(kind, sum_.target, issued) - _carries(kind, sum_.source, issued)
        return Charge(
            partner_id=partner,
            kind=kind,
            counterparty_id=other,
            terms_id=terms_id,
            origin_period_no=sum_.origin_period_no,
            price_micro=price,
            reserve_micro=reserve,
            points=step * sum_.points,
        )

    issuer, own = sum_.issuer_id, sum_.terms_id
    advance = issued.advance_micro
    yield charge("fee", issuer, OPERATOR, own, issued.fee_micro)
    yield charge("advance", issuer, OPERATOR, own, advance)
    yield charge("funding", issuer, sum_.at_partner_id, own, issued.funding_micro - advance, advance)
    yield charge("reimbursement", sum_.at_partner_id, issuer, sum_.at_terms_id, paid_at)
    yield charge("expiry", issuer, OPERATOR, own, issued.expiry_back_micro, advance)


def _carries(kind: Kind, bucket: Bucket, terms: Terms) -> bool:
    """Whether a point that lies in this bucket has been charged for in this kind."""
    if bucket == "issued":
        return False
    if kind == "fee":
        return bucket != "reversed" or not terms.refunds_fee
    if kind == "advance":
        return bucket != "reversed"
    if kind == "expiry":
        return bucket == "expired"
    return bucket == "redeemed"


def _uncovered(sum_: PointSum, terms: Mapping[str, Terms]) -> tuple[Charge, ...]:
    """What a partner claims for a redemption that nothing covers, and what is withheld of it: all but the operator's
    share. Both go back once points cover it, and it is reimbursed like any other.

    Source: settlement.md "Money accounts"; offline-redemption.md "Who bears what".
    """
    at = _terms(terms, sum_.at_terms_id, sum_.at_partner_id)
    if sum_.target == "expired":
        return _written_off(sum_, at)
    points = sum_.points if sum_.target == "pending" else -sum_.points
    sides: tuple[tuple[Kind, int], ...] = (
        ("uncovered", at.reimburse_micro),
        ("suspense:offline", at.reimburse_micro - at.uncovered_micro),
    )
    return tuple(
        Charge(
            partner_id=sum_.at_partner_id,
            kind=kind,
            counterparty_id=OPERATOR,
            terms_id=sum_.at_terms_id,
            origin_period_no=sum_.origin_period_no,
            price_micro=price,
            points=points,
        )
        for kind, price in sides
    )


def _written_off(sum_: PointSum, at: Terms) -> tuple[Charge, ...]:
    """What was withheld is released and borne by the partner, in one: no money moves. The operator's share was paid
    when it was claimed, and is its loss now."""
    withheld = at.reimburse_micro - at.uncovered_micro

    def charge(kind: Kind, points: int, lost: int) -> Charge:
        return Charge(
            partner_id=sum_.at_partner_id,
            kind=kind,
            counterparty_id=OPERATOR,
            terms_id=sum_.at_terms_id,
            origin_period_no=sum_.origin_period_no,
            price_micro=withheld,
            reserve_micro=lost,
            points=points,
        )

    return charge("suspense:offline", -sum_.points, 0), charge("written_off", sum_.points, at.uncovered_micro)


def _discount(sum_: PointSum, currency: str) -> tuple[Charge, ...]:
    """The partner that funds a discount owes it, the partner that gave it is paid; back where a return undoes it."""
    return _two_sides("discount_funded", "discount_given", sum_, currency)


def _certificate(sum_: PointSum, currency: str) -> tuple[Charge, ...]:
    """Who was paid for a certificate owes what is bought with it to the partner that sold the goods. Selling it, its
    lapse, and goods of the partner's own move nothing between partners."""
    if sum_.issuer_id == sum_.at_partner_id or "redeemed" not in (sum_.source, sum_.target):
        return ()
    return _two_sides("certificate_owed", "certificate_taken", sum_, currency)


def _two_sides(owes: Kind, is_paid: Kind, sum_: PointSum, currency: str) -> tuple[Charge, ...]:
    amount = sum_.points if sum_.target == "redeemed" else -sum_.points
    sides: tuple[tuple[Kind, str, str], ...] = (
        (owes, sum_.issuer_id, sum_.at_partner_id),
        (is_paid, sum_.at_partner_id, sum_.issuer_id),
    )
    return tuple(
        Charge(
            partner_id=partner,
            kind=kind,
            counterparty_id=other,
            terms_id=NO_TERMS,
            origin_period_no=sum_.origin_period_no,
            price_micro=minor_in_micro(currency),
            points=amount,
        )
        for kind, partner, other in sides
    )


def _terms(terms: Mapping[str, Terms], terms_id: str, partner_id: str) -> Terms:
    """Points without terms are worth nothing between partners: they were flagged when they were posted."""
    if terms_id in terms:
        return terms[terms_id]
    if terms_id != NO_TERMS:
        raise InvariantBroken("a posting names terms that do not exist", terms_id=terms_id, partner_id=partner_id)
    return Terms(terms_id=NO_TERMS, partner_id=partner_id, from_on=date.max)
