"""Numbers for new cards: head office grants a till a span of places, and each place is one number of the card range.

The places of a span follow each other; the numbers do not: a permutation with a key scatters them over the whole range,
so that nobody who holds a card can tell the next one's number, and two places never share one. What is granted, kept
and sent are places; the number itself exists only where the card is handed over.
Source: fraud-privacy.md 2 "Random sparse numbers"; the rounds are those of FF1 (NIST SP 800-38G) in their shape.
"""

import hmac
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from loyalty.cards.card_keys import FIRST_KEY
from loyalty.cards.card_rules import CardRule
from loyalty.cards.cards import Card
from loyalty.cards.check_digits import gs1_digit, luhn_digit
from loyalty.trouble import Refusal

LEAST_FREE_DIGITS = 6
# Of so many numbers one may be given out; EAN-13 has no room for more.
SPARSE = {"ean13": 100, "luhn": 10_000, "gsrn": 10_000}
_ROUNDS = 10


class RangeTooSmall(Refusal):
    code = "cards.range_too_small"
    status = 422


class NumberSpan(msgspec.Struct, frozen=True, kw_only=True):
    """Places `first` to `last` of a card range, for one till in one epoch.

    `span_no` counts a till's spans within its epoch; `prefix` and `digits` are the range's, as is `card_key_id`: the
    card key that scatters it.
    """

    span_no: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    till_id: str
    epoch: int
    kind: Literal["ean13", "luhn", "gsrn"]
    prefix: str
    digits: int
    first: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    last: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    granted_at_ms: int
    key_no: int = 0
    card_key_id: str = FIRST_KEY


class NumberUsed(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """The place that a card's number is of: which span of its till's epoch, which place of the range."""

    span_no: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    place: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    prefix: Annotated[str, msgspec.Meta(pattern="^[0-9]{1,17}$")]


def free_digits(rule: CardRule) -> int:
    """Digits of a range that are neither prefix nor check digit."""
    return rule.digits() - len(rule.prefix) - 1


def places_of(rule: CardRule) -> int:
    """How many numbers of a range may be given out, so that a guess hardly ever meets one.

    Raises:
        RangeTooSmall: the prefix leaves fewer than six digits.
    """
    if free_digits(rule) < LEAST_FREE_DIGITS:
        raise RangeTooSmall(
            f"The card range {rule.prefix} leaves too few digits to give numbers out; use one with a shorter prefix.",
            prefix=rule.prefix,
            free_digits=free_digits(rule),
        )
    return int(10 ** free_digits(rule)) // SPARSE[rule.kind]


def range_for_numbers(ranges: Iterable[CardRule], prefix: str) -> CardRule | None:
    """The range that numbers are given out of: the one with this prefix, or the first; none where there is none."""
    return next((rule for rule in ranges if rule.kind in SPARSE and prefix in ("", rule.prefix)), None)


def number_key(card_key: bytes) -> bytes:
    """The key that scatters places, from the programme's card key."""
    return hmac.digest(card_key, b"TP-NUMBERS1", "sha256")


def card_at(key: bytes, span: NumberSpan, place: int) -> Card:
    """The card of a place.

    Args:
        key: of `number_key`.
        place: `span.first` to `span.last`.
    """
    free = span.digits - len(span.prefix) - 1
    body = span.prefix + f"{_scatter(key, span.prefix, place, free):0{free}d}"
    number = body + (luhn_digit(body) if span.kind == "luhn" else gs1_digit(body))
    return Card(kind=span.kind, number=number, last4=number[-4:])


def _scatter(key: bytes, prefix: str, place: int, digits: int) -> int:
    """A permutation of the numbers of so many digits: halves that are added to by turns, so it can be undone."""
    low = digits // 2
    left, right = divmod(place, int(10**low))
    sizes = int(10 ** (digits - low)), int(10**low)
    for turn in range(_ROUNDS):
        told = f"{prefix}:{digits}:{turn}:{right if turn % 2 == 0 else left}".encode()
        step = int.from_bytes(hmac.digest(key, told, "sha256")[:16], "big")
        if turn % 2 == 0:
            left = (left + step) % sizes[0]
        else:
            right = (right + step) % sizes[1]
    return left * sizes[1] + right
