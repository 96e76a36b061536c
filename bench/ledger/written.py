"""What a batch wrote, row by row, so that others can write the very same: by COPY, set by set, one by one.

Left out are the row of the till's stream beyond its place, and the two rows of a float that is topped up.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, Table, and_, func, select

from central.database import tables as t
from central.database.rows import find
from central.ports import reading
from sync.framing import read_json, split
from sync.wire import BatchHeader

# Rows that are new, by their columns of till, epoch and sequence number; every key is sorted, as the product's are.
BY_EVENT: Mapping[Table, tuple[str, str, str]] = {
    t.event: ("till_id", "epoch", "seq"),
    t.claim: ("till_id", "epoch", "seq"),
    t.posting: ("by_till", "by_epoch", "by_seq"),
    t.use: ("by_till", "by_epoch", "by_seq"),
    t.batch: ("till_id", "epoch", "last_seq"),
}
NEW = (*BY_EVENT, t.changed)
# Rows that may have been there; what of them becomes new.
MOVED: Mapping[Table, tuple[str, ...]] = {t.account: ("version", "version_before"), t.lot: ("points", "earned_on")}
GRANTS = {t.till_grant.name, t.centre_event.name}

Values = tuple[Any, ...]


class NotAll(Exception):
    """A batch wrote to a table that is not looked at here, so its ceiling would be too high."""


class Written(msgspec.Struct, frozen=True):
    """The rows of one batch: new ones and moved ones, by table name, each with all its columns in order."""

    till_id: str
    last_seq: int
    head_hash: str
    new: dict[str, list[Values]]
    moved: dict[str, list[Values]]

    @property
    def rows(self) -> int:
        return sum(len(rows) for rows in (*self.new.values(), *self.moved.values()))


def written_by(connection: Connection, data: bytes) -> Written:
    """What is there of a batch that was just taken, and was the last that moved its accounts."""
    header = read_json(split(data), BatchHeader)
    new = {table.name: _of_batch(connection, table, header) for table in BY_EVENT}
    mark = f"{header.till_id}:{header.epoch}:{header.last_seq}"
    new[t.changed.name] = _plain(connection.execute(select(t.changed).where(t.changed.c.mark == mark)))
    posted = [dict(zip(t.posting.c.keys(), row, strict=True)) for row in new[t.posting.name]]
    moved = {table.name: _named(connection, table, posted) for table in MOVED}
    return Written(header.till_id, header.last_seq, header.head_hash, new, moved)


def check_all_seen(engine: Engine, before: Mapping[str, int], written: Iterable[Written]) -> None:
    """Raises: NotAll where more rows came than `written` tells of."""
    told: dict[str, int] = {}
    for one in written:
        for name, rows in one.new.items():
            told[name] = told.get(name, 0) + len(rows)
    came = {name: number - before[name] for name, number in sizes(engine).items()}
    strange = {name: number for name, number in came.items() if number != told.get(name, 0)}
    strange = {name: number for name, number in strange.items() if name not in {*GRANTS, "stream", t.lot.name}}
    if strange:
        raise NotAll(f"{strange}, told: {told}")


def sizes(engine: Engine) -> dict[str, int]:
    """How many rows each table has."""
    with reading(engine) as connection:
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in t.metadata.tables.items()
        }


def receipts_of(one: Written) -> Iterator[dict[str, list[Values]]]:
    """The new rows by receipt, the moved ones with the last receipt that names their account."""
    accounts: dict[int, int] = {}
    by_seq: dict[int, dict[str, list[Values]]] = {}
    for table, (_, _, seq) in BY_EVENT.items():
        at = table.c.keys().index(seq)
        for row in one.new[table.name] if table is not t.batch else ():
            by_seq.setdefault(row[at], {}).setdefault(table.name, []).append(row)
    account, seq = t.event.c.keys().index("account_id"), t.event.c.keys().index("seq")
    for row in one.new[t.event.name]:
        accounts[row[account]] = row[seq]
    for name, rows in ((t.changed.name, one.new[t.changed.name]), *one.moved.items()):
        for row in rows:  # each begins with its account
            by_seq[accounts[row[0]]].setdefault(name, []).append(row)
    return iter(by_seq.values())


def _of_batch(connection: Connection, table: Table, header: BatchHeader) -> list[Values]:
    till, epoch, seq = (table.c[name] for name in BY_EVENT[table])
    here = and_(till == header.till_id, epoch == header.epoch, seq.between(header.first_seq, header.last_seq))
    return _plain(connection.execute(select(table).where(here).order_by(*table.primary_key.columns)))


def _named(connection: Connection, table: Table, posted: Sequence[Mapping[str, Any]]) -> list[Values]:
    keys = table.primary_key.columns.keys()
    named = {tuple(row[name] for name in keys) for row in posted}
    found = find(connection, table, [dict(zip(keys, key, strict=True)) for key in named])
    return sorted(_plain(found), key=lambda row: row[: len(keys)])


def _plain(rows: Iterable[Row[Any]]) -> list[Values]:
    return [tuple(row) for row in rows]
