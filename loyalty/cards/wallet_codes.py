"""Codes on phones that a screenshot does not copy: moving ones (TOTP), and ones that the app signed.

Both are verified without a line. A moving code needs its card's secret here: HMAC-SHA-256(group key, card), where the
group key is made from the programme's card key, so a till that can know cards can verify their codes, and a new number
ends an old group key. A signed code needs only the app's public key, which is why it is the safer of the two.

Source: RFC 4226, RFC 6238 (appendix B); Google Wallet `RotatingBarcode`; RFC 8032; devices-and-receipts.md A6.
"""

import base64
import binascii
import hmac
import re
from functools import lru_cache
from typing import Literal, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from loyalty.cards.card_rules import RotatingRule, WalletRule

APP_PREFIX = "TPA1."
_APP_LABEL = b"tallypoint app code 1\0"
STEPS_OFF = 1  # clocks of phone and till may be one step apart
SEARCHED_STEPS = 240  # how far to look for the time of a code that carries none, only to say whose clock is wrong

Trouble = Literal["token_expired", "token_future", "token_invalid"]


class WalletCheck(NamedTuple):
    """What verifying needs of its caller: the time (UTC, ms since 1970) and the programme's first card key.

    `accepted` are the card keys that codes may be made with, newest first; none for the first alone.
    """

    now_ms: int
    card_key: bytes
    accepted: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        return f"WalletCheck(now_ms={self.now_ms})"


class WalletCode(NamedTuple):
    """A code of a phone. `number` is the card it names, not looked up in any range yet."""

    number: str
    trouble: Trouble | None

    def __repr__(self) -> str:
        return f"WalletCode({self.trouble or 'good'})"


def totp(key: bytes, step: int, digits: int) -> str:
    """The changing value of one step, `digits` (6 to 8) decimal digits.

    Source: RFC 4226 section 5.3 with HMAC-SHA-1, as Google's TOTP_SHA1.
    """
    mac = hmac.digest(key, step.to_bytes(8, "big"), "sha1")
    at = mac[-1] & 0x0F
    value = int.from_bytes(mac[at : at + 4], "big") & 0x7FFF_FFFF
    return str(value % 10**digits).zfill(digits)


def wallet_key(card_key: bytes, key_no: int, number: str) -> bytes:
    """The secret of one card's moving codes, 32 bytes: what goes into a Google pass as `key`, in base 16.

    Args:
        card_key: the programme's; key_no: of the group key; number: of the card, digits as they are normalised.
    """
    group_key = hmac.digest(card_key, f"TP-WALLET{key_no}".encode("ascii"), "sha256")
    return hmac.digest(group_key, number.encode("ascii"), "sha256")


def read_rotating(rule: RotatingRule, text: str, check: WalletCheck) -> WalletCode | None:
    """Read a moving code; None where the text is not one.

    A code that says its time is genuine or not whatever the clock says; then its age decides. One that does not is
    tried for the steps around now.
    """
    match = _pattern(rule.pattern, rule.digits).fullmatch(text)
    if match is None:
        return None
    said = match.groupdict()
    number, now = said["card"], check.now_ms // rule.period_ms
    key_nos = [n for n in rule.group_keys if said.get("key") in (None, str(n))]
    card_keys = check.accepted or (check.card_key,)
    keys = [wallet_key(card_key, key_no, number) for card_key in card_keys for key_no in key_nos]
    at_ms = int(said["millis"]) if said.get("millis") else int(said["seconds"]) * 1000 if said.get("seconds") else None
    steps = [at_ms // rule.period_ms] if at_ms is not None else _nearest_first(now)
    for step in steps:
        for key in keys:
            if step >= 0 and hmac.compare_digest(totp(key, step, rule.digits), said["value"]):
                return WalletCode(number, _age(step, now))
    return WalletCode(number, "token_invalid")


def read_signed(rule: WalletRule, text: str, check: WalletCheck) -> WalletCode | None:
    """Read a code that the app signed; None where the text is not one.

    After `TPA1.`, in base64url without padding: key number (1 byte), step (4 bytes, big-endian, of `app_period_s`),
    the card's digits in ASCII, and the signature (64 bytes) over the label and all before it.
    """
    if not text.startswith(APP_PREFIX):
        return None
    sent = _decoded(text.removeprefix(APP_PREFIX))
    if sent is None or len(sent) < 5 + 8 + 64:
        return WalletCode("", "token_invalid")
    told, signature = sent[:-64], sent[-64:]
    number = told[5:].decode("ascii", "replace")
    public = next((key.public_key for key in rule.app_keys if key.key_no == told[0]), None)
    if public is None or not number.isdecimal() or not _is_signed(bytes.fromhex(public), told, signature):
        return WalletCode("", "token_invalid")
    return WalletCode(number, _age(int.from_bytes(told[1:5], "big"), check.now_ms // (rule.app_period_s * 1000)))


def sign_app_code(private: Ed25519PrivateKey, key_no: int, number: str, step: int) -> str:
    """The code that an app shows in one step. Args: as `read_signed` reads them."""
    told = bytes([key_no]) + step.to_bytes(4, "big") + number.encode("ascii")
    signed = told + private.sign(_APP_LABEL + told)
    return APP_PREFIX + base64.urlsafe_b64encode(signed).rstrip(b"=").decode("ascii")


def _age(step: int, now: int) -> Trouble | None:
    if step < now - STEPS_OFF:
        return "token_expired"
    return "token_future" if step > now + STEPS_OFF else None


def _nearest_first(now: int) -> list[int]:
    return sorted(range(now - SEARCHED_STEPS, now + SEARCHED_STEPS + 1), key=lambda step: abs(step - now))


@lru_cache(maxsize=8)
def _pattern(pattern: str, digits: int) -> re.Pattern[str]:
    holes = {
        "card": "(?P<card>[0-9]{8,19})",
        "key": "(?P<key>[0-9]{1,4})",
        "totp_value_0": f"(?P<value>[0-9]{{{digits}}})",
        "totp_timestamp_seconds": "(?P<seconds>[0-9]{1,12})",
        "totp_timestamp_millis": "(?P<millis>[0-9]{1,15})",
    }
    parts = re.split(r"\{([^{}]*)\}", pattern)
    return re.compile("".join(holes[part] if i % 2 else re.escape(part) for i, part in enumerate(parts)))


def _decoded(text: str) -> bytes | None:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,400}", text):
        return None
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return None


def _is_signed(public: bytes, told: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _APP_LABEL + told)
    except (InvalidSignature, ValueError):
        return False
    return True
