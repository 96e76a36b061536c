"""The one heap of (time, tie, what happens), and the trace that a second run must repeat to the byte."""

import hashlib
import heapq
from collections.abc import Callable
from typing import Any

from tallypoint.fleet.clock import World


class Timeline:
    """Runs what was planned, in the order of time; at the same time, in the order in which it was planned."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._ties = 0
        self._trace = hashlib.sha256()

    def plan(self, after_ms: int, do: Callable[..., None], *about: Any) -> None:
        """Have something happen so much later."""
        self._ties += 1
        heapq.heappush(self._heap, (self.world.now_ms + after_ms, self._ties, do, about))

    def step(self) -> None:
        """The next thing happens."""
        self.world.now_ms, _, do, about = heapq.heappop(self._heap)
        do(*about)

    def note(self, *what: Any) -> None:
        """One more line of the trace."""
        self._trace.update(f"{self.world.now_ms} {what}\n".encode())

    def digest(self) -> str:
        """Of the trace so far."""
        return self._trace.hexdigest()
