"""How the members in cache.db follow what head office tells: pages, chunks of a snapshot, ranges fetched anew.

A run replaces all members without taking any away before it is over: what it tells of carries its number, and what does
not goes with the last page. So a till that begins anew serves on with what it has.

An older version never replaces a newer one, but where head office was restored from a backup: versions count anew from
there, so rows of a later generation hold, once they have in them what the rows here have of the till's own events.
Until then the till would take points for there that it let be spent. Source: sync.md section 3.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from loyalty.members import PublishedMember
from sync.snapshots import ChunkRows, Span, digest_of, row_hash

Taken = list[tuple[int, int]]
"""(account_id, own_seq) of the rows that were taken."""
Rows = Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]
_SWEEPS_WITH = -16_384  # KiB of pages: tokens lie all over their index, and a page that is put out comes back
# A row that cannot be read has nothing in it.
_OWN_SEQ = (
    "CASE WHEN json_valid(CAST(member.row AS TEXT))"
    " THEN coalesce(json_extract(CAST(member.row AS TEXT), '$.row.own_seq'), 0) ELSE 0 END"
)
_TAKE = (
    "INSERT INTO member (account_id, version, row, home, run, generation) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
    " ON CONFLICT (account_id) DO UPDATE SET version = ?2, row = ?3, home = ?4, run = ?5, generation = ?6"
    f" WHERE (?6 = member.generation AND ?2 >= member.version) OR (?6 > member.generation AND ?7 >= {_OWN_SEQ})"
)


class Held(NamedTuple):
    """What is told apart of a row that is here; `own_seq` is read where a row of a later generation came."""

    version: int
    is_home: bool
    generation: int
    own_seq: int


def take_members(writer: sqlite3.Connection, members: Iterable[PublishedMember], run: int, generation: int) -> Taken:
    """Take rows that are not older than what is there."""
    taken = []
    for member in members:
        row = member.row
        if member.closed:
            _forget(writer, [row.account_id])
            taken.append((row.account_id, row.own_seq))
            continue
        told = row.account_id, row.version, msgspec.json.encode(member), member.home, run, generation, row.own_seq
        fresh = writer.execute(_TAKE, told).rowcount
        if not fresh:
            writer.execute("UPDATE member SET run = ? WHERE account_id = ?", (run, row.account_id))
            continue
        taken.append((row.account_id, row.own_seq))
        writer.execute("DELETE FROM card WHERE account_id = ?", (row.account_id,))
        _put_cards(writer, [member])
    return taken


def sweep_members(writer: sqlite3.Connection, run: int) -> None:
    """Forget whom a run that is over did not tell of.

    The rows are looked through once, and one statement takes all of them, however many they are. One for each would ask
    for the interpreter again and again, and wait every time for the sale that has it.
    """
    (usual,) = writer.execute("PRAGMA cache_size").fetchone()
    writer.execute(f"PRAGMA cache_size = {_SWEEPS_WITH}").fetchall()
    try:
        writer.execute("CREATE TEMP TABLE gone (account_id INTEGER PRIMARY KEY)")
        writer.execute("INSERT INTO gone SELECT account_id FROM member WHERE run < ?", (run,))
        for table in ("card", "member"):
            writer.execute(f"DELETE FROM {table} WHERE account_id IN (SELECT account_id FROM gone)")
        writer.execute("DROP TABLE gone")
    finally:
        writer.execute(f"PRAGMA cache_size = {usual}").fetchall()


def take_chunk(
    writer: sqlite3.Connection, span: Span, chunk: ChunkRows, own_seq: int, run: int, generation: int
) -> Taken:
    """Take a chunk's rows but those that are older than what is here, or say less of a member of our own store."""
    present = _present(writer, span, generation)
    if span.home:
        told = {member.row.account_id for member in chunk.rows} | set(chunk.apart)
        _moved_away(writer, [one for one, held in present.items() if held.is_home and one not in told])
    fresh = [
        msgspec.structs.replace(member, row=msgspec.structs.replace(member.row, own_seq=own_seq))
        for member in chunk.rows
        if _is_fresh(member, present.get(member.row.account_id), span, own_seq, generation)
    ]
    kept = {member.row.account_id for member in chunk.rows} | set(chunk.apart)
    kept -= {member.row.account_id for member in fresh}
    writer.executemany("UPDATE member SET run = ? WHERE account_id = ?", [(run, one) for one in kept if one in present])
    replaced = [member.row.account_id for member in fresh if member.row.account_id in present]
    _put(writer, fresh, replaced, run, generation)
    return [(member.row.account_id, own_seq) for member in fresh]


def take_range(
    writer: sqlite3.Connection, members: Iterable[PublishedMember], first: int, last: int, run: int, generation: int,
    *, home: bool,
) -> Taken:  # fmt: skip
    """Make the rows between two accounts these, whatever was there; with `home`, those of our own store."""
    rows = [member for member in members if not member.closed]
    theirs = " AND home = 1" if home else ""
    found = writer.execute(f"SELECT account_id FROM member WHERE account_id BETWEEN ? AND ?{theirs}", (first, last))
    told = {member.row.account_id for member in rows}
    _forget(writer, [one for (one,) in found.fetchall() if one not in told])
    if not home:
        writer.execute("DELETE FROM card WHERE account_id BETWEEN ? AND ?", (first, last))
    _put(writer, rows, told if home else (), run, generation)
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


def older_members(rows: Rows, span: Span, apart: frozenset[int], generation: int) -> list[int]:
    """Accounts of a span, but for those apart, whose rows are of an earlier generation. Of a member of our own store a
    span of everybody does not say all."""
    found = rows(
        "SELECT account_id FROM member WHERE account_id BETWEEN ? AND ? AND home = ? AND generation < ?",
        (span.first, span.last, bool(span.home), generation),
    )
    return [one for (one,) in found if one not in apart]


def renew_members(writer: sqlite3.Connection, account_ids: Iterable[int], generation: int) -> None:
    """These rows are as this generation has them."""
    told = [(generation, one, generation) for one in account_ids]
    writer.executemany("UPDATE member SET generation = ? WHERE account_id = ? AND generation < ?", told)


def _hash(found: tuple[Any, ...], cards: Mapping[int, list[str]], span: Span) -> int:
    account_id, version, home, row = found
    member = read_member(row)
    if member is None or (member.row.account_id, member.row.version, member.home) != (account_id, version, bool(home)):
        return _strange(bytes(row))
    looked_up = tuple(sorted(cards.get(account_id, [])))
    return row_hash(msgspec.structs.replace(member, cards=looked_up), span)


def read_member(row: bytes) -> PublishedMember | None:
    """A row as it was told; none for one that a bad disk changed."""
    try:
        return msgspec.json.decode(row, type=PublishedMember)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _strange(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(b"strange" + data, digest_size=8).digest(), "big")


def _present(writer: sqlite3.Connection, span: Span, generation: int) -> dict[int, Held]:
    found = writer.execute(
        f"SELECT account_id, version, home, generation, CASE WHEN generation < ? THEN {_OWN_SEQ} ELSE 0 END"
        " FROM member WHERE account_id BETWEEN ? AND ?",
        (generation, span.first, span.last),
    )
    return {account_id: Held(version, bool(home), born, own_seq)
            for account_id, version, home, born, own_seq in found.fetchall()}  # fmt: skip


def _is_fresh(member: PublishedMember, here: Held | None, span: Span, own_seq: int, generation: int) -> bool:
    if here is None:
        return True
    # Of a member of our own store a chunk for everybody lacks the counters.
    is_as_full = bool(span.home) or not here.is_home
    if generation != here.generation:
        return generation > here.generation and own_seq >= here.own_seq and is_as_full
    return member.row.version > here.version or (member.row.version == here.version and is_as_full)


def _moved_away(writer: sqlite3.Connection, account_ids: Iterable[int]) -> None:
    """They belong to another store now, which alone is told their counters and what lapses later; the chunks for
    everybody bring the rest, and all of one whose row cannot be read."""
    for one in account_ids:
        (row,) = writer.execute("SELECT row FROM member WHERE account_id = ?", (one,)).fetchone()
        if (member := read_member(row)) is None:
            _forget(writer, [one])
            continue
        shared = msgspec.structs.replace(member.row, counters=None, lapsing_later=())
        lean = msgspec.structs.replace(member, home=False, row=shared)
        writer.execute("UPDATE member SET home = 0, row = ? WHERE account_id = ?", (msgspec.json.encode(lean), one))


def _forget(writer: sqlite3.Connection, account_ids: Iterable[int]) -> None:
    for table in ("card", "member"):
        writer.executemany(f"DELETE FROM {table} WHERE account_id = ?", [(one,) for one in account_ids])


def _put(
    writer: sqlite3.Connection, members: Iterable[PublishedMember], replaced: Iterable[int], run: int, generation: int
) -> None:
    """Write rows, whatever was there; the cards of those replaced go first."""
    writer.executemany("DELETE FROM card WHERE account_id = ?", [(one,) for one in replaced])
    writer.executemany(
        "INSERT OR REPLACE INTO member (account_id, version, row, home, run, generation) VALUES (?, ?, ?, ?, ?, ?)",
        [(one.row.account_id, one.row.version, msgspec.json.encode(one), one.home, run, generation) for one in members],
    )
    _put_cards(writer, members)


def _put_cards(writer: sqlite3.Connection, members: Iterable[PublishedMember]) -> None:
    writer.executemany(
        "INSERT INTO card (card_token, account_id) VALUES (?, ?)"
        " ON CONFLICT (card_token) DO UPDATE SET account_id = excluded.account_id",
        [(card, one.row.account_id) for one in members for card in one.cards],
    )
