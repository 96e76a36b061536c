"""The same batches where a million postings are already, and five, and twenty: what they cost beside empty tables.

And what a member and the night cost there: a balance, a history, the run that lets points lapse. Twenty million are of
a million members who shopped sixteen times in twelve months; fewer are of fewer members. Filling takes a while, so it
is asked first whether disk and time allow it.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from shutil import disk_usage
from time import monotonic

from sqlalchemy import text

from bench.children import Child
from bench.ledger.centre import Centre
from bench.ledger.history import buyers, fill, story
from bench.ledger.ingest import EARLIER
from bench.ledger.postgres import database
from bench.ledger.processor import Processor
from bench.ledger.reading import Night, Reader
from bench.ledger.sales import Till
from bench.ledger.worker import write_batches
from bench.rounds import Round, take_turns
from bench.table import Row, compared
from sync.envelope import MAX_EVENTS

SIZES = (1_000_000,)
DEEP_SIZES = (1_000_000, 5_000_000, 20_000_000)
RECEIPTS = 16  # of each member, which leave twenty postings
BUYERS = 10_000
ROUNDS = 5
BATCHES = 2  # a round
BYTES_A_POSTING = 1_500  # on disk, with its event, its indexes and what the log of the database keeps of them
LONGEST_S = 45 * 60  # of filling
READS = 200  # a round
LAPSING_ON = date(2027, 7, 1)  # when two quarters of everybody's points have lapsed
EMPTY = "empty"
READ = {
    "balance": "a member's balance, {} postings",
    "history": "a member's page, {} postings",
    "recent": "  of one whose last event is in a batch",
}


def rows(url: str, *, deep: bool = False) -> Iterator[Row]:
    """Told, not judged. Args: `url` of a PostgreSQL server on this machine."""
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="tallypoint-bench-")))
        batches = folder / "batches"
        filled = {EMPTY: held.enter_context(database(url, "history_0"))}
        _fill(filled[EMPTY], EARLIER, BUYERS, batches)
        begun, postings = monotonic(), 0
        for size in DEEP_SIZES if deep else SIZES:
            if reason := too_much(size, postings, monotonic() - begun, disk_usage(folder).free):
                yield Row(what=f"with {millions(size)} postings", skipped=reason)
                continue
            filled[millions(size)] = held.enter_context(database(url, f"history_{size}"))
            since = monotonic()
            there = _fill(filled[millions(size)], RECEIPTS, size // story(RECEIPTS).postings)
            postings += there
            took, disk = monotonic() - since, _gigabytes(filled[millions(size)])
            print(f"     {there:,} postings filled in {took:,.0f} s, {disk:.1f} GB", flush=True)
        yield from _taking(filled, batches)
        del filled[EMPTY]
        yield from _reading(filled)
        yield from _lapsing(filled)


def millions(postings: int) -> str:
    """As the table says it."""
    return f"{postings / 1e6:g} million"


def too_much(size: int, filled: int, took_s: float, free_bytes: int) -> str:
    """Why so many postings are not filled here; nothing where they may be.

    Args:
        filled, took_s: postings that were filled in this run, and how long that took.
        free_bytes: on the disk.
    """
    if size * BYTES_A_POSTING > free_bytes * 0.8:
        return f"needs {size * BYTES_A_POSTING / 1e9:,.0f} GB of disk, {free_bytes / 1e9:,.0f} are free"
    if filled and took_s + size * took_s / filled > LONGEST_S:
        return f"filling would take {size * took_s / filled / 60:,.0f} minutes"
    return ""


def _fill(url: str, receipts: int, members: int, batches: Path | None = None) -> int:
    """How many postings there are then; and the batches that all databases take, where they are wanted."""
    centre = Centre(url)
    seat = centre.begin(1)[0]
    there = fill(centre.engine, story(receipts), members)
    centre.close()
    if batches:
        till = Till(seat, buyers(story(receipts), BUYERS), spend_percent=30)
        write_batches(batches, (till.batch() for _ in range((ROUNDS + 1) * BATCHES)))
    return there


def _taking(filled: dict[str, str], batches: Path) -> Iterator[Row]:
    with ExitStack() as held:
        workers = {name: held.enter_context(Child([sys.executable, "-m", "bench.ledger.worker", url, str(batches)]))
                   for name, url in filled.items()}  # fmt: skip
        processors = {name: Processor(url) for name, url in filled.items()}
        sides = {name: _round(worker, processors[name]) for name, worker in workers.items()}
        for side in sides.values():
            side()  # does not count
        times = take_turns(sides, ROUNDS)
        spent = {name: processor.spent[1:] for name, processor in processors.items()}
        for processor in processors.values():
            processor.close()
        peaks = {name: worker.ask(0)["peak_mb"] for name, worker in workers.items()}
    for name in list(filled)[1:]:
        yield compared("", f"a batch where {name} postings are", times, name, EMPTY, beside="empty tables")
        yield compared("", "  the same, by the processor", spent, name, EMPTY, beside="empty tables")
    told = ", ".join(f"{peak:.0f} MB ({name})" for name, peak in peaks.items())
    print(f"     the most memory of a process that takes batches: {told}", flush=True)


def _round(worker: Child, processor: Processor) -> Round:
    """A round of a worker by the wall; what it and the database behind it spend is kept by `processor`."""

    def once() -> float:
        before = processor.now_ns()
        told = worker.ask(BATCHES)
        spent_us = (processor.now_ns() - before) / 1_000 + float(told["processor_us"])
        processor.spent.append(spent_us / (BATCHES * MAX_EVENTS))
        return float(told["took_us"]) / (BATCHES * MAX_EVENTS)

    return once


def _reading(filled: dict[str, str]) -> Iterator[Row]:
    """A balance and a history, each beside one row by its key from the largest table of the same database."""
    for name, url in filled.items():
        reader = Reader(url)
        reads = {"key": reader.one_event, "balance": reader.balance, "history": reader.history,
                 "recent": reader.recent_history}  # fmt: skip
        times = take_turns({what: reader.round(read, READS) for what, read in reads.items()}, ROUNDS)
        reader.close()
        for what, said in READ.items():
            yield compared("", said.format(name), times, what, "key", beside="one event by its key")


def _lapsing(filled: dict[str, str]) -> Iterator[Row]:
    """The night's run over members who all have points that lapse, a step a round."""
    nights = {name: Night(url, LAPSING_ON) for name, url in filled.items()}
    for night in nights.values():
        night.round()  # does not count
    times = take_turns({name: night.round for name, night in nights.items()}, ROUNDS)
    for name, night in nights.items():
        members, took_s = night.rest()
        print(f"     the night to its end, {name} postings: {members:,} members in {took_s:,.0f} s", flush=True)
        night.close()
    first = next(iter(nights))
    for name in nights:
        yield compared("", f"the points of a member lapse, {name} postings", times, name, first,
                       beside=f"{first} postings")  # fmt: skip


def _gigabytes(url: str) -> float:
    centre = Centre(url)
    with centre.engine.connect() as connection:
        size = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
    centre.close()
    return float(size) / 1e9
