"""A member by the token of a card, among all that a till knows: the cache beside a bare prepared statement.

Both read the same file, each on a connection of its own that is kept open, and look for cards in the same drawn order.
The cache's answer is a value that rules can be asked about; the bare one is the bytes of the row.
"""

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import cycle
from pathlib import Path
from random import Random

from bench.crowd import identity, laid_out, token
from bench.rounds import alone, take_turns
from bench.table import Row, compared
from edge.cache.cache import Cache
from edge.ports import SystemClock

CALLS = 2_000
AT_MOST = 2.0  # P8
BARE = "SELECT m.row FROM card c JOIN member m USING (account_id) WHERE c.card_token = ?"


def rows(members: int) -> Iterator[Row]:
    """One row."""
    with tempfile.TemporaryDirectory(prefix="tallypoint-bench-") as folder:
        path = Path(folder) / "cache.db"
        laid_out(path, members)
        cache = Cache.open(path, identity(), SystemClock(), on_swap=lambda: None)
        with closing(sqlite3.connect(path, isolation_level=None)) as bare:
            try:
                tokens = drawn(members)
                times = take_turns({
                    "cache": alone(_next(tokens, cache.member), CALLS),
                    "bare": alone(_next(tokens, lambda one: bare.execute(BARE, (one,)).fetchone()), CALLS),
                })  # fmt: skip
            finally:
                cache.close()
    yield compared("P8", f"a member among {members:,}", times, "cache", "bare", beside="a prepared statement",
                   at_most=AT_MOST)  # fmt: skip


def drawn(members: int) -> list[str]:
    """Tokens of members, each known, in a drawn order."""
    draw = Random("lookups")
    return [token(draw.randrange(members)) for _ in range(CALLS)]


def _next(tokens: list[str], find: Callable[[str], object]) -> Callable[[], object]:
    turns = cycle(tokens)

    def call() -> object:
        found = find(next(turns))
        assert found is not None
        return found

    return call
