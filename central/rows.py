"""A Python list as a table, on every engine: sets are written and read in one statement each.

PostgreSQL unnests one typed array a column; SQLite reads one JSON parameter. No blobs in here: they go in rows of
their own. Writes come sorted by key, so that two transactions take locks in one order. Source: house.md section 5;
scale.md S7, S10.
"""

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Literal

import msgspec
from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Connection,
    Row,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    column,
    delete,
    func,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.schema import ScalarElementColumnDefault
from sqlalchemy.sql.selectable import FromClause

Given = Mapping[str, Any]
OnConflict = Literal["raise", "nothing"] | Mapping[str, Literal["given", "add", "keep"]]


def as_table(dialect: str, columns: Sequence[Column[Any]], given: Sequence[Given], name: str = "given") -> FromClause:
    """`given` as something to select from, with a column for each of `columns`.

    Args:
        dialect: `postgresql` or `sqlite`.
        columns: of a table; their names and types.
        given: rows by column name; whole numbers, text and None.
    """
    if dialect == "postgresql":
        arrays = [
            cast(bindparam(None, _array(row[one.name] for row in given), type_=Text, unique=True), ARRAY(one.type))
            for one in columns
        ]
        listed = func.unnest(*arrays).table_valued(*(column(one.name, one.type) for one in columns), name=name)
        return listed.render_derived()
    names = [one.name for one in columns]
    packed = msgspec.json.encode([[row[name] for name in names] for row in given]).decode()
    listed = func.json_each(bindparam(None, packed, unique=True)).table_valued("value", name=f"{name}_json")
    parts = (
        func.json_extract(listed.c.value, f"$[{i}]", type_=one.type).label(one.name) for i, one in enumerate(columns)
    )
    return select(*parts).select_from(listed).subquery(name)


def put(
    tx: Connection,
    table: Table,
    given: Iterable[Given],
    on_conflict: OnConflict = "raise",
    returning: Sequence[str] = (),
) -> Sequence[Row[Any]]:
    """Insert a set of rows.

    Args:
        given: rows that all name the same columns; columns left out take their defaults.
        on_conflict: of the primary key. `nothing` leaves the row that is there; or, by column, what becomes of it:
            `given` takes the new value, `add` the sum, `keep` the old one (which locks and returns the row).
        returning: columns to hand back of the rows written.
    Returns:
        As asked by `returning`, in no particular order; a row left alone by `nothing` is not among them.
    """
    rows = _sorted(table, given)
    if not rows:
        return ()
    columns = [table.c[name] for name in rows[0]]
    source = as_table(tx.dialect.name, columns, rows)
    # SQLite needs a WHERE before ON CONFLICT to tell it from a join.
    chosen = select(*(source.c[one.name] for one in columns)).where(true())
    make = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    statement: Any = make(table).from_select([one.name for one in columns], chosen)
    keys = list(table.primary_key.columns)
    if on_conflict == "nothing":
        statement = statement.on_conflict_do_nothing(index_elements=keys)
    elif on_conflict != "raise":
        become = {name: _become(table.c[name], statement.excluded[name], how) for name, how in on_conflict.items()}
        statement = statement.on_conflict_do_update(index_elements=keys, set_=become)
    if returning:
        return tx.execute(statement.returning(*(table.c[name] for name in returning))).all()
    tx.execute(statement)
    return ()


def find(
    connection: Connection,
    table: Table,
    keys: Iterable[Given],
    columns: Sequence[str] = (),
    *conditions: Any,
    lock: bool = False,
) -> Sequence[Row[Any]]:
    """The rows of a table that match any of `keys` (all of which name the same columns), in no particular order.

    Args:
        columns: what to read; everything when empty.
        conditions: more that must hold of a row.
        lock: keep others from the rows until the end of the transaction; for `local` tables only (scale.md S10).
    """
    wanted = list(keys)
    if not wanted:
        return ()
    source = as_table(connection.dialect.name, [table.c[name] for name in wanted[0]], wanted)
    matches: ColumnElement[bool] = and_(*(table.c[name] == source.c[name] for name in wanted[0]))
    chosen = [table.c[name] for name in columns] if columns else list(table.c)
    joined = select(*chosen).select_from(table.join(source, matches)).where(*conditions)
    return connection.execute(joined.with_for_update(of=table) if lock else joined).all()


def remove(tx: Connection, table: Table, keys: Iterable[Given]) -> None:
    """Delete the rows that match any of `keys`, all of which name the same columns."""
    wanted = list(keys)
    if wanted:
        columns = [table.c[name] for name in wanted[0]]
        source = as_table(tx.dialect.name, columns, wanted)
        tx.execute(delete(table).where(tuple_(*columns).in_(select(*(source.c[one.name] for one in columns)))))


def _array(cells: Iterable[int | str | None]) -> str:
    """An array as PostgreSQL reads it; written here, for the driver takes ten times as long over each cell."""
    return "{" + ",".join(_quoted(cell) if isinstance(cell, str) else "NULL" if cell is None else str(cell)
                          for cell in cells) + "}"  # fmt: skip


def _quoted(cell: str) -> str:
    return '"' + cell.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _become(old: Column[Any], new: Any, how: str) -> Any:
    return {"given": new, "add": old + new, "keep": old}[how]


def _sorted(table: Table, given: Iterable[Given]) -> list[dict[str, Any]]:
    """By primary key, with the defaults that the schema declares filled in."""
    defaults = {one.name: one.default.arg for one in table.c if isinstance(one.default, ScalarElementColumnDefault)}
    rows = [{**defaults, **row} for row in given]
    return sorted(rows, key=itemgetter(*(one.name for one in table.primary_key.columns)))
