"""Keys in one place: Ed25519 signatures, key numbers, and one X25519 agreement for enrolment.

Private keys are made from 32 bytes handed in; public keys travel as 64 hex characters.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from hashlib import blake2b

import msgspec
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sync.refusals import BadBody

SIGNATURE_BYTES = 64


class Signer:
    """A private Ed25519 key with its number.

    Args:
        seed: 32 secret random bytes.
        key_no: the number under which the other side knows the public half.
    """

    def __init__(self, seed: bytes, key_no: int = 1) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key_no = key_no
        self.public = self._private.public_key().public_bytes_raw().hex()

    def sign(self, message: bytes) -> bytes:
        """64 bytes; the same for the same message."""
        if _remembered is None:
            return self._private.sign(message)
        signature = _remembered.made.get(name := _name_of(self.public, message))
        if signature is None:
            signature = _remembered.made[name] = self._private.sign(message)
            _remembered.hold.add(_name_of(self.public, signature + message))
        return signature

    def seal(self, about: bytes, plain: bytes) -> bytes:
        """Encrypt for the holder of this very key alone; `about` is bound to it, and never serves twice."""
        key, nonce = self._secret(about)
        return ChaCha20Poly1305(key).encrypt(nonce, plain, about)

    def unseal(self, about: bytes, sealed: bytes) -> bytes:
        """What `seal` encrypted.

        Raises:
            BadBody: not with this key, about something else, or changed since.
        """
        key, nonce = self._secret(about)
        try:
            return ChaCha20Poly1305(key).decrypt(nonce, sealed, about)
        except InvalidTag:
            raise BadBody("What this key is said to have sealed cannot be opened with it.") from None

    def _secret(self, about: bytes) -> tuple[bytes, bytes]:
        own = self._private.private_bytes_raw()
        okm = HKDF(algorithm=SHA256(), length=44, salt=b"TP-SEALED1\0", info=about).derive(own)
        return okm[:32], okm[32:]


class PublicKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key by its number.

    Attributes:
        until_ms: of the centre's: the last instant of its answers; 0 while nothing replaced it.
        epoch, until_seq: of a till's: its enrolment, and the last event of it that it may sign for once it was
            replaced (`is_replaced`).
        is_revoked: what it signs, whenever that was, is kept aside.
        is_stopped: of a till's: the enrolment was revoked as a whole.
    """

    key_no: int
    public: str
    until_ms: int = 0
    epoch: int = 0
    until_seq: int = 0
    is_replaced: bool = False
    is_revoked: bool = False
    is_stopped: bool = False


class PublicKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that one party signs with, or signed with before a rotation."""

    keys: tuple[PublicKey, ...] = ()

    def find(self, key_no: int) -> str | None:
        """The public key of a number, or None."""
        key = self.key(key_no)
        return key.public if key else None

    def key(self, key_no: int) -> PublicKey | None:
        """The key of a number with all that is known of it, or None."""
        return next((key for key in self.keys if key.key_no == key_no), None)

    def live_at(self, now_ms: int) -> "PublicKeys":
        """Those that answers may be signed with at an instant."""
        return PublicKeys(keys=tuple(key for key in self.keys if not key.until_ms or now_ms <= key.until_ms))


def one_key(public: str, key_no: int = 1) -> PublicKeys:
    """A party that has had one key only."""
    return PublicKeys(keys=(PublicKey(key_no=key_no, public=public),))


def verify(public: str, signature: bytes, message: bytes) -> bool:
    """Whether `signature` over `message` was made with the private half of `public` (64 hex characters)."""
    if _remembered is None or len(signature) != SIGNATURE_BYTES:
        return _holds(public, signature, message)
    name = _name_of(public, signature + message)
    if name not in _remembered.hold:
        if not _holds(public, signature, message):
            return False
        _remembered.hold.add(name)
    return True


def _holds(public: str, signature: bytes, message: bytes) -> bool:
    try:
        _load(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


class _Remembered:
    """Signatures by key and message, and those that hold by key, signature and message; each by a digest."""

    def __init__(self) -> None:
        self.made: dict[bytes, bytes] = {}
        self.hold: set[bytes] = set()


_remembered: _Remembered | None = None


@contextmanager
def remembering() -> Iterator[None]:
    """Inside, a signature that was made here is not made again, nor proven again by who reads it.

    For a simulation that is both ends of a line and plays a history twice. Ed25519 makes the same signature of the same
    message, and what is changed by one bit, key, signature or message, is another and is looked at in full (RFC 8032).
    """
    global _remembered
    before, _remembered = _remembered, _Remembered()
    try:
        yield
    finally:
        _remembered = before


def _name_of(public: str, told: bytes) -> bytes:
    return blake2b(public.encode() + b"\0" + told, digest_size=16).digest()


@lru_cache(maxsize=4096)
def _load(public: str) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))


def exchange_public(private: bytes) -> str:
    """The X25519 public key, 64 hex characters, of 32 random bytes."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw().hex()


def encrypt_to(public: str, private: bytes, info: bytes, plain: bytes) -> bytes:
    """Encrypt to the holder of `public`, from an X25519 key `private` that is used this once only.

    Raises:
        BadBody: `public` is not a usable X25519 key.
    """
    key, nonce = _agree(private, public, info, initiator=exchange_public(private))
    return ChaCha20Poly1305(key).encrypt(nonce, plain, info)


def decrypt_from(public: str, private: bytes, info: bytes, sealed: bytes) -> bytes:
    """The other half of `encrypt_to`: `public` is the sender's one-time key, `private` is ours.

    Raises:
        BadBody: not encrypted to us, or changed on the way.
    """
    key, nonce = _agree(private, public, info, initiator=public)
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, sealed, info)
    except InvalidTag:
        raise BadBody("The encrypted part of the answer cannot be opened; ask for a new code.") from None


def _agree(private: bytes, public: str, info: bytes, *, initiator: str) -> tuple[bytes, bytes]:
    # The key serves one message, so the nonce may come from the same derivation and need not travel.
    try:
        shared = X25519PrivateKey.from_private_bytes(private).exchange(
            X25519PublicKey.from_public_bytes(bytes.fromhex(public))
        )
    except ValueError:
        raise BadBody("The exchange key is not a usable X25519 key; claim again.") from None
    okm = HKDF(algorithm=SHA256(), length=44, salt=bytes.fromhex(initiator), info=info).derive(shared)
    return okm[:32], okm[32:]
