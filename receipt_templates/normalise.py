"""Typography that no receipt printer knows, made plain; then, for one code page, letters it lacks made Latin.

No code page has a narrow space, a rouble or a hryvnia sign; few have curly quotes. What a reader loses by the first
table is nothing; by the second an accent or an alphabet; only what both leave over is printed as `?`.
Source: devices-and-receipts.md D2.
"""

import re
import unicodedata
from functools import lru_cache

import msgspec

# No-break spaces stay one character until the lines are broken: a figure is not torn from its currency.
NO_BREAK = "\u00a0"

_PLAIN = str.maketrans(
    {
        "\u202f": NO_BREAK, "\u2007": NO_BREAK, "\t": " ", "\u2028": " ", "\u2029": " ",
        "“": '"', "”": '"', "„": '"', "‟": '"', "″": '"', "«": '"', "»": '"',
        "‘": "'", "’": "'", "‚": "'", "‛": "'", "′": "'", "´": "'",
        "‐": "-", "\u2011": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-",
        "…": "...", "•": "*", "⁄": "/", "×": "x",
    }
)  # fmt: skip

# For a character that a page lacks, what to try in turn.
_INSTEAD: dict[str, tuple[str, ...]] = {
    "€": ("EUR",), "£": ("GBP",), "¥": ("JPY",), "¢": ("c",), "₽": ("руб.", "RUB"), "₴": ("грн", "UAH"),
    "₸": ("тг", "KZT"), "₹": ("Rs",), "₺": ("TL",), "₿": ("BTC",), "₪": ("ILS",), "₩": ("KRW",), "₫": ("VND",),
    "№": ("No",), "°": ("o",), "º": ("o",), "ª": ("a",), "™": ("TM",), "®": ("(R)",), "©": ("(C)",), "§": ("S",),
    "·": ("*",), "→": ("->",), "←": ("<-",), "≤": ("<=",), "≥": (">=",), "±": ("+/-",), "÷": ("/",), "‰": ("o/oo",),
    "½": ("1/2",), "¼": ("1/4",), "¾": ("3/4",), "µ": ("u",), "¡": ("!",), "¿": ("'",), "¦": ("|",), "¬": ("-",),
    "ł": ("l",), "Ł": ("L",), "đ": ("d",), "Đ": ("D",), "ð": ("d",), "Ð": ("D",), "ø": ("o",), "Ø": ("O",),
    "ß": ("ss",), "æ": ("ae",), "Æ": ("AE",), "œ": ("oe",), "Œ": ("OE",), "þ": ("th",), "Þ": ("Th",), "ı": ("i",),
    "ґ": ("г", "g"), "Ґ": ("Г", "G"),
}  # fmt: skip

# These go to words on every page: a printer that knows the sign is rare, a POS that does not is common.
_ALWAYS = "₽₴₸₹₺₿₪₩₫"

_CYRILLIC = dict(
    zip(
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєў",
        "a b v g d e e zh z i y k l m n o p r s t u f kh ts ch sh shch - y - e yu ya i i ie u".split(),
        strict=True,
    )
)


class Printable(msgspec.Struct, frozen=True, kw_only=True):
    """Text that can be printed; how many characters became others, and how many of them a bare `?`."""

    text: str
    replaced: int
    lost: int


def normalise(text: str, encoding: str | None = None) -> Printable:
    """Text as a printer or a POS can take it.

    Args:
        text: anything; line breaks stay, other control characters go, emoji and invisible marks too.
        encoding: Python's name of the printer's code page; none keeps every letter.
    Returns:
        The text with spaces, quotes, dashes and money signs made plain. `replaced` counts characters that the
        encoding lacks, not those. No-break spaces stay U+00A0 on every page: the renderers write them as spaces.
    """
    if text.isascii() and text.isprintable() and _holds(text, encoding):
        return Printable(text=text, replaced=0, lost=0)
    if encoding is None and (plain := text.translate(_PLAIN)).isascii() and plain.isprintable():
        return Printable(text=plain, replaced=0, lost=0)
    plain = unicodedata.normalize("NFC", text).translate(_PLAIN)
    kept = "".join([char for char in plain if not _is_dropped(char)])
    if len(kept) != len(plain):
        kept = re.sub(r" {2,}", " ", kept)
    out, replaced, lost = [], 0, 0
    for char in kept:
        printed = _printed(char, encoding)
        out.append("?" if printed is None else printed)
        if printed != char and not _is_made_plain(char):
            replaced += 1
            lost += printed is None
    return Printable(text="".join(out), replaced=replaced, lost=lost)


@lru_cache(maxsize=4_096)  # of letters, not of words: what a slip says is not kept
def _printed(char: str, encoding: str | None) -> str | None:
    """What stands on the page for a character; none where we know nothing."""
    if char in _ALWAYS:
        return _first_held(_INSTEAD[char], encoding)
    if unicodedata.category(char) == "Zs":
        return NO_BREAK if char == NO_BREAK else " "
    return char if char == "\n" or _holds(char, encoding) else _latin(char, encoding)


def _is_made_plain(char: str) -> bool:
    return char in _ALWAYS or unicodedata.category(char) == "Zs"


@lru_cache(maxsize=4_096)
def _is_dropped(char: str) -> bool:
    if char == "\n":
        return False
    kind = unicodedata.category(char)
    # Cf: soft hyphen, joiners, direction marks. Me, Mn from FE00: keycaps and variation selectors. So: pictures.
    if kind in ("Cc", "Cf", "Cs", "Co", "Cn", "Me"):
        return True
    return (kind in ("So", "Sk") and ord(char) >= 0x2300) or 0xFE00 <= ord(char) <= 0xFE0F


def _holds(text: str, encoding: str | None) -> bool:
    if encoding is None:
        return True
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _first_held(candidates: tuple[str, ...], encoding: str | None) -> str:
    return next((other for other in candidates if _holds(other, encoding)), candidates[-1])


def _latin(char: str, encoding: str | None) -> str | None:
    """What to print for a letter that the page lacks; none where we know nothing."""
    if char in _INSTEAD:
        return _first_held(_INSTEAD[char], encoding)
    if unicodedata.category(char) == "Mn":
        return ""
    lower = char.lower()
    if lower in _CYRILLIC:
        other = _CYRILLIC[lower].replace("-", "")
        return other if char == lower else other.capitalize()
    base = "".join(part for part in unicodedata.normalize("NFKD", char) if unicodedata.category(part) != "Mn")
    return base if base and base != char and _holds(base, encoding) else None
