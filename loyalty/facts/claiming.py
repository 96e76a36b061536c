"""What a receipt without a card earns when a card is brought later.

The rule: the points that its own basket would have earned on its own day, under its own programme version, with a card
of which nothing is known but that it is one. No tier, birthday or counter counts, for nobody was told them; what asks
for them is not granted later, nor is money off, gifts or coupons. Goods that came back earn nothing.
Till and centre work it out alike, from the receipt's own bytes. Source: docs/members.md "A receipt claimed later".
"""

from collections.abc import Iterable

import msgspec

from loyalty.facts.receipts import Receipt, ReceiptDetail, quote_again
from loyalty.facts.returned_lines import ReturnLine, return_lines
from loyalty.members import UNKNOWN_CARD
from loyalty.pricing.earning import Earned
from loyalty.pricing.quotes import ENGINE_NO
from loyalty.programme.compiled import Compiled
from loyalty.trouble import Refusal


class NotPriceable(Refusal):
    """The receipt was priced by rules that are not here."""

    code = "claim.not_priceable"


def claimed_points(
    compiled: Compiled, receipt: Receipt, detail: ReceiptDetail, returned: Iterable[ReturnLine] = ()
) -> tuple[Earned, ...]:
    """What a receipt earns for whoever claims it.

    Args:
        compiled: the programme that the receipt names.
        receipt: one to nobody, with its detail.
        returned: what came back of it, any number of rows a line.
    Returns:
        By issuer and last valid day; none that is empty.
    Raises:
        NotPriceable: another programme or engine priced it.
        BadBasket and the like: what was recorded cannot be priced.
    """
    if detail.engine_no != ENGINE_NO or compiled.version != detail.programme_version:
        raise NotPriceable("The rules of this receipt are not here any more, so its points cannot be worked out.")
    quote = quote_again(compiled, receipt, msgspec.structs.replace(detail, view=UNKNOWN_CARD), explain=False)
    rows = tuple(returned)
    if not rows:
        return quote.earned
    whole = msgspec.structs.replace(receipt, earned=quote.earned)
    told = msgspec.structs.replace(detail, figures=quote.lines, effects=quote.effects, view=UNKNOWN_CARD)
    back = return_lines(whole, told, (), _summed(told, rows)).reversed
    gone = {(part.issuer_id, part.valid_through): part.points for part in back}
    left = (
        msgspec.structs.replace(part, points=part.points - gone.get((part.issuer_id, part.valid_through), 0))
        for part in quote.earned
    )
    return tuple(part for part in left if part.points > 0)


def _summed(detail: ReceiptDetail, rows: Iterable[ReturnLine]) -> tuple[ReturnLine, ...]:
    """What came back by line, never more than was sold: two tills may have taken the same goods back."""
    sold = {line.line: line.quantity_milli or 1000 for line in detail.lines}
    sums: dict[int, int] = {}
    for row in rows:
        if row.line in sold:
            sums[row.line] = min(sold[row.line], sums.get(row.line, 0) + row.quantity_milli)
    return tuple(ReturnLine(line=line, quantity_milli=milli) for line, milli in sorted(sums.items()) if milli > 0)
