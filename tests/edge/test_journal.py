"""What is answered is kept: through kills, full disks, flipped bits and restarts."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
import sqlite_utils

from edge.database import UnsafeDatabase
from edge.journal import tables as journal_tables
from edge.journal.journal import Journal, open_epoch
from edge.journal.promises import Hold
from edge.journal.tables import make_tables
from edge.journal.troubles import JournalBroken, JournalDamaged, JournalFull, OtherTill
from edge.refusals import EventTooLarge
from edge.sale.till import Till
from edge.salvage.carving import event_of
from loyalty.baskets import Place
from loyalty.facts.events import Opened
from loyalty.facts.receipts import Receipt
from loyalty.members import Use
from loyalty.trouble import InvariantBroken
from sync.blocks import BlockMark
from sync.chain import ZERO_HASH, StreamHead, walk
from sync.wire import Grant, HelloAnswer, Lanes, SignedGrant
from tests.edge.conftest import OpenTill
from tests.edge.counter import FakeClock, commit, identity, line, sale
from tests.support.small_disks import small_disk as mounted

DAY_MS = 86_400_000
KILLED_AT = Path(__file__).with_name("killed.py")


def opened(journal: Journal, receipt_id: str) -> StreamHead:
    with journal.writing():
        return journal.append(Opened(receipt_id=receipt_id, reason="test"))


def heard(journal: Journal, seq: int) -> None:
    """Head office says that it has the stream up to `seq`."""
    head = StreamHead(till_id="ab" * 16, epoch=1, seq=seq, hash=journal.outbox.hash_at(seq) or ZERO_HASH)
    answer = HelloAnswer(
        key_no=1, answers=ZERO_HASH, server_at_ms=0, head=head, generation=1, block_no=0, block_hash=ZERO_HASH,
        lanes=Lanes(),
    )  # fmt: skip
    journal.outbox.take_hello(answer)


def told_of_block(journal: Journal, block_no: int, hash_: str, generation: int = 1) -> None:
    """Head office answers a hello, and names a block."""
    head = StreamHead(till_id="ab" * 16, epoch=1)
    answer = HelloAnswer(
        key_no=1, answers=ZERO_HASH, server_at_ms=0, head=head, generation=generation, block_no=block_no,
        block_hash=hash_, lanes=Lanes(),
    )  # fmt: skip
    journal.outbox.take_hello(answer)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path, clock: FakeClock) -> Iterator[Journal]:
    journal = Journal.open(path, identity(), clock)
    yield journal
    journal.close()


# The stream


def test_events_hang_on_one_chain_that_a_restart_goes_on_with(path: Path, clock: FakeClock) -> None:
    journal = Journal.open(path, identity(), clock)
    open_epoch(journal, "enrolled")
    opened(journal, "r1")
    journal.close()
    journal = Journal.open(path, identity(), clock)
    open_epoch(journal, "enrolled")  # is there already
    opened(journal, "r2")
    entries = journal.entries_after(0)
    assert [entry.event.receipt_id for entry in entries] == ["opened:1", "r1", "r2"]
    start = StreamHead(till_id="ab" * 16, epoch=1)
    assert [entry.head for entry in entries] == list(
        walk(start, bytes.fromhex("0f" * 32), [entry.payload for entry in entries])
    )
    assert journal.head() == entries[-1].head


def test_what_is_raised_inside_a_transaction_leaves_nothing_behind(journal: Journal) -> None:
    with pytest.raises(ZeroDivisionError), journal.writing():
        journal.append(Opened(receipt_id="r1", reason="test"))
        raise ZeroDivisionError
    assert (journal.find("r1"), journal.head().seq) == (None, 0)
    assert opened(journal, "r2").seq == 1


def test_two_events_of_one_transaction_follow_one_another(journal: Journal) -> None:
    with journal.writing():
        first = journal.append(Opened(receipt_id="r1", reason="test"))
        second = journal.append(Opened(receipt_id="r2", reason="test"))
    assert (first.seq, second.seq, journal.head()) == (1, 2, second)


def test_an_event_outside_a_transaction_is_a_mistake_of_ours(journal: Journal) -> None:
    with pytest.raises(InvariantBroken):
        journal.append(Opened(receipt_id="r1", reason="test"))


def test_an_event_that_no_batch_could_carry_is_refused_before_it_blocks_all_behind_it(journal: Journal) -> None:
    with pytest.raises(EventTooLarge, match="Split it"), journal.writing():
        journal.append(Opened(receipt_id="r1", reason="x" * 2_097_152))
    assert opened(journal, "r2").seq == 1


def test_events_to_send_come_in_order_and_within_the_bytes_asked_for(journal: Journal) -> None:
    for n in range(1, 6):
        opened(journal, f"r{n}")
    size = len(journal.outbox.unsent(0, 1, 1)[0].payload)  # one comes however small the room
    assert [unsent.seq for unsent in journal.outbox.unsent(1, 500, 2 * (size + 1))] == [2, 3]
    assert [unsent.seq for unsent in journal.outbox.unsent(3, 500, 1_000_000)] == [4, 5]
    assert journal.outbox.unsent(5, 500, 1_000_000) == []
    assert journal.backlog() == 5
    heard(journal, 3)
    assert journal.backlog() == 2


def test_request_numbers_grow_through_restarts(path: Path, clock: FakeClock) -> None:
    journal = Journal.open(path, identity(), clock)
    assert [journal.outbox.next_counter() for _ in range(3)] == [1, 2, 3]
    assert journal.outbox.next_counter(above=500) == 501
    journal.close()
    after = Journal.open(path, identity(), clock)
    assert after.outbox.next_counter() > 501


def test_a_suspension_outlives_a_restart(path: Path, clock: FakeClock) -> None:
    journal = Journal.open(path, identity(), clock)
    journal.outbox.set_suspended("sync.fork")
    journal.close()
    assert Journal.open(path, identity(), clock).outbox.suspended() == "sync.fork"


def test_only_old_acknowledged_events_beyond_the_newest_are_forgotten(journal: Journal, clock: FakeClock) -> None:
    for n in range(1, 11):
        opened(journal, f"r{n}")
    heard(journal, 9)
    young = clock.wall_ms
    assert journal.outbox.prune(young, keep=3) == 0
    assert journal.outbox.prune(young + 1, keep=8) == 2
    assert journal.outbox.prune(young + 1, keep=0) == 6
    # Number 9 is the last that head office has, 10 it has not.
    assert [entry.head.seq for entry in journal.entries_after(0)] == [9, 10]
    assert journal.head().seq == 10


def test_a_new_epoch_says_what_it_left_behind_and_begins_without_floats_and_uses(
    till: Till, tmp_path: Path, clock: FakeClock
) -> None:
    last = till.commit(commit("r1", sale(points=100))).head
    till.journal.close()
    journal = Journal.open(tmp_path / "journal.db", identity(epoch=2), clock)
    open_epoch(journal, "rewound")
    event = journal.entries_after(0)[0].event
    assert isinstance(event, Opened)
    assert (event.reason, event.left_epoch, event.left_seq, event.left_hash) == ("rewound", 1, 2, last.hash)
    assert (journal.float_left(clock.now()).points, journal.own_uses.after(1, 0)) == (0, ())
    assert journal.find("r1") is not None
    assert (journal.backlog(), journal.outbox.left_unsent()) == (1, 2)  # head office never had the first epoch's two
    journal.close()
    with pytest.raises(OtherTill):
        Journal.open(tmp_path / "journal.db", identity(epoch=1), clock)
    with pytest.raises(OtherTill):
        Journal.open(tmp_path / "journal.db", identity(till_id="cd" * 16, epoch=2), clock)


# Counters of no account


def teas_of(receipt_id: str, amount: int) -> Receipt:
    """A sale that counts cheap teas, and a coupon that paid for them."""
    place = Place(
        partner_id="fresh", store_id="s1", till_id="ab" * 16, channel="pos", sold_at_ms=0, offset_min=0,
        business_date=date(2026, 3, 5),
    )  # fmt: skip
    uses = (Use(name="promo:tea", amount=amount), Use(name="coupon:A", amount=amount))
    return Receipt(receipt_id=receipt_id, place=place, net_minor=0, shared_uses=uses)


def had(journal: Journal, receipt_id: str, amount: int) -> None:
    with journal.writing():
        journal.append(teas_of(receipt_id, amount))


def test_what_everybody_has_together_is_one_row_a_counter_and_is_never_forgotten(path: Path, clock: FakeClock) -> None:
    journal = Journal.open(path, identity(), clock)
    for n in range(5):
        had(journal, f"r{n}", 1)
    had(journal, "v0", -1)
    teas = (Use(name="promo:tea", amount=4),)
    assert journal.own_uses.shared(["promo:tea", "promo:pot"]) == teas
    journal.own_uses.forget([(0, 99)])
    heard(journal, 6)
    clock.pass_ms(30 * DAY_MS)
    journal.prune()
    assert journal.counts()["own_use"] == 2
    journal.close()
    for epoch in (1, 2, 3):  # a restart, and two streams begun anew
        journal = Journal.open(path, identity(epoch=epoch), clock)
        assert journal.own_uses.shared(["promo:tea"]) == teas
        journal.close()


def test_a_sale_that_fails_counts_nothing_and_a_counter_at_zero_is_not_told(journal: Journal) -> None:
    with pytest.raises(ZeroDivisionError), journal.writing():
        journal.append(teas_of("r1", 1))
        raise ZeroDivisionError
    had(journal, "r2", 1)
    assert journal.own_uses.shared(["promo:tea"]) == (Use(name="promo:tea", amount=1),)
    had(journal, "v2", -1)
    assert journal.own_uses.shared(["promo:tea", "coupon:A"]) == ()


# The file


def test_the_file_is_for_the_service_alone_and_every_setting_holds(
    waiting_for_disks: None, journal: Journal, path: Path
) -> None:
    for name in ("journal.db", "journal.db-wal"):
        assert stat.S_IMODE(path.with_name(name).stat().st_mode) == 0o600
    found = {
        name: journal._database.writer.execute(f"PRAGMA {name}").fetchone()
        for name in ("journal_mode", "synchronous", "foreign_keys", "cell_size_check", "trusted_schema", "busy_timeout")
    }
    assert found == {
        "journal_mode": ("wal",), "synchronous": (2,), "foreign_keys": (1,), "cell_size_check": (1,),
        "trusted_schema": (0,), "busy_timeout": (5000,),
    }  # fmt: skip
    tables = journal._database.rows(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%sqlite%'"
    )
    assert {name for name, sql in tables} == {
        "event", "own_use", "lease", "hold", "stream", "flagged", "counter", "peer", "transfer_in", "transfer_out",
        "grant_kept", "loose", "parked", "exchange", "certificate_move",
        "number_span", "number_used", "own_block", "own_card", "own_claim", "own_consent", "own_name", "sealed", "told",
        "told_account", "promised", "unheard",
    }  # fmt: skip
    assert all(sql.rstrip().endswith("STRICT") for _, sql in tables)


def test_own_uses_of_an_older_journal_are_all_there_after_the_change_of_their_table() -> None:
    tables = sqlite_utils.Database(sqlite3.connect(":memory:", isolation_level=None))
    journal_tables._journal.apply(tables, stop_before="leaner_sales")
    rows = [(7, 1, 2, "visits", 1), (7, 1, 2, "spend", 990), (0, 0, 0, "promo:tea", 3)]
    tables.conn.executemany("INSERT INTO own_use VALUES (?, ?, ?, ?, ?)", rows)
    make_tables(tables)
    assert tables.execute("SELECT * FROM own_use").fetchall() == sorted(rows, key=lambda row: row[:4])
    indexes = {name for (name,) in tables.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
    assert "lease_float" in indexes and "lease_left" not in indexes


def test_events_holds_and_floats_of_an_older_journal_are_all_there_after_the_change_of_their_tables() -> None:
    tables = sqlite_utils.Database(sqlite3.connect(":memory:", isolation_level=None))
    journal_tables._journal.apply(tables, stop_before="fewer_pages")
    events = [
        (1, 1, "r1", "", "receipt.v1", None, 10, b"one", "aa"),
        (1, 2, "v1", "", "void.v1", "r1", 11, b"two", "bb"),
        (4_294_967_295, 1, "c1", "", "till_close.v1", None, 12, b"three", "cc"),  # the highest epoch that can be
    ]
    tables.conn.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", events)
    tables.conn.executemany(
        "INSERT INTO hold (hold_id, epoch, account_id, points, lease_id, ask_sha256, state)"
        " VALUES (?, 1, 7, ?, 'F', '', ?)",
        [("h1", 50, "open"), ("h2", 60, "captured")],
    )
    tables.conn.executemany(
        "INSERT INTO lease (lease_id, epoch, grant_no, account_id, points, spent, spend_for_s, settle_until_ms, signed)"
        " VALUES (?, 1, ?, ?, 900, 300, 0, 0, x'00')",
        [("F", 1, None), ("L", 2, 7)],
    )
    make_tables(tables)
    assert tables.execute("SELECT * FROM event ORDER BY place").fetchall() == [
        (2_147_483_649, *events[0]),
        (2_147_483_650, *events[1]),
        (9_223_372_034_707_292_161, *events[2]),
    ]
    assert tables.execute("SELECT * FROM promised ORDER BY what").fetchall() == [
        ("float", "F", 300, None),
        ("hold", "h1", 50, None),
    ]
    assert tables.execute("SELECT lease_id, spent FROM lease ORDER BY 1").fetchall() == [("F", 0), ("L", 300)]


def test_an_event_is_carved_out_of_the_present_table_and_out_of_an_older_one() -> None:
    row = (1, 2, "r1", "", "receipt.v1", None, 10, b"one", "aa")
    found = [event_of(record) for record in ((None, *row), row, (None, None, *row), row[1:])]
    assert [one and (one.epoch, one.seq, one.hash) for one in found] == [(1, 2, "aa"), (1, 2, "aa"), None, None]


def test_a_small_sale_paid_with_points_writes_three_pages(path: Path, clock: FakeClock) -> None:
    """Of the events, of their ids, and the one of what is promised; growth comes on top."""
    journal, log = Journal.open(path, identity(), clock), path.with_name("journal.db-wal")
    grant = Grant(
        lease_id="F", grant_no=1, till_id="ab" * 16, epoch=1, key_no=1, account_id=None, points=1_000,
        spend_for_s=86_400, settle_until_ms=DAY_MS, granted_at_ms=0,
    )  # fmt: skip
    now = clock.now()
    with journal.writing():
        journal.promises.take_grants([SignedGrant(grant=grant, signed=b"signed")], now)
        journal.promises.add_hold(
            Hold(hold_id="h1", account_id=7, points=100, lease_id="F", ask_sha256="", opened=now)
        )
    frames = []
    for n in range(9):
        before = log.stat().st_size
        with journal.writing():
            journal.append(teas_of(f"r{n}", 1))
            journal.promises.spend(1, now)
            journal.promises.capture("h1", f"r{n}")
        frames.append((log.stat().st_size - before) // (24 + 4_096))
    journal.close()
    assert sorted(frames)[4] == 3, frames


def test_a_disk_that_cannot_keep_a_log_is_told(path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = sqlite3.connect(":memory:", isolation_level=None)
    monkeypatch.setattr(sqlite3, "connect", lambda *_, **__: memory)
    with pytest.raises(UnsafeDatabase, match="on a local disk"):
        Journal.open(path, identity(), clock)


@pytest.mark.parametrize("column", ["payload", "hash"])
def test_an_event_changed_behind_our_back_is_found_at_the_next_start(
    till: Till, tmp_path: Path, clock: FakeClock, column: str
) -> None:
    till.commit(commit("r1"))
    till.commit(commit("r2"))
    till.journal.close()
    with sqlite3.connect(tmp_path / "journal.db") as other:
        value = b"{}" if column == "payload" else "00" * 32
        other.execute(f"UPDATE event SET {column} = ? WHERE seq = 2", (value,))
    with pytest.raises(JournalDamaged, match="the chain breaks at event 2"):
        Journal.open(tmp_path / "journal.db", identity(), clock)


def test_a_row_whose_name_was_damaged_is_damage_and_no_crash(path: Path, clock: FakeClock) -> None:
    Journal.open(path, identity(), clock).close()
    with sqlite3.connect(path) as other:
        assert other.execute("UPDATE counter SET name = 'requesu' WHERE name = 'request'").rowcount == 1
    with pytest.raises(JournalDamaged, match="a row that every journal of ours holds is gone"):
        Journal.open(path, identity(), clock)


def test_a_file_that_is_no_database_is_told_with_what_to_do(path: Path, clock: FakeClock) -> None:
    path.write_bytes(b"not a database at all" * 1_000)
    with pytest.raises(JournalDamaged, match="saves what is true"):
        Journal.open(path, identity(), clock)


def test_after_a_failed_write_nothing_is_written_until_a_restart(till: Till) -> None:
    class Failing:
        """A connection whose disk gives out at the commit."""

        def __init__(self, real: sqlite3.Connection) -> None:
            self.real = real

        def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
            if sql == "COMMIT":
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = 1034  # SQLITE_IOERR_FSYNC
                raise error
            return self.real.execute(sql, *values)

        def __getattr__(self, name: str) -> object:
            return getattr(self.real, name)

    database = till.journal._database
    real = database.writer
    database.writer = Failing(real)  # type: ignore[assignment]
    with pytest.raises(JournalBroken, match="start the till service again"):
        till.commit(commit("r1"))
    database.writer = real
    with pytest.raises(JournalBroken):
        till.commit(commit("r1"))
    assert till.journal.find("r1") is None


# Full disks


def test_a_full_disk_refuses_the_sale_whole_and_the_next_one_works_once_there_is_space(till: Till) -> None:
    writer = till.journal._database.writer
    kept = till.commit(commit("r0")).head
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages}")
    big = sale(*[line(n, f"article {n}", 100) for n in range(1, 400)], points=100)
    with pytest.raises(JournalFull, match="Free some space"):
        till.commit(commit("r1", big))
    assert (till.journal.find("r1"), till.journal.head()) == (None, kept)
    assert till.journal.float_left(till.clock.now()).points == 5_000
    writer.execute("PRAGMA max_page_count = 1000000")
    assert till.commit(commit("r1", big)).head.seq == kept.seq + 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 2 MB."""
    with mounted(tmp_path / "disk", 2) as folder:
        yield folder


def test_on_a_disk_that_is_really_full_no_answered_sale_is_lost(small_disk: Path, clock: FakeClock, till: Till) -> None:
    till.journal = journal = Journal.open(small_disk / "journal.db", identity(), clock)
    big = sale(*[line(n, f"article {n}", 100) for n in range(1, 200)])
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_000_000))
    answered = []
    with pytest.raises(JournalFull):
        for n in range(1_000):
            till.commit(commit(f"r{n}", big))
            answered.append(f"r{n}")
    refused = f"r{len(answered)}"
    assert len(answered) > 3
    for _ in range(3):
        with pytest.raises(JournalFull):
            till.commit(commit(refused, big))
    ballast.unlink()
    till.commit(commit(refused, big))
    journal.close()
    reopened = Journal.open(small_disk / "journal.db", identity(), clock)
    assert [entry.event.receipt_id for entry in reopened.entries_after(0)] == [*answered, refused]
    reopened.close()


# Kills


@pytest.mark.parametrize("point", ["before BEGIN", "after INSERT", "before COMMIT", "after COMMIT", "answered"])
def test_a_till_that_is_killed_keeps_what_was_committed_and_nothing_else(
    open_till: OpenTill, till: Till, tmp_path: Path, point: str
) -> None:
    till.commit(commit("r0"))
    till.journal.close()
    till.cache.close()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    child = subprocess.run(
        [sys.executable, str(KILLED_AT), str(tmp_path), point],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert child.returncode == -signal.SIGKILL, child.stderr
    after = open_till()
    was_committed = point in ("after COMMIT", "answered")
    assert (after.journal.find("r1") is not None) is was_committed
    again = after.commit(commit("r1", sale(line(1, "bread", 5_000), points=300)))
    assert again.replayed is was_committed
    assert (again.head.seq, after.journal.float_left(after.clock.now()).points) == (3, 4_700)
    assert after.commit(commit("r2")).head.seq == 4
    if point == "answered":
        assert child.stdout.split() == [again.record]


def test_the_highest_block_is_remembered_until_a_restore_of_head_office_was_noted(journal: Journal) -> None:
    told_of_block(journal, 7, "77" * 32)
    told_of_block(journal, 5, "55" * 32)
    assert journal.outbox.newest_block() == BlockMark(block_no=7, hash="77" * 32)
    told_of_block(journal, 5, "55" * 32, generation=2)
    assert journal.outbox.newest_block() == BlockMark(block_no=5, hash="55" * 32)
    told_of_block(journal, 6, "66" * 32, generation=2)
    assert journal.outbox.newest_block() == BlockMark(block_no=6, hash="66" * 32)
