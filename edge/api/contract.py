"""From a body to what the till is asked: decimal quantities to thousandths, RFC 3339 to milliseconds.

`ask_from`, `sale_ask` and `quote_answer` are all that `tallypoint quote` needs; nothing here knows Flask.
Source: ARCHITECTURE.md, "Shapes"; DECISIONS 1, 2, 6.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec

from edge.api.bodies import (
    BasketLine,
    CommitBody,
    ExchangeVoidBody,
    HoldBody,
    OverrideBody,
    QuoteBody,
    ReturnBody,
    ReturnedLine,
    ReturnVoidBody,
    SaleBody,
    VoidBody,
    When,
)
from edge.api.telling import quote_answer as quote_answer
from edge.instants import read_instant
from edge.sale.asks import CommitAsk, HoldAsk, OverrideAsk, ReturnAsk, SaleAsk, VoidAsk, VoidExchangeAsk, VoidReturnAsk
from loyalty.amounts import parse_quantity
from loyalty.baskets import Basket, CertificateAsk, CertificateSale, Line, Tender, WrongCurrency
from loyalty.cards.payment_ranges import holds_payment
from loyalty.facts.receipts import Charged
from loyalty.facts.returned_lines import ReturnLine
from loyalty.trouble import BadInput, Refusal

_PERSONAL = re.compile(r"@|(?:\d[\s().+-]?){7}")
UNSAID = "…"  # a payment card where a code was wanted: refused like any code nobody knows, and not repeated


class WrongPlace(Refusal):
    code = "request.other_till"
    status = 422


class NotACertificate(Refusal):
    code = "certificate.payment_card"
    status = 422


class NoSuchField(BadInput):
    code = "request.unknown_field"


Read = TypeVar("Read")


def read_body(data: bytes, kind: type[Read]) -> Read:
    """A body as its type. Raises: BadInput with the path of the first mistake, NoSuchField."""
    try:
        return _decoder(kind).decode(data or b"{}")
    except RecursionError:
        raise BadInput("The body is nested too deeply; send the shape of /openapi.json.") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as trouble:
        raise _explained(str(trouble)) from None


@cache  # one for each kind of body: looking the type up at every decode takes a tenth of it
def _decoder(kind: type[Read]) -> msgspec.json.Decoder[Read]:
    return msgspec.json.Decoder(kind)


def ask_from(document: Mapping[str, Any]) -> QuoteBody:
    """A quote request from decoded JSON that is one, or that is a bare basket. Raises: as `read_body`."""
    whole = document if "basket" in document else {"basket": document}
    try:
        return msgspec.convert(whole, QuoteBody)
    except msgspec.ValidationError as trouble:
        raise _explained(str(trouble)) from None


def basket_from(body: SaleBody, receipt_id: str = "") -> Basket:
    """The kernel's basket of a quote request or commit.

    Raises:
        WrongCurrency: a tender in another currency than the basket's; DECISIONS 2.
        BadQuantity: a quantity that is no decimal of at most three places.
    """
    currency = body.basket.currency
    for tender in body.tenders:
        if tender.currency not in (None, currency):
            raise WrongCurrency(
                f"This sale counts in {currency}; enter the tender in {currency}.",
                wanted=currency,
                found=tender.currency,
            )
    return Basket(
        receipt_id=receipt_id or body.quote_id,
        currency=currency,
        lines=tuple(line_from(line) for line in body.basket.lines),
        tax_included=body.basket.tax_included,
        tenders=tuple(
            Tender(kind=without_payment(tender.kind) or "card", amount_minor=tender.amount_minor)
            for tender in body.tenders
        ),
        coupons=tuple(without_payment(code) or UNSAID for code in body.coupons if code),
        points_to_spend=body.points_to_spend,
        events=tuple(without_payment(event) or UNSAID for event in body.events),
        prizes=tuple(without_payment(prize) or UNSAID for prize in body.prizes),
        certificates=tuple(
            CertificateAsk(code=without_payment(one.code) or UNSAID, amount_minor=one.amount_minor)
            for one in body.certificates
        ),
        from_wallet_minor=body.from_wallet_minor,
        certificates_sold=tuple(
            CertificateSale(line=line.line, code=certificate_code(line.certificate))
            for line in body.basket.lines
            if line.certificate
        ),
    )


def line_from(line: BasketLine | ReturnedLine) -> Line:
    """The kernel's line; its name stays behind."""
    return Line(
        line=line.line,
        sku=line.sku,
        amount_minor=line.amount_minor,
        quantity_milli=parse_quantity(line.quantity),
        unit_price_minor=line.unit_price_minor,
        category=line.category,
        brand=line.brand,
        tags=line.tags,
        discountable=line.discountable,
        accrual=line.accrual,
        floor_unit_minor=line.floor_unit_minor if isinstance(line, BasketLine) else 0,
        tax_bp=line.tax_bp,
    )


class Here(msgspec.Struct, frozen=True, kw_only=True):
    """Which till reads a body, and when; an empty id agrees with any that the body names."""

    now_ms: int
    store_id: str = ""
    till_id: str = ""
    label: str = ""


def sale_ask(body: SaleBody, here: Here) -> SaleAsk:
    """A quote request, or the sale in a commit, as the till takes it. Raises: as `basket_from` and `asked`."""
    receipt_id = body.receipt_id if isinstance(body, CommitBody) else body.quote_id
    return SaleAsk(**asked(body, here), basket=basket_from(body, receipt_id), card=body.card, hold_id=body.hold_id)


def commit_ask(body: CommitBody, here: Here) -> CommitAsk:
    """A commit as the till takes it."""
    return CommitAsk(
        sale=sale_ask(body, here),
        receipt_id=body.receipt_id,
        programme_version=body.programme_version,
        digest=body.digest,
        charged=tuple(Charged(line=row.line, discount_minor=row.discount_minor) for row in body.charged),
    )


def hold_ask(body: HoldBody) -> HoldAsk:
    """A hold as the till takes it."""
    return HoldAsk(hold_id=body.hold_id, card=body.card, points=body.points, partial=body.partial)


def void_ask(body: VoidBody, receipt_id: str, here: Here) -> VoidAsk:
    """A void as the till takes it."""
    return VoidAsk(**asked(body, here), receipt_id=receipt_id)


def return_void_ask(body: ReturnVoidBody, return_id: str, here: Here) -> VoidReturnAsk:
    """The void of a return as the till takes it."""
    return VoidReturnAsk(**asked(body, here), return_id=return_id)


def exchange_void_ask(body: ExchangeVoidBody, exchange_id: str, here: Here) -> VoidExchangeAsk:
    """The void of an exchange as the till takes it."""
    return VoidExchangeAsk(**asked(body, here), exchange_id=exchange_id)


def return_ask(body: ReturnBody, here: Here) -> ReturnAsk:
    """A return as the till takes it; without a receipt its lines must name their goods."""
    lines = tuple(
        ReturnLine(line=row.line, quantity_milli=parse_quantity(row.quantity), amount_minor=row.amount_minor)
        for row in body.lines
    )
    goods = () if body.of else tuple(line_from(row) for row in body.lines if row.sku)
    return ReturnAsk(
        **asked(body, here),
        return_id=body.return_id,
        lines=lines,
        of=body.of,
        goods=goods,
        currency=body.currency or "",
        card=body.card,
        tax_included=body.tax_included,
    )


def asked(body: When, here: Here) -> dict[str, Any]:
    """What every ask has: when, where and by whom.

    Raises:
        WrongPlace: the body names another store or till.
        BadInstant: `sold_at` has no offset, or is no instant.
    """
    for named, ours in ((body.store_id, (here.store_id,)), (body.till_id, (here.till_id, here.label))):
        if named is not None and any(ours) and named not in ours:
            raise WrongPlace(
                f"This is till {here.label or here.till_id} of store {here.store_id}; send it to the till it names.",
                store_id=here.store_id,
                till_id=here.till_id,
            )
    sold_at_ms, offset_min = read_instant(body.sold_at) if body.sold_at else (here.now_ms, None)
    return {
        "sold_at_ms": sold_at_ms,
        "offset_min": offset_min,
        "business_date": body.business_date,
        "cashier": without_payment(body.cashier),
        "training": body.training,
        "channel": body.channel,
        "language": body.language,
        "override": override_ask(body.override),
    }


def override_ask(body: OverrideBody | None) -> OverrideAsk | None:
    """An approval as the till takes it."""
    if body is None:
        return None
    who, why = without_personal(body.supervisor) or UNSAID, without_personal(body.reason)
    return OverrideAsk(supervisor=who, reason=why, code=body.code)


def names_in(body: SaleBody | ReturnBody) -> dict[str, str]:
    """Goods by sku as the POS names them, for the receipt's text."""
    lines = body.basket.lines if isinstance(body, SaleBody) else body.lines
    return {line.sku: line.name for line in lines if line.name and line.sku and without_payment(line.name)}


def without_payment(text: str) -> str:
    """A free text as it came; nothing of it where a payment card number is in it, which some POS put there. It is
    left out rather than refused: the goods are paid, and the receipt must be kept (PCI DSS 3.3)."""
    return "" if holds_payment(text) else text


def without_personal(text: str) -> str:
    """A free text as it came; nothing of it where it looks as if it held an address or a number of somebody's."""
    return "" if _PERSONAL.search(text) else without_payment(text)


def certificate_code(text: str) -> str:
    """A code that money is put on. What pays can be left out and taken otherwise; this must be a code of its own.

    Raises:
        NotACertificate: the number of a payment card, which is not repeated.
    """
    if holds_payment(text):
        raise NotACertificate("This is the number of a payment card. Scan the code of the gift certificate.")
    return text


def _explained(text: str) -> BadInput:
    """msgspec names the path and the type it wanted, never a value; only an unknown field is named by the sender."""
    if "unknown field" in text:
        return NoSuchField(f"{text}. Correct its name, or leave it out; /openapi.json lists the fields.")
    return BadInput(f"The body cannot be read: {text}. /openapi.json has the shape.")
