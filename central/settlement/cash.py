"""Money that moved between a partner and the operator: payments of what was billed, and deposits.

What is billed is not paid: only what is written down here lowers what a partner owes. Each entry has an id made by
whoever enters it, so that none counts twice, and is never edited; a wrong one is undone by its mirror.
Source: settlement.md section 2, "Payment", "Limits and deposits".
"""

from collections.abc import Sequence
from datetime import date
from typing import Literal

import msgspec
from sqlalchemy import Connection, func, select, update

from central.audit import note_down
from central.database.rows import find, put
from central.database.tables import cash_entry, partner, payment, period
from central.login import Person
from central.ports import Randomness
from loyalty.settling.money import OPERATOR
from loyalty.trouble import Refusal

Kind = Literal["payment", "deposit"]
LARGEST = 10**13


class BadCash(Refusal):
    code = "cash.malformed"
    status = 422


class CashIdReused(Refusal):
    code = "cash.id_reused"


class MayNotEnterCash(Refusal):
    code = "cash.not_allowed"
    status = 403


class CashEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One movement of money.

    Attributes:
        amount_minor: above 0 the partner paid the operator, below 0 the operator paid.
        period_no: whose statement it pays; 0 for on account, and for deposits.
        reference: of the bank, or what the other side calls it.
    """

    entry_id: str
    partner_id: str
    kind: Kind
    amount_minor: int
    on: date
    period_no: int = 0
    reference: str = ""


class CashSums(msgspec.Struct, frozen=True, kw_only=True):
    """What a partner paid of what was billed, and what it has on deposit."""

    paid_minor: int = 0
    deposit_minor: int = 0


def enter_cash(tx: Connection, entry: CashEntry, by: Person, *, now_ms: int, randomness: Randomness) -> bool:
    """Write an entry down; False where it stands there already.

    Raises:
        MayNotEnterCash: a person of a partner. CashIdReused: the id stands for another entry.
        BadCash: it names nobody or nothing, or takes more deposit than there is.
    """
    if by.role != "head_office":
        raise MayNotEnterCash("Only head office writes down money that moved.")
    _check(tx, entry)
    row = {**msgspec.structs.asdict(entry), "on": entry.on.isoformat(), "entered_by": by.login, "entered_at_ms": now_ms}
    row["happened_on"] = row.pop("on")
    if not put(tx, cash_entry, [row], "nothing", ["entry_id"]):
        (before,) = find(tx, cash_entry, [{"entry_id": entry.entry_id}])
        same = {name: value for name, value in row.items() if name not in ("entered_by", "entered_at_ms")}
        if any(before._mapping[name] != value for name, value in same.items()):
            raise CashIdReused("This id belongs to another entry. Load the form again; a new one is made for it.")
        return False
    if cash_of(tx, entry.partner_id).deposit_minor < 0:
        raise BadCash("The partner does not have so much on deposit; take at most what is there.")
    _mark_paid(tx, entry, now_ms)
    note_down(tx, randomness, user_id=by.user_id, action=f"cash.{entry.kind}", about=entry.partner_id, now_ms=now_ms,
              figures={"amount_minor": entry.amount_minor, "entry_id": entry.entry_id})  # fmt: skip
    return True


def cash_of(connection: Connection, partner_id: str) -> CashSums:
    """The sums of a partner."""
    c = cash_entry.c
    sums = select(c.kind, func.sum(c.amount_minor)).where(c.partner_id == partner_id).group_by(c.kind)
    found = {kind: int(amount) for kind, amount in connection.execute(sums)}
    return CashSums(paid_minor=found.get("payment", 0), deposit_minor=found.get("deposit", 0))


def entries_of(connection: Connection, partner_id: str) -> Sequence[CashEntry]:
    """The entries of a partner, the oldest first."""
    c = cash_entry.c
    rows = connection.execute(select(cash_entry).where(c.partner_id == partner_id).order_by(c.happened_on, c.entry_id))
    return [
        CashEntry(
            entry_id=row.entry_id, partner_id=row.partner_id, kind=row.kind, amount_minor=row.amount_minor,
            on=date.fromisoformat(row.happened_on), period_no=row.period_no, reference=row.reference,
        )
        for row in rows
    ]  # fmt: skip


def _check(tx: Connection, entry: CashEntry) -> None:
    if not entry.entry_id or len(entry.entry_id) > 200 or len(entry.reference) > 200 or "\0" in entry.reference:
        raise BadCash("An entry has an id, and a reference of at most 200 characters.")
    if not entry.amount_minor or abs(entry.amount_minor) > LARGEST:
        raise BadCash("Say how much money moved, and which way.")
    # Other entries of the partner wait here, or two at once could both take the same deposit.
    named = select(partner.c.partner_id).where(partner.c.partner_id == entry.partner_id)
    if tx.execute(named.with_for_update(key_share=True)).first() is None:
        raise BadCash(f"There is no partner {entry.partner_id[:80]}; the coalition file names them all.")
    if entry.period_no:
        state = tx.execute(select(period.c.state).where(period.c.period_no == entry.period_no)).scalar()
        if entry.kind != "payment" or state != "issued":
            raise BadCash("Only a payment names a period, one whose statements are issued.")


def _mark_paid(tx: Connection, entry: CashEntry, now_ms: int) -> None:
    """The payment that a period's netting asked for is through once entries of that period make its sum."""
    if not entry.period_no:
        return
    c = cash_entry.c
    here = c.partner_id == entry.partner_id, c.period_no == entry.period_no
    paid = int(tx.execute(select(func.coalesce(func.sum(c.amount_minor), 0)).where(*here)).scalar_one())
    p = payment.c
    for row in tx.execute(select(payment).where(p.period_no == entry.period_no)).all():
        due = {row.payer_id: row.amount_minor, row.payee_id: -row.amount_minor}.get(entry.partner_id)
        if due is None or OPERATOR not in (row.payer_id, row.payee_id):
            continue
        through = paid >= due if due > 0 else paid <= due
        at = p.period_no == row.period_no, p.n == row.n
        tx.execute(update(payment).where(*at).values(state="paid" if through else "due", changed_at_ms=now_ms))
