"""From what a carrier says to the numbers that could be ours, each with the kinds that its carrier allows.

Source: devices-and-receipts.md A1-A4; ISO/IEC 15424 (AIM ids), ISO/IEC 16388 annex A (Code 39, modulo 43),
ISO/IEC 7811 and 7813 (tracks).
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from loyalty.cards.card_rules import UID_LENGTHS, CardKind
from loyalty.cards.check_digits import gs1_digit
from loyalty.cards.gsrn import GS1_CARRIERS, gsrn_of

Source = Literal["scan", "keyed", "stripe", "tag", "vas"]
"""What sent it: a scanner (or nobody knows), a keyboard, a stripe reader, an RFID reader, a certified NFC reader."""

_AIM = re.compile(r"\][A-Za-z][0-9A-Za-z]")
_CODE39 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-. $/+%"
_CODABAR = re.compile(r"[A-Da-d]([0-9]+)[A-Da-d]")
_GROUPED = re.compile(r"[0-9]+(?:[ -][0-9]+)*")
_HEX = re.compile(r"[0-9A-Fa-f]+")
# Track 3 may begin with any of four characters; between tracks stand line ends, or nothing.
_TRACK = re.compile(r"[%;+!]B?([0-9]{8,19})(?:[=^][^?]*)?\?")
_UNREAD_TRACKS = re.compile(r"(?:[%;+!]E\?\s*)+")
# A driving licence (AAMVA DL/ID card design, annex F): state and city, name, address; then an issuer's number.
_LICENCE = re.compile(r"%[A-Z]{2}[^^?]*\^[^?]*\?\s*;(?:636[0-9]{3}|6044[0-9]{2})[0-9]{1,13}=[0-9]*[^?]*\??")
_ARTICLE = re.compile(r"([0-9]{13}|[0-9]{12})(?:[0-9]{2}|[0-9]{5}|\]E[0-9][0-9]{2,5})?")
_STILL_CODES = frozenset("QLzd")  # QR, PDF417, Aztec, Data Matrix: what a phone shows


class Candidate(NamedTuple):
    """A number that one of `kinds` may have."""

    kinds: tuple[CardKind, ...]
    number: str


def split_aim(text: str) -> tuple[str | None, str]:
    """`]E04006381333931` → (`]E0`, `4006381333931`); (None, text) where no AIM id stands in front.

    Source: ISO/IEC 15424.
    """
    match = _AIM.match(text)
    return (match[0], text[3:]) if match else (None, text)


def without_mod43(body: str, aim: str | None) -> tuple[str, bool]:
    """Code 39 that was sent with its check character: the text without it, and whether it was right.

    Left on, one card would have two numbers: `]A1` sends the character, `]A3` does not.
    """
    if aim not in ("]A1", "]A5") or len(body) < 2 or not all(c in _CODE39 for c in body):
        return body, True
    *symbols, check = (_CODE39.index(c) for c in body)
    return body[:-1], sum(symbols) % 43 == check


def candidates(body: str, aim: str | None, source: Source) -> Iterator[Candidate]:
    """The numbers that could be ours, likeliest first."""
    if source == "tag":
        if _HEX.fullmatch(body) and len(body) in UID_LENGTHS:
            yield Candidate(("uid",), body.upper())
        return
    if aim is not None and aim.startswith("]F") and (bars := _CODABAR.fullmatch(body)):
        body = bars[1]  # most scanners send the start and stop characters, some are set to leave them out
    if aim is None and _GROUPED.fullmatch(body):
        body = re.sub("[ -]", "", body)  # typed as printed
    if (gsrn := gsrn_of(body, aim)) is not None:
        yield Candidate(("gsrn",), gsrn)
    elif aim in GS1_CARRIERS:
        return
    elif aim is not None and aim.startswith("]E"):
        if re.fullmatch(r"[0-9]{12,13}", body):
            yield Candidate(("ean13",), body.zfill(13))
    elif _GROUPED.fullmatch(body):
        number = re.sub("[ -]", "", body)
        yield Candidate(("luhn", "ean13"), number)
        if aim is None and len(number) == 12:
            yield Candidate(("ean13",), "0" + number)
    else:
        for track in _TRACK.finditer(body):
            yield Candidate(("luhn", "ean13"), track[1])
    if source == "keyed":
        yield from _typed_tag(body)


def is_unread_swipe(body: str) -> bool:
    """Are these tracks of which none could be read?"""
    return _UNREAD_TRACKS.fullmatch(body) is not None


def without_licence(body: str) -> str:
    """The text without a driving licence's tracks: its number looks like a payment card's, one time in ten."""
    return _LICENCE.sub("", body)


def is_article(body: str) -> bool:
    """An EAN-13 or UPC-A with a right check digit, alone or before its add-on of 2 or 5 digits."""
    match = _ARTICLE.fullmatch(body)
    return match is not None and gs1_digit(match[1][:-1]) == match[1][-1]


def is_still_code(body: str, aim: str | None) -> bool:
    """Is this a two-dimensional code, which a phone shows? Without an AIM id only a link tells."""
    if aim is None:
        return body[:4].lower() == "http"
    return aim[1] in _STILL_CODES


def _typed_tag(body: str) -> Iterator[Candidate]:
    """A tag's printed decimal or its hex digits, typed as they stand on it."""
    digits = re.sub(r"[ :,-]", "", body)
    if re.fullmatch(r"[0-9]{10}", digits):
        yield Candidate(("printed",), digits)
    # Fourteen or twenty decimal digits may hold a payment card's number; an id of seven bytes mostly has letters.
    is_long_number = digits.isdecimal() and len(digits) > 10
    if _HEX.fullmatch(digits) and len(digits) in UID_LENGTHS and not is_long_number:
        yield Candidate(("uid",), digits.upper())
