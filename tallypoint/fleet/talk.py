"""Tills and centre speak: requests and answers on their way, over a line that is what it is."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from loyalty.trouble import Fault, Refusal
from sync.desk import DESK_PATH
from sync.parked import PARKED_PATH
from sync.till_messages import Request
from sync.transport import LineDown, LineTooSlow
from sync.wire import Answer
from tallypoint.fleet.disk import Crashed
from tallypoint.fleet.held import Holds
from tallypoint.fleet.line import FASTEST_MS, Line
from tallypoint.fleet.machine import NOWHERE, Machine
from tallypoint.fleet.office import Office
from tallypoint.fleet.record import Record
from tallypoint.fleet.timeline import Timeline

AFTER_TROUBLE_MS = 5_000


class Talk:
    """The whole conversation.

    Args:
        restart: starts a machine again whose process ended.

    Attributes:
        seen: answers by kind and status, refusals and faults by code.
        holds: watches what is set aside of certificates.
        wake_ms: how long after an event was written the session is asked.
    """

    def __init__(
        self, time: Timeline, office: Office, line: Line, record: Record, restart: Callable[[Machine], None]
    ) -> None:
        self._time, self._office, self._line, self._record, self._restart = time, office, line, record, restart
        self.seen: Counter[str] = Counter()
        self.holds = Holds(office.disk.connection, time.world, record, self.seen)
        self.wake_ms = 0
        self._heads: dict[tuple[str, int], int] = {}

    # When

    def wake(self, machine: Machine) -> None:
        """An event may have been written: the session is asked soon."""
        at = self._time.world.now_ms + self.wake_ms
        if machine.flight is None and at < machine.speaks_at:
            self.speak_in(machine, self.wake_ms)

    def speak_in(self, machine: Machine, after_ms: int) -> None:
        """Ask a machine's session so much later, and not before."""
        machine.turn += 1
        machine.speaks_at = self._time.world.now_ms + after_ms
        self._time.plan(after_ms, self._speak, machine, machine.turn)

    def has_line(self, machine: Machine) -> bool:
        """Whether a request could reach the centre."""
        return self._time.world.now_ms >= max(machine.until_ms, self._office.is_down_until_ms)

    def centre_went_back(self) -> None:
        """From now on streams may stand lower than they did."""
        self._heads.clear()
        self._record.acked.clear()
        self.holds.went_back()

    # There

    def _speak(self, machine: Machine, turn: int) -> None:
        if turn != machine.turn or machine.flight is not None or machine.is_off:
            return
        try:
            step = machine.uplink.ask()
        except Fault as fault:
            self.rest(machine, fault)
            return
        if isinstance(step, int):
            self.speak_in(machine, max(1, step))
            return
        machine.flight = step
        self._send(machine, step)

    def rest(self, machine: Machine, fault: Fault) -> None:
        """What the uplink's thread does with trouble of its own disk."""
        self.seen[f"fault {fault.code}"] += 1
        if machine.disk.broken or machine.cache_disk.broken:
            self._restart(machine)
        else:
            self.speak_in(machine, AFTER_TROUBLE_MS)

    def _send(self, machine: Machine, request: Request) -> None:
        line, body = self._line, request.body
        if not self.has_line(machine):
            self._time.plan(FASTEST_MS, self._give, machine, machine.session, request, None)
            return
        if line.hits("portal"):
            self._time.plan(FASTEST_MS, self._give, machine, machine.session, request, line.portal())
            return
        self._time.plan(request.deadline_ms, self._give, machine, machine.session, request, None)
        if line.hits("duplicate"):
            self._time.plan(line.later_ms(), self._arrive, machine, -1, request, body)
        if line.hits("loss"):
            return
        if line.hits("corrupt"):
            body = line.changed(body)
        self._time.plan(line.travel_ms(), self._arrive, machine, machine.session, request, body)

    def ask_at_once(self, machine: Machine, kind: str, url: str, body: bytes) -> Answer:
        """A request beside the session's, as while a customer waits: there and back now, or not at all.

        Raises:
            LineDown, LineTooSlow.
        """
        if not self.has_line(machine) or self._line.hits("loss"):
            raise LineDown("The line is down.")
        path = url.removeprefix(NOWHERE)
        answer = self._answer("desk" if path == DESK_PATH else kind, path, body)
        if answer is not None and path == DESK_PATH:
            self.holds.answered(body, answer)
            if self._line.hits("duplicate"):
                self._time.plan(self._line.later_ms(), self._arrive_again, path, body)
        if answer is None or self._line.hits("swallow"):
            raise LineTooSlow("No answer came.")
        if path == DESK_PATH:
            self.holds.heard(machine.name, body, answer)
        return answer

    def ask_peer(self, peer: Machine | None, path: str, body: bytes) -> Answer:
        """A request to another till of the store, over a line that loses as much. Raises: LineDown, LineTooSlow."""
        if peer is None or peer.is_off or self._line.hits("loss"):
            raise LineDown("The other till does not answer.")
        if self._line.hits("corrupt"):
            body = self._line.changed(body)
        try:
            with peer.in_peril():
                service = peer.parked if path == PARKED_PATH else peer.sharing
                answer = Answer(status=200, body=service.answer(body))
        except Crashed:
            self._restart(peer)
            raise LineTooSlow("The other till ended.") from None
        except Refusal as refusal:
            answer = Answer(status=403, body=refusal.code.encode())
        except Fault as fault:
            self.rest(peer, fault)
            answer = Answer(status=503, body=fault.code.encode())
        kind = path.rpartition("/")[2]
        self.seen[f"{kind} {answer.status}"] += 1
        self._time.note(kind, peer.name, answer.status)
        if self._line.hits("swallow"):
            raise LineTooSlow("No answer came.")
        return answer

    # And back

    def _arrive(self, machine: Machine, session: int, request: Request, body: bytes) -> None:
        """Bytes reach the centre; `session` is whose answer is awaited, -1 for nobody's."""
        if self._time.world.now_ms < self._office.is_down_until_ms:
            return
        answer = self._answer(request.kind, request.path, body)
        if answer is None or session < 0 or self._line.hits("swallow"):
            return
        answer = self._line.earlier(answer)
        if self._line.hits("corrupt"):
            answer = msgspec.structs.replace(answer, body=self._line.changed(answer.body))
        self._time.plan(self._line.travel_ms(), self._give, machine, session, request, answer)

    def _arrive_again(self, path: str, body: bytes) -> None:
        """A second copy of what was asked at a counter, after later ones perhaps; nobody waits for its answer."""
        if self._time.world.now_ms < self._office.is_down_until_ms:
            return
        if (answer := self._answer("desk", path, body)) is not None:
            self.holds.answered(body, answer)

    def _answer(self, kind: str, path: str, body: bytes) -> Answer | None:
        answer = self._office.answer(path, body)
        if answer is None:
            self._time.note("centre crashed", kind)
            return None
        self.seen[f"{kind} {answer.status}"] += 1
        if answer.status != 200 and answer.body:
            self.seen[_json(answer)["code"]] += 1
        self._time.note(kind, answer.status, hashlib.sha256(answer.body).hexdigest())
        if kind == "batch" and answer.status == 200:
            self._watch_heads(answer)
        return answer

    def _watch_heads(self, answer: Answer) -> None:
        """No stream ever goes back, but where the centre itself was put back; and what it says it has, it has."""
        head = _json(answer)["head"]
        place = (head["till_id"], head["epoch"])
        if head["seq"] < self._heads.get(place, 0):
            self._record.wrongs.append(f"head: the stream {place} went back to {head['seq']}")
        self._heads[place] = head["seq"]
        self._record.acked[place] = (*place, head["seq"], head["hash"])

    def _give(self, machine: Machine, session: int, request: Request, answer: Answer | None) -> None:
        if machine.session != session or machine.flight is not request:
            return  # its process has ended since, or it had an answer
        machine.flight = None
        try:
            with machine.in_peril():
                machine.uplink.give(request, answer)
        except Crashed:
            self._restart(machine)
            return
        except Fault as fault:
            self.rest(machine, fault)
            return
        self.speak_in(machine, 0)


def _json(answer: Answer) -> Any:
    """The signed message in an answer of the centre."""
    end = 2 + int.from_bytes(answer.body[:2], "big")
    return json.loads(answer.body[2:end])
