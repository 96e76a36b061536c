"""cache.db: what can be fetched again. Members, hotlist, programmes, goods names, and how far each lane is.

Belongs to one till and epoch: rows say which events of *this* stream are in them, so another stream's cache is
thrown away. A damaged one is put aside and fetched anew. Source: house.md section 3; sync.md section 3.
"""

import gc
import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from edge.cache.lanes import Heard, begin_run, end_run, keep_lane, run_of
from edge.cache.members import (
    digest_members,
    older_members,
    read_member,
    renew_members,
    take_chunk,
    take_members,
    take_range,
)
from edge.cache.rows import make_tables, take_certificates, take_hotlist, take_programmes
from edge.cache.troubles import BadRow, CacheDamaged, trouble_of
from edge.database import Database
from edge.identity import TillIdentity, overwrite
from edge.ports import Clock
from loyalty.certificates import CertificateRow
from loyalty.members import HotlistedCard, PublishedMember
from loyalty.moments import DAY_MS
from loyalty.programme.compiled import Compiled, compile_programme
from loyalty.programme.programme import Programme, programme_from
from loyalty.trouble import Refusal, Trouble
from sync.lanes import LaneState, is_expired
from sync.snapshots import ChunkMark, ChunkRows, Manifest, Snapshot, Span
from sync.wire import LANES, Lane, Page

MEMBERS_KEPT_MS = 30 * DAY_MS
ASIDE, ENDS = ".damaged", ("", "-wal", "-shm")
MOST_NAMES = 50_000
YOUNG_OBJECTS = 10_000  # those of about five quotes of fifty lines under a thousand promotions
_TOUCH_MS = 3_600_000
T = TypeVar("T")
Leaving = Callable[[Callable[[Iterable[int]], dict[int, list[str]]]], None]
_log = logging.getLogger(__name__)


def _nothing(cards_of: Callable[[Iterable[int]], dict[int, list[str]]]) -> None:
    return None


class LaneStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far this till is in a lane, when it last heard of it (wall, 0 for never), whether that is too old, or nobody
    can tell."""

    lane: Lane
    version: int
    expires_ms: int
    taken_ms: int
    expired: bool


def freeze_memory() -> None:
    """Keep what is long-lived and large, a compiled programme, out of every later collection: it would stop a sale.

    What a quote makes dies with it, so looking for cycles in the middle of one finds nothing: it is looked for seldom.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)


class Cache:
    """What head office told this till. Reading never waits for a page that is being written."""

    def __init__(
        self,
        database: Database,
        identity: TillIdentity,
        clock: Clock,
        on_swap: Callable[[], None],
        leaving: Leaving = _nothing,
    ) -> None:
        self._leaving = leaving
        self._database = database
        self._clock = clock
        self._on_swap = on_swap
        self._bind(identity)
        self._lanes = self._read_lanes()
        self._names: dict[str, str] = dict(database.rows("SELECT sku, name FROM goods"))
        self._compiled: tuple[Compiled, ...] = ()
        self._compile()

    @classmethod
    def open(
        cls,
        path: Path | str,
        identity: TillIdentity,
        clock: Clock,
        *,
        on_swap: Callable[[], None] = freeze_memory,
        leaving: Leaving = _nothing,
    ) -> "Cache":
        """Open or make the cache; a damaged one is put aside as `cache.db.damaged` and begun anew.

        Args:
            path: of the file, or `:memory:`.
            on_swap: called when another programme is in force; a simulation of many tills does nothing then.
            leaving: called before the members of an earlier epoch of this till go, with what finds cards of accounts.
        Raises:
            CacheFull, CacheBroken, UnsafeDatabase.
        """
        try:
            return cls._open(path, identity, clock, on_swap, leaving)
        except CacheDamaged as trouble:
            _log.warning("%s It is fetched anew.", trouble)
            for end in ENDS:
                part = Path(f"{path}{end}")
                if part.exists():
                    part.replace(f"{path}{ASIDE}{end}")
            return cls._open(path, identity, clock, on_swap, leaving)

    @classmethod
    def _open(
        cls, path: Path | str, identity: TillIdentity, clock: Clock, on_swap: Callable[[], None], leaving: Leaving
    ) -> "Cache":
        database = Database(path, synchronous="NORMAL", trouble_of=trouble_of, own_reader=True)
        try:
            if database.rows("PRAGMA quick_check(1)") != [("ok",)]:
                raise CacheDamaged(f"The cache {path} is damaged.")
            make_tables(database.tables())
            return cls(database, identity, clock, on_swap, leaving)
        except sqlite3.Error as error:
            database.close()
            raise trouble_of(error) from error
        except Trouble:
            database.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    # Reading

    def member(self, card_token: str) -> PublishedMember | None:
        """The member a card belongs to; None for a card that this till does not know, and where the row cannot be
        read: until that is found and fetched anew, the card is served by its token."""
        found = self._database.remembered(
            "SELECT m.row FROM card c JOIN member m USING (account_id) WHERE c.card_token = ?", (card_token,)
        )
        return read_member(found[0][0]) if found else None

    def has_card(self, card_token: str) -> bool:
        """Whether a card is somebody's, be their row readable or not."""
        return bool(self._database.remembered("SELECT 1 FROM card WHERE card_token = ?", (card_token,)))

    def member_of_account(self, account_id: int) -> PublishedMember | None:
        """The member whose lots lie on an account; None as for a card."""
        found = self._database.row("SELECT row FROM member WHERE account_id = ?", (account_id,))
        return read_member(found[0]) if found else None

    def cards_of_accounts(self, account_ids: Iterable[int]) -> dict[int, list[str]]:
        """The cards that lead to accounts; those that this till does not know are left out."""
        cards: dict[int, list[str]] = {}
        for account_id in account_ids:
            for (token,) in self._database.rows("SELECT card_token FROM card WHERE account_id = ?", (account_id,)):
                cards.setdefault(account_id, []).append(token)
        return cards

    def has_members_before(self, generation: int) -> bool:
        """Whether members are here whom head office told of before it was put back, and has not told of since."""
        return bool(self._database.remembered("SELECT 1 FROM member WHERE generation < ? LIMIT 1", (generation,)))

    def certificate(self, code: str) -> CertificateRow | None:
        """A certificate by its token, as it was told; None for one that this till has not heard of."""
        found = self._database.row("SELECT row FROM certificate WHERE code = ?", (code,))
        return msgspec.json.decode(found[0], type=CertificateRow) if found else None

    def blocked(self, card_token: str) -> str | None:
        """Why a card must not be served; None when it may."""
        found = self._database.remembered("SELECT reason FROM hotlist WHERE card_token = ?", (card_token,))
        return str(found[0][0]) if found else None

    def programmes(self) -> tuple[Compiled, ...]:
        """The programmes this till holds, newest first: two at most."""
        return self._compiled

    def names(self, skus: Iterable[str]) -> dict[str, str]:
        """Names of goods as the POS last sent them, where it did."""
        return {sku: self._names[sku] for sku in skus if sku in self._names}

    def lane(self, lane: Lane) -> LaneState:
        """How far this till is in a lane."""
        return self._lanes[lane].state

    def heard_ms(self, lane: Lane) -> int:
        """When a page of a lane last came, by the wall clock and to the hour; 0 for never."""
        return self._lanes[lane].at_ms

    def whole_ms(self, lane: Lane) -> int:
        """When a lane was last told to its end, as `heard_ms`."""
        return self._lanes[lane].whole_ms

    def as_of_ms(self) -> int:
        """How old what is known of members may be, as `heard_ms`: while they come after a long time away, whoever has
        not come yet is known as of before that."""
        return self.whole_ms("members") or self.heard_ms("members")

    def lane_status(self) -> tuple[LaneStatus, ...]:
        """Every lane, for health and screens."""
        wall_ms = self._clock.now().wall_ms
        return tuple(
            LaneStatus(
                lane=lane,
                version=heard.state.version,
                expires_ms=heard.state.expires_ms,
                taken_ms=heard.at_ms,
                expired=is_expired(heard.state, wall_ms, heard.at_ms),
            )
            for lane, heard in self._lanes.items()
        )

    def member_count(self) -> int:
        """How many members are here. A sale waits while a million are counted, so that is done only after a write."""
        return int(self._database.remembered("SELECT count(*) FROM member")[0][0])

    def counts(self) -> dict[str, int]:
        """Rows by table."""
        tables = ("member", "card", "hotlist", "programme", "goods")
        return {name: int(self._database.rows(f"SELECT count(*) FROM {name}")[0][0]) for name in tables}

    # Writing

    def take_page(self, page: Page, state: LaneState) -> list[tuple[int, int]]:
        """Write the rows of a page and the lane's new state in one transaction. What a lane that began anew does not
        tell of goes with the last page of that run.

        Returns:
            (account_id, own_seq) of member rows that were taken: the journal may forget own uses up to there,
            now that the rows are safe.
        Raises:
            BadRow, BadProgramme: a row that this version cannot read; nothing of the page was taken.
        """
        now_ms = self._clock.now().wall_ms
        before = self._lanes[page.lane]
        if not page.rows and not page.restart and state == before.state and 0 <= now_ms - before.at_ms < _TOUCH_MS:
            return []
        heard = Heard(state, now_ms, before.whole_ms if page.more else now_ms)
        taken: list[tuple[int, int]] = []
        with self._database.writing() as writer:
            if page.restart:
                begin_run(writer, page.lane)
            run, sweeps = run_of(writer, page.lane)
            if page.lane == "members":
                taken = take_members(writer, _read_rows(page, PublishedMember), run, page.generation)
            elif page.lane == "hotlist":
                take_hotlist(writer, _read_rows(page, HotlistedCard), run)
            elif page.lane == "certificates":
                take_certificates(writer, _read_rows(page, CertificateRow), run)
            else:
                take_programmes(writer, [programme_from(row) for row in _read_rows(page, dict)])
            if sweeps and not page.more:
                end_run(writer, page.lane, run)
            keep_lane(writer, page.lane, heard)
        self._lanes[page.lane] = heard
        if page.lane == "programme":
            self._compile()
        return taken

    # A snapshot of the members

    def snapshot(self) -> Snapshot | None:
        """How far this till is in a snapshot; None while pages go on."""
        found = self._database.remembered("SELECT manifest FROM snapshot WHERE lane = 'members'")
        if not found:
            return None
        manifest = msgspec.json.decode(found[0][0], type=Manifest) if found[0][0] else None
        done = self._database.rows("SELECT mark FROM chunk_done ORDER BY home, bits, part")
        return Snapshot(manifest=manifest, done=tuple(msgspec.json.decode(mark, type=ChunkMark) for (mark,) in done))

    def begin_snapshot(self) -> None:
        """The members begin anew from chunks; the rows stay until they are replaced or the run is over."""
        with self._database.writing() as writer:
            writer.execute("DELETE FROM chunk_done")
            writer.execute("INSERT OR REPLACE INTO snapshot (lane, manifest) VALUES ('members', x'')")
            begin_run(writer, "members")

    def take_manifest(self, manifest: Manifest) -> None:
        """Keep what is to be fetched; chunks that were taken stay taken."""
        with self._database.writing() as writer:
            told = msgspec.json.encode(manifest)
            writer.execute("INSERT OR REPLACE INTO snapshot (lane, manifest) VALUES ('members', ?)", (told,))

    def take_chunk(self, mark: ChunkMark, chunk: ChunkRows) -> list[tuple[int, int]]:
        """Write a chunk's rows and note it as done, in one transaction.

        Returns:
            (account_id, own_seq) of the rows that were taken, as of a page.
        """
        heard = self._lanes["members"]._replace(at_ms=self._clock.now().wall_ms)
        snapshot = self.snapshot()
        generation = snapshot.manifest.generation if snapshot and snapshot.manifest else 0
        with self._database.writing() as writer:
            run, _ = run_of(writer, "members")
            taken = take_chunk(writer, mark.span, chunk, mark.own_seq, run, generation)
            span = mark.span
            writer.execute(
                "INSERT OR REPLACE INTO chunk_done (home, bits, part, mark) VALUES (?, ?, ?, ?)",
                (span.home, span.bits, span.part, msgspec.json.encode(mark)),
            )
            keep_lane(writer, "members", heard)
        self._lanes["members"] = heard
        return taken

    def end_snapshot(self) -> None:
        """Every chunk is here: pages go on from where the oldest of them stood."""
        snapshot = self.snapshot()
        if snapshot is None:
            return
        chunks = snapshot.manifest.chunks if snapshot.manifest else ()
        before = self._lanes["members"]
        cursor = str(snapshot.as_of()) if chunks else ""
        heard = before._replace(state=msgspec.structs.replace(before.state, cursor=cursor))
        with self._database.writing() as writer:
            for table in ("snapshot", "chunk_done"):
                writer.execute(f"DELETE FROM {table}")
            keep_lane(writer, "members", heard)
        self._lanes["members"] = heard

    def digest(self, span: Span, apart: frozenset[int]) -> tuple[int, str]:
        """How many rows this till has of a span, and their digest, but for accounts apart."""
        return digest_members(self._database.rows, span, apart)

    def agree(self, span: Span, apart: frozenset[int], generation: int) -> None:
        """Head office has the same of a span, but for accounts apart: these rows are of its generation. Writes only
        where some were of an earlier one."""
        if older := older_members(self._database.rows, span, apart, generation):
            with self._database.writing() as writer:
                renew_members(writer, older, generation)

    def take_range(self, page: Page, home: bool) -> list[tuple[int, int]]:
        """Make the rows of a range those of the page. Returns: as `take_chunk`. Raises: BadRow."""
        members = _read_rows(page, PublishedMember)
        with self._database.writing() as writer:
            run, _ = run_of(writer, "members")
            return take_range(writer, members, page.first, page.last, run, page.generation, home=home)

    def forget_members(self) -> bool:
        """Forget every member once head office was silent for 30 days: a till that stays dark forgets people too. A
        damaged cache that was put aside knows them as well, and goes when it is as old.

        Returns:
            Whether there was something to forget. The lane begins anew with the next contact.
        Source: sync.md section 9.
        """
        for path in self.put_aside():
            if self._clock.now().wall_ms - path.stat().st_mtime * 1000 > MEMBERS_KEPT_MS:
                path.unlink()
        heard_ms = self.heard_ms("members")
        if not heard_ms or self._clock.now().wall_ms - heard_ms <= MEMBERS_KEPT_MS:
            return False
        with self._database.writing() as writer:
            for where in ("member", "card", "snapshot", "chunk_done", "lane WHERE lane = 'members'"):
                writer.execute(f"DELETE FROM {where}")
        self._lanes["members"] = Heard()
        return True

    def put_aside(self) -> list[Path]:
        """The files of a damaged cache that was put aside: members are in it as in this one."""
        return [part for end in ENDS if (part := Path(f"{self._database.path}{ASIDE}{end}")).exists()]

    def wipe(self) -> None:
        """Forget every member, card and certificate, also as bytes in the file; goods and the programme stay. Nothing
        is left of a damaged cache that was put aside."""
        for aside in self.put_aside():
            overwrite(aside)
            aside.unlink()
        gone = ("member", "card", "certificate", "hotlist", "snapshot", "chunk_done", "lane WHERE lane <> 'programme'")
        self._database.overwrite_deleted()
        with self._database.writing() as writer:
            for where in gone:
                writer.execute(f"DELETE FROM {where}")
        self._database.checkpoint()
        self._lanes = self._read_lanes()

    def load_programme(self, programme: Programme) -> None:
        """Make a programme the current one, for a till that stays alone."""
        with self._database.writing() as writer:
            take_programmes(writer, [programme])
        self._compile()

    def load_members(self, members: Iterable[PublishedMember]) -> None:
        """Take member rows as if they had come down now, for a till that stays alone."""
        state = self.lane("members")
        rows = tuple(msgspec.Raw(msgspec.json.encode(member)) for member in members)
        page = Page(lane="members", from_cursor="", to_cursor="", version=state.version, more=False, rows=rows)
        self.take_page(page, state)

    def remember_names(self, names: Mapping[str, str]) -> None:
        """Keep names of goods for receipts, the newest of them: a barcode with a weight in it is never seen again.
        Writes only what is new."""
        fresh = {sku: name for sku, name in names.items() if name and self._names.get(sku) != name}
        if fresh:
            with self._database.writing() as writer:
                writer.executemany(
                    "INSERT INTO goods (sku, name) VALUES (?, ?) ON CONFLICT (sku) DO UPDATE SET name = excluded.name",
                    list(fresh.items()),
                )
                writer.execute("DELETE FROM goods WHERE rowid <= (SELECT max(rowid) FROM goods) - ?", (MOST_NAMES,))
            self._names.update(fresh)
            while len(self._names) > MOST_NAMES:
                del self._names[next(iter(self._names))]

    def _compile(self) -> None:
        """Compile what is new, keep what is not, and swap all at once."""
        held = {compiled.version: compiled for compiled in self._compiled}
        found = self._database.rows("SELECT version, document FROM programme ORDER BY place DESC")
        if [version for version, _ in found] == list(held):
            return
        self._compiled = tuple(
            held.get(version) or compile_programme(_read_programme(document)) for version, document in found
        )
        self._on_swap()

    def _bind(self, identity: TillIdentity) -> None:
        owner = (identity.till_id, identity.epoch)
        before = self._database.row("SELECT till_id, epoch FROM owner")
        if before == owner:
            return
        # Rows of members count events of one epoch; which cards are blocked is the same in all of this till's.
        is_ours = before is not None and before[0] == owner[0]
        if is_ours:
            self._leaving(self.cards_of_accounts)
        hotlist = ("lane WHERE lane <> 'hotlist'",) if is_ours else ("hotlist", "lane")
        with self._database.writing() as writer:
            for table in ("owner", "member", "card", "certificate", "snapshot", "chunk_done", *hotlist):
                writer.execute(f"DELETE FROM {table}")
            writer.execute("INSERT INTO owner (till_id, epoch) VALUES (?, ?)", owner)

    def _read_lanes(self) -> dict[Lane, Heard]:
        lanes: dict[Lane, Heard] = dict.fromkeys(LANES, Heard())
        for lane, cursor, version, expires_ms, taken_ms, whole_ms in self._database.rows(
            "SELECT lane, cursor, version, expires_ms, taken_ms, whole_ms FROM lane"
        ):
            state = LaneState(cursor=cursor, version=version, expires_ms=expires_ms)
            lanes[lane] = Heard(state, taken_ms, whole_ms)
        return lanes


def _read_programme(document: bytes) -> Programme:
    try:
        return msgspec.json.decode(document, type=Programme)
    except (msgspec.MsgspecError, Refusal) as trouble:
        # Another version of this service wrote it.
        raise CacheDamaged(f"A programme in the cache cannot be read: {trouble}.") from None


def _read_rows(page: Page, kind: type[T]) -> list[T]:
    try:
        return [msgspec.json.decode(row, type=kind) for row in page.rows]
    except msgspec.MsgspecError as trouble:
        raise BadRow(
            f"A row of {page.lane} cannot be read ({trouble}); update this till, it goes on with what it has.",
            lane=page.lane,
        ) from None
