"""What can go wrong with cache.db, and what whoever runs the till does about it."""

import sqlite3

from edge.database import is_damaged, is_full
from loyalty.trouble import BadInput, Fault, Trouble


class CacheFull(Fault):
    code = "cache.disk_full"
    status = 507


class CacheDamaged(Fault):
    code = "cache.damaged"


class CacheBroken(Fault):
    code = "cache.broken"


class BadRow(BadInput):
    code = "cache.bad_row"


def trouble_of(error: sqlite3.Error) -> Trouble:
    """What an error of SQLite means for whoever runs the till."""
    if is_full(error):
        return CacheFull("The disk of this till is full; free some space. Sales go on with what the till knows.")
    if is_damaged(error):
        return CacheDamaged("The cache of this till is damaged; start the service again, it is fetched anew.")
    return CacheBroken(f"The cache cannot be used ({error}); check the disk and start the service again.")
