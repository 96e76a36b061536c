"""An RFID tag's id out of its frame.

Source: data sheets of RDM6300, ID-12/20 and their clones; ISO/IEC 14443-3 6.5.4 (a UID that begins with 08 is made
anew each time, as phones do); devices-and-receipts.md A5.
"""

import re
from functools import reduce
from operator import xor
from typing import NamedTuple

from loyalty.cards.cards import Reason
from pos_adapters.readers.profile import Profile

RANDOM_UID = 0x08


class Tag(NamedTuple):
    """`uid` in capital hex digits, most significant byte first; `printed` is the decimal on a 5-byte tag, 10 digits."""

    uid: str
    printed: str = ""


def read_tag(profile: Profile, text: str) -> Tag | Reason:
    """The tag of a frame, or why there is none."""
    data = _decimal(profile, text) if profile.tag == "decimal" else _hex(text)
    if data is None:
        return "tag_malformed"
    if profile.checksum != "none":
        *body, check = data
        right = reduce(xor, body, 0) if profile.checksum == "xor" else sum(body) % 256
        data = bytes(body)
        if check != right:
            return "tag_checksum"
    if len(data) not in ((4, 7, 10) if profile.tag_bytes == 0 else (profile.tag_bytes,)):
        return "tag_malformed"
    if profile.byte_order == "lsb":
        data = data[::-1]
    if len(data) == 4 and data[0] == RANDOM_UID:
        return "random_uid"
    printed = str(int.from_bytes(data[-profile.printed_bytes :], "big")).zfill(10) if len(data) == 5 else ""
    return Tag(data.hex().upper(), printed)


def _hex(text: str) -> bytes | None:
    digits = re.sub("[ :-]", "", text)
    return bytes.fromhex(digits) if re.fullmatch(r"(?:[0-9A-Fa-f]{2}){2,}", digits) else None


def _decimal(profile: Profile, text: str) -> bytes | None:
    if not re.fullmatch(r"[0-9]{1,25}", text):
        return None
    number = int(text)
    return number.to_bytes(profile.tag_bytes, "big") if number < 1 << (8 * profile.tag_bytes) else None
