"""What of a receipt can still come back, line by line, so that a person can point at it instead of typing."""

from edge.api.answers import Answer
from edge.cache.cache import Cache
from edge.refusals import ReturnOfUnknownReceipt
from edge.sale.till import Till
from loyalty.amounts import format_quantity
from loyalty.facts.receipts import Receipt, paid_in_money, read_detail
from loyalty.facts.return_voids import standing_returns
from loyalty.facts.returned_lines import sold_quantities
from loyalty.facts.reversals import Void, came_back


class LineLeft(Answer, frozen=True, kw_only=True):
    """One line: what was sold and paid for it in money, and how much of it has not come back yet. What was sold without
    a quantity is one piece."""

    line: int
    sku: str
    name: str
    quantity: str
    left: str
    net_minor: int


class ReceiptLeft(Answer, frozen=True, kw_only=True):
    """A receipt of this till as it stands. `is_void`: nothing of it can come back."""

    receipt_id: str
    currency: str
    has_member: bool
    is_void: bool
    lines: tuple[LineLeft, ...]


def recount(till: Till, receipt_id: str) -> ReceiptLeft:
    """What is left of a receipt.

    Raises:
        ReturnOfUnknownReceipt: not a receipt of this till.
    """
    entry = till.journal.find(receipt_id)
    receipt = entry.event if entry else None
    if not isinstance(receipt, Receipt):
        raise ReturnOfUnknownReceipt(
            "This till does not know that receipt. Return the goods at the till that sold them, or without a receipt.",
            receipt_id=receipt_id,
        )
    detail = read_detail(receipt)
    reversals = [one.event for one in till.journal.reversals_of(receipt_id)]
    earlier, _ = came_back(receipt, standing_returns(reversals))
    back: dict[int, int] = {}
    for part in earlier:
        back[part.line] = back.get(part.line, 0) + part.quantity_milli
    names = _names(till.cache, tuple(line.sku for line in detail.lines))
    paid, sold = paid_in_money(detail), sold_quantities(detail)
    return ReceiptLeft(
        receipt_id=receipt_id,
        currency=detail.currency,
        has_member=receipt.card_token is not None or receipt.account_id is not None,
        is_void=any(isinstance(one, Void) for one in reversals),
        lines=tuple(
            LineLeft(
                line=line.line,
                sku=line.sku,
                name=names.get(line.sku) or line.sku,
                quantity=format_quantity(sold[line.line]),
                left=format_quantity(max(0, sold[line.line] - back.get(line.line, 0))),
                net_minor=paid.get(line.line, 0),
            )
            for line in detail.lines
        ),
    )


def _names(cache: Cache, skus: tuple[str, ...]) -> dict[str, str]:
    return dict(cache.names(tuple(dict.fromkeys(skus))))
