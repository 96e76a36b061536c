"""What a till does while something happens to it: each scene begins from a folder and tells what the POS was answered.

A scene writes a line to the file `answers` only after the till has answered, as a POS would print only then.
"""

import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import sqlite_utils

import edge.journal.journal
from edge.cache.cache import Cache
from edge.database import Database
from edge.identity import read_identity_file
from edge.journal import tables as journal_tables
from edge.journal.journal import Journal
from edge.line.uplink import JournalStore
from edge.opening import open_journal
from edge.ports import Settings
from edge.sale.asks import CommitAsk
from edge.sale.taking_back import take_back, void_receipt
from edge.sale.till import Till
from loyalty.programme.programme import read_programme
from sync.chain import StreamHead
from sync.lanes import LaneState
from sync.wire import Ack, Lanes, Page
from tests.edge.counter import PROGRAMME, FakeClock, back, commit, grant_float, identity, line, published, sale, void
from tests.faults.head_office import take_in

ANSWERS = "answers"
CONTROL = "sell_relaxed"
HEAD_OFFICE = "take"
SALVAGE = "salvage"
SALES = 8
DAY_MS = 24 * 60 * 60 * 1000


class Place:
    """A till over the files of a folder, and what it answered."""

    def __init__(self, folder: Path, *, days_on: int = 0) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.clock.pass_ms(days_on * DAY_MS)
        self.journal = Journal.open(folder / "journal.db", identity(), self.clock)
        self.cache = Cache.open(folder / "cache.db", identity(), self.clock)
        self.till = Till(
            journal=self.journal, cache=self.cache, clock=self.clock, settings=Settings(data_dir=str(folder)),
            identity=identity(),
        )  # fmt: skip
        self.store = JournalStore(self.journal, self.cache, self.clock)

    def answered(self, what: str, said: object) -> None:
        """The POS has it now."""
        text = said if isinstance(said, str) else msgspec.json.encode(said).decode()
        with (self.folder / ANSWERS).open("ab", buffering=0) as file:
            os.write(file.fileno(), f"{what} {text}\n".encode())

    def close(self) -> None:
        """Close the files."""
        self.journal.close()
        self.cache.close()


def prepare(folder: Path, scene: str) -> None:
    """The files from which a scene begins."""
    folder.mkdir()
    if scene == "migrate":
        _older(folder / "journal.db")
        return
    place = Place(folder)
    place.cache.load_programme(read_programme(PROGRAMME.encode()))
    place.cache.load_members([published("ana", points=5_000), published("ben")])
    grant_float(place.till, 3_000)
    if scene in ("ack", "prune"):
        for n in range(SALES):
            place.till.commit(ask_of(n))
    if scene == "prune":
        place.store.take_ack(_ack(place, SALES))
    place.close()


def ask_of(n: int) -> CommitAsk:
    """The n-th sale of a scene: some pay with points."""
    return commit(f"r{n}", sale(line(1, "bread", 1_000 + n), line(2, "milk", 199), points=100 * (n % 2)))


def play(folder: Path, scene: str) -> None:
    """Everything a scene does, to its end."""
    {**SCENES, CONTROL: _sell_relaxed, HEAD_OFFICE: _take, SALVAGE: _salvage}[scene](folder)


def _sell(folder: Path) -> None:
    place = Place(folder)
    for n in range(SALES):
        place.answered(f"r{n}", place.till.commit(ask_of(n)).record)
    place.answered("back", take_back(place.till, back("back", "r0", (1, 1000, 1_000))).record)
    place.answered("void r1", void_receipt(place.till, void("r1")).record)
    place.close()


def _take_acks(folder: Path) -> None:
    place = Place(folder)
    for seq in (2, 5, SALES):
        place.store.take_ack(_ack(place, seq))
        place.answered("acked", str(seq))
    place.answered("r8", place.till.commit(ask_of(8)).record)
    place.close()


def _prune(folder: Path) -> None:
    """Two weeks later: what is acknowledged goes, the log is emptied, and selling goes on."""
    place = Place(folder, days_on=15)
    place.answered("r8", place.till.commit(ask_of(8)).record)
    place.journal.outbox.prune(place.clock.now().wall_ms - 14 * DAY_MS, keep=0)
    place.journal.checkpoint()
    place.answered("r10", place.till.commit(ask_of(10)).record)
    place.close()


def _migrate(folder: Path) -> None:
    """The service of today opens the journal of an older one."""
    place = Place(folder)
    place.answered("opened", str(place.journal.head().seq))
    place.close()


def _snapshot(folder: Path) -> None:
    """Members come down page by page."""
    place = Place(folder)
    for number in range(1, 5):
        told = [published("ben", points=number * 100 + i, version=number * 50 + i) for i in range(40)]
        rows = tuple(msgspec.Raw(msgspec.json.encode(one)) for one in told)
        page = Page(lane="members", from_cursor=str(number - 1) if number > 1 else "", to_cursor=str(number), rows=rows,
                    version=number, more=number < 4, restart=number == 1, expires_ms=0)  # fmt: skip
        place.store.take_page(page, LaneState(cursor=str(number), version=number))
        place.answered("page", str(number))
    place.close()


def _ack(place: Place, seq: int) -> Ack:
    hash_ = place.journal.outbox.hash_at(seq)
    assert hash_ is not None
    head = StreamHead(till_id=identity().till_id, epoch=1, seq=seq, hash=hash_)
    return Ack(key_no=1, answers="00" * 32, server_at_ms=place.clock.wall_ms, head=head, generation=0, block_no=0,
               block_hash="00" * 32, lanes=Lanes())  # fmt: skip


def _older(path: Path) -> None:
    """A journal of before the present one's last migrations, with events in it."""
    newer = path.with_name("newer")
    prepare(newer, "ack")
    database = sqlite_utils.Database(path, execute_plugins=False)
    journal_tables._journal.apply(database, stop_before="leases")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("ATTACH ? AS newer", (str(newer / "journal.db"),))
    for table in database.tables:
        if table.name.startswith("_"):
            continue
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        kept = " WHERE account_id IS NULL" if table.name == "lease" else ""
        chosen = f'SELECT {columns} FROM newer."{table.name}"{kept}'
        database.execute(f'INSERT OR REPLACE INTO main."{table.name}" ({columns}) {chosen}')
    database.conn.commit()
    database.close()
    shutil.rmtree(newer)


def _sell_relaxed(folder: Path) -> None:
    """The control: the same with a setting under which SQLite does not wait for the disk at every commit."""

    def relaxed(path: Path | str, **how: Any) -> Database:
        return Database(path, **{**how, "synchronous": "NORMAL"})

    with patch.object(edge.journal.journal, "Database", relaxed):
        _sell(folder)


def _salvage(folder: Path) -> None:
    """The service starts over a journal that is damaged, as often as it takes, and sells."""
    own = read_identity_file(folder)
    assert own is not None
    clock = FakeClock()
    opened = open_journal(Settings(data_dir=str(folder)), own, clock, lambda bits: secrets.randbits(bits))
    cache = Cache.open(folder / "cache.db", opened.identity, clock)
    cache.load_programme(read_programme(PROGRAMME.encode()))
    till = Till(
        journal=opened.journal, cache=cache, clock=clock, settings=Settings(data_dir=str(folder)),
        identity=opened.identity,
    )  # fmt: skip
    sold = till.commit(commit("after", sale(line(1, "bread", 1_000), card=None)))
    with (folder / ANSWERS).open("ab", buffering=0) as file:
        os.write(file.fileno(), f"after {sold.head.hash}\n".encode())
    opened.journal.close()
    cache.close()


def _take(folder: Path) -> None:
    """Not a till's scene: head office takes a batch."""
    status = take_in(folder).status
    with (folder / ANSWERS).open("ab", buffering=0) as file:
        os.write(file.fileno(), f"taken {status}\n".encode())


SCENES: dict[str, Callable[[Path], Any]] = {
    "sell": _sell, "ack": _take_acks, "prune": _prune, "migrate": _migrate, "snapshot": _snapshot,
}  # fmt: skip
