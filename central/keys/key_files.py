"""Secret keys that follow each other: files for their owner alone, and a row that says which are in force.

    programme-card.key, programme-card-2.key, …
    people.key, people-2.key, …

A new key is written beside the first, durably, before its row is: a change that was cut short goes on with the same
file. A file never changes. Source: docs/operations.md "When a key is stolen".
"""

from pathlib import Path

from sqlalchemy import Engine, Table, select

from central.database.rows import put
from central.ports import Randomness, read_key, sync_folder, writing
from loyalty.cards.card_keys import FIRST_KEY
from loyalty.trouble import Fault, InvariantBroken


class KeyFiles:
    """The secrets of one kind by id; one for a process, used by any number of threads.

    Args:
        first: 32 bytes.
        file: where that lies; none where there can be no later ones.
        missing: raised, with a sentence, for a key whose file is not there.
    """

    def __init__(self, first: bytes, file: Path | None, missing: type[Fault]) -> None:
        self._file, self._missing = file, missing
        self._secrets = {FIRST_KEY: first}

    def secret(self, key_id: str) -> bytes:
        """A key's 32 bytes. Raises: the Fault that was given."""
        # A file never changes, so each is read once.
        if key_id not in self._secrets:
            if self._file is None or not (path := file_of(self._file, key_id)).exists():
                raise self._missing(f"The file of key {key_id} is not there; put it back from a backup.")
            self._secrets[key_id] = read_key(path, _Never())
        return self._secrets[key_id]

    def ids(self) -> tuple[str, ...]:
        """Those that have a file, whether they have a row or not, oldest first."""
        later = later_files(self._file) if self._file else {}
        return (FIRST_KEY, *sorted(later, key=lambda key_id: (len(key_id), key_id)))


def file_of(first: Path, key_id: str) -> Path:
    """The file of a key, beside that of the first."""
    return first if key_id == FIRST_KEY else first.with_name(f"{first.stem}-{key_id}{first.suffix}")


def later_files(first: Path) -> dict[str, Path]:
    """The files of the later keys by id, whether they have a row yet or not."""
    found = sorted(first.parent.glob(f"{first.stem}-*{first.suffix}"))
    return {path.stem.removeprefix(f"{first.stem}-"): path for path in found}


def make_next_key(engine: Engine, table: Table, first: Path, randomness: Randomness, now_ms: int) -> str:
    """Make a new key, which is in force at once beside the others.

    Args:
        table: `card_key` or `people_key`, whose rows are numbered from 1.
        first: the file of the first key.
    Returns:
        Its id.
    """
    read_key(first, randomness)
    with writing(engine) as tx:
        put(tx, table, [{"no": 1, "key_id": FIRST_KEY, "made_ms": 0}], "nothing", ["no"])
        newest = tx.execute(select(table.c.no).order_by(table.c.no.desc()).limit(1)).scalar_one()
        key_id = str(newest + 1)
        read_key(file_of(first, key_id), randomness)
        sync_folder(first.parent)
        put(tx, table, [{"no": newest + 1, "key_id": key_id, "made_ms": now_ms}])
    return key_id


class _Never:
    """A key that has a row is never made anew."""

    def bytes(self, n: int) -> bytes:
        raise InvariantBroken("the file of a key vanished while it was read", bytes=n)
