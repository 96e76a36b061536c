"""Which numbers are cards of the programme, and how far each way of showing one is trusted.

Nothing is a card by default: article numbers, coupons and licences look like card numbers, and only whoever issues the
cards knows their ranges. A range inside a payment scheme's is refused when the programme is read, not at the till.
"""

import re
from itertools import combinations
from typing import Annotated, Literal

import msgspec

from loyalty.cards.payment_ranges import ranges_meeting
from loyalty.trouble import Refusal

CardKind = Literal["ean13", "luhn", "gsrn", "uid", "printed", "phone", "short"]
RangeKind = Literal["ean13", "luhn", "gsrn", "uid", "printed"]
Assurance = Literal["number", "uid", "phone", "static", "rotating", "signed", "vas"]
"""How a card was shown: its number (printed, typed, as a barcode), a tag, a phone number, a still picture of a code, a
moving code, an app's signed code, or an answer of a certified NFC reader."""

FIXED_LENGTH = {"ean13": 13, "gsrn": 18, "printed": 10}
UID_LENGTHS = (8, 10, 14, 20)  # hex digits: 4, 7 and 10 byte UIDs, and the 5 bytes of 125 kHz tags
LONGEST_E164 = 15

Count = Annotated[int, msgspec.Meta(ge=0)]


class CardRangeMalformed(Refusal):
    code = "cards.range_malformed"
    status = 422


class CardRangesOverlap(Refusal):
    code = "cards.ranges_overlap"
    status = 422


class CardRangeIsPayment(Refusal):
    code = "cards.range_is_payment"
    status = 422


class PhoneRuleMalformed(Refusal):
    code = "cards.phone_malformed"
    status = 422


class WalletRuleMalformed(Refusal):
    code = "cards.wallet_malformed"
    status = 422


class CardRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One range of the programme's own card numbers.

    `ean13`: GS1 check digit, 13 digits, `prefix` of 2 to 11 as the 13-digit form has it (a UPC-A starts with 0).
    `luhn`: ISO/IEC 7812 number, `prefix` is the IIN, `length` the exact number of digits, 8 to 19.
    `gsrn`: GS1 AI 8018, 18 digits, `prefix` is the GS1 company prefix of 4 to 12.
    `uid`: an RFID tag, `length` hex digits (8, 10, 14 or 20), `prefix` of 0 to 8 of them in capitals.
    `printed`: the 10-digit decimal that is printed on such a tag, `prefix` of 0 to 8; it has no check digit.
    """

    kind: RangeKind
    prefix: str
    length: int | None = None

    def digits(self) -> int:
        """How many digits a number of this range has."""
        return FIXED_LENGTH.get(self.kind, self.length or 0)

    def holds(self, number: str) -> bool:
        """Is this 13, 18 or `length` digit number in the range? The check digit is not looked at."""
        return len(number) == self.digits() and number.startswith(self.prefix)


class PhoneRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Phone numbers that stand for cards, as they are typed at the till.

    Attributes:
        country: calling code of numbers typed without one, such as `48`.
        digits: how many digits a number of that country may have without calling code and trunk digit.
        trunk: what is dialled before a number within the country, such as `0`; "" for nothing.
        short_digits: length of the codes that the app shows to be typed; 0 for none.
        lookups: how many such numbers a till looks up within ten minutes.
        most_points: most points a sale may spend on the word of a phone number or short code; none for no limit.
    Source: ITU-T E.164; devices-and-receipts.md A7.
    """

    country: str
    digits: tuple[int, ...]
    trunk: str = ""
    short_digits: Annotated[int, msgspec.Meta(ge=0, le=10)] = 0
    lookups: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 20
    most_points: Count | None = 0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[1-9][0-9]{0,2}", self.country):
            raise PhoneRuleMalformed(
                "country is a calling code of 1 to 3 digits in quotes, such as '48'.", country=self.country
            )
        if not self.digits or not all(4 <= n <= LONGEST_E164 - len(self.country) for n in self.digits):
            raise PhoneRuleMalformed(
                f"digits says how long a phone number is without its calling code, 4 to "
                f"{LONGEST_E164 - len(self.country)}, such as [9].",
                country=self.country,
            )
        if not re.fullmatch(r"[0-9]{0,2}", self.trunk):
            raise PhoneRuleMalformed(
                "trunk is the digit dialled before a number at home, such as '0'.", trunk=self.trunk
            )
        if self.short_digits in {n + extra for n in self.digits for extra in (0, len(self.trunk))}:
            raise PhoneRuleMalformed(
                "Codes of the app and phone numbers must differ in length; change short_digits.",
                short_digits=self.short_digits,
            )


class AppKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A public key by which codes of the app are known: its number, and 64 hex digits (Ed25519)."""

    key_no: Annotated[int, msgspec.Meta(ge=0, le=255)]
    public_key: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class RotatingRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Codes that change by the clock: Google's rotating barcode, or an app that does the same.

    Attributes:
        pattern: the code's text, with `{card}` and `{totp_value_0}` once each, and any of `{key}` (the number of the
            group key), `{totp_timestamp_seconds}` and `{totp_timestamp_millis}`.
        digits: of the changing value, 6 to 8; period_ms: how long one stands.
        group_keys: numbers of the group keys in force, newest first; an old one is left out to end it.
    Source: Google Wallet `RotatingBarcode`, RFC 6238 (TOTP_SHA1).
    """

    pattern: str
    digits: Annotated[int, msgspec.Meta(ge=6, le=8)] = 8
    period_ms: Annotated[int, msgspec.Meta(ge=1000, le=600_000)] = 30_000
    group_keys: tuple[Annotated[int, msgspec.Meta(ge=0, le=9999)], ...] = (1,)

    def __post_init__(self) -> None:
        holes = re.findall(r"\{([^{}]*)\}", self.pattern)
        allowed = {"card", "key", "totp_value_0", "totp_timestamp_seconds", "totp_timestamp_millis"}
        if not {"card", "totp_value_0"} <= set(holes) <= allowed or len(holes) != len(set(holes)):
            raise WalletRuleMalformed(
                "pattern holds {card} and {totp_value_0} once each, such as "
                "TPW-{card}-{totp_timestamp_seconds}-{totp_value_0}.",
                pattern=self.pattern,
            )
        if re.search(r"\}\{", self.pattern) or not re.match(r"[^{}0-9]", self.pattern):
            # Two numbers that touch could be parted in two ways, and a leading digit could be any article number.
            raise WalletRuleMalformed(
                "pattern begins with a letter and has a sign between its numbers.", pattern=self.pattern
            )
        if not 1 <= len(self.group_keys) <= 4:
            raise WalletRuleMalformed("group_keys names one to four keys.", group_keys=list(self.group_keys))


class WalletRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Codes on phones.

    Attributes:
        static_allowed: what a code that never changes may do (QR, PDF417, Aztec, Data Matrix with a card number, as an
            Apple pass shows it): `all`, `earn_only`, or `none`.
        app_keys: of signed codes; app_period_s: how long such a code stands.
    """

    static_allowed: Literal["all", "earn_only", "none"] = "all"
    rotating: RotatingRule | None = None
    app_keys: tuple[AppKey, ...] = ()
    app_period_s: Annotated[int, msgspec.Meta(ge=5, le=600)] = 30

    def __post_init__(self) -> None:
        if len({key.key_no for key in self.app_keys}) != len(self.app_keys):
            raise WalletRuleMalformed("Two app_keys have the same key_no; number them apart.")


class CardRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The cards of a programme. None by default, so that no code is taken for a card unless somebody said so.

    Attributes:
        uid_most_points: most points a sale may spend on the word of a tag, which anybody can copy; none for no limit.
    Raises (when made or decoded):
        CardRangeMalformed, CardRangesOverlap, CardRangeIsPayment, PhoneRuleMalformed, WalletRuleMalformed
    """

    ranges: tuple[CardRule, ...] = ()
    phone: PhoneRule | None = None
    wallet: WalletRule = WalletRule()
    uid_most_points: Count | None = 0

    def __post_init__(self) -> None:
        for rule in self.ranges:
            _check_shape(rule)
            _check_not_payment(rule)
        for one, other in combinations(self.ranges, 2):
            _check_apart(one, other)

    def most_points(self, assurance: Assurance) -> int | None:
        """Most points that one sale may spend when the card was shown this way; None for no limit of its own.

        Source: devices-and-receipts.md A5, A6: who only has a copy may collect, not empty the account.
        """
        if assurance == "uid":
            return self.uid_most_points
        if assurance == "phone":
            return self.phone.most_points if self.phone else 0
        return 0 if assurance == "static" else None


def _check_shape(rule: CardRule) -> None:
    figures = {"kind": rule.kind, "prefix": rule.prefix, "length": rule.length}
    fixed = FIXED_LENGTH.get(rule.kind)
    if fixed is not None and rule.length not in (None, fixed):
        raise CardRangeMalformed(f"A {rule.kind} card has {fixed} digits; leave the length out.", **figures)
    if rule.kind in ("uid", "printed"):
        _check_tag(rule, figures)
        return
    if not 8 <= rule.digits() <= 19:
        raise CardRangeMalformed("Say how many digits the card number has, from 8 to 19.", **figures)
    shortest = 4 if rule.kind == "gsrn" else 2
    longest = 12 if rule.kind == "gsrn" else rule.digits() - 2
    if not re.fullmatch(r"[0-9]+", rule.prefix) or not shortest <= len(rule.prefix) <= longest:
        raise CardRangeMalformed(
            f"The prefix of this card range must be {shortest} to {longest} digits, in quotes.", **figures
        )


def _check_tag(rule: CardRule, figures: dict[str, str | int | None]) -> None:
    if rule.kind == "uid" and rule.length not in UID_LENGTHS:
        raise CardRangeMalformed("The length of a uid is 8, 10, 14 or 20 hex digits.", **figures)
    digits = "0-9A-F" if rule.kind == "uid" else "0-9"
    if not re.fullmatch(f"[{digits}]{{0,8}}", rule.prefix):
        raise CardRangeMalformed(
            f"The prefix of a {rule.kind} range is up to 8 digits of {digits}, in quotes; '' for every tag.", **figures
        )


def _check_not_payment(rule: CardRule) -> None:
    if rule.kind in ("gsrn", "uid", "printed"):
        return  # told from any payment card by their application identifier, their reader, their ten digits
    met = ranges_meeting(rule.prefix, rule.digits())
    if rule.kind == "ean13":
        met = tuple(row for row in met if not row.holds_goods)
    if met:
        raise CardRangeIsPayment(
            f"Card range {rule.prefix} lies in the payment range of {met[0].scheme}. Use a prefix of your own, "
            "for EAN-13 cards one of 02, 04 or 20-29.",
            kind=rule.kind, prefix=rule.prefix, length=rule.digits(), scheme=met[0].scheme,
        )  # fmt: skip


def _check_apart(one: CardRule, other: CardRule) -> None:
    # A 12-digit number is also a UPC-A, so there it meets the EAN-13 range with a 0 in front.
    spaces = [(_space(r), r.digits(), r.prefix) for r in (one, other)]
    if {one.kind, other.kind} == {"ean13", "luhn"}:
        spaces = [(s, 13, "0" + p) if n == 12 else (s, n, p) for s, n, p in spaces]
    (space, digits, a), (other_space, other_digits, b) = spaces
    if space == other_space and digits == other_digits and (a.startswith(b) or b.startswith(a)):
        raise CardRangesOverlap(
            f"Card ranges {one.prefix} and {other.prefix} share numbers. Make one of the prefixes longer.",
            one=one.prefix, other=other.prefix,
        )  # fmt: skip


def _space(rule: CardRule) -> str:
    """Numbers of different spaces are never mistaken for each other."""
    return rule.kind if rule.kind in ("gsrn", "uid") else "digits"
