"""What a sale asks of its files a second time is answered from memory, and never with what is not so any more."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.database import MOST_REMEMBERED, Database
from edge.sale.till import Till
from loyalty.trouble import Fault
from tests.edge.counter import ANA, commit, line, published, sale

COUNT = "SELECT n FROM one WHERE id = ?"


class Broken(Fault):
    code = "test.broken"


class Asked:
    """A file of one table, and how often SQLite was asked."""

    def __init__(self, path: Path | str, *, own_reader: bool) -> None:
        self.database = Database(
            path, synchronous="FULL", trouble_of=lambda error: Broken(str(error)), own_reader=own_reader
        )
        self.database.writer.execute("CREATE TABLE one (id INTEGER PRIMARY KEY, n INTEGER NOT NULL) STRICT")
        self.write(5)
        self.times = 0
        self.database._reader.set_trace_callback(self._count)

    def write(self, n: int) -> None:
        with self.database.writing() as writer:
            writer.execute("INSERT OR REPLACE INTO one (id, n) VALUES (1, ?)", (n,))

    def n(self) -> int:
        ((n,),) = self.database.remembered(COUNT, (1,))
        return n

    def _count(self, statement: str) -> None:
        self.times += statement.startswith("SELECT")


@pytest.fixture(params=[True, False], ids=["reader of its own", "one connection"])
def asked(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Asked]:
    made = Asked(tmp_path / "one.db", own_reader=request.param)
    yield made
    made.database.close()


def test_what_did_not_change_is_asked_of_the_file_once(asked: Asked):
    assert [asked.n(), asked.n(), asked.n()] == [5, 5, 5]
    assert asked.times == 1


def test_what_was_written_is_found(asked: Asked):
    assert asked.n() == 5
    asked.write(6)
    assert [asked.n(), asked.n()] == [6, 6]
    assert asked.times == 2


def test_what_was_taken_back_is_not_found(asked: Asked):
    with pytest.raises(RuntimeError), asked.database.writing() as writer:
        writer.execute("UPDATE one SET n = 7")
        asked.n()
        raise RuntimeError("no")
    assert asked.n() == 5


def test_another_connection_sees_a_write_once_it_is_safe(tmp_path: Path):
    asked = Asked(tmp_path / "one.db", own_reader=True)
    with asked.database.writing() as writer:
        writer.execute("UPDATE one SET n = 7")
        assert asked.n() == 5
    assert asked.n() == 7
    asked.database.close()


def test_one_connection_sees_its_own_write_at_once(tmp_path: Path):
    asked = Asked(tmp_path / "one.db", own_reader=False)
    assert asked.n() == 5
    with asked.database.writing() as writer:
        writer.execute("UPDATE one SET n = 7")
        assert asked.n() == 7
    asked.database.close()


def test_only_so_much_is_remembered(asked: Asked):
    for n in range(MOST_REMEMBERED + 10):
        asked.database.remembered(COUNT, (n,))
    assert len(asked.database._remembered) <= MOST_REMEMBERED


def test_a_sale_that_leaves_a_shared_transaction_takes_what_was_read_of_it_along(till: Till):
    journal = till.journal
    before = journal.own_uses.after(1, 0)
    with journal.writing():
        with pytest.raises(RuntimeError), journal.apart():
            journal._database.writer.execute("INSERT INTO own_use VALUES (1, 1, 9, 'visits', 1)")
            assert journal.own_uses.after(1, 0) != before
            raise RuntimeError("no")
        assert journal.own_uses.after(1, 0) == before


def test_a_basket_paid_as_it_was_quoted_asks_for_its_id_and_nothing_else(till: Till):
    till.cache.load_members([published("ana")])
    bought = sale(line(1, "milk", 1_000), card=ANA)
    quoted = till.quote(bought)
    statements: list[str] = []
    for database in (till.journal._database, till.cache._database):
        for connection in {database.writer, database._reader}:
            connection.set_trace_callback(statements.append)
    done = till.commit(commit("R1", bought, digest=quoted.quote.digest))
    asked = [one for one in statements if one.lstrip().upper().startswith("SELECT")]
    assert len(asked) == 1 and "FROM event WHERE receipt_id = 'R1'" in asked[0]
    assert not done.replayed and done.quote is quoted.quote


def test_points_of_a_first_sale_are_in_the_second_quote_at_once(till: Till):
    till.cache.load_members([published("ana")])
    bought = sale(line(1, "bread", 1_000), card=ANA)
    first = till.quote(bought)
    till.commit(commit("R1", bought, digest=first.quote.digest))
    again = till.quote(bought)
    assert first.quote.view is not None and again.quote.view is not None
    assert again.quote.view.balance_points == first.quote.view.balance_points + 10


def test_a_closed_file_is_a_trouble_of_its_own(tmp_path: Path):
    asked = Asked(tmp_path / "one.db", own_reader=False)
    asked.database.close()
    with pytest.raises((Broken, sqlite3.ProgrammingError)):
        asked.n()
