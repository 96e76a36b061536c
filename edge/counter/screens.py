"""What customer and cashier see: one state of the sale at hand, sent to every screen as it changes.

A screen gets the whole state each time, so one that missed some is right again with the next. Nothing of a person is
in it but "…1234"; and once a sale is paid or left lying, the state is forgotten here too. What only a page that is
signed in may know travels beside it.
Source: dependencies.md, "Server-sent events"; devices-and-receipts.md E.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from loyalty.pricing.leases import Kind
from loyalty.pricing.quotes import Totals
from loyalty.trouble import Refusal

MOST_SCREENS = 8
MOST_WAITING = 16  # states a screen may lag behind; then the oldest go
MOST_LINES = 40  # rung up last; no display shows more
HEARTBEAT_S = 3.0
RETRY_MS = 300
DONE_MS = 15_000
FORGOTTEN_MS = 180_000
NOTICE_MS = 10_000  # a page that asks every two seconds hears it all the same

Phase = Literal["idle", "member", "sale", "done"]
Place = Literal["customer", "kiosk", "cashier"]


class TooManyScreens(Refusal):
    code = "screens.too_many"
    status = 503


class ScreenLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line item as the customer knows it."""

    line: int
    name: str
    quantity: str
    amount_minor: int
    discount_minor: int
    points: int


class ScreenGift(msgspec.Struct, frozen=True, kw_only=True):
    """Goods that come with the basket."""

    name: str
    units: int


class ScreenTier(msgspec.Struct, frozen=True, kw_only=True):
    """The next tier, and how much of its measure (spend in minor units, or purchases) is missing once this is paid."""

    name: str
    measure: str
    short_of: int


class ScreenOffer(msgspec.Struct, frozen=True, kw_only=True):
    """A coupon in the member's wallet, and its last day where it has one."""

    name: str
    through: str | None = None


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence that is no state: a card that could not be read, help on its way. `code` is stable.

    `no` rises with each, so that a page says it once; 0 where it is told beside a state.
    """

    say: str
    code: str
    no: int = 0


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """What a page that is signed in is told besides; `say` and `warnings` are for the cashier alone."""

    card_token: str = ""
    quote_id: str = ""
    say: tuple[str, ...] = ()
    warnings: tuple[Notice, ...] = ()


class Screen(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a customer display shows. Instants are store time.

    Attributes:
        no: rises with every state.
        age_ms: how long ago it began, when it was sent.
        lines: the last ones; `hidden_lines` came before them.
        member: "…1234"; empty where the end of the card is not at hand.
        balance_points: none for a card that this till does not know.
        coupons: names of those that this sale earns for the next visit.
        authority: the step at which points may be spent, or were: asked of head office (`hold`), or offline.
        record: of a paid sale, eight digits that a complaint quotes.
        most_points, most_minor: what could be spent on this basket at all, in multiples of `step_points`; its worth.
        to_ask: head office has yet to say whether: it is asked when the points are set aside.
        stored_minor: in the member's wallet.
        lapsing_points, lapsing_on: the points that lapse next, and the last day on which they can be spent.
        offers: coupons of the member; `missed`: those of the messages that tell what was nearly had.
        kiosk: sentences for a self-checkout.
        untrusted: offline because head office's certificate is not believed, which mostly is this machine's clock.
        would_earn: what this basket would earn with a card, while it has none.
        beside: for pages that are signed in.
        notice: the last one, for a few seconds, for a page that asks instead of listening.
    """

    no: int = 0
    phase: Phase = "idle"
    language: str = "en"
    currency: str = ""
    exponent: int = 2
    lines: tuple[ScreenLine, ...] = ()
    hidden_lines: int = 0
    totals: Totals | None = None
    has_card: bool = False
    member: str = ""
    balance_points: int | None = None
    as_of: str | None = None
    now: str = ""
    may_spend_points: int = 0
    may_spend_minor: int = 0
    authority: Kind = "none"
    record: str = ""
    gifts: tuple[ScreenGift, ...] = ()
    coupons: tuple[str, ...] = ()
    next_tier: ScreenTier | None = None
    messages: tuple[str, ...] = ()
    offline: bool = False
    untrusted: bool = False
    training: bool = False
    age_ms: int = 0
    tier: str = ""
    step_points: int = 1
    most_points: int = 0
    most_minor: int = 0
    to_ask: bool = False
    stored_minor: int = 0
    lapsing_points: int = 0
    lapsing_on: str | None = None
    offers: tuple[ScreenOffer, ...] = ()
    missed: tuple[str, ...] = ()
    kiosk: tuple[str, ...] = ()
    would_earn: int = 0
    beside: Beside | None = None
    notice: Notice | None = None


class _Shown:
    """A state that is worked out when somebody looks at it, so that showing it never keeps the POS waiting."""

    def __init__(self, no: int, make: Callable[[], Screen]) -> None:
        self._no, self._make = no, make
        self._lock = threading.Lock()
        self._screen: Screen | None = None

    def screen(self) -> Screen:
        with self._lock:
            # Between sales the line comes and goes.
            if self._screen is None or self._screen.phase == "idle":
                self._screen = msgspec.structs.replace(self._make(), no=self._no)
            return self._screen


class Screens:
    """The state of this till's display, and the screens that listen to it.

    Args:
        idle: what to show between sales; asked anew each time, for language and line change.
        mono_ms: a clock that never jumps.
    """

    def __init__(self, idle: Callable[[], Screen], mono_ms: Callable[[], int]) -> None:
        self._idle, self._mono_ms = idle, mono_ms
        self._lock = threading.Lock()
        self._shown: _Shown | None = None
        self._record = ""  # of the paid sale that is shown
        self._since_ms = mono_ms()
        self._no = self._notices = 0
        self._notice: tuple[Notice, int] | None = None  # the last one, and when
        self._queues: list[queue.Queue[_Shown | Notice | None]] = []
        self._closed = False
        self.dropped = 0

    def publish(self, make: Callable[[], Screen], record: str = "") -> None:
        """Show what `make` answers from now on. Never waits: a screen that does not read loses its oldest states.

        Args:
            record: of the paid sale that this is.
        """
        with self._lock:
            self._publish(make, record)

    def take_off(self, record: str) -> None:
        """A paid sale was undone: where it is still shown, the screens go back to between sales."""
        with self._lock:
            if self._record == record:
                self._publish(self._idle, "")

    def tell(self, say: str, code: str) -> None:
        """Say something once to every screen that listens now, and to those that ask within ten seconds."""
        with self._lock:
            self._notices += 1
            told = Notice(say=say, code=code, no=self._notices)
            self._notice = told, self._mono_ms()
            for waiting in self._queues:
                self._put(waiting, told)

    def shown(self, place: Place = "customer") -> Screen:
        """The state at this moment as a page may be told it that asks, with what was said a moment ago."""
        screen = seen_at(self.now(), place)
        with self._lock:
            told, at_ms = self._notice or (None, 0)
            is_fresh = told is not None and self._mono_ms() - at_ms < NOTICE_MS
        return msgspec.structs.replace(screen, notice=told) if is_fresh else screen

    def now(self) -> Screen:
        """The state at this moment with all that is beside it; the idle one when the last is over."""
        with self._lock:
            shown, no, age_ms = self._shown, self._no, self._mono_ms() - self._since_ms
        if shown is not None:
            screen = shown.screen()
            if age_ms < (DONE_MS if screen.phase == "done" else FORGOTTEN_MS):
                return msgspec.structs.replace(screen, age_ms=age_ms)
            with self._lock:
                if self._shown is shown:
                    self._shown = None
        return msgspec.structs.replace(self._idle(), no=no)

    def count(self) -> int:
        """How many screens listen."""
        return len(self._queues)

    def stream(self, place: Place = "customer") -> Iterator[bytes]:
        """Server-sent events for one screen: the state at once, then each change, and a beat when nothing happens.

        Every beat looks whether the till has forgotten what the screen shows, or its line came or went between sales.

        Raises:
            TooManyScreens: before anything is sent; the page then asks /v1/screen from time to time.
        """
        waiting: queue.Queue[_Shown | Notice | None] = queue.Queue(MOST_WAITING)
        with self._lock:
            if self._closed or len(self._queues) >= MOST_SCREENS:
                raise TooManyScreens(
                    f"{MOST_SCREENS} screens listen already; close one, or read /v1/screen.", screens=len(self._queues)
                )
            self._queues.append(waiting)
        try:
            # What is shown meanwhile comes after it, with a higher number.
            return _Stream(self, waiting, self.now(), place)
        except BaseException:
            self.leave(waiting)
            raise

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        with self._lock:
            self._closed = True
            for waiting in self._queues:
                self._put(waiting, None)

    def leave(self, waiting: "queue.Queue[_Shown | Notice | None]") -> None:
        """This screen is gone."""
        with self._lock:
            if waiting in self._queues:
                self._queues.remove(waiting)

    def _publish(self, make: Callable[[], Screen], record: str) -> None:
        self._no += 1
        self._since_ms = self._mono_ms()
        self._shown, self._record = _Shown(self._no, make), record
        for waiting in self._queues:
            self._put(waiting, self._shown)

    def _put(self, waiting: "queue.Queue[_Shown | Notice | None]", shown: _Shown | Notice | None) -> None:
        while True:
            try:
                return waiting.put_nowait(shown)
            except queue.Full:
                self.dropped += 1
                waiting.get_nowait()


class _Stream:
    """The bytes of one screen; the server closes it when the screen is gone, even before the first read."""

    def __init__(
        self, screens: Screens, waiting: "queue.Queue[_Shown | Notice | None]", first: Screen, place: Place
    ) -> None:
        self._screens, self._waiting, self._place = screens, waiting, place
        self._told = first
        self._next = f"retry: {RETRY_MS}\n".encode() + self._event(first)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._next:
            data, self._next = self._next, b""
            return data
        try:
            shown = self._waiting.get(timeout=HEARTBEAT_S)
        except queue.Empty:
            return self._beat()
        if shown is None:
            self.close()
            raise StopIteration
        return self._event(shown if isinstance(shown, Notice) else shown.screen())

    def close(self) -> None:
        self._screens.leave(self._waiting)

    def _beat(self) -> bytes:
        now = self._screens.now()
        return self._event(now) if _stands(now) != _stands(self._told) else b"event: beat\ndata:\n\n"

    def _event(self, told: Screen | Notice) -> bytes:
        if isinstance(told, Notice):
            return b"event: notice\ndata: " + msgspec.json.encode(told) + b"\n\n"
        self._told = told
        return b"event: screen\ndata: " + msgspec.json.encode(seen_at(told, self._place)) + b"\n\n"


def _stands(screen: Screen) -> tuple[Phase, bool, bool, bool]:
    """What changes without anybody publishing it."""
    return screen.phase, screen.offline, screen.untrusted, screen.training


def seen_at(screen: Screen, place: Place) -> Screen:
    """A state as a page may be told it: the display no more than it shows, the kiosk nothing that is the cashier's."""
    if place == "cashier" or screen.beside is None:
        return screen
    if place == "customer":
        return msgspec.structs.replace(screen, beside=None)
    return msgspec.structs.replace(screen, beside=msgspec.structs.replace(screen.beside, say=(), warnings=()))
