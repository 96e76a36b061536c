"""A Python list as a table, the same on each engine; and transactions that are run again whole."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import OperationalError

from central.coalition.streams import begin_stream
from central.database.rows import find, put, remove
from central.database.tables import account, lot, till_grant
from central.migrations import upgrade
from central.ports import open_engine, reading, replayable, writing


@pytest.fixture
def engine(central_url: str) -> Iterator[Engine]:
    made = open_engine(central_url)
    upgrade(made)
    yield made
    made.dispose()


def lots(*points: int) -> list[dict]:
    return [{"account_id": 1, "valid_through": "2027-01-01", "issuer_id": f"i{n}", "terms_id": "t", "points": p}
            for n, p in enumerate(points)]  # fmt: skip


def test_rows_are_added_replaced_kept_and_found(engine: Engine) -> None:
    with writing(engine) as tx:
        put(tx, account, [{"account_id": 2**53 - 1}, {"account_id": 1, "status": "closed"}][:1])
        put(tx, account, [{"account_id": 1}])
        put(tx, lot, lots(5, 7))
        put(tx, lot, lots(1, 1), {"points": "add"})
        put(tx, lot, lots(40), {"points": "given"})
        assert [row.points for row in put(tx, lot, lots(99, 99), {"points": "keep"}, ["points"])] == [40, 8]
        assert put(tx, lot, lots(99), "nothing", ["points"]) == []
        assert [row.points for row in find(tx, lot, [{"issuer_id": "i1"}, {"issuer_id": "no"}])] == [8]
        more = find(tx, lot, [{"account_id": 1, "points": 8}, {"account_id": 2, "points": 0}], (), beyond="points")
        assert [row.points for row in more] == [40]
        remove(tx, lot, [{"account_id": 1, "issuer_id": "i0"}])
        assert [row.issuer_id for row in find(tx, lot, [{"account_id": 1}], ["issuer_id"])] == ["i1"]
        assert {row.account_id: row.status for row in tx.execute(select(account))} == {
            2**53 - 1: "registered", 1: "registered"}  # fmt: skip
        assert (put(tx, lot, []), find(tx, lot, [])) == ((), ())


@pytest.mark.parametrize("text", ["Łódź São \"Я'", "", "NULL", "a,b}{c", "back\\slash\\", 'q"\\"', "two\nlines\t", " "])
def test_nothing_and_any_text_go_in_and_out(engine: Engine, text: str) -> None:
    with writing(engine) as tx:
        begin_stream(tx, "t", 1, "00", "active", 1)
        row = {"till_id": "t", "epoch": 1, "grant_no": 1, "lease_id": text, "account_id": None, "points": 1,
               "spend_for_s": 1, "settle_until_ms": 1, "granted_at_ms": 1}  # fmt: skip
        put(tx, till_grant, [row])
        (found,) = find(tx, till_grant, [{"lease_id": text}])
        assert (found.lease_id, found.account_id) == (text, None)


def test_a_transaction_in_trouble_leaves_nothing(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError), writing(engine) as tx:
        put(tx, account, [{"account_id": 1}])
        raise ZeroDivisionError
    with reading(engine) as connection:
        assert connection.execute(select(account)).all() == []


class Deadlock(Exception):
    sqlstate = "40P01"


class BadValue(Exception):
    sqlstate = "22003"


def test_a_conflict_runs_the_whole_work_again_and_another_error_does_not() -> None:
    tries: list[str] = []

    @replayable
    def work(cause: Exception, until: int) -> str:
        tries.append("try")
        if len(tries) < until:
            raise OperationalError("UPDATE", {}, cause)
        return "done"

    assert work(Deadlock(), 3) == "done"
    assert len(tries) == 3
    tries.clear()
    with pytest.raises(OperationalError):
        work(BadValue(), 2)
    assert len(tries) == 1
