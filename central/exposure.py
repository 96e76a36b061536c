"""What the operator would lose if an issuer paid nothing more, held against the limit that its contract sets.

Facts are never refused, so points beyond a limit stand; the issuer is called to cover them. No payment is recorded as
received at head office, so what was billed counts as paid. Source: settlement.md "Formulas", "Limits and deposits".
"""

from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection, func, select

from central.borne import Borne
from central.registry import all_terms
from central.tables import lease_slice, lot, partner
from loyalty.amounts import micro_to_minor
from loyalty.statements import StatementLine


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """What an issuer may still come to owe.

    Attributes:
        unbilled_minor: what it owes on lines that are not issued yet; positive owes the operator.
        outstanding_points: its points that members hold, in lots and set aside for tills.
        outstanding_minor: what it owes, less what it advanced, if all of these are redeemed.
        limit_minor: none where the contract sets none.
    """

    unbilled_minor: int
    outstanding_points: int
    outstanding_minor: int
    limit_minor: int | None

    @property
    def total_minor(self) -> int:
        return self.unbilled_minor + self.outstanding_minor

    @property
    def over_minor(self) -> int:
        """By how much it lies beyond the limit; 0 within it."""
        return 0 if self.limit_minor is None else max(0, self.total_minor - self.limit_minor)


def exposure_of(tx: Connection, partner_id: str, currency: str, unbilled: Iterable[StatementLine]) -> Exposure:
    """The exposure of an issuer.

    Args:
        unbilled: its lines of periods that are not issued.
    """
    owed = {one.terms_id: one.funding_micro - one.advance_micro for one in all_terms(tx)}
    points = micro = 0
    for held in (lot, lease_slice):
        sums = select(held.c.terms_id, func.sum(held.c.points)).where(held.c.issuer_id == partner_id, held.c.points > 0)
        for terms_id, held_points in tx.execute(sums.group_by(held.c.terms_id)):
            points += int(held_points)
            micro += int(held_points) * owed.get(terms_id, 0)
    limit = tx.execute(select(partner.c.limit_minor).where(partner.c.partner_id == partner_id)).scalar()
    return Exposure(
        unbilled_minor=sum(line.amount_minor for line in unbilled),
        outstanding_points=points,
        outstanding_minor=micro_to_minor(micro, currency),
        limit_minor=limit,
    )


def margin_call(partner_id: str, exposure: Exposure) -> tuple[Borne, ...]:
    """The row of an issuer that lies beyond its limit; none within it."""
    if not exposure.over_minor:
        return ()
    return (
        Borne(
            cause="issuer_over_limit",
            partner_id=partner_id,
            till_id="",
            epoch=0,
            seq=0,
            receipt_id="",
            business_date="",
            points=exposure.outstanding_points,
            open_points=0,
            amount_minor=exposure.over_minor,
            operator_minor=0,
            state="margin call",
        ),
    )
