"""A till of the product over real files at the centre of a test: stopped, harmed, and started as its service is."""

import shutil
from pathlib import Path
from typing import Any

from sqlalchemy import select

from central.database.tables import event, quarantine
from central.verify.books import verify_books
from edge.cache.cache import Cache
from edge.identity import TillIdentity, read_identity_file, write_identity_file
from edge.line.sending_left import SendLeft
from edge.line.uplink import Uplink
from edge.opening import open_journal
from edge.ports import Settings
from edge.sale.till import Till as EdgeTill
from loyalty.trouble import Fault
from sync.keys import one_key
from sync.wire import Answer
from tests.central.tills import ANNA, Centre
from tests.edge.counter import FakeClock, commit, line, sale

HOUR = 3_600_000


class NoLine(Fault):
    code = "line.down_in_a_test"


class Lane:
    """One machine; `start` and `stop` are what its service does with its files."""

    def __init__(self, centre: Centre, folder: Path, tail: Path | None = None, **settings: Any) -> None:
        self.centre, self.folder, self.clock = centre, folder, FakeClock()
        self.clock.wall_ms = centre.now
        folder.mkdir()
        enrolled = centre.till()
        identity = TillIdentity(seed=enrolled.secret.hex(), install_id=enrolled.install, granted=enrolled.identity)
        write_identity_file(folder, identity)
        self.settings = Settings(
            data_dir=str(folder), centre_url="http://centre.test", tail_path=str(tail) if tail else "", **settings
        )
        self.is_cut = False
        self.drawn = 0
        self.start()
        self.settle()  # the programme comes down

    def start(self) -> None:
        identity = read_identity_file(self.folder)
        assert identity is not None
        opened = open_journal(self.settings, identity, self.clock, self.draw)
        self.journal, self.identity, self.tail, self.why = opened.journal, opened.identity, opened.tail, opened.why
        self.cache = Cache.open(self.folder / "cache.db", self.identity, self.clock)
        parts = {"journal": self.journal, "cache": self.cache, "clock": self.clock, "settings": self.settings}
        self.uplink = Uplink(
            **parts, identity=self.identity, random_bits=lambda bits: 2**bits - 1, exchange=self.exchange,
            note_head=self.tail.note,
        )  # fmt: skip
        self.till = EdgeTill(**parts, identity=self.identity)
        self.left = SendLeft(
            journal=self.journal, identity=self.identity, folder=self.folder, clock=self.clock,
            url=self.settings.centre_url, exchange=self.exchange, is_offline=lambda: self.is_cut,
        )  # fmt: skip

    def draw(self, bits: int) -> int:
        self.drawn += 1
        return self.drawn

    def stop(self) -> None:
        self.journal.close()
        self.cache.close()

    def exchange(self, url: str, body: bytes, deadline_ms: int) -> Answer:
        if self.is_cut:
            raise NoLine("the line is cut")
        path = url.removeprefix("http://centre.test")
        return self.centre.session.answer(self.centre.now, path, body, self.centre.store)

    def settle(self) -> None:
        """Speak until there is nothing more to say."""
        self.clock.pass_ms(HOUR)
        self.centre.now += HOUR
        for _ in range(80):
            if self.uplink.run_once():
                break
        if not self.is_cut:
            self.left.send()

    def sell(self, *receipt_ids: str) -> None:
        for receipt_id in receipt_ids:
            self.till.commit(commit(receipt_id, sale(line(1, "bread", 1_000), card=ANNA)))

    def copy(self, to: Path) -> None:
        """The data folder as it is now, as a disk image would have it."""
        shutil.copytree(self.folder, to)

    def put_back(self, copy: Path) -> None:
        """The copy is the data folder again."""
        shutil.rmtree(self.folder)
        shutil.copytree(copy, self.folder)


def receipts(centre: Centre) -> list[tuple[str, str]]:
    """(receipt id, state) of every sale that is at head office, in the order of their ids."""
    told = select(event.c.receipt_id, event.c.state).where(event.c.kind == "receipt.v1")
    return sorted(centre.rows(told))  # type: ignore[arg-type]


def apart(centre: Centre) -> list[str]:
    """Why requests are kept as evidence."""
    return sorted(code for (code,) in centre.rows(select(quarantine.c.code)))


def in_order(centre: Centre) -> None:
    """The books agree with the stored batches."""
    found = verify_books(centre.engine, one_key(centre.signer.public))
    assert found.violations == ()
