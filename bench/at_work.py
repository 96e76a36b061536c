"""What a till does besides selling, at full speed and without a pause: sending and fetching, or filling its cache.

The till's own work alone, on what was prepared as it comes off the line: no waiting for the line gives the sale a rest,
so a till that speaks to a real head office is kept less busy than this one.
"""

import threading
from collections.abc import Callable

import msgspec

from bench.crowd import bits_for, chunk, marks, member
from edge.line.sending_left import left_batch
from edge.line.uplink import JournalStore
from edge.service import TillService
from sync.envelope import MAX_EVENTS, MAX_RAW_BYTES
from sync.framing import sha256
from sync.lanes import LaneState
from sync.snapshots import ChunkMark, Manifest, decode_chunk, encode_chunk
from sync.wire import Page

PREPARED = 40  # pages, or chunks, that come again and again: each is written anew
PAGE_ROWS = 500


class AtWork:
    """A thread beside a till's own; `turns` says how many pages and batches, or chunks, it has done."""

    def __init__(self, service: TillService, members: int) -> None:
        self._service = service
        self._store = JournalStore(service.journal, service.cache, service.clock)
        self._pages = _pages(members)
        self._chunks, self._manifest = _chunks(members)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.turns = 0

    def begin(self, what: str) -> None:
        """`syncing` or `bootstrapping`."""
        self._stopping.clear()
        self.turns = 0
        work: Callable[[], None] = {"syncing": self._sync, "bootstrapping": self._bootstrap}[what]
        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def end(self) -> int:
        """Rest again. Returns: the turns that were done."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        return self.turns

    def _sync(self) -> None:
        signer = self._service.identity.signer
        while not self._stopping.is_set():
            self._store.take_page(self._pages[self.turns % PREPARED], LaneState(cursor="1", version=1))
            after = self._store.acked()
            if events := self._store.unsent(after.seq, MAX_EVENTS, MAX_RAW_BYTES):
                left_batch(after, events, self._service.clock.now().wall_ms, signer)
            self.turns += 1

    def _bootstrap(self) -> None:
        self._store.begin_snapshot()
        self._store.take_manifest(self._manifest)
        while not self._stopping.is_set():
            mark, data = self._chunks[self.turns % len(self._chunks)]
            self._store.take_chunk(mark, decode_chunk(data, mark))
            self.turns += 1


def _pages(members: int) -> list[Page]:
    spread = max(1, members // (PREPARED * PAGE_ROWS))
    numbers = range(0, members, spread)
    pages = []
    for n in range(PREPARED):
        rows = [member(one, members) for one in numbers[n * PAGE_ROWS : (n + 1) * PAGE_ROWS]]
        told = tuple(msgspec.Raw(msgspec.json.encode(one)) for one in rows)
        pages.append(Page(lane="members", from_cursor="1", to_cursor="1", version=1, more=True, rows=told))
    return pages


def _chunks(members: int) -> tuple[list[tuple[ChunkMark, bytes]], Manifest]:
    told = tuple(marks(bits_for(members), members))
    chunks = []
    for mark in told[:PREPARED]:
        held = chunk(mark.span, members)
        data, raw_bytes = encode_chunk(held)
        told_of = {"sha256": sha256(data), "rows": len(held.rows), "wire_bytes": len(data), "raw_bytes": raw_bytes}
        chunks.append((msgspec.structs.replace(mark, **told_of), data))
    return chunks, Manifest(as_of=1, version=1, block_no=0, expires_ms=2**53, chunks=told)
