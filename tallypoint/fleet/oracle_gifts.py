"""Whether gift certificates hold what was put on them less what was paid with them, at head office and at the tills."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator

from tallypoint.fleet.evidence import Centre
from tallypoint.fleet.record import Record, Told
from tallypoint.fleet.whose import Whose


def judge_gifts(record: Record, centre: Centre, whose: Whose) -> Iterator[str]:
    """What is on a certificate, less what is owed for it, is the sum of what answers say of it."""
    should: dict[str, int] = defaultdict(int)
    for told in record.told.values():
        if whose.is_posted(told.place) and _counts(told, whose):
            for token, amount in told.gifts:
                should[token] += amount
    # Where the sale of a certificate was undone of which something was spent, that stays, and people are told.
    for token, used in _figures(centre.disk, "certificate_used", "used_minor"):
        should[token] += used
    rows = {code: (balance, owed, blocked) for code, balance, owed, blocked in
            centre.disk.execute("SELECT code, balance_minor, owed_minor, blocked FROM certificate")}  # fmt: skip
    for token in sorted(should.keys() | rows.keys()):
        balance, owed, _ = rows.get(token, (0, 0, ""))
        if balance - owed != should[token]:
            yield f"certificate: {token} has {balance} and owes {owed}, where answers say {should[token]}"
    for place, token in record.blocked_gifts.items():
        if whose.is_posted(place) and not rows.get(token, (0, 0, ""))[2]:
            yield f"certificate: {token} was blocked, head office says otherwise"


def gifts_at(centre: sqlite3.Connection) -> dict[str, tuple[int, bool]]:
    """What every till should know of certificates: what is on each, and whether it is blocked."""
    rows = centre.execute("SELECT code, balance_minor, blocked FROM certificate")
    return {code: (balance, bool(blocked)) for code, balance, blocked in rows if balance or blocked}


def till_gifts(cache: sqlite3.Connection) -> dict[str, tuple[int, bool]]:
    """What a till knows; of what is used up it may keep a row."""
    found = {}
    for code, row in cache.execute("SELECT code, row FROM certificate"):
        said = json.loads(row)
        held = sum(amount for _, amount in said.get("parts", ())), bool(said.get("blocked"))
        if any(held):
            found[code] = held
    return found


def _counts(told: Told, whose: Whose) -> bool:
    """Goods without their receipt give nothing back onto certificates."""
    return told.of is None or told.of in whose.posted.receipts


def _figures(centre: sqlite3.Connection, cause: str, name: str) -> Iterator[tuple[str, int]]:
    for (figures,) in centre.execute("SELECT figures FROM flag WHERE cause = ?", (cause,)):
        said = json.loads(figures)
        yield said["code"], said[name]
