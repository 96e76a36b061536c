"""A till that head office revoked forgets what a thief could use: members, blocked cards, the programme's card keys.

Its own events stay, under its own key, until a person takes the machine back: they name nobody, they are proof of what
was sold, and nobody else has them. They go into quarantine by the line, or into a sealed file (`edge export`). It sells
on without members: a card or code that is shown is refused (`card_names.check_has_keys`), for without the keys it has
no name, and points promised on it could never be found. Enrolled anew it is a till like any other. Source: sync.md
section 7, "Revocation"; fraud-privacy.md section 2.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge.cache.cache import Cache
from edge.identity import IDENTITY_FILE, WIPED, TillIdentity, overwrite, read_secret, write_secret
from edge.journal.journal import Journal
from edge.journal.suspending import suspend_leases
from edge.ports import Clock
from sync.refusals import Revoked

_log = logging.getLogger(__name__)


def wipe_revoked(
    folder: Path, journal: Journal, cache: Cache, clock: Clock, random_bytes: Callable[[int], bytes]
) -> TillIdentity | None:
    """Destroy the card keys in every identity of a data folder, then the cached members, and spend nothing any more.

    Called only on the word of head office, signed and in answer to a request of this till. Cut short, it begins again.

    Args:
        random_bytes: gives so many random bytes: cards of sales to come get tokens that stand for nothing.
    Returns:
        The identity from now on; None where all of it was done before.
    """
    paths = [folder / IDENTITY_FILE, *sorted(folder.glob("identity-*.json"))]
    found = {path: identity for path in paths if (identity := read_secret(path, TillIdentity)) is not None}
    left = {path: identity for path, identity in found.items() if identity.granted.card_key_id != WIPED}
    if not left and not cache.counts()["member"] and not cache.put_aside():
        return None
    _log.error("head office revoked this till: it forgets the members and the card keys, and keeps its own events")
    suspend_leases(journal, Revoked.code, clock.now())
    for beside in (*folder.glob("*identity*.json.new"), *folder.glob("salvaged-identity.json")):
        overwrite(beside)  # of a write that was cut short, with the same keys in it
        beside.unlink()
    key = random_bytes(32).hex()
    for path, identity in left.items():
        granted = msgspec.structs.replace(identity.granted, card_key=key, card_key_id=WIPED, card_keys=None)
        found[path] = msgspec.structs.replace(identity, granted=granted, later_card_keys=None)
        _replace(path, found[path])
    with journal.writing():
        journal.told_accounts.forget()
    journal.checkpoint()
    cache.wipe()
    return found.get(folder / IDENTITY_FILE)


def _replace(path: Path, identity: TillIdentity) -> None:
    """The new file takes the place of the old one, whose bytes are overwritten after that: a cut leaves one of them. A
    disk that copies on write may keep the old ones, and wants encryption of its own."""
    handle = os.open(path, os.O_WRONLY)
    try:
        size = os.fstat(handle).st_size
        write_secret(path, identity)
        os.pwrite(handle, bytes(size), 0)
        os.fsync(handle)
    finally:
        os.close(handle)
