"""Whether gift certificates hold what was put on them less what was paid with them, at head office and at the tills;
and whether nobody was paid twice with money that head office had set aside for one of them.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from tallypoint.fleet.evidence import Centre
from tallypoint.fleet.record import GiftPaid, Record, Told
from tallypoint.fleet.whose import Whose

OFFLINE_MINOR = 1_500  # the fleet's programme: what a till takes of one that head office set nothing aside of


def judge_gifts(record: Record, centre: Centre, whose: Whose) -> Iterator[str]:
    """What is on a certificate, less what is owed for it, is the sum of what answers say of it."""
    should: dict[str, int] = defaultdict(int)
    for told in record.told.values():
        if whose.is_posted(told.place) and _counts(told, whose):
            for token, amount in told.gifts:
                should[token] += amount
    # Where the sale of a certificate was undone of which something was spent, that stays, and people are told; voiding
    # such a return brings all to what it was.
    for token, used in _used(centre.disk):
        should[token] += used
    for token, missing in _not_there(record, centre.disk):
        should[token] -= missing
    rows = {code: (balance, owed, blocked) for code, balance, owed, blocked in
            centre.disk.execute("SELECT code, balance_minor, owed_minor, blocked FROM certificate")}  # fmt: skip
    for token in sorted(should.keys() | rows.keys()):
        balance, owed, _ = rows.get(token, (0, 0, ""))
        if balance - owed != should[token]:
            yield f"certificate: {token} has {balance} and owes {owed}, where answers say {should[token]}"
    for place, token in record.blocked_gifts.items():
        if whose.is_posted(place) and not rows.get(token, (0, 0, ""))[2]:
            yield f"certificate: {token} was blocked, head office says otherwise"


def judge_holds(record: Record, centre: Centre, whose: Whose, odd_tills: set[str]) -> Iterator[str]:
    """What was paid and was not there, was paid without a hold, or the sale of the certificate was undone.

    A hold counts that was heard after head office was last put back, at a till whose disk nobody touched, for a sale
    that was not late.
    """
    restored = max(record.restored_at, default=-1)
    at_risk: dict[str, int] = defaultdict(int)
    for one in _paid(record):
        is_held = one.held_at_ms is not None and one.held_at_ms > restored and one.place not in record.late
        is_held = is_held and one.place[0] not in odd_tills
        if whose.is_posted(one.place) and not is_held:
            at_risk[one.code] += one.amount_minor
    for told in record.told.values():
        if told.kind in ("void", "return") and whose.is_posted(told.place):
            for token, moved in told.gifts:
                at_risk[token] += max(0, -moved)
    short: dict[str, int] = defaultdict(int)
    for said in _flagged(centre.disk, "certificate_uncovered"):
        short[said["code"]] += said["asked_minor"] - said["covered_minor"]
    for code, owed in centre.disk.execute("SELECT code, owed_minor FROM certificate"):
        short[code] = max(short[code], owed)
    for code in sorted(short):
        if short[code] > at_risk[code]:
            yield f"held: {short[code]} paid with {code} were not there, and at most {at_risk[code]} were not set aside"
    for till_id, epoch, seq, _ in sorted(record.let_go):
        if till_id not in odd_tills:
            yield f"held: event {seq} of epoch {epoch} of till {till_id} was paid with a hold let go before it came"
    yield from _beyond_offline(record, odd_tills)


def _beyond_offline(record: Record, odd_tills: set[str]) -> Iterator[str]:
    """What a till took with nothing set aside, and did not know head office to have, is within the limit."""
    given_back: dict[tuple[str, str], int] = defaultdict(int)
    for told in record.told.values():
        # What the void of a return puts on again is no more than was there before.
        if told.kind == "void" or (told.kind == "return" and not told.event_id.startswith("void:")):
            for token, moved in told.gifts:
                given_back[told.place[0], token] += max(0, moved)
    before: dict[tuple[str, int, str], list[tuple[int, int]]] = defaultdict(list)
    for one in _paid(record):
        till_id, epoch, seq, _ = one.place
        if one.held_at_ms is not None or till_id in odd_tills:
            continue
        taken = before[till_id, epoch, one.code]
        taken.append((seq, one.amount_minor))
        unheard = sum(amount for at, amount in taken if at > one.heard_seq)
        if unheard > OFFLINE_MINOR + given_back[till_id, one.code]:
            yield f"held: till {till_id} took {unheard} of {one.code} by event {seq}, of which nothing was set aside"


def _paid(record: Record) -> Iterator[GiftPaid]:
    for paid in record.gifts_paid.values():
        yield from paid


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


def _used(centre: sqlite3.Connection) -> Iterator[tuple[str, int]]:
    """What had been spent of certificates whose sale stays undone."""
    undone = (
        "SELECT 1 FROM event e WHERE e.kind = 'return_void.v1' AND e.state = 'posted'"
        " AND e.till_id = flag.till_id AND e.receipt_id = 'void:' || flag.receipt_id"
    )
    for said in _flagged(centre, "certificate_used", f" AND NOT EXISTS ({undone})"):
        yield said["code"], said["used_minor"]


def _not_there(record: Record, centre: sqlite3.Connection) -> Iterator[tuple[str, int]]:
    """What came back a second time, after a void that head office has not booked: it had nothing to move any more.

    Only of goods of which a till voided a return; what takes back any others moves what it says.
    """
    brought_again = {told.of for told in record.told.values() if told.event_id.startswith("void:")}
    for told in record.told.values():
        if told.kind not in ("return", "void") or told.of is None or told.of not in brought_again:
            continue
        till_id, epoch, seq, _ = told.place
        where = f" AND till_id = '{till_id}' AND epoch = {epoch} AND seq = {seq}"
        for said in _flagged(centre, "certificate_returned_more", where):
            missing = said["asked_minor"] - said["found_minor"]
            moved = dict(told.gifts).get(said["code"], 0)
            yield said["code"], missing if moved > 0 else -missing


def _flagged(centre: sqlite3.Connection, cause: str, more: str = "") -> Iterator[dict[str, Any]]:
    for (figures,) in centre.execute(f"SELECT figures FROM flag WHERE cause = ?{more}", (cause,)):
        yield json.loads(figures)
