"""Line items of a sale, each with what promotions took off it, as blocks.

The rest of a slip is laid out by the files in `layouts`, which mark this place by `[goods]`. Most blocks of a sale are
made here, while the customer waits for the receipt; a template takes ten times as long for them.
"""

from collections.abc import Iterator

from receipt_templates.blocks import Block, Pair, Text
from receipt_templates.languages import Tongue, amount, quantity
from receipt_templates.markup import INDENT, as_printed
from receipt_templates.view import ReceiptView


def goods_of(view: ReceiptView, tongue: Tongue) -> Iterator[Block]:
    """A line for each good and each discount, and one more for what is bought by number or weight."""
    currency = view.currency
    for line in view.lines:
        costs = amount(tongue, line.amount_minor, currency)
        if line.quantity_milli in (0, 1000):
            yield Pair(left=as_printed(line.name), right=costs)
        else:
            each = f" x {amount(tongue, line.unit_price_minor, currency)}" if line.unit_price_minor else ""
            units = quantity(tongue, line.quantity_milli)
            yield Text(text=as_printed(line.name))
            yield Pair(left=f"{units}{each}" if each else f"x {units}", right=costs, indent=INDENT)
        for off in line.discounts:
            name = as_printed(off.name or tongue.words.discount)
            yield Pair(left=name, right=amount(tongue, -off.amount_minor, currency), indent=INDENT)
