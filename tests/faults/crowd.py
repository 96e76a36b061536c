"""Members by the hundred thousand, as a coalition has them: drawn numbers, a card each, points in two lots, a tier,
some birthdays, and counters; one in twenty at home in store S1, the others in S2 or nowhere."""

import hashlib
from datetime import date, timedelta
from random import Random
from typing import Any

from sqlalchemy import Connection, Table

from central.database import tables as t
from central.database.lanes import mark_changed
from central.ports import writing
from tallypoint.in_process import InProcess

AT_ONCE = 50_000
_FIRST_DAY = date(2026, 6, 30)


def account_of(n: int) -> int:
    """Spread evenly over all numbers, as drawn ones are."""
    return int.from_bytes(hashlib.sha256(b"%d" % n).digest()[:7], "big") >> 3


def token_of(n: int) -> str:
    """The token of a member's card."""
    return hashlib.sha256(b"card %d" % n).hexdigest()[:32]


def enter_crowd(shop: InProcess, count: int) -> None:
    """So many members."""
    for first in range(0, count, AT_ONCE):
        with writing(shop.engine) as tx:
            _enter(tx, range(first, min(count, first + AT_ONCE)))


def _enter(tx: Connection, numbers: range) -> None:
    rows: dict[Table, list[dict[str, Any]]] = {one: [] for one in (t.account, t.card, t.member, t.lot, t.use)}
    for n in numbers:
        dice, one = Random(n), account_of(n)
        rows[t.account].append({"account_id": one, "version": dice.randint(1, 60)})
        rows[t.card].append({"card_token": token_of(n), "account_id": one, "since_ms": 0})
        home = "S1" if n % 20 == 0 else ("S2" if n % 20 < 18 else "")
        born = f"{dice.randint(1, 12):02}{dice.randint(1, 28):02}" if dice.random() < 0.3 else ""
        tier = dice.choices(("", "silver", "gold"), (80, 15, 5))[0]
        rows[t.member].append({"account_id": one, "tier": tier, "home_store_id": home, "birthday_mmdd": born})
        month = dice.randrange(12)
        for at, points in ((month, dice.randint(1, 900)), (month + 3, dice.randint(1, 400))):
            lapses = _FIRST_DAY + timedelta(days=30 * at)
            rows[t.lot].append({"account_id": one, "valid_through": lapses.isoformat(), "issuer_id": "acme",
                                "terms_id": "acme-1", "points": points})  # fmt: skip
        rows[t.use].append({"account_id": one, "account_version": 1, "name": "promo:milk", "amount": 1,
                            "by_till": "ff" * 16, "by_epoch": 1, "by_seq": n + 1})  # fmt: skip
    for table, given in rows.items():
        tx.execute(table.insert(), given)
    mark_changed(tx, {account_of(n) for n in numbers}, f"entered {numbers.start}")
