"""A sale made durable, beside one row made durable: in this process, and over HTTP with one client and with eight.

In process the journal writes what a sale to a member leaves behind where points pay a part out of a hold: event, own
uses, what is left of the float, the end of the hold. The row beside it has the same bytes of payload, in the same
folder. Over HTTP it is the whole commit of a basket that was quoted just before (the quote is not timed), with its
receipt in words, each time another member's. Told besides: one that nobody quoted, and one that is asked again and
answered from the journal; and, where there is strace, what becomes of P2 on disks that take longer to make a row
durable: this machine's may be done in a tenth of a millisecond, a till's seldom is.
"""

import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from itertools import count, cycle
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Any

import msgspec

from bench.children import Child
from bench.crowd import CARD, card, identity
from bench.goods import MEMBER, PLACE, basket, request_body
from bench.programmes import programme
from bench.rounds import Round, answered, durations, take_turns
from bench.sale import Quoted, a_till
from bench.table import Row, compared
from bench.till import raw_ledger, write_raw
from bench.wire import Line, json_bytes
from edge.journal.journal import Journal, open_epoch
from edge.journal.promises import Hold
from edge.ports import SystemClock
from loyalty.facts.events import encode
from loyalty.facts.receipts import Receipt, close_receipt
from loyalty.pricing.quotes import quote_basket
from loyalty.programme.compiled import compile_programme
from sync.wire import Grant, SignedGrant

LINES, PROMOTIONS = 10, 1_000
CALLS = 200
CLIENTS = 8
SLOWER_DISKS_MS = (1, 4)
IN_PROCESS, ONE_CLIENT, EIGHT_CLIENTS = 1.5, 1.5, 0.7  # P1, P2


def rows(members: int) -> Iterator[Row]:
    """In process, then over HTTP."""
    yield from _in_process()
    with a_till(members) as till:
        yield from over_http(till)
    for slower_ms in SLOWER_DISKS_MS if shutil.which("strace") else ():
        with a_till(min(members, 100_000), slower_ms=slower_ms) as till:
            yield from on_a_slower_disk(till, slower_ms)


def _in_process() -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="tallypoint-bench-") as folder:
        ledger = raw_ledger(Path(folder) / "raw.db")
        journal = Journal.open(Path(folder) / "journal.db", identity(), SystemClock())
        try:
            receipt = _receipt()
            sale, raw = _Sales(journal, receipt), _raw(ledger, encode(receipt))
            times = take_turns({"sale": answered(sale, CALLS), "raw": answered(raw, CALLS)})
        finally:
            journal.close()
            ledger.close()
    what = f"a sale's commit, {LINES} lines, in process"
    yield compared("P1", what, times, "sale", "raw", beside="one row, WAL, FULL", at_most=IN_PROCESS)


class _Sales:
    """Calling it writes one sale more, with a hold that it ends."""

    def __init__(self, journal: Journal, receipt: Receipt) -> None:
        self._journal, self._receipt, self._number = journal, receipt, 0
        open_epoch(journal, "enrolled")
        self._now = now = SystemClock().now()
        grant = Grant(
            lease_id="float", grant_no=1, till_id=identity().till_id, epoch=1, key_no=1, account_id=None, points=10**9,
            spend_for_s=86_400, settle_until_ms=now.wall_ms + 7 * 86_400_000, granted_at_ms=now.wall_ms,
        )  # fmt: skip
        with journal.writing():
            journal.promises.take_grants([SignedGrant(grant=grant, signed=b"signed")], now)
            journal.promises.add_hold(
                Hold(hold_id="H", account_id=7, points=100, lease_id="float", ask_sha256="", opened=now)
            )

    def __call__(self) -> None:
        self._number += 1
        receipt = msgspec.structs.replace(self._receipt, receipt_id=f"R{self._number}")
        with self._journal.writing():
            self._journal.append(receipt, ask_sha256="00" * 32)
            self._journal.promises.spend(100, self._now)
            self._journal.promises.capture("H", receipt.receipt_id)


def _raw(ledger: sqlite3.Connection, payload: bytes) -> Callable[[], object]:
    return lambda: write_raw(ledger, payload)


def _receipt() -> Receipt:
    """A sale of ten lines to a member, closed."""
    bought = msgspec.structs.replace(basket(LINES), receipt_id="R0")
    rules = compile_programme(programme("dense", PROMOTIONS, bought))
    quote = quote_basket(rules, bought, PLACE, MEMBER)
    return close_receipt(quote, bought, PLACE, compiled=rules, card_token="07" * 16)


def over_http(till: Child) -> Iterator[Row]:
    """One client, what its sales take of the till's processor, and eight clients."""
    clients = _clients(till)
    first = clients[0]
    times = take_turns({
        **_paying(clients),
        "till's commit": first.in_till(first.pay),
        "till's raw": first.in_till(first.write),
        "unquoted": first.alone(first.pay_unquoted),
        "again": first.alone(first.pay_again),
    })  # fmt: skip
    beside = "one row, same server"
    yield compared("P2", f"commit over HTTP, {LINES} lines, one client", times, "commit", "raw", beside=beside,
                   at_most=ONE_CLIENT)  # fmt: skip
    yield compared("", "  processor of the till", times, "till's commit", "till's raw", beside=beside)
    yield compared("", "  that was not quoted before", times, "unquoted", "raw", beside=beside)
    yield compared("", "  asked again, answered from the journal", times, "again", "raw", beside=beside)
    yield compared("P2", f"commit over HTTP, {CLIENTS} clients, each", times, "commit x 8", "raw x 8",
                   beside=beside, faster=True, at_least=EIGHT_CLIENTS)  # fmt: skip


def on_a_slower_disk(till: Child, slower_ms: int) -> Iterator[Row]:
    """One client and eight, where whatever is made durable takes so much longer."""
    times = take_turns(_paying(_clients(till)))
    where = f"on a disk {slower_ms} ms slower"
    yield compared("", f"  one client, {where}", times, "commit", "raw", beside="one row, same server")
    yield compared("", f"  {CLIENTS} clients, each, {where}", times, "commit x 8", "raw x 8",
                   beside="one row, same server", faster=True)  # fmt: skip


def _clients(till: Child) -> list["Client"]:
    """At a till with a large programme."""
    till.ask({"swap": {"density": "dense", "size": PROMOTIONS, "lines": LINES}})
    return [Client(till, n) for n in range(CLIENTS)]


def _paying(clients: list["Client"]) -> dict[str, Round]:
    """P2: one client, and all of them at once, each beside a row."""
    first = clients[0]
    return {
        "commit": first.alone(first.pay),
        "raw": first.alone(first.write),
        "commit x 8": _together(clients, Client.pay),
        "raw x 8": _together(clients, Client.write),
    }


Ask = Callable[[], object]


class Client:
    """A POS with customers of its own, one after the other: nobody pays a thousand times a day. What it is asked to do
    comes back as the one request that is timed; what has to go before is done by then."""

    def __init__(self, till: Child, n: int) -> None:
        self._child = till
        self._till, self._raw = Line(till.hello["till"]), Line(till.hello["raw"])
        self._customers = cycle(range(n, till.hello["members"], CLIENTS))
        self._body = request_body(basket(LINES), CARD)
        self._name, self._numbers = f"C{n}", count(1)
        self._quoted: dict[str, Any] = {}
        self.pay()()  # so that there is something to ask again
        self._last = self._commit

    def pay(self) -> Ask:
        """A basket of the next customer, quoted now."""
        self._body["card"] = card(next(self._customers))
        answer = self._till.ask("/v1/quotes", json_bytes(self._body | {"quote_id": self._name}))
        self._quoted = msgspec.to_builtins(msgspec.json.decode(answer, type=Quoted))
        return self._paid()

    def pay_unquoted(self) -> Ask:
        """A basket whose member has shopped since it was quoted."""
        self.pay()()
        return self._paid()

    def _paid(self) -> Ask:
        self._commit = self._till.request("/v1/receipts", self._bytes())
        return lambda: self._till.send(self._commit)

    def pay_again(self) -> Ask:
        """The very first basket."""
        return lambda: self._till.send(self._last)

    def write(self) -> Ask:
        """The same bytes as a row."""
        request = self._raw.request("/raw", self._bytes())
        return lambda: self._raw.send(request)

    def alone(self, prepare: Callable[[], Ask]) -> Round:
        """A round of one client: the middle one of its requests, by the clock on the wall."""

        def once() -> float:
            took = []
            for _ in range(CALLS):
                ask = prepare()
                took += durations(ask, 1, perf_counter_ns)
            return median(took)

        return once

    def in_till(self, prepare: Callable[[], Ask]) -> Round:
        """A round of one client by what the till's process spends of its processor on a request."""

        def spent_us() -> float:
            return float(self._child.ask({})["processor_us"])

        def once() -> float:
            spent = asking = 0.0
            for _ in range(CALLS):
                ask = prepare()
                before = spent_us()
                ask()
                between = spent_us()
                spent += between - before
                asking += spent_us() - between
            return (spent - asking) / CALLS

        return once

    def _bytes(self) -> bytes:
        return json_bytes(self._body | self._quoted | {"receipt_id": f"{self._name}-{next(self._numbers)}"})


def _together(clients: list[Client], prepare: Callable[[Client], Ask], times: int = 25) -> Round:
    """A round of clients at once: each prepares, all ask at the same moment, and wait for each other. Microseconds of
    wall a request, all of them together."""

    def work(client: Client, begin: threading.Barrier, end: threading.Barrier) -> None:
        for _ in range(times):
            ask = prepare(client)
            begin.wait()
            ask()
            end.wait()

    def once() -> float:
        stamps: list[int] = []
        begin, end = (threading.Barrier(len(clients), lambda: stamps.append(perf_counter_ns())) for _ in range(2))
        threads = [threading.Thread(target=work, args=(client, begin, end)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = sum(after - before for before, after in zip(stamps[::2], stamps[1::2], strict=True))
        return took / 1_000 / (times * len(clients))

    return once
