"""One input through framer and interpreter, with what may be shown of each message to whoever sets a reader up."""

from collections.abc import Callable

import msgspec

from loyalty.cards.cards import (
    Card,
    CardRules,
    Code,
    Outcome,
    PaymentCard,
    Rejected,
    WalletCheck,
    shows_payment,
)
from pos_adapters.readers.framer import Frame, wipe
from pos_adapters.readers.interpreter import Interpreter
from pos_adapters.readers.port import framer_of
from pos_adapters.readers.profile import Profile

QUIET_MS = 20_000  # longer than any silence that ends a message


class Decoded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message: what it is, and what may be seen of it.

    Attributes:
        outcome: `card`, `code`, `rejected`, `payment_card`, `unfinished`, `repeated`.
        hex: the message without its framing; "" for a payment card and for anything that may be a part of one.
        length: of the message in bytes.
        kind, number, assurance, alias: of a card. text, aim: of a code. reason, say: of what is not taken.
    """

    outcome: str
    length: int
    hex: str = ""
    kind: str = ""
    number: str = ""
    assurance: str = ""
    alias: str = ""
    text: str = ""
    aim: str = ""
    reason: str = ""
    say: str = ""


def decode(
    profile: Profile, rules: CardRules, data: bytes, wallet: Callable[[], WalletCheck | None]
) -> tuple[tuple[Decoded, ...], bytes]:
    """What becomes of `data` when a reader with this profile sends it, and what the reader is answered."""
    framer, interpreter = framer_of(profile), Interpreter(rules, profile, wallet)
    replies, found = b"", []
    for at_ms in (0, QUIET_MS, 2 * QUIET_MS):
        frames = framer.tick(at_ms) if at_ms else framer.feed(data, at_ms)
        replies += framer.take_replies()
        for frame in frames:
            kept = Glimpse(profile, frame)
            found.append(kept.decoded(interpreter.interpret(frame, at_ms)))
    return tuple(found), replies


class Glimpse:
    """A copy of a message that is kept until its outcome is known, and then shown or wiped."""

    def __init__(self, profile: Profile, frame: Frame) -> None:
        self._is_stripe, self._whole = profile.kind == "stripe", frame.whole
        self._data = bytearray(frame.data)

    def decoded(self, outcome: Outcome | None) -> Decoded:
        """What may be said of it; nothing is kept after that."""
        length, shown = len(self._data), self._data.hex(" ").upper() if self._may_show(outcome) else ""
        wipe(self._data)
        match outcome:
            case Card():
                return Decoded(
                    outcome="card", length=length, hex=shown, kind=outcome.kind, number=outcome.number,
                    assurance=outcome.assurance, alias=outcome.alias,
                )  # fmt: skip
            case Code():
                return Decoded(outcome="code", length=length, hex=shown, text=outcome.text, aim=outcome.aim or "")
            case Rejected():
                return Decoded(outcome="rejected", length=length, hex=shown, reason=outcome.reason, say=outcome.say)
            case PaymentCard():
                return Decoded(outcome="payment_card", length=length, say=outcome.say)
        return Decoded(outcome="repeated" if self._whole else "unfinished", length=length)

    def _may_show(self, outcome: Outcome | None) -> bool:
        """A message cut short, or a stripe that was read badly, may hold most of a payment card's number; beside a card
        of ours another track may be a payment card's."""
        if isinstance(outcome, Rejected):
            return not self._is_stripe
        if isinstance(outcome, Card):
            return not shows_payment(self._data.decode("latin-1"))
        return isinstance(outcome, Code)
