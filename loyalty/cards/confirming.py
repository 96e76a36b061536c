"""Codes by which a customer confirms a consent: printed or sent, entered at any till or opened as a link.

A code carries its own check, made with a key that every till of the programme has, so it proves itself without the
line. What is kept is its number, without the check, with which nobody could confirm anything.
Source: devices-and-receipts.md E "double opt-in".
"""

import hashlib
import hmac
from collections.abc import Iterable

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's, which misreads forgive
_READ = {**{letter: at for at, letter in enumerate(_ALPHABET)}, "o": 0, "i": 1, "l": 1}
_NUMBER, _CHECK = 9, 7  # letters: 45 bits that name the consent, 35 that prove it


def confirm_key(card_key: bytes) -> bytes:
    """The key of the checks, from the programme's card key."""
    return hmac.digest(card_key, b"TP-CONFIRM1", "sha256")


def confirm_number(till_id: str, event_id: str, name: str) -> str:
    """The number of a consent: which till's event asked it, and which of its consents it is."""
    return _letters(hashlib.sha256(f"{till_id}\n{event_id}\n{name}".encode()).digest(), _NUMBER)


def confirm_code(key: bytes, number: str) -> str:
    """The whole code of a number, in groups of four."""
    whole = number + _letters(hmac.digest(key, number.encode(), "sha256"), _CHECK)
    return " ".join(whole[at : at + 4] for at in range(0, len(whole), 4))


def read_confirm_code(key: bytes, text: str) -> str | None:
    """The number of a code as somebody typed it; none where it is not one of ours."""
    letters = [letter for letter in text.strip().lower() if letter not in " -"]
    if len(letters) != _NUMBER + _CHECK or any(letter not in _READ for letter in letters):
        return None
    whole = "".join(_ALPHABET[_READ[letter]] for letter in letters)
    number = whole[:_NUMBER]
    expected = confirm_code(key, number).replace(" ", "")
    return number if hmac.compare_digest(whole.encode(), expected.encode()) else None


def read_confirm_code_of(keys: Iterable[bytes], text: str) -> str | None:
    """The same under whichever of several card keys the code was made with."""
    return next((number for key in keys if (number := read_confirm_code(confirm_key(key), text))), None)


def _letters(digest: bytes, count: int) -> str:
    number = int.from_bytes(digest[:16], "big")
    return "".join(_ALPHABET[number >> (5 * at) & 31] for at in range(count))
