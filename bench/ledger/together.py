"""What one more connection brings: processes that take batches of different tills at the same time.

They meet on a few accounts that shop everywhere at once, or nowhere. Afterwards the books must add up, and no deadlock
may have been.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter_ns

from sqlalchemy import create_engine, text

from bench.children import Child
from bench.ledger.centre import Centre, NotTaken, Seat
from bench.ledger.history import buyers, fill, story
from bench.ledger.ingest import EARLIER
from bench.ledger.postgres import database
from bench.ledger.sales import Till
from bench.ledger.sums import check_sums
from bench.ledger.worker import write_batches
from bench.rounds import Round, take_turns
from bench.table import Row, compared
from sync.envelope import MAX_EVENTS

STEPS = (1, 2, 4)
ROUNDS = 5
BATCHES = 8  # of each, a round: all begin at once, and the first of them meet on the same accounts
MEMBERS = 40_000
HOT = 20  # accounts that are in every batch of every till, if any are
AT_LEAST = 1.4


def rows(url: str) -> Iterator[Row]:
    """P12. Args: `url` of a PostgreSQL server."""
    with database(url, "shared") as begun:
        centre = Centre(begun)
        seats = centre.begin(max(STEPS))
        fill(centre.engine, story(EARLIER), MEMBERS)
        centre.close()
        for hot in (HOT, 0):
            with (
                tempfile.TemporaryDirectory(prefix="tallypoint-bench-") as folder,
                database(url, "together", "shared") as together,
            ):
                yield from _rows(together, list(_files(seats, hot, Path(folder))), hot)


def _rows(url: str, files: list[Path], hot: int) -> Iterator[Row]:
    with ExitStack() as held:
        commands = ([sys.executable, "-m", "bench.ledger.worker", url, str(file)] for file in files)
        workers = [held.enter_context(Child(command)) for command in commands]
        _at_once(workers)()  # does not count
        times = take_turns({str(count): _at_once(workers[:count]) for count in STEPS}, ROUNDS)
        peak = max(worker.ask(0)["peak_mb"] for worker in workers)
    entries = _check(url)
    shared = f"{hot} accounts in every batch" if hot else "no account in common"
    for count, before in zip(STEPS[1:], STEPS, strict=False):
        budget = AT_LEAST if count == 2 and hot else None
        beside = f"{before} connection{'s' * (before > 1)}"
        yield compared("P12" if budget else "", f"{count} connections, {shared}", times, str(count), str(before),
                       beside=beside, faster=True, at_least=budget)  # fmt: skip
    print(f"     {entries:,} entries sum to zero, no deadlock; a process had {peak:.0f} MB at most", flush=True)


def _files(seats: list[Seat], hot: int, folder: Path) -> Iterator[Path]:
    """A file for each connection: batches of a till and of members of its own, but for the hot ones."""
    known = buyers(story(EARLIER), MEMBERS)
    for number, seat in enumerate(seats):
        own = known[HOT + number :: len(seats)]
        till = Till(seat, own, spend_percent=30, always=known[:hot])
        turns = ROUNDS * sum(number < count for count in STEPS) + 1
        write_batches(folder / f"{number}", (till.batch() for _ in range(turns * BATCHES)))
        yield folder / f"{number}"


def _at_once(workers: list[Child]) -> Round:
    """A round of all of these: microseconds a receipt, whoever took it."""

    def once() -> float:
        begun = perf_counter_ns()
        for worker in workers:
            worker.tell(BATCHES)
        for worker in workers:
            worker.hear()
        return (perf_counter_ns() - begun) / 1_000 / (len(workers) * BATCHES * MAX_EVENTS)

    return once


def _check(url: str) -> int:
    """How many entries there are. Raises: Apart, NotTaken where PostgreSQL had to end a deadlock."""
    engine = create_engine(url)
    with engine.connect() as connection:
        entries = check_sums(connection)
        query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        deadlocks = connection.execute(text(query)).scalar_one()
    engine.dispose()
    if deadlocks:
        raise NotTaken(f"{deadlocks} deadlocks")
    return entries
