"""One connection to a centre in a process of its own: `python -m bench.ledger.worker URL FILE`.

The file holds sealed batches, each behind its length in four bytes. Asked for a number of batches, it takes as many and
tells how long it took, and the most memory it ever had.
"""

import gc
import re
import resource
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import perf_counter_ns, process_time_ns

from bench.children import serve
from bench.ledger.centre import Centre


def main(url: str, file: Path) -> None:
    """Serve until nobody asks any more."""
    centre, batches = Centre(url), read_batches(file)

    def take(count: int) -> dict[str, float]:
        begun, processor = perf_counter_ns(), process_time_ns()
        for _ in range(count):
            centre.take(next(batches))
        took, spent = perf_counter_ns() - begun, process_time_ns() - processor
        return {"took_us": took / 1_000, "processor_us": spent / 1_000, "peak_mb": peak_mb()}

    gc.freeze()
    serve({}, take)
    centre.close()


def peak_mb() -> float:
    """The most memory that this program had; what `getrusage` says counts the program that started it, too."""
    try:
        told = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    except OSError:
        told = None
    return int(told[1]) / 1024 if told else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write_batches(file: Path, batches: Iterable[bytes]) -> None:
    """For a worker to read; one at a time is in memory."""
    with file.open("wb") as out:
        for data in batches:
            out.write(len(data).to_bytes(4, "big") + data)


def read_batches(file: Path) -> Iterator[bytes]:
    """The batches of a file, one after the other."""
    with file.open("rb") as source:
        while length := source.read(4):
            yield source.read(int.from_bytes(length, "big"))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
