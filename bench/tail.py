"""The slowest quotes: what the collector of garbage adds to them in a process that holds much else.

Every round puts a programme in force anew, as head office does; then the collector is told to leave everything alone
that lives by now, as the till tells it, or is not told. The last quotes are kept for a while, as they are where several
requests are under way: what outlives the young generations is what sets off a look at all objects.
"""

import gc
from collections import deque
from collections.abc import Iterator
from statistics import quantiles
from time import thread_time_ns

from bench.goods import MEMBER, PLACE, basket
from bench.programmes import programme
from bench.quote import JUDGED, LINES
from bench.rounds import Times, durations
from bench.table import Row, compared
from edge.cache.cache import freeze_memory
from loyalty.pricing.quotes import Quote, quote_basket
from loyalty.programme.compiled import compile_programme

OTHERS = 300_000
KEPT = 50
ROUNDS = 5
CALLS = 1_000
AT_MOST = 10.0


def rows() -> Iterator[Row]:
    """With and without; only the first is what a till does."""
    others = [[number] for number in range(OTHERS)]
    frozen: Times = {"p99.9": [], "p50": []}
    left: Times = {"p99.9": [], "p50": []}
    try:
        for _ in range(ROUNDS):
            _round(frozen, freeze=True)
            _round(left, freeze=False)
    finally:
        gc.unfreeze()
    what = f"p99.9 of a quote beside {len(others):,} objects"
    yield compared("P7", what, frozen, "p99.9", "p50", beside="its p50", at_most=AT_MOST)
    yield compared("", "  without collect and freeze", left, "p99.9", "p50", beside="its p50")


def _round(times: Times, *, freeze: bool) -> None:
    gc.unfreeze()
    gc.collect()
    bought = basket(LINES)
    rules = compile_programme(programme("dense", JUDGED, bought))
    if freeze:
        freeze_memory()
    kept: deque[Quote] = deque(maxlen=KEPT)
    took = durations(lambda: kept.append(quote_basket(rules, bought, PLACE, MEMBER)), CALLS, thread_time_ns)
    shares = quantiles(took, n=1_000)
    times["p50"].append(shares[499])
    times["p99.9"].append(shares[998])
