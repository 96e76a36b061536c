"""Files that a later version of the till wrote: the journal is refused and left as it is, the cache is fetched anew."""

import hashlib
from pathlib import Path

import pytest
import sqlite_utils

from edge.cache.cache import Cache
from edge.doctor import examine
from edge.identity import write_identity_file
from edge.journal import tables as journal_tables
from edge.journal.troubles import JournalNewer
from edge.opening import open_journal
from edge.service import TillService
from tests.edge.counter import FakeClock
from tests.edge.rim import furnish, identity, settings


def raised(path: Path, kind: str, *statements: str) -> None:
    """What the version after this one makes of a file."""
    database = sqlite_utils.Database(path)
    for statement in statements:
        database.execute(statement)
    database.execute("INSERT INTO _sqlite_migrations (migration_set, name) VALUES (?, 'weather')", (kind,))
    database.conn.commit()
    database.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A till that sold something and was stopped."""
    made = tmp_path / "till"
    service = TillService(settings(made), identity=identity(), port=0)
    furnish(service.journal, service.cache, service.clock)
    write_identity_file(made, identity())
    service.start()
    service.stop()
    return made


def test_a_journal_of_a_later_version_is_refused_and_not_a_byte_of_it_changes(folder: Path) -> None:
    raised(folder / "journal.db", "journal", "ALTER TABLE event RENAME TO fact")
    before = hashlib.sha256((folder / "journal.db").read_bytes()).hexdigest()
    with pytest.raises(JournalNewer, match="Start that version again"):
        TillService(settings(folder), identity=identity(), port=0)
    assert hashlib.sha256((folder / "journal.db").read_bytes()).hexdigest() == before
    assert not list(folder.glob("damaged*"))
    # The later version goes on with it.
    database = sqlite_utils.Database(folder / "journal.db")
    database.execute("ALTER TABLE fact RENAME TO event")
    database.execute("DELETE FROM _sqlite_migrations WHERE name = 'weather'")
    database.conn.commit()
    database.close()
    TillService(settings(folder), identity=identity(), port=0)._close()


def test_its_doctor_says_so_too(folder: Path) -> None:
    raised(folder / "journal.db", "journal", "ALTER TABLE stream DROP COLUMN kept_apart")
    said = {one.code: one for one in examine(settings(folder), 0, None).ailments}
    assert said["journal.newer"].level == "danger" and "Start that version again" in said["journal.newer"].do
    assert "journal.unreadable" not in said


@pytest.mark.parametrize("lacking", ["leases", "unheard"])
def test_its_doctor_does_not_take_a_journal_of_an_earlier_version_for_a_damaged_one(lacking: str, folder: Path) -> None:
    (folder / "journal.db").unlink()
    older = sqlite_utils.Database(folder / "journal.db", execute_plugins=False)
    journal_tables._journal.apply(older, stop_before=lacking)
    older.close()
    before = (folder / "journal.db").read_bytes()
    said = {one.code: one for one in examine(settings(folder), 0, None).ailments}
    assert said["journal.older"].level == "wrong" and "Start the service" in said["journal.older"].do
    assert not {"journal.unreadable", "journal.other_till", "journal.newer"} & said.keys()
    assert (folder / "journal.db").read_bytes() == before


def test_a_name_of_a_migration_that_is_damaged_is_no_later_version(folder: Path) -> None:
    database = sqlite_utils.Database(folder / "journal.db")
    database.execute("UPDATE _sqlite_migrations SET name = 'unheare' WHERE name = 'unheard'")
    database.conn.commit()
    database.close()
    opened = open_journal(settings(folder), identity(), FakeClock(), lambda bits: 7)
    assert opened.why == "journal.salvaged"
    opened.journal.close()


def test_a_cache_of_a_later_version_is_put_aside_and_fetched_anew(folder: Path) -> None:
    raised(folder / "cache.db", "cache", "ALTER TABLE member RENAME TO person")
    cache = Cache.open(folder / "cache.db", identity(), FakeClock())
    assert cache.counts()["member"] == 0
    assert (folder / "cache.db.damaged").exists()
    cache.close()
