"""A supervisor's approval: when it is wanted, whether it is one, and what is kept of it.

Codes are known by scrypt hashes of the settings. A wrong code is counted in the journal, so that neither a restart nor
training gives more tries. Source: fraud-privacy.md section 1, "Refund or void", "Manual adjustments".
"""

import hmac
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from edge.journal.journal import Journal
from edge.ports import BadSettings, Clock, Settings
from edge.sale.asks import Asked, OverrideAsk
from loyalty.approvals import Action, Override
from loyalty.facts.receipts import Charged
from loyalty.pricing.quotes import Quote
from loyalty.trouble import Refusal

LOG2_N, R, P = 15, 8, 1  # 32 MiB and about a tenth of a second for each try
SHORTEST_CODE = 4

AnyAsk = TypeVar("AnyAsk", bound=Asked)

_WHAT: dict[Action, str] = {
    "void": "This void",
    "return": "This return",
    "return_without_receipt": "A return without a receipt",
    "charged_difference": "A price that differs from the quote",
    "points_spent": "Spending so many points",
    "day_close": "A close whose totals differ",
    "card_block": "Blocking a card",
    "card_replace": "Replacing a card",
    "claim": "This claim",
}


class OverrideWanted(Refusal):
    code = "override.wanted"
    status = 403


class OverrideWrong(Refusal):
    code = "override.wrong"
    status = 403


class OverrideLocked(Refusal):
    code = "override.locked"
    status = 429


class Approver:
    """Knows the supervisors of a till."""

    def __init__(self, settings: Settings, journal: Journal, clock: Clock) -> None:
        self.limits = settings.approvals
        self._codes = {who: read_hash(text) for who, text in settings.supervisors.items()}
        self._journal, self._clock = journal, clock
        self._turn = threading.Lock()  # those who try at the same moment have no more tries than one after the other

    def check(self, ask: OverrideAsk) -> Override:
        """The approval without its code.

        Raises:
            OverrideWrong: not this supervisor's code, or nobody's; the sentence says how many tries are left.
            OverrideLocked: too many wrong ones; it says for how long.
        """
        if not self._codes:
            return Override(supervisor=ask.supervisor, reason=ask.reason, by_pos=True)
        with self._turn:
            self._try(ask)
        return Override(supervisor=ask.supervisor, reason=ask.reason)

    def _try(self, ask: OverrideAsk) -> None:
        tries, now_ms = self._journal.tries, self._clock.now().wall_ms
        if (wait_ms := tries.wait_ms(now_ms)) > 0:
            raise OverrideLocked(
                f"Too many wrong codes. Wait {-(-wait_ms // 1000)} seconds, then let the supervisor try again.",
                wait_s=-(-wait_ms // 1000),
            )
        known = self._codes.get(ask.supervisor)
        # Who is unknown takes as long as who is known: the time must not tell the numbers of the staff.
        if not (known or next(iter(self._codes.values()))).is_of(ask.code) or known is None:
            left = tries.count_wrong(now_ms)
            raise OverrideWrong(
                "The supervisor's number or code is wrong. "
                + (f"{left} more tries." if left else "Wait a minute before the next try."),
                tries_left=left,
            )
        tries.forget()

    def wanted(self, found: Mapping[Action, int], approval: Override | None) -> Override | None:
        """The approval with the rules that wanted it.

        Args:
            found: how much of each kind of thing is to be done, in minor units or points; what is not done left out.
        Raises:
            OverrideWanted: something reaches its limit, and nobody has approved it.
        """
        over: tuple[Action, ...] = tuple(
            action for action, amount in found.items() if action in self.limits and amount >= self.limits[action]
        )
        if over and approval is None:
            raise OverrideWanted(
                f"{_WHAT[over[0]]} needs a supervisor. Call one, and send it again with their number and code.",
                action=over[0],
                limit=self.limits[over[0]],
                found=found[over[0]],
            )
        return msgspec.structs.replace(approval, actions=over) if approval else None


def found_in_sale(quote: Quote, charged: Iterable[Charged], points: int) -> dict[Action, int]:
    """What of a sale may want a supervisor: points as tender, and discounts other than quoted, line by line."""
    found: dict[Action, int] = {"points_spent": points} if points else {}
    if taken := {one.line: one.discount_minor for one in charged}:
        differs = sum(abs(line.discount_minor - taken.get(line.line, 0)) for line in quote.lines)
        found |= {"charged_difference": differs} if differs else {}
    return found


def approve(approver: Approver, journal: Journal, ask: AnyAsk, event_id: str) -> tuple[AnyAsk, Override | None]:
    """Check who approves an ask, and take the code out of it; an event that is written already was approved then.

    Raises: as `Approver.check`.
    """
    if ask.override is None:
        return ask, None
    without: Any = msgspec.structs.replace(ask, override=msgspec.structs.replace(ask.override, code=""))
    is_written = journal.find(event_id) is not None
    return without, None if is_written else approver.check(ask.override)


class CodeHash(msgspec.Struct, frozen=True, kw_only=True):
    """A code as it is kept."""

    log2_n: int
    r: int
    p: int
    salt: bytes
    hash: bytes

    def is_of(self, code: str) -> bool:
        """Whether it is of this code."""
        return hmac.compare_digest(self.hash, _derived(code, self.salt, self.log2_n, self.r, self.p))


def hash_of_code(code: str, salt: bytes) -> str:
    """A supervisor's code as the settings want it, `scrypt$15$8$1$salt$hash`. Args: `salt`: 16 random bytes.

    Raises:
        BadSettings: the code is too short to be one.
    """
    if len(code.strip()) < SHORTEST_CODE:
        raise BadSettings(f"A supervisor's code has at least {SHORTEST_CODE} characters; eight or a badge are better.")
    told = b64encode(salt).decode(), b64encode(_derived(code, salt, LOG2_N, R, P)).decode()
    return f"scrypt${LOG2_N}${R}${P}${told[0]}${told[1]}"


def read_hash(text: str) -> CodeHash:
    """Raises: BadSettings."""
    try:
        kind, log2_n, r, p, salt, derived = text.split("$")
        read = CodeHash(log2_n=int(log2_n), r=int(r), p=int(p), salt=b64decode(salt, validate=True),
                        hash=b64decode(derived, validate=True))  # fmt: skip
    except ValueError:
        kind, read = "", None
    if kind != "scrypt" or read is None or not (10 <= read.log2_n <= 18 and 1 <= read.r <= 16 and 1 <= read.p <= 4):
        raise BadSettings(
            "A supervisor's code stands in the settings as `tallypoint edge supervisor-code` printed it, scrypt$…"
        )
    return read


def _derived(code: str, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=1 << log2_n, r=r, p=p).derive(code.strip().encode())
