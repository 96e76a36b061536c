"""A sale made durable, beside one row made durable: in this process, and over HTTP with one client and with eight.

In process the journal writes what a sale to a member leaves behind where points pay a part out of a hold: event, own
uses, what is left of the float, the end of the hold. The row beside it has the same bytes of payload, in the same
folder. Over HTTP it is the whole commit, priced anew and with its receipt in words; one that is asked again, and
answered from the journal, is told besides.
"""

import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import msgspec

from bench.children import Child
from bench.crowd import CARD, identity
from bench.goods import MEMBER, PLACE, basket, request_body
from bench.programmes import programme
from bench.rounds import Round, answered, take_turns
from bench.sale import Quoted, a_till
from bench.table import Row, compared
from bench.till import raw_ledger, write_raw
from bench.wire import Line, json_bytes
from edge.journal import Journal, open_epoch
from edge.ports import SystemClock
from edge.promises import Hold
from loyalty.compiled import compile_programme
from loyalty.events import encode, own_uses
from loyalty.quotes import quote_basket
from loyalty.receipts import Receipt, close_receipt
from sync.wire import Grant, SignedGrant

LINES, PROMOTIONS = 10, 1_000
CALLS = 200
CLIENTS = 8
IN_PROCESS, ONE_CLIENT, EIGHT_CLIENTS = 1.5, 1.5, 0.7  # P1, P2


def rows(members: int) -> Iterator[Row]:
    """In process, then over HTTP."""
    yield from _in_process()
    with a_till(members) as till:
        till.ask({"swap": {"density": "dense", "size": PROMOTIONS, "lines": LINES}})
        yield from _over_http(till)


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
            self._journal.append(receipt, ask_sha256="00" * 32, uses=own_uses(receipt))
            self._journal.promises.spend(100, self._now)
            self._journal.promises.end_hold("H", "captured", receipt.receipt_id)


def _raw(ledger: sqlite3.Connection, payload: bytes) -> Callable[[], object]:
    return lambda: write_raw(ledger, payload)


def _receipt() -> Receipt:
    """A sale of ten lines to a member, closed."""
    bought = msgspec.structs.replace(basket(LINES), receipt_id="R0")
    rules = compile_programme(programme("dense", PROMOTIONS, bought))
    quote = quote_basket(rules, bought, PLACE, MEMBER)
    return close_receipt(quote, bought, PLACE, compiled=rules, card_token="07" * 16)


def _over_http(till: Child) -> Iterator[Row]:
    body = request_body(basket(LINES), CARD)
    commit, raw, again = _Commits(till, body), _Raws(till, body), _Again(till, body)
    times = take_turns({
        "commit": answered(commit.ones[0], CALLS),
        "raw": answered(raw.ones[0], CALLS),
        "again": answered(again.one, CALLS),
        "commit x 8": _together(commit.ones),
        "raw x 8": _together(raw.ones),
    })  # fmt: skip
    beside = "one row, same server"
    yield compared("P2", f"commit over HTTP, {LINES} lines, one client", times, "commit", "raw", beside=beside,
                   at_most=ONE_CLIENT)  # fmt: skip
    yield compared("", "  asked again, answered from the journal", times, "again", "raw", beside=beside)
    yield compared("P2", f"commit over HTTP, {CLIENTS} clients, each", times, "commit x 8", "raw x 8",
                   beside=beside, faster=True, at_least=EIGHT_CLIENTS)  # fmt: skip


class _Commits:
    """Clients that each pay one sale more with every call."""

    def __init__(self, till: Child, body: dict[str, Any]) -> None:
        quote = msgspec.json.decode(Line(till.hello["till"]).ask("/v1/quotes", json_bytes(body)), type=Quoted)
        told = body | msgspec.to_builtins(quote)
        self.ones = [_one(Line(till.hello["till"]), "/v1/receipts", told, f"C{n}") for n in range(CLIENTS)]


class _Raws:
    """Clients that each have one row more written with every call."""

    def __init__(self, till: Child, body: dict[str, Any]) -> None:
        self.ones = [_one(Line(till.hello["raw"]), "/raw", body, f"C{n}") for n in range(CLIENTS)]


class _Again:
    """A client that asks the same again."""

    def __init__(self, till: Child, body: dict[str, Any]) -> None:
        line = Line(till.hello["till"])
        request = line.request("/v1/receipts", json_bytes(body | {"receipt_id": "again"}))
        self.one = lambda: line.send(request)


def _one(line: Line, path: str, body: dict[str, Any], name: str) -> Callable[[], object]:
    number = 0

    def call() -> bytes:
        nonlocal number
        number += 1
        return line.ask(path, json_bytes(body | {"receipt_id": f"{name}-{number}"}))

    return call


def _together(ones: list[Callable[[], object]], each: int = 25) -> Round:
    """A round of clients at once: microseconds of wall a request, all of them together."""

    def work(call: Callable[[], object]) -> None:
        for _ in range(each):
            call()

    def once() -> float:
        threads = [threading.Thread(target=work, args=(call,)) for call in ones]
        begun = perf_counter_ns()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return (perf_counter_ns() - begun) / 1_000 / (each * len(ones))

    return once
