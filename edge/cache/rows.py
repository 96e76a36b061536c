"""The tables of cache.db, and what a lane's rows become in them."""

import sqlite3
from collections.abc import Iterable

import msgspec
from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from edge.cache.troubles import CacheDamaged
from edge.database import later_than
from loyalty.certificates import CertificateRow
from loyalty.members import HotlistedCard
from loyalty.programme.programme import Programme, canonical

KEPT_PROGRAMMES = 2

_cache = Migrations("cache")


def make_tables(tables: Database) -> None:
    """Bring a cache of any earlier version to the present one.

    Raises:
        CacheDamaged: a later version wrote it, in a shape that is not known here.
    """
    if later := later_than(_cache, tables):
        raise CacheDamaged(f"A later version of this till wrote the cache ({', '.join(later)}).")
    _cache.apply(tables)


@_cache()
def first(tables: Database) -> None:
    """A table for each kind of row, the lanes, and whose cache it is."""
    shapes: list[tuple[str, dict[str, type], str]] = [
        ("member", {"account_id": int, "version": int, "row": bytes}, "account_id"),
        ("card", {"card_token": str, "account_id": int}, "card_token"),
        ("hotlist", {"card_token": str, "reason": str}, "card_token"),
        ("programme", {"version": str, "place": int, "document": bytes}, "version"),
        ("goods", {"sku": str, "name": str}, "sku"),
        ("lane", {"lane": str, "cursor": str, "version": int, "expires_ms": int, "taken_ms": int}, "lane"),
        ("owner", {"till_id": str, "epoch": int}, "till_id"),
    ]
    for name, columns, key in shapes:
        tables.table(name).create(columns, pk=key, not_null=set(columns), strict=True)
    tables.table("card").create_index(["account_id"])


@_cache()
def snapshots(tables: Database) -> None:
    """Runs that replace a lane's rows, members of the till's own store, and how far a snapshot is.

    Attributes of a lane: `run` counts how often it began anew; `sweeps` while rows of earlier runs are still here.
    """
    for table, columns in (("member", ("home", "run")), ("hotlist", ("run",)), ("lane", ("run", "sweeps"))):
        for column in columns:
            tables.table(table).add_column(column, int, not_null_default=0)
    tables.execute("CREATE INDEX member_of_home ON member (account_id) WHERE home = 1")
    held = {"lane": str, "manifest": bytes}
    tables.table("snapshot").create(held, pk="lane", not_null=set(held), strict=True)
    done = {"home": str, "bits": int, "part": int, "mark": bytes}
    tables.table("chunk_done").create(done, pk=("home", "bits", "part"), not_null=set(done), strict=True)


@_cache()
def certificates(tables: Database) -> None:
    """Certificates by their tokens, `row` as they were told."""
    held = {"code": str, "row": bytes, "run": int}
    tables.table("certificate").create(held, pk="code", not_null=set(held), strict=True)


def take_certificates(writer: sqlite3.Connection, told: Iterable[CertificateRow], run: int) -> None:
    """Take certificates as they are now; one with nothing left on it stays, so that it is not taken for a new one."""
    writer.executemany(
        "INSERT OR REPLACE INTO certificate (code, row, run) VALUES (?, ?, ?)",
        [(one.code, msgspec.json.encode(one), run) for one in told],
    )


def sweep_certificates(writer: sqlite3.Connection, run: int) -> None:
    """Forget certificates that a run which is over did not tell of."""
    writer.execute("DELETE FROM certificate WHERE run < ?", (run,))


@_cache()
def generations(tables: Database) -> None:
    """Of each member's row, the centre's generation: one that was restored counts versions of accounts anew."""
    tables.table("member").add_column("generation", int, not_null_default=0)


@_cache()
def whole_runs(tables: Database) -> None:
    """When each lane was last told to its end: before that, what is here of it may be of long ago."""
    tables.table("lane").add_column("whole_ms", int, not_null_default=0)
    tables.execute("UPDATE lane SET whole_ms = taken_ms")


def take_hotlist(writer: sqlite3.Connection, cards: Iterable[HotlistedCard], run: int) -> None:
    """Block cards, and serve again those whose block was lifted."""
    for card in cards:
        if card.lifted:
            writer.execute("DELETE FROM hotlist WHERE card_token = ?", (card.card_token,))
        else:
            writer.execute(
                "INSERT INTO hotlist (card_token, reason, run) VALUES (?, ?, ?)"
                " ON CONFLICT (card_token) DO UPDATE SET reason = excluded.reason, run = excluded.run",
                (card.card_token, card.reason, run),
            )


def sweep_hotlist(writer: sqlite3.Connection, run: int) -> None:
    """Serve again cards that a run which is over did not tell of."""
    writer.execute("DELETE FROM hotlist WHERE run < ?", (run,))


def take_programmes(writer: sqlite3.Connection, programmes: Iterable[Programme]) -> None:
    """Each in turn becomes the current one; the one before it stays for sales that were quoted under it."""
    for programme in programmes:
        writer.execute(
            "INSERT INTO programme (version, place, document)"
            " VALUES (?, (SELECT coalesce(max(place), 0) + 1 FROM programme), ?)"
            " ON CONFLICT (version) DO UPDATE SET place = excluded.place",
            (programme.version, canonical(programme)),
        )
    writer.execute(
        "DELETE FROM programme WHERE place NOT IN (SELECT place FROM programme ORDER BY place DESC LIMIT ?)",
        (KEPT_PROGRAMMES,),
    )
