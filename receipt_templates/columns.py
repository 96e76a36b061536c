"""How many columns of paper letters take, and lines that fit a number of them.

A Chinese or Japanese letter takes two columns, a mark that sits on another letter none. Ambiguous letters, such as
those of Cyrillic, take one: only printers of the Far East print them wide. Source: devices-and-receipts.md D5.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from receipt_templates.normalise import NO_BREAK

# A figure stays beside its unit, its currency and its other digits: `500 g`, `R$ 5,38`, `EUR 12.00`, `1 340 zł`. What
# is short behind the year of a date is no unit but the next word, `od 13.03.2026 do`, unless it says that it is a year.
_TOGETHER = re.compile(
    rf"(?<=\d)(?<![./{NO_BREAK}]\d{{4}}) (?=[^\W\d_]{{1,2}}(?!\w))"
    r"|(?<=\d) (?=[A-Z]{3}(?!\w)|руб\b|грн\b|[rг]\.|[€£$¥₽%]|\d{3}(?!\d))"
    r"|(?<=[€£$¥₽]) (?=[-+]?\d)"
    r"|(?<=\b[A-Z]{3}) (?=[-+]?\d)"
)


def columns_of(text: str) -> int:
    """Columns of normal width that a text takes."""
    return len(text) if text.isascii() else sum(map(_columns_of_letter, text))


def wrapped(text: str, width: int, *, even: bool = False) -> list[str]:
    """Lines of at most `width` columns: broken at spaces, a longer word where it must; at least one line.

    Args:
        text: U+00A0 is broken at only where a line would not fit otherwise, and leaves as a space.
        width: at least 2, or 1 where no letter is wide.
        even: lines of about one length, as few as before: a centred text does not end in a lonely word.
    """
    if "\n" not in text and "  " not in text and columns_of(text) <= width:
        return [text.strip(" ").replace(NO_BREAK, " ").rstrip()]  # most are a line as they are
    lines = [line for part in text.split("\n") for line in _paragraph(part, width, even=even)]
    return [line.replace(NO_BREAK, " ").rstrip() for line in lines]


def wrapped_beside(text: str, width: int, room: int) -> list[str]:
    """Lines as of `wrapped`, the last of at most `room` columns, for something stands beside it.

    Args:
        room: for the last word of the text at least.
    """
    *above, last = text.split("\n")
    words = _words(last)
    lines = _filled(words, width)
    if columns_of(lines[-1]) > room:
        lines = [*_filled(words[:-1], width), words[-1]]
    over = [line for part in above for line in wrapped(part, width)]
    return over + [line.replace(NO_BREAK, " ").rstrip() for line in lines]


def kept_together(text: str) -> str:
    """A text whose figures hold on to their units, currencies and other digits with U+00A0."""
    return _TOGETHER.sub(NO_BREAK, text)


def _paragraph(text: str, width: int, *, even: bool) -> list[str]:
    words = _words(text)
    lines = _filled(words, width)
    if not even or len(lines) < 2:
        return lines
    taken = [columns_of(word) for word in words]
    narrow, wide = min(width, max(taken)), width
    if narrow < max(taken):
        return lines  # a word is broken at every width up to this one
    while narrow < wide:  # the narrower, the more lines: the least width is found by halving
        middle = (narrow + wide) // 2
        if _lines_of(taken, middle) == len(lines):
            wide = middle
        else:
            narrow = middle + 1
    return _filled(words, wide)


def _words(text: str) -> list[str]:
    return [word for word in kept_together(text).split(" ") if word]


def _lines_of(taken: Sequence[int], width: int) -> int:
    """How many lines words of so many columns fill; none is wider than a line."""
    lines, used = 1, -1
    for columns in taken:
        used += 1 + columns
        if used > width:
            lines, used = lines + 1, columns
    return lines


def _filled(words: list[str], width: int) -> list[str]:
    lines, used = [""], 0
    for whole in words:
        for word in (whole,) if (columns := columns_of(whole)) <= width else _pieces(whole, width):
            if word is not whole:
                columns = columns_of(word)
            if not lines[-1]:
                lines[-1], used = word, columns
            elif used + 1 + columns <= width:
                lines[-1] += f" {word}"
                used += 1 + columns
            else:
                lines.append(word)
                used = columns
    return lines


def _pieces(word: str, width: int) -> list[str]:
    """A word as it is, or, wider than the line, its parts: between figures first, then between letters."""
    if columns_of(word) <= width:
        return [word]
    if NO_BREAK in word:
        return [piece for part in word.split(NO_BREAK) if part for piece in _pieces(part, width)]
    pieces, room = [""], width
    for letter in word:
        columns = _columns_of_letter(letter)
        if columns > room and pieces[-1]:
            pieces.append("")
            room = width
        pieces[-1] += letter
        room -= columns
    return pieces


@lru_cache(maxsize=4_096)
def _columns_of_letter(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
