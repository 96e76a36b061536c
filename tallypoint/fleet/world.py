"""One history: tills and their POS, the centre and its people, and what goes wrong; then the healing.

Nothing here knows a rule of the product or judges it; `oracle` does, from what was recorded.
"""

from collections import Counter
from collections.abc import Callable
from random import Random

import msgspec

from edge.line.uplink import Exchange
from edge.members.consenting import consents_now
from edge.refusals import NoProgramme
from loyalty.trouble import Fault, Refusal
from sync.schedule import Intervals
from sync.wire import Answer
from tallypoint.fleet.clock import HOUR_MS, MINUTE_MS, MachineClock, World
from tallypoint.fleet.coalition import card_numbers, coalition, fleet_programme, partner_of, store_name
from tallypoint.fleet.customers import Customers
from tallypoint.fleet.dice import dice_for
from tallypoint.fleet.disk import Crashed
from tallypoint.fleet.evidence import copies_at, till_copies
from tallypoint.fleet.faults import KINDS, draw_swarm
from tallypoint.fleet.grants import Authorities, Grants
from tallypoint.fleet.line import Line
from tallypoint.fleet.machine import Image, Machine
from tallypoint.fleet.mishaps import Mishaps
from tallypoint.fleet.office import Office
from tallypoint.fleet.oracle_counter import Heard
from tallypoint.fleet.parked import Parking
from tallypoint.fleet.record import Record
from tallypoint.fleet.talk import Talk
from tallypoint.fleet.timeline import Timeline
from tallypoint.fleet.workload import SELDOM, USUAL, Pos

HEAL_MS = 8 * HOUR_MS  # within which everything must be level once the faults end, at least
CHORES_MS = 5_000
PERSON_MS = 10 * MINUTE_MS
TRIES = 5
TILLS_OF_A_STORE = 4
MEMBERS_OF_A_TILL = 2
BIG = 20_000  # transactions beyond which a run is about speed: long batches, a sample computed again


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `faults` are names of `faults.KINDS`, in their order."""

    tills: int
    transactions: int
    seed: int
    faults: tuple[str, ...]

    @property
    def is_big(self) -> bool:
        """Whether it is about speed."""
        return self.transactions > BIG

    @property
    def said_faults(self) -> str:
        """`faults` as the command takes them."""
        return "all" if self.faults == KINDS else ",".join(self.faults) or "none"


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How a history goes: `gap_ms` between two sales of a till; `wake_ms` from a sale to the next word with the centre;
    how many members there are; of a hundred sales, how many have a card; what else a POS does, and how often."""

    gap_ms: int
    wake_ms: int
    members: int
    card_share: int
    doings: dict[str, int]


class Fleet:
    """A coalition and its history.

    Attributes:
        machines: those that run, the first of each lane in its place; `retired`: disks that were put aside, by name.
        record: what the POS was told; `faults`: what was done, by kind; `recomputed`: events computed again.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        dice = self._dice = dice_for(plan.seed, "world")
        self.pace = _pace(plan, dice_for(plan.seed, "pace"))
        self._intervals = _intervals(plan, self.pace)
        self.world = World()
        self.time = Timeline(self.world)
        self.record = Record()
        self.faults: Counter[str] = Counter()
        self.recomputed = 0
        self.retired: list[tuple[str, Image]] = []
        self.machines: list[Machine] = []
        self._is_healing = self._is_over = False
        self._left = plan.transactions
        swarm = draw_swarm(dice_for(plan.seed, "swarm"), plan.faults, plan.tills)
        self._line = Line(dice_for(plan.seed, "line"), swarm, self.faults)
        self.office = Office(self.world, dice_for(plan.seed, "office"), coalition(-(-plan.tills // TILLS_OF_A_STORE)))
        self.office.keeps_backups = "restore" in swarm.counts
        self.grants = Grants(self.office.disk.connection)
        self.talk = Talk(self.time, self.office, self._line, self.record, self._restart)
        self._open_shops()
        self.span_ms = self.pace.gap_ms * plan.transactions // plan.tills
        self.mishaps = Mishaps(
            self.time, dice, self.office, self.talk, self.record, self.grants, self.machines, plan.tills, self._copy,
            self.span_ms, self.faults,
        )  # fmt: skip
        self._settle_in()
        self.mishaps.plan(swarm)

    # The beginning

    def _open_shops(self) -> None:
        programme = fleet_programme()
        self.office.publish(programme)
        self.cards = card_numbers(self.pace.members)
        accounts = self.office.register(programme, self.cards)
        self.customers = Customers(self.office.card_key, self.cards, accounts)
        parking = Parking(self.customers, self.record)
        authority = Authorities(self.grants, self.record)
        self._pos: list[Pos] = []
        stores = -(-self.plan.tills // TILLS_OF_A_STORE)
        for lane in range(self.plan.tills):
            name = f"till-{lane}"
            machine = self._machine(name, lane, self._dice.randrange(-2_000, 2_000))
            machine.start(self.office.enrol(machine.store_id, name))
            self.machines.append(machine)
            dice = dice_for(self.plan.seed, name, "pos")
            pace = (self.pace.card_share, self.pace.doings)
            # Where speed is the question members come to their own store, as they do; else anywhere, for more trouble.
            home = self.cards[lane // TILLS_OF_A_STORE :: stores] if self.plan.is_big else ()
            self._pos.append(
                Pos(name, machine.store_id, dice, self.customers, parking, home, *pace, self.record, authority)
            )
            self.talk.speak_in(machine, 0)

    def _machine(self, name: str, lane: int, skew_ms: int) -> Machine:
        machine = Machine(
            name, lane, store_name(lane // TILLS_OF_A_STORE), MachineClock(self.world, name, skew_ms),
            dice_for(self.plan.seed, name, "session"), self._intervals,
        )  # fmt: skip

        def ask(kind: str) -> Exchange:
            return lambda url, body, _deadline_ms: self.talk.ask_at_once(machine, kind, url, body)

        def ask_peer(url: str, body: bytes, _deadline_ms: int) -> Answer:
            address, _, path = url.removeprefix("http://").partition("/")
            name = address.split(":")[0]
            return self.talk.ask_peer(next((one for one in self.machines if one.name == name), None), f"/{path}", body)

        machine.has_suspect_peer = lambda: any(
            one.store_id == machine.store_id for one in self.machines if one.identity.till_id in self.mishaps.odd_tills
        )
        machine.has_suspect_kin = lambda: any(
            partner_of(one.store_id) == partner_of(machine.store_id)
            for one in self.machines
            if one.identity.till_id in self.mishaps.odd_tills
        )
        machine.speak, machine.bring, machine.lan = ask("lease"), ask("salvage"), ask_peer
        return machine

    def _settle_in(self) -> None:
        """Shops open with a programme, and a certificate each: trouble begins once every till has heard of all."""
        was, self._line.healed = self._line.healed, True
        self._come_level()
        for machine, pos in zip(self.machines, self._pos, strict=True):
            self._ask(machine, pos.gift())
            self.talk.wake(machine)
        self._come_level()
        self._line.healed = was
        self.talk.wake_ms = self.pace.wake_ms
        for machine, pos in zip(self.machines, self._pos, strict=True):
            self.time.plan(self._dice.randrange(1, 1 + self.pace.gap_ms), self._serve, machine, pos)
        self.time.plan(CHORES_MS, self._chores)
        if not self.plan.is_big:
            self.time.plan(self._dice.randrange(1, 1 + self.span_ms), self._snapshots)
        self.time.plan(PERSON_MS, self._person_looks)

    def _come_level(self) -> None:
        while self.behind():
            for _ in self.machines:
                self.time.step()

    def play(self) -> None:
        """Until every transaction is done; then heal, and go on until all is level or the time for it is over."""
        while self._left > 0:
            self.time.step()
        self._heal()
        # A till compares one chunk of the members after the other, and new ones may be cut meanwhile.
        ends_ms = self.world.now_ms + max(HEAL_MS, 2 * self.office.chunks() * self._intervals.digest_ms)
        looks_at = self.world.now_ms
        while self.world.now_ms < ends_ms:
            if self.world.now_ms >= looks_at:
                if not self.behind() and self._knows_all():
                    break
                looks_at = self.world.now_ms + MINUTE_MS
            self.time.step()
        self._is_over = True

    # A POS asks

    def _serve(self, machine: Machine, pos: Pos) -> None:
        if machine.is_off or self._left <= 0:
            return
        self._left -= 1
        self.time.plan(1 + int(self._dice.expovariate(1 / self.pace.gap_ms)), self._serve, machine, pos)
        self._ask(machine, pos.next_doing())
        self.talk.wake(machine)

    def _ask(self, machine: Machine, do: Callable[[Machine], None]) -> None:
        """Ask until there is an answer, under the same ids."""
        for _ in range(TRIES):
            try:
                if machine.peril is None:
                    do(machine)
                else:
                    with machine.in_peril():
                        do(machine)
                self.time.note("told", machine.name, machine.journal.head().hash)
                return
            except Crashed:
                self._restart(machine)
            except (Refusal, NoProgramme) as refusal:
                self.record.refused[refusal.code] += 1  # the POS does what its sentence says
                return
            except Fault as fault:
                self.talk.seen[f"fault {fault.code}"] += 1
                if machine.disk.broken:
                    self._restart(machine)
        self.record.wrongs.append(f"stuck: {machine.name} answers no sale at {self.world.now_ms}")

    def _restart(self, machine: Machine) -> None:
        """The process, or the machine, starts again from what is durable."""
        image = machine.image()
        machine.close()
        if self._dice.random() < 0.5:
            machine.clock.reboot()
        machine.peril = None
        machine.start(machine.identity, image)
        self.time.note("restart", machine.name)
        self.talk.speak_in(machine, 1_000)

    # Chores and people

    def _chores(self) -> None:
        if self._is_over:
            return
        rounds = 40 if self.plan.is_big else 60
        healing_ms = 5 * MINUTE_MS if self.plan.is_big else 2 * MINUTE_MS
        every_ms = healing_ms if self._is_healing else max(CHORES_MS, self.span_ms // rounds)
        self.time.plan(every_ms, self._chores)
        if self.world.now_ms >= self.office.is_down_until_ms:
            self.office.chores()
            self.record.reclaimed += self.office.reclaim()
            self.recomputed += self.office.recompute(self._to_recompute())
        for machine in list(self.machines):
            machine.give_back()
            self._bring_left(machine)
            self.talk.wake(machine)

    def _bring_left(self, machine: Machine) -> None:
        try:
            with machine.in_peril():
                machine.bring_left()
        except Crashed:
            self._restart(machine)
        except Refusal as refusal:  # not head office, or not proven to be: another time
            self.talk.seen[f"left {refusal.code}"] += 1
        except Fault as fault:
            self.talk.rest(machine, fault)

    def _snapshots(self) -> None:
        """Head office's worker makes chunks of the members, from which tills begin and by which they compare."""
        if self._is_over:
            return
        self.time.plan(self.office.chunks_every_ms, self._snapshots)
        if self.world.now_ms >= self.office.is_down_until_ms:
            self.office.make_chunks()

    def _to_recompute(self) -> int:
        """Of a big run one event in twenty, in all."""
        if not self.plan.is_big:
            return 500
        return max(0, (self.plan.transactions - self._left) // 20 - self.recomputed)

    def _person_looks(self) -> None:
        """Somebody enrols a till anew whose stream was stopped, or that says so; a second machine is switched off."""
        if self._is_over:
            return
        self.time.plan(MINUTE_MS if self._is_healing else PERSON_MS, self._person_looks)
        stopped = self.office.stopped()
        for machine in self.machines[: self.plan.tills]:
            said = machine.uplink.status().session.suspended
            if machine.identity.till_id in stopped or said:
                self._enrol_again(machine, said or "stopped")
        if self._is_healing:
            # Not before: while head office may be put back once more, the till that gave a card may still bring that.
            for what in self.office.give_forgotten():
                self.talk.seen[f"forgotten card {what}"] += 1
                self.time.note("forgotten card", what)

    def _enrol_again(self, machine: Machine, why: str) -> None:
        self.talk.seen[f"enrolled again: {why}"] += 1
        for clone in [one for one in self.machines if one.is_clone and one.lane == machine.lane]:
            self.retired.append((clone.name, clone.image()))
            self.machines.remove(clone)
            clone.switch_off()
        identity = self.office.enrol(machine.store_id, machine.name, machine.identity.till_id)
        image = machine.image()
        machine.close()
        machine.suspect = False
        machine.start(identity, image)
        self.time.note("enrolled again", machine.name, why)
        self.talk.speak_in(machine, 1_000)

    def _copy(self, machine: Machine) -> Machine:
        """A second machine from a till's disk, at which the same POS sells."""
        copy = self._machine(f"{machine.name}-copy", machine.lane, 0)
        copy.start(machine.identity, machine.image())
        self.machines.append(copy)
        self.time.plan(self._dice.randrange(1, 1 + self.pace.gap_ms), self._serve, copy, self._pos[machine.lane])
        return copy

    # The end

    def _heal(self) -> None:
        """Lines come up, nothing more goes wrong, and people do what is theirs to do."""
        self._is_healing = True
        self._line.healed = True
        self.mishaps.stop()
        self.talk.wake_ms = 0
        self.time.plan(0, self._chores)
        self.time.plan(HOUR_MS, self._find_copies)
        self.time.plan(2 * HOUR_MS, self.office.post_overdue)
        self.time.plan(MINUTE_MS, self._person_looks)

    def _find_copies(self) -> None:
        """A second machine that nobody had noticed is found in the end."""
        for clone in [one for one in self.machines if one.is_clone]:
            self._enrol_again(self.machines[clone.lane], "copy found")

    def _knows_all(self) -> bool:
        """Whether every till has of members what the centre has; a row that is wrong is found by its digest alone."""
        should = copies_at(self.office.disk.connection)
        return all(till_copies(one.cache_disk.writer) == should for one in self.machines)

    def consents_heard(self) -> list[Heard]:
        """What tills say of consents, of each card that one was given with, each asked at another till."""
        asked = [one for one in self.machines if one.identity.till_id not in self.mishaps.odd_tills]
        given = {one.account for one in self.record.said if isinstance(one.account, str)}
        heard = []
        for n, token in enumerate(sorted(given) if asked else ()):
            machine = asked[n % len(asked)]
            now = consents_now(machine.till, token, machine.counter)
            states = {(one.purpose, one.channel): one.state for one in now.consents} if now.complete else None
            heard.append(Heard(machine.name, token, states))
        return heard

    def behind(self) -> list[str]:
        """Who is not level: a till has nothing more to say and knows what the centre does, and no till is two."""
        if self.office.has_changes():
            return ["the centre"]
        newest, stopped = self.office.lanes(), self.office.stopped()
        return [one.name for one in self.machines
                if one.is_clone or one.identity.till_id in stopped or one.is_behind(newest)]  # fmt: skip


def _intervals(plan: Plan, pace: Pace) -> Intervals:
    slow = 6 if plan.is_big else min(3, max(1, pace.gap_ms // MINUTE_MS))
    return Intervals(
        hello_ms=HOUR_MS,
        hotlist_ms=10 * MINUTE_MS * slow,
        programme_ms=30 * MINUTE_MS * slow,
        members_ms=10 * MINUTE_MS * slow,
        digest_ms=10 * MINUTE_MS * slow,
    )


def _pace(plan: Plan, dice: Random) -> Pace:
    if plan.is_big:
        members = max(200, MEMBERS_OF_A_TILL * plan.tills)
        return Pace(gap_ms=4_000, wake_ms=1_600_000, members=members, card_share=20, doings=SELDOM)
    gap_ms = dice.choice((5_000, 30_000, 5 * MINUTE_MS, 30 * MINUTE_MS))
    return Pace(
        gap_ms=gap_ms,
        wake_ms=gap_ms * dice.choice((0, 0, 0, 10, 20)),
        members=dice.randrange(2, 30),
        card_share=dice.randrange(40, 100),
        doings={**USUAL, "spend": dice.choice((5, 12, 40, 80))},
    )
