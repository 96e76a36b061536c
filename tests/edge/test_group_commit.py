"""Sales that are paid at the same moment: one transaction, one wait for the disk, each told its own outcome."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.database import Database
from edge.journal.group_commit import GroupCommit
from edge.journal.journal import Journal
from edge.journal.troubles import JournalFull
from edge.refusals import IdReserved
from edge.sale.till import Till
from loyalty.facts.events import Opened
from tests.edge.counter import FakeClock, commit, identity, sale

CROWD = 6


@pytest.fixture
def journal(tmp_path: Path, clock: FakeClock) -> Iterator[Journal]:
    journal = Journal.open(tmp_path / "journal.db", identity(), clock)
    yield journal
    journal.close()


class Crowd:
    """One that writes and finds the journal taken, and others that come while it waits: they are written together."""

    def __init__(self, journal: Journal) -> None:
        self.journal, self.together = journal, GroupCommit(lambda: journal)
        self.told: dict[str, object] = {}
        self.begun: list[str] = []
        journal._database.writer.set_trace_callback(self._trace)

    def _trace(self, statement: str) -> None:
        if statement.startswith(("BEGIN", "COMMIT", "ROLLBACK")):
            self.begun.append(statement.split()[0])

    def write(self, *works: Callable[[], object]) -> None:
        threads = [threading.Thread(target=self._ask, args=(f"w{n}", work)) for n, work in enumerate(works)]
        with self.journal.still():
            for n, thread in enumerate(threads):
                thread.start()
                self._wait_until(lambda n=n: self.together._is_led if n == 0 else len(self.together._waiting) == n)
                if n == 0:
                    self._wait_until(lambda: not self.together._waiting)
        for thread in threads:
            thread.join(timeout=20)
            assert not thread.is_alive()

    def _ask(self, name: str, work: Callable[[], object]) -> None:
        try:
            self.told[name] = self.together.do(work)
        except Exception as trouble:  # noqa: BLE001
            self.told[name] = trouble

    @staticmethod
    def _wait_until(holds: Callable[[], bool]) -> None:
        until = time.monotonic() + 20
        while not holds():
            assert time.monotonic() < until
            time.sleep(0.001)


def opened(journal: Journal, name: str, *, then: Exception | None = None) -> Callable[[], object]:
    def work() -> object:
        head = journal.append(Opened(receipt_id=name, reason="test"))
        if then is not None:
            raise then
        return head.seq

    return work


def names(journal: Journal) -> list[str]:
    return [entry.event.receipt_id for entry in journal.entries_after(0)]


def test_those_who_come_while_one_writes_are_written_in_one_transaction(journal: Journal):
    crowd = Crowd(journal)
    crowd.write(*(opened(journal, f"r{n}") for n in range(CROWD)))
    assert crowd.told == {"w0": 1, "w1": 2, "w2": 3, "w3": 4, "w4": 5, "w5": 6}
    assert names(journal) == ["r0", "r1", "r2", "r3", "r4", "r5"]
    assert crowd.begun == ["BEGIN", "COMMIT", "BEGIN", "COMMIT"]  # the first alone, then the five


def test_who_is_refused_leaves_no_trace_and_the_chain_goes_on_without_a_gap(journal: Journal):
    crowd, no = Crowd(journal), IdReserved("Not now.")
    crowd.write(opened(journal, "r0"), opened(journal, "r1"), opened(journal, "no", then=no), opened(journal, "r2"))
    assert crowd.told == {"w0": 1, "w1": 2, "w2": no, "w3": 3}
    assert names(journal) == ["r0", "r1", "r2"]
    journal._verify_tail()


def test_who_is_refused_alone_is_told_and_the_next_one_writes(journal: Journal):
    together = GroupCommit(lambda: journal)
    with pytest.raises(IdReserved):
        together.do(opened(journal, "no", then=IdReserved("Not now.")))
    assert (together.do(opened(journal, "r0")), names(journal)) == (1, ["r0"])


@pytest.mark.parametrize("trouble", [sqlite3.OperationalError("disk I/O"), JournalFull("No room.")])
def test_when_the_file_is_in_trouble_nobody_who_wrote_together_is_told_it_was_written(
    journal: Journal, trouble: Exception
):
    crowd = Crowd(journal)
    crowd.write(opened(journal, "r0"), opened(journal, "r1"), opened(journal, "r2", then=trouble))
    assert crowd.told["w0"] == 1
    assert isinstance(crowd.told["w1"], Exception) and crowd.told["w1"] is crowd.told["w2"]
    assert names(journal) == ["r0"]
    assert GroupCommit(lambda: journal).do(opened(journal, "r1")) == 2


def test_nobody_is_answered_before_the_commit(journal: Journal, monkeypatch: pytest.MonkeyPatch):
    """A commit that fails at its very end fails for all that are in it."""
    crowd = Crowd(journal)
    writing = Database.writing

    def fails(database: Database) -> Any:
        database.writer.set_authorizer(lambda *what: _no_commit(what, crowd))
        return writing(database)

    monkeypatch.setattr(Database, "writing", fails)
    crowd.write(opened(journal, "r0"), opened(journal, "r1"), opened(journal, "r2"))
    journal._database.writer.set_authorizer(None)
    assert crowd.told["w0"] == 1
    assert [type(crowd.told[name]).__name__ for name in ("w1", "w2")] == ["JournalBroken"] * 2
    assert names(journal) == ["r0"]


def _no_commit(what: tuple[Any, ...], crowd: Crowd) -> int:
    is_second_commit = what[0] == sqlite3.SQLITE_TRANSACTION and what[1] == "COMMIT" and "COMMIT" in crowd.begun
    return sqlite3.SQLITE_DENY if is_second_commit else sqlite3.SQLITE_OK


def test_the_same_sale_sent_twice_at_once_is_written_once(till: Till):
    ask, told = commit("R1", sale()), []
    threads = [threading.Thread(target=lambda: told.append(till.commit(ask))) for _ in range(CROWD)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.replayed for one in told) == [False] + [True] * (CROWD - 1)
    assert len({one.head for one in told}) == 1
