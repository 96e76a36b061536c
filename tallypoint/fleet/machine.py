"""One machine in a shop: its disks, its clock, and the till's own classes over them."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from edge.cache.cache import Cache
from edge.cache.rows import make_tables as make_cache
from edge.cache.troubles import trouble_of as cache_trouble
from edge.database import MEMORY, Database
from edge.identity import TillIdentity
from edge.journal.giving_back import give_back
from edge.journal.journal import Journal, open_epoch
from edge.journal.suspending import notice_clock
from edge.journal.tables import make_tables as make_journal
from edge.journal.troubles import trouble_of as journal_trouble
from edge.line.counter_line import CounterLine
from edge.line.sending_left import SendLeft
from edge.line.sharing import Sharing
from edge.line.uplink import Exchange, Uplink
from edge.parking.at_office import ParkedOffice
from edge.parking.over_lan import ParkedLan
from edge.ports import Settings
from edge.sale.certificate_holds import CertificateHolds
from edge.sale.till import Till
from loyalty.approvals import Action
from sync.schedule import Intervals
from sync.till_messages import Request
from sync.wire import LANES
from tallypoint.fleet.clock import MachineClock
from tallypoint.fleet.disk import Peril, Perilous, image_of
from tallypoint.fleet.record import Place

_NO_FOLDER = Path("/nonexistent")  # no epoch here is one that a till gave itself, so none has a file
NOWHERE = "http://fleet.invalid"
# What wants a supervisor, in minor units; of claims how many the card had on that day.
APPROVALS: dict[Action, int] = {"void": 2_000, "return": 1_500, "card_block": 0, "claim": 2}


class Image:
    """A machine's disks at one moment, identity file and all."""

    def __init__(self, identity: TillIdentity, journal: sqlite3.Connection, cache: sqlite3.Connection) -> None:
        self.identity, self.journal, self.cache = identity, journal, cache


class Machine:
    """A till service on one machine. It loses everything but its disks when it is opened again.

    Args:
        lane: the number of the till in the fleet, which it shares with a clone.

    Attributes:
        speak: how it reaches the centre while a customer waits; `bring`: for what it brings of epochs that are over;
            `lan`: how it reaches the other tills of its store.
        flight: the request whose answer is awaited; `session`: which life of the process this is.
        until_ms: before this it has no line.
    """

    def __init__(
        self, name: str, lane: int, store_id: str, clock: MachineClock, dice: Random, intervals: Intervals
    ) -> None:
        self.name, self.lane, self.store_id = name, lane, store_id
        self.clock = clock
        self._dice, self._intervals = dice, intervals
        self.speak: Exchange
        self.bring: Exchange
        self.lan: Exchange
        self.is_clone = self.is_off = False
        self.suspect = False  # its disk was put back or copied: what it may spend may exist twice
        self.has_suspect_peer: Callable[[], bool] = lambda: False  # who may have given such rights away twice
        self.has_suspect_kin: Callable[[], bool] = lambda: False  # the same, of the tills of the partner
        self.forgot = False  # it does not know all that it once answered
        self.until_ms = 0
        self.session = 0
        self.flight: Request | None = None
        self.turn = 0  # which of the planned times to speak is the valid one
        self.speaks_at = 0
        self.peril: Peril | None = None

    def start(self, identity: TillIdentity, image: Image | None = None) -> None:
        """Open everything as the service does at its start, over empty disks or an image of some."""
        self.identity = identity
        self.session += 1
        self.flight = None
        self.disk = _disk("FULL", image.journal if image else _empty(make_journal))
        self.cache_disk = _disk("NORMAL", image.cache if image else _empty(make_cache))
        self.journal = Journal(self.disk, identity, self.clock)
        open_epoch(self.journal, "enrolled")
        notice_clock(self.journal, self.clock.now())
        self.cache = Cache(self.cache_disk, identity, self.clock, lambda: None, self.journal.keep_earlier)
        settings = Settings(
            data_dir="", centre_url=NOWHERE, label=self.name, lan_listen=f"{self.name}:1", approvals=APPROVALS
        )
        self.uplink = Uplink(
            journal=self.journal,
            cache=self.cache,
            identity=identity,
            settings=settings,
            clock=self.clock,
            random_bits=self._dice.getrandbits,
            exchange=self.speak,
            intervals=self._intervals,
        )
        self.sharing = Sharing(
            self.journal, identity, self.clock, self.lan, new_id=lambda: f"{self._dice.getrandbits(64):016x}"
        )
        self.parked = ParkedLan(self.journal, identity, self.clock, self.lan, self.name)
        self.office = ParkedOffice(self.journal, identity, self.clock, self.uplink.ask_desk, settings.offset_min)
        self.counter = CounterLine(
            journal=self.journal, cache=self.cache, identity=identity, clock=self.clock, ask=self.uplink.ask_desk,
            random_bytes=self._dice.randbytes,
        )  # fmt: skip
        self._left = SendLeft(
            journal=self.journal,
            identity=identity,
            folder=_NO_FOLDER,
            clock=self.clock,
            url=NOWHERE,
            exchange=self.bring,
            is_offline=self.uplink.is_offline,
        )
        self.certificate_holds = CertificateHolds(self.clock, self.uplink.ask_desk)
        self.till = Till(
            journal=self.journal,
            cache=self.cache,
            clock=self.clock,
            settings=settings,
            identity=identity,
            is_offline=self.uplink.is_offline,
            ask_points=self.uplink.set_aside,
            ask_peers=self.sharing.ask,
            certificate_holds=self.certificate_holds,
        )

    def give_back(self) -> None:
        """Its chore: points that nobody will spend any more go back."""
        give_back(self.journal, self.clock.now())

    def bring_left(self) -> None:
        """Its chores: numbers for new cards; who new members are, what it has of parked baskets, and events of epochs
        that are over, to the centre; what nobody paid of certificates, back; rights that no till confirmed, again.

        Raises: as `SendLeft.send`.
        """
        self.counter.keep()
        self.office.settle()
        self.certificate_holds.give_back()
        self._left.send()
        self.sharing.send_again()

    def heard_of(self, certificate: str) -> int:
        """Up to which event of its own it was ever told that head office has what they did to a certificate."""
        row = self.cache.certificate(certificate)
        return max(self.journal.outbox.acked().seq, row.own_seq if row else 0)

    def image(self) -> Image:
        """A copy of the disks as they are."""
        return Image(self.identity, image_of(self.disk.writer), image_of(self.cache_disk.writer))

    def close(self) -> None:
        """The process ends; the disks are kept by whoever has an image of them."""
        self.disk.close()
        self.cache_disk.close()

    def switch_off(self) -> None:
        """For good."""
        self.is_off = True
        self.session += 1
        self.close()

    def is_behind(self, newest: Mapping[str, int]) -> bool:
        """Whether it has anything to send, or does not know of the newest number of each lane."""
        if self.flight is not None or any(self.cache.lane(lane).version < newest.get(lane, 0) for lane in LANES):
            return True
        state = self.uplink.status().session
        left = self.journal.left
        return bool(
            self.journal.backlog() or state.suspended or state.line.state != "online" or left.heads() or left.loose()
        )

    @contextmanager
    def in_peril(self) -> Iterator[None]:
        """Whatever is done inside meets the peril that is planned for this machine, if any."""
        if self.peril is None:
            yield
            return
        disks = (self.disk, self.cache_disk)
        writers = [disk.writer for disk in disks]
        for disk, writer in zip(disks, writers, strict=True):
            disk.writer = Perilous(writer, self.peril)  # type: ignore[assignment]
        try:
            yield
        finally:
            for disk, writer in zip(disks, writers, strict=True):
                disk.writer = writer
            if self.peril.over:
                self.peril = None


def places_on(till_id: str, disk: sqlite3.Connection) -> set[Place]:
    """Every event on a till's disk."""
    return {(till_id, epoch, seq, hash_) for epoch, seq, hash_ in disk.execute("SELECT epoch, seq, hash FROM event")}


@cache
def _empty(make_tables: Callable[[Any], None]) -> sqlite3.Connection:
    """A file with its tables and nothing in them, made once for all machines."""
    disk = _disk("NORMAL", None)
    make_tables(disk.tables())
    return image_of(disk.writer)


def _disk(synchronous: str, image: sqlite3.Connection | None) -> Database:
    trouble = journal_trouble if synchronous == "FULL" else cache_trouble
    disk = Database(MEMORY, synchronous=synchronous, trouble_of=trouble, own_reader=synchronous != "FULL")
    if image is not None:
        image.backup(disk.writer)
    return disk
