"""What a batch costs from the wire to the commit, beside the same rows written by whoever knows nothing of them.

Times are of one receipt of ten lines. Every side has a database of its own that begins the same, and each takes the
same batches in the same order; who goes first changes with every round.
"""

import gc
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
from sqlalchemy import make_url

from bench.ledger.ceilings import Copied, DrivenByHand, RowByRow, SetBySet
from bench.ledger.centre import COALITION, NOW_MS, Centre, NotTaken, Seat
from bench.ledger.history import buyers, fill, story
from bench.ledger.postgres import database
from bench.ledger.processor import Processor
from bench.ledger.sales import Till
from bench.ledger.sets import SetApply, check_same, facts_of
from bench.ledger.written import Written, check_all_seen, sizes, written_by
from bench.rounds import ROUNDS, Round, Times, take_turns
from bench.table import Row, compared
from central.ports import reading
from central.recomputing.recompute import recompute_pending
from central.streams.heads import read_fit_head
from sync.envelope import MAX_EVENTS, open_batch, walk_batch

BUYERS = 20_000
EARLIER = 4  # receipts of each of them before
BATCHES = 3  # a round
ALONE = 60  # batches of one receipt, a round
MIXES = {0: "earn only", 30: "30 % spend points"}
AT_LEAST = {0: ("P10", 0.45), 30: ("P11", 0.4)}
ONE_BY_ONE, SQLITE, OPENING, RECOMPUTED_US = 20.0, 0.5, 0.15, 1_000.0


class Mix(msgspec.Struct, frozen=True):
    """Batches of one mix, what each wrote, and batches of single receipts from another till."""

    spend_percent: int
    batches: list[bytes]
    written: list[Written]
    alone: list[bytes]


def young(url: str) -> list[Seat]:
    """A centre whose members have shopped a few times; its two tills."""
    centre = Centre(url)
    seats = centre.begin(2)
    fill(centre.engine, story(EARLIER), BUYERS)
    centre.close()
    return seats


def rows(url: str) -> Iterator[Row]:
    """P10, P11, P13, P14, P15. Args: `url` of a PostgreSQL server."""
    with database(url, "young") as begun:
        seats = young(begun)
        for spend_percent in MIXES:
            mix = _mix(url, seats, spend_percent)
            yield from _on_postgres(url, mix)
            yield from _on_sqlite(mix)


def _mix(url: str, seats: list[Seat], spend_percent: int) -> Mix:
    known = buyers(story(EARLIER), BUYERS)
    first, second = (Till(seat, known, spend_percent=spend_percent) for seat in seats)
    batches = [first.batch() for _ in range((ROUNDS + 1) * BATCHES)]
    with database(url, "recording", "young") as recording:
        centre = Centre(recording)
        before, written = sizes(centre.engine), []
        for data in batches:
            centre.take(data)
            with reading(centre.engine) as connection:
                written.append(written_by(connection, data))
        check_all_seen(centre.engine, before, written)
        centre.close()
    return Mix(spend_percent, batches, written, [second.batch(1) for _ in range((ROUNDS + 1) * ALONE)])


def _on_postgres(url: str, mix: Mix) -> Iterator[Row]:
    with ExitStack() as held:
        names = ("taking", "copying", "driving", "single", "hand", "alone")
        taking, copying, driving, single, hand, alone = (
            held.enter_context(database(url, name, "young")) for name in names
        )
        centre, by_itself = Centre(taking), Centre(alone)
        copied, driven, row_by_row, by_hand = Copied(copying), Copied(driving), RowByRow(single), DrivenByHand(hand)
        prepared = [copied.prepare(one) for one in mix.written]
        ready, values = iter(prepared), iter(prepared)
        batches, written, again, ones = iter(mix.batches), iter(mix.written), iter(mix.written), iter(mix.alone)
        ours, theirs, rest = Processor(taking), Processor(copying), Processor()
        for open_one in (ours, theirs, centre, by_itself):
            held.callback(open_one.close)
        held.callback(row_by_row.engine.dispose)
        for one in (copied, driven, by_hand):
            held.callback(one.connection.close)
        times = _measured(
            {
                "centre": ours.round(lambda: centre.take(next(batches)), BATCHES, MAX_EVENTS),
                "COPY": theirs.round(lambda: copied.write(next(ready)), BATCHES, MAX_EVENTS),
                "COPY of values": rest.round(lambda: driven.write_values(next(values)), BATCHES, MAX_EVENTS),
                "opening": rest.round(Opening(centre, mix.batches), BATCHES, MAX_EVENTS),
                "row by row": rest.round(lambda: row_by_row.write(next(written)), 1, MAX_EVENTS),
                "the same, by the driver": rest.round(lambda: by_hand.write(next(again)), 1, MAX_EVENTS),
                "batches of one": rest.round(lambda: by_itself.take(next(ones)), ALONE, 1),
            }
        )
        processor = {"centre": ours.spent[1:], "COPY": theirs.spent[1:]}
        yield from _told(mix, times, processor)
        if mix.spend_percent:
            yield _recomputed(centre, Processor(taking))


def _told(mix: Mix, times: Times, processor: Times) -> Iterator[Row]:
    budget, bound = AT_LEAST[mix.spend_percent]
    what = f"centre, PostgreSQL, {MIXES[mix.spend_percent]}"
    beside = f"COPY of {sum(one.rows for one in mix.written) / len(mix.written) / MAX_EVENTS:.1f} ready rows"
    yield compared(budget, what, times, "centre", "COPY", beside=beside, faster=True, at_least=bound)
    yield compared("", "  the same, by the processor", processor, "centre", "COPY", beside=beside, faster=True)
    yield compared("", "  beside COPY that the driver writes", times, "centre", "COPY of values", faster=True)
    yield compared("P13", "  beside a commit a receipt", times, "centre", "row by row", faster=True,
                   at_least=ONE_BY_ONE)  # fmt: skip
    yield compared("", "  beside that by the driver alone", times, "centre", "the same, by the driver", faster=True)
    yield compared("", "  COPY itself beside a commit a receipt", times, "COPY", "row by row", faster=True)
    yield compared("", "  beside itself, one by one", times, "centre", "batches of one", faster=True)
    yield compared("P15", "  verify and decode", times, "opening", "centre", beside="all of it", at_most=OPENING)


class Opening:
    """All that is done to a batch before its transaction, and its heads decoded."""

    def __init__(self, centre: Centre, batches: list[bytes]) -> None:
        self._store, self._left = centre.store, iter(batches)

    def __call__(self) -> None:
        def key(till_id: str, key_no: int) -> str | None:
            return record.keys.find(key_no) if (record := self._store.till(till_id)) else None

        opened = open_batch(next(self._left), key)
        till = self._store.till(opened.header.till_id)
        assert till is not None
        walk_batch(opened, till.genesis)
        for payload in opened.payloads:
            read_fit_head(payload)


def _recomputed(centre: Centre, processor: Processor) -> Row:
    def once() -> None:
        done = recompute_pending(centre.engine, MAX_EVENTS, NOW_MS)
        if done.same != MAX_EVENTS:
            raise NotTaken(f"recomputed: {done}")

    times = _measured({"recomputed": processor.round(once, 1, MAX_EVENTS)})
    processor.close()
    spent = {"recomputed": processor.spent[1:], "allowed": [RECOMPUTED_US] * len(times["recomputed"])}
    return compared("P15", "recomputing, by the processor", spent, "recomputed", "allowed",
                    beside="1,000 a second and core", faster=True, at_least=1.0, absolute=True)  # fmt: skip


def _on_sqlite(mix: Mix) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="tallypoint-bench-") as folder:
        urls = [f"sqlite:///{Path(folder) / name}" for name in ("taking.db", "applying.db", "sets.db")]
        young(urls[0])
        for url in urls[1:]:
            shutil.copy(str(make_url(urls[0]).database), str(make_url(url).database))
        centre, apply, sets = Centre(urls[0]), SetApply(urls[1], _terms()), SetBySet(urls[2])
        batches, facts, written = iter(mix.batches), iter(list(map(facts_of, mix.batches))), iter(mix.written)
        ours, applying, theirs = Processor(), Processor(), Processor()
        times = _measured(
            {
                "centre": ours.round(lambda: centre.take(next(batches)), BATCHES, MAX_EVENTS),
                "applied": applying.round(lambda: apply.apply(next(facts)), BATCHES, MAX_EVENTS),
                "executemany": theirs.round(lambda: sets.write(next(written)), BATCHES, MAX_EVENTS),
            }
        )
        centre.close()
        apply.connection.close()
        sets.connection.close()
        check_same(urls[0], urls[1])
    what = f"centre, SQLite, {MIXES[mix.spend_percent]}"
    yield compared("P14", what, times, "centre", "applied", beside="applied in sets", faster=True, at_least=SQLITE)
    processor = {"centre": ours.spent[1:], "applied": applying.spent[1:], "executemany": theirs.spent[1:]}
    yield compared("", "  the same, by the processor", processor, "centre", "applied", beside="applied in sets",
                   faster=True)  # fmt: skip
    yield compared("", "  beside ready rows", times, "centre", "executemany", beside="the same rows, sets", faster=True)
    yield compared("", "  the same, by the processor", processor, "centre", "executemany",
                   beside="the same rows, sets", faster=True)  # fmt: skip


def _terms() -> dict[str, str]:
    """The terms of each partner, which never change here."""
    return {one["partner_id"]: one["terms"][0]["terms_id"] for one in COALITION["partners"]}


def _measured(sides: dict[str, Round]) -> Times:
    """In turns, after one round that does not count; what lives already is left to lie."""
    for side in sides.values():
        side()
    gc.collect()
    gc.freeze()
    try:
        return take_turns(sides)
    finally:
        gc.unfreeze()
