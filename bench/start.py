"""How soon a till answers after its process began, and what it holds then: beside `import flask`, and beside 90 MB.

The till has 20,000 goods by name, 1,000 promotions and a thousand members. Ready is when the first quote of fifty lines
has come back; what it holds is read after a hundred more. A till with all members of the coalition is told besides: it
looks through its cache before it trusts it.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter_ns

from bench.crowd import CARD, identity, laid_out
from bench.goods import basket, request_body
from bench.programmes import programme
from bench.rounds import Round, take_turns
from bench.soak import sample
from bench.table import Row, compared
from bench.wire import Line, json_bytes
from edge.cache.cache import Cache
from edge.line.enrol import CACHE_FILE
from edge.ports import SystemClock

GOODS, PROMOTIONS, LINES = 20_000, 1_000, 50
MEMBERS = 1_000
ROUNDS = 5
MOST_KIB = 90 * 1024  # P17
AT_MOST = 8.0  # P17
WAIT_S = 120
SERVE = """
import sys
from bench.crowd import identity
from edge.ports import Settings
from edge.service import TillService
import threading
service = TillService(Settings(data_dir=sys.argv[1]), identity=identity(), port=0)
service.start()
print(service.url, flush=True)
threading.Event().wait()
"""


def rows(members: int) -> Iterator[Row]:
    """Memory, readiness; and readiness with all members."""
    with tempfile.TemporaryDirectory(prefix="tallypoint-bench-") as folder:
        small, large = Path(folder) / "small", Path(folder) / "large"
        for path, count in ((small, MEMBERS), (large, members)):
            path.mkdir()
            furnish(path, count)
        held: list[int] = []
        times = take_turns(
            {"ready": _ready(small, held), "flask": _flask, "with all": _ready(large, [])}, rounds=ROUNDS
        )
    kib = sorted(held)[len(held) // 2]
    yield Row(
        budget="P17", what=f"KiB held with {GOODS:,} goods, {PROMOTIONS:,} promotions", ours_us=kib, beside="90 MB",
        beside_us=MOST_KIB, ratio=kib / MOST_KIB, at_most=1.0,
    )  # fmt: skip
    yield compared("P17", "ready for a quote after the start", times, "ready", "flask", beside="import flask",
                   at_most=AT_MOST)  # fmt: skip
    yield compared("", f"  with {members:,} members", times, "with all", "flask", beside="import flask")


def furnish(folder: Path, members: int) -> None:
    """A till's cache with goods, promotions and members."""
    laid_out(folder / CACHE_FILE, members)
    cache = Cache.open(folder / CACHE_FILE, identity(), SystemClock(), on_swap=lambda: None)
    try:
        cache.load_programme(programme("dense", PROMOTIONS, basket(LINES)))
        cache.remember_names({f"sku{n}": f"Goods number {n} of the shop" for n in range(GOODS)})
    finally:
        cache.close()


def _ready(folder: Path, held: list[int]) -> Round:
    """Microseconds from the start of the process to the end of the first quote; KiB held after a hundred more."""
    body = json_bytes(request_body(basket(LINES), CARD))

    def once() -> float:
        begun = perf_counter_ns()
        process = subprocess.Popen([sys.executable, "-c", SERVE, str(folder)], stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            line = Line(process.stdout.readline().decode().strip())
            line.ask("/v1/quotes", body)
            took = (perf_counter_ns() - begun) / 1_000
            for _ in range(100):
                line.ask("/v1/quotes", body)
            time.sleep(1.0)  # what starts after the socket listens has started by then
            held.append(sample(process.pid, 0.0).rss_kib)
            line.close()
        finally:
            process.terminate()
            process.wait(WAIT_S)
            if process.stdout is not None:
                process.stdout.close()
        return took

    return once


def _flask() -> float:
    begun = perf_counter_ns()
    subprocess.run([sys.executable, "-c", "import flask"], check=True)
    return (perf_counter_ns() - begun) / 1_000
