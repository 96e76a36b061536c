"""The programme's card keys at head office: files for their owner alone, and a row that says which are in force.

    programme-card.key, programme-card-2.key, …

A new key is written beside the first, durably, before its row is: a change that was cut short goes on with the same
file. Source: docs/decisions/card-goes-by-two-names.md.
"""

import os
from pathlib import Path

from sqlalchemy import Connection, Engine, select, update

from central.ports import Randomness, Settings, read_key, writing
from central.rows import put
from central.tables import card_key
from loyalty.card_keys import FIRST_KEY, CardKey, CardKeys, one_card_key
from loyalty.trouble import Fault, InvariantBroken


class CardKeyMissing(Fault):
    code = "central.card_key_missing"


class KeyRing:
    """The card keys as rows and files have them now; one for a process, used by any number of threads.

    Args:
        first: the programme's first key, 32 bytes.
        file: where that lies; none where there can be no later ones.
    """

    def __init__(self, first: bytes, file: Path | None = None) -> None:
        self._file = file
        self._secrets = {FIRST_KEY: first}

    def read(self, connection: Connection) -> CardKeys:
        """All keys, oldest first. Raises: CardKeyMissing: the file of one is not there."""
        rows = connection.execute(select(card_key).order_by(card_key.c.no)).all()
        if not rows:
            return one_card_key(self._secrets[FIRST_KEY])
        return CardKeys(
            keys=tuple(
                CardKey(key_id=row.key_id, key=self._secret(row.key_id).hex(), retired=row.retired_ms > 0)
                for row in rows
            )
        )

    def _secret(self, key_id: str) -> bytes:
        # A file never changes, so each is read once.
        if key_id not in self._secrets:
            if self._file is None or not (path := file_of(self._file, key_id)).exists():
                raise CardKeyMissing(f"The file of card key {key_id} is not there; put it back from a backup.")
            self._secrets[key_id] = read_key(path, _Never())
        return self._secrets[key_id]


def ring_of(settings: Settings, randomness: Randomness) -> KeyRing:
    """The keys that the settings lead to; the first is made where there is none."""
    path = settings.folder / settings.card_key
    return KeyRing(read_key(path, randomness), path)


def file_of(first: Path, key_id: str) -> Path:
    """The file of a key, beside that of the first."""
    return first if key_id == FIRST_KEY else first.with_name(f"{first.stem}-{key_id}{first.suffix}")


def later_files(first: Path) -> dict[str, Path]:
    """The files of the later keys by id, whether they have a row yet or not."""
    found = sorted(first.parent.glob(f"{first.stem}-*{first.suffix}"))
    return {path.stem.removeprefix(f"{first.stem}-"): path for path in found}


def make_card_key(settings: Settings, engine: Engine, randomness: Randomness, now_ms: int) -> str:
    """Make a new key, which is in force at once beside the others; tills get it with their next hello.

    Returns:
        Its id.
    """
    first = settings.folder / settings.card_key
    read_key(first, randomness)
    with writing(engine) as tx:
        put(tx, card_key, [{"no": 1, "key_id": FIRST_KEY, "made_ms": 0}], "nothing", ["no"])
        newest = tx.execute(select(card_key.c.no).order_by(card_key.c.no.desc()).limit(1)).scalar_one()
        key_id = str(newest + 1)
        read_key(file_of(first, key_id), randomness)
        _sync(first.parent)
        put(tx, card_key, [{"no": newest + 1, "key_id": key_id, "made_ms": now_ms}])
    return key_id


def set_retired(tx: Connection, key_id: str, now_ms: int) -> None:
    """A key names no card any more; see `central.card_change.retire_card_key`, which looks first."""
    here = update(card_key).where(card_key.c.key_id == key_id, card_key.c.retired_ms == 0)
    tx.execute(here.values(retired_ms=now_ms))


def newest_id(connection: Connection) -> str:
    """The id of the newest key; "" where the first was never followed by another."""
    newest = select(card_key.c.key_id).order_by(card_key.c.no.desc()).limit(1)
    return connection.execute(newest).scalar() or ""


def retired_ids(connection: Connection) -> tuple[str, ...]:
    """The keys under which a token is no card's name any more."""
    return tuple(connection.execute(select(card_key.c.key_id).where(card_key.c.retired_ms > 0)).scalars())


class _Never:
    """A key that has a row is never made anew."""

    def bytes(self, n: int) -> bytes:
        raise InvariantBroken("the file of a card key vanished while it was read", bytes=n)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
