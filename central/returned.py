"""What earlier returns posted, read from their rows for whoever voids them."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection

from central.book_rows import posting_of
from central.recorded import homes_of, reversed_of
from central.rows import find
from central.tables import event, posting, reversed_
from loyalty.books import Returned
from loyalty.lots import EventRef

RETURN = "return.v1"


def posted_returns(
    connection: Connection, refs: Iterable[EventRef], receipts: Collection[EventRef], merged: Mapping[int, int]
) -> Iterator[Returned]:
    """The returns among these events that have arrived and posted.

    Args:
        receipts: those that they may have taken back.
        merged: accounts that were merged into another one; what settled a return's debts since stands there.
    """
    for row in find(connection, event, [msgspec.structs.asdict(ref) for ref in refs]):
        if row.kind == RETURN and row.state == "posted":
            yield _returned(connection, row, receipts, merged)


def _returned(
    connection: Connection, row: Any, receipts: Collection[EventRef], merged: Mapping[int, int]
) -> Returned:
    ref, homes = EventRef(till_id=row.till_id, epoch=row.epoch, seq=row.seq), homes_of(row.account_id, merged)
    of = [{"account_id": home, "of_till": one.till_id, "of_epoch": one.epoch, "of_seq": one.seq}
          for home in homes for one in {ref, *receipts}]  # fmt: skip
    rows = [one for each in find(connection, posting, of) if ref in ((one := posting_of(each)).by, one.of)]
    taken = [one for each in find(connection, reversed_, of) if (one := reversed_of(each)).by == ref]
    return Returned(
        ref=ref,
        account_id=homes[-1],
        at_partner_id=row.partner_id,
        # Its own in the order in which it wrote them, what others settled of its debts behind.
        postings=tuple(sorted(rows, key=lambda one: (one.by != ref, one.n))),
        reversed=taken[0] if taken else None,
    )
