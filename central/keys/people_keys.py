"""The keys of personal data at head office: files for their owner alone, and a row that says which are in force.

    people.key, people-2.key, …

What is kept is written under the newest and read under the one that its row names, so a change needs no pause. Tills
hold the public half of the newest alone.
Source: central.keys.key_files; docs/operations.md "A new key of personal data".
"""

import hmac
from pathlib import Path

from sqlalchemy import Connection, Engine, select

from central.database.asking import ask
from central.database.tables import people_key
from central.keys.key_files import KeyFiles, make_next_key
from central.ports import Randomness, Settings, read_key
from loyalty.cards.card_keys import FIRST_KEY
from loyalty.trouble import Fault
from sync.keys import exchange_public

_ALL = select(people_key).order_by(people_key.c.no)


class PeopleKeyMissing(Fault):
    code = "central.people_key_missing"


class PeopleKey:
    """What is derived from one key.

    Attributes:
        rest: what the keys of people are encrypted under; `marks`: what telephones and e-mails are hashed under.
        private: what opens what tills sealed to `sealing_key`, 64 hex digits.
    """

    def __init__(self, key_id: str, secret: bytes) -> None:
        self.key_id = key_id
        self.rest = hmac.digest(secret, b"TP-PEOPLE-REST", "sha256")
        self.marks = hmac.digest(secret, b"TP-PEOPLE-MARKS", "sha256")
        self.private = hmac.digest(secret, b"TP-PEOPLE-SEAL", "sha256")
        self.sealing_key = exchange_public(self.private)


class PeopleRing:
    """The keys as rows and files have them now; one for a process, used by any number of threads.

    Args:
        first: 32 secret bytes, the centre's alone: no till ever has them.
        file: where they lie; none where there can be no later ones.
    """

    def __init__(self, first: bytes, file: Path | None = None) -> None:
        self._files = KeyFiles(first, file, PeopleKeyMissing)
        self._derived: dict[str, PeopleKey] = {}

    def in_force(self, connection: Connection) -> tuple[PeopleKey, ...]:
        """Oldest first; the last is what is written under. Raises: PeopleKeyMissing."""
        rows = ask(connection, _ALL)
        ids = [row.key_id for row in rows if not row.retired_ms] or [FIRST_KEY]
        return tuple(map(self.key, ids))

    def key(self, key_id: str) -> PeopleKey:
        """One key, retired or not. Raises: PeopleKeyMissing."""
        if key_id not in self._derived:
            self._derived[key_id] = PeopleKey(key_id, self._files.secret(key_id))
        return self._derived[key_id]

    def on_file(self) -> tuple[PeopleKey, ...]:
        """All that have a file, newest first. One without a row is of after the backup that was put back."""
        return tuple(map(self.key, reversed(self._files.ids())))

    def check_files(self, connection: Connection) -> None:
        """Raises: PeopleKeyMissing: the file of a key that has a row is not there."""
        for key_id in connection.execute(select(people_key.c.key_id)).scalars():
            self.key(key_id)


def make_people_key(settings: Settings, engine: Engine, randomness: Randomness, now_ms: int) -> str:
    """Make a new key, under which everything is written from now on; tills hear its public half with their next hello.

    Returns:
        Its id.
    """
    return make_next_key(engine, people_key, settings.folder / settings.person_key, randomness, now_ms)


def people_files(settings: Settings, randomness: Randomness) -> tuple[bytes, Path]:
    """The first key, made where there is none, and its file."""
    path = settings.folder / settings.person_key
    return read_key(path, randomness), path
