"""Blocks broken into rows of a paper: the one place that knows columns, shared by text and ESC/POS."""

import re
import textwrap
from collections.abc import Iterable, Sequence

import msgspec

from receipt_templates.blocks import Align, Block, Code, Cut, Feed, Pair, Rule, Size, Text
from receipt_templates.normalise import NO_BREAK

LEAST_LEFT = 8  # columns a left text needs beside a long right one; with less it gets lines of its own
GAP = 2  # columns between the two
_UNIT = re.compile(r"(?<=\d) (?=[^\W\d_]{1,2}(?!\w))")  # the space in `500 g`


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
    for block in blocks:
        match block:
            case Text():
                pieces += _text(block, columns)
            case Pair():
                pieces += _pair(block, columns)
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
    left = columns - scale * len(row.text)
    return {"left": 0, "center": left // 2, "right": left}[row.align]


def _text(block: Text, columns: int) -> list[Row]:
    scale = 2 if block.size == "large" else 1
    return [
        Row(text=line, align=block.align, bold=block.bold, size=block.size)
        for line in _wrapped(block.text, columns // scale, even=block.align == "center")
    ]


def _pair(block: Pair, columns: int) -> list[Row]:
    scale = 2 if block.size == "large" else 1
    width = columns // scale
    right = _wrapped(block.right, width)
    room = width - block.indent - len(right[0]) - GAP
    if len(right) > 1 or (room < LEAST_LEFT and len(block.left) > room):
        above, beside = _wrapped(block.left, width - block.indent), ""
    else:
        *above, beside = _wrapped(block.left, max(1, room))
    pad = " " * block.indent
    texts = [pad + line for line in above]
    first = pad + beside if beside else ""
    texts.append(first + right[0].rjust(width - len(first)))
    texts += [line.rjust(width) for line in right[1:]]
    return [Row(text=text, bold=block.bold, size=block.size) for text in texts if text.strip()]


def _wrapped(text: str, width: int, *, even: bool = False) -> list[str]:
    """Lines of at most `width` characters: broken at spaces, a longer word where it must; at least one line.

    Args:
        even: lines of about one length, as few as before: a centred text does not end in a lonely word.
    """
    lines = [line for part in text.split("\n") for line in _paragraph(part, width, even=even)]
    return [line.replace(NO_BREAK, " ").rstrip() for line in lines]


def _paragraph(text: str, width: int, *, even: bool) -> list[str]:
    # textwrap breaks at ASCII spaces only, so a no-break space holds: a figure keeps its unit.
    text = _UNIT.sub(NO_BREAK, text)
    lines = textwrap.wrap(text, width, break_on_hyphens=False) or [""]
    if not even or len(lines) == 1:
        return lines
    longest_word = max(map(len, text.split(" ")))
    for narrower in range(max(1, min(width, longest_word)), width):
        if len(tried := textwrap.wrap(text, narrower, break_on_hyphens=False)) == len(lines):
            return tried
    return lines
