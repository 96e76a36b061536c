"""Sums of points to statement lines, each rounded once.

A line corrects an earlier period by what is left: round(remaining points × price) less what was billed already.
So taking everything back bills exactly zero in all. Source: settlement.md "Rounding", "Corrections".
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from loyalty.amounts import micro_to_minor, minor_in_micro
from loyalty.settling.money import Charge, Kind, Leg, PointSum, charges, owed_micro
from loyalty.terms import Terms

ORDER: tuple[Kind, ...] = (
    "fee",
    "advance",
    "funding",
    "reimbursement",
    "expiry",
    "uncovered",
    "suspense:offline",
    "discount_funded",
    "discount_given",
    "certificate_owed",
    "certificate_taken",
    "written_off",
    "price_delta_owed",
    "price_delta_given",
)


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a partner's statement of a period; positive amounts the partner owes.

    Attributes:
        points: minor units for discounts; negative where earlier points come back.
        exact_micro: points × price, with the sign of who pays.
        amount_minor: rounded once, half up away from zero.
        residual_micro: exact less rounded; the operator bears it.
        origin_period_no: the period it corrects; its own where it corrects none.
    """

    period_no: int
    partner_id: str
    kind: Kind
    counterparty_id: str
    terms_id: str
    points: int
    price_micro: int
    exact_micro: int
    amount_minor: int
    residual_micro: int
    origin_period_no: int


_Key = tuple[str, Kind, str, str, int, int]


def statement_lines(
    sums: Iterable[PointSum],
    terms: Mapping[str, Terms],
    *,
    period_no: int,
    currency: str,
    billed: Iterable[StatementLine] = (),
) -> tuple[StatementLine, ...]:
    """The lines of one period, sorted by partner, kind, counterparty, terms and origin.

    Args:
        sums: of the period's postings, in any order.
        terms: by terms id.
        billed: lines of earlier periods; those that this one corrects must be among them.
    Returns:
        One line for each thing that moved and can cost money. A redemption that costs its issuer nothing, because
        all of it was advanced, is listed at 0; a fee, advance or expiry without a price is not.
    Raises:
        InvariantBroken: a sum names terms that do not exist.
    """
    points: dict[_Key, int] = {}
    for sum_ in sums:
        for charge in charges(sum_, terms, currency):
            key = _charge_key(charge)
            points[key] = points.get(key, 0) + charge.points
    before = _billed(billed)
    return tuple(
        _line(key, points[key], before.get(key, (0, 0)), period_no, currency)
        for key in sorted(points, key=_turn)
        if points[key] and _is_listed(key)
    )


def owed_by_partner(lines: Iterable[StatementLine]) -> dict[str, int]:
    """Net of each partner's lines in minor units, sorted by partner; positive owes the operator."""
    nets: dict[str, int] = {}
    for line in lines:
        nets[line.partner_id] = nets.get(line.partner_id, 0) + line.amount_minor
    return dict(sorted(nets.items()))


def closing_legs(lines: Iterable[StatementLine], currency: str) -> Iterator[Leg]:
    """The entries that bill lines: accruals become what is to be settled, residuals go to rounding."""
    for line in lines:
        yield Leg(account=f"settle:{line.partner_id}", micro=line.amount_minor * minor_in_micro(currency))
        yield Leg(account=f"accrual:{line.partner_id}", micro=-line.exact_micro)
        yield Leg(account="pnl:rounding", micro=line.residual_micro)


def _line(key: _Key, points: int, before: tuple[int, int], period_no: int, currency: str) -> StatementLine:
    partner, kind, counterparty, terms_id, price, origin = key
    billed_points, billed_minor = before
    exact = owed_micro(kind, points, price)
    amount = micro_to_minor(owed_micro(kind, billed_points + points, price), currency) - billed_minor
    return StatementLine(
        period_no=period_no,
        partner_id=partner,
        kind=kind,
        counterparty_id=counterparty,
        terms_id=terms_id,
        points=points,
        price_micro=price,
        exact_micro=exact,
        amount_minor=amount,
        residual_micro=exact - amount * minor_in_micro(currency),
        origin_period_no=origin,
    )


def _billed(lines: Iterable[StatementLine]) -> dict[_Key, tuple[int, int]]:
    sums: dict[_Key, tuple[int, int]] = {}
    for line in lines:
        key = (line.partner_id, line.kind, line.counterparty_id, line.terms_id, line.price_micro, line.origin_period_no)
        points, minor = sums.get(key, (0, 0))
        sums[key] = (points + line.points, minor + line.amount_minor)
    return sums


def _charge_key(charge: Charge) -> _Key:
    return (
        charge.partner_id,
        charge.kind,
        charge.counterparty_id,
        charge.terms_id,
        charge.price_micro,
        charge.origin_period_no,
    )


def _is_listed(key: _Key) -> bool:
    _, kind, _, _, price, _ = key
    return price != 0 or kind in ("funding", "reimbursement")


def _turn(key: _Key) -> tuple[str, int, str, str, int, int]:
    partner, kind, counterparty, terms_id, price, origin = key
    return partner, ORDER.index(kind), counterparty, terms_id, price, origin
