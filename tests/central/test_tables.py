"""The schema keeps the rules that let it run on SQLite, PostgreSQL and, sharded, on Citus."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import (
    Engine,
    ForeignKeyConstraint,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    insert,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError

from central.database.tables import APPEND_ONLY, PLACE_KEYS, metadata
from central.migrations import grant_rights, rights_of, upgrade
from central.ports import SystemClock, open_engine, writing
from central.settlement.closing import close_period
from central.streams.sealing import Sealer
from central.upkeep.redacting import redact
from central.verify.books import verify_books
from sync.keys import one_key
from tests.central.tills import DAY, Centre, told
from tests.support.lent_databases import copied

RIGHTS = Path(__file__).parents[2] / "deploy" / "postgresql-rights.sql"

POSTING = (
    "INSERT INTO posting VALUES (7, 't', 1, 1, 1, 1, 'point', 'issued', 'available', 5, '2027-01-01', 'acme', 'acme-1',"
    " 'acme', 'none', 'reimburse', 't', 1, 1, 1, 1)"
)


def broken_rules(schema: MetaData) -> list[str]:
    """What in a schema breaks S1, S2, S4 or S5 of scale.md, a sentence each."""
    return [trouble for table in schema.sorted_tables for trouble in (*key_troubles(table), *link_troubles(table))]


def key_troubles(table: Table) -> list[str]:
    place = table.info.get("place")
    if place not in (*PLACE_KEYS, "ref", "local"):
        return [f"{table.name} has no place"]
    found = [f"{table.name}.{column.name} is numbered by the database" for column in table.primary_key.columns
             if column.autoincrement is True or column.server_default is not None or column.identity]  # fmt: skip
    if key := PLACE_KEYS.get(place):
        uniques = [table.primary_key, *(c for c in table.constraints if isinstance(c, UniqueConstraint))]
        named = [next(iter(unique.columns)).name for unique in uniques]
        named += [next(iter(index.columns)).name for index in table.indexes if index.unique]
        found += [f"{table.name} has a key that begins with {name}, not {key}" for name in named if name != key]
        wanted = Text if key != "account_id" else None
        if wanted and key in table.c and not isinstance(table.c[key].type, wanted):
            found.append(f"{table.name}.{key} is {table.c[key].type}")
    return found


def link_troubles(table: Table) -> list[str]:
    found = []
    for link in (c for c in table.constraints if isinstance(c, ForeignKeyConstraint)):
        here, there = table.info["place"], link.referred_table.info["place"]
        together = here == there and PLACE_KEYS.get(here) in link.column_keys
        if there != "ref" and not together:
            found.append(f"{table.name} refers to {link.referred_table.name} in another place")
    return found


def test_the_schema_keeps_the_rules_of_placement() -> None:
    assert broken_rules(metadata) == []


def test_a_schema_that_breaks_them_is_found_out() -> None:
    from sqlalchemy import BigInteger, Column, ForeignKey

    wrong = MetaData()
    Table("stray", wrong, Column("a", Text, primary_key=True))
    Table("account", wrong, Column("account_id", BigInteger, primary_key=True, autoincrement=True), info={"place": "A"})
    Table("seen", wrong, Column("seq", BigInteger, primary_key=True, autoincrement=False), Column("till_id", Text),
          Column("account_id", BigInteger, ForeignKey("account.account_id")), info={"place": "T"})  # fmt: skip
    assert sorted(broken_rules(wrong)) == [
        "account.account_id is numbered by the database",
        "seen has a key that begins with seq, not till_id",
        "seen refers to account in another place",
        "stray has no place",
    ]


def test_the_migrated_database_is_what_the_tables_say(central_url: str) -> None:
    engine = open_engine(central_url)
    upgrade(engine)
    upgrade(engine)
    with writing(engine) as tx:
        assert compare_metadata(MigrationContext.configure(tx), metadata) == []
    engine.dispose()


def test_sqlite_holds_nothing_but_what_the_columns_say(waiting_for_disks, tmp_path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'central.db'}")
    upgrade(engine)
    with writing(engine) as tx:
        loose = text("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND NOT strict")
        assert {row.name for row in tx.execute(loose)} == {"alembic_version", "sqlite_schema"}
        pragmas = {name: tx.exec_driver_sql(f"PRAGMA {name}").scalar() for name in (
            "journal_mode", "synchronous", "foreign_keys", "wal_autocheckpoint")}  # fmt: skip
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "wal_autocheckpoint": 16000}
    engine.dispose()


CHANGES = ("UPDATE {table} SET {column} = {column}", "DELETE FROM {table}")


@pytest.mark.parametrize("change", [*CHANGES, "INSERT OR REPLACE INTO {table} SELECT * FROM {table}"])
@pytest.mark.parametrize("table", APPEND_ONLY)
def test_what_is_append_only_is_never_edited_on_sqlite(central_file, tmp_path, table: str, change: str) -> None:
    engine = open_engine(copied(central_file, tmp_path / "central.db"))
    row = {one.name: b"x" if isinstance(one.type, LargeBinary) else "1" for one in metadata.tables[table].c}
    with engine.connect() as connection:
        # What it refers to does not matter here.
        connection.connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[attr-defined]
        with connection.begin():
            connection.execute(insert(metadata.tables[table]), [row])
        with pytest.raises(DBAPIError, match=f"{table} is append-only"), connection.begin():
            connection.execute(text(change.format(table=table, column=first_column(table))))
        assert len(connection.execute(select(metadata.tables[table])).all()) == 1
    engine.dispose()


@pytest.fixture
def served(fresh_postgres) -> Iterator[tuple[Engine, Engine]]:
    """A database as its owner sees it, and as the role does that serves it."""
    owner = open_engine(fresh_postgres())
    upgrade(owner)
    role = f"tp_{owner.url.database}"
    with writing(owner) as tx:
        tx.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD '{role}'"))
        tx.execute(text(f"GRANT ALL ON posting TO {role}"))  # somebody was too generous once
        grant_rights(tx, role)
    service = create_engine(owner.url.set(username=role, password=role))
    yield owner, service
    service.dispose()
    with writing(owner) as tx:
        tx.execute(text(f"DROP OWNED BY {role}"))
        tx.execute(text(f"DROP ROLE {role}"))
    owner.dispose()


@pytest.mark.postgresql
@pytest.mark.parametrize("table", APPEND_ONLY)
def test_the_service_may_not_edit_what_is_append_only_on_postgresql(served, table: str) -> None:
    _, service = served
    with writing(service) as tx:
        tx.execute(text(POSTING))
        tx.execute(text("UPDATE setting SET value = '1'"))
    for change in (*CHANGES, "TRUNCATE {table}", "DROP TABLE {table}", "ALTER TABLE {table} DISABLE TRIGGER ALL"):
        with pytest.raises(DBAPIError) as refused, writing(service) as tx:
            tx.execute(text(change.format(table=table, column=first_column(table))))
        assert refused.value.orig.sqlstate == "42501"


@pytest.mark.postgresql
def test_a_centre_serves_and_seals_as_that_role(served) -> None:
    owner, service = served
    with service.connect() as connection:
        assert not connection.execute(text("SELECT usesuper FROM pg_user WHERE usename = current_user")).scalar()
    centre = Centre(service.url.render_as_string(hide_password=False))
    till = centre.till()
    till.sell("R1", 10_000, told(centre.member()))
    till.upload()
    assert Sealer(centre.engine, centre.signer, SystemClock()).seal() == 2
    close_period(centre.engine, period_no=1, through=date(2026, 3, 31), now_ms=centre.now)
    centre.recompute()
    assert redact(service, 60, centre.now + 61 * DAY, centre.random) == 1
    assert verify_books(owner, one_key(centre.signer.public)).violations == ()
    centre.engine.dispose()


def test_the_rights_a_database_administrator_runs_are_those_of_the_command() -> None:
    granted = "".join(f"{statement};\n" for statement in rights_of(':"role"'))
    assert RIGHTS.read_text("utf-8").endswith(granted), "run: python -m tests.house.rights_sql"


def first_column(table: str) -> str:
    return next(iter(metadata.tables[table].c)).name
