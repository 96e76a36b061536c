"""A journal with a bit turned over, cut short or overwritten: the till sells on, and what it keeps of it is true."""

import sqlite3
import time
from pathlib import Path
from random import Random

import pytest

from edge.cache.cache import Cache
from edge.identity import write_identity_file
from edge.opening import SALVAGED, OpenedJournal, open_journal
from edge.ports import Settings
from edge.sale.till import Till
from edge.salvage.carving import carve, event_of, is_sound_log
from loyalty.trouble import Trouble
from sync.exports import open_export
from tests.edge.counter import TILL_ID, FakeClock, commit, identity, line, sale
from tests.faults.lengths import rounds
from tests.faults.scenes import Place, ask_of, prepare

SALES = 40
Row = tuple[int, str, bytes, str]


def rows_in(path: Path) -> list[Row]:
    """What is chained of the events of the first epoch, and by which id they are found."""
    with sqlite3.connect(path) as db:
        found = db.execute("SELECT seq, receipt_id, payload, hash FROM event WHERE epoch = 1 ORDER BY seq").fetchall()
    db.close()
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a till that sold forty times, its log emptied into the file."""
    prepare(tmp_path / "till", "sell")
    place = Place(tmp_path / "till")
    for n in range(0, 2 * SALES, 2):
        place.till.commit(ask_of(n))
    place.journal.checkpoint()
    place.close()
    write_identity_file(tmp_path / "till", identity())
    return tmp_path / "till"


def open_again(folder: Path) -> OpenedJournal:
    return open_journal(Settings(data_dir=str(folder)), identity(), FakeClock(), lambda bits: 0)


def clear(folder: Path, whole: bytes) -> None:
    """The folder as before it was harmed, but for its journal."""
    for pattern in ("journal*", "damaged-*/*", "salvage-*", "identity*"):
        for path in folder.glob(pattern):
            path.unlink()
    write_identity_file(folder, identity())
    (folder / "journal.db").write_bytes(whole)


def sell_on(folder: Path, opened: OpenedJournal) -> None:
    """A sale is written in the epoch that began, and is there when the till starts once more."""
    cache = Cache.open(folder / "cache.db", opened.identity, FakeClock())
    till = Till(
        journal=opened.journal, cache=cache, clock=FakeClock(), settings=Settings(data_dir=str(folder)),
        identity=opened.identity,
    )  # fmt: skip
    sold = till.commit(commit("after", sale(line(1, "bread", 1_000), card=None)))
    assert sold.head.epoch == opened.identity.epoch > 1
    opened.journal.close()
    cache.close()


def test_whatever_bit_turns_over_the_till_sells_on_with_what_is_true(folder: Path) -> None:
    whole, told = (folder / "journal.db").read_bytes(), rows_in(folder / "journal.db")
    assert len(told) == SALES
    dice, salvaged, kept = Random("salvage"), 0, 0
    for _ in range(rounds(90, 3_000)):
        clear(folder, whole)
        at, bit = dice.randrange(len(whole)), 1 << dice.randrange(8)
        (folder / "journal.db").write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
        opened = open_again(folder)
        if opened.why != SALVAGED:
            opened.journal.close()
            continue
        sell_on(folder, opened)
        here = rows_in(folder / "journal.db")
        assert here == told[: len(here)], (at, bit)
        salvaged, kept = salvaged + 1, kept + len(here)
    print(f"{salvaged} salvages kept {kept} of {salvaged * SALES} events on the trunk")
    assert salvaged > 5
    assert kept > salvaged * SALES // 4


@pytest.mark.parametrize(("percent", "least"), [(0, 0), (20, 0), (90, 5), (97, 20)])
def test_of_a_journal_cut_short_what_is_left_is_kept(percent: int, least: int, folder: Path) -> None:
    whole, told = (folder / "journal.db").read_bytes(), rows_in(folder / "journal.db")
    clear(folder, whole[: 100 + len(whole) * percent // 100])
    opened = open_again(folder)
    assert opened.why == SALVAGED
    sell_on(folder, opened)
    here = rows_in(folder / "journal.db")
    assert here == told[: len(here)]
    print(f"{percent} %: {len(here)} of {len(told)}")
    assert len(here) >= least


def test_a_journal_without_its_first_page_is_kept_whole(folder: Path) -> None:
    """No schema, no page size, no list of tables: the events are found by what they are."""
    whole, told = (folder / "journal.db").read_bytes(), rows_in(folder / "journal.db")
    clear(folder, bytes(4_096) + whole[4_096:])
    began = time.monotonic()
    opened = open_again(folder)
    sell_on(folder, opened)
    assert time.monotonic() - began < 60
    assert rows_in(folder / "journal.db") == told


def test_what_lies_only_in_the_log_is_kept(folder: Path) -> None:
    place = Place(folder)
    place.till.commit(ask_of(200))
    db, wal = (folder / "journal.db").read_bytes(), (folder / "journal.db-wal").read_bytes()
    place.close()
    told = rows_in(folder / "journal.db")
    clear(folder, bytes(4_096) + db[4_096:])
    (folder / "journal.db-wal").write_bytes(bytes(32) + wal[32:])
    opened = open_again(folder)
    sell_on(folder, opened)
    assert [row[1] for row in rows_in(folder / "journal.db")] == [row[1] for row in told]
    assert told[-1][1] == "r200"


def log_of_a_crash(folder: Path) -> tuple[bytes, bytes]:
    """A till that sold once more and was killed: its file, and the log that alone has the sale."""
    place = Place(folder)
    place.till.commit(ask_of(200))
    files = (folder / "journal.db").read_bytes(), (folder / "journal.db-wal").read_bytes()
    place.close()
    return files


def test_a_log_that_sqlite_passes_over_since_its_first_bytes_are_damaged_is_found(folder: Path) -> None:
    db, wal = log_of_a_crash(folder)
    clear(folder, db)
    (folder / "journal.db-wal").write_bytes(wal[:5] + bytes([wal[5] ^ 4]) + wal[6:])
    opened = open_again(folder)
    assert opened.why == SALVAGED
    sell_on(folder, opened)
    assert rows_in(folder / "journal.db")[-1][1] == "r200"


def test_a_sound_log_is_read_as_ever(folder: Path) -> None:
    db, wal = log_of_a_crash(folder)
    clear(folder, db)
    (folder / "journal.db-wal").write_bytes(wal)
    assert is_sound_log(wal)
    opened = open_again(folder)
    assert (opened.why, opened.journal.find("r200") is not None) == ("", True)
    opened.journal.close()


def test_events_behind_one_that_is_lost_are_in_the_signed_file_and_in_no_stream(folder: Path) -> None:
    told = rows_in(folder / "journal.db")
    with sqlite3.connect(folder / "journal.db") as db:
        db.execute("UPDATE event SET payload = ? WHERE seq = 11", (told[10][2].replace(b"bread", b"break"),))
    db.close()
    opened = open_again(folder)
    assert [loose.first_seq for loose in opened.journal.left.loose()] == [12]
    opened.journal.close()
    assert rows_in(folder / "journal.db") == told[:10]
    (file,) = folder.glob("salvage-1-*.export")
    held = open_export(file.read_bytes(), lambda till, key: identity().signer.public)
    header, batches = held.header, held.batches
    assert (header.till_id, header.why, len(batches)) == (TILL_ID, "salvage", 2)


def test_a_record_longer_than_a_page_is_carved_whole(folder: Path) -> None:
    with sqlite3.connect(folder / "journal.db") as db:
        db.execute("UPDATE event SET payload = ? WHERE seq = 3", (bytes(range(256)) * 100,))
    db.close()
    found = [event_of(record) for record in carve((folder / "journal.db").read_bytes(), b"")]
    assert [one.payload for one in found if one and one.seq == 3] == [bytes(range(256)) * 100]


def test_a_file_that_is_no_journal_at_all_is_moved_aside_and_the_till_begins_anew(folder: Path) -> None:
    clear(folder, Random("noise").randbytes(20_000))
    opened = open_again(folder)
    sell_on(folder, opened)
    assert rows_in(folder / "journal.db") == []
    (aside,) = folder.glob("damaged-*/journal.db")
    assert aside.stat().st_size == 20_000


def test_a_journal_of_another_till_is_not_salvaged_into_this_one(folder: Path) -> None:
    with pytest.raises(Trouble) as refused:
        open_journal(Settings(data_dir=str(folder)), identity(till_id="cd" * 16), FakeClock(), lambda bits: 0)
    assert refused.value.code == "journal.other_till"
