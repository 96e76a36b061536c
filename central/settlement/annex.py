"""The annex of a statement: the postings behind its lines, one row each, by receipt.

Postings of a closed period never change, so the annex is read from them whenever it is asked for, and its hash stands
in the statement. It names receipts and lots, never a member, and no goods. Source: fraud-privacy.md section 3.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, and_, case, or_, select

from central.database.tables import event, posting
from central.settlement.csv_text import csv_line

OF_TILLS = ("receipt.v1", "return.v1", "void.v1", "return_void.v1")
HEADS = (
    "till_id",
    "epoch",
    "seq",
    "receipt_id",
    "business_date",
    "unit",
    "source",
    "target",
    "amount",
    "issuer_id",
    "terms_id",
    "valid_through",
    "at_partner_id",
    "at_terms_id",
    "priced_by",
    "of_till",
    "of_epoch",
    "of_seq",
    "origin_period_no",
)


def annex_rows(tx: Connection, period_no: int, partner_id: str) -> Iterator[tuple[Any, ...]]:
    """Postings of a period that concern a partner, as issuer or as the place, in the order of the streams."""
    p = posting.c
    of_event = and_(event.c.till_id == p.by_till, event.c.epoch == p.by_epoch, event.c.seq == p.by_seq)
    # Head office names its own events after the account they are about; here their type says enough.
    named = case((event.c.kind.in_(OF_TILLS), event.c.receipt_id), else_=event.c.kind)
    columns = [
        p.by_till,
        p.by_epoch,
        p.by_seq,
        named,
        event.c.business_date,
        *(p[name] for name in HEADS[5:]),
    ]
    chosen = (
        select(*columns)
        .select_from(posting.outerjoin(event, of_event))
        .where(p.period_no == period_no, or_(p.issuer_id == partner_id, p.at_partner_id == partner_id))
        .order_by(p.by_till, p.by_epoch, p.by_seq, p.account_id, p.n)
    )
    for row in tx.execute(chosen.execution_options(yield_per=1000)):
        yield tuple(row)


def annex_csv(tx: Connection, period_no: int, partner_id: str) -> Iterator[str]:
    """The annex as lines of CSV, heads first; always with commas, for its hash is in the statement."""
    yield csv_line(HEADS)
    for row in annex_rows(tx, period_no, partner_id):
        yield csv_line(row)


def digest_annex(tx: Connection, period_no: int, partner_id: str) -> tuple[int, str]:
    """How many rows the annex has, and the SHA-256 of it as CSV."""
    digest = hashlib.sha256()
    lines = 0
    for line in annex_csv(tx, period_no, partner_id):
        digest.update(line.encode())
        lines += 1
    return lines - 1, digest.hexdigest()
