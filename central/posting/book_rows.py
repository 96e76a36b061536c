"""Kernel values as rows of the ledger's tables, those of the largest tables as plain cells in the table's order."""

from collections.abc import Iterable
from typing import Any

import msgspec

from central.database.rows import Cells
from central.posting.recorded import key_of
from loyalty.ledger.books import Account, Posted, Posting, Reversed
from loyalty.lots import Debt, EventRef, LotKey
from loyalty.members import Use


def lot_row(who: int, of: Account, key: LotKey) -> Cells:
    """One lot of an account, as it is now."""
    earned_on, redated = of.earned_on.get(key), of.redated.get(key)
    return (
        who, key.valid_through.isoformat(), key.issuer_id, key.terms_id, of.lots.get(key, 0),
        earned_on.isoformat() if earned_on else "", of.expired.get(key, 0), redated.isoformat() if redated else "",
    )  # fmt: skip


def posting_row(one: Posting) -> Cells:
    """One posting."""
    key, by, of = one.key, one.by, one.of
    return (
        one.account_id, by.till_id, by.epoch, by.seq, one.n, one.account_version, one.unit, one.source, one.target,
        one.amount, key.valid_through.isoformat(), key.issuer_id, key.terms_id,
        one.at_partner_id, one.at_terms_id, one.priced_by, of.till_id, of.epoch, of.seq,
        one.period_no, one.origin_period_no,
    )  # fmt: skip


def posting_of(row: Any) -> Posting:
    """A posting from its row."""
    return Posting(
        account_id=row.account_id, account_version=row.account_version, n=row.n, unit=row.unit, source=row.source,
        target=row.target, amount=row.amount, key=key_of(row), at_partner_id=row.at_partner_id,
        at_terms_id=row.at_terms_id, by=EventRef(till_id=row.by_till, epoch=row.by_epoch, seq=row.by_seq),
        of=EventRef(till_id=row.of_till, epoch=row.of_epoch, seq=row.of_seq), period_no=row.period_no,
        origin_period_no=row.origin_period_no, priced_by=row.priced_by,
    )  # fmt: skip


def use_rows(posted: Posted, uses: Iterable[Use]) -> list[Cells]:
    """What an event adds to counters."""
    who, version, by = posted.account_id, posted.account_version, posted.ref
    return [(who, version, one.name, one.amount, by.till_id, by.epoch, by.seq) for one in uses]


def reversed_row(one: Reversed, posted: Posted) -> dict[str, Any]:
    """What a return or void took back of a receipt, or gave back."""
    return {
        "account_id": one.account_id,
        "account_version": posted.account_version,
        "restored_points": one.restored_points,
        "net_minor": one.net_minor,
        "granted": msgspec.json.encode(one.granted).decode(),
        "funded": msgspec.json.encode(one.funded).decode(),
        "regranted": msgspec.json.encode(one.regranted).decode(),
        "refunded": msgspec.json.encode(one.refunded).decode(),
        **_place("of", one.of),
        **_place("by", one.by),
    }


def debt_row(one: Debt, n: int) -> dict[str, Any]:
    """The `n`-th debt of an account, oldest first."""
    plain = msgspec.structs.asdict(one)
    of = plain.pop("of")
    return {**plain, "n": n, "issuer_id": one.issuer_id or "", "terms_id": one.terms_id or "", **_place("of", of)}


def debt_of(row: Any) -> Debt:
    """A debt from its row."""
    return Debt(
        account_id=row.account_id,
        issuer_id=row.issuer_id or None,
        terms_id=row.terms_id or None,
        at_partner_id=row.at_partner_id,
        at_terms_id=row.at_terms_id,
        points=row.points,
        of=EventRef(till_id=row.of_till, epoch=row.of_epoch, seq=row.of_seq),
        origin_period_no=row.origin_period_no,
    )


def _place(side: str, ref: EventRef) -> dict[str, Any]:
    return {f"{side}_till": ref.till_id, f"{side}_epoch": ref.epoch, f"{side}_seq": ref.seq}
