"""Views of goods taken back and of a receipt undone: money paid out, points taken and given back."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from loyalty.baskets import Tender
from loyalty.facts.receipts import Receipt, ReceiptDetail, read_detail
from loyalty.facts.returned_lines import ReturnLine, return_lines
from loyalty.facts.reversals import VOID, Return, ReturnDetail, ReturnVoid, Void, VoidDetail
from loyalty.pricing.messages import Said
from loyalty.pricing.stored_value import stored_paid
from receipt_templates.view import Shop, Slip, local_time, said_on_paper, stored_tenders


class ReturnedLine(msgspec.Struct, frozen=True, kw_only=True):
    """What came back of one line. `name` is empty where the sale is not at hand: then its number is printed.

    `amount_minor` is none where the parts are not known, only the whole.
    """

    line: int
    name: str
    quantity_milli: int
    amount_minor: int | None = None


class ReturnView(Slip, frozen=True, kw_only=True, tag="return.v1", tag_field="slip"):
    """Goods taken back. `of_number` is empty for a return without a receipt.

    The lines less what is withheld for points that are gone, less what goes back to certificates and wallet, is paid
    out. `earned_points` are those that the goods which stay earn anew.
    """

    lines: tuple[ReturnedLine, ...]
    of_number: str = ""
    withheld_minor: int = 0
    to_certificates_minor: int = 0
    to_wallet_minor: int = 0
    paid_out_minor: int = 0
    earned_points: int = 0
    taken_back_points: int = 0
    given_back_points: int = 0


class VoidView(Slip, frozen=True, kw_only=True, tag="void.v1", tag_field="slip"):
    """A receipt, return or exchange undone whole; `total_minor` is what it came to, points included.

    It adds up: total, less what was brought back, is what had been paid with points, what goes back to certificates and
    wallet, and what is handed out, less what certificates and wallet (`stored`) and the customer pay again.
    """

    what: Literal["receipt", "return", "exchange"] = "receipt"
    total_minor: int = 0
    brought_back_minor: int = 0
    points_spent: int = 0
    paid_with_points_minor: int = 0
    stored: tuple[Tender, ...] = ()
    to_pay_minor: int = 0
    to_hand_out_minor: int = 0
    taken_back_points: int = 0
    given_back_points: int = 0
    to_certificates_minor: int = 0
    to_wallet_minor: int = 0


def view_of_return(
    ret: Return,
    detail: ReturnDetail,
    *,
    sold: Receipt | None,
    shop: Shop,
    names: Mapping[str, str],
    messages: Sequence[Said] = (),
    language: str,
    record: str = "",
    member: str = "",
    balance_points: int | None = None,
    copy: bool = False,
    training: bool = False,
) -> ReturnView:
    """The view of a return.

    Args:
        detail: the return's own.
        sold: the sale that is returned, with its detail; none for a return without a reference, or where a reprint
            no longer has it: then lines show their numbers, and the money only as a whole.
        others: as for `view_of_receipt`.
    """
    sold_detail = read_detail(sold) if sold else None
    goods = {line.line: line.sku for line in (sold_detail.lines if sold_detail else detail.goods)}
    return ReturnView(
        language=language,
        shop=shop,
        currency=detail.currency or (sold_detail.currency if sold_detail else shop.currency),
        number=ret.receipt_id,
        till_id=ret.place.till_id,
        sold_at=local_time(ret.place),
        cashier=detail.cashier,
        record=record,
        member=member,
        balance_points=balance_points,
        messages=said_on_paper(messages),
        unconfirmed=ret.card_token is not None and ret.account_id is None,
        copy=copy,
        training=training,
        approved_by=detail.override.supervisor if detail.override else "",
        reason=detail.override.reason if detail.override else "",
        exchange=detail.exchange,
        lines=tuple(
            ReturnedLine(
                line=row.line,
                name=names.get(goods.get(row.line, "")) or goods.get(row.line, ""),
                quantity_milli=row.quantity_milli,
                amount_minor=_amount(row, detail, sold, sold_detail),
            )
            for row in detail.lines
        ),
        of_number=detail.of_receipt,
        withheld_minor=ret.withheld_minor,
        to_certificates_minor=sum(part.amount_minor for part in ret.restored if part.code),
        to_wallet_minor=sum(part.amount_minor for part in ret.restored if not part.code),
        paid_out_minor=ret.paid_out_minor,
        earned_points=sum(earned.points for earned in ret.earned),
        taken_back_points=sum(earned.points for earned in ret.reversed),
        given_back_points=ret.restored_points,
    )


def view_of_void(
    void: Void,
    detail: VoidDetail,
    *,
    sold: Receipt,
    shop: Shop,
    language: str,
    record: str = "",
    member: str = "",
    balance_points: int | None = None,
    copy: bool = False,
    training: bool = False,
) -> VoidView:
    """The view of a void. Args: `sold` is the receipt undone, with its detail; others as for `view_of_receipt`."""
    spent = sold.redemption
    stored = stored_paid((*sold.uses, *sold.shared_uses))
    return VoidView(
        language=language,
        shop=shop,
        currency=read_detail(sold).currency,
        number=sold.receipt_id,
        till_id=void.place.till_id,
        sold_at=local_time(void.place),
        cashier=detail.cashier,
        record=record,
        member=member,
        balance_points=balance_points,
        unconfirmed=void.card_token is not None and void.account_id is None,
        copy=copy,
        training=training,
        approved_by=detail.override.supervisor if detail.override else "",
        reason=detail.override.reason if detail.override else "",
        exchange=detail.exchange,
        total_minor=sold.net_minor + (spent.amount_minor if spent else 0),
        points_spent=spent.points if spent else 0,
        paid_with_points_minor=spent.amount_minor if spent else 0,
        to_hand_out_minor=sold.to_pay_minor,
        to_certificates_minor=stored.certificates_minor,
        to_wallet_minor=stored.wallet_minor,
        taken_back_points=sum(earned.points for earned in sold.earned),
        given_back_points=spent.points if spent else 0,
    )


def view_of_return_void(
    void: ReturnVoid,
    detail: VoidDetail,
    *,
    currency: str,
    shop: Shop,
    language: str,
    record: str = "",
    member: str = "",
    copy: bool = False,
    training: bool = False,
) -> VoidView:
    """The view of the void of a return. Args: as for `view_of_void`."""
    return VoidView(
        language=language,
        shop=shop,
        currency=currency or shop.currency,
        number=void.receipt_id.removeprefix(VOID),
        till_id=void.place.till_id,
        sold_at=local_time(void.place),
        cashier=detail.cashier,
        record=record,
        member=member,
        unconfirmed=void.card_token is not None and void.account_id is None,
        copy=copy,
        training=training,
        approved_by=detail.override.supervisor if detail.override else "",
        reason=detail.override.reason if detail.override else "",
        exchange=detail.exchange,
        what="return",
        total_minor=void.net_minor,
        stored=stored_tenders(
            certificates_minor=sum(part.amount_minor for part in void.restored if part.code),
            wallet_minor=sum(part.amount_minor for part in void.restored if not part.code),
        ),
        to_pay_minor=void.paid_in_minor,
        taken_back_points=void.spent_points + sum(part.points for part in void.reversed),
        given_back_points=sum(part.points for part in void.earned),
    )


def _amount(
    row: ReturnLine, detail: ReturnDetail, sold: Receipt | None, sold_detail: ReceiptDetail | None
) -> int | None:
    """Money paid out for one line: what the sale gives back for it, or what the POS said where there is no sale."""
    if sold and sold_detail:
        # A line's part depends on that line alone, so the parts make the whole.
        return return_lines(sold, sold_detail, detail.earlier, [row]).net_minor
    return row.amount_minor if not detail.of_receipt else None
