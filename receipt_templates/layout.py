"""Blocks broken into rows of a paper: the one place that knows columns, shared by text and ESC/POS."""

from collections.abc import Iterable, Sequence

import msgspec

from receipt_templates.blocks import Align, Block, Code, Cut, Feed, Pair, Rule, Size, Text
from receipt_templates.columns import columns_of, wrapped
from receipt_templates.fitting import fit

LEAST_LEFT = 8  # columns a left text needs beside a long right one; with less it gets lines of its own
GAP = 2  # columns between the two


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One printed line; where `large` letters can be printed, each takes two columns."""

    text: str = ""
    align: Align = "left"
    bold: bool = False
    size: Size = "normal"


Piece = Row | Code | Cut


def lay_out(blocks: Iterable[Block], columns: int, *, codes: Sequence[str] = ()) -> tuple[Piece, ...]:
    """Break blocks into rows that fit.

    Args:
        blocks: normalised text; U+00A0 is never broken at and leaves as a space.
        columns: 16 to 64.
        codes: the kinds of code that the paper can show; the others become their fallback text.
    """
    pieces: list[Piece] = []
    for block in fit(blocks, columns):
        match block:
            case Pair():
                pieces += _pair(block, columns)
            case Text():
                pieces += _text(block, columns)
            case Rule():
                pieces.append(Row(text=block.char * columns))
            case Code() if block.kind in codes:
                pieces.append(block)
            case Code():
                pieces += _text(Text(text=block.fallback_text, align="center"), columns) if block.fallback_text else []
            case Feed():
                pieces += [Row()] * block.lines
            case Cut():
                pieces.append(block)
    return tuple(pieces)


def indent_of(row: Row, columns: int, *, scale: int = 1) -> int:
    """Columns of normal width before a row whose letters take `scale` columns each."""
    left = columns - scale * columns_of(row.text)
    return {"left": 0, "center": left // 2, "right": left}[row.align]


def _text(block: Text, columns: int) -> list[Row]:
    scale = 2 if block.size == "large" else 1
    return [
        Row(text=line, align=block.align, bold=block.bold, size=block.size)
        for line in wrapped(block.text, columns // scale, even=block.align == "center")
    ]


def _pair(block: Pair, columns: int) -> list[Row]:
    if block.size != "large" and (row := _on_one_line(block, columns)) is not None:
        return [row]
    scale = 2 if block.size == "large" else 1
    width = columns // scale
    right = wrapped(block.right, width)
    room = width - block.indent - columns_of(right[0]) - GAP
    if len(right) > 1 or (room < LEAST_LEFT and columns_of(block.left) > room):
        above, beside = wrapped(block.left, width - block.indent), ""
    else:
        *above, beside = wrapped(block.left, max(1, room))
    pad = " " * block.indent
    texts = [pad + line for line in above]
    first = pad + beside if beside else ""
    texts.append(first + _to_the_right(right[0], width - columns_of(first)))
    texts += [_to_the_right(line, width) for line in right[1:]]
    return [Row(text=text, bold=block.bold, size=block.size) for text in texts if text.strip()]


def _on_one_line(block: Pair, columns: int) -> Row | None:
    """What the long way answers where letters are plain and both texts fit; most pairs of a receipt."""
    left, right = block.left, block.right
    gap = columns - block.indent - len(left) - len(right)
    if gap < GAP or not left or not right:
        return None
    for text in (left, right):
        if not text.isascii() or "\n" in text or "  " in text or text != text.strip():
            return None
    return Row(text=f"{' ' * block.indent}{left}{' ' * gap}{right}", bold=block.bold, size=block.size)


def _to_the_right(text: str, width: int) -> str:
    return " " * (width - columns_of(text)) + text if text else ""
