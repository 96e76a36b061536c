"""How a column and a table of the centre are written, for every engine; and the one list that they stand in."""

from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Integer, LargeBinary, MetaData, Table, Text

metadata = MetaData()
Whole = BigInteger().with_variant(Integer, "sqlite")  # STRICT tables of SQLite know no BIGINT


def whole(name: str, *rest: Any, default: int | None = None, none: bool = False, key: bool = False) -> Column[int]:
    return Column(name, Whole, *rest, primary_key=key, autoincrement=False, nullable=none, default=default)


def text(name: str, *rest: Any, default: str | None = None, none: bool = False, key: bool = False) -> Column[str]:
    return Column(name, Text, *rest, primary_key=key, nullable=none, default=default)


def octets(name: str, default: bytes | None = None) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False, default=default)


def table(name: str, place: str, *parts: Any) -> Table:
    return Table(name, metadata, *parts, info={"place": place}, sqlite_strict=True)


def of_stream() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["till_id", "epoch"], ["stream.till_id", "stream.epoch"])
