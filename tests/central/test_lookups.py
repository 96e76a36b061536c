"""How rows are looked up: accounts by their number, whatever else is asked of them and however many leases there are;
and nothing is looked for among all of the rows of a table once for each of another's."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, event

from central.database.lanes import forget_tombstones
from central.database.rows import find
from central.database.tables import IS_COUNTER, IS_LEFT, lease, lease_slice, use
from central.members.card_change import standing
from central.migrations import upgrade
from central.ports import writing
from central.upkeep.views import tills
from loyalty.cards.card_keys import one_card_key
from tests.central.tills import CARD_KEY, DAY, Centre


def plan(engine: Engine, work: Callable[[Connection], object]) -> str:
    """The plans of what SQLAlchemy runs for some work, as the database tells them; what the work writes is undone."""
    said: list[str] = []
    is_sqlite = engine.dialect.name == "sqlite"

    def explain(_connection: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        how = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        if statement.startswith(("SELECT", "DELETE")):
            said.extend(row[3 * is_sqlite] for row in cursor.connection.execute(f"{how} {statement}", values))

    event.listen(engine, "after_cursor_execute", explain)
    with engine.connect() as connection:
        work(connection)
    return " | ".join(said)


def plan_of(*asked: Any) -> str:
    """The plan of one `find` with no row in the tables."""
    engine: Engine = create_engine("sqlite://")
    upgrade(engine)
    return plan(engine, lambda connection: find(connection, *asked))


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


def test_what_the_tills_last_said_is_looked_up_by_till_and_not_among_all_batches(tmp_path: Any) -> None:
    centre = Centre(f"sqlite:///{tmp_path / 'central.db'}")
    assert "batch" in (said := plan(centre.engine, tills))
    assert "SCAN batch" not in said
    centre.engine.dispose()


@pytest.mark.postgresql
def test_who_is_gone_is_told_from_all_members_in_one_pass(lent_postgres: str) -> None:
    centre = Centre(lent_postgres)
    centre.member()
    centre.store.stamp()
    with writing(centre.engine) as tx:
        forget_tombstones(tx, centre.now)
    said = plan(centre.engine, lambda tx: forget_tombstones(tx, centre.now + 91 * DAY))
    assert "Delete on member_page" in said and "Anti Join" in said
    assert "SubPlan" not in said
    centre.engine.dispose()


@pytest.mark.postgresql
def test_blocked_cards_of_nobody_are_counted_in_one_pass(lent_postgres: str) -> None:
    centre = Centre(lent_postgres)
    said = plan(centre.engine, lambda tx: standing(tx, one_card_key(CARD_KEY)))
    assert "Scan" in said and "on hotlist" in said
    assert "SubPlan" not in said
    centre.engine.dispose()
