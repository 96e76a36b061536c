"""A till beside its ceilings, in one process: `python -m bench.till FOLDER MEMBERS [CENTRE_URL]`.

The till is the whole service with its files. Beside it, behind Flask and the same server: an echo, which reads JSON and
writes it again by the same library; and a ledger of one table, which reads JSON, writes a row of its bytes to a file of
its own as the journal does (write-ahead log, waited for), and answers a number.

It is asked by lines of JSON: `swap` puts a programme in force and says how many promotions concern the basket;
`begin` and `end` let the till do something besides (see `at_work`); nothing says what this process has spent of its
processor.
"""

import sqlite3
import sys
import threading
from pathlib import Path
from time import process_time_ns
from typing import Any

import msgspec
from flask import Flask, Response, request

from bench.at_work import AtWork
from bench.children import serve
from bench.crowd import CARD, identity, laid_out
from bench.goods import basket
from bench.programmes import programme
from edge.line.enrol import CACHE_FILE
from edge.ports import Settings
from edge.service import THREADS, TillService
from edge.web.server import WebServer
from loyalty.programme.compiled import candidates_for
from sync.wire import Grant, SignedGrant

FLOAT_POINTS = 10**9


def main(folder: Path, members: int, centre_url: str = "") -> None:
    """Serve until nobody asks any more."""
    took_s = laid_out(folder / CACHE_FILE, members)
    service = TillService(Settings(data_dir=str(folder), centre_url=centre_url), identity=identity(), port=0)
    beside = [WebServer(app, host="127.0.0.1", port=0, threads=THREADS) for app in (echo_app(), raw_app(folder))]
    work = AtWork(service, members)
    try:
        grant_float(service)
        service.start()
        for server in beside:
            server.start()
        hello = {"till": f"{service.url}/v1/quotes", "echo": f"{beside[0].url}/echo", "raw": f"{beside[1].url}/raw"}
        known = service.cache.counts()["member"]
        serve(hello | {"card": CARD, "members": known, "took_s": took_s}, lambda asked: _answer(service, work, asked))
    finally:
        work.end()
        for server in beside:
            server.stop()
        service.stop()


def echo_app() -> Flask:
    """What a request costs of which nothing is asked."""
    app = Flask("echo")

    @app.post("/echo")
    def echo() -> Response:
        told = msgspec.json.decode(request.get_data(cache=False))
        return Response(msgspec.json.encode(told), mimetype="application/json")

    return app


def raw_app(folder: Path) -> Flask:
    """What a request costs of which nothing is asked but that its bytes are safe before it is answered."""
    app, lock = Flask("raw"), threading.Lock()
    ledger = raw_ledger(folder / "raw.db")

    @app.post("/raw")
    def raw() -> Response:
        data = request.get_data(cache=False)
        msgspec.json.decode(data)
        with lock:
            return Response(msgspec.json.encode({"seq": write_raw(ledger, data)}), mimetype="application/json")

    return app


def raw_ledger(path: Path) -> sqlite3.Connection:
    """A file of one table, whose commits are waited for."""
    ledger = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    ledger.execute("PRAGMA journal_mode = wal")
    ledger.execute("PRAGMA synchronous = FULL")
    ledger.execute("CREATE TABLE raw (seq INTEGER PRIMARY KEY, payload BLOB NOT NULL) STRICT")
    return ledger


def write_raw(ledger: sqlite3.Connection, payload: bytes) -> int:
    """One row in one durable transaction. Returns: its number."""
    ledger.execute("BEGIN IMMEDIATE")
    seq = ledger.execute("INSERT INTO raw (payload) VALUES (?)", (payload,)).lastrowid
    ledger.execute("COMMIT")
    return int(seq or 0)


def grant_float(service: TillService) -> None:
    """Points enough to be spent without asking."""
    now, own = service.clock.now(), service.identity
    grant = Grant(
        lease_id="float", grant_no=1, till_id=own.till_id, epoch=own.epoch, key_no=1, account_id=None,
        points=FLOAT_POINTS, spend_for_s=86_400, settle_until_ms=now.wall_ms + 7 * 86_400_000,
        granted_at_ms=now.wall_ms,
    )  # fmt: skip
    with service.journal.writing():
        service.journal.promises.take_grants([SignedGrant(grant=grant, signed=b"signed")], now)


def _answer(service: TillService, work: AtWork, asked: dict[str, Any]) -> dict[str, Any]:
    if "swap" in asked:
        return _swap(service, **asked["swap"])
    if "begin" in asked:
        work.begin(asked["begin"])
    return {"processor_us": process_time_ns() / 1_000, "turns": work.end() if "end" in asked else work.turns}


def _swap(service: TillService, density: Any, size: int, lines: int) -> dict[str, int]:
    bought = basket(lines)
    service.cache.load_programme(programme(density, size, bought))
    return {"concerned": len(candidates_for(service.cache.programmes()[0], bought.lines))}


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:4])
