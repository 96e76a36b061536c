"""Positions to payments. The operator stands between all partners, and its position is what is left of theirs.

Source: settlement.md "Netting". Positive amounts are owed to the operator.
"""

from collections.abc import Iterable, Mapping

import msgspec

from loyalty.amounts import round_ratio
from loyalty.settling.money import OPERATOR
from loyalty.settling.statements import StatementLine, owed_by_partner

_HELD_BACK = ("uncovered", "suspense:offline")


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """What a partner owes (positive) or is owed (negative), in minor units."""

    partner_id: str
    amount_minor: int


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """Who pays whom how many minor units, above 0."""

    payer_id: str
    payee_id: str
    amount_minor: int


class Netting(msgspec.Struct, frozen=True, kw_only=True):
    """Two ways to pay the same positions.

    Attributes:
        operator_minor: minus the sum of the positions; negative where the operator receives.
        hub: partners pay the operator, who then pays partners.
        direct: partners pay each other, at most one payment fewer than there are parties.
    """

    positions: tuple[Position, ...]
    operator_minor: int
    hub: tuple[Payment, ...]
    direct: tuple[Payment, ...]


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """How much money moves without netting, with netting, and what is saved, in basis points rounded down."""

    line_flow_minor: int
    net_flow_minor: int
    ratio_bp: int


def net_positions(owed_minor: Mapping[str, int]) -> Netting:
    """Fold what partners owe into payments; the same whatever the order.

    Args:
        owed_minor: by partner id, positive owes; partners at 0 keep their position and pay nothing.
    """
    positions = tuple(Position(partner_id=partner, amount_minor=owed_minor[partner]) for partner in sorted(owed_minor))
    operator = -sum(position.amount_minor for position in positions)
    return Netting(
        positions=positions,
        operator_minor=operator,
        hub=_through_the_operator(positions),
        direct=_among_partners((*positions, Position(partner_id=OPERATOR, amount_minor=operator))),
    )


def flow_of(lines: Iterable[StatementLine], netting: Netting) -> Flow:
    """What netting saves on these lines, paid through the operator."""
    lines = tuple(lines)
    gross = sum(abs(line.amount_minor) for line in lines if line.kind not in _HELD_BACK)
    # What is withheld of a claim never moves; only the operator's share of it does.
    gross += sum(abs(owed) for owed in owed_by_partner(line for line in lines if line.kind in _HELD_BACK).values())
    net = sum(payment.amount_minor for payment in netting.hub)
    saved_bp = round_ratio((gross - net) * 10_000, gross, "down") if gross else 0
    return Flow(line_flow_minor=gross, net_flow_minor=net, ratio_bp=saved_bp)


def _through_the_operator(positions: tuple[Position, ...]) -> tuple[Payment, ...]:
    """Debtors pay in first; creditors are paid after funds arrive."""
    owing = [
        Payment(payer_id=one.partner_id, payee_id=OPERATOR, amount_minor=one.amount_minor)
        for one in positions
        if one.amount_minor > 0
    ]
    owed = [
        Payment(payer_id=OPERATOR, payee_id=one.partner_id, amount_minor=-one.amount_minor)
        for one in positions
        if one.amount_minor < 0
    ]
    return (*owing, *owed)


def _among_partners(positions: tuple[Position, ...]) -> tuple[Payment, ...]:
    """Match debtors with creditors in one pass, largest first, then by id."""
    ranked = sorted(positions, key=lambda one: (-abs(one.amount_minor), one.partner_id))
    debtors = iter([one for one in ranked if one.amount_minor > 0])
    payments: list[Payment] = []
    payer, left = "", 0
    for creditor in (one for one in ranked if one.amount_minor < 0):
        wanted = -creditor.amount_minor
        while wanted:
            if not left:
                debtor = next(debtors)
                payer, left = debtor.partner_id, debtor.amount_minor
            amount = min(left, wanted)
            payments.append(Payment(payer_id=payer, payee_id=creditor.partner_id, amount_minor=amount))
            left -= amount
            wanted -= amount
    return tuple(payments)
