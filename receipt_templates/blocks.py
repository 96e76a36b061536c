"""What a receipt is made of, whatever prints it: text, pairs, notes, rules, codes, feeds, cuts."""

from typing import Literal

import msgspec

Align = Literal["left", "center", "right"]
Size = Literal["normal", "tall", "large"]
CodeKind = Literal["qr", "ean13", "code128"]


class Text(msgspec.Struct, frozen=True, kw_only=True, tag="text.v1", tag_field="type"):
    """A paragraph, wrapped at spaces. `tall` is double height, `large` double height and width."""

    text: str
    align: Align = "left"
    bold: bool = False
    size: Size = "normal"


class Pair(msgspec.Struct, frozen=True, kw_only=True, tag="pair.v1", tag_field="type"):
    """Two texts on one line. The right one stays whole at the right edge; a long left one wraps above it."""

    left: str
    right: str
    indent: int = 0  # columns before the left text
    bold: bool = False
    size: Size = "normal"


class Note(msgspec.Struct, frozen=True, kw_only=True, tag="note.v1", tag_field="type"):
    """A sentence to the customer, centred below an empty line, printed where there is room for it.

    Attributes:
        rank: 0 is always printed, and whole; of the others the lowest number is the most important.
        legal: never shortened and never left out, whatever the room.
    """

    text: str
    rank: int = 0
    legal: bool = False


class Rule(msgspec.Struct, frozen=True, kw_only=True, tag="rule.v1", tag_field="type"):
    """A line across the paper, of one character."""

    char: str = "-"


class Code(msgspec.Struct, frozen=True, kw_only=True, tag="code.v1", tag_field="type"):
    """A code to scan, centred. What cannot print it prints `fallback_text`, or nothing where that is empty."""

    kind: CodeKind
    data: str
    fallback_text: str = ""


class Feed(msgspec.Struct, frozen=True, kw_only=True, tag="feed.v1", tag_field="type"):
    """Empty lines."""

    lines: int = 1


class Cut(msgspec.Struct, frozen=True, kw_only=True, tag="cut.v1", tag_field="type"):
    """The end of the paper, cut as the printer can."""


Block = Text | Pair | Note | Rule | Code | Feed | Cut
