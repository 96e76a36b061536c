"""A disk that fills: what is given up first, what is refused, and how the till comes back by itself."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.journal.journal import Journal
from edge.journal.room import MB, DiskShort, Room, level_of
from edge.journal.troubles import JournalFull
from edge.line.uplink import JournalStore
from edge.sale.till import Till
from sync.lanes import LaneState
from sync.wire import Ack, Lanes, Page
from tests.edge.counter import FakeClock, commit, identity, line, sale
from tests.support.small_disks import small_disk as mounted

BIG = sale(*[line(n, f"article {n}", 100) for n in range(1, 200)])
DAY_MS = 86_400_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 MB."""
    with mounted(tmp_path / "disk", 64) as folder:
        yield folder


def fill(path: Path) -> None:
    """Somebody else's file takes all that is left."""
    with path.open("ab", buffering=0) as file:
        for size in (1_000_000, 4_096, 512):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def sell_until_full(till: Till, answered: list[str]) -> str:
    """Sell, and say which sale was refused."""
    for n in range(len(answered), len(answered) + 20_000):
        try:
            till.commit(commit(f"r{n}", BIG))
        except JournalFull as refused:
            assert "nothing was written" in refused.say
            return f"r{n}"
        answered.append(f"r{n}")
    raise AssertionError("the disk never filled")


def test_a_full_disk_refuses_a_sale_gives_up_its_ballast_and_takes_the_same_sale(
    disk: Path, clock: FakeClock, till: Till
):
    till.journal = journal = Journal.open(disk / "journal.db", identity(), clock)
    room = Room(journal, disk, 16)
    room.keep()
    assert (disk / "ballast").stat().st_size == 16_000_000
    fill(disk / "somebody-elses.log")
    answered: list[str] = []
    refused = sell_until_full(till, answered)
    assert not (disk / "ballast").exists()
    till.commit(commit(refused, BIG))
    answered.append(refused)
    # The other file goes on growing: now there is nothing to give up any more.
    fill(disk / "somebody-elses.log")
    refused = sell_until_full(till, answered)
    for _ in range(3):
        with pytest.raises(JournalFull):
            till.commit(commit(refused, BIG))
    room.keep()
    assert (room.level(), room.has_ballast()) == ("full", False)
    (disk / "somebody-elses.log").unlink()
    began = time.monotonic()
    till.commit(commit(refused, BIG))
    room.keep()
    assert time.monotonic() - began < 10
    assert room.has_ballast()
    answered.append(refused)
    journal.close()
    reopened = Journal.open(disk / "journal.db", identity(), clock)
    assert [entry.event.receipt_id for entry in reopened.entries_after(0)] == answered
    reopened.close()


def test_on_a_full_disk_the_log_is_emptied_before_anything_is_forgotten(
    disk: Path, clock: FakeClock, till: Till, monkeypatch: pytest.MonkeyPatch
):
    till.journal = journal = Journal.open(disk / "journal.db", identity(), clock)
    monkeypatch.setattr(journal, "_kept", journal._kept.__class__(days=14, events=10))
    answered = [f"r{n}" for n in range(1_200)]
    for name in answered:
        till.commit(commit(name, sale(line(1, "bread", 1_000))))
    head = journal.head()
    journal.outbox.take_ack(
        Ack(key_no=1, answers="00" * 32, server_at_ms=0, head=head, generation=0, block_no=0, block_hash="00" * 32,
            lanes=Lanes())
    )  # fmt: skip
    clock.pass_ms(15 * DAY_MS)
    done: list[str] = []
    empty, forget = journal.checkpoint, journal._database.writing
    monkeypatch.setattr(journal, "checkpoint", lambda: (done.append("log"), empty())[1])
    monkeypatch.setattr(journal._database, "writing", lambda: (done.append("step"), forget())[1])
    room = Room(journal, disk, 16)
    room.keep()
    fill(disk / "somebody-elses.log")
    done.clear()
    room.make_room()
    # What members did is written, then 1,190 events go in steps of 500, and the log is emptied after each.
    assert done[:7] == ["log", "step", "log", "step", "log", "step", "log"]
    assert (journal.outbox.hash_at(1), journal.outbox.hash_at(1_190), journal.head()) == (None, None, head)
    assert journal.outbox.hash_at(1_191) is not None


@pytest.mark.parametrize(
    ("free_mb", "level"), [(501, "plenty"), (499, "low"), (100, "low"), (99, "short"), (32, "short"), (31, "full")]
)
def test_how_full_a_disk_is(free_mb: int, level: str):
    assert level_of(free_mb * MB) == level


def test_members_and_news_of_the_log_are_given_up_before_sales(till: Till, tmp_path: Path):
    free = 99 * MB
    room = Room(till.journal, tmp_path, 16, free=lambda: free)
    store = JournalStore(till.journal, till.cache, till.clock, room.check_cosmetic)
    page = Page(lane="members", from_cursor="", to_cursor="1", version=1, more=False, rows=())
    room.keep()
    assert not logging.getLogger("edge").isEnabledFor(logging.INFO)
    assert logging.getLogger("edge").isEnabledFor(logging.WARNING)
    with pytest.raises(DiskShort, match="sales go on"):
        store.take_page(page, LaneState(cursor="1", version=1))
    # What a sale needs comes down, and a sale is kept.
    store.take_page(
        Page(lane="hotlist", from_cursor="", to_cursor="1", version=1, more=False, rows=()),
        LaneState(cursor="1", version=1),
    )
    till.commit(commit("r1"))
    free = 200 * MB
    room.keep()
    assert (tmp_path / "ballast").exists()
    store.take_page(page, LaneState(cursor="1", version=1))


def test_a_till_that_wants_no_ballast_lays_none(till: Till, tmp_path: Path):
    room = Room(till.journal, tmp_path, 0)
    room.keep()
    assert (room.has_ballast(), (tmp_path / "ballast").exists()) == (True, False)
