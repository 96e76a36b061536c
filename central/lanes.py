"""The numbers of the lanes down: dense, and never visible out of order.

Hotlist and programme change rarely: whoever changes them takes the next number under a lock that is held to the
commit, so a lower number can never appear after a higher one. Members change with every batch, and that lock would
queue all tills behind each other: a batch leaves a mark in `changed`, and `stamp` turns marks into numbers afterwards,
one stamper at a time. Source: sync.md section 3; scale.md S15.
"""

from sqlalchemy import Connection, select

from central.rows import put, remove
from central.tables import changed, lane, member_page
from sync.wire import LANES, Lane, Lanes

STAMPED_AT_ONCE = 20_000
RESTORE_STEP = 1_000_000_000  # more numbers than a backup can be behind


def next_no(tx: Connection, name: Lane, by: int = 1) -> int:
    """Take the next `by` numbers of a lane, for this transaction alone until it commits; the last of them."""
    (row,) = put(tx, lane, [{"lane": name, "no": by}], {"no": "add"}, ["no"])
    return int(row.no)


def newest(connection: Connection) -> Lanes:
    """The newest number of each lane."""
    return Lanes(**{row.lane: row.no for row in connection.execute(select(lane)) if row.lane in LANES})


def mark_changed(tx: Connection, account_ids: set[int], mark: str) -> None:
    """Say that these accounts changed; `mark` names the change, so that no two writers meet on a row."""
    put(tx, changed, [{"account_id": account_id, "mark": mark} for account_id in account_ids], "nothing")


def stamp(tx: Connection) -> int:
    """Give every account that changed a number of its own; how many there were.

    A mark that is not committed yet is not seen, and gets a later number.
    """
    next_no(tx, "members", 0)  # the lock: one stamper at a time
    marks = tx.execute(select(changed.c.account_id, changed.c.mark).limit(STAMPED_AT_ONCE)).all()
    if not marks:
        return 0
    accounts = sorted({row.account_id for row in marks})
    last = next_no(tx, "members", len(accounts))
    numbered = [{"account_id": account_id, "no": last - len(accounts) + 1 + i} for i, account_id in enumerate(accounts)]
    put(tx, member_page, numbered, {"no": "given"})
    remove(tx, changed, [{"account_id": row.account_id, "mark": row.mark} for row in marks])
    return len(accounts)


def has_changes(connection: Connection) -> bool:
    """Whether any account waits for its number."""
    return connection.execute(select(changed.c.account_id).limit(1)).first() is not None


def jump_all(tx: Connection) -> None:
    """After a restore from a backup: go far beyond what tills may have seen, so that no number is given twice."""
    put(tx, lane, [{"lane": name, "no": RESTORE_STEP} for name in LANES], {"no": "add"})


