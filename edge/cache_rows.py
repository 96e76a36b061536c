"""The tables of cache.db, and what a lane's rows become in them."""

import sqlite3
from collections.abc import Iterable

import msgspec
from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from loyalty.members import HotlistedCard, PublishedMember
from loyalty.programme import Programme, canonical

KEPT_PROGRAMMES = 2

_cache = Migrations("cache")


def make_tables(tables: Database) -> None:
    """Bring a cache of any earlier version to the present one."""
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


def take_members(
    writer: sqlite3.Connection, members: Iterable[PublishedMember], restart: bool
) -> list[tuple[int, int]]:
    """Take rows that are not older than what is there; (account_id, own_seq) of those that were taken."""
    if restart:
        writer.execute("DELETE FROM member")
        writer.execute("DELETE FROM card")
    taken = []
    for member in members:
        row = member.row
        fresh = writer.execute(
            "INSERT INTO member (account_id, version, row) VALUES (?, ?, ?)"
            " ON CONFLICT (account_id) DO UPDATE SET version = excluded.version, row = excluded.row"
            " WHERE excluded.version >= member.version",
            (row.account_id, row.version, msgspec.json.encode(member)),
        ).rowcount
        if not fresh:
            continue
        taken.append((row.account_id, row.own_seq))
        writer.execute("DELETE FROM card WHERE account_id = ?", (row.account_id,))
        if member.closed:
            writer.execute("DELETE FROM member WHERE account_id = ?", (row.account_id,))
            continue
        writer.executemany(
            "INSERT INTO card (card_token, account_id) VALUES (?, ?)"
            " ON CONFLICT (card_token) DO UPDATE SET account_id = excluded.account_id",
            [(card, row.account_id) for card in member.cards],
        )
    return taken


def take_hotlist(writer: sqlite3.Connection, cards: Iterable[HotlistedCard], restart: bool) -> None:
    """Block cards, and serve again those whose block was lifted."""
    if restart:
        writer.execute("DELETE FROM hotlist")
    for card in cards:
        if card.lifted:
            writer.execute("DELETE FROM hotlist WHERE card_token = ?", (card.card_token,))
        else:
            writer.execute(
                "INSERT INTO hotlist (card_token, reason) VALUES (?, ?)"
                " ON CONFLICT (card_token) DO UPDATE SET reason = excluded.reason",
                (card.card_token, card.reason),
            )


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
