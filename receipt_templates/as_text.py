"""Blocks as plain text, for a POS that prints it itself, a screen or a file."""

from collections.abc import Iterable

from receipt_templates.blocks import Block
from receipt_templates.layout import Row, indent_of, lay_out
from receipt_templates.printable import printable


def render_text(blocks: Iterable[Block], columns: int) -> str:
    """Lines of at most `columns` characters, each ended by a line feed; every letter kept, codes as their fallback.

    Args:
        columns: 16 to 64.
    """
    rows = (piece for piece in lay_out(printable(blocks, None), columns) if isinstance(piece, Row))
    lines = [row.text.rstrip() if row.align == "left" else _moved(row, columns) for row in rows]
    return "\n".join(lines).rstrip("\n") + "\n"


def _moved(row: Row, columns: int) -> str:
    return (" " * indent_of(row, columns) + row.text).rstrip()
