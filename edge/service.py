"""One till service: its parts put together, started in order, stopped in the other order.

The data folder is ours alone for as long as it runs.
"""

import logging
import secrets
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from edge.cache.cache import Cache
from edge.counter.desk import Desk
from edge.counter.screens import MOST_SCREENS
from edge.devices.peripherals import Peripherals
from edge.devices.readers import Readers
from edge.folder import FolderLock
from edge.identity import TillIdentity, read_identity_file
from edge.journal.room import Room, make_room_to_open
from edge.journal.suspending import notice_clock
from edge.key_files import KeyFiles
from edge.line.chores import Chore, Chores, chores_of
from edge.line.counter_line import CounterLine
from edge.line.enrol import CACHE_FILE
from edge.line.http_line import HttpLine
from edge.line.sending_left import SendLeft
from edge.line.sharing import Sharing
from edge.line.uplink import Uplink
from edge.line.wiping import wipe_revoked
from edge.members.desk import MembersDesk
from edge.opening import open_journal
from edge.parking.at_office import ParkedOffice
from edge.parking.lan import THREADS as LAN_THREADS
from edge.parking.lan import lan_app
from edge.parking.over_lan import ParkedLan
from edge.ports import Clock, Settings, SystemClock
from edge.sale.certificate_holds import CertificateHolds
from edge.sale.till import Till
from edge.supervision import is_supervised, tell_alive, telling_alive
from edge.web.health import Health
from edge.web.http import till_app
from edge.web.server import PortTaken, WebServer
from loyalty.trouble import Fault
from pos_adapters.readers.devices import check_apart
from pos_adapters.readers.profile import Profile
from pos_adapters.readers.shipped import make_profile
from sync.refusals import Revoked
from sync.schedule import Intervals

THREADS = 32 + MOST_SCREENS
_log = logging.getLogger(__name__)


class NotEnrolled(Fault):
    code = "service.not_enrolled"


class TillService:
    """A till with everything around it. Between `start` and `stop` it answers under `url`.

    Args:
        identity: who the till is; read from the data folder where none is given.
        more: further arguments of the uplink, which tests and the demo replace.
    Raises:
        AlreadyRunning, FolderUnusable, NotEnrolled, PortTaken, BadReaderProfile, and the faults of journal and cache.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        identity: TillIdentity | None = None,
        port: int | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        self.settings, self.clock = settings, clock or SystemClock()
        self._closing: list[Callable[[], object]] = []
        try:
            with telling_alive():
                self._open(identity, settings.listen_port if port is None else port, more or {})
        except BaseException:
            self._close()
            raise

    def _open(self, identity: TillIdentity | None, port: int, more: dict[str, Any]) -> None:
        """Each step needs those before it; what is opened is closed in the other order."""
        self._open_files(identity)
        self._meet_others(more)
        self._set_up_counter()
        self._keep_house(more)
        self._listen(port)

    def _open_files(self, identity: TillIdentity | None) -> None:
        settings, clock = self.settings, self.clock
        self._closing.append(FolderLock(settings.folder).close)
        self.identity = identity or _enrolled(settings)
        make_room_to_open(settings.folder)
        opened = open_journal(settings, self.identity, clock, secrets.randbits)
        self.journal, self.identity, self.tail = opened.journal, opened.identity, opened.tail
        self._closing.append(self.journal.close)
        self._closing.append(lambda: self.tail.note(self.journal.head()))
        self.room = Room(self.journal, settings.folder, settings.ballast_mb)
        notice_clock(self.journal, clock.now())
        self.cache = Cache.open(settings.folder / CACHE_FILE, self.identity, clock, leaving=self.journal.keep_earlier)
        self._closing.append(self.cache.close)

    def _meet_others(self, more: dict[str, Any]) -> None:
        """Head office, and the other tills of the store."""
        settings, clock = self.settings, self.clock
        self.uplink = self._uplink(more)
        self.sharing = Sharing(self.journal, self.identity, clock, HttpLine().exchange)
        label = settings.label or self.identity.label
        self.parked = ParkedLan(self.journal, self.identity, clock, HttpLine().exchange, label)
        self.counter_line = self._counter_line()
        self.parked_office = self._parked_office()
        self.holds = CertificateHolds(clock, self.uplink.ask_desk) if settings.centre_url else None

    def _set_up_counter(self) -> None:
        settings, clock = self.settings, self.clock
        till = Till(
            journal=self.journal,
            cache=self.cache,
            clock=clock,
            settings=settings,
            identity=self.identity,
            is_offline=self.uplink.is_offline,
            on_written=self.uplink.wake,
            on_closed=self.tail.note,
            ask_points=self.uplink.set_aside if settings.centre_url else None,
            ask_peers=self.sharing.ask if settings.lan_listen else None,
            certificate_holds=self.holds,
        )
        self.desk = Desk(
            till=till, identity=self.identity, settings=settings, clock=clock, is_offline=self.uplink.is_offline,
            is_untrusted=self.uplink.is_untrusted,
        )  # fmt: skip
        self.peripherals = Peripherals(settings, self.desk)
        self.readers = Readers(self.desk, reader_profiles(settings))

    def _keep_house(self, more: dict[str, Any]) -> None:
        settings, clock = self.settings, self.clock
        self.chores = Chores(
            (
                *chores_of(
                    self.journal, self.cache, self.identity, clock, self.sharing if settings.lan_listen else None
                ),
                Chore(name="room", every_s=10, do=self.room.keep),
                *((Chore(name="lan", every_s=20, do=self.listen_to_peers),) if settings.lan_listen else ()),
                *self._left_behind(more),
                *((Chore(name="certificates", every_s=20, do=self.holds.give_back),) if self.holds else ()),
                *((Chore(name="counter", every_s=20, do=self.counter_line.keep),) if self.counter_line else ()),
                *((Chore(name="parked", every_s=20, do=self.parked_office.settle),) if self.parked_office else ()),
            ),
            uplink=self.uplink if settings.centre_url else None,
            clock=clock,
            works=self._tell_alive if is_supervised() else lambda: None,
        )
        self.health = Health(
            desk=self.desk,
            journal=self.journal,
            uplink=self.uplink,
            readers=self.readers.health,
            chores=self.chores.runs,
            last_runs=self.chores.last,
            tail=self.tail,
            room=self.room,
            peripherals=self.peripherals,
        )

    def _listen(self, port: int) -> None:
        settings = self.settings
        self._server = WebServer(
            till_app(
                self.desk, self.health, self.readers, self.peripherals, self.parked if settings.lan_listen else None,
                MembersDesk(self.desk, self.counter_line, settings.confirm_url),
                self.parked_office,
            ),
            host=settings.listen_host,
            port=port,
            threads=THREADS,
        )
        self.url = self._server.url
        self._lan: WebServer | None = None

    def listen_to_peers(self) -> None:
        """Answer the other tills of the store, once; a chore, for sales do not wait until their network is up.

        Raises:
            PortTaken: it is not up yet, or lan_listen is wrong.
        """
        if self._lan is not None:
            return
        host, _, port = self.settings.lan_listen.rpartition(":")
        app = lan_app(self.sharing, self.parked, self.uplink.stranger_asked)
        # An address of IPv6 stands in brackets before its port.
        lan = WebServer(app, host=host.strip("[]"), port=int(port), threads=LAN_THREADS, settings="lan_listen")
        lan.start()
        self._lan = lan

    def _uplink(self, more: dict[str, Any]) -> Uplink:
        intervals = Intervals(members_ms=self.settings.members_every_s * 1000)
        return Uplink(
            journal=self.journal,
            cache=self.cache,
            identity=self.identity,
            settings=self.settings,
            clock=self.clock,
            **{"random_bits": secrets.randbits, "intervals": intervals, **more},
            own_keys=KeyFiles(self.settings.folder, secrets.token_bytes, self._key_changed),
            note_head=self.tail.note,
            check_room=self.room.check_cosmetic,
            disk_free_mb=self.room.free_mb,
        )

    def _key_changed(self, identity: TillIdentity) -> None:
        self.identity = identity
        self.sharing.use_identity(identity)
        self.parked.use_identity(identity)
        self._left.use_identity(identity)
        self.desk.identity = identity
        self.desk.till.use_identity(identity)

    def _counter_line(self) -> CounterLine | None:
        """Head office from the counter; a till that stays alone has nobody to ask."""
        if not self.settings.centre_url:
            return None
        return CounterLine(
            journal=self.journal, cache=self.cache, identity=self.identity, clock=self.clock,
            ask=self.uplink.ask_desk, random_bytes=secrets.token_bytes,
        )  # fmt: skip

    def _parked_office(self) -> ParkedOffice | None:
        if not self.settings.centre_url:
            return None
        return ParkedOffice(
            self.journal, self.identity, self.clock, self.uplink.ask_desk, self.settings.offset_min
        )

    def _left_behind(self, more: dict[str, Any]) -> tuple[Chore, ...]:
        """Events of earlier epochs go to head office by themselves; a till that stays alone has nobody to send to."""
        if not self.settings.centre_url:
            return ()
        self._left = SendLeft(
            journal=self.journal,
            identity=self.identity,
            folder=self.settings.folder,
            clock=self.clock,
            url=self.settings.centre_url,
            exchange=more.get("exchange") or HttpLine(self.settings.centre_ca).exchange,
            is_offline=self.uplink.is_offline,
        )
        return (
            Chore(name="left_behind", every_s=20, do=self._left.send),
            Chore(name="revoked", every_s=20, do=self._wipe_if_revoked),
        )

    def _wipe_if_revoked(self) -> None:
        if self.uplink.status().session.suspended != Revoked.code:
            return
        identity = wipe_revoked(self.settings.folder, self.journal, self.cache, self.clock, secrets.token_bytes)
        if identity is not None:
            self._key_changed(identity)
            self.desk.till.forget_shown()

    def _tell_alive(self) -> None:
        """A sale could be written: what a disk says to that is told elsewhere, and no reason to end the process."""
        with suppress(Fault), self.journal.writing():
            pass
        tell_alive()

    def start(self) -> None:
        """Answer first, then read cards, speak to head office and keep house."""
        self.room.keep()
        self._server.start()
        if self.settings.lan_listen:
            try:
                self.listen_to_peers()
            except PortTaken as trouble:
                _log.error("the other tills of the store are not answered yet: %s", trouble)
        self.readers.start()
        self.peripherals.start()
        self.uplink.start()
        self.chores.start()

    def stop(self) -> None:
        """Stop what works in the background, then answer what is under way, then close the files. Once is enough."""
        if not self._closing:
            return
        self.chores.stop()
        self.readers.stop()
        self.peripherals.stop()
        self.uplink.stop(5.0)
        self.desk.screens.close()
        self._server.stop()
        if self._lan:
            self._lan.stop()
        self._close()

    def _close(self) -> None:
        while self._closing:
            self._closing.pop()()


def run_till(settings: Settings, tell: Callable[[str], None] = print) -> None:
    """Run the till service until SIGTERM or SIGINT. Raises: as `TillService`."""
    service = TillService(settings)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    service.start()
    tell(f"Till {service.desk.label} of store {service.identity.store_id}, data in {settings.folder}")
    tell(f"  POS          {service.url}/v1/quotes     described in {service.url}/openapi.json")
    tell(f"  customer     {service.url}/customer")
    tell(f"  screens      {service.url}/kiosk  {service.url}/cashier")
    tell(f"  status       {service.url}/v1/status     figures in {service.url}/metrics")
    stopping.wait()
    tell("Stopping: finishing what is under way.")
    service.stop()
    tell("Stopped. Nothing is lost; what was not sent yet goes out at the next start.")


def reader_profiles(settings: Settings) -> tuple[Profile, ...]:
    """The readers of the settings, each as its profile and what overrules it say.

    Raises:
        BadReaderProfile: names the reader, and what to write.
    """
    said = [*settings.readers]
    if settings.reader_port:
        named = {"profile": settings.reader_profile} if settings.reader_profile else {"name": "reader"}
        said.insert(0, {"port": settings.reader_port, **named})
    profiles = tuple(make_profile(one) for one in said)
    check_apart(profiles)
    return profiles


def _enrolled(settings: Settings) -> TillIdentity:
    identity = read_identity_file(settings.folder)
    if identity is None:
        raise NotEnrolled(
            f"There is no till in {settings.folder} yet. Enrol it with a code from head office: tallypoint edge enrol."
            " If it was here before, see that its disk is mounted, and that data_dir names it."
        )
    return identity
