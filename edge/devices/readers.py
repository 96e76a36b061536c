"""Card readers of this till: what they read goes to the desk, on to the display, and waits for a POS that asks.

Of a payment card nothing comes here but that there was one. Source: devices-and-receipts.md A8, B3.
"""

import logging
import queue
import threading
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from edge.api import telling
from edge.api.answers import CardSaid, ScannedSaid
from edge.counter.desk import Desk
from loyalty.cards.cards import Card, CardRules, Code, Outcome, PaymentCard, Rejected
from loyalty.trouble import Refusal, Trouble
from pos_adapters.readers.port import ReaderHealth, ReaderLoop
from pos_adapters.readers.profile import Profile

MOST_WAITING = 16
WAITS_MS = 60_000  # a scan that nobody fetched is forgotten
MOST_KEPT = 64
RULES_S = 2.0
_log = logging.getLogger(__name__)


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """One thing read: a card or code, or the sentence why nothing came of it."""

    no: int
    at_ms: int
    card: CardSaid | None = None
    say: str = ""
    code: str = ""


class Readers:
    """All readers of a till; with no profile there is nothing to start, and nothing to fetch.

    Args:
        make_loop: what tests replace; takes profile, rules and the outcomes' taker.
    """

    def __init__(
        self,
        desk: Desk,
        profiles: Sequence[Profile],
        make_loop: Callable[[Profile, CardRules, Callable[[Outcome], None]], ReaderLoop] | None = None,
    ) -> None:
        self._desk = desk
        self._outcomes: queue.Queue[Outcome | None] = queue.Queue(MOST_WAITING)
        self._rules = self._rules_now()
        make_loop = make_loop or partial(ReaderLoop, wallet=desk.till.shown.wallet)
        self._loops = [make_loop(profile, self._rules, self._outcomes.put_nowait) for profile in profiles]
        self._lock = threading.Lock()
        self._scans: deque[Scan] = deque(maxlen=MOST_KEPT)
        self._no = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to read."""
        if not self._loops:
            return
        self._follow_programme()
        self._thread = threading.Thread(target=self._run, name="readings", daemon=True)
        self._thread.start()
        for loop in self._loops:
            loop.start()

    def stop(self) -> None:
        """Stop reading; what was read is still handed on."""
        for loop in self._loops:
            loop.stop()
        if self._thread is not None:
            self._outcomes.put(None)
            self._thread.join(2.0)

    def health(self) -> tuple[ReaderHealth, ...]:
        """Each reader's counters."""
        return tuple(loop.health() for loop in self._loops)

    def last(self, after: int | None) -> ScannedSaid:
        """The first fresh scan later than `after`, so that none is passed over between two questions; without
        `after` the last one. Only the cursor where there is none. A cursor that was never given out here is of a run
        before this one, and all of this run is later."""
        now_ms = self._desk.clock.now().mono_ms
        with self._lock:
            fresh, newest = [scan for scan in self._scans if now_ms - scan.at_ms <= WAITS_MS], self._no
        if after is not None and after > newest:
            after = 0
        later = fresh[-1:] if after is None else [scan for scan in fresh if scan.no > after]
        if not later:
            return ScannedSaid(cursor=newest, scan=None)
        scan = later[0]
        return ScannedSaid(cursor=scan.no, scan=scan.card, say=scan.say, code=scan.code)

    def take(self, outcome: Outcome) -> None:
        """Hand one reading on."""
        match outcome:
            case Card():
                self._take_card(outcome)
            case Code():
                self._keep(card=CardSaid(outcome="code", text=outcome.text, aim=outcome.aim))
            case Rejected():
                self._keep(say=outcome.say, code=f"card.{outcome.reason}")
            case PaymentCard():
                self._keep(say=PaymentCard.say, code="card.payment_card")

    def _take_card(self, card: Card) -> None:
        try:
            told = self._desk.till.identify_card(card)
        except Refusal as refusal:
            self._keep(say=refusal.say, code=refusal.code)
            return
        self._desk.greet(told)
        self._keep(card=telling.card_said(told))

    def _keep(self, card: CardSaid | None = None, say: str = "", code: str = "") -> None:
        at_ms = self._desk.clock.now().mono_ms
        with self._lock:
            self._no += 1
            self._scans.append(Scan(no=self._no, at_ms=at_ms, card=card, say=say, code=code))
        if say:
            self._desk.screens.tell(say, code)

    def _forget_old(self) -> None:
        """What nobody may fetch any more is not kept either: it may be a licence."""
        now_ms = self._desk.clock.now().mono_ms
        with self._lock:
            while self._scans and now_ms - self._scans[0].at_ms > WAITS_MS:
                self._scans.popleft()

    def _run(self) -> None:
        while True:
            try:
                outcome = self._outcomes.get(timeout=RULES_S)
            except queue.Empty:
                self._follow_programme()
                self._forget_old()
                continue
            if outcome is None:
                return
            try:
                self.take(outcome)
            except Exception as trouble:  # noqa: BLE001 - the next card is read all the same
                self._tell_of(trouble)

    def _tell_of(self, trouble: Exception) -> None:
        """A fault of journal or cache, or what nobody foresaw: of that where and what kind, for it may quote a card."""
        if isinstance(trouble, Trouble):
            why, code = str(trouble), trouble.code
        else:
            at = traceback.extract_tb(trouble.__traceback__)[-1]
            why, code = f"{type(trouble).__name__} at {at.filename}:{at.lineno} {at.name}", "internal.error"
        _log.error("a card was read, but: %s", why)
        self._keep(say="The card was read, but this till could not look it up. Try again.", code=code)

    def _follow_programme(self) -> None:
        rules = self._rules_now()
        if rules != self._rules:
            self._rules = rules
            for loop in self._loops:
                loop.use_rules(rules)

    def _rules_now(self) -> CardRules:
        programmes = self._desk.till.cache.programmes()
        return programmes[0].programme.cards if programmes else CardRules()
