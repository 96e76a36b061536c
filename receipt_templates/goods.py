"""Line items of a sale, each with what promotions took off it: most of a slip, made while the customer waits for it.

They come as plain rows, which become text at once (`goods_as_text`) or blocks for every other paper (`goods_of`).
"""

from collections.abc import Iterator
from functools import lru_cache

from receipt_templates.as_text import at_once, text_lines
from receipt_templates.blocks import Block, Pair, Text
from receipt_templates.languages import Tongue, amount, quantity, tongue_of
from receipt_templates.markup import INDENT, as_printed
from receipt_templates.view import ReceiptView

LEAST_SHARED = 3  # lines

GoodsRow = tuple[str, int | None, int]  # the left text, the amount at the right in minor units, the indent


def goods_rows(view: ReceiptView, tongue: Tongue) -> list[GoodsRow]:
    """A row for each good and each discount, and one more for what is bought by number or weight.

    What one promotion took off most of the goods stands once, beneath them all.
    """
    rows: list[GoodsRow] = []
    shared = _shared(view)
    for line in view.lines:
        if line.quantity_milli in (0, 1000):
            rows.append((line.name, line.amount_minor, 0))
        else:
            units = quantity(tongue, line.quantity_milli)
            each = f"{units} x {amount(tongue, line.unit_price_minor, view.currency)}"
            rows.append((line.name, None, 0))
            rows.append((each if line.unit_price_minor else f"x {units}", line.amount_minor, INDENT))
        for off in line.discounts:
            if off.name not in shared:
                rows.append((off.name or tongue.words.discount, -off.amount_minor, INDENT))
    rows += [(name, -taken, 0) for name, taken in shared.items()]
    return rows


def _shared(view: ReceiptView) -> dict[str, int]:
    """Promotions that took something off three lines at least and more than half of them all, and what altogether.

    Source: money off a whole basket is shared out over its lines, each of which would print it: a paper twice as long.
    """
    if len(view.lines) < LEAST_SHARED:
        return {}
    taken: dict[str, list[int]] = {}
    for line in view.lines:
        for off in line.discounts:
            taken.setdefault(off.name, []).append(off.amount_minor)
    least = max(LEAST_SHARED, len(view.lines) // 2 + 1)
    return {name: sum(parts) for name, parts in taken.items() if name and len(parts) >= least}


def goods_of(view: ReceiptView, tongue: Tongue) -> Iterator[Block]:
    """The rows as blocks."""
    return (_block(row, tongue, view.currency) for row in goods_rows(view, tongue))


def goods_as_text(view: ReceiptView, tongue: Tongue, columns: int) -> list[str]:
    """The rows as lines of text, as `render_text` makes them of their blocks."""
    lines: list[str] = []
    for row in goods_rows(view, tongue):
        lines += _as_text(row, tongue.language, view.currency, columns)
    return lines


@lru_cache(maxsize=1_024)  # the same goods are sold all day, with the same money off
def _as_text(row: GoodsRow, language: str, currency: str, columns: int) -> tuple[str, ...]:
    block = _block(row, tongue_of(language), currency)
    line = at_once(block, columns)
    return tuple(text_lines((block,), columns)) if line is None else (line,)


def _block(row: GoodsRow, tongue: Tongue, currency: str) -> Block:
    left, minor, indent = row
    if minor is None:
        return Text(text=as_printed(left))
    return Pair(left=as_printed(left), right=amount(tongue, minor, currency), indent=indent)
