"""What can go wrong with journal.db, and what whoever runs the till does about it."""

import sqlite3

from edge.database import is_damaged, is_full
from loyalty.trouble import Fault, Trouble


class JournalFull(Fault):
    code = "journal.disk_full"
    status = 507


class JournalDamaged(Fault):
    code = "journal.damaged"


class JournalBroken(Fault):
    code = "journal.broken"


class JournalNewer(Fault):
    code = "journal.newer"


class OtherTill(Fault):
    code = "journal.other_till"
    status = 500


def trouble_of(error: sqlite3.Error) -> Trouble:
    """What an error of SQLite means for whoever runs the till."""
    if is_full(error):
        return JournalFull(
            "The disk of this till is full, so the receipt could not be kept and nothing was written. "
            "Free some space (logs, downloads), then send the same receipt again."
        )
    if is_damaged(error):
        return damaged(str(error))
    return JournalBroken(
        f"The journal cannot be written ({error}). Check the disk, then start the till service again and send the "
        "same receipt again.",
        sqlite=getattr(error, "sqlite_errorname", ""),
    )


def trouble_of_opening(error: sqlite3.Error) -> Trouble:
    """The same while a journal is opened: there, SQL of ours that is refused means that the tables are not ours."""
    strange = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_SCHEMA)
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    return damaged(str(error)) if code in strange else trouble_of(error)


def damaged(how: str) -> JournalDamaged:
    return JournalDamaged(
        f"The journal of this till is damaged: {how}. Start the service again: it keeps the damaged files aside, saves "
        "what is true of them, and sells on. Tell head office, and have the disk looked at."
    )
