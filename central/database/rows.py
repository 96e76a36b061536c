"""A Python list as a table, on every engine: sets are written and read in one statement each.

PostgreSQL unnests one typed array a column; SQLite reads one JSON parameter. No blobs in here: they go in rows of
their own. Writes come sorted by key, so that two transactions take locks in one order. Source: house.md section 5;
scale.md S7, S10.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from operator import itemgetter
from typing import Any, Literal

import msgspec
from sqlalchemy import (
    ARRAY,
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    Row,
    Table,
    Text,
    and_,
    bindparam,
    case,
    cast,
    column,
    delete,
    func,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.schema import ScalarElementColumnDefault
from sqlalchemy.sql.selectable import FromClause, Join

from central.database.asking import Soon, ask, ask_soon, run_each

Given = Mapping[str, Any]
Cells = tuple[Any, ...]
Become = Literal["given", "add", "keep", "most"]
OnConflict = Literal["raise", "nothing"] | Mapping[str, Become | tuple[Literal["old"], str]]


def as_table(dialect: str, columns: Sequence[Column[Any]], given: Sequence[Given], name: str = "given") -> FromClause:
    """`given` as something to select from, with a column for each of `columns`.

    Args:
        dialect: `postgresql` or `sqlite`.
        columns: of a table; their names and types.
        given: rows by column name; whole numbers, text and None.
    """
    cells = _cells(dialect, [one.name for one in columns], given, name)
    return _listed(dialect, columns, name, lambda told: bindparam(told, cells[told], type_=Text, unique=True))


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
            `given` takes the new value, `add` the sum, `most` the greater, `keep` the old one (which locks and returns
            the row), `("old", NAME)` what another column was.
        returning: columns to hand back of the rows written.
    Returns:
        As asked by `returning`, in no particular order; a row left alone by `nothing` is not among them.
    """
    rows = _sorted(table, given)
    if not rows:
        return ()
    if not returning:
        names = _names(table, rows)
        _put(tx, table, names, [tuple(map(row.__getitem__, names)) for row in rows], on_conflict)
        return ()
    return ask(tx, *_inserting(tx, table, rows, _how(on_conflict), returning))


def put_cells(tx: Connection, table: Table, given: Iterable[Cells], on_conflict: OnConflict = "raise") -> None:
    """Rows that tell every column, in the table's order, which begins with its key. No two with one key."""
    if rows := sorted(given):
        _put(tx, table, tuple(table.c.keys()), rows, on_conflict)


def _put(
    tx: Connection, table: Table, names: tuple[str, ...], rows: Sequence[Cells], on_conflict: OnConflict
) -> None:
    if tx.dialect.name == "sqlite":
        # SQLite reads a row of JSON anew for each of its columns; the driver's own loop takes a third of the time.
        run_each(tx, _insert_one(table, names, _how(on_conflict)), rows)
        return
    told = {f"given_{name}": _array(cells) for name, cells in zip(names, zip(*rows, strict=True), strict=True)}
    ask_soon(tx, _insert(tx.dialect.name, table, names, _how(on_conflict), ()), told)


def _how(on_conflict: OnConflict) -> Any:
    return on_conflict if isinstance(on_conflict, str) else tuple(on_conflict.items())


def put_soon(
    tx: Connection, table: Table, given: Iterable[Given], on_conflict: OnConflict, returning: Sequence[str]
) -> Soon:
    """Insert a set of rows as `put` does; what comes back tells the columns asked by `returning`."""
    rows = _sorted(table, given)
    return ask_soon(tx, *_inserting(tx, table, rows, _how(on_conflict), returning)) if rows else _nothing


def hold(tx: Connection, table: Table, given: Iterable[Given], returning: Sequence[str]) -> Sequence[Row[Any]]:
    """Insert the rows whose keys are missing and keep others from all of them until the end of the transaction.

    Args:
        returning: columns to hand back of every row, old or new.
    """
    return hold_soon(tx, table, given, returning)()


def hold_soon(tx: Connection, table: Table, given: Iterable[Given], returning: Sequence[str]) -> Soon:
    """The same; what comes back tells the rows."""
    rows, keys = _sorted(table, given), [one.name for one in table.primary_key.columns]
    if not rows:
        return _nothing
    if tx.dialect.name == "sqlite":
        # A writing transaction of SQLite keeps everybody else out as it is.
        wanted = [{name: row[name] for name in keys} for row in rows]
        found = find_soon(tx, table, wanted, returning)
        if len(found()) == len(rows):
            return found
        put(tx, table, rows, "nothing")
        return find_soon(tx, table, wanted, returning)
    kept = next(one.name for one in table.c if not one.primary_key)
    return put_soon(tx, table, rows, {kept: "keep"}, returning)


def find(
    connection: Connection,
    table: Table,
    keys: Iterable[Given],
    columns: Sequence[str] = (),
    *conditions: Any,
    lock: bool = False,
    told: Given | None = None,
    beyond: str = "",
) -> Sequence[Row[Any]]:
    """The rows of a table that match any of `keys` (all of which name the same columns), in no particular order.

    Args:
        beyond: the one of those columns in which a row must have more than the key says.
        columns: what to read; everything when empty.
        conditions: more that must hold of a row.
        lock: keep others from the rows until the end of the transaction; for `local` tables only (scale.md S10).
        told: values of the parameters in `conditions`, which are then made once, such as a module's own: the statement
            is kept.
    """
    wanted = list(keys)
    if not wanted:
        return ()
    dialect, names = connection.dialect.name, list(wanted[0])
    statement = _select(dialect, table, tuple(names), tuple(columns), lock, beyond)
    cells = _cells(dialect, names, wanted)
    if conditions and told is None:
        return connection.execute(statement.where(*conditions), cells).all()
    return ask(connection, _where(statement, conditions) if conditions else statement, {**cells, **(told or {})})


def find_soon(connection: Connection, table: Table, keys: Iterable[Given], columns: Sequence[str] = ()) -> Soon:
    """The rows that match any of `keys`, by columns in the order asked; what comes back tells them."""
    wanted = list(keys)
    if not wanted:
        return _nothing
    dialect, names = connection.dialect.name, list(wanted[0])
    statement = _select(dialect, table, tuple(names), tuple(columns), False)
    return ask_soon(connection, statement, _cells(dialect, names, wanted))


def remove(tx: Connection, table: Table, keys: Iterable[Given]) -> None:
    """Delete the rows that match any of `keys`, all of which name the same columns."""
    wanted = list(keys)
    if wanted:
        dialect, names = tx.dialect.name, list(wanted[0])
        ask_soon(tx, _delete(dialect, table, tuple(names)), _cells(dialect, names, wanted))


def _names(table: Table, rows: Sequence[Given]) -> tuple[str, ...]:
    """The columns that rows name, in the table's order."""
    return tuple(sorted(rows[0], key=table.c.keys().index))


def _inserting(
    tx: Connection, table: Table, rows: Sequence[Given], how: Any, returning: Sequence[str]
) -> tuple[Any, dict[str, str]]:
    """The statement that inserts rows, of which there is one at least, and what it is run with."""
    dialect, names = tx.dialect.name, _names(table, rows)
    return _insert(dialect, table, names, how, tuple(returning)), _cells(dialect, names, rows)


def _nothing() -> Sequence[Row[Any]]:
    return ()


# Statements are made once and kept: making one costs as much as PostgreSQL needs to run it.


@cache
def _source(dialect: str, columns: tuple[Column[Any], ...]) -> FromClause:
    return _listed(dialect, columns, "given", lambda told: bindparam(told, type_=Text))


def _listed(
    dialect: str, columns: Sequence[Column[Any]], name: str, bind: Callable[[str], BindParameter[str]]
) -> FromClause:
    if dialect == "postgresql":
        arrays = [cast(bind(f"{name}_{one.name}"), ARRAY(one.type)) for one in columns]
        listed = func.unnest(*arrays).table_valued(*(column(one.name, one.type) for one in columns), name=name)
        return listed.render_derived()
    listed = func.json_each(bind(f"{name}_rows")).table_valued("value", name=f"{name}_json")
    parts = (
        func.json_extract(listed.c.value, f"$[{i}]", type_=one.type).label(one.name) for i, one in enumerate(columns)
    )
    return select(*parts).select_from(listed).subquery(name)


@cache
def _insert(
    dialect: str, table: Table, names: tuple[str, ...], on_conflict: Any, returning: tuple[str, ...]
) -> Any:
    source = _source(dialect, tuple(table.c[name] for name in names))
    # SQLite needs a WHERE before ON CONFLICT to tell it from a join.
    chosen = select(*(source.c[name] for name in names)).where(true())
    make = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = _on_conflict(make(table).from_select(list(names), chosen), table, on_conflict)
    return statement.returning(*(table.c[name] for name in returning)) if returning else statement


@cache
def _insert_one(table: Table, names: tuple[str, ...], on_conflict: Any) -> str:
    """One row on SQLite, its cells in the order of `names`, which is the table's."""
    statement = sqlite.insert(table).values({name: bindparam(name) for name in names})
    return str(_on_conflict(statement, table, on_conflict).compile(dialect=sqlite.dialect()))


def _on_conflict(statement: Any, table: Table, on_conflict: Any) -> Any:
    keys = list(table.primary_key.columns)
    if on_conflict == "nothing":
        return statement.on_conflict_do_nothing(index_elements=keys)
    if on_conflict == "raise":
        return statement
    become = {name: _become(table, name, statement.excluded[name], how) for name, how in on_conflict}
    return statement.on_conflict_do_update(index_elements=keys, set_=become)


@cache
def _select(
    dialect: str, table: Table, names: tuple[str, ...], columns: tuple[str, ...], lock: bool, beyond: str = ""
) -> Any:
    source = _source(dialect, tuple(table.c[name] for name in names))
    equal = (table.c[name] == source.c[name] for name in names if name != beyond)
    matches: ColumnElement[bool] = and_(*equal, table.c[beyond] > source.c[beyond]) if beyond else and_(*equal)
    chosen = [table.c[name] for name in columns] if columns else list(table.c)
    join = _KeysFirst(source, table, matches) if dialect == "sqlite" else table.join(source, matches)
    joined = select(*chosen).select_from(join)
    return joined.with_for_update(of=table) if lock else joined


@lru_cache(maxsize=1_024)
def _where(statement: Any, conditions: tuple[Any, ...]) -> Any:
    return statement.where(*conditions)


class _KeysFirst(Join):
    """SQLite looks each key up. Left to itself it may read all rows that meet another condition instead, for it does
    not know that a list given as JSON is short."""

    inherit_cache = True


@compiles(_KeysFirst, "sqlite")
def _cross_join(join: _KeysFirst, compiler: Any, **how: Any) -> str:
    how["asfrom"] = True
    left, right, on = (compiler.process(part, **how) for part in (join.left, join.right, join.onclause))
    return f"{left} CROSS JOIN {right} ON {on}"


@cache
def _delete(dialect: str, table: Table, names: tuple[str, ...]) -> Any:
    columns = [table.c[name] for name in names]
    source = _source(dialect, tuple(columns))
    return delete(table).where(tuple_(*columns).in_(select(*(source.c[name] for name in names))))


def _cells(dialect: str, names: Sequence[str], given: Sequence[Given], name: str = "given") -> dict[str, str]:
    """The values of `_source`: one typed array a column on PostgreSQL, everything as JSON on SQLite."""
    if dialect == "postgresql":
        return {f"{name}_{one}": _array([row[one] for row in given]) for one in names}
    return {f"{name}_rows": msgspec.json.encode([[row[one] for one in names] for row in given]).decode()}


def _array(cells: Sequence[int | str | None]) -> str:
    """An array as PostgreSQL reads it; written here, for the driver takes ten times as long over each cell.

    JSON writes it the same, and far faster, but for characters that need a backslash.
    """
    told = msgspec.json.encode(cells).decode()
    if "\\" not in told:
        return "{" + told[1:-1] + "}"
    return "{" + ",".join(_quoted(cell) if isinstance(cell, str) else "NULL" if cell is None else str(cell)
                          for cell in cells) + "}"  # fmt: skip


def _quoted(cell: str) -> str:
    return '"' + cell.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _become(table: Table, name: str, new: Any, how: Become | tuple[str, str]) -> Any:
    if isinstance(how, tuple):
        return table.c[how[1]]
    old = table.c[name]
    return {"given": new, "add": old + new, "keep": old, "most": case((old < new, new), else_=old)}[how]


def _sorted(table: Table, given: Iterable[Given]) -> list[Given]:
    """By primary key, with the defaults that the schema declares filled in."""
    defaults, rows = _defaults(table), list(given)
    if rows and not defaults.keys() <= rows[0].keys():
        rows = [{**defaults, **row} for row in rows]
    return sorted(rows, key=itemgetter(*(one.name for one in table.primary_key.columns)))


@cache
def _defaults(table: Table) -> dict[str, Any]:
    return {one.name: one.default.arg for one in table.c if isinstance(one.default, ScalarElementColumnDefault)}
