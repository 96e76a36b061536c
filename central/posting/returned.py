"""What earlier returns posted, read from their rows for whoever voids them."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, Row

from central.database.rows import find
from central.database.tables import event, posting, reversed_
from central.posting.book_rows import posting_of
from central.posting.recorded import homes_of, reversed_of
from loyalty.facts.fixed import Fixed
from loyalty.ledger.books import Returned
from loyalty.lots import EventRef

RETURN = "return.v1"


def rows_of_returns(
    connection: Connection, refs: Iterable[EventRef], instead: Mapping[EventRef, Fixed]
) -> list[Row[Any]]:
    """Those of these events that are returns and have posted; `instead`: those among them that people posted."""
    found = find(connection, event, [msgspec.structs.asdict(ref) for ref in refs])
    return [row for row in found if row.state == "posted" and (row.kind == RETURN or _ref(row) in instead)]


def posted_returns(
    connection: Connection,
    refs: Iterable[EventRef],
    receipts: Collection[EventRef],
    merged: Mapping[int, int],
    instead: Mapping[EventRef, Fixed],
) -> Iterator[Returned]:
    """What the returns among these events posted.

    Args:
        receipts: those that they may have taken back.
        merged: accounts that were merged into another one; what settled a return's debts since stands there.
        instead: returns that people posted instead of events in quarantine, among `refs`.
    """
    for row in rows_of_returns(connection, refs, instead):
        returned = _returned(connection, row, receipts, merged)
        fixed = instead.get(returned.ref)
        yield msgspec.structs.replace(returned, return_id=fixed.fact.receipt_id, instead_of=fixed.of) if fixed else (
            returned
        )


def _returned(
    connection: Connection, row: Row[Any], receipts: Collection[EventRef], merged: Mapping[int, int]
) -> Returned:
    ref, homes = _ref(row), homes_of(row.account_id, merged)
    of = [{"account_id": home, "of_till": one.till_id, "of_epoch": one.epoch, "of_seq": one.seq}
          for home in homes for one in {ref, *receipts}]  # fmt: skip
    rows = [one for each in find(connection, posting, of) if ref in ((one := posting_of(each)).by, one.of)]
    taken = [one for each in find(connection, reversed_, of) if (one := reversed_of(each)).by == ref]
    return Returned(
        ref=ref,
        return_id=row.receipt_id,
        account_id=homes[-1],
        at_partner_id=row.partner_id,
        # Its own in the order in which it wrote them, what others settled of its debts behind.
        postings=tuple(sorted(rows, key=lambda one: (one.by != ref, one.n))),
        reversed=taken[0] if taken else None,
    )


def _ref(row: Row[Any]) -> EventRef:
    return EventRef(till_id=row.till_id, epoch=row.epoch, seq=row.seq)
