"""The centre's signing key and the keys before it: made new in steps, each of which can be the last before a crash.

1. the new seed is written beside the old one, durably;
2. the notice, signed by both keys, goes into the database;
3. the new seed takes the old one's place.

After 1 alone the old key goes on and the next try uses the same new seed; after 2 the next start does step 3. Source:
sync.md section 7.
"""

from pathlib import Path

import msgspec
from sqlalchemy import Connection, Engine, select

from central.database.tables import centre_key
from central.ports import Randomness, Settings, read_key, reading, sync_folder, writing
from loyalty.moments import DAY_MS
from loyalty.trouble import Refusal
from sync.keys import PublicKey, PublicKeys, Signer
from sync.rotation import Notice, make_notice, trusted_back

NEXT = ".next"
OVERLAP_DAYS = 30


class KeyUnknown(Refusal):
    """The key file holds another key than the one the last notice names: a file that was put back, or mixed up."""

    code = "central.key_unknown"


def centre_signer(settings: Settings, engine: Engine, randomness: Randomness) -> Signer:
    """The centre's key under its number; a change that was cut short is brought to its end.

    Raises:
        BadSettings: a key file holds something else. KeyUnknown.
    """
    path = settings.folder / settings.signing_key
    with reading(engine) as tx:
        told = notices(tx)
    waits = _next(path)
    if waits.exists() and told and Signer(read_key(waits, randomness)).public == told[-1].public:
        _replace(waits, path)
    seed = read_key(path, randomness)
    if not told:
        return Signer(seed)
    public = Signer(seed).public
    number = next((one.key_no for one in told if one.public == public), None)
    if number is None and told[0].replaces_public == public:
        number = told[0].replaces_no
    if number != told[-1].key_no:
        raise KeyUnknown(
            f"{path.name} is not the key that head office signs with since its last rotation; put the right file back."
        )
    return Signer(seed, number)


def rotate_centre_key(
    settings: Settings, engine: Engine, randomness: Randomness, now_ms: int, overlap_days: int = OVERLAP_DAYS
) -> Notice:
    """Make a new key and let the present one vouch for it. The service signs with it from its next start on.

    Args:
        overlap_days: for how long tills still believe answers of the old key.
    """
    path = settings.folder / settings.signing_key
    old = centre_signer(settings, engine, randomness)
    waits = _next(path)
    new = Signer(read_key(waits, randomness), old.key_no + 1)
    sync_folder(waits.parent)
    notice = make_notice(old, new, made_at_ms=now_ms, old_until_ms=now_ms + overlap_days * DAY_MS)
    with writing(engine) as tx:
        row = {"key_no": new.key_no, "public": new.public}
        tx.execute(centre_key.insert().values(**row, notice=msgspec.json.encode(notice)))
    _replace(waits, path)
    return notice


def notices(connection: Connection) -> tuple[Notice, ...]:
    """Every change of the centre's key, in order."""
    rows = connection.execute(select(centre_key.c.notice).order_by(centre_key.c.key_no))
    return tuple(msgspec.json.decode(bytes(row.notice), type=Notice) for row in rows)


def centre_keys(engine: Engine, signer: Signer) -> PublicKeys:
    """The present key and those that it vouches for: what blocks, statements and grants may be signed with."""
    with reading(engine) as tx:
        return trusted_back(PublicKey(key_no=signer.key_no, public=signer.public), notices(tx))


def _next(path: Path) -> Path:
    return path.with_name(path.name + NEXT)


def _replace(waits: Path, path: Path) -> None:
    waits.rename(path)
    sync_folder(path.parent)
