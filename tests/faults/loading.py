"""A till's cache filled from chunks in a process of its own: `python -m tests.faults.loading FOLDER` reads `manifest`
and the chunks by their hashes, and prints seconds, rows and the most memory it ever had (before: what a process
needs that has loaded nothing)."""

import json
import sys
import time
from pathlib import Path

import msgspec

from edge.cache.cache import Cache
from edge.ports import SystemClock
from sync.snapshots import Manifest, decode_chunk
from tests.edge.counter import identity


def main(folder: Path) -> None:
    """Load all of it."""
    manifest = msgspec.json.decode((folder / "manifest").read_bytes(), type=Manifest)
    cache = Cache.open(folder / "cache.db", identity(), SystemClock())
    empty_mb = most_mb()
    began, busy = time.monotonic(), time.process_time()
    cache.begin_snapshot()
    cache.take_manifest(manifest)
    longest = 0.0
    for mark in manifest.chunks:
        at = time.monotonic()
        cache.take_chunk(mark, decode_chunk((folder / mark.sha256).read_bytes(), mark))
        longest = max(longest, time.monotonic() - at)
    cache.end_snapshot()
    print(json.dumps({
        "seconds": round(time.monotonic() - began, 2),
        "processor_s": round(time.process_time() - busy, 2), "longest_chunk_s": round(longest, 2),
        "rows": cache.counts()["member"], "file_mb": (folder / "cache.db").stat().st_size // 2**20,
        "before_mb": empty_mb, "most_mb": most_mb(),
    }))  # fmt: skip
    cache.close()


def most_mb() -> int:
    """The most memory this process ever had. (What `getrusage` says is also of the process that started it.)"""
    (line,) = (one for one in Path("/proc/self/status").read_text("ascii").splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]))
