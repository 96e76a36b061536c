"""The programme's card keys at head office: files for their owner alone, and a row that says which are in force.

    programme-card.key, programme-card-2.key, …

Source: central.keys.key_files; docs/decisions/card-goes-by-two-names.md.
"""

from pathlib import Path

from sqlalchemy import Connection, Engine, select, update

from central.database.asking import ask, ask_one
from central.database.tables import card_key
from central.keys.key_files import KeyFiles, make_next_key
from central.ports import Randomness, Settings, read_key
from loyalty.cards.card_keys import FIRST_KEY, CardKey, CardKeys, one_card_key
from loyalty.trouble import Fault

_ALL = select(card_key).order_by(card_key.c.no)
_NEWEST = select(card_key.c.key_id).order_by(card_key.c.no.desc()).limit(1)
_RETIRED = select(card_key.c.key_id).where(card_key.c.retired_ms > 0)


class CardKeyMissing(Fault):
    code = "central.card_key_missing"


class KeyRing:
    """The card keys as rows and files have them now; one for a process, used by any number of threads.

    Args:
        first: the programme's first key, 32 bytes.
        file: where that lies; none where there can be no later ones.
    """

    def __init__(self, first: bytes, file: Path | None = None) -> None:
        self._files = KeyFiles(first, file, CardKeyMissing)

    def read(self, connection: Connection) -> CardKeys:
        """All keys, oldest first. Raises: CardKeyMissing: the file of one is not there."""
        rows = ask(connection, _ALL)
        if not rows:
            return one_card_key(self._files.secret(FIRST_KEY))
        return CardKeys(
            keys=tuple(
                CardKey(key_id=row.key_id, key=self._files.secret(row.key_id).hex(), retired=row.retired_ms > 0)
                for row in rows
            )
        )


def ring_of(settings: Settings, randomness: Randomness) -> KeyRing:
    """The keys that the settings lead to; the first is made where there is none."""
    path = settings.folder / settings.card_key
    return KeyRing(read_key(path, randomness), path)


def make_card_key(settings: Settings, engine: Engine, randomness: Randomness, now_ms: int) -> str:
    """Make a new key, which is in force at once beside the others; tills get it with their next hello.

    Returns:
        Its id.
    """
    return make_next_key(engine, card_key, settings.folder / settings.card_key, randomness, now_ms)


def set_retired(tx: Connection, key_id: str, now_ms: int) -> None:
    """A key names no card any more; see `central.members.card_change.retire_card_key`, which looks first."""
    here = update(card_key).where(card_key.c.key_id == key_id, card_key.c.retired_ms == 0)
    tx.execute(here.values(retired_ms=now_ms))


def newest_id(connection: Connection) -> str:
    """The id of the newest key; "" where the first was never followed by another."""
    return ask_one(connection, _NEWEST) or ""


def retired_ids(connection: Connection) -> tuple[str, ...]:
    """The keys under which a token is no card's name any more."""
    return tuple(row.key_id for row in ask(connection, _RETIRED))
