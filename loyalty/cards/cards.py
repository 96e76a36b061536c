"""What a reader sent: our card, a code, a payment card.

Default is "not a card": only numbers in a configured range are ours. A payment card leaves nothing behind, not even
a hash or its last digits. A code (goods, coupon, anything else) goes back to the POS as it came.
"""

import hmac
from collections.abc import Iterator
from typing import ClassVar, Literal

import msgspec

from loyalty.cards.card_rules import Assurance as Assurance
from loyalty.cards.card_rules import CardKind as CardKind
from loyalty.cards.card_rules import CardRangeIsPayment as CardRangeIsPayment
from loyalty.cards.card_rules import CardRangeMalformed as CardRangeMalformed
from loyalty.cards.card_rules import CardRangesOverlap as CardRangesOverlap
from loyalty.cards.card_rules import CardRule as CardRule
from loyalty.cards.card_rules import CardRules as CardRules
from loyalty.cards.carriers import Source as Source
from loyalty.cards.carriers import (
    candidates,
    is_article,
    is_still_code,
    is_unread_swipe,
    without_licence,
    without_mod43,
)
from loyalty.cards.carriers import split_aim as split_aim
from loyalty.cards.check_digits import gs1_digit as gs1_digit
from loyalty.cards.check_digits import luhn_digit as luhn_digit
from loyalty.cards.gsrn import GS1_CARRIERS
from loyalty.cards.payment_ranges import holds_payment, is_payment_number
from loyalty.cards.phones import read_phone
from loyalty.cards.wallet_codes import WalletCheck as WalletCheck
from loyalty.cards.wallet_codes import read_rotating, read_signed
from loyalty.trouble import InvariantBroken

Reason = Literal[
    "check_digit", "swipe_failed", "empty", "phone_length", "static_code", "random_uid", "tag_checksum",
    "tag_malformed", "token_expired", "token_future", "token_invalid", "token_replayed", "token_no_clock",
]  # fmt: skip

_NO_CHECK_DIGIT = ("uid", "printed")
_NEXT_CODE = "Wait for the next code on the phone and scan that, or type the card's number."
SENTENCES: dict[Reason, str] = {
    "check_digit": "The card number has a wrong digit. Scan the card again or check what was typed.",
    "swipe_failed": "The stripe could not be read. Swipe again or type the number.",
    "empty": "Nothing could be read. Scan the card again or type its number.",
    "phone_length": "This phone number is too short or too long. Check what was typed.",
    "static_code": "This code is a picture. Ask for the moving code of the app, or for the card.",
    "random_uid": "This is a phone, not a loyalty tag. Scan the code in its app, or type the card's number.",
    "tag_checksum": "The tag was not read well. Hold it to the reader again.",
    "tag_malformed": "The tag was not read well. Hold it to the reader again.",
    "token_expired": f"This code is too old. {_NEXT_CODE}",
    "token_future": f"This code is from a clock that runs ahead. Check the clocks of phone and till. {_NEXT_CODE}",
    "token_invalid": f"This code is not genuine. {_NEXT_CODE}",
    "token_replayed": f"This code was used here already. {_NEXT_CODE}",
    "token_no_clock": "Moving codes cannot be checked here. Scan the card or type its number.",
}


class Card(msgspec.Struct, frozen=True, kw_only=True, tag="card"):
    """A card of the programme. `number` is normalised (UPC-A to 13 digits); it must become a token before any disk.

    Attributes:
        last4: to be shown; "" for a phone number, of which nothing is shown.
        assurance: how it was shown, which decides how many points may be spent on it.
        alias: the decimal that is printed on a tag, by which people look for it: the number of a `printed` card.
        once: stands for a moving or signed code, which is good once; "" for anything else. Not a secret.
    """

    kind: CardKind
    number: str
    last4: str
    assurance: Assurance = "number"
    alias: str = ""
    once: str = ""

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
    """Meant for us, but not to be taken; `say` is for the cashier."""

    reason: Reason
    say: str


class PaymentCard(msgspec.Struct, frozen=True, kw_only=True, tag="payment_card"):
    """A payment card by mistake. It has no fields on purpose: nothing of the number is kept (PCI DSS 3)."""

    say: ClassVar[str] = "This is a payment card. Use the payment terminal for it, and scan the loyalty card here."


Outcome = Card | Code | Rejected | PaymentCard


def read_card(
    rules: CardRules,
    text: str,
    *,
    aim: str | None = None,
    source: Source = "scan",
    wallet: WalletCheck | None = None,
) -> Outcome:
    """Say what a scan, swipe or typed number is.

    Args:
        rules: the programme's own ranges.
        text: what was read, without prefix and suffix; an AIM id in front is understood when `aim` is not given.
        aim: the carrier as the scanner reports it, such as `]E0`; None when it sends none or the number was typed.
        source: what sent it; only what was typed is read as a phone number without + or as a tag's printed number.
        wallet: time and key for codes on phones; without it such a code is rejected as `token_no_clock`.
    Returns:
        Card, Rejected (in one of our ranges with a wrong check digit), PaymentCard, else Code. Our ranges come
        first, then payment numbers anywhere in the text, then the structure of a payment track, then phone numbers.
    Source: devices-and-receipts.md A1-A8.
    """
    if aim is None and source == "scan":
        aim, text = split_aim(text)
    body = text.strip()
    if not body:
        return rejected("empty")
    if (ours := _read_ours(rules, body, aim, source)) is not None:
        return ours
    if source == "tag":
        return Code(text=text, aim=aim)  # hex digits of a tag are nobody's payment card
    if (shown := _read_wallet(rules, body, wallet)) is not None:
        return shown
    phone = _read_phone(rules, body, source) if aim is None else None
    if not _is_home_number(rules, phone) and (_shows_payment(body, aim) or _is_payment_behind_00(phone)):
        return PaymentCard()
    if is_unread_swipe(body):
        return rejected("swipe_failed")
    return phone or Code(text=text, aim=aim)


def rejected(reason: Reason) -> Rejected:
    """A rejection with its sentence."""
    return Rejected(reason=reason, say=SENTENCES[reason])


def shows_payment(text: str) -> bool:
    """Is a payment card in a text that says nothing else, such as a message cut short?"""
    return holds_payment(without_licence(text))


def typed_number(card: Card) -> str:
    """The digits by which a card is typed, or sent without a carrier: those of a GSRN alone are nobody's card."""
    return f"8018{card.number}" if card.kind == "gsrn" else card.number


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
    return hmac.digest(key, message, "sha256")[:16].hex()


def has_wallet_codes(rules: CardRules) -> bool:
    """Whether a programme has moving or signed codes at all."""
    return rules.wallet.rotating is not None or bool(rules.wallet.app_keys)


def is_wallet_code(rules: CardRules, text: str) -> bool:
    """Is this a moving or signed code, good or not?"""
    return has_wallet_codes(rules) and _read_wallet(rules, split_aim(text)[1].strip(), None) is not None


def once_of(key: bytes, text: str) -> str:
    """What stands for a moving or signed code, so that it is good once: 32 hex digits."""
    return hmac.digest(key, split_aim(text)[1].strip().encode("utf-8"), "sha256")[:16].hex()


def _read_ours(rules: CardRules, body: str, aim: str | None, source: Source) -> Card | Rejected | None:
    refused = None
    plain, is_whole = without_mod43(body, aim)
    for kinds, number in candidates(plain, aim, source):
        rule = next((r for r in rules.ranges if r.kind in kinds and r.holds(number)), None)
        if rule is None:
            continue
        if is_whole and _is_checked(rule.kind, number):
            return _as_shown(rules, rule.kind, number, body, aim, source)
        refused = rejected("check_digit")
    return refused


def _is_checked(kind: CardKind, number: str) -> bool:
    if kind in _NO_CHECK_DIGIT:
        return True
    check_digit = luhn_digit if kind == "luhn" else gs1_digit
    return check_digit(number[:-1]) == number[-1]


def _as_shown(
    rules: CardRules, kind: CardKind, number: str, body: str, aim: str | None, source: Source
) -> Card | Rejected:
    assurance: Assurance = "number"
    if kind in _NO_CHECK_DIGIT:
        assurance = "uid"
    elif source == "vas":
        assurance = "vas"
    elif source == "scan" and is_still_code(body, aim) and rules.wallet.static_allowed != "all":
        if rules.wallet.static_allowed == "none":
            return rejected("static_code")
        assurance = "static"
    return Card(kind=kind, number=number, last4=number[-4:], assurance=assurance)


def _read_wallet(rules: CardRules, body: str, check: WalletCheck | None) -> Card | Rejected | None:
    if not has_wallet_codes(rules):
        return None
    rotating = rules.wallet.rotating
    # Without time and key a code is only recognised, never believed.
    given = check or WalletCheck(0, b"")
    assurance: Assurance = "rotating"
    read = read_rotating(rotating, body, given) if rotating else None
    if read is None and rules.wallet.app_keys:
        assurance, read = "signed", read_signed(rules.wallet, body, given)
    if read is None:
        return None
    if check is None:
        return rejected("token_no_clock")
    if read.trouble is not None:
        return rejected(read.trouble)
    kind = _kind_of(rules, read.number)
    if kind is None:
        return rejected("token_invalid")
    once = once_of(check.card_key, body)
    return Card(kind=kind, number=read.number, last4=read.number[-4:], assurance=assurance, once=once)


def _kind_of(rules: CardRules, number: str) -> CardKind | None:
    """The kind of a number that stands in no carrier; None where it is in no range, or has a wrong digit."""
    for rule in rules.ranges:
        if rule.kind not in _NO_CHECK_DIGIT and rule.holds(number) and _is_checked(rule.kind, number):
            return rule.kind
    return None


def _read_phone(rules: CardRules, body: str, source: Source) -> Card | Rejected | None:
    if rules.phone is None or source not in ("scan", "keyed"):
        return None
    typed = read_phone(rules.phone, body, keyed=source == "keyed")
    if typed is None:
        return None
    if typed.number is None:
        return rejected("phone_length")
    return Card(kind=typed.kind, number=typed.number, last4="", assurance="phone")


def _is_home_number(rules: CardRules, phone: Card | Rejected | None) -> bool:
    """Is it a number of the home country, of a length that it has there? Such a one may begin like a payment card's
    (49… and 57… do) and have its check digit by chance; no payment card of more than 13 digits passes for one."""
    if rules.phone is None or not isinstance(phone, Card) or phone.kind != "phone" or len(phone.number) > 13:
        return False
    home = phone.number.removeprefix(rules.phone.country)
    return home != phone.number and len(home) in rules.phone.digits


def _is_payment_behind_00(phone: Card | Rejected | None) -> bool:
    return isinstance(phone, Card) and is_payment_number(phone.number)


def _shows_payment(body: str, aim: str | None) -> bool:
    if aim in GS1_CARRIERS:
        # Element strings run amounts and locations together (3900…, 414…); only a number on its own is suspect.
        return is_payment_number(body)
    if aim is not None and aim.startswith("]E") and is_article(body):
        return False
    return shows_payment(body)
