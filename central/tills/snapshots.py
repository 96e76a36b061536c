"""The members as chunks that all tills share, made in the background; which of them a till begins from.

A chunk holds what one span of account numbers was in one snapshot of the database, and is kept until it is replaced:
when a tenth of it changed, when pages from it on grow long, or when anything in it changed for six hours. How far every
till's stream had come in that snapshot is kept beside it, for the rows cannot say it to each till. Accounts with an
event that waits are left out, since their rows differ from till to till, and are told again by pages.

Source: sync.md section 3; house.md section 3; docs/decisions/chunk-says-how-far.md.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, and_, bindparam, delete, func, select, update

from central.coalition.settings import generation
from central.coalition.streams import GOING_ON
from central.database.asking import ask, ask_one, tell, tell_each
from central.database.lanes import floor_of, mark_changed, newest, next_no
from central.database.rows import put
from central.database.tables import (
    account,
    changed,
    chunk,
    event,
    member,
    member_page,
    snapshot_head,
    stream,
    till,
    waiting,
)
from central.ports import Clock, reading, replayable, writing
from central.streams.sealing import newest_block
from central.tills.telling import Telling
from loyalty.moments import utc_date
from loyalty.trouble import InvariantBroken
from sync.framing import sha256
from sync.ports import TillRecord
from sync.refusals import TooLarge
from sync.snapshots import ChunkMark, ChunkRows, Manifest, Span, digest_of, encode_chunk, part_of, row_hash

ROWS = 10_000  # of a chunk, about
MOST_BITS = 20
AT_ONCE = 8  # chunks of one snapshot of the database
TOLD_AT_ONCE = 2_000
LEAST_CHANGES = 50
LEAST_LAG = 10_000
STALE_MS = 6 * 3_600_000
MANIFEST_MS = 24 * 3_600_000
COUNTER = "snapshot"  # a row of `lane`
NO_WIDTH = 8


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk as it is kept beside its bytes: each account and the hash of its row, ascending by account."""

    ids: tuple[int, ...]
    hashes: tuple[int, ...]


class _Made(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk not yet written, the lane's number it is as of, and the accounts left apart that pages must tell."""

    span: Span
    data: bytes
    raw_bytes: int
    rows: int
    sums: bytes
    digest: int
    apart: tuple[int, ...]


_MARKS = select(*(chunk.c[name] for name in ("home", "bits", "part", "sha256", "rows", "wire_bytes", "raw_bytes",
                                             "as_of", "snapshot_no", "made_at_ms", "digest")))  # fmt: skip
_HERE = (
    chunk.c.home == bindparam("in_home"), chunk.c.bits == bindparam("of_bits"), chunk.c.part == bindparam("no")
)  # fmt: skip
_SUMS = select(chunk.c.sums).where(*_HERE)
_GONE, _MADE = delete(chunk).where(*_HERE), chunk.insert()
_NOW = {name: bindparam(f"now_{name}") for name in ("as_of", "snapshot_no", "block_no")}
_AS_NEW = update(chunk).where(*_HERE).values(_NOW)
_WAITING = (
    select(event.c.account_id)
    .join_from(waiting, event, and_(*(event.c[name] == waiting.c[name] for name in ("till_id", "epoch", "seq"))))
    .where(event.c.account_id > 0)
    .distinct()
)


class SnapshotMaker:
    """Keeps chunks of all members, and of each store's own.

    Args:
        rows: of a chunk, about; fewer where there is more to say of members than a chunk may hold.
        stale_ms: after which a chunk is made again if anything in it changed.
    """

    def __init__(self, engine: Engine, clock: Clock, *, rows: int = ROWS, stale_ms: int = STALE_MS) -> None:
        self._engine, self._clock, self._rows, self._stale_ms = engine, clock, rows, stale_ms
        self._least_bits: dict[str, int] = {}  # by home; a new process finds out again

    def step(self) -> int:
        """Make the chunks that are due most, some at a time; how many. 0 when none are.

        Replayed on conflict from the snapshot on; killed, it has replaced some chunks and finds the others due again.
        """
        now_ms = self._clock.wall_ms()
        with reading(self._engine) as connection:
            due, gone, untouched = self._plan(connection, now_ms)
            as_of, block_no = newest(connection).members, newest_block(connection).block_no
            heads = _heads(connection) if due or untouched else []
            made = self._make(connection, due[:AT_ONCE], utc_date(now_ms).isoformat())
        if made is None:
            return self.step()
        if made or gone or untouched:
            self._write(made, gone, untouched, heads, as_of, block_no, now_ms)
        return len(made)

    def _make(self, connection: Connection, due: Iterable[Span], today: str) -> list[_Made] | None:
        """These chunks; none where one of them would be too large, so that its members are to come in smaller ones.

        Raises:
            TooLarge: there are no smaller ones.
        """
        made = []
        for span in due:
            try:
                made.append(_make(connection, span, today))
            except TooLarge:
                if span.bits == MOST_BITS:
                    raise
                self._least_bits[span.home] = span.bits + 1
                return None
        return made

    @replayable
    def _write(
        self, made: Iterable[_Made], gone: Iterable[Span], untouched: Iterable[Span], heads: list[dict[str, Any]],
        as_of: int, block_no: int, now_ms: int,
    ) -> None:  # fmt: skip
        with writing(self._engine) as tx:
            no = next_no(tx, COUNTER)
            put(tx, snapshot_head, [{**head, "snapshot_no": no} for head in heads])
            told = {"as_of": as_of, "snapshot_no": no, "block_no": block_no}
            for one in made:
                tell(tx, _GONE, _at(one.span))
                tell_each(tx, _MADE, [{**_row(one), **told, "made_at_ms": now_ms}])
                mark_changed(tx, set(one.apart), f"apart:{no}")
            # Nothing in these changed, so they are as good as ones made now.
            tell_each(tx, _AS_NEW, [{**_at(span), **{f"now_{name}": value for name, value in told.items()}}
                                    for span in untouched])  # fmt: skip
            tell_each(tx, _GONE, [_at(span) for span in gone])
            oldest = tx.execute(select(func.min(chunk.c.snapshot_no))).scalar() or no
            tx.execute(delete(snapshot_head).where(snapshot_head.c.snapshot_no < oldest))

    def _plan(self, connection: Connection, now_ms: int) -> tuple[list[Span], list[Span], list[Span]]:
        """Spans whose chunks are due, the oldest first; those whose chunks are superseded; those as good as new."""
        held = {_span(row): row for row in ask(connection, _MARKS)}
        wanted = _spans(connection, self._rows, self._least_bits)
        version = newest(connection).members
        moved = _moved(connection, min((row.as_of for row in held.values()), default=version))
        lag = max(LEAST_LAG, sum(row.rows for span, row in held.items() if not span.home) // 10)
        due, untouched, floor = [], [], floor_of(connection, "members")
        busy = {account_id for (account_id,) in connection.execute(select(changed.c.account_id))}
        busy |= {row.account_id for row in ask(connection, _WAITING)}
        for span in wanted:
            row = held.get(span)
            if row is None:
                due.append(span)
                continue
            changes = moved.within(span, row.as_of)
            # A member who went to another store is among these, though no longer among those of the span.
            around = moved.within(Span(bits=span.bits, part=span.part), row.as_of)
            behind, age_ms = version - row.as_of, now_ms - row.made_at_ms
            is_stale = around > 0 and (behind >= lag or age_ms >= self._stale_ms)
            is_below = row.as_of < floor  # pages cannot go on from there
            is_still = not around and not any(span.has(one) for one in busy)
            if is_still and (is_below or behind >= lag // 4):
                untouched.append(span)
            elif is_stale or is_below or changes >= max(LEAST_CHANGES, row.rows // 10):
                due.append(span)
        due.sort(key=lambda span: (held[span].as_of if span in held else -1, span.home == "", span.part))
        is_complete = all(span in held or span in due[:AT_ONCE] for span in wanted)
        # Coarser chunks serve until all the finer ones are there.
        gone = [span for span in held if span not in set(wanted)] if is_complete else []
        return due, gone, untouched


def manifest_for(connection: Connection, asking: TillRecord, now_ms: int) -> Manifest:
    """What a till begins from: its own store's chunks, then those of everybody; none where these are not complete."""
    version = newest(connection).members
    store_id = connection.execute(select(till.c.store_id).where(till.c.till_id == asking.till_id)).scalar() or ""
    rows = [row for row in ask(connection, _MARKS) if row.home in ("", store_id)]
    everybody = _complete([row for row in rows if not row.home])
    of_store = _complete([row for row in rows if row.home])
    chosen = [*of_store, *everybody] if everybody else []
    mine = select(snapshot_head.c.snapshot_no, snapshot_head.c.seq).where(
        snapshot_head.c.till_id == asking.till_id, snapshot_head.c.epoch == asking.epoch
    )
    heads = {row.snapshot_no: row.seq for row in connection.execute(mine)}
    return Manifest(
        as_of=min((row.as_of for row in chosen), default=0),
        version=version,
        block_no=newest_block(connection).block_no,
        expires_ms=now_ms + MANIFEST_MS,
        generation=generation(connection),
        chunks=tuple(_mark(row, heads.get(row.snapshot_no, 0)) for row in chosen),
    )


def has_snapshot(connection: Connection) -> bool:
    """Whether there are chunks of all members."""
    return bool(_complete([row for row in ask(connection, _MARKS) if not row.home]))


def chunk_part(connection: Connection, name: str, start: int, most_bytes: int) -> bytes | None:
    """Bytes of the chunk of this SHA-256; none where there is no such chunk."""
    part = func.substr(chunk.c.data, start + 1, most_bytes)
    found = connection.execute(select(part).where(chunk.c.sha256 == name).limit(1)).first()
    return bytes(found[0]) if found else None


def chunk_spans(connection: Connection, store_id: str) -> list[Row[Any]]:
    """The chunks that a till of a store shares, in the order of a manifest."""
    rows = ask(connection, _MARKS)
    mine = _complete([row for row in rows if row.home == store_id]) if store_id else []
    return [*mine, *_complete([row for row in rows if not row.home])]


def span_of(row: Row[Any]) -> Span:
    """The span of a chunk's row."""
    return _span(row)


def sums_of(connection: Connection, span: Span) -> Sums:
    """The accounts of a chunk and the hashes of their rows."""
    data = ask_one(connection, _SUMS, _at(span))
    half = len(data) // 2
    return Sums(ids=_read_numbers(data[:half]), hashes=_read_numbers(data[half:]))


def waiting_in(connection: Connection, span: Span) -> set[int]:
    """Accounts of a span that an event of any till waits for."""
    return {row.account_id for row in ask(connection, _WAITING) if span.has(row.account_id)}


def _make(connection: Connection, span: Span, today: str) -> _Made:
    apart = waiting_in(connection, span)
    told = Telling(connection, None, today, store_id=span.home or None)
    members = [
        row for row in told.between(span.first, span.last, TOLD_AT_ONCE, home=bool(span.home))
        if not row.closed and row.row.account_id not in apart
    ]  # fmt: skip
    data, raw_bytes = encode_chunk(ChunkRows(rows=tuple(members), apart=tuple(sorted(apart))))
    hashes = [row_hash(one, span) for one in members]
    return _Made(
        span=span,
        data=data,
        raw_bytes=raw_bytes,
        rows=len(members),
        sums=_write_numbers(one.row.account_id for one in members) + _write_numbers(hashes),
        digest=digest_of(hashes),
        apart=tuple(sorted(apart)),
    )


def _row(made: _Made) -> dict[str, Any]:
    span = made.span
    return {"home": span.home, "bits": span.bits, "part": span.part, "sha256": sha256(made.data), "rows": made.rows,
            "wire_bytes": len(made.data), "raw_bytes": made.raw_bytes, "digest": f"{made.digest:016x}",
            "data": made.data, "sums": made.sums}  # fmt: skip


class _Moved:
    """Which accounts got a number after the oldest chunk, and whose members they are."""

    def __init__(self, rows: Iterable[Row[Any]]) -> None:
        self._rows = [(row.account_id, row.no, row.home_store_id or "") for row in rows]
        self._counted: dict[tuple[int, int], Counter[tuple[str, int]]] = {}

    def within(self, span: Span, after: int) -> int:
        """How many of a span got one after `after`."""
        key = (span.bits, after)
        if key not in self._counted:
            counted: Counter[tuple[str, int]] = Counter()
            for account_id, no, home in self._rows:
                if no > after:
                    part = part_of(account_id, span.bits)
                    counted["", part] += 1
                    if home:
                        counted[home, part] += 1
            self._counted[key] = counted
        return self._counted[key][span.home, span.part]


def _moved(connection: Connection, after: int) -> _Moved:
    chosen = select(member_page.c.account_id, member_page.c.no, member.c.home_store_id)
    joined = chosen.join_from(member_page, member, member.c.account_id == member_page.c.account_id, isouter=True)
    return _Moved(connection.execute(joined.where(member_page.c.no > after)).all())


def _spans(connection: Connection, rows: int, least_bits: Mapping[str, int]) -> list[Span]:
    """The spans that chunks are wanted of: everybody's, and each store's own members'; `least_bits` by home."""
    everybody = connection.execute(select(func.count()).select_from(account)).scalar_one()
    homes = select(member.c.home_store_id, func.count()).where(member.c.home_store_id != "")
    grouped = homes.group_by(member.c.home_store_id)
    counts = {"": everybody, **{row[0]: row[1] for row in connection.execute(grouped)}}
    spans = []
    for home, count in counts.items():
        bits = next(bits for bits in range(MOST_BITS + 1) if count <= rows << bits or bits == MOST_BITS)
        bits = max(bits, least_bits.get(home, 0))
        spans += [Span(home=home, bits=bits, part=part) for part in range(1 << bits)]
    return spans


def _heads(connection: Connection) -> list[dict[str, Any]]:
    """How far the streams that tills go on with had come."""
    going_on = stream.c.seq > 0, stream.c.state.in_(GOING_ON)
    rows = connection.execute(select(stream.c.till_id, stream.c.epoch, stream.c.seq).where(*going_on))
    return [dict(row) for row in rows.mappings()]


def _complete(rows: Iterable[Row[Any]]) -> list[Row[Any]]:
    """The chunks of the finest division of which all are there."""
    by_bits: dict[int, list[Row[Any]]] = {}
    for row in rows:
        by_bits.setdefault(row.bits, []).append(row)
    whole = [bits for bits, found in by_bits.items() if len(found) == 1 << bits]
    return sorted(by_bits[max(whole)], key=lambda row: row.part) if whole else []


def _mark(row: Row[Any], own_seq: int) -> ChunkMark:
    return ChunkMark(
        span=_span(row), sha256=row.sha256, rows=row.rows, wire_bytes=row.wire_bytes, raw_bytes=row.raw_bytes,
        as_of=row.as_of, own_seq=own_seq,
    )  # fmt: skip


def _span(row: Row[Any]) -> Span:
    return Span(home=row.home, bits=row.bits, part=row.part)


def _at(span: Span) -> dict[str, Any]:
    return {"in_home": span.home, "of_bits": span.bits, "no": span.part}


def _write_numbers(numbers: Iterable[int]) -> bytes:
    return b"".join(one.to_bytes(NO_WIDTH, "big") for one in numbers)


def _read_numbers(data: bytes) -> tuple[int, ...]:
    if len(data) % NO_WIDTH:
        raise InvariantBroken("the sums of a chunk are cut off", bytes=len(data))
    return tuple(int.from_bytes(data[at : at + NO_WIDTH], "big") for at in range(0, len(data), NO_WIDTH))
