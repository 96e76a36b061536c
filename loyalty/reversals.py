"""Void and return, from what the receipt recorded; nothing is priced again.

A part comes back pro rata by quantity, cumulatively, so that parts which add up to the whole leave nothing behind.
Without a reference the goods are priced as a basket of today and those points are reversed (DECISIONS 10).
"""

from collections.abc import Iterable, Sequence
from datetime import date

import msgspec

from loyalty.amounts import Whole, format_quantity
from loyalty.baskets import Line, Place
from loyalty.earning import Earned
from loyalty.lots import EventRef
from loyalty.members import AccountId, MemberView, Use, undone
from loyalty.quotes import Quote
from loyalty.receipts import (
    EMPTY,
    Funded,
    Receipt,
    ReceiptDetail,
    funded_by_others,
    paid_in_money,
    points_paid,
    read_detail,
)
from loyalty.trouble import Refusal


class ReturnLine(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """How much of one line comes back; `amount_minor` is what the POS pays out for it."""

    line: int
    quantity_milli: int
    amount_minor: int = 0


class Return(msgspec.Struct, frozen=True, kw_only=True, tag="return.v1", tag_field="type", omit_defaults=True):
    """Goods taken back later, at any till. `net_minor` is money paid out; `of` is none without a reference.

    `restored_points` come back to the lots that the receipt spent, last used first.
    """

    receipt_id: str
    place: Place
    net_minor: Whole
    of: EventRef | None = None
    account_id: AccountId | None = None
    card_token: str | None = None
    reversed: tuple[Earned, ...] = ()
    restored_points: Whole = 0
    uses: tuple[Use, ...] = ()
    funded: tuple[Funded, ...] = ()
    detail: msgspec.Raw = EMPTY


class ReturnDetail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came back, and what the till knew had come back before; without a reference the goods as quoted today."""

    lines: tuple[ReturnLine, ...]
    earlier: tuple[ReturnLine, ...] = ()
    of_receipt: str = ""
    goods: tuple[Line, ...] = ()
    programme_version: str = ""
    engine_no: int = 0
    currency: str = ""
    view: MemberView | None = None
    cashier: str = ""


class Void(msgspec.Struct, frozen=True, kw_only=True, tag="void.v1", tag_field="type", omit_defaults=True):
    """A whole committed receipt undone, same till, before its close; its id is `void:` and the receipt's."""

    receipt_id: str
    place: Place
    of: EventRef
    account_id: AccountId | None = None
    card_token: str | None = None
    uses: tuple[Use, ...] = ()
    detail: msgspec.Raw = EMPTY


class VoidDetail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who voided it."""

    cashier: str = ""


class ReturnFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What lines give back: money, points granted, points spent, funded discounts; whether nothing is left."""

    net_minor: int
    reversed: tuple[Earned, ...]
    restored_points: int
    funded: tuple[Funded, ...]
    whole: bool


class ReturnsMoreThanSold(Refusal):
    code = "return.more_than_sold"


class UnknownLine(Refusal):
    code = "return.unknown_line"
    status = 422


def return_lines(
    receipt: Receipt, detail: ReceiptDetail, earlier: Iterable[ReturnLine], lines: Sequence[ReturnLine]
) -> ReturnFigures:
    """What coming back of these lines gives back of this receipt.

    Args:
        receipt: the sale, with its detail.
        earlier: what has come back before, any number of rows a line.
        lines: what comes back now; quantities in thousandths, above 0.
    Raises:
        UnknownLine: a line the receipt does not have, twice the same line, or a quantity that is not above 0.
        ReturnsMoreThanSold: more than is left of a line.
    Source: engine.md "Returns and voids".
    """
    # A line sold without a quantity, such as a fee, comes back as one unit.
    sold = {line.line: line.quantity_milli or 1000 for line in detail.lines}
    earlier = tuple(earlier)
    before = {number: sum(row.quantity_milli for row in earlier if row.line == number) for number in sold}
    after = dict(before)
    for row in lines:
        _check(row, sold, before, after)
        after[row.line] += row.quantity_milli

    def part(total: int, line: int) -> int:
        return _upto(total, after[line], sold[line]) - _upto(total, before[line], sold[line])

    points: dict[tuple[str, date], int] = {}
    funded: dict[str, int] = {}
    for effect in detail.effects:
        if effect.points and effect.valid_through:
            key = (effect.funded_by or receipt.place.partner_id, effect.valid_through)
            points[key] = points.get(key, 0) + part(effect.points, effect.line)
        if effect.amount_minor and effect.funded_by not in ("", receipt.place.partner_id):
            funded[effect.funded_by] = funded.get(effect.funded_by, 0) + part(effect.amount_minor, effect.line)
    return ReturnFigures(
        net_minor=sum(part(paid, line) for line, paid in paid_in_money(detail).items()),
        reversed=tuple(
            sorted(Earned(issuer_id=i, valid_through=day, points=n) for (i, day), n in points.items() if n)
        ),
        restored_points=sum(part(n, line) for line, n in points_paid(detail, receipt.redemption).items()),
        funded=tuple(
            Funded(partner_id=partner, amount_minor=amount) for partner, amount in sorted(funded.items()) if amount
        ),
        whole=bool(lines) and after == sold,
    )


def close_return(
    return_id: str,
    receipt: Receipt,
    of: EventRef,
    place: Place,
    *,
    earlier: Sequence[ReturnLine],
    lines: Sequence[ReturnLine],
    cashier: str = "",
) -> Return:
    """The fact that lines of a receipt came back. Raises: as `return_lines`."""
    given = return_lines(receipt, read_detail(receipt), earlier, lines)
    detail = ReturnDetail(lines=tuple(lines), earlier=tuple(earlier), of_receipt=receipt.receipt_id, cashier=cashier)
    return Return(
        receipt_id=return_id,
        place=place,
        of=of,
        account_id=receipt.account_id,
        card_token=receipt.card_token,
        net_minor=given.net_minor,
        reversed=given.reversed,
        restored_points=given.restored_points,
        # A promotion's use comes back only with the whole receipt.
        uses=undone(receipt.uses) if given.whole else (),
        funded=given.funded,
        detail=msgspec.Raw(msgspec.json.encode(detail)),
    )


def close_unreferenced(
    return_id: str,
    quote: Quote,
    place: Place,
    *,
    card_token: str | None,
    lines: Sequence[ReturnLine],
    cashier: str = "",
) -> Return:
    """The fact that goods came back without a receipt: today's points of them are reversed, no use comes back.

    Args:
        quote: the goods as a basket of today, without points to spend.
        lines: with the amounts that the POS pays out; their sum is the money given back.
    """
    detail = ReturnDetail(
        lines=tuple(lines),
        goods=quote.goods,
        programme_version=quote.programme_version,
        engine_no=quote.engine_no,
        currency=quote.currency,
        view=quote.view,
        cashier=cashier,
    )
    return Return(
        receipt_id=return_id,
        place=place,
        account_id=quote.view.account_id if quote.view else None,
        card_token=card_token if quote.view and quote.view.account_id is None else None,
        net_minor=sum(line.amount_minor for line in lines),
        reversed=quote.earned,
        funded=funded_by_others(quote.effects, place.partner_id),
        detail=msgspec.Raw(msgspec.json.encode(detail)),
    )


def close_void(receipt: Receipt, of: EventRef, place: Place, *, cashier: str = "") -> Void:
    """The fact that a receipt was undone whole."""
    return Void(
        receipt_id=f"void:{receipt.receipt_id}",
        place=place,
        of=of,
        account_id=receipt.account_id,
        card_token=receipt.card_token,
        uses=undone(receipt.uses),
        detail=msgspec.Raw(msgspec.json.encode(VoidDetail(cashier=cashier))),
    )


def _check(row: ReturnLine, sold: dict[int, int], before: dict[int, int], after: dict[int, int]) -> None:
    if row.line not in sold or row.quantity_milli <= 0 or after[row.line] != before[row.line]:
        raise UnknownLine(
            f"Line {row.line} is not on this receipt, or comes twice; scan the receipt and choose its lines.",
            line=row.line,
        )
    # Two tills that could not ask each other may have taken back more than was sold.
    left = max(0, sold[row.line] - before[row.line])
    if row.quantity_milli > left:
        raise ReturnsMoreThanSold(
            f"Only {format_quantity(left)} of line {row.line} can still come back.",
            line=row.line,
            left=format_quantity(left),
            asked=format_quantity(row.quantity_milli),
        )


def _upto(total: int, quantity: int, of: int) -> int:
    """The share of `total` that belongs to the first `quantity` of `of`."""
    return total * quantity // of
