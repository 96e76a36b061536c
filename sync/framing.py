"""One shape for every signed message: `u16 length ‖ JSON ‖ 64-byte Ed25519 signature ‖ body`.

The signature covers `tag ‖ JSON`; the tag names kind and version and does not travel. A body, where there is
one, is bound by a hash inside the JSON. What is hashed or signed is always the received bytes, never a
second encoding of the value.
"""

import hashlib
import zlib
from collections.abc import Callable
from typing import TypeVar

import msgspec

from loyalty.cards.card_numbers import NumberSpan
from sync.keys import SIGNATURE_BYTES, PublicKeys, Signer, verify
from sync.refusals import BadBody, BadEnvelope, BadSignature, TooLarge
from sync.wire import CentreMessage, Grant

T = TypeVar("T", bound=msgspec.Struct)
C = TypeVar("C", bound=CentreMessage | Grant | NumberSpan)

MAX_JSON = 0xFFFF


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """A message taken apart, nothing checked but the lengths."""

    json: bytes
    signature: bytes
    body: bytes


def pack(tag: bytes, message: msgspec.Struct, signer: Signer, body: bytes = b"") -> bytes:
    """Encode, sign and frame a message.

    Raises:
        TooLarge: the JSON does not fit into 65,535 bytes.
    """
    encoded = msgspec.json.encode(message)
    if len(encoded) > MAX_JSON:
        raise TooLarge("A message header must stay below 64 KiB.", bytes=len(encoded))
    return len(encoded).to_bytes(2, "big") + encoded + signer.sign(tag + encoded) + body


def split(data: bytes) -> Parts:
    """Take a framed message apart.

    Raises:
        BadEnvelope: too short for the length it claims.
    """
    end = 2 + int.from_bytes(data[:2], "big")
    if len(data) < 2 or len(data) < end + SIGNATURE_BYTES:
        raise BadEnvelope("The message ends before its signature; send it again whole.", bytes=len(data))
    body_at = end + SIGNATURE_BYTES
    return Parts(json=data[2:end], signature=data[end:body_at], body=data[body_at:])


def read_json(parts: Parts, kind: type[T]) -> T:
    """The message as a value, its signature not yet checked.

    Raises:
        BadEnvelope: the JSON is not a message of this kind.
    """
    try:
        return msgspec.json.decode(parts.json, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as trouble:
        raise BadEnvelope(f"Not a {kind.__name__}: {trouble}", kind=kind.__name__) from None


def check_signature(tag: bytes, parts: Parts, public: str | None) -> None:
    """Refuse the message unless `public` signed it.

    Raises:
        BadSignature: no such key, or it did not sign these bytes.
    """
    if public is None or not verify(public, parts.signature, tag + parts.json):
        raise BadSignature("The signature does not belong to a known key; check the enrolment of this till.")


def open_signed(tag: bytes, data: bytes, kind: type[C], keys: PublicKeys) -> tuple[C, bytes]:
    """A message of the centre, its signature checked, and its body, which the caller must still check.

    Raises:
        BadEnvelope, BadSignature.
    """
    parts = split(data)
    message = read_json(parts, kind)
    check_signature(tag, parts, keys.find(message.key_no))
    return message, parts.body


def sha256(data: bytes) -> str:
    """SHA-256 as 64 hex characters."""
    return hashlib.sha256(data).hexdigest()


def inflate(body: bytes, body_sha256: str, raw_bytes: int) -> bytes:
    """Inflate a body to exactly `raw_bytes`, after its hash was checked.

    The caller has bounded `raw_bytes`; no more than one byte beyond it is ever inflated.

    Raises:
        BadBody: other bytes than were hashed, not zlib, longer or shorter than stated, or bytes behind it.
    """
    if sha256(body) != body_sha256:
        raise BadBody("The body is not the one that was signed; send it again.")
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(body, raw_bytes + 1)
    except zlib.error as trouble:
        raise BadBody(f"The body cannot be inflated: {trouble}") from None
    if len(raw) != raw_bytes or not stream.eof or stream.unused_data:
        raise BadBody("The body does not inflate to the length that was signed.", raw_bytes=raw_bytes)
    return raw


KeyLookup = Callable[[str, int], str | None]
"""(till_id, key_no) to public key, or None."""
