"""What the operator would lose if an issuer paid nothing more, held against the limit that its contract sets.

Facts are never refused, so points beyond a limit stand; the issuer is called to cover them. What was billed counts
until it is paid (`central.settlement.cash`), and what is on deposit is taken off. Source: settlement.md "Formulas",
"Limits and deposits".
"""

from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection, func, select

from central.coalition.registry import OPERATOR_MOST, all_terms
from central.coalition.settings import get_setting
from central.database.tables import lease_slice, lot, partner
from central.recomputing.borne import Borne
from central.settlement.cash import cash_of
from loyalty.amounts import micro_to_minor, round_ratio
from loyalty.settling.statements import StatementLine
from loyalty.settling.waterfall import Borne as DefaultShare
from loyalty.settling.waterfall import cover_default


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """What an issuer may still come to owe.

    Attributes:
        unpaid_minor: what was billed and is not paid; below 0 the operator owes it.
        unbilled_minor: what it owes on lines that are not issued yet; positive owes the operator.
        outstanding_points: its points that members hold, in lots and set aside for tills.
        outstanding_minor: what it owes, less what it advanced, if as many of these are redeemed as are expected.
        deposit_minor: what it has on deposit; `reserve_minor` what the operator holds of its advances.
        default: who bears what if it pays nothing of what is unpaid.
        limit_minor: none where the contract sets none.
    """

    unpaid_minor: int
    unbilled_minor: int
    outstanding_points: int
    outstanding_minor: int
    deposit_minor: int
    reserve_minor: int
    limit_minor: int | None
    default: tuple[DefaultShare, ...] = ()

    @property
    def total_minor(self) -> int:
        return self.unpaid_minor + self.unbilled_minor + self.outstanding_minor - self.deposit_minor

    @property
    def over_minor(self) -> int:
        """By how much it lies beyond the limit; 0 within it."""
        return 0 if self.limit_minor is None else max(0, self.total_minor - self.limit_minor)


def exposure_of(
    tx: Connection, partner_id: str, currency: str, unbilled: Iterable[StatementLine], billed_minor: int = 0
) -> Exposure:
    """The exposure of an issuer.

    Args:
        unbilled: its lines of periods that are not issued; `billed_minor`: the sum of its issued ones.
    """
    advanced = {one.terms_id: one.advance_micro for one in all_terms(tx)}
    owed = {one.terms_id: one.funding_micro - one.advance_micro for one in all_terms(tx)}
    points = micro = reserve = 0
    for held in (lot, lease_slice):
        sums = select(held.c.terms_id, func.sum(held.c.points)).where(held.c.issuer_id == partner_id, held.c.points > 0)
        for terms_id, held_points in tx.execute(sums.group_by(held.c.terms_id)):
            points += int(held_points)
            micro += int(held_points) * owed.get(terms_id, 0)
            reserve += int(held_points) * advanced.get(terms_id, 0)
    c = partner.c
    row = tx.execute(select(c.limit_minor, c.expected_redemption_bp).where(c.partner_id == partner_id)).first()
    cash = cash_of(tx, partner_id)
    unpaid, reserve_minor = billed_minor - cash.paid_minor, micro_to_minor(reserve, currency)
    expected = round_ratio(micro * (row.expected_redemption_bp if row else 10_000), 10_000)
    return Exposure(
        unpaid_minor=unpaid,
        unbilled_minor=sum(line.amount_minor for line in unbilled),
        outstanding_points=points,
        outstanding_minor=micro_to_minor(expected, currency),
        deposit_minor=cash.deposit_minor,
        reserve_minor=reserve_minor,
        limit_minor=row.limit_minor if row else None,
        default=cover_default(
            unpaid,
            deposit_minor=cash.deposit_minor,
            reserve_minor=reserve_minor,
            operator_most_minor=_operator_most(tx),
            sharing=_sharing(tx, partner_id),
        ),
    )


def _operator_most(tx: Connection) -> int | None:
    told = get_setting(tx, OPERATOR_MOST)
    return int(told) if told else None


def _sharing(tx: Connection, but: str) -> dict[str, int]:
    """The partners that agreed to share what another does not pay, by their weight."""
    c = partner.c
    rows = tx.execute(select(c.partner_id, c.shares_defaults).where(c.shares_defaults > 0, c.partner_id != but))
    return {row.partner_id: row.shares_defaults for row in rows}


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
