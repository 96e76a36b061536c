"""Real receipts from a CSV file: a map says what its columns mean, and nothing is dropped without a reason.

A line becomes goods in a sale, goods in a return, or is set aside. Amounts are read exactly, never through a float;
what is not whole in minor units is set aside.
"""

import csv
import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from importlib import resources
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec
import yaml

from loyalty.amounts import NotExact, format_minor, parse_minor
from loyalty.baskets import Line
from loyalty.cards.cards import luhn_digit
from loyalty.trouble import Refusal

Sign = Literal["", "negative", "zero", "positive"]


class MapPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every part of a map is: strict about its words."""


class Columns(MapPart, frozen=True):
    """Which column says what; the empty ones are not in the file.

    `amount` is what was paid for the line; without it a line costs quantity times unit price, exactly.
    """

    receipt: str
    sku: str
    quantity: str
    sold_at: str
    name: str = ""
    unit_price: str = ""
    amount: str = ""
    card: str = ""
    store: str = ""
    category: tuple[str, ...] = ()
    brand: str = ""


class SoldAt(MapPart, frozen=True):
    """How instants are written: a strptime format, the zone of the store, and the zone they are written in."""

    format: str
    zone: str
    written_in: str = ""


class Join(MapPart, frozen=True):
    """Another file beside this one, whose row with the same key adds its columns."""

    file: str
    key: str


class SetAside(MapPart, frozen=True):
    """Lines that are not sales: all that is given must hold."""

    reason: str
    quantity: Sign = ""
    unit_price: Sign = ""
    card: Literal["", "absent", "present"] = ""


class CardNumbers(MapPart, frozen=True):
    """How a customer's id becomes a card number: a prefix, zeros up to the length, and a Luhn digit."""

    prefix: str
    length: int


class FileMap(MapPart, frozen=True):
    """What a file of receipts means. A receipt whose id starts with `return_prefix` took goods back."""

    currency: str
    columns: Columns
    sold_at: SoldAt
    return_prefix: str = ""
    card: CardNumbers | None = None
    join: Join | None = None
    set_aside: tuple[SetAside, ...] = ()


class FileReceipt(msgspec.Struct, kw_only=True):
    """One receipt of the file: a sale, or goods that came back without a reference."""

    receipt_id: str
    is_return: bool
    store: str
    card: str | None
    sold_at: datetime
    lines: list[Line] = msgspec.field(default_factory=list)
    names: dict[str, str] = msgspec.field(default_factory=dict)


class FileRead(msgspec.Struct, kw_only=True):
    """A whole file: lines read, receipts in the file's order, and lines set aside by reason."""

    read: int = 0
    receipts: list[FileReceipt] = msgspec.field(default_factory=list)
    set_aside: dict[str, int] = msgspec.field(default_factory=dict)


class BadMap(Refusal):
    code = "replay.bad_map"
    status = 422


class BadFile(Refusal):
    code = "replay.bad_file"
    status = 422


def read_map(name: str) -> FileMap:
    """A map by path, or by the name of one that ships. Raises: BadMap."""
    path = Path(name)
    shipped = resources.files("tallypoint") / "maps" / path.name
    try:
        text = path.read_text("utf-8") if path.exists() else shipped.read_text("utf-8")
        return msgspec.convert(yaml.safe_load(text), FileMap)
    except FileNotFoundError:
        raise BadMap(f"There is no map {name}; give a file, or online_retail.yaml or complete_journey.yaml.") from None
    except (yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as trouble:
        raise BadMap(f"The map {name} cannot be read: {trouble}") from None


def read_receipts(path: Path, what: FileMap) -> FileRead:
    """Read a file of receipts under a map.

    Args:
        path: CSV, or CSV in gzip, with a header row.
    Returns:
        Every line either in a receipt or counted under a reason.
    Raises:
        BadFile: the file or a column of the map is missing.
    """
    found = FileRead()
    by_id: dict[str, FileReceipt] = {}
    goods = _joined(path, what.join)
    for row in _rows(path, _wanted(what, goods)):
        found.read += 1
        if what.join:
            row = goods.get(row[what.join.key], {}) | row
        reason = _line_into(by_id, row, what)
        if reason:
            found.set_aside[reason] = found.set_aside.get(reason, 0) + 1
    found.receipts = list(by_id.values())
    return found


def _line_into(by_id: dict[str, FileReceipt], row: dict[str, str], what: FileMap) -> str:
    """Put a row into its receipt; answers the reason when it is set aside instead."""
    columns = what.columns
    try:
        quantity = Decimal(row[columns.quantity])
        price = Decimal(row[columns.unit_price]) if columns.unit_price else Decimal(0)
        paid = Decimal(row[columns.amount]) if columns.amount else quantity * price
    except InvalidOperation:
        return "not a number"
    if not (quantity.is_finite() and price.is_finite() and paid.is_finite()):
        return "not a number"
    for rule in what.set_aside:
        if _matches(rule, quantity, price, bool(columns.card and row[columns.card])):
            return rule.reason
    is_return = bool(what.return_prefix) and row[columns.receipt].startswith(what.return_prefix)
    turn = -1 if is_return else 1
    if quantity * turn < 0 or paid * turn < 0:
        return "negative line in a sale" if turn == 1 else "positive line in a return"
    milli = quantity * turn * 1000
    if milli != milli.to_integral_value():
        return "quantity finer than thousandths"
    try:
        amount_minor = parse_minor(str(paid * turn), what.currency)
    except NotExact:
        return "amount not whole in minor units"
    receipt = _receipt_of(by_id, row, what, is_return)
    if receipt is None:
        return "not a date"
    receipt.lines.append(_line(len(receipt.lines) + 1, row, columns, int(milli), amount_minor, price, what.currency))
    receipt.names[row[columns.sku]] = row.get(columns.name, "")
    return ""


def _receipt_of(
    by_id: dict[str, FileReceipt], row: dict[str, str], what: FileMap, is_return: bool
) -> FileReceipt | None:
    columns = what.columns
    receipt_id = row[columns.receipt]
    if receipt_id not in by_id:
        sold_at = _instant(row[columns.sold_at], what.sold_at)
        if sold_at is None:
            return None
        by_id[receipt_id] = FileReceipt(
            receipt_id=receipt_id,
            is_return=is_return,
            store=row[columns.store] if columns.store else "",
            card=_card_number(row[columns.card], what.card) if columns.card else None,
            sold_at=sold_at,
        )
    return by_id[receipt_id]


def _line(
    number: int, row: dict[str, str], columns: Columns, milli: int, amount_minor: int, price: Decimal, currency: str
) -> Line:
    return Line(
        line=number,
        sku=row[columns.sku],
        category=tuple(part for name in columns.category if (part := row.get(name, ""))),
        brand=row.get(columns.brand, ""),
        quantity_milli=milli,
        # Only rules look at it, so a price of half a penny may be rounded; the amount is exact.
        unit_price_minor=parse_minor(str(round(price, len(format_minor(1, currency).partition(".")[2]))), currency),
        amount_minor=amount_minor,
    )


def _matches(rule: SetAside, quantity: Decimal, price: Decimal, has_card: bool) -> bool:
    return (
        rule.quantity in ("", _sign(quantity))
        and rule.unit_price in ("", _sign(price))
        and rule.card in ("", "present" if has_card else "absent")
    )


def _sign(number: Decimal) -> Sign:
    return "negative" if number < 0 else "positive" if number else "zero"


def _card_number(customer: str, how: CardNumbers | None) -> str | None:
    if not customer or how is None:
        return None
    payload = how.prefix + customer.zfill(how.length - len(how.prefix) - 1)
    return payload + luhn_digit(payload)


def _instant(text: str, how: SoldAt) -> datetime | None:
    """The instant with the store's own offset; a file without a time of day sold at noon. None where the date is not
    written as the map says."""
    zone = ZoneInfo(how.written_in or how.zone)
    try:
        written = datetime.strptime(text, how.format).replace(tzinfo=zone)
    except ValueError:
        return None
    if "%H" not in how.format:
        written = written.replace(hour=12)
    return written.astimezone(UTC).astimezone(ZoneInfo(how.zone))


def _joined(path: Path, join: Join | None) -> dict[str, dict[str, str]]:
    if join is None:
        return {}
    return {row[join.key]: row for row in _rows(path.parent / join.file, {join.key})}


def _wanted(what: FileMap, goods: dict[str, dict[str, str]]) -> set[str]:
    given: dict[str, Any] = msgspec.structs.asdict(what.columns)
    names = {name for value in given.values() for name in (value if isinstance(value, tuple) else (value,)) if name}
    return names - set(next(iter(goods.values()), {}))


def _rows(path: Path, wanted: set[str]) -> Iterator[dict[str, str]]:
    try:
        with gzip.open(path, "rt", encoding="utf-8-sig", newline="") if path.suffix == ".gz" else path.open(
            encoding="utf-8-sig", newline=""
        ) as text:
            reader = csv.DictReader(text)
            missing = sorted(wanted - set(reader.fieldnames or ()))
            if missing:
                raise BadFile(f"{path.name} has no column {', '.join(missing)}; correct the map.", missing=missing)
            yield from reader
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as trouble:
        raise BadFile(f"{path} cannot be read: {trouble}") from None
