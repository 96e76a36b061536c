"""Time that only the fleet moves, and every machine's own idea of it."""

from edge.ports import Instant

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
START_MS = 1_772_712_000_000  # 5 March 2026, noon UTC


class World:
    """The true time: milliseconds since the story began."""

    def __init__(self) -> None:
        self.now_ms = 0

    def wall_ms(self) -> int:
        """As the centre's clock shows it, which is right."""
        return START_MS + self.now_ms

    def mono_ms(self) -> int:
        """The centre's other clock."""
        return self.now_ms


class MachineClock:
    """A till's two clocks: the wall clock is wrong by a skew and may be set, the other counts since the last boot.

    Args:
        world: the true time.
        name: of the machine, from which its boots are named.
        skew_ms: wall clock less true time.
    """

    def __init__(self, world: World, name: str, skew_ms: int = 0) -> None:
        self._world = world
        self._name = name
        self._skew_ms = skew_ms
        self._boots = 0
        self._booted_ms = 0
        self.reboot()

    def now(self) -> Instant:
        """The present instant, as this machine believes."""
        # Asked many times at one instant, so the last answer is kept.
        now_ms, last = self._world.now_ms, self._last
        if last is None or last.mono_ms != now_ms - self._booted_ms:
            last = self._last = Instant(
                mono_ms=now_ms - self._booted_ms, wall_ms=START_MS + now_ms + self._skew_ms, boot=self._boot
            )
        return last

    def true_ms(self) -> int:
        """The true time, which no machine knows; for the record alone."""
        return self._world.now_ms

    def step(self, by_ms: int) -> None:
        """Somebody sets the wall clock."""
        self._skew_ms += by_ms
        self._last = None

    def reboot(self) -> None:
        """Power off and on: the other clock begins anew."""
        self._boots += 1
        self._boot = f"{self._name} boot {self._boots}"
        self._booted_ms = self._world.now_ms
        self._last: Instant | None = None
