"""How SQLite looks accounts up: by their number, whatever else is asked of them, however many leases there are."""

from typing import Any

from sqlalchemy import Engine, create_engine, event

from central.database.rows import find
from central.database.tables import IS_COUNTER, IS_LEFT, lease, lease_slice, use
from central.migrations import upgrade


def plan_of(*asked: Any) -> str:
    """The plan of one `find`, as SQLite tells it with no row in the tables."""
    engine: Engine = create_engine("sqlite://")
    upgrade(engine)
    said: list[str] = []

    def explain(_connection: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        said.extend(row[3] for row in cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", values))

    event.listen(engine, "after_cursor_execute", explain)
    with engine.connect() as connection:
        find(connection, *asked)
    return " | ".join(said)


KEYS = [{"account_id": 7}, {"account_id": 8}]
LISTED = "SCAN given_json VIRTUAL TABLE INDEX 1: | "


def test_leases_of_a_few_accounts_are_looked_up_by_account_and_not_by_state() -> None:
    by_key = f"{LISTED}SEARCH lease USING INDEX sqlite_autoindex_lease_1 (account_id=?)"
    assert plan_of(lease, KEYS, (), lease.c.state == "active") == by_key
    assert plan_of(lease, KEYS, (), lease.c.state == "active", lease.c.recalled_at_ms > 0) == by_key


def test_of_slices_and_uses_only_those_that_count_are_read() -> None:
    assert plan_of(lease_slice, KEYS, ("points",), IS_LEFT) == (
        f"{LISTED}SEARCH lease_slice USING INDEX lease_slice_left (account_id=?)"
    )
    assert plan_of(use, KEYS, ("name", "amount"), IS_COUNTER) == (
        f"{LISTED}SEARCH use USING INDEX use_of_counter (account_id=?)"
    )
