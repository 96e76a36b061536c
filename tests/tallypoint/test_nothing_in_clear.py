"""No card number, name, phone or e-mail in clear: not in a file, log or event of a till, nor in anything it sends."""

import base64
import logging
import os
import re
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from central.coalition import slots
from central.coalition.programmes import current_programme
from central.members.members import import_members
from central.ports import reading, writing
from edge.line.enrol import enrol
from edge.ports import Settings, SystemClock
from edge.service import TillService
from loyalty.cards.card_keys import one_card_key
from loyalty.programme.programme import programme_from
from sync.enrolment import fingerprint
from sync.schedule import Intervals
from sync.wire import BATCH_PATH, PAGE_PATH, URGENT_PATH
from tallypoint.in_process import NOWHERE, InProcess, StoryClock
from tallypoint.logs import keep_log
from tests.central.tills import ANNA, BEN, COALITION, PROGRAMME

STRANGER = "2900000000032"  # in the programme's range, nobody's yet; check digit worked out by hand
PAYMENT = "4111111111111111"
PEOPLE = (
    {
        "card": ANNA,
        "name": "Annabella Quillfeather",
        "email": "annabella@quillfeather.example",
        "phone": "+351910000001",
    },
    {"card": BEN, "name": "Benvolio Thistlewood", "email": "ben@thistlewood.example", "phone": "+351910000002"},
)
SECRETS = (
    ANNA, BEN, STRANGER, PAYMENT, *(person[field] for person in PEOPLE for field in ("name", "email", "phone")),
    "Quillfeather", "Thistlewood", "910000001", "910000002", "ophelia@example.org",
)  # fmt: skip
CASH = [{"kind": "cash", "amount_minor": 0}]


# How it is looked for


def forms(secret: str) -> Iterator[bytes]:
    """How a text may stand in bytes and still be read by anybody."""
    yield secret.encode()
    yield secret.encode("utf-16-le")
    yield secret.encode().hex().encode()
    for cut in range(3):  # base64 depends on where it begins
        yield base64.b64encode(b"\0" * cut + secret.encode())[4 if cut else 0 : -4]
    if secret.isdigit():
        yield re.sub(r"(\d{4})(?=\d)", r"\1 ", secret).encode()


def plain_parts(data: bytes, depth: int = 3) -> Iterator[bytes]:
    """The bytes, and whatever is compressed somewhere inside them."""
    yield data
    if not depth:
        return
    for found in re.finditer(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08", data):
        window = zlib.MAX_WBITS | 16 if found[0][:1] == b"\x1f" else zlib.MAX_WBITS
        stream = zlib.decompressobj(window)
        try:
            inside = stream.decompress(data[found.start() :], 32 * 1024 * 1024)
        except zlib.error:
            continue
        if len(inside) > 3:
            yield from plain_parts(inside, depth - 1)


def cells(path: Path) -> Iterator[bytes]:
    """Every value of a SQLite file: a text that spans two pages is whole only here."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"'):
                yield from (value if isinstance(value, bytes) else str(value).encode() for value in row)


def written(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every byte below a folder, names included; of databases also the values."""
    for path in sorted(folder.rglob("*")):
        yield f"name of {path.name}", str(path).encode()
        if path.is_file():
            data = path.read_bytes()
            yield path.name, data
            if data.startswith(b"SQLite format 3\0"):
                for value in cells(path):
                    yield f"a value of {path.name}", value


def leaks(places: Iterable[tuple[str, bytes]], secrets: Iterable[str] = SECRETS) -> set[tuple[str, str]]:
    """(place, secret) of everything that stands somewhere in clear."""
    wanted = [(secret, form.lower()) for secret in secrets for form in forms(secret) if len(form) > 6]
    found = set()
    for place, data in places:
        for part in plain_parts(data):
            low = part.lower()
            found |= {(place, secret) for secret, form in wanted if form in low}
    return found


# What is looked at


class NowClock(StoryClock):
    """Today's clock for both sides."""

    def __init__(self) -> None:
        super().__init__(0)
        self._own = SystemClock()

    def now(self) -> Any:
        return self._own.now()

    def wall_ms(self) -> int:
        return self._own.now().wall_ms


class Shop:
    """A till as it runs, with its log, and everything it sent; head office beside it knows people by name."""

    def __init__(self, root: Path) -> None:
        self.world = InProcess(root / "office", NowClock(), COALITION)
        self.world.publish(programme_from(PROGRAMME))
        with writing(self.world.engine) as tx:
            programme = current_programme(tx)
            assert programme
            import_members(
                tx, [{"card": person["card"]} for person in PEOPLE], rules=programme.cards,
                keys=one_card_key(self.world.card_key), randomness=self.world.randomness,
                now_ms=self.world.clock.wall_ms(),
            )  # fmt: skip
            slot = slots.open_slot(
                tx, self.world.randomness, store_id="S1", label="1", now_ms=self.world.clock.wall_ms()
            )
        self.folder = root / "till"
        self.sent: list[tuple[str, bytes]] = []
        settings = Settings(
            data_dir=str(self.folder), centre_url=NOWHERE, log_dir=str(self.folder / "log"), shop_name="Shop",
            tail_path=str(self.folder / "tail"),
        )  # fmt: skip
        enrol(
            settings, SystemClock(), code=slot.code, fingerprint=fingerprint(self.world.signer.public),
            exchange=self.world.exchange, random_bytes=os.urandom,
        )  # fmt: skip
        keep_log(settings.log_dir, "till", 3)
        quick = Intervals(hotlist_ms=200, programme_ms=200, members_ms=200, start_spread_ms=1)
        self.service = TillService(settings, port=0, more={"exchange": self.line, "intervals": quick})
        self.service.start()

    def line(self, url: str, body: bytes, _deadline_ms: int) -> Any:
        said = self.world.exchange(url, body)
        path = url.removeprefix(NOWHERE)
        self.sent += [(f"sent to {path}", body), (f"answer from {path}", said.body)]
        return said

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> requests.Response:
        return requests.request(method, self.service.url + path, json=body, params=query, timeout=10)

    def wait(self, done: Any) -> None:
        ends = time.monotonic() + 20
        while not done():
            assert time.monotonic() < ends, "the till did not come level"
            time.sleep(0.05)


def sale(receipt_id: str, card: str | None, **more: Any) -> dict[str, Any]:
    lines = [{"line": 1, "sku": "milk", "amount_minor": 2_000, "name": "Cake"}]
    body = {"receipt_id": receipt_id, "basket": {"currency": "EUR", "lines": lines}, "tenders": CASH, **more}
    return body | ({"card": card} if card else {})


@contextmanager
def opened(tmp_path: Path) -> Iterator[Shop]:
    """A shop whose every word is logged, and the log as it was afterwards."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    made = Shop(tmp_path)
    root.setLevel(logging.DEBUG)
    yield made
    made.service.stop()
    made.world.close()
    for handler in set(root.handlers) - set(before):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with opened(tmp_path) as made:
        yield made


def test_a_day_of_a_till_leaves_nobody_in_clear_in_any_file_log_event_or_message(shop: Shop) -> None:
    paths = {f"answer from {path}" for path in (PAGE_PATH, URGENT_PATH)}
    shop.wait(lambda: {place for place, _ in shop.sent} & paths and shop.ask("GET", "/v1/balance", card=ANNA).ok)
    for number, card in enumerate((ANNA, BEN, STRANGER, ANNA, None)):
        quoted = {name: value for name, value in sale("", card).items() if name not in ("receipt_id", "tenders")}
        assert shop.ask("POST", "/v1/quotes", quoted).status_code == 200
        assert shop.ask("POST", "/v1/receipts", sale(f"R{number}", card)).status_code == 201
    odd = (ANNA, STRANGER, PAYMENT, "ophelia@example.org", "+351910000001", "Annabella Quillfeather")
    for n, scanned in enumerate(odd):
        shop.ask("POST", "/v1/cards/identify", {"code": scanned})
        shop.ask("GET", "/v1/balance", card=scanned)
        shop.ask("POST", "/v1/quotes", sale("", scanned))
        shop.ask("POST", "/v1/receipts", sale("R-odd", scanned, coupons=[scanned]))
        shop.ask("POST", "/v1/receipts", {"card": scanned, "e-mail": "ophelia@example.org"})
        shop.ask("POST", "/v1/holds", {"hold_id": "H1", "card": scanned, "points": 10})
        shop.ask("GET", f"/v1/nothing/{scanned}")
        asked = sale("", scanned, coupons=[scanned], certificates=[{"code": scanned}])
        del asked["receipt_id"]
        shop.ask("POST", "/v1/parked", {**asked, "park_id": f"P-{n}"})
        note = scanned if "Quill" not in scanned else ""  # nobody can tell a name from a word
        assert shop.ask("POST", "/v1/parked", {**asked, "card": ANNA, "park_id": f"N-{n}", "note": note}).ok
    assert shop.ask("POST", "/v1/receipts/R1/void").ok
    returned = {"return_id": "B1", "receipt_id": "R0", "lines": [{"line": 1, "quantity": "1"}]}
    assert shop.ask("POST", "/v1/returns", returned).status_code in (200, 201, 400, 422)
    assert shop.ask("POST", "/v1/day-close").ok
    shop.wait(lambda: not shop.service.journal.backlog())
    shown = [(f"page {path}", shop.ask("GET", path).content) for path in ("/customer", "/v1/screen", "/metrics")]
    shop.service.stop()
    batches = [body for place, body in shop.sent if place == f"sent to {BATCH_PATH}"]
    assert any(b'"receipt.v1"' in part for body in batches for part in plain_parts(body))
    files = list(written(shop.folder))
    assert {"journal.db", "cache.db", "identity.json", "till.log"} <= {place for place, _ in files}
    assert leaks([*files, *shop.sent, *shown]) == set()
    with reading(shop.world.engine):
        assert leaks(written(shop.world.folder)) == set()


# That it would be found


def test_whatever_stands_somewhere_in_clear_is_found(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("CREATE TABLE t (x)")
        long = "x" * 4_000 + ANNA + "y" * 9_000
        database.execute("INSERT INTO t VALUES (?)", (zlib.compress(long.encode()),))
        database.execute("INSERT INTO t VALUES (?)", ("z" * 4_030 + BEN + "z" * 8_000,))
    (tmp_path / "b").write_bytes(b"head" + zlib.compress(b"in it " + zlib.compress(b"Quillfeather is here")))
    (tmp_path / "c.log").write_bytes(base64.b64encode(b"a" + STRANGER.encode() + b"tail"))
    (tmp_path / "d.log").write_text("card 4111 1111 1111 1111 was read")
    (tmp_path / f"e-{ANNA}").touch()
    (tmp_path / "f").write_bytes("Thistlewood".encode("utf-16-le"))
    found = leaks(written(tmp_path))
    assert {
        ("a value of a.db", ANNA), ("a value of a.db", BEN), ("b", "Quillfeather"), ("c.log", STRANGER),
        ("d.log", PAYMENT), (f"name of e-{ANNA}", ANNA), ("f", "Thistlewood"),
    } <= found  # fmt: skip
