"""Blocks as plain text, for a POS that prints it itself, a screen or a file."""

from collections.abc import Iterable

from receipt_templates.blocks import Block, Code, Cut, Feed, Note, Pair, Rule, Text
from receipt_templates.fitting import notes_that_fit
from receipt_templates.layout import Row, indent_of, one_line, pieces_of
from receipt_templates.normalise import NO_BREAK
from receipt_templates.printable import is_plain, printable


def render_text(blocks: Iterable[Block], columns: int) -> str:
    """Lines of at most `columns` characters, each ended by a line feed; every letter kept, codes as their fallback.

    Args:
        columns: 16 to 64.
    """
    return as_slip(text_lines(blocks, columns))


def as_slip(lines: Iterable[str]) -> str:
    """Lines as one text, without empty ones at its end."""
    return "\n".join(lines).rstrip("\n") + "\n"


def text_lines(blocks: Iterable[Block], columns: int) -> list[str]:
    """The lines of `render_text`, empty ones at the end included."""
    held = [block for block in blocks if not isinstance(block, Cut | Code) or _has_text(block)]
    # Most of a receipt is of plain letters and a line as it stands; what is left is made printable first.
    plain = [at_once(block, columns) for block in held]
    if None not in plain:
        return [line for line in plain if line is not None]
    rest = printable((block for block, line in zip(held, plain, strict=True) if line is None), None)
    notes, numbered = notes_that_fit(rest, columns), enumerate(rest)
    lines: list[str] = []
    for line in plain:
        if line is not None:
            lines.append(line)
            continue
        number, block = next(numbered)
        if not isinstance(block, Note):
            lines += [_line(piece, columns) for piece in pieces_of(block, columns) if isinstance(piece, Row)]
        elif number in notes:
            lines += ["", *(_line(Row(text=text, align="center"), columns) for text in notes[number].lines)]
    return lines


def at_once(block: Block, columns: int) -> str | None:
    """What the long way would answer for a block that is one line of plain letters; none for any other."""
    if isinstance(block, Pair):
        return one_line(block, columns)
    if isinstance(block, Text):
        text = block.text if block.text.isascii() else block.text.replace(NO_BREAK, " ")
        if not text:
            return ""
        room = columns - len(text) * (2 if block.size == "large" else 1)
        padded = f" {text} "  # a space too many is beside another one
        if room < 0 or not is_plain(text) or "  " in padded:
            return None
        left = columns - len(text)
        return " " * {"left": 0, "center": left // 2, "right": left}[block.align] + text
    if isinstance(block, Rule):
        return block.char * columns if block.char == "-" else None
    return "" if isinstance(block, Feed) and block.lines == 1 else None


def _has_text(block: Cut | Code) -> bool:
    return isinstance(block, Code) and bool(block.fallback_text)


def _line(row: Row, columns: int) -> str:
    pad = "" if row.align == "left" else " " * indent_of(row, columns)
    return (pad + row.text).rstrip()
