"""The receipt that a claim names: by its id at its till, or by what is printed on the paper.

What is printed must fit the receipt as it was sent: record, total, minute, store and till. The mark of a receipt is the
same for every copy of its paper, whoever types it in and wherever. Source: fraud-privacy.md 1 "Points added after the
sale".
"""

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, select

from central.database.asking import ask, ask_first
from central.database.tables import event, store, till
from central.posting.posting import stored_heads
from central.streams.evidence import hash_at
from loyalty.facts.member_events import Claimed, ReceiptNamed
from loyalty.facts.receipts import Receipt
from loyalty.lots import EventRef

RECORD_DIGITS = 8
MOST_ALIKE = 20
_NAMED = (
    select(event)
    .where(event.c.receipt_id == bindparam("name"), event.c.kind == "receipt.v1")
    .order_by(event.c.till_id, event.c.epoch)
    .limit(MOST_ALIKE)
)
_NAMED_AT = _NAMED.where(event.c.till_id == bindparam("till"))
_PLACE = (
    select(till.c.label, store.c.store_id, store.c.name)
    .join_from(till, store)
    .where(till.c.till_id == bindparam("till"))
)


class Labels(msgspec.Struct, frozen=True, kw_only=True):
    """What may be printed on a till's receipts for its store and lane."""

    store: frozenset[str]
    till: frozenset[str]


def find_receipt(connection: Connection, claim: Claimed) -> Row[Any] | None:
    """The event row of the receipt that a claim names; none while it has not come, or where nothing printed fits."""
    named = claim.named
    rows = ask(connection, _NAMED_AT if claim.till_id else _NAMED, {"name": named.receipt_id, "till": claim.till_id})
    heads = stored_heads(connection, [_ref(row) for row in rows])
    fitting = [row for row in rows if isinstance(head := heads.get(_ref(row)), Receipt)
               and _fits(connection, row, head, named)]  # fmt: skip
    # A till whose disk went back may send a receipt twice; the second is kept apart, and the claim is of the first.
    chosen = [row for row in fitting if row.state != "quarantined"] or fitting
    # Two receipts that look alike on paper cannot be told apart, so nobody gets either by typing.
    return chosen[0] if len(chosen) == 1 else None


def labels_of(connection: Connection, till_id: str) -> Labels:
    """What a till prints of itself."""
    row = ask_first(connection, _PLACE, {"till": till_id})
    if row is None:
        return Labels(store=frozenset(), till=frozenset({_plain(till_id)}))
    return Labels(
        store=_words((row.store_id, row.name)), till=_words((till_id, row.label, till_id[:8]))
    )  # fmt: skip


def mark_of(receipt: Receipt, labels: Labels) -> str:
    """What all copies of a receipt's paper have in common: store, lane, number, minute and total, hashed."""
    where = sorted(labels.store)[:1] + sorted(labels.till)[:1]
    told = [*where, _plain(receipt.receipt_id), _minute(receipt), str(receipt.net_minor)]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:32]


def _fits(connection: Connection, row: Row[Any], receipt: Receipt, named: ReceiptNamed) -> bool:
    labels = labels_of(connection, row.till_id)
    record = hash_at(connection, row.till_id, row.epoch, row.seq)[:RECORD_DIGITS].upper()
    return (
        (not named.record or named.record.strip().upper() == record)
        and (not named.store or _plain(named.store) in labels.store)
        and (not named.till or _plain(named.till) in labels.till)
        and (not named.sold_at or named.sold_at[:16].replace(" ", "T") == _minute(receipt))
        and (named.total_minor is None or named.total_minor == receipt.net_minor)
    )


def _minute(receipt: Receipt) -> str:
    """The store's time to the minute, as it is printed."""
    place = receipt.place
    local = datetime.fromtimestamp(place.sold_at_ms // 1000, UTC) + timedelta(minutes=place.offset_min)
    return f"{local:%Y-%m-%dT%H:%M}"


def _words(told: Iterable[str]) -> frozenset[str]:
    return frozenset(_plain(one) for one in told if one)


def _plain(text: str) -> str:
    """Without what people leave out or type otherwise."""
    return re.sub(r"[\W_]+", "", text.casefold())


def _ref(row: Row[Any]) -> EventRef:
    return EventRef(till_id=row.till_id, epoch=row.epoch, seq=row.seq)
