"""A customer display of two lines on a serial port: it follows the sale as the screens do, and never holds it up.

Only the newest state matters, so there is no queue: a display that was away shows what is true when it is back. The
same frame is sent again every few seconds, for one that was plugged in meanwhile.
Source: devices-and-receipts.md B2, B3, D7.
"""

import logging
import time
from collections.abc import Callable
from typing import Literal

import msgspec

from edge.counter.screens import Screen
from edge.devices.line_loop import LineLoop
from edge.devices.serial_line import Line, LineSetup, open_line, send
from loyalty.trouble import Trouble
from receipt_templates.as_display import DisplayProfile, render_display, step_of
from receipt_templates.two_lines import DisplayState, two_lines

LOOK_S = 0.2
STEP_S = 0.4  # of a running text
AGAIN_S = 5.0
_log = logging.getLogger(__name__)

State = Literal["up", "down", "stopped"]


class DisplayHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The display since the service began; `trouble` is what the system last said of the port, "" for none."""

    state: State
    frames: int
    opened: int
    trouble: str


class PoleDisplay(LineLoop[State]):
    """Shows the present state until stopped.

    Args:
        screen: the state of the till's customer screens now; asked five times a second.
        shop: shown between sales.
        connect, monotonic_s, pause: what tests replace; `pause` waits that many seconds or until `stop`.
    """

    def __init__(
        self,
        setup: LineSetup,
        profile: DisplayProfile,
        *,
        screen: Callable[[], Screen],
        shop: str,
        connect: Callable[[LineSetup], Line] = open_line,
        monotonic_s: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        super().__init__("pole display", setup, down="down", stopped="stopped", connect=connect,
                         monotonic_s=monotonic_s, pause=pause)  # fmt: skip
        self._profile, self._screen, self._shop = profile, screen, shop
        self._frames = 0

    def health(self) -> DisplayHealth:
        """The counters now; may be asked from any thread."""
        return DisplayHealth(state=self._state, frames=self._frames, opened=self._opened, trouble=self._trouble)

    def _work(self, line: Line) -> None:
        self._enter("up")
        shown, sent_s, began_s = b"", 0.0, self._monotonic_s()
        while not self._stopping.is_set():
            now_s = self._monotonic_s()
            frame = self._frame(int((now_s - began_s) / STEP_S)) or shown
            if frame and (frame != shown or now_s - sent_s >= AGAIN_S):
                send(line, frame, is_stopping=self._stopping.is_set)
                shown, sent_s = frame, now_s
                self._frames += 1
                self._all_is_well()
            self._pause(LOOK_S)

    def _frame(self, step: int) -> bytes:
        """What to show now; nothing where the state cannot be put into two lines, and then the last frame stays."""
        try:
            lines = two_lines(state_of(self._screen(), self._shop), self._profile.encoding)
        except Trouble as trouble:
            if self._trouble != trouble.say:
                _log.error("the display keeps its last lines: %s", trouble)
            self._trouble = trouble.say
            return b""
        if not self._profile.runs_by_itself:
            lines = step_of(lines, step)
        return render_display(lines, self._profile)


def state_of(screen: Screen, shop: str) -> DisplayState:
    """The state of the customer screens as two lines can show it."""
    totals, last = screen.totals, screen.lines[-1] if screen.lines else None
    return DisplayState(
        phase=screen.phase,
        language=screen.language,
        currency=screen.currency,
        shop=shop,
        item=last.name if last else "",
        item_minor=last.amount_minor - last.discount_minor if last else 0,
        total_minor=totals.to_pay_minor if totals else 0,
        saved_minor=totals.discount_minor if totals else 0,
        has_card=screen.has_card,
        points=totals.points_earned if totals else 0,
        balance_points=screen.balance_points,
        may_spend_points=screen.may_spend_points,
        offline=screen.offline,
        training=screen.training,
    )
