"""What earlier receipts posted, rebuilt from their rows, less what reversals have taken back since."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import msgspec
from sqlalchemy import Connection, Row

from central.database.rows import find
from central.database.tables import event, posting, reversed_
from loyalty.certificates import STORED
from loyalty.facts.fixed import Fixed
from loyalty.facts.price_deltas import DELTA
from loyalty.facts.receipts import Funded
from loyalty.ledger.books import Books, Recorded, Reversed, less, with_granted
from loyalty.lots import EventRef, LotKey, Slice

RECEIPT = "receipt.v1"
NO_DISCOUNT = (STORED, DELTA)  # rows in currency that are none
NOT_MERGED: Mapping[int, int] = MappingProxyType({})
NONE_FIXED: Mapping[EventRef, Fixed] = MappingProxyType({})


def recorded_receipts(
    connection: Connection,
    refs: Iterable[EventRef],
    books: Books,
    merged: Mapping[int, int] = NOT_MERGED,
    instead: Mapping[EventRef, Fixed] = NONE_FIXED,
) -> list[Recorded]:
    """The receipts among these events that have arrived and posted.

    Args:
        books: for the terms that held on a receipt's day.
        merged: accounts that were merged into another one; what happened to a receipt since stands there.
        instead: receipts that people posted instead of events in quarantine, among `refs`.
    """
    places = [_place(ref) for ref in refs]
    found = [row for row in find(connection, event, places) if row.state == "posted"
             and (row.kind == RECEIPT or _ref(row) in instead)]  # fmt: skip
    of = [{"account_id": account_id, "of_till": row.till_id, "of_epoch": row.epoch, "of_seq": row.seq}
          for row in found for account_id in homes_of(row.account_id, merged)]  # fmt: skip
    postings, taken = _by_fact(find(connection, posting, of)), _by_fact(find(connection, reversed_, of))
    recorded = [
        _recorded(row, postings.get(_ref(row), []), taken.get(_ref(row), []), books, homes_of(row.account_id, merged))
        for row in found
    ]
    return [_instead(one, instead[one.ref]) if one.ref in instead else one for one in recorded]


def _instead(recorded: Recorded, fixed: Fixed) -> Recorded:
    return msgspec.structs.replace(recorded, receipt_id=fixed.fact.receipt_id, instead_of=fixed.of)


def homes_of(account_id: int, merged: Mapping[int, int]) -> list[int]:
    """An account, the one it was merged into, and so on."""
    homes = [account_id]
    while homes[-1] in merged:
        homes.append(merged[homes[-1]])
    return homes


def key_of(row: Any) -> LotKey:
    """The lot that a row of lot or posting is about."""
    return lot_key(row.valid_through, row.issuer_id, row.terms_id)


@lru_cache(maxsize=4096)  # few lots have a name of their own: members share issuer, terms and last day
def lot_key(valid_through: str, issuer_id: str, terms_id: str) -> LotKey:
    """The lot behind its columns; `valid_through` is an ISO date."""
    return LotKey(valid_through=date.fromisoformat(valid_through), issuer_id=issuer_id, terms_id=terms_id)


def key_columns(key: LotKey) -> dict[str, str]:
    """The columns of a lot's key."""
    return {"valid_through": key.valid_through.isoformat(), "issuer_id": key.issuer_id, "terms_id": key.terms_id}


def _recorded(
    row: Row[Any], postings: list[Row[Any]], taken: list[Row[Any]], books: Books, homes: Sequence[int]
) -> Recorded:
    ref = _ref(row)
    own = sorted((p for p in postings if _by(p) == ref), key=lambda p: p.n)
    points = [p for p in own if p.unit == "point"]
    whole = Recorded(
        ref=ref,
        receipt_id=row.receipt_id,
        account_id=homes[-1],
        period_no=row.period_no,
        at_partner_id=row.partner_id,
        at_terms_id=books.terms_id(row.partner_id, date.fromisoformat(row.business_date)),
        net_minor=row.net_minor,
        granted=tuple(_slice(p) for p in points if p.source == "issued"),
        # Debts that the receipt's own points repaid are facts of other events.
        redeemed=tuple(_slice(p) for p in points if p.target == "redeemed"),
        funded=tuple(Funded(partner_id=p.issuer_id, amount_minor=p.amount) for p in own
                     if p.unit == "currency" and p.terms_id not in NO_DISCOUNT),
    )
    later = [p for p in postings if _by(p) != ref and p.unit == "point"
             and (p.target == "redeemed" or p.source == "issued")]  # fmt: skip

    def turn(step: Row[Any]) -> tuple[int, int, int]:
        return homes.index(step.account_id), step.account_version, getattr(step, "n", 0)

    for step in sorted([*later, *taken], key=turn):
        if hasattr(step, "restored_points"):
            whole = less(whole, reversed_of(step))
        elif step.source == "issued":
            # Granted anew for goods that were kept.
            whole = with_granted(whole, key_of(step), step.amount)
        else:
            whole = msgspec.structs.replace(whole, redeemed=(*whole.redeemed, _slice(step)))
    return whole


def reversed_of(row: Row[Any]) -> Reversed:
    """What a return or void took back, from its row."""
    return Reversed(
        of=EventRef(till_id=row.of_till, epoch=row.of_epoch, seq=row.of_seq),
        by=_by(row),
        account_id=row.account_id,
        granted=msgspec.json.decode(row.granted, type=tuple[Slice, ...]),
        restored_points=row.restored_points,
        net_minor=row.net_minor,
        funded=msgspec.json.decode(row.funded, type=tuple[Funded, ...]),
        regranted=msgspec.json.decode(row.regranted, type=tuple[Slice, ...]),
        refunded=msgspec.json.decode(row.refunded, type=tuple[Funded, ...]),
    )


def _by_fact(rows: Iterable[Row[Any]]) -> dict[EventRef, list[Row[Any]]]:
    grouped: dict[EventRef, list[Row[Any]]] = {}
    for row in rows:
        grouped.setdefault(EventRef(till_id=row.of_till, epoch=row.of_epoch, seq=row.of_seq), []).append(row)
    return grouped


def _slice(row: Row[Any]) -> Slice:
    return Slice(key=key_of(row), points=row.amount)


def _place(ref: EventRef) -> dict[str, Any]:
    return {"till_id": ref.till_id, "epoch": ref.epoch, "seq": ref.seq}


def _ref(row: Row[Any]) -> EventRef:
    return EventRef(till_id=row.till_id, epoch=row.epoch, seq=row.seq)


def _by(row: Row[Any]) -> EventRef:
    return EventRef(till_id=row.by_till, epoch=row.by_epoch, seq=row.by_seq)
