"""Files under a passphrase: scrypt makes a key of it, each file gets a key of its own, ChaCha20-Poly1305 seals it.

A file is a row of chunks, each 4 bytes of length and its sealed bytes. The nonce counts the chunks and says which is
the last, so none can be left out, moved or added. No more than a chunk is in memory.
Source: RFC 7914 (scrypt), RFC 8439; the chunks follow STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015).
"""

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from loyalty.trouble import Refusal

CHUNK = 1024 * 1024
_TAG = 16
SHORTEST_PASSPHRASE = 12
_MOST_N = 2**20  # 1 GiB of memory; what asks for more was not written by us


class ShortPassphrase(Refusal):
    code = "backup.passphrase_short"
    status = 422


class BackupDamaged(Refusal):
    code = "backup.damaged"
    status = 422


class Hardness(msgspec.Struct, frozen=True, kw_only=True):
    """How a passphrase became a key; 64 MiB and a fifth of a second, for whoever guesses too."""

    salt: str  # 16 random bytes, hex
    n: int = 2**16
    r: int = 8
    p: int = 1


class Sealing:
    """What one passphrase and salt open.

    Raises:
        ShortPassphrase: fewer than 12 characters.
        BackupDamaged: the hardness is none of ours.
    """

    def __init__(self, passphrase: str, hardness: Hardness) -> None:
        if len(passphrase) < SHORTEST_PASSPHRASE:
            raise ShortPassphrase(
                f"A passphrase has {SHORTEST_PASSPHRASE} characters at least; five words that nobody would guess are"
                " better. Without it the backup cannot be opened by anybody."
            )
        try:
            if hardness.n > _MOST_N or hardness.r * hardness.p > 64:
                raise ValueError("too much memory")
            made = Scrypt(salt=bytes.fromhex(hardness.salt), length=32, n=hardness.n, r=hardness.r, p=hardness.p)
        except ValueError as trouble:
            raise BackupDamaged(f"The manifest cannot be used: {trouble}. Take another backup.") from None
        self._master = made.derive(passphrase.encode())

    def mac(self, data: bytes) -> str:
        """What only somebody with the passphrase can say about these bytes; hex."""
        return hmac.new(self._key("manifest"), data, hashlib.sha256).hexdigest()

    def is_mac(self, said: str, data: bytes) -> bool:
        """Whether `mac` said it."""
        return hmac.compare_digest(said.strip().encode(), self.mac(data).encode())

    def seal(self, name: str, plain: Iterable[bytes], target: BinaryIO) -> None:
        """Write bytes, in pieces of any size, to a file under the key of its name."""
        cipher = ChaCha20Poly1305(self._key(f"part {name}"))
        for no, (piece, is_last) in enumerate(_chunks(plain)):
            sealed = cipher.encrypt(_nonce(no, is_last), piece, None)
            target.write(len(sealed).to_bytes(4, "big") + sealed)

    def open(self, name: str, source: BinaryIO) -> Iterator[bytes]:
        """The plain bytes of a file, in pieces. Raises: BackupDamaged, after the last sound piece."""
        cipher = ChaCha20Poly1305(self._key(f"part {name}"))
        no, ahead = 0, _read_sealed(source, name)
        while ahead:
            sealed, ahead = ahead, _read_sealed(source, name)
            try:
                yield cipher.decrypt(_nonce(no, not ahead), sealed, None)
            except InvalidTag:
                raise _damaged(name) from None
            no += 1
        if not no:
            raise _damaged(name)

    def _key(self, purpose: str) -> bytes:
        info = f"TP-BACKUP1 {purpose}".encode()
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(self._master)


def _chunks(plain: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Pieces of CHUNK bytes, and whether each is the last; an empty one for nothing at all."""
    rest = b""
    for piece in plain:
        rest += piece
        while len(rest) > CHUNK:
            yield rest[:CHUNK], False
            rest = rest[CHUNK:]
    yield rest, True


def _nonce(no: int, is_last: bool) -> bytes:
    return no.to_bytes(11, "big") + bytes([is_last])


def _read_sealed(source: BinaryIO, name: str) -> bytes:
    """The next sealed chunk; empty at the end of the file."""
    head = source.read(4)
    if not head:
        return b""
    length = int.from_bytes(head, "big")
    sealed = source.read(length) if _TAG <= length <= CHUNK + _TAG else b""
    if len(head) != 4 or len(sealed) != length or not sealed:
        raise _damaged(name)
    return sealed


def _damaged(name: str) -> BackupDamaged:
    return BackupDamaged(f"The part {name} of the backup was changed or cut off. Take another backup.", part=name)
