"""What a reader sent: our card, a code, a payment card.

Default is "not a card": only numbers in a configured range are ours. A payment card leaves nothing behind, not even
a hash or its last digits. A code (goods, coupon, anything else) goes back to the POS as it came.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator
from itertools import combinations
from typing import ClassVar, Literal

import msgspec

from loyalty.check_digits import gs1_digit as gs1_digit
from loyalty.check_digits import luhn_digit as luhn_digit
from loyalty.payment_ranges import holds_payment, is_payment_number, ranges_meeting
from loyalty.trouble import InvariantBroken, Refusal

CardKind = Literal["ean13", "luhn", "gsrn"]

_FIXED_LENGTH = {"ean13": 13, "gsrn": 18}
_GS1_CARRIERS = frozenset({"]C1", "]Q3", "]Q4", "]d2", "]e0"})
_CODE39 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-. $/+%"

_AIM = re.compile(r"\][A-Za-z][0-9A-Za-z]")
_GROUPED = re.compile(r"[0-9]+(?:[ -][0-9]+)*")
_TRACK = re.compile(r"[%;+!]B?([0-9]{8,19})(?:[=^][^?]*)?\?")
_UNREAD_TRACKS = re.compile(r"(?:[%;+]E\?\s*)+")
# AI 8018 is not of predefined length: FNC1, sent as GS, ends it. 8017 (the provider) never stands beside it.
_GSRN_ELEMENT = re.compile(r"8018([0-9]{18})(?:\x1d(?!8017)[0-9]{2}[^\x1d]*)*")
_GSRN_LINK = re.compile(
    r"https?://[^/?#\s]+(?:/[^/?#\s]+)*?/8018/([0-9]{18})(?:/8019/[0-9]{1,10})?(?:[?#]\S*)?", re.IGNORECASE
)


class CardRangeMalformed(Refusal):
    code = "cards.range_malformed"
    status = 422


class CardRangesOverlap(Refusal):
    code = "cards.ranges_overlap"
    status = 422


class CardRangeIsPayment(Refusal):
    code = "cards.range_is_payment"
    status = 422


class CardRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One range of the programme's own card numbers.

    `ean13`: GS1 check digit, 13 digits, `prefix` of 2 to 11 as the 13-digit form has it (a UPC-A starts with 0).
    `luhn`: ISO/IEC 7812 number, `prefix` is the IIN, `length` the exact number of digits, 8 to 19.
    `gsrn`: GS1 AI 8018, 18 digits, `prefix` is the GS1 company prefix of 4 to 12.
    """

    kind: CardKind
    prefix: str
    length: int | None = None

    def digits(self) -> int:
        """How many digits a number of this range has."""
        return _FIXED_LENGTH.get(self.kind, self.length or 0)

    def holds(self, number: str) -> bool:
        """Is this 13, 18 or `length` digit number in the range? The check digit is not looked at."""
        return len(number) == self.digits() and number.startswith(self.prefix)


class CardRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ranges of a programme. None by default, so that no code is taken for a card unless somebody said so.

    Raises (when made or decoded):
        CardRangeMalformed, CardRangesOverlap, CardRangeIsPayment
    """

    ranges: tuple[CardRule, ...] = ()

    def __post_init__(self) -> None:
        for rule in self.ranges:
            _check_shape(rule)
            _check_not_payment(rule)
        for one, other in combinations(self.ranges, 2):
            _check_apart(one, other)


class Card(msgspec.Struct, frozen=True, kw_only=True, tag="card"):
    """A card of the programme. `number` is normalised (UPC-A to 13 digits); it must become a token before any disk."""

    kind: CardKind
    number: str
    last4: str

    def __repr__(self) -> str:
        return f"Card({self.kind} …{self.last4})"

    def __rich_repr__(self) -> Iterator[str]:  # type: ignore[override]
        yield f"{self.kind} …{self.last4}"


class Code(msgspec.Struct, frozen=True, kw_only=True, tag="code"):
    """Not ours: goods, a coupon, a licence. `text` goes back to the POS untouched, without the AIM id in `aim`.

    Its repr shows no text either: what was read may be somebody else's card.
    """

    text: str
    aim: str | None = None

    def __repr__(self) -> str:
        return f"Code({len(self.text)} characters, {self.aim})"

    def __rich_repr__(self) -> Iterator[str]:  # type: ignore[override]
        yield f"{len(self.text)} characters, {self.aim}"


class Rejected(msgspec.Struct, frozen=True, kw_only=True, tag="rejected"):
    """Meant for us, but not readable: `reason` is check_digit, swipe_failed or empty; `say` is for the cashier."""

    reason: Literal["check_digit", "swipe_failed", "empty"]
    say: str


class PaymentCard(msgspec.Struct, frozen=True, kw_only=True, tag="payment_card"):
    """A payment card by mistake. It has no fields on purpose: nothing of the number is kept (PCI DSS 3)."""

    say: ClassVar[str] = "This is a payment card. Use the payment terminal for it, and scan the loyalty card here."


Outcome = Card | Code | Rejected | PaymentCard


def read_card(rules: CardRules, text: str, *, aim: str | None = None) -> Outcome:
    """Say what a scan, swipe or typed number is.

    Args:
        rules: the programme's own ranges.
        text: what was read, without prefix and suffix; an AIM id in front is understood when `aim` is not given.
        aim: the carrier as the scanner reports it, such as `]E0`; None when it sends none or the number was typed.
    Returns:
        Card, Rejected (in one of our ranges with a wrong check digit), PaymentCard, else Code. Our ranges come
        first, then payment numbers anywhere in the text, then the structure of a payment track.
    Source: devices-and-receipts.md A1-A4, A8.
    """
    if aim is None:
        aim, text = split_aim(text)
    body = _body(text, aim)
    if not body:
        return Rejected(reason="empty", say="Nothing could be read. Scan the card again or type its number.")
    if ours := _read_ours(rules, body, aim):
        return ours
    if _shows_payment(body, aim):
        return PaymentCard()
    if _UNREAD_TRACKS.fullmatch(body):
        return Rejected(reason="swipe_failed", say="The stripe could not be read. Swipe again or type the number.")
    return Code(text=text, aim=aim)


def split_aim(text: str) -> tuple[str | None, str]:
    """`]E04006381333931` → (`]E0`, `4006381333931`); (None, text) where no AIM id stands in front.

    Source: ISO/IEC 15424.
    """
    match = _AIM.match(text)
    return (match[0], text[3:]) if match else (None, text)


def card_token(key: bytes, card: Card) -> str:
    """What stands for a card number on disk and on the wire: 32 hex digits.

    The first 16 bytes of HMAC-SHA-256(key, kind ‖ 0x00 ‖ normalised number), both in ASCII. Neither part can hold
    a zero byte, so no two cards share a message.

    Args:
        key: the programme's card key, at least 16 bytes; a short one could be guessed together with the number.
    Source: fraud-privacy.md 2.
    """
    if len(key) < 16:
        raise InvariantBroken("the card key is too short; give at least 16 random bytes", key_bytes=len(key))
    message = f"{card.kind}\0{card.number}".encode("ascii")
    return hmac.new(key, message, hashlib.sha256).digest()[:16].hex()


def _check_shape(rule: CardRule) -> None:
    shortest = 4 if rule.kind == "gsrn" else 2
    longest = 12 if rule.kind == "gsrn" else rule.digits() - 2
    fixed = _FIXED_LENGTH.get(rule.kind)
    figures = {"kind": rule.kind, "prefix": rule.prefix, "length": rule.length}
    if fixed is not None and rule.length not in (None, fixed):
        raise CardRangeMalformed(f"A {rule.kind} card has {fixed} digits; leave the length out.", **figures)
    if not 8 <= rule.digits() <= 19:
        raise CardRangeMalformed("Say how many digits the card number has, from 8 to 19.", **figures)
    if not re.fullmatch(r"[0-9]+", rule.prefix) or not shortest <= len(rule.prefix) <= longest:
        raise CardRangeMalformed(
            f"The prefix of this card range must be {shortest} to {longest} digits, in quotes.", **figures
        )


def _check_not_payment(rule: CardRule) -> None:
    if rule.kind == "gsrn":
        return  # its application identifier tells it from any payment card
    met = ranges_meeting(rule.prefix, rule.digits())
    if rule.kind == "ean13":
        met = tuple(row for row in met if not row.holds_goods)
    if met:
        raise CardRangeIsPayment(
            f"Card range {rule.prefix} lies in the payment range of {met[0].scheme}. Use a prefix of your own, "
            "for EAN-13 cards one of 02, 04 or 20-29.",
            kind=rule.kind, prefix=rule.prefix, length=rule.digits(), scheme=met[0].scheme,
        )


def _check_apart(one: CardRule, other: CardRule) -> None:
    # A 12-digit number is also a UPC-A, so there it meets the EAN-13 range with a 0 in front.
    spaces = [(r.kind == "gsrn", r.digits(), r.prefix) for r in (one, other)]
    if {one.kind, other.kind} == {"ean13", "luhn"}:
        spaces = [(False, 13, "0" + p) if n == 12 else (g, n, p) for g, n, p in spaces]
    (gsrn, digits, a), (other_gsrn, other_digits, b) = spaces
    if gsrn == other_gsrn and digits == other_digits and (a.startswith(b) or b.startswith(a)):
        raise CardRangesOverlap(
            f"Card ranges {one.prefix} and {other.prefix} share numbers. Make one of the prefixes longer.",
            one=one.prefix, other=other.prefix,
        )


def _body(text: str, aim: str | None) -> str:
    body = text.strip()
    # Code 39 with its mod-43 character sent along: without it off, one card would have two numbers.
    if aim in ("]A1", "]A5") and len(body) > 1 and all(c in _CODE39 for c in body):
        *symbols, check = (_CODE39.index(c) for c in body)
        if sum(symbols) % 43 == check:
            return body[:-1]
    return body


def _read_ours(rules: CardRules, body: str, aim: str | None) -> Card | Rejected | None:
    refused = None
    for kinds, number in _candidates(body, aim):
        rule = next((r for r in rules.ranges if r.kind in kinds and r.holds(number)), None)
        if rule is None:
            continue
        check_digit = luhn_digit if rule.kind == "luhn" else gs1_digit
        if check_digit(number[:-1]) == number[-1]:
            return Card(kind=rule.kind, number=number, last4=number[-4:])
        refused = Rejected(
            reason="check_digit", say="The card number has a wrong digit. Scan the card again or check what was typed."
        )
    return refused


def _candidates(body: str, aim: str | None) -> Iterator[tuple[tuple[CardKind, ...], str]]:
    """The numbers that could be ours, each with the kinds its carrier allows."""
    if (aim is None or aim in _GS1_CARRIERS) and (match := _GSRN_ELEMENT.fullmatch(body)):
        yield ("gsrn",), match[1]
    elif aim in _GS1_CARRIERS:
        return
    elif match := _GSRN_LINK.fullmatch(body):
        yield ("gsrn",), match[1]
    elif aim is not None and aim.startswith("]E"):
        if re.fullmatch(r"[0-9]{12,13}", body):
            yield ("ean13",), body.zfill(13)
    elif _GROUPED.fullmatch(body):
        number = re.sub("[ -]", "", body)
        yield ("luhn", "ean13"), number
        if aim is None and len(number) == 12:
            yield ("ean13",), "0" + number
    else:
        for track in _TRACK.finditer(body):
            yield ("luhn", "ean13"), track[1]


def _shows_payment(body: str, aim: str | None) -> bool:
    if aim in _GS1_CARRIERS:
        # Element strings run amounts and locations together (3900…, 414…); only a number on its own is suspect.
        return is_payment_number(body)
    if aim is not None and aim.startswith("]E") and _is_article(body):
        return False
    return holds_payment(body)


def _is_article(body: str) -> bool:
    """An EAN-13 or UPC-A with a right check digit, alone or before its add-on of 2 or 5 digits."""
    match = re.fullmatch(r"([0-9]{13}|[0-9]{12})(?:[0-9]{2}|[0-9]{5}|\]E[0-9][0-9]{2,5})?", body)
    return match is not None and gs1_digit(match[1][:-1]) == match[1][-1]
