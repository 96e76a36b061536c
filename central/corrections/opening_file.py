"""A CSV file of an older scheme's points: read into rows by account, which are kept until somebody has decided.

Columns: `account` (its number) or `card`, `issuer`, `terms`, `points`, `last_day`. The file itself is not kept, for it
may hold card numbers; its rows name accounts. Source: docs/ledger.md "Opening balances".
"""

import csv
import hashlib
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, select

from central.coalition.registry import all_terms
from central.corrections.wishes import OpeningWish
from central.database.rows import find
from central.database.tables import account, card, correction, opening_rows
from loyalty.amounts import LARGEST_MINOR
from loyalty.cards.card_keys import CardKeys
from loyalty.cards.cards import Card, CardRules, read_card
from loyalty.lots import LotKey, Slice, points_in
from loyalty.trouble import InvariantBroken, Refusal

COLUMNS = ("account", "card", "issuer", "terms", "points", "last_day")
MOST_SAID = 20
KEPT_FOR_MS = 24 * 3_600_000  # rows that were looked at and never asked for


class OpeningRow(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What one account gets."""

    account_id: int
    slices: tuple[Slice, ...]


class OpeningFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it was read, one row an account; `file_id` names its bytes, `rows_id` what was made of them."""

    file_id: str
    rows_id: str
    rows: tuple[OpeningRow, ...]

    @property
    def points(self) -> int:
        return sum(points_in(row.slices) for row in self.rows)


class BadOpening(Refusal):
    code = "opening.malformed"
    status = 422


def read_opening(connection: Connection, file: bytes, rules: CardRules, keys: CardKeys, on: date) -> OpeningFile:
    """Read a file.

    Args:
        file: CSV in UTF-8; its bytes name it.
        rules: which numbers are cards.
        on: points that lapsed before this date are not taken.
    Raises:
        BadOpening: names the lines that cannot be taken and why.
    """
    try:
        text = file.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadOpening("The file is no text in UTF-8; save it as CSV in UTF-8 and load it again.", lines=0) from None
    held = _read(connection, csv.DictReader(text.splitlines()), rules, keys, on)
    rows = tuple(
        OpeningRow(
            account_id=account_id, slices=tuple(Slice(key=key, points=points) for key, points in sorted(lots.items()))
        )
        for account_id, lots in sorted(held.items())
    )
    file_id = hashlib.sha256(file).hexdigest()[:32]
    return OpeningFile(file_id=file_id, rows_id=_rows_id(file_id, msgspec.json.encode(rows)), rows=rows)


def keep_opening(tx: Connection, opening: OpeningFile, now_ms: int) -> None:
    """Keep what was read for whoever decides; what nobody has asked for within a day goes."""
    waiting = select(correction.c.fact).where(correction.c.state == "asked", correction.c.kind == "opening")
    wanted = {msgspec.json.decode(bytes(fact), type=OpeningWish).rows_id for (fact,) in tx.execute(waiting)}
    old = opening_rows.c.kept_at_ms < now_ms - KEPT_FOR_MS
    tx.execute(delete(opening_rows).where(old, opening_rows.c.rows_id.not_in(wanted)))
    here = opening_rows.c.rows_id == opening.rows_id
    if tx.execute(opening_rows.update().where(here).values(kept_at_ms=now_ms)).rowcount == 0:
        tx.execute(
            opening_rows.insert().values(
                rows_id=opening.rows_id,
                file_id=opening.file_id,
                rows=msgspec.json.encode(opening.rows),
                kept_at_ms=now_ms,
            )
        )


def kept_opening(connection: Connection, rows_id: str) -> OpeningFile:
    """What was kept under this name. Raises: BadOpening, when it is not there any more."""
    row = connection.execute(select(opening_rows).where(opening_rows.c.rows_id == rows_id)).first()
    if row is None:
        raise BadOpening("What was read from this file is not kept any more; load the file again.", lines=0)
    if _rows_id(row.file_id, bytes(row.rows)) != rows_id:
        raise InvariantBroken("the kept rows of an opening are not those that were asked for", rows_id=rows_id)
    rows = msgspec.json.decode(bytes(row.rows), type=tuple[OpeningRow, ...])
    return OpeningFile(file_id=row.file_id, rows_id=rows_id, rows=rows)


def forget_opening(tx: Connection, rows_id: str) -> None:
    """Somebody has decided: what was taken is in the facts."""
    tx.execute(delete(opening_rows).where(opening_rows.c.rows_id == rows_id))


def _rows_id(file_id: str, rows: bytes) -> str:
    return hashlib.sha256(file_id.encode() + b"\0" + rows).hexdigest()[:32]


def _read(
    connection: Connection, rows: Iterable[Mapping[str, str]], rules: CardRules, keys: CardKeys, on: date
) -> dict[int, dict[LotKey, int]]:
    """Points by account and lot. Raises: BadOpening."""
    reader = _Reader(connection, rules, keys, on)
    found, wrong = [], []
    for line, row in enumerate(rows, 2):
        try:
            found.append((line, *reader.row(row)))
        except BadOpening as trouble:
            wrong.append(f"line {line}: {trouble.say}")
    accounts = reader.accounts(who for _, who, _, _ in found)
    held: dict[int, dict[LotKey, int]] = {}
    for line, who, key, points in found:
        if who not in accounts:
            wrong.append(f"line {line}: there is no such {who[0]}, or it is closed; load its member first")
            continue
        lots = held.setdefault(accounts[who], {})
        lots[key] = lots.get(key, 0) + points
    if wrong or not held:
        more = f"\nand {len(wrong) - MOST_SAID} more" if len(wrong) > MOST_SAID else ""
        said = "\n".join(wrong[:MOST_SAID]) or "it holds no rows"
        raise BadOpening(f"Nothing was taken in; mend the file and load it again:\n{said}{more}", lines=len(wrong))
    return held


Who = tuple[str, Any]  # ("account", its number) or ("card", its names)


class _Reader:
    """Reads rows, and finds the accounts they are about, a table at a time."""

    def __init__(self, tx: Connection, rules: CardRules, keys: CardKeys, on: date) -> None:
        self._tx, self._rules, self._keys, self._on = tx, rules, keys, on
        self._issuers = {one.terms_id: one.partner_id for one in all_terms(tx)}

    def row(self, row: Mapping[str, str]) -> tuple[Who, LotKey, int]:
        """Whose points, in which lot, how many. Raises: BadOpening, without the line."""
        told = {name: (row.get(name) or "").strip() for name in COLUMNS}
        points = int(told["points"]) if told["points"].isascii() and told["points"].isdigit() else 0
        if not 0 < points <= LARGEST_MINOR:
            raise BadOpening("points must be a whole number above 0")
        try:
            through = date.fromisoformat(told["last_day"])
        except ValueError:
            raise BadOpening("last_day must be a date such as 2027-12-31 (9999-12-31: for ever)") from None
        if through < self._on:
            raise BadOpening(f"points good through {through} have lapsed already; leave them out")
        if self._issuers.get(told["terms"]) != told["issuer"]:
            raise BadOpening(f"{told['issuer'] or 'nobody'} has no terms {told['terms']}; load the coalition first")
        key = LotKey(valid_through=through, issuer_id=told["issuer"], terms_id=told["terms"])
        return self._who(told), key, points

    def _who(self, told: Mapping[str, str]) -> Who:
        if bool(told["account"]) == bool(told["card"]):
            raise BadOpening("name either an account or a card")
        if told["account"]:
            number = told["account"]
            if not (number.isascii() and number.isdigit() and 0 < int(number) < 2**63):
                raise BadOpening("account must be a number")
            return "account", int(number)
        read = read_card(self._rules, told["card"], source="keyed")
        if not isinstance(read, Card):
            raise BadOpening("this is no card of the programme")
        return "card", tuple(one.token for one in self._keys.every_name_of(read))

    def accounts(self, whom: Iterable[Who]) -> dict[Who, int]:
        """The open account of each; those that have none are left out."""
        named = set(whom)
        tokens = [{"card_token": name} for kind, names in named if kind == "card" for name in names]
        owners = {row.card_token: row.account_id for row in find(self._tx, card, tokens)}
        found: dict[Who, int] = {one: owners[name] for one in named if one[0] == "card" for name in one[1]
                                 if name in owners}  # fmt: skip
        found |= {one: one[1] for one in named if one[0] == "account"}
        rows = find(self._tx, account, [{"account_id": one} for one in set(found.values())])
        is_open = {row.account_id for row in rows if row.status != "closed"}
        return {one: account_id for one, account_id in found.items() if account_id in is_open}
