"""What goes wrong besides the line, each at its drawn time: machines, disks, clocks, the centre."""

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

from tallypoint.fleet.clock import HOUR_MS, MINUTE_MS
from tallypoint.fleet.disk import Peril, image_of
from tallypoint.fleet.faults import Swarm
from tallypoint.fleet.grants import Grants, forgotten_points
from tallypoint.fleet.machine import Image, Machine, places_on
from tallypoint.fleet.office import Office
from tallypoint.fleet.record import Record
from tallypoint.fleet.talk import Talk
from tallypoint.fleet.timeline import Timeline


class Mishaps:
    """Plans and does them.

    Args:
        machines: of the fleet, the first of each lane in its place; copies come behind them.
        lanes: how many tills there are.
        copy: makes a machine of another one's lane and has its POS sell.
        span_ms: how long the shops are open.

    Attributes:
        odd_tills: ids of tills whose disk was put back or copied.
        faults: how often each happened.
    """

    def __init__(
        self, time: Timeline, dice: Random, office: Office, talk: Talk, record: Record, grants: Grants,
        machines: Sequence[Machine], lanes: int, copy: Callable[[Machine], Machine], span_ms: int,
        faults: Counter[str],
    ) -> None:  # fmt: skip
        self._time, self._dice, self._office, self._talk = time, dice, office, talk
        self._record, self._grants, self._machines, self._lanes = record, grants, machines, lanes
        self._copy, self._span_ms, self.faults = copy, span_ms, faults
        self.odd_tills: set[str] = set()
        self.is_over = False

    def plan(self, swarm: Swarm) -> None:
        """Give each of them a time."""
        for kind, count in swarm.counts.items():
            for _ in range(count):
                happen = getattr(self, "_" + kind.replace("-", "_"))
                self._time.plan(self._dice.randrange(1 + self._span_ms), happen)

    def stop(self) -> None:
        """Nothing more goes wrong, and what was broken is mended."""
        self.is_over = True
        self._office.is_down_until_ms = 0
        self._office.peril = None
        for machine in self._machines:
            machine.until_ms = 0
            machine.peril = None

    def _till(self) -> Machine:
        return self._machines[self._dice.randrange(self._lanes)]

    def _soon_ms(self) -> int:
        return self._dice.randrange(1, 1 + max(self._span_ms // 3, MINUTE_MS))

    # Lines and processes

    def _partition(self) -> None:
        self._cut([self._till()], "partition")

    def _store(self) -> None:
        store_id = self._till().store_id
        self._cut([one for one in self._machines if one.store_id == store_id], "store")

    def _cut(self, machines: Sequence[Machine], kind: str) -> None:
        if self.is_over:
            return
        self.faults[kind] += 1
        until_ms = self._time.world.now_ms + self._soon_ms()
        for machine in machines:
            machine.until_ms = max(machine.until_ms, until_ms)

    def _outage(self) -> None:
        if not self.is_over:
            self.faults["outage"] += 1
            self._office.is_down_until_ms = self._time.world.now_ms + self._soon_ms()

    def _crash(self) -> None:
        self._endanger("crash", Peril("crash", self._dice.randrange(1, 12), late=self._dice.random() < 0.5))

    def _disk(self) -> None:
        self._endanger("disk", Peril("disk", self._dice.randrange(1, 8)))

    def _endanger(self, kind: str, peril: Peril) -> None:
        if not self.is_over:
            self.faults[kind] += 1
            self._till().peril = peril

    def _centre_crash(self) -> None:
        if not self.is_over:
            self.faults["centre-crash"] += 1
            self._office.peril = Peril("crash", self._dice.randrange(1, 4))

    def _centre_disk(self) -> None:
        if not self.is_over:
            self.faults["centre-disk"] += 1
            self._office.peril = Peril("disk", self._dice.randrange(1, 4))

    def _upgrade(self) -> None:
        if not self.is_over:
            self.faults["upgrade"] += 1
            self._office.upgrade()

    def _clock(self) -> None:
        if not self.is_over:
            self.faults["clock"] += 1
            self._till().clock.step(self._dice.randrange(-3 * HOUR_MS, 3 * HOUR_MS))

    # Back in time, and twice

    def _rewind(self) -> None:
        """An image is made now and put back later."""
        machine = self._till()
        self._time.plan(self._soon_ms(), self._put_back, machine, machine.image())

    def _put_back(self, machine: Machine, image: Image) -> None:
        if self.is_over:
            return
        self.faults["rewind"] += 1
        till_id = machine.identity.till_id
        self.odd_tills.add(till_id)
        self._record.removed |= places_on(till_id, machine.disk.writer) - places_on(till_id, image.journal)
        machine.close()
        machine.clock.reboot()
        machine.suspect = machine.forgot = True
        machine.peril = None
        machine.start(image.identity, image)
        self._time.note("rewind", machine.name)
        self._talk.speak_in(machine, 1_000)

    def _clone(self) -> None:
        machine = self._till()
        if self.is_over or any(one.is_clone and one.lane == machine.lane for one in self._machines):
            return
        self.faults["clone"] += 1
        self.odd_tills.add(machine.identity.till_id)
        copy = self._copy(machine)
        copy.is_clone = True
        for one in (machine, copy):
            one.suspect = one.forgot = True
        self._time.note("clone", machine.name)
        self._talk.speak_in(copy, self._dice.randrange(1, 10 * MINUTE_MS))

    def _restore(self) -> None:
        """A backup is made now and put back later, or the first one after an enrolment that came between."""
        backups = self._office.backups
        backups.append(image_of(self._office.disk.connection))
        self._time.plan(self._soon_ms(), self._put_centre_back)

    def _put_centre_back(self) -> None:
        if self.is_over or not self._office.backups:
            return
        self.faults["restore"] += 1
        backup = self._office.backups.pop(0)
        self._grants.read()
        self._record.restored_points += forgotten_points(self._office.disk.connection, backup)
        self._office.put_back(backup)
        self._grants.forgotten()
        self._talk.centre_went_back()
        self._time.note("restore")
