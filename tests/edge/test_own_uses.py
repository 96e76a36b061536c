"""What a member did at this till is in memory and follows from the events: no restart, refusal or prune changes it."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import sqlite_utils

from edge.journal import own_uses as module
from edge.journal import tables as journal_tables
from edge.journal.journal import Journal, Kept
from edge.journal.tables import make_tables
from edge.sale.taking_back import take_back, void_receipt
from edge.sale.till import Till
from loyalty.facts.events import Event, UnknownEvent
from loyalty.facts.receipts import Receipt
from loyalty.members import Use
from tests.edge.conftest import OpenTill
from tests.edge.counter import ANA, FakeClock, back, commit, identity, line, published, sale, void
from tests.edge.test_journal import DAY_MS, had, heard

EARNED, SPENT = "points:earned", "points:spent"


def balance(till: Till) -> tuple[int, int]:
    """Points altogether, and those that can be spent."""
    view = till.balance(ANA).view
    return view.balance_points, view.spendable_points


def rows(journal: Journal) -> int:
    """How many uses are in the table."""
    return int(journal._database.rows("SELECT count(*) FROM own_use")[0][0])


def a_sale(journal: Journal, receipt_id: str) -> Receipt:
    """A sale that is written already, once more under another id."""
    entry = journal.entries_after(1)[0]
    assert isinstance(entry.event, Receipt)
    return msgspec.structs.replace(entry.event, receipt_id=receipt_id)


def after_a_power_cut(till: Till, clock: FakeClock) -> Journal:
    """The journal as it lies on the disk now, opened elsewhere."""
    path = till.journal.path
    assert path is not None
    aside = path.parent / "aside"
    aside.mkdir(exist_ok=True)
    for end in ("", "-wal"):
        shutil.copyfile(f"{path}{end}", aside / f"journal.db{end}")
    return Journal.open(aside / "journal.db", identity(), clock)


def test_a_sale_writes_nothing_of_what_its_member_did_and_a_power_cut_loses_nothing(till: Till, clock: FakeClock):
    till.commit(commit("r1", sale(line(1, "bread", 10_000), points=300)))
    assert balance(till) == (797, 700)  # 97 for the 97 euros that were left to pay
    assert (rows(till.journal), till.journal.counts()["own_use"]) == (0, 2)
    found = after_a_power_cut(till, clock)
    assert found.own_uses.after(1, 0) == (Use(name=EARNED, amount=97), Use(name=SPENT, amount=300))
    assert found.own_uses.after(1, 2) == ()  # the sale is the second event
    assert rows(found) == 2


def test_a_sale_a_return_and_a_void_are_read_from_their_events_at_the_next_start(till: Till, open_till: OpenTill):
    till.commit(commit("r1", sale(line(1, "bread", 10_000), points=300)))
    till.commit(commit("r2", sale(line(1, "bread", 1_000))))
    void_receipt(till, void("r1"))
    assert balance(till) == (1_010, 903)  # what the first sale granted is taken, before it could be spent
    take_back(till, back("b1", "r2", (1, 1000, 1_000)))
    assert balance(till) == (1_000, 893)
    till.journal.close()
    assert balance(open_till()) == (1_000, 893)


def test_every_hundredth_event_writes_what_the_members_of_all_of_them_did(till: Till, clock: FakeClock):
    for n in range(98):  # behind the event that opened the epoch
        till.commit(commit(f"r{n}"))
    journal = till.journal
    assert (journal.head().seq, rows(journal), balance(till)) == (99, 0, (1_980, 1_000))
    with pytest.raises(ZeroDivisionError), journal.writing():
        journal.append(a_sale(journal, "taken back"))
        assert rows(journal) == 99
        raise ZeroDivisionError
    assert (rows(journal), balance(till)) == (0, (1_980, 1_000))
    till.commit(commit("r98"))
    assert (rows(journal), balance(till)) == (99, (1_990, 1_000))
    till.commit(commit("r99"))
    assert (rows(journal), balance(till)) == (99, (2_000, 1_000))
    assert rows(after_a_power_cut(till, clock)) == 100


def test_a_sale_that_leaves_a_shared_transaction_takes_its_uses_along(till: Till):
    till.commit(commit("r1"))
    journal = till.journal
    ten, twenty = (Use(name=EARNED, amount=10),), (Use(name=EARNED, amount=20),)
    with journal.writing():
        with pytest.raises(ZeroDivisionError), journal.apart():
            journal.append(a_sale(journal, "r2"))
            assert journal.own_uses.after(1, 0) == twenty
            raise ZeroDivisionError
        assert journal.own_uses.after(1, 0) == ten
        journal.append(a_sale(journal, "r3"))
    assert journal.own_uses.after(1, 0) == twenty


def test_what_a_row_holds_is_forgotten_without_a_write_and_what_came_after_it_is_not(till: Till):
    till.commit(commit("r1"))
    till.commit(commit("r2"))
    uses, log = till.journal.own_uses, Path(f"{till.journal.path}-wal")
    size = log.stat().st_size
    assert uses.accounts() == {1}
    uses.forget([(1, 2)])
    assert uses.after(1, 0) == (Use(name=EARNED, amount=10),)
    uses.forget([(1, 3)])
    assert (uses.after(1, 0), uses.accounts()) == ((), frozenset())
    assert log.stat().st_size == size  # the disk is not waited for, as it was with every page of members


def test_half_in_the_table_and_half_in_memory_is_one_member(till: Till):
    till.commit(commit("r1", sale(points=100)))
    till.journal.prune()  # which writes what is in memory
    till.commit(commit("r2", sale(points=200)))
    uses = till.journal.own_uses
    assert rows(till.journal) == 2
    assert uses.after(1, 0) == (Use(name=EARNED, amount=17), Use(name=SPENT, amount=300))  # 9 and 8
    assert [uses.float_sales_after(1, seq) for seq in (0, 2, 3)] == [2, 1, 0]
    uses.forget([(1, 2)])
    assert (rows(till.journal), balance(till)) == (0, (808, 800))


def test_uses_stay_when_their_events_are_forgotten(tmp_path: Path, clock: FakeClock, till: Till):
    till.commit(commit("r1"))
    receipt = a_sale(till.journal, "x1")
    path, kept = tmp_path / "small.db", Kept(days=1, events=0)
    journal = Journal.open(path, identity(), clock, kept)
    with journal.writing():
        journal.append(receipt)
        journal.append(msgspec.structs.replace(receipt, receipt_id="x2"))
    heard(journal, 2)
    clock.pass_ms(2 * DAY_MS)
    assert journal.prune() == 1
    journal.close()
    journal = Journal.open(path, identity(), clock, kept)
    assert journal.find("x1") is None
    assert journal.own_uses.after(1, 0) == (Use(name=EARNED, amount=20),)


def test_an_epoch_that_ends_leaves_what_everybody_has_together_and_nothing_of_its_members(
    tmp_path: Path, clock: FakeClock, till: Till
):
    till.commit(commit("r1"))
    path = tmp_path / "ended.db"
    journal = Journal.open(path, identity(), clock)
    for n in range(3):
        had(journal, f"t{n}", 1)
    with journal.writing():
        journal.append(a_sale(till.journal, "x1"))
    journal.close()
    for epoch in (2, 2, 3):  # the second time with nothing left to count
        journal = Journal.open(path, identity(epoch=epoch), clock)
        assert journal.own_uses.shared(["promo:tea"]) == (Use(name="promo:tea", amount=3),)
        assert (journal.own_uses.after(1, 0), rows(journal)) == ((), 2)
        journal.close()


def test_an_event_of_a_later_version_stops_no_start(
    till: Till, open_till: OpenTill, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    till.commit(commit("r1"))
    till.commit(commit("r2"))
    till.journal.close()
    read: Callable[[bytes], Event] = module.read_head

    def read_some(payload: bytes) -> Event:
        if b'"r1"' in payload:
            raise UnknownEvent("This event cannot be read")
        return read(payload)

    monkeypatch.setattr(module, "read_head", read_some)
    assert balance(open_till()) == (1_010, 1_000)
    assert "not known to this version" in caplog.text


def test_what_an_older_journal_has_written_is_not_counted_again(tmp_path: Path, clock: FakeClock, till: Till):
    till.commit(commit("r1"))
    payload = till.journal.entries_after(1)[0].payload
    tables = sqlite_utils.Database(sqlite3.connect(":memory:", isolation_level=None))
    journal_tables._journal.apply(tables, stop_before="uses_follow")
    for epoch in (1, 2):
        tables.execute(
            "INSERT INTO stream (epoch, till_id, acked_seq, acked_hash, generation, block_no, block_hash, suspended)"
            " VALUES (?, 't', 0, '', 0, 0, '', '')", (epoch,)
        )  # fmt: skip
    tables.execute("INSERT INTO event VALUES (?, 1, 5, 'r1', '', 'receipt.v1', NULL, 0, ?, '')", (1 << 31 | 5, payload))
    make_tables(tables)
    assert tables.execute("SELECT epoch, uses_seq FROM stream ORDER BY epoch").fetchall() == [(1, 5), (2, 0)]


def test_a_page_of_members_takes_what_is_in_memory_for_what_is_here(till: Till):
    till.commit(commit("r1"))
    assert till.journal.own_uses.accounts() == {1}
    till.cache.load_members([published("ana", points=1_010, version=2, own_seq=2)])
    assert balance(till) == (1_010, 1_010)  # not counted on top of the row that holds it
