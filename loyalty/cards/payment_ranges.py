"""Is there a payment card in a text? The schemes' number ranges, and the search for them.

Source: the issuer number ranges that the schemes publish, ISO/IEC 7812 and 7813. The table is only ever used to say
"go away", so it is generous: where two lists differ, the wider one stands.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from loyalty.cards.check_digits import gs1_digit, luhn_digit


class PaymentRange(NamedTuple):
    """Numbers whose first digits lie in `low`..`high` (same width, inclusive) and that have one of `lengths`.

    `holds_goods`: the block also holds whole countries' article numbers (50 GB, 57 DK, 64 FI, 69 CN, UPC 6…), so
    that a 12 or 13 digit number with a right GS1 check digit is goods, not a payment card.
    """

    scheme: str
    low: str
    high: str
    lengths: frozenset[int]
    holds_goods: bool = False


def _rows(
    scheme: str, blocks: str, lengths: range | tuple[int, ...], *, holds_goods: bool = False
) -> list[PaymentRange]:
    rows = []
    for block in blocks.split():
        low, _, high = block.partition("-")
        rows.append(PaymentRange(scheme, low, high or low, frozenset(lengths), holds_goods))
    return rows


PAYMENT_RANGES: tuple[PaymentRange, ...] = (
    *_rows("Visa", "4", (13, 16, 19)),
    *_rows("Mastercard", "51-55 2221-2720", (16,)),
    *_rows("American Express", "34 37", (15,)),
    *_rows("Discover", "6011 644-649 65", range(16, 20)),
    *_rows("Diners Club", "300-305 309 36 38-39", range(14, 20)),
    *_rows("JCB", "3528-3589", range(16, 20)),
    *_rows("UnionPay", "62", range(16, 20)),
    *_rows("Mir", "2200-2204", range(16, 20)),
    *_rows("BORICA", "2205", (16,)),
    *_rows("RuPay", "60 65 81-82 508", (16,)),
    *_rows("Troy", "9792", (16,)),
    *_rows("Uzcard", "8600", (16,)),
    *_rows("Humo", "9860", (16,)),
    *_rows("Napas", "9704", (16, 19)),
    *_rows("Elo", "636368 636297 627780 504175 506699-506778 509000-509999", (16,)),
    *_rows("Hipercard", "606282 637095 637568 637599 637609 637612", (16, 19)),
    *_rows("Maestro", "50 56-58 6", range(12, 20), holds_goods=True),
)


_RUN = re.compile(r"[0-9]+(?:[ -][0-9]+)*")
_TRACK = re.compile(
    r"(?<![0-9])(?:([0-9]{12,19})[=D]|([0-9]{12,19})\^[^^]{2,26}\^)[0-9]{2}(?:0[1-9]|1[0-2])[0-9]{3}"
)
# The format code, 01 or 02, stands before the number and would hide it in a longer run of digits.
_THIRD_TRACK = re.compile(r"(?<![0-9])0[12]([0-9]{12,19})=")
_LICENSERS = ("636", "6044")  # driving licences, whose second track is built like a payment card's


def holds_payment(text: str) -> bool:
    """Is there a payment card number anywhere in `text`, or a track that is built like a payment card's?

    A number is a maximal run of 12 to 19 digits, single spaces or hyphens between them, in a known range with a
    right Luhn digit. On a track (number, expiry date, service code) one of the two will do: a digit may be misread.

    Source: devices-and-receipts.md A8, ISO/IEC 7813 tracks 1 and 2, ISO/IEC 4909 track 3.
    """
    if any(is_payment_number(number) for run in _RUN.finditer(text) for number in _joined(run[0])):
        return True
    if any(is_payment_number(match[1]) for match in _THIRD_TRACK.finditer(text)):
        return True
    return any(_may_be_payment(match[1] or match[2]) for match in _TRACK.finditer(text))


def is_payment_number(text: str) -> bool:
    """Is the whole of `text` a number that a payment scheme could have issued?"""
    row = _range_of(text) if re.fullmatch(r"[0-9]{12,19}", text) else None
    if row is None or luhn_digit(text[:-1]) != text[-1]:
        return False
    is_goods = row.holds_goods and len(text) in (12, 13) and gs1_digit(text[:-1]) == text[-1]
    return not is_goods


def ranges_meeting(prefix: str, length: int) -> tuple[PaymentRange, ...]:
    """Every payment range that shares a number with "starts with `prefix`, has `length` digits"."""
    met = []
    for row in PAYMENT_RANGES:
        width = min(len(prefix), len(row.low))
        if length in row.lengths and row.low[:width] <= prefix[:width] <= row.high[:width]:
            met.append(row)
    return tuple(met)


def _may_be_payment(number: str) -> bool:
    """Whether the number of a payment track is one that a scheme issued, or one that was read from such a one."""
    if luhn_digit(number[:-1]) == number[-1]:
        return True
    return _range_of(number) is not None and not number.startswith(_LICENSERS)


def _range_of(digits: str) -> PaymentRange | None:
    for row in PAYMENT_RANGES:
        if len(digits) in row.lengths and row.low <= digits[: len(row.low)] <= row.high:
            return row
    return None


def _joined(run: str) -> Iterator[str]:
    """Every 12 to 19 digit number that whole neighbouring groups make: a date before a number must not hide it."""
    groups = re.split("[ -]", run)
    for start in range(len(groups)):
        number = ""
        for group in groups[start:]:
            number += group
            if len(number) > 19:
                break
            if len(number) >= 12:
                yield number
