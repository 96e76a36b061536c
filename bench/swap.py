"""A new snapshot of all members, beside copying a file of that size and waiting for the disk.

What is judged is the swap: the end of a snapshot, whose chunks are all written, and the last page of its run, with
which those go whom the new one does not tell of (one in a hundred here). The chunks before it are written while the
till sells, in a transaction each, so their time is told and not judged. Meanwhile a POS asks for quotes without a
pause: none may fail.
"""

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from bench.children import Child, serve
from bench.crowd import CARD, bits_for, chunk, identity, laid_out, last_page, marks
from bench.goods import basket, request_body
from bench.programmes import programme
from bench.table import Row
from bench.wire import Line, json_bytes
from edge.line.enrol import CACHE_FILE
from edge.ports import Settings
from edge.service import TillService
from sync.lanes import LaneState
from sync.snapshots import ChunkRows, Manifest

AT_MOST = 4.0  # P9
LINES, PROMOTIONS = 50, 1_000
LEFT_OUT = 100  # every so many-th member is not in the new snapshot


def rows(members: int) -> Iterator[Row]:
    """The swap, what comes before it, and the quotes meanwhile."""
    with (
        tempfile.TemporaryDirectory(prefix="tallypoint-bench-") as folder,
        Child([sys.executable, "-m", "bench.swap", folder, str(members)]) as till,
    ):
        pos = _Asking(till.hello["till"])
        pos.start()
        till.tell({})
        took = till.hear()
        quotes, failed = pos.stop()
        copied = copy_and_wait(Path(folder) / CACHE_FILE)
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(failed) + len(quotes)} quotes failed meanwhile: {failed[0]}")
    beside = "copy + fsync"
    yield _row("P9", f"swap of a snapshot of {members:,}", took["swap_us"], beside, copied, AT_MOST)
    yield _row("", "  its chunks, written while the till sells", took["chunks_us"], beside, copied)
    slowest = max(quotes)
    middle = sorted(quotes)[len(quotes) // 2]
    yield _row("", f"  {len(quotes):,} quotes meanwhile, none failed; the slowest", slowest, "the middle one", middle)


def copy_and_wait(path: Path) -> float:
    """Microseconds to copy a file and have it on the disk: the middle of five."""
    times = []
    for _ in range(5):
        begun = perf_counter_ns()
        with path.open("rb") as source, path.with_suffix(".copy").open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())
        times.append((perf_counter_ns() - begun) / 1_000)
    return sorted(times)[len(times) // 2]


def _row(budget: str, what: str, ours: float, beside: str, theirs: float, at_most: float | None = None) -> Row:
    return Row(
        budget=budget, what=what, ours_us=ours, beside=beside, beside_us=theirs, ratio=ours / theirs, at_most=at_most
    )  # fmt: skip


class _Asking(threading.Thread):
    """A POS that asks for quotes until it is stopped."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._line = Line(url)
        self._body = json_bytes(request_body(basket(LINES), CARD))
        self._stopping = threading.Event()
        self._took: list[float] = []
        self._failed: list[str] = []

    def run(self) -> None:
        while not self._stopping.is_set():
            begun = perf_counter_ns()
            try:
                self._line.ask("/v1/quotes", self._body)
            except ConnectionError as trouble:
                self._failed.append(str(trouble))
                if "HTTP/1.1" not in str(trouble):
                    return  # hung up
            else:
                self._took.append((perf_counter_ns() - begun) / 1_000)

    def stop(self) -> tuple[list[float], list[str]]:
        """Microseconds of each quote, and what went wrong with those that failed."""
        self._stopping.set()
        self.join()
        self._line.close()
        return self._took, self._failed


def swap(service: TillService, members: int) -> dict[str, float]:
    """Write all chunks of a newer snapshot, then swap it in: microseconds of either."""
    told = tuple(marks(bits_for(members), members))
    chunks_us = 0.0
    cache = service.cache
    cache.begin_snapshot()
    cache.take_manifest(Manifest(as_of=2, version=2, block_no=0, expires_ms=2**53, chunks=told))
    for mark in told:
        every = chunk(mark.span, members, version=2).rows
        kept = ChunkRows(rows=tuple(one for n, one in enumerate(every) if n % LEFT_OUT != LEFT_OUT - 1))
        begun = perf_counter_ns()
        cache.take_chunk(mark, kept)
        chunks_us += (perf_counter_ns() - begun) / 1_000
    begun = perf_counter_ns()
    cache.end_snapshot()
    cache.take_page(last_page(), LaneState(cursor="2", version=2))
    return {"chunks_us": chunks_us, "swap_us": (perf_counter_ns() - begun) / 1_000}


def main(folder: Path, members: int) -> None:
    """The till's side: serve, and swap when asked."""
    laid_out(folder / CACHE_FILE, members)
    service = TillService(Settings(data_dir=str(folder)), identity=identity(), port=0)
    service.cache.load_programme(programme("dense", PROMOTIONS, basket(LINES)))
    service.start()
    try:
        hello: dict[str, Any] = {"till": f"{service.url}/v1/quotes"}
        serve(hello, lambda _: swap(service, members))
    finally:
        service.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
