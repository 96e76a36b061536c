"""Who works at a page of the till: the cashier at the panel, the customer at the kiosk; known by a cookie.

A session lives in memory: a restart ends it, and its cookie opens nothing any more. What a page may ask is a list of
routes; a sale is never committed from a page. The cookie is HttpOnly and SameSite=Strict, `door` turns other pages
away by Host and Origin, and bodies are JSON alone, which no form of another page can send.
Source: docs/screens.md "Who may use a page".
"""

import secrets
import threading
from collections import deque
from collections.abc import Callable
from typing import Literal

import msgspec

from edge.api.page_bodies import SignInBody
from edge.ports import Settings
from edge.sale.approving import CodeHash, read_hash
from loyalty.trouble import Refusal

COOKIE = "tallypoint_page"
IDLE_MS = 4 * 3_600_000
TICKET_MS = 60_000
MOST_SESSIONS = 32
TRIES, WAIT_MS = 5, 60_000
KIOSK_CALLS, KIOSK_PER_MS = 60, 60_000  # so that a kiosk cannot be used to try card numbers

Page = Literal["cashier", "kiosk"]

_CASHIER = (
    ("GET", "/v1/"), ("DELETE", "/v1/"), ("POST", "/v1/cards"), ("POST", "/v1/quotes"), ("POST", "/v1/holds"),
    ("POST", "/v1/receipts/"), ("POST", "/v1/returns"), ("POST", "/v1/exchanges"), ("POST", "/v1/parked"),
    ("POST", "/v1/members"), ("POST", "/v1/claims"), ("POST", "/v1/consents"), ("POST", "/v1/certificates"),
    ("POST", "/v1/choices"), ("POST", "/v1/day-close"), ("POST", "/v1/slips/"),
)  # fmt: skip
_KIOSK = (
    ("POST", "/v1/cards/identify"), ("POST", "/v1/choices"), ("POST", "/v1/holds"), ("DELETE", "/v1/holds/"),
    ("GET", "/v1/enrolment"), ("POST", "/v1/members"), ("GET", "/v1/consents"), ("POST", "/v1/consents"),
    ("GET", "/v1/balance"), ("POST", "/v1/help"),
)  # fmt: skip
_MAY: dict[Page, tuple[tuple[str, str], ...]] = {"cashier": _CASHIER, "kiosk": _KIOSK}


class SignInWrong(Refusal):
    code = "page.sign_in"
    status = 403


class SignInLocked(Refusal):
    code = "page.sign_in_locked"
    status = 429


class TooFast(Refusal):
    code = "page.too_fast"
    status = 429


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One page at work; `who` is the cashier's number."""

    page: Page
    who: str
    used_ms: int


class PageSessions:
    """The pages at work.

    Args:
        mono_ms: a clock that never jumps.
    Raises:
        BadSettings: a PIN of the settings is no hash.
    """

    def __init__(self, settings: Settings, mono_ms: Callable[[], int]) -> None:
        self._pins = {who: read_hash(text) for who, text in settings.cashiers.items()}
        self._has_token = bool(settings.pos_token)
        self._mono_ms = mono_ms
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._tickets: dict[str, Session] = {}
        self._wrong, self._wrong_ms = 0, 0
        self._calls: deque[int] = deque()

    @property
    def wants(self) -> Literal["pin", "number", "ticket"]:
        """How a cashier signs in: with a PIN, with a number alone, or out of the POS."""
        if self._pins:
            return "pin"
        return "ticket" if self._has_token else "number"

    def sign_in(self, body: SignInBody) -> str:
        """Open the panel for a cashier. Returns: the cookie's value. Raises: SignInWrong, SignInLocked."""
        if self.wants == "ticket":
            raise SignInWrong("This panel is opened by the POS. Open it there, or set PINs under `cashiers`.")
        if self.wants == "pin":
            self._check_pin(body)
        return self.open("cashier", body.cashier)

    def ticket(self, who: str) -> str:
        """A ticket by which the POS, which knows its cashier, opens the panel."""
        ticket = secrets.token_urlsafe(24)
        with self._lock:
            now_ms = self._mono_ms()
            self._tickets = {key: one for key, one in self._tickets.items() if now_ms - one.used_ms < TICKET_MS}
            self._tickets[ticket] = Session(page="cashier", who=who, used_ms=now_ms)
        return ticket

    def redeem(self, ticket: str) -> str | None:
        """The cookie's value for a ticket that is good; a ticket serves once."""
        with self._lock:
            one = self._tickets.pop(ticket, None)
        if one is None or self._mono_ms() - one.used_ms >= TICKET_MS:
            return None
        return self.open(one.page, one.who)

    def open(self, page: Page, who: str = "") -> str:
        """A new session; the one that lay idle longest makes room."""
        key = secrets.token_urlsafe(24)
        with self._lock:
            self._sessions[key] = Session(page=page, who=who, used_ms=self._mono_ms())
            while len(self._sessions) > MOST_SESSIONS:
                del self._sessions[min(self._sessions, key=lambda one: self._sessions[one].used_ms)]
        return key

    def find(self, key: str | None) -> Session | None:
        """The session of a cookie, which is used now; None when it is over."""
        with self._lock:
            now_ms, session = self._mono_ms(), self._sessions.get(key or "")
            if session is None or key is None:
                return None
            # Nobody signs in at a kiosk: one where nobody came all night must serve whoever is first in the morning.
            if session.page == "cashier" and now_ms - session.used_ms >= IDLE_MS:
                del self._sessions[key]
                return None
            self._sessions[key] = session = msgspec.structs.replace(session, used_ms=now_ms)
            return session

    def is_panel(self, key: str | None) -> bool:
        """Whether a cookie is that of a cashier panel; never where the API is open to this machine anyway."""
        session = self.find(key) if self._has_token else None
        return session is not None and session.page == "cashier"

    def close(self, key: str | None) -> None:
        """Sign out."""
        with self._lock:
            self._sessions.pop(key or "", None)

    def lets(self, key: str | None, method: str, path: str, told: str) -> bool:
        """Whether the page of this cookie may ask this.

        Args:
            told: `for` of the query, for the streams; a page may only listen as itself.
        Raises:
            TooFast: a kiosk asks more often than a person can.
        """
        session = self.find(key)
        if session is None:
            return False
        if path in ("/events", "/v1/screen"):
            return told == session.page
        if path == "/v1/receipts" or not any(
            method == verb and path.startswith(start) for verb, start in _MAY[session.page]
        ):
            return False
        if session.page == "kiosk":
            self._count_call()
        return True

    def _count_call(self) -> None:
        with self._lock:
            now_ms = self._mono_ms()
            while self._calls and now_ms - self._calls[0] >= KIOSK_PER_MS:
                self._calls.popleft()
            if len(self._calls) >= KIOSK_CALLS:
                raise TooFast("That was very quick. Wait a moment and try again.")
            self._calls.append(now_ms)

    def _check_pin(self, body: SignInBody) -> None:
        with self._lock:
            now_ms = self._mono_ms()
            if self._wrong >= TRIES and now_ms - self._wrong_ms < WAIT_MS:
                wait_s = -(-(WAIT_MS - now_ms + self._wrong_ms) // 1000)
                raise SignInLocked(f"Too many wrong PINs. Wait {wait_s} seconds, then try again.", wait_s=wait_s)
            known: CodeHash | None = self._pins.get(body.cashier)
            # Who is unknown takes as long as who is known: the time must not tell the numbers of the staff.
            is_right = (known or next(iter(self._pins.values()))).is_of(body.pin)
            if known is None or not is_right:
                self._wrong, self._wrong_ms = self._wrong + 1, now_ms
                raise SignInWrong("The number or the PIN is wrong. Try again, or ask a supervisor.")
            self._wrong = 0
