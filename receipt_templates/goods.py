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

LEAST_SHARED = 3  # lines

GoodsRow = tuple[str, str, int]  # the left text, the right one ("" where there is none), the indent


def goods_rows(view: ReceiptView, tongue: Tongue) -> list[GoodsRow]:
    """A row for each good and each discount, and one more for what is bought by number or weight.

    What one promotion took off most of the goods stands once, beneath them all.
    """
    currency, rows = view.currency, []
    shared = _shared(view)
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
            if off.name not in shared:
                name = as_printed(off.name or tongue.words.discount)
                rows.append((name, amount(tongue, -off.amount_minor, currency), INDENT))
    rows += [(as_printed(name), amount(tongue, -taken, currency), 0) for name, taken in shared.items()]
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
