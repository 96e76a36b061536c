"""What must hold at the end of the demo, held against the shops' own lists and the bytes on disk.

`central verify` rebuilds the books from evidence; here we ask what only the shops know: is every receipt that a till
answered at head office exactly once, do the closed figures stay closed, did a card number or the whole code of a
coupon reach any file.
"""

import re
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

from tallypoint.demo.counter import CERTIFICATE, PERSON
from tallypoint.demo.shop import Shop

_DIGITS = re.compile(rb"[0-9]{13,16}")
_COUPONS = re.compile(rb"TC[0-9A-Z]{32}")
# What a till writes down by itself, under a name of its own: nobody at a counter was answered it.
_BY_ITSELF = ("opened.v1", "lease.v1", "transfer.v1", "card_named.v1")


def check_all(shop: Shop, result: dict[str, Any]) -> list[str]:
    """Every violation as a sentence; none when all holds."""
    found = [
        f"{one['code']}: {one['about']}: wanted {one['wanted']}, found {one['found']}"
        for one in result["verified"]["violations"]
    ]
    found += _answered_once(shop)
    found += _till_chains(shop)
    found += _closed_stays_closed(result)
    found += _positions(result)
    found += _closes(shop)
    found += _no_secret(shop)
    return found


def _answered_once(shop: Shop) -> list[str]:
    """Each answered receipt is at head office exactly once: posted, waiting or quarantined."""
    with _read_only(shop.folder / "centre" / "central.db") as db:
        rows = db.execute("SELECT label, receipt_id, kind FROM event JOIN till USING (till_id)").fetchall()
    arrived = Counter((label, receipt_id) for label, receipt_id, kind in rows if kind not in _BY_ITSELF)
    wanted = {(till.label, receipt_id) for till in shop.tills for receipt_id in till.answered}
    lost = sorted(wanted - arrived.keys())
    twice = sorted(key for key, times in arrived.items() if times > 1 and key[1])
    stray = sorted(key for key in arrived.keys() - wanted if key[1])
    return (
        [f"lost: {label} answered {receipt_id}, head office has not got it" for label, receipt_id in lost]
        + [f"doubled: {label} {receipt_id} is at head office more than once" for label, receipt_id in twice]
        + [f"invented: head office has {receipt_id} of {label}, nobody was answered" for label, receipt_id in stray]
    )


def _till_chains(shop: Shop) -> list[str]:
    """Each till's journal and its stream at head office end in the same hash."""
    with _read_only(shop.folder / "centre" / "central.db") as db:
        heads = db.execute("SELECT till.label, stream.hash FROM stream JOIN till USING (till_id, epoch)").fetchall()
    streams = dict(heads)
    broken = []
    for till in shop.tills:
        with _read_only(shop.folder / "tills" / till.label / "journal.db") as db:
            (head,) = db.execute("SELECT hash FROM event ORDER BY epoch DESC, seq DESC LIMIT 1").fetchone()
        if head != streams[till.label]:
            broken.append(f"chain: {till.label} and head office end in different hashes")
    return broken


def _closes(shop: Shop) -> list[str]:
    """Each till counted what its POS counted."""
    return [f"close: {till.label}: {one['say']}" for till in shop.tills for one in till.differences]


def _closed_stays_closed(result: dict[str, Any]) -> list[str]:
    """Closing again answers the very same statements."""
    same = result["closed"]["statements"] == result["closed_again"]["statements"]
    return [] if same else ["statement: closing the period again changed a statement"]


def _positions(result: dict[str, Any]) -> list[str]:
    """Partners and operator sum to zero."""
    total = sum(one["net_minor"] for one in result["closed"]["positions"])
    return [] if total == 0 else [f"positions: partners and operator sum to {total}, not zero"]


def _no_secret(shop: Shop) -> list[str]:
    """No file of any till, of head office, or of a log holds a card number, a coupon or certificate that could be
    presented, or who a member is."""
    told = [text.encode() for text in (*PERSON.values(), CERTIFICATE, "".join(CERTIFICATE.split("-")))]
    numbers = {number.encode() for number in shop.cards}
    coupons = {code.encode() for till in shop.tills for rung in till.rung for code in rung.coupons_issued}
    found = []
    for path in sorted(one for one in shop.folder.rglob("*") if one.is_file()):
        held, name = path.read_bytes(), path.relative_to(shop.folder)
        if not numbers.isdisjoint(_DIGITS.findall(held)):
            found.append(f"card number in {name}")
        if not coupons.isdisjoint(_COUPONS.findall(held)):
            found.append(f"coupon in {name}")
        found += [f"what nobody may read in {name}" for text in told if text in held]
    return found


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)
