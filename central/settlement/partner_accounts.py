"""A partner's account: its lines over all periods, what is withheld from it, and what it bears; as values and as CSV.

Source: settlement.md section 2, "Money accounts"; offline-redemption.md "Who bears what".
"""

from collections.abc import Iterable, Iterator

import msgspec
from sqlalchemy import Connection, select

from central.database.tables import partner, period, statement_line
from central.recomputing.borne import Borne, borne_by
from central.settlement.cash import CashEntry, entries_of
from central.settlement.csv_text import Figure, csv_line
from central.settlement.exposure import Exposure, exposure_of, margin_call
from central.settlement.positions import lines_of_period, settled_in
from loyalty.amounts import format_minor
from loyalty.settling.money import OPERATOR
from loyalty.settling.statements import StatementLine
from loyalty.trouble import Refusal

WITHHELD = "suspense:offline"
HEADS = (
    "partner", "row", "period", "corrects_period", "kind", "counterparty", "terms", "receipt_id", "business_date",
    "points", "open_points", "amount", "operator_share", "currency", "state",
)  # fmt: skip


class UnknownPartnerAccount(Refusal):
    code = "partner.unknown"
    status = 404


class AccountPeriod(msgspec.Struct, frozen=True, kw_only=True):
    """What a period came to: what the partner owes (positive), and what was withheld of its claims, or released."""

    period_no: int
    state: str
    owed_minor: int
    withheld_minor: int


class PartnerAccount(msgspec.Struct, frozen=True, kw_only=True):
    """A partner, or the operator, whose lines are those of all partners seen from the other side and are left out.

    Attributes:
        lines: of all periods; of those that are not issued as they stand.
        owed_minor: the sum of all lines, whatever was paid of it; positive owes the operator.
        withheld_minor: reimbursement of spends that nothing covers yet.
        exposure: what it may still come to owe; `cash` is the money that moved, the oldest first.
    """

    partner_id: str
    name: str
    currency: str
    periods: tuple[AccountPeriod, ...]
    lines: tuple[StatementLine, ...]
    owed_minor: int
    withheld_minor: int
    exposure: Exposure
    borne: tuple[Borne, ...]
    cash: tuple[CashEntry, ...] = ()


def partner_account(tx: Connection, partner_id: str) -> PartnerAccount:
    """The account of a partner as it stands.

    Raises:
        UnknownPartnerAccount: no partner has this id. NoCurrency.
    """
    named = tx.execute(select(partner.c.name).where(partner.c.partner_id == partner_id)).scalar_one_or_none()
    if named is None and partner_id != OPERATOR:
        raise UnknownPartnerAccount(f"There is no partner {partner_id[:80]}; the coalition file names them all.")
    currency = settled_in(tx)
    states = {row.period_no: row.state for row in tx.execute(select(period).order_by(period.c.period_no))}
    lines = _lines(tx, partner_id, states, currency)
    unbilled = [line for line in lines if states[line.period_no] != "issued"]
    billed = sum(line.amount_minor for line in lines if states[line.period_no] == "issued")
    exposure = exposure_of(tx, partner_id, currency, unbilled, billed)
    return PartnerAccount(
        partner_id=partner_id,
        name=named or "Operator",
        currency=currency,
        periods=tuple(
            AccountPeriod(
                period_no=no,
                state=state,
                owed_minor=sum(line.amount_minor for line in lines if line.period_no == no),
                withheld_minor=_withheld(line for line in lines if line.period_no == no),
            )
            for no, state in states.items()
        ),
        lines=lines,
        owed_minor=sum(line.amount_minor for line in lines),
        withheld_minor=_withheld(lines),
        exposure=exposure,
        cash=tuple(entries_of(tx, partner_id)),
        borne=(*borne_by(tx, partner_id, currency), *margin_call(partner_id, exposure)),
    )


def account_csv(account: PartnerAccount) -> Iterator[str]:
    """The account as lines of CSV, heads first: its lines (`line`), what it bears (`borne`), money that moved (`cash`,
    below 0 what the partner paid, as it lowers what it owes), and who bears what it does not pay (`default`)."""

    def money(minor: int) -> Figure:
        return Figure(format_minor(minor, account.currency))

    yield csv_line(HEADS)
    for line in account.lines:
        corrects = line.origin_period_no if line.origin_period_no != line.period_no else None
        yield csv_line((
            account.partner_id, "line", line.period_no, corrects, line.kind, line.counterparty_id, line.terms_id,
            None, None, line.points, None, money(line.amount_minor), None, account.currency, None,
        ))  # fmt: skip
    for one in account.borne:
        yield csv_line((
            account.partner_id, "borne", None, None, one.cause, None, None, one.receipt_id, one.business_date,
            one.points, one.open_points, money(one.amount_minor), money(one.operator_minor), account.currency,
            one.state,
        ))  # fmt: skip
    for entry in account.cash:
        yield csv_line((
            account.partner_id, "cash", entry.period_no or None, None, entry.kind, None, None, entry.reference,
            entry.on.isoformat(), None, None, money(-entry.amount_minor), None, account.currency, None,
        ))  # fmt: skip
    for share in account.exposure.default:
        yield csv_line((
            account.partner_id, "default", None, None, share.source, share.partner_id, None, None, None, None, None,
            money(share.amount_minor), None, account.currency, None,
        ))  # fmt: skip


def _lines(tx: Connection, partner_id: str, states: dict[int, str], currency: str) -> tuple[StatementLine, ...]:
    columns = [statement_line.c[name] for name in StatementLine.__struct_fields__]
    issued = select(*columns).where(statement_line.c.partner_id == partner_id)
    rows = tx.execute(issued.order_by(statement_line.c.period_no, statement_line.c.n)).mappings()
    lines = [StatementLine(**row) for row in rows]
    for period_no, state in states.items():
        if state != "issued":
            lines += [line for line in lines_of_period(tx, period_no, currency) if line.partner_id == partner_id]
    return tuple(lines)


def _withheld(lines: Iterable[StatementLine]) -> int:
    return sum(line.amount_minor for line in lines if line.kind == WITHHELD)
