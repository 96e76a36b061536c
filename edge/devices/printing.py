"""The receipt printer of this till, where it has one: slips wait in a short queue and leave on a thread of their own.

Nothing here keeps a sale waiting and no trouble of a printer reaches one: the POS has its answer, with the text, before
the first byte goes out, and any slip can be printed again. A slip whose printing was cut short is printed again from
its first line; one that has waited ten minutes is thrown away, for its customer has gone.
Source: devices-and-receipts.md B2, B3, D1.
"""

import logging
import queue
import time
from collections.abc import Callable
from typing import Literal

import msgspec

from edge.devices.line_loop import LineLoop
from edge.devices.serial_line import Line, LineSetup, open_line, send
from loyalty.trouble import Refusal, Trouble
from receipt_templates.as_escpos import Job, print_job
from receipt_templates.compose import AnyView, blocks_of
from receipt_templates.profiles import PrinterProfile
from receipt_templates.slip_views import ExchangeView
from receipt_templates.view import ReceiptView

MOST_WAITING = 16
STALE_S = 600.0
IDLE_LOOK_S = 5.0  # how often an idle printer is asked how it is
_ASK_STATE, _ASK_PAPER = b"\x10\x04\x01", b"\x10\x04\x04"  # DLE EOT n, answered at once even while it prints
_FIXED, _FIXED_IS = 0b10010011, 0b00010010  # bits that every answer has
_OFFLINE, _PAPER_NEAR, _PAPER_OUT = 0b00001000, 0b00001100, 0b01100000
_log = logging.getLogger(__name__)

State = Literal["up", "down", "held", "stopped"]
Paper = Literal["unknown", "there", "low", "out"]


class NoPrinter(Refusal):
    code = "printer.none"
    status = 409


class PrinterBusy(Refusal):
    code = "printer.queue_full"
    status = 503


class PrinterHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The printer since the service began.

    Attributes:
        state: `held` while the printer says that it cannot print.
        paper: `unknown` where it never answers, as many do not.
        refused, stale: slips not taken because too many waited; thrown away because they waited too long.
        opened: how often the port was opened; more than once means it was pulled out.
        lost_letters: printed as `?`, because no code page of the printer has them.
        trouble: what the system last said of the port, "" when all is well.
    """

    state: State
    paper: Paper
    waiting: int
    printed: int
    refused: int
    stale: int
    opened: int
    lost_letters: int
    trouble: str


class _Slip(msgspec.Struct, frozen=True, kw_only=True):
    view: AnyView
    open_drawer: bool
    since_s: float


class Printing(LineLoop[State]):
    """Prints slips until stopped, through unplugging and paper running out.

    Args:
        drawer: kick the cash drawer with a new sale or exchange that was paid in cash.
        connect, monotonic_s, pause: what tests replace; `pause` waits that many seconds or until `stop`.
    """

    def __init__(
        self,
        setup: LineSetup,
        profile: PrinterProfile,
        *,
        drawer: bool = False,
        connect: Callable[[LineSetup], Line] = open_line,
        monotonic_s: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        super().__init__("printer", setup, down="down", stopped="stopped", connect=connect, monotonic_s=monotonic_s,
                         pause=pause)  # fmt: skip
        self._profile, self._drawer = profile, drawer
        self._queue: queue.Queue[_Slip | None] = queue.Queue(MOST_WAITING)
        self._holding: _Slip | None = None
        self._paper: Paper = "unknown"
        self._printed = self._refused = self._stale = self._lost = 0

    def print(self, view: AnyView) -> bool:
        """Put a slip in the queue and return at once. Returns whether there was room; the newest is refused."""
        sale = view.sold if isinstance(view, ExchangeView) else view
        in_cash = isinstance(sale, ReceiptView) and any(tender.kind == "cash" for tender in sale.tenders)
        slip = _Slip(
            view=view,
            open_drawer=self._drawer and in_cash and not (view.copy or view.training),
            since_s=self._monotonic_s(),
        )
        try:
            self._queue.put_nowait(slip)
        except queue.Full:
            self._refused += 1
            return False
        return True

    def print_again(self, view: AnyView) -> int:
        """As `print`, for somebody who asked for it. Returns how many wait. Raises: PrinterBusy."""
        if not self.print(view):
            raise PrinterBusy(
                f"The receipt printer does not answer; {self.waiting()} receipts wait. Check its cable and paper."
            )
        return self.waiting()

    def waiting(self) -> int:
        """Slips that are not printed yet."""
        return self._queue.qsize() + (self._holding is not None)

    def health(self) -> PrinterHealth:
        """The counters now; may be asked from any thread."""
        return PrinterHealth(
            state=self._state,
            paper=self._paper,
            waiting=self.waiting(),
            printed=self._printed,
            refused=self._refused,
            stale=self._stale,
            opened=self._opened,
            lost_letters=self._lost,
            trouble=self._trouble,
        )

    def _work(self, line: Line) -> None:
        self._enter("up")
        looked_s = self._monotonic_s()
        self._look(line)
        while not self._stopping.is_set():
            slip = self._next()
            if slip is not None:
                self._print_one(line, slip)
            elif self._monotonic_s() - looked_s >= IDLE_LOOK_S:
                looked_s = self._monotonic_s()
                self._look(line)

    def _next(self) -> _Slip | None:
        """The slip at hand, or the next one, once it comes within a moment; never one that is stale."""
        if self._holding is None:
            try:
                self._holding = self._queue.get(timeout=0.2)
            except queue.Empty:
                return None
        slip = self._holding
        if slip is not None and self._monotonic_s() - slip.since_s > STALE_S:
            self._stale += 1
            self._holding = slip = None
        return slip

    def _print_one(self, line: Line, slip: _Slip) -> None:
        job = self._job(slip)
        if job is not None:
            if not self._look(line):
                self._pause(self._pause_s)
                return
            send(line, job.data, is_stopping=self._stopping.is_set)
            self._printed += 1
            self._lost += job.lost
            self._all_is_well()
        self._holding = None

    def _job(self, slip: _Slip) -> Job | None:
        try:
            return print_job(blocks_of(slip.view), self._profile, open_drawer=slip.open_drawer)
        except (Trouble, ValueError) as trouble:
            # The next customer's slip is printed all the same; this one is still to be had as text.
            _log.error("a slip could not be laid out for the printer: %s", trouble)
            self._trouble = f"a slip could not be laid out: {trouble}"
            return None

    def _look(self, line: Line) -> bool:
        """Ask the printer how it is. Returns whether it may print: one that never answers may."""
        state = self._answer(line, _ASK_STATE)
        if state is None:
            self._paper = "unknown"
            self._enter("up")
            return True
        paper = self._answer(line, _ASK_PAPER) or 0
        self._paper = "out" if paper & _PAPER_OUT else "low" if paper & _PAPER_NEAR else "there"
        held = bool(state & _OFFLINE) or self._paper == "out"
        if held:
            self._trouble = "the printer has no paper" if self._paper == "out" else "the printer is offline"
        elif self._state == "held":
            self._trouble = ""
        self._enter("held" if held else "up")
        return not held

    def _answer(self, line: Line, question: bytes) -> int | None:
        """One byte of real-time status; none where nothing comes that looks like one."""
        line.reset_input_buffer()
        send(line, question, is_stopping=self._stopping.is_set)
        said = line.read(1)
        return said[0] if said and said[0] & _FIXED == _FIXED_IS else None

    def _enter(self, state: State) -> None:
        if state != self._state:
            _log.info("the receipt printer is %s: %s", state, self._trouble or "all is well")
            self._state = state
