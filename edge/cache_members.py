"""How the members in cache.db follow what head office tells: pages, chunks of a snapshot, ranges fetched anew.

A run replaces all members without taking any away before it is over: what it tells of carries its number, and what does
not goes with the last page. So a till that begins anew serves on with what it has. Source: sync.md section 3.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from loyalty.members import PublishedMember
from sync.snapshots import ChunkRows, Span, digest_of, row_hash

Taken = list[tuple[int, int]]
"""(account_id, own_seq) of the rows that were taken."""
Rows = Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]


def take_members(writer: sqlite3.Connection, members: Iterable[PublishedMember], run: int) -> Taken:
    """Take rows that are not older than what is there."""
    taken = []
    for member in members:
        row = member.row
        if member.closed:
            _forget(writer, [row.account_id])
            taken.append((row.account_id, row.own_seq))
            continue
        fresh = writer.execute(
            "INSERT INTO member (account_id, version, row, home, run) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (account_id) DO UPDATE SET version = excluded.version, row = excluded.row,"
            " home = excluded.home, run = excluded.run WHERE excluded.version >= member.version",
            (row.account_id, row.version, msgspec.json.encode(member), member.home, run),
        ).rowcount
        if not fresh:
            writer.execute("UPDATE member SET run = ? WHERE account_id = ?", (run, row.account_id))
            continue
        taken.append((row.account_id, row.own_seq))
        writer.execute("DELETE FROM card WHERE account_id = ?", (row.account_id,))
        _put_cards(writer, [member])
    return taken


def sweep_members(writer: sqlite3.Connection, run: int) -> None:
    """Forget whom a run that is over did not tell of."""
    writer.execute("DELETE FROM card WHERE account_id IN (SELECT account_id FROM member WHERE run < ?)", (run,))
    writer.execute("DELETE FROM member WHERE run < ?", (run,))


def take_chunk(writer: sqlite3.Connection, span: Span, chunk: ChunkRows, own_seq: int, run: int) -> Taken:
    """Take a chunk's rows but those that are older than what is here, or say less of a member of our own store."""
    present = _present(writer, span)
    if span.home:
        told = {member.row.account_id for member in chunk.rows} | set(chunk.apart)
        _moved_away(writer, [one for one, (_, home) in present.items() if home and one not in told])
    fresh = [
        msgspec.structs.replace(member, row=msgspec.structs.replace(member.row, own_seq=own_seq))
        for member in chunk.rows
        if _is_fresh(member, present.get(member.row.account_id), span)
    ]
    kept = {member.row.account_id for member in chunk.rows} | set(chunk.apart)
    kept -= {member.row.account_id for member in fresh}
    writer.executemany("UPDATE member SET run = ? WHERE account_id = ?", [(run, one) for one in kept if one in present])
    _put(writer, fresh, run, [member.row.account_id for member in fresh if member.row.account_id in present])
    return [(member.row.account_id, own_seq) for member in fresh]


def take_range(
    writer: sqlite3.Connection, members: Iterable[PublishedMember], first: int, last: int, run: int, *, home: bool
) -> Taken:
    """Make the rows between two accounts these, whatever was there; with `home`, those of our own store."""
    rows = [member for member in members if not member.closed]
    theirs = " AND home = 1" if home else ""
    found = writer.execute(f"SELECT account_id FROM member WHERE account_id BETWEEN ? AND ?{theirs}", (first, last))
    told = {member.row.account_id for member in rows}
    _forget(writer, [one for (one,) in found.fetchall() if one not in told])
    if not home:
        writer.execute("DELETE FROM card WHERE account_id BETWEEN ? AND ?", (first, last))
    _put(writer, rows, run, told if home else ())
    return [(member.row.account_id, member.row.own_seq) for member in rows]


def digest_members(rows: Rows, span: Span, apart: frozenset[int]) -> tuple[int, str]:
    """How many rows a span has here, and their digest, with cards as they are looked up. A row that cannot be read, and
    a card without a row, count as something that head office never told."""
    between = span.first, span.last
    cards: dict[int, list[str]] = {}
    for account_id, token in rows("SELECT account_id, card_token FROM card WHERE account_id BETWEEN ? AND ?", between):
        cards.setdefault(account_id, []).append(token)
    theirs = " AND home = 1" if span.home else ""
    found = rows(f"SELECT account_id, version, home, row FROM member WHERE account_id BETWEEN ? AND ?{theirs}", between)
    hashes = [_hash(one, cards, span) for one in found if one[0] not in apart]
    if not span.home:
        stray = cards.keys() - {one[0] for one in found} - apart
        hashes += [_strange(f"{one}".encode()) for one in stray]
    return len(hashes), f"{digest_of(hashes):016x}"


def _hash(found: tuple[Any, ...], cards: Mapping[int, list[str]], span: Span) -> int:
    account_id, version, home, row = found
    try:
        member = msgspec.json.decode(row, type=PublishedMember)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _strange(bytes(row))
    if (member.row.account_id, member.row.version, member.home) != (account_id, version, bool(home)):
        return _strange(bytes(row))
    looked_up = tuple(sorted(cards.get(account_id, [])))
    return row_hash(msgspec.structs.replace(member, cards=looked_up), span)


def _strange(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(b"strange" + data, digest_size=8).digest(), "big")


def _present(writer: sqlite3.Connection, span: Span) -> dict[int, tuple[int, bool]]:
    found = writer.execute(
        "SELECT account_id, version, home FROM member WHERE account_id BETWEEN ? AND ?", (span.first, span.last)
    )
    return {account_id: (version, bool(home)) for account_id, version, home in found.fetchall()}


def _is_fresh(member: PublishedMember, here: tuple[int, bool] | None, span: Span) -> bool:
    if here is None:
        return True
    version, home = here
    # Of a member of our own store a chunk for everybody lacks the counters.
    return member.row.version > version or (member.row.version == version and (bool(span.home) or not home))


def _moved_away(writer: sqlite3.Connection, account_ids: Iterable[int]) -> None:
    """They belong to another store now, which alone is told their counters; the chunks for everybody bring the rest."""
    for one in account_ids:
        (row,) = writer.execute("SELECT row FROM member WHERE account_id = ?", (one,)).fetchone()
        member = msgspec.json.decode(row, type=PublishedMember)
        lean = msgspec.structs.replace(member, home=False, row=msgspec.structs.replace(member.row, counters=None))
        writer.execute("UPDATE member SET home = 0, row = ? WHERE account_id = ?", (msgspec.json.encode(lean), one))


def _forget(writer: sqlite3.Connection, account_ids: Iterable[int]) -> None:
    for table in ("card", "member"):
        writer.executemany(f"DELETE FROM {table} WHERE account_id = ?", [(one,) for one in account_ids])


def _put(writer: sqlite3.Connection, members: Iterable[PublishedMember], run: int, replaced: Iterable[int]) -> None:
    """Write rows, whatever was there; the cards of those replaced go first."""
    writer.executemany("DELETE FROM card WHERE account_id = ?", [(one,) for one in replaced])
    writer.executemany(
        "INSERT OR REPLACE INTO member (account_id, version, row, home, run) VALUES (?, ?, ?, ?, ?)",
        [(one.row.account_id, one.row.version, msgspec.json.encode(one), one.home, run) for one in members],
    )
    _put_cards(writer, members)


def _put_cards(writer: sqlite3.Connection, members: Iterable[PublishedMember]) -> None:
    writer.executemany(
        "INSERT INTO card (card_token, account_id) VALUES (?, ?)"
        " ON CONFLICT (card_token) DO UPDATE SET account_id = excluded.account_id",
        [(card, one.row.account_id) for one in members for card in one.cards],
    )
