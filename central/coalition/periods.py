"""The accounting period that new postings belong to."""

from sqlalchemy import Connection, select

from central.database.asking import ask_one
from central.database.tables import period

_OPEN_PERIOD = select(period.c.period_no).where(period.c.state == "open").order_by(period.c.period_no.desc()).limit(1)
_OPEN_PERIOD_HELD = _OPEN_PERIOD.with_for_update(read=True)


def open_period_no(connection: Connection) -> int:
    """The period that new postings belong to; 1 before any coalition was loaded."""
    return ask_one(connection, _OPEN_PERIOD) or 1


def hold_open_period(tx: Connection) -> int:
    """The open period's number, kept open until this transaction ends.

    So it cannot be cut, and summed, between this reading and the postings that are stamped with it. SQLite has one
    writer and ignores the lock.
    """
    # Where none is found there is no period yet, or we waited while the page was turned: the next one is seen only now.
    return ask_one(tx, _OPEN_PERIOD_HELD) or ask_one(tx, _OPEN_PERIOD_HELD) or 1
