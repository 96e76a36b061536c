"""How one thing is asked: at the time of the first try, and with a supervisor's word where the till wants one."""

from collections.abc import Callable
from typing import TypeVar

from edge.sale.approving import OverrideWanted
from edge.sale.asks import OverrideAsk
from tallypoint.fleet.machine import Machine

Answer = TypeVar("Answer")


class Supervisor:
    """Stands by while one thing is asked, and approves it once the till wants that; a retry says so from the start."""

    def __init__(self) -> None:
        self.said: OverrideAsk | None = None

    def send(self, ask: Callable[[OverrideAsk | None], Answer]) -> Answer:
        """Ask, and again with the approval."""
        try:
            return ask(self.said)
        except OverrideWanted:
            self.said = OverrideAsk(supervisor="7", reason="looked at it")
            return ask(self.said)


class First:
    """The time of the first try, which a retry says again."""

    def __init__(self) -> None:
        self._at: int | None = None

    def ms(self, machine: Machine) -> int:
        if self._at is None:
            self._at = machine.clock.now().wall_ms
        return self._at
