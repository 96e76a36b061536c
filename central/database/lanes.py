"""The numbers of the lanes down: dense, and never visible out of order.

Hotlist and programme change rarely: whoever changes them takes the next number under a lock that is held to the
commit, so a lower number can never appear after a higher one. Members change with every batch, and that lock would
queue all tills behind each other: a batch leaves a mark in `changed`, and `stamp` turns marks into numbers afterwards,
one stamper at a time. Source: sync.md section 3; scale.md S15.
"""

from typing import Any

from sqlalchemy import Connection, bindparam, delete, exists, func, or_, select, update

from central.database.asking import ask, ask_one, tell_each
from central.database.rows import put, remove
from central.database.tables import account, certificate, changed, hotlist, lane, lane_mark, member_page
from loyalty.moments import DAY_MS
from sync.wire import LANES, Lane, Lanes

STAMPED: tuple[Lane, ...] = ("members", "certificates")  # whose rows wait for their numbers
STAMPED_AT_ONCE = 20_000
RESTORE_STEP = 1_000_000_000  # more numbers than a backup can be behind


def next_no(tx: Connection, name: Lane, by: int = 1) -> int:
    """Take the next `by` numbers of a lane, for this transaction alone until it commits; the last of them."""
    (row,) = put(tx, lane, [{"lane": name, "no": by}], {"no": "add"}, ["no"])
    return int(row.no)


_LANES = select(lane)


def newest(connection: Connection) -> Lanes:
    """The newest number of each lane."""
    return Lanes(**{row.lane: row.no for row in ask(connection, _LANES) if row.lane in LANES})


def mark_changed(tx: Connection, account_ids: set[int], mark: str) -> None:
    """Say that these accounts changed; `mark` names the change, so that no two writers meet on a row."""
    put(tx, changed, [{"account_id": account_id, "mark": mark} for account_id in account_ids], "nothing")


_UNNUMBERED = certificate.c.no == 0, certificate.c.n > 0
_MARKS = select(changed.c.account_id, changed.c.mark).limit(STAMPED_AT_ONCE)
_CODES = select(certificate.c.code).where(*_UNNUMBERED).order_by(certificate.c.code).limit(STAMPED_AT_ONCE)
_NUMBERED = update(certificate).where(certificate.c.code == bindparam("of")).values(no=bindparam("to"))
_WAITS = select(or_(exists(select(changed.c.account_id)), exists(select(certificate.c.code).where(*_UNNUMBERED))))


def stamp(tx: Connection) -> int:
    """Give every account and certificate that changed a number of its own; how many there were.

    A mark that is not committed yet is not seen, and gets a later number.
    """
    next_no(tx, "members", 0)  # the lock: one stamper at a time
    numbered_too = _stamp_certificates(tx)
    marks = ask(tx, _MARKS)
    if not marks:
        return numbered_too
    accounts = sorted({row.account_id for row in marks})
    last = next_no(tx, "members", len(accounts))
    numbered = [{"account_id": account_id, "no": last - len(accounts) + 1 + i} for i, account_id in enumerate(accounts)]
    put(tx, member_page, numbered, {"no": "given"})
    remove(tx, changed, [{"account_id": row.account_id, "mark": row.mark} for row in marks])
    return len(accounts) + numbered_too


def _stamp_certificates(tx: Connection) -> int:
    """Whoever changed a certificate left it without a number."""
    rows = ask(tx, _CODES)
    if rows:
        first = next_no(tx, "certificates", len(rows)) - len(rows) + 1
        tell_each(tx, _NUMBERED, [{"of": row.code, "to": no} for no, row in enumerate(rows, first)])
    return len(rows)


def has_changes(connection: Connection) -> bool:
    """Whether any account or certificate waits for its number."""
    return bool(ask_one(connection, _WAITS))


def jump_all(tx: Connection, at_least: int = 0) -> None:
    """After a restore from a backup: go far beyond what tills may have seen, so that no number is given twice.

    What changed since the backup went back with it, under the number that it had: tills whose cursor is beyond that
    begin the lane anew. Members need not, for versions, generation and digests put each of them right.

    Args:
        at_least: where to go if that is farther, such as the time in milliseconds, which outruns all numbering.
    """
    reached = newest(tx)
    for name in LANES:
        no = next_no(tx, name, max(RESTORE_STEP, at_least - reached.of(name)))
        if name != "members":
            put(tx, lane, [{"lane": _floor(name), "no": no}], {"no": "given"})


# What is gone, and for how long that is remembered

TOMBSTONE_DAYS = 90  # longer than a till may be out of contact


_FLOOR = select(lane.c.no).where(lane.c.lane == bindparam("named"))


def floor_of(connection: Connection, name: Lane) -> int:
    """The number below which a cursor is too old: what went before it may have been forgotten."""
    return ask_one(connection, _FLOOR, {"named": _floor(name)}) or 0


def forget_tombstones(tx: Connection, now_ms: int, days: int = TOMBSTONE_DAYS) -> int:
    """Forget who was closed or taken away, and which blocks were lifted, more than so many days ago; how many.

    Tills that were not heard since begin the lane anew. Numbers carry no time, so each run notes how far they are.
    """
    before_ms, reached = now_ms - days * DAY_MS, newest(tx)
    forgotten = 0
    for name in ("hotlist", "members"):
        put(tx, lane_mark, [{"lane": name, "no": reached.of(name), "at_ms": now_ms}], "nothing")
        old = select(func.max(lane_mark.c.no)).where(lane_mark.c.lane == name, lane_mark.c.at_ms <= before_ms)
        floor = tx.execute(old).scalar() or 0
        if not floor:
            continue
        gone = _closed_before(floor) if name == "members" else _lifted_before(floor)
        if went := tx.execute(gone).rowcount:
            # A restore may have put it higher: who was off then begins anew, however late they come.
            put(tx, lane, [{"lane": _floor(name), "no": floor}], {"no": "most"})
        forgotten += went
        tx.execute(delete(lane_mark).where(lane_mark.c.lane == name, lane_mark.c.no < floor))
    return forgotten


def _closed_before(floor: int) -> Any:
    # Not NOT IN: for each number PostgreSQL would look through all accounts, once they are too many to be hashed.
    lives = exists().where(account.c.account_id == member_page.c.account_id, account.c.status != "closed")
    return delete(member_page).where(member_page.c.no <= floor, ~lives)


def _lifted_before(floor: int) -> Any:
    return delete(hotlist).where(hotlist.c.no <= floor, hotlist.c.lifted == 1)


def _floor(name: str) -> str:
    return f"{name}.floor"
