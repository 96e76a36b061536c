"""A phone number, or a short code of the app, as somebody types it at the till.

Source: ITU-T E.164 (at most 15 digits, calling code first); devices-and-receipts.md A7.
"""

import re
from typing import Literal, NamedTuple

from loyalty.cards.card_rules import LONGEST_E164, PhoneRule

SHORTEST_E164 = 7
_TYPED = re.compile(r"(\+|00)?[ ]?\(?[0-9]+\)?(?:[ ./-]?\(?[0-9]+\)?)*")


class Typed(NamedTuple):
    """`number` is E.164 digits without +, or the short code; None with `phone` where its length cannot be right."""

    kind: Literal["phone", "short"]
    number: str | None


def read_phone(rule: PhoneRule, text: str, *, keyed: bool) -> Typed | None:
    """What was typed, as one number however it was written; None where it is no phone number at all.

    Args:
        keyed: somebody typed it. Without that only a number with + counts: digits that were scanned may be anything.
    """
    match = _TYPED.fullmatch(text)
    if match is None or not (keyed or match[1] == "+"):
        return None
    digits = re.sub("[^0-9]", "", text)
    if match[1] == "+":
        return _international(rule, digits)
    if match[1] == "00" and len(digits) > 2:
        return _international(rule, digits[2:])
    if len(digits) == rule.short_digits:
        return Typed("short", digits)
    if rule.trunk and digits.startswith(rule.trunk) and len(digits) - len(rule.trunk) in rule.digits:
        return Typed("phone", rule.country + digits[len(rule.trunk) :])
    if len(digits) in rule.digits:
        return Typed("phone", rule.country + digits)
    return None


def _international(rule: PhoneRule, digits: str) -> Typed:
    if not SHORTEST_E164 <= len(digits) <= LONGEST_E164 or digits.startswith("0"):
        return Typed("phone", None)
    home = digits.removeprefix(rule.country)
    if home != digits and len(home) not in rule.digits:
        # +44 (0) 20 …: the digit for calls at home is written into many numbers.
        home = home.removeprefix(rule.trunk) if rule.trunk else home
        return Typed("phone", rule.country + home if len(home) in rule.digits else None)
    return Typed("phone", digits)
