"""A till and a centre in one room: the test carries each message itself."""

from collections.abc import Callable

import msgspec

from sync.centre_session import CentreSession
from sync.chain import StreamHead
from sync.keys import Signer, one_key
from sync.pacing import Moment
from sync.schedule import Intervals
from sync.till_messages import Request, TillSettings
from sync.till_session import TillSession, WaitUntil
from sync.wire import Answer
from tests.sync.memory import CENTRE, KEY_A, NOON, TILL_A, MemoryCentre, MemoryTill

INTERVALS = Intervals(hello_ms=3_600_000, hotlist_ms=20_000, programme_ms=300_000, members_ms=60_000)


class Talk:
    """`now` is the till's monotonic clock; its wall clock shows noon at 0. Random bits are all ones unless given."""

    def __init__(
        self,
        centre: MemoryCentre,
        till_id: str = TILL_A,
        key: Signer = KEY_A,
        random_bits: Callable[[int], int] = lambda bits: 2**bits - 1,
    ) -> None:
        self.random_bits = random_bits
        self.centre = centre
        self.till = MemoryTill(till_id)
        self.key = key
        self.now = 1_000
        self.speaks = CentreSession(CENTRE, lambda count: b"r" * count)
        self.start()

    def start(self) -> None:
        """A new session over the same journal, as after a crash."""
        settings = TillSettings(
            install_id=f"on {self.till.start.till_id}", boot="b1", version="1.0", page_rows=100, intervals=INTERVALS
        )
        self.session = TillSession(self.till, settings, self.key, one_key(CENTRE.public), self.random_bits)

    def moment(self) -> Moment:
        return Moment(mono_ms=self.now, wall_ms=NOON + self.now)

    def heads(self) -> list[StreamHead]:
        """The till's stream as the centre has it, its beginning and each event."""
        return self.centre.heads[self.till.start.till_id]

    def sell(self, count: int) -> None:
        for _ in range(count):
            self.till.write(b'{"type":"receipt.v1","n":%d}' % len(self.till.payloads))

    def next(self) -> Request | WaitUntil:
        return self.session.next_request(self.moment())

    def ask(self) -> Request:
        """The next request, waiting for it if need be."""
        said = self.next()
        if isinstance(said, WaitUntil):
            self.now = said.mono_ms
            said = self.next()
        assert isinstance(said, Request)
        return said

    def carry(self, request: Request) -> Answer:
        return self.speaks.answer(NOON + self.now, request.path, request.body, self.centre)

    def give(self, request: Request, answer: Answer) -> None:
        self.session.take_answer(self.moment(), request, answer)

    def turn(self) -> Request:
        """One request, carried and answered."""
        request = self.ask()
        self.give(request, self.carry(request))
        return request

    def turns(self, count: int) -> list[str]:
        """So many turns, in words: the kind, or the lane."""
        return [
            request.lane if request.kind == "page" else request.kind for request in (self.turn() for _ in range(count))
        ]

    def until_quiet(self) -> None:
        """Talk until the till has nothing more to say at once."""
        while isinstance(self.next(), Request):
            self.turn()

    def status(self):
        return self.session.status(self.moment())


def tampered(answer: Answer, **fields: object) -> Answer:
    return msgspec.structs.replace(answer, **fields)
