"""The file that `tallypoint settle` reads: contracts, events, payments. docs/settlement.md describes it."""

from datetime import date
from pathlib import Path
from typing import Annotated

import msgspec

from loyalty.amounts import exponent_of
from loyalty.lots import FOREVER
from loyalty.settling.money import OPERATOR
from loyalty.terms import Terms, check_terms
from loyalty.trouble import BadInput
from tallypoint.files import read_text

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
Points = Annotated[int, msgspec.Meta(ge=1, le=10**12)]
Micro = Annotated[int, msgspec.Meta(ge=0, le=10**12)]


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Contract(_Row, frozen=True):
    """Terms of one partner from a date on, in micro-units of the major currency per point."""

    terms_id: Id
    partner_id: Id
    from_on: date
    fee_micro: Micro = 0
    funding_micro: Micro = 0
    advance_micro: Micro = 0
    reimburse_micro: Micro = 0
    expiry_share_bp: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    refunds_fee: bool = False
    uncovered_share_bp: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0


class EarnedRow(_Row, frozen=True):
    """Points granted or taken back; without an issuer the store's partner, without a last day for ever."""

    points: Points
    issuer_id: str = ""
    valid_through: date = FOREVER


class FundedRow(_Row, frozen=True):
    """Discount that another partner than the store's pays for."""

    partner_id: Id
    amount_minor: Count


class ReceiptRow(_Row, frozen=True, tag="receipt", tag_field="type"):
    """A finished sale; points are spent before any are earned."""

    receipt_id: Id
    partner_id: Id
    on: date
    account_id: Points | None = None
    earned: tuple[EarnedRow, ...] = ()
    points_spent: Count = 0
    funded: tuple[FundedRow, ...] = ()
    net_minor: Count = 0


class ReturnRow(_Row, frozen=True, tag="return", tag_field="type"):
    """Goods taken back; `of` names the receipt, in this file, before or after."""

    receipt_id: Id
    partner_id: Id
    on: date
    of: str | None = None
    account_id: Points | None = None
    reversed: tuple[EarnedRow, ...] = ()
    restored_points: Count = 0
    funded: tuple[FundedRow, ...] = ()
    net_minor: Count = 0


class VoidRow(_Row, frozen=True, tag="void", tag_field="type"):
    """A whole receipt undone, or a whole return."""

    of: Id
    on: date


class ExpiryRow(_Row, frozen=True, tag="expiry", tag_field="type"):
    """The expiry run of a day: in all accounts, lots whose last valid day lies before it lapse."""

    on: date


class CloseRow(_Row, frozen=True, tag="close", tag_field="type"):
    """The period closes here; what follows is in the next one."""

    through: date


class PaymentRow(_Row, frozen=True):
    """Money that has moved: above 0 the partner paid the operator, below 0 the operator paid the partner."""

    partner_id: Id
    amount_minor: Annotated[int, msgspec.Meta(ge=-(10**15), le=10**15)]
    on: date | None = None


EventRow = ReceiptRow | ReturnRow | VoidRow | ExpiryRow | CloseRow


class Document(_Row, frozen=True):
    """The whole file."""

    currency: str
    contracts: tuple[Contract, ...]
    events: tuple[EventRow, ...]
    payments: tuple[PaymentRow, ...] = ()


class Malformed(BadInput):
    code = "settle.malformed"
    status = 422


class UnknownReceipt(BadInput):
    code = "settle.unknown_receipt"
    status = 422


class UnknownPartner(BadInput):
    code = "settle.unknown_partner"
    status = 422


class SameId(BadInput):
    code = "settle.same_id"
    status = 422


def read_file(path: str | Path) -> Document:
    """The document in a file. Raises: BadFile; as `read_document`."""
    return read_document(read_text(Path(path)).encode())


def read_document(data: bytes) -> Document:
    """Bytes of JSON as a document that can be settled.

    Raises:
        Malformed: not the documented form; the sentence names the place in the file.
        UnknownReceipt: a return of a receipt, or a void of a receipt or return, that is not in the file.
        UnknownPartner: a payment of a partner without a contract.
        SameId: one id twice with different content.
        BadTerms, UnknownCurrency: of the kernel.
    """
    try:
        document = msgspec.json.decode(data, type=Document)
    except msgspec.MsgspecError as trouble:
        raise Malformed(f"This file cannot be settled: {trouble}. See docs/settlement.md.") from None
    exponent_of(document.currency)
    check_terms(terms_in(document))
    _check_events(document)
    partners = {contract.partner_id for contract in document.contracts}
    if OPERATOR in partners:
        raise Malformed(f"{OPERATOR!r} is the operator's own name; give the partner another id.")
    for payment in document.payments:
        if payment.partner_id not in partners:
            raise UnknownPartner(
                f"A payment names partner {payment.partner_id}, which has no contract here; add one or correct the id.",
                partner_id=payment.partner_id,
            )
    return document


def terms_in(document: Document) -> tuple[Terms, ...]:
    """The contracts as terms; shares of an advance or a reimbursement are floored to the micro once, here."""
    return tuple(
        Terms(
            terms_id=one.terms_id,
            partner_id=one.partner_id,
            from_on=one.from_on,
            fee_micro=one.fee_micro,
            funding_micro=one.funding_micro,
            advance_micro=one.advance_micro,
            reimburse_micro=one.reimburse_micro,
            expiry_back_micro=one.advance_micro * one.expiry_share_bp // 10_000,
            refunds_fee=one.refunds_fee,
            uncovered_micro=one.reimburse_micro * one.uncovered_share_bp // 10_000,
        )
        for one in document.contracts
    )


def id_of(row: EventRow) -> str | None:
    """The id of a row that has one."""
    if isinstance(row, VoidRow):
        return f"void:{row.of}"
    return row.receipt_id if isinstance(row, ReceiptRow | ReturnRow) else None


def _check_events(document: Document) -> None:
    seen: dict[str, EventRow] = {}
    for row in document.events:
        name = id_of(row)
        if name is not None and seen.setdefault(name, row) != row:
            raise SameId(f"The id {name} appears twice with different content; give each receipt its own.", id=name)
    for row in document.events:
        undone = ReceiptRow | ReturnRow if isinstance(row, VoidRow) else ReceiptRow
        if isinstance(row, ReturnRow | VoidRow) and row.of and not isinstance(seen.get(row.of), undone):
            raise UnknownReceipt(
                f"Receipt {row.of} is to be undone but is not in the file; add it or correct the id.", of=row.of
            )
