"""Line items of a sale, each with what promotions took off it: most of a slip, made while the customer waits for it.

They come as plain rows, which become text at once (`goods_as_text`) or blocks for every other paper (`goods_of`).
"""

from collections.abc import Iterator

from receipt_templates.as_text import text_lines
from receipt_templates.blocks import Block, Pair, Text
from receipt_templates.languages import Tongue, amount, quantity
from receipt_templates.layout import GAP
from receipt_templates.markup import INDENT, as_printed
from receipt_templates.view import ReceiptView

GoodsRow = tuple[str, str, int]  # the left text, the right one ("" where there is none), the indent


def goods_rows(view: ReceiptView, tongue: Tongue) -> list[GoodsRow]:
    """A row for each good and each discount, and one more for what is bought by number or weight."""
    currency, rows = view.currency, []
    for line in view.lines:
        costs = amount(tongue, line.amount_minor, currency)
        if line.quantity_milli in (0, 1000):
            rows.append((as_printed(line.name), costs, 0))
        else:
            each = f" x {amount(tongue, line.unit_price_minor, currency)}" if line.unit_price_minor else ""
            units = quantity(tongue, line.quantity_milli)
            rows.append((as_printed(line.name), "", 0))
            rows.append((f"{units}{each}" if each else f"x {units}", costs, INDENT))
        for off in line.discounts:
            name = as_printed(off.name or tongue.words.discount)
            rows.append((name, amount(tongue, -off.amount_minor, currency), INDENT))
    return rows


def goods_of(view: ReceiptView, tongue: Tongue) -> Iterator[Block]:
    """The rows as blocks."""
    return map(_block, goods_rows(view, tongue))


def goods_as_text(view: ReceiptView, tongue: Tongue, columns: int) -> list[str]:
    """The rows as lines of text, as `render_text` makes them of their blocks."""
    lines: list[str] = []
    for row in goods_rows(view, tongue):
        left, right, indent = row
        gap = columns - indent - len(left) - len(right)
        both = f" {left} {right} " if right else f" {left} "  # a space too many is beside another one
        if gap >= GAP and both.isascii() and both.isprintable() and "  " not in both:
            lines.append(f"{' ' * indent}{left}{' ' * gap}{right}" if right else left)
        else:
            lines += text_lines((_block(row),), columns)
    return lines


def _block(row: GoodsRow) -> Block:
    left, right, indent = row
    return Pair(left=left, right=right, indent=indent) if right else Text(text=left)
