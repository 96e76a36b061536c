"""What head office sees at a glance: tills, worklist, what is still to be recomputed."""

from typing import Any

from sqlalchemy import Connection, func, select

from central.registry import get_setting
from central.tables import changed, event, lane, stream, till
from central.worklist import open_counts


def overview(connection: Connection) -> dict[str, Any]:
    """Tills with their counts, open worklist rows by cause, and what is still under way.

    `unchecked` receipts wait to be recomputed, `unstamped` accounts to be published; `lanes` are the newest numbers.
    """
    receipts = select(func.count()).where(event.c.till_id == till.c.till_id, event.c.kind == "receipt.v1")
    rows = connection.execute(
        select(
            till.c.label,
            till.c.store_id,
            stream.c.seq,
            stream.c.state,
            stream.c.backlog,
            stream.c.heard_at_ms,
            receipts.scalar_subquery().label("receipts"),
        )
        .join_from(till, stream, (stream.c.till_id == till.c.till_id) & (stream.c.epoch == till.c.epoch))
        .order_by(till.c.label)
    )
    unchecked = select(func.count()).where(event.c.checked == "", event.c.state == "posted")
    return {
        "currency": get_setting(connection, "currency"),
        "tills": [dict(row) for row in rows.mappings()],
        "worklist": open_counts(connection),
        "unchecked": connection.execute(unchecked).scalar_one(),
        "unstamped": connection.execute(select(func.count()).select_from(changed)).scalar_one(),
        "lanes": {row.lane: row.no for row in connection.execute(select(lane))},
    }
