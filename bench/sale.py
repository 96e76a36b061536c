"""A whole sale over HTTP: card, quote and commit, one after the other, while the till does this and that.

*Quiet*: the till does nothing else. *Syncing*: it writes pages of members and seals batches, without a pause.
*Bootstrapping*: it fills its cache from the chunks of a snapshot. *Refused* and *black hole*: head office is named, and
its line says no, or takes everything and never answers. The states take turns; told are the middle of all sales of a
state and the slowest in a hundred and in a thousand, each beside the quiet one.
"""

import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter_ns
from typing import Any

import msgspec

from bench.children import Child
from bench.crowd import CARD, card
from bench.goods import basket, request_body
from bench.table import Row
from bench.wire import Line, json_bytes

LINES = 50
PROMOTIONS = 1_000
ROUNDS = 5
SALES = 200
ASKS = ("identify", "quote", "commit")
STATES = ("quiet", "syncing", "bootstrapping", "refused", "black hole")
QUIET = STATES[0]
MOST_TAIL = 10.0  # P7, for the quote of a till at rest
Took = dict[str, dict[str, list[list[float]]]]  # state, ask, round: microseconds of each


class Quoted(msgspec.Struct, frozen=True):
    """What of a quote goes back with the commit."""

    programme_version: str
    digest: str


class Pos:
    """A POS at one till: `sell` is a customer with a card and fifty lines, each time another one of so many members."""

    def __init__(self, quote_url: str, members: int) -> None:
        self._line = Line(quote_url)
        self._basket = request_body(basket(LINES), CARD)
        self._members, self._number = members, 0

    def sell(self) -> tuple[float, float, float]:
        """Microseconds of card, quote and commit; what the till answers is decoded after each has been timed."""
        self._number += 1
        shown = card(self._number % self._members)
        body: dict[str, Any] = self._basket | {"quote_id": f"Q{self._number}", "card": shown}
        identified, _ = self._timed("/v1/cards/identify", json_bytes({"card": shown}))
        quoted, answer = self._timed("/v1/quotes", json_bytes(body))
        told = msgspec.to_builtins(msgspec.json.decode(answer, type=Quoted))
        commit = body | told | {"receipt_id": f"R{id(self)}-{self._number}"}
        committed, _ = self._timed("/v1/receipts", json_bytes(commit))
        return identified, quoted, committed

    def close(self) -> None:
        """Hang up."""
        self._line.close()

    def _timed(self, path: str, body: bytes) -> tuple[float, bytes]:
        request = self._line.request(path, body)
        begun = perf_counter_ns()
        answer = self._line.send(request)
        return (perf_counter_ns() - begun) / 1_000, answer


def rows(members: int, sales: int = SALES, rounds: int = ROUNDS) -> Iterator[Row]:
    """Three rows of a state: card, quote, commit."""
    with ExitStack() as stack:
        tills = {QUIET: stack.enter_context(a_till(members))}
        tills["refused"] = stack.enter_context(a_till(members, f"http://127.0.0.1:{_closed_port()}"))
        tills["black hole"] = stack.enter_context(a_till(members, stack.enter_context(black_hole())))
        for till in tills.values():
            till.ask({"swap": {"density": "dense", "size": PROMOTIONS, "lines": LINES}})
        took: Took = {state: {ask: [] for ask in ASKS} for state in STATES}
        for number in range(rounds):
            for state in STATES if number % 2 == 0 else reversed(STATES):
                _round(tills.get(state, tills[QUIET]), state, sales, took)
    for state in STATES:
        yield from _rows(state, took)


@contextmanager
def a_till(members: int, centre_url: str = "", *, slower_ms: int = 0) -> Iterator[Child]:
    """A till's process in a folder of its own.

    Args:
        slower_ms: what its disk takes longer to make something durable; more than 0 wants strace.
    """
    slower = []
    if slower_ms:
        calls = "fdatasync,fsync"
        longer = f"inject={calls}:delay_exit={slower_ms * 1_000}"
        slower = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", os.devnull, "-e", f"trace={calls}", "-e", longer]
    with (
        tempfile.TemporaryDirectory(prefix="tallypoint-bench-") as folder,
        Child(
            [*slower, sys.executable, "-m", "bench.till", folder, str(members), centre_url], folder=Path.cwd()
        ) as till,
    ):
        yield till


@contextmanager
def black_hole() -> Iterator[str]:
    """A head office that takes what comes and never answers: its URL."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def take() -> None:
            while True:
                try:
                    taken.append(listening.accept()[0])
                except OSError:  # the bench is over
                    return

        threading.Thread(target=take, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            for line in taken:
                line.close()


def _round(till: Child, state: str, sales: int, took: Took) -> None:
    works = state in ("syncing", "bootstrapping")
    if works:
        till.ask({"begin": state})
    pos = Pos(till.hello["till"], till.hello["members"])
    try:
        times = [pos.sell() for _ in range(sales)]
    finally:
        pos.close()
    if works and not till.ask({"end": state})["turns"]:
        raise RuntimeError(f"the till did nothing while it was to be {state}")
    for ask, of in zip(ASKS, zip(*times, strict=True), strict=True):
        took[state][ask].append(list(of))


def _rows(state: str, took: Took) -> Iterator[Row]:
    for ask in ASKS:
        of, quiet = took[state][ask], took[QUIET][ask]
        everything = [one for times in of for one in times]
        shares = quantiles(everything, n=1_000, method="inclusive")
        middle = median(everything)
        is_judged = state == QUIET and ask == "quote"
        yield Row(
            budget="P7" if is_judged else "",
            what=f"{ask}, {state}; p99 {shares[989]:,.0f}",
            ours_us=middle,
            beside="its p99.9",
            beside_us=shares[998],
            ratio=shares[998] / middle,
            at_most=MOST_TAIL if is_judged else None,
        )
        if state != QUIET:
            ratio = median(median(ours) / median(theirs) for ours, theirs in zip(of, quiet, strict=True))
            yield Row(
                what=f"  {ask}, {state}, beside quiet", ours_us=middle, beside=QUIET,
                beside_us=median([one for times in quiet for one in times]), ratio=ratio,
            )  # fmt: skip


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
