"""Points of an older scheme, from a CSV file: all rows or none, and the same file once.

Columns: `account` (its number) or `card`, `issuer`, `terms`, `points`, `last_day`. The terms say what the points are
worth between partners; an older scheme that was settled gets terms of its own without fee and advance.
Source: docs/ledger.md "Opening balances".
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection

from central.account_facts import AccountFacts
from central.audit import note_down
from central.login import Person
from central.ports import Randomness
from central.registry import all_terms
from central.rows import find
from central.tables import account, card
from loyalty.amounts import LARGEST_MINOR
from loyalty.cards import Card, CardRules, card_token, read_card
from loyalty.centre_events import Carried
from loyalty.lots import LotKey, Slice
from loyalty.moments import utc_date
from loyalty.trouble import Refusal

STREAM = "openings"
COLUMNS = ("account", "card", "issuer", "terms", "points", "last_day")
MOST_SAID = 20


class BadOpening(Refusal):
    code = "opening.malformed"
    status = 422


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a file; `before` when it had been taken in already, and nothing was done now."""

    file_id: str
    accounts: int
    points: int
    before: bool = False


def open_balances(
    tx: Connection, file: bytes, rows: Iterable[Mapping[str, str]], *, scheme: str, by: Person, rules: CardRules,
    card_key: bytes, now_ms: int, randomness: Randomness,
) -> Opened:  # fmt: skip
    """Issue the points of a file to its accounts.

    Args:
        file: its bytes, which name it: the same ones are never taken in twice.
        rows: of the file, the first below its heading.
        scheme: the name of the older scheme, kept with every account's points.
        rules: which numbers are cards.
    Raises:
        BadOpening: names the lines that cannot be taken and why; nothing was written.
    """
    file_id, on = hashlib.sha256(file).hexdigest()[:32], utc_date(now_ms)
    held = _read(tx, rows, rules, card_key, on)
    facts = AccountFacts(tx, STREAM, now_ms, randomness)
    facts.lock(held)
    carried = [
        Carried(
            receipt_id=f"opening:{file_id}:{account_id}",
            account_id=account_id,
            on=on,
            scheme=scheme,
            slices=tuple(Slice(key=key, points=lots[key]) for key in sorted(lots)),
            asked_by=by.login,
        )
        for account_id, lots in sorted(held.items())
    ]
    done = Opened(file_id=file_id, accounts=len(held), points=sum(sum(lots.values()) for lots in held.values()))
    if facts.written([carried[0].receipt_id]):
        return msgspec.structs.replace(done, before=True)
    facts.post(carried)
    note_down(tx, randomness, user_id=by.user_id, action="opening.taken", about=file_id, now_ms=now_ms,
              figures={"accounts": done.accounts, "points": done.points})  # fmt: skip
    return done


def _read(
    tx: Connection, rows: Iterable[Mapping[str, str]], rules: CardRules, card_key: bytes, on: date
) -> dict[int, dict[LotKey, int]]:
    """Points by account and lot. Raises: BadOpening."""
    reader = _Reader(tx, rules, card_key, on)
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


Who = tuple[str, Any]  # ("account", its number) or ("card", its token)


class _Reader:
    """Reads rows, and finds the accounts they are about, a table at a time."""

    def __init__(self, tx: Connection, rules: CardRules, card_key: bytes, on: date) -> None:
        self._tx, self._rules, self._card_key, self._on = tx, rules, card_key, on
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
        read = read_card(self._rules, told["card"])
        if not isinstance(read, Card):
            raise BadOpening("this is no card of the programme")
        return "card", card_token(self._card_key, read)

    def accounts(self, whom: Iterable[Who]) -> dict[Who, int]:
        """The open account of each; those that have none are left out."""
        named = set(whom)
        tokens = [{"card_token": name} for kind, name in named if kind == "card"]
        found: dict[Who, int] = {("card", row.card_token): row.account_id for row in find(self._tx, card, tokens)}
        found |= {one: one[1] for one in named if one[0] == "account"}
        rows = find(self._tx, account, [{"account_id": one} for one in set(found.values())])
        is_open = {row.account_id for row in rows if row.status != "closed"}
        return {one: account_id for one, account_id in found.items() if account_id in is_open}
