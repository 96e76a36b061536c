"""Blocks broken into rows of a paper: the one place that knows columns, shared by text and ESC/POS."""

from collections.abc import Iterable, Sequence

import msgspec

from receipt_templates.blocks import Align, Block, Code, Cut, Feed, Pair, Rule, Size, Text
from receipt_templates.columns import columns_of, kept_together, wrapped, wrapped_beside
from receipt_templates.fitting import fit
from receipt_templates.normalise import NO_BREAK

LEAST_LEFT = 8  # columns a left text needs beside a long right one; with less it gets lines of its own
GAP = 2  # columns between the two


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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
    return tuple([piece for block in fit(blocks, columns) for piece in pieces_of(block, columns, codes=codes)])


def pieces_of(block: Block, columns: int, *, codes: Sequence[str] = ()) -> Sequence[Piece]:
    """One block broken into rows, the same way; a note has its place only beside the others."""
    match block:
        case Pair():
            return _pair(block, columns)
        case Text():
            return _text(block, columns)
        case Rule():
            return [Row(text=block.char * columns)]
        case Code() if block.kind in codes:
            return [block]
        case Code():
            return _text(Text(text=block.fallback_text, align="center"), columns) if block.fallback_text else []
        case Feed():
            return [Row()] * block.lines
        case Cut():
            return [block]
        case _:
            return []


def one_line(block: Pair, columns: int) -> str | None:
    """A pair whose letters are plain and whose texts both fit, as its line: most of a receipt. None for any other."""
    left, right = block.left, block.right
    gap = columns - block.indent - len(left) - len(right)
    if gap < GAP or block.size == "large":
        return None
    both = f" {left} {right} "  # a space too many is beside another one
    if not both.isascii():
        left, right, both = (text.replace(NO_BREAK, " ") for text in (left, right, both))
    if not both.isascii() or not both.isprintable() or "  " in both:
        return None
    return f"{' ' * block.indent}{left}{' ' * gap}{right}"


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
    if (line := one_line(block, columns)) is not None:
        return [Row(text=line, bold=block.bold, size=block.size)]
    scale = 2 if block.size == "large" else 1
    width = columns // scale
    right = wrapped(block.right, width)
    room = width - block.indent - columns_of(right[0]) - GAP
    if len(right) > 1 or (columns_of(block.left) > room and room < max(LEAST_LEFT, _last_word(block.left))):
        above, beside = wrapped(block.left, width - block.indent), ""
    else:
        *above, beside = wrapped_beside(block.left, width - block.indent, room)
    pad = " " * block.indent
    texts = [pad + line for line in above]
    first = pad + beside if beside else ""
    texts.append(first + _to_the_right(right[0], width - columns_of(first)))
    texts += [_to_the_right(line, width) for line in right[1:]]
    return [Row(text=text, bold=block.bold, size=block.size) for text in texts if text.strip()]


def _last_word(text: str) -> int:
    """Columns of the word that stands beside the right text at least; a date is one, and a figure with its unit."""
    return columns_of(kept_together(text.rstrip().split("\n")[-1]).split(" ")[-1])


def _to_the_right(text: str, width: int) -> str:
    return " " * (width - columns_of(text)) + text if text else ""
