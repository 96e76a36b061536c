"""Who this till is: its key and what head office granted it, in one file that only the service may read.

The file is written once, whole or not at all. Losing it costs the till its stream: it enrols anew.
"""

import os
from pathlib import Path
from typing import TypeVar

import msgspec

from loyalty.cards.card_keys import CardKeys, one_card_key
from loyalty.trouble import Fault
from sync.keys import PublicKey, PublicKeys, Signer, one_key
from sync.provisional import provisional_genesis
from sync.wire import Identity

IDENTITY_FILE = "identity.json"
WIPED = "wiped"  # stands for the card keys of a till that was revoked
_PIECE = 1024 * 1024

T = TypeVar("T")


class IdentityDamaged(Fault):
    code = "identity.damaged"
    status = 500


class IdentityOpen(Fault):
    code = "identity.readable_by_others"
    status = 500


class TillIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """The till's private seed (64 hex digits), its installation, and the identity that the centre granted.

    `provisional` is the epoch that the till gave itself since, when it lost its numbering; 0 for none. `key_no` and
    `previous_seed` are of a key that it made itself since the enrolment (0 and "" before), `newer_centre_keys` all that
    the centre has told of its own, with the granted one; `later_card_keys` are the programme's card keys as it told
    them since, none while it told of none.
    """

    seed: str
    install_id: str
    granted: Identity
    provisional: int = 0
    key_no: int = 0
    previous_seed: str = ""
    newer_centre_keys: tuple[PublicKey, ...] = ()
    later_card_keys: CardKeys | None = None

    def __repr__(self) -> str:
        return f"TillIdentity(till {self.till_id}, epoch {self.epoch})"

    @property
    def signer(self) -> Signer:
        return Signer(bytes.fromhex(self.seed), self.key_no or self.granted.key_no)

    @property
    def centre_keys(self) -> PublicKeys:
        if self.newer_centre_keys:
            return PublicKeys(keys=self.newer_centre_keys)
        return one_key(self.granted.centre_public_key, self.granted.centre_key_no)

    @property
    def genesis(self) -> bytes:
        """The secret nonce of the present epoch."""
        granted = bytes.fromhex(self.granted.genesis)
        return provisional_genesis(granted, self.provisional) if self.provisional else granted

    @property
    def card_key(self) -> bytes:
        """The programme's first card key, with which codes become tokens."""
        return bytes.fromhex(self.granted.card_key)

    @property
    def card_keys(self) -> CardKeys:
        """All card keys that this till was told."""
        told = self.later_card_keys or self.granted.card_keys
        return told or one_card_key(self.card_key, self.granted.card_key_id)

    @property
    def is_wiped(self) -> bool:
        """Whether its card keys are gone, for head office revoked it: no card and no code has a name here."""
        return self.granted.card_key_id == WIPED

    @property
    def till_id(self) -> str:
        return self.granted.till_id

    @property
    def epoch(self) -> int:
        return self.provisional or self.granted.epoch

    @property
    def partner_id(self) -> str:
        return self.granted.partner_id

    @property
    def store_id(self) -> str:
        return self.granted.store_id

    @property
    def label(self) -> str:
        return self.granted.label


def read_identity_file(folder: Path) -> TillIdentity | None:
    """The identity in a data folder; None when the till is not enrolled.

    Raises:
        IdentityDamaged: the file is there but says nothing usable.
        IdentityOpen: others than the service may read it.
    """
    return read_secret(folder / IDENTITY_FILE, TillIdentity)


def earlier_identity(folder: Path, epoch: int) -> TillIdentity | None:
    """The identity of an epoch before the present one; None where it is not here. Raises: as `read_identity_file`."""
    return read_secret(folder / f"identity-{epoch}.json", TillIdentity)


def write_identity_file(folder: Path, identity: TillIdentity) -> None:
    """Write the identity, durably; an earlier one stays beside it under its epoch. That of another till takes the place
    of none, for what is left of an epoch is sent under its key."""
    if (before := read_identity_file(folder)) is not None:
        aside = folder / f"identity-{before.epoch}.json"
        if before.till_id == identity.till_id or not aside.exists():
            write_secret(aside, before)
    write_secret(folder / IDENTITY_FILE, identity)


def make_folder(folder: Path) -> None:
    """The data folder, for the service alone."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)


def write_secret(path: Path, value: msgspec.Struct) -> None:
    """Write a Struct as JSON for the service alone: whole or not at all, and there after a power cut."""
    write_durably(path, msgspec.json.encode(value))


def write_durably(path: Path, data: bytes) -> None:
    """The same for any bytes."""
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)
    sync_folder(path.parent)


def overwrite(path: Path) -> None:
    """Put noise over a secret file before it is deleted, which a disk that copies on write may not honour."""
    with path.open("r+b") as file:
        left = os.fstat(file.fileno()).st_size
        while left:
            left -= file.write(os.urandom(min(left, _PIECE)))
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have the names in a folder survive a power cut."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def read_secret(path: Path, kind: type[T]) -> T | None:
    """A Struct that `write_secret` wrote; None where there is no file. Raises: as `read_identity_file`."""
    if not path.exists():
        return None
    if path.stat().st_mode & 0o077:
        raise IdentityOpen(f"{path} may be read by others than the till service; run: chmod 600 {path}")
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except msgspec.DecodeError as trouble:
        raise IdentityDamaged(
            f"{path} cannot be read ({trouble}). Put it back from a copy; else move it away, and enrol the till anew."
        ) from None
