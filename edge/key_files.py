"""The till's keys beside its journal: the present one, a new one until head office has taken it, the one before.

    identity.json        the present key, and what head office told of its own keys and of the programme's card keys
    next-key.json        a new key that waits to be taken

The new key is written before it is sent, and takes its place in one rename once the answer is in. Whatever step was the
last before a crash, the next start finds either the old key with the new one waiting, or the new one. Source: sync.md
section 7.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec

from edge.identity import IDENTITY_FILE, TillIdentity, read_identity_file, read_secret, write_secret
from loyalty.cards.card_keys import CardKeys
from loyalty.trouble import Refusal
from sync.keys import PublicKeys, Signer
from sync.rotation import next_key_no

NEXT_FILE = "next-key.json"


class NoIdentity(Refusal):
    code = "key.not_enrolled"


class NextKey(msgspec.Struct, frozen=True, kw_only=True):
    """A new key: its seed in hex, its number, and the number of the key that it replaces; `epoch` is that of the
    enrolment, whose key it stays where the till begins an epoch of its own."""

    epoch: int
    seed: str
    key_no: int
    replaces_no: int


class KeyFiles:
    """`sync.rotation.TillKeys` in a data folder.

    Args:
        random_bytes: gives so many random bytes, such as `os.urandom`.
        on_change: called with the identity after each change of a key.
    """

    def __init__(
        self,
        folder: Path,
        random_bytes: Callable[[int], bytes],
        on_change: Callable[[TillIdentity], object] = lambda _identity: None,
    ) -> None:
        self._folder, self._random_bytes, self._on_change = folder, random_bytes, on_change

    def next_signer(self) -> Signer | None:
        """See `TillKeys`. What an earlier enrolment left, or what became the present key, does not count."""
        if not (self._folder / NEXT_FILE).exists():
            return None
        waits = self._waiting(self._identity())
        return Signer(bytes.fromhex(waits.seed), waits.key_no) if waits else None

    def previous_signer(self) -> Signer | None:
        """See `TillKeys`."""
        own = self._identity()
        if not own.previous_seed:
            return None
        return Signer(bytes.fromhex(own.previous_seed), own.signer.key_no - next_key_no(0))

    def make_next(self) -> None:
        """See `TillKeys`. Raises: NoIdentity."""
        own = self._identity()
        if self._waiting(own):
            return
        number = own.signer.key_no
        made = NextKey(
            epoch=own.granted.epoch, seed=self._random_bytes(32).hex(), key_no=next_key_no(number), replaces_no=number
        )
        write_secret(self._folder / NEXT_FILE, made)

    def taken(self) -> Signer:
        """See `TillKeys`."""
        own = self._identity()
        waits = self._waiting(own)
        if waits is None:
            return own.signer
        new = msgspec.structs.replace(own, seed=waits.seed, key_no=waits.key_no, previous_seed=own.seed)
        write_secret(self._folder / IDENTITY_FILE, new)
        (self._folder / NEXT_FILE).unlink(missing_ok=True)
        self._on_change(new)
        return new.signer

    def learned(self, keys: PublicKeys) -> None:
        """See `TillKeys`."""
        new = msgspec.structs.replace(self._identity(), newer_centre_keys=keys.keys)
        write_secret(self._folder / IDENTITY_FILE, new)
        self._on_change(new)

    def card_keys(self) -> CardKeys:
        """See `TillKeys`."""
        return self._identity().card_keys

    def take_card_keys(self, keys: CardKeys) -> None:
        """See `TillKeys`."""
        new = msgspec.structs.replace(self._identity(), later_card_keys=keys)
        write_secret(self._folder / IDENTITY_FILE, new)
        self._on_change(new)

    def _identity(self) -> TillIdentity:
        own = read_identity_file(self._folder)
        if own is None:
            raise NoIdentity("This till is not enrolled; enrol it first, that makes a key.")
        return own

    def _waiting(self, own: TillIdentity) -> NextKey | None:
        waits = read_secret(self._folder / NEXT_FILE, NextKey)
        is_ours = waits is not None and (waits.epoch, waits.replaces_no) == (own.granted.epoch, own.signer.key_no)
        return waits if is_ours else None
