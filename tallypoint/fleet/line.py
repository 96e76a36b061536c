"""The bad line: what becomes of one message, drawn from the swarm's rates."""

from collections import Counter, deque
from random import Random

from sync.wire import Answer
from tallypoint.fleet.faults import Swarm

FASTEST_MS, SLOWEST_MS = 20, 400
LONGEST_DELAY_MS = 180_000
_KEPT = 20
_PORTALS = (
    Answer(status=200, body=b"<html>Please accept our terms</html>"),
    Answer(status=302, body=b""),
    Answer(status=502, body=b"bad gateway"),
    Answer(status=503, body=b"", retry_after_s=30),
    Answer(status=200, body=b""),
)


class Line:
    """Draws what happens to messages; once `healed` nothing does."""

    def __init__(self, dice: Random, swarm: Swarm, faults: Counter[str]) -> None:
        self._dice = dice
        self._rates = sorted((kind, rate) for kind, rate in swarm.rates.items() if rate)
        self._faults = faults
        self._earlier: deque[Answer] = deque(maxlen=_KEPT)
        self.healed = not self._rates

    def hits(self, kind: str) -> bool:
        """Whether this fault meets this message."""
        if self.healed:
            return False
        rate = next((rate for name, rate in self._rates if name == kind), 0.0)
        if rate and self._dice.random() < rate:
            self._faults[kind] += 1
            return True
        return False

    def travel_ms(self) -> int:
        """How long a message takes."""
        if self.healed:
            return FASTEST_MS
        if self.hits("delay"):
            return self._dice.randrange(1_000, LONGEST_DELAY_MS)
        return self._dice.randrange(FASTEST_MS, SLOWEST_MS)

    def later_ms(self) -> int:
        """How much later a second copy arrives."""
        return self._dice.randrange(1, 4 * LONGEST_DELAY_MS)

    def changed(self, data: bytes) -> bytes:
        """The bytes with one of them other than it was."""
        if not data:
            return b"?"
        at = self._dice.randrange(len(data))
        return data[:at] + bytes([data[at] ^ (1 << self._dice.randrange(8))]) + data[at + 1 :]

    def portal(self) -> Answer:
        """What somebody answers who is not the centre."""
        return self._dice.choice(_PORTALS)

    def earlier(self, answer: Answer) -> Answer:
        """An answer from before, perhaps to another till; this one is kept for later."""
        self._earlier.append(answer)
        return self._dice.choice(self._earlier) if self.hits("stale") else answer
