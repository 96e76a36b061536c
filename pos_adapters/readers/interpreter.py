"""What a frame is: take off what the reader added, ask the kernel, wipe the bytes. Pure but for its counters."""

from collections import Counter
from collections.abc import Callable

import msgspec

from loyalty.cards.cards import (
    Card,
    CardRules,
    Outcome,
    PaymentCard,
    Rejected,
    WalletCheck,
    read_card,
    rejected,
    shows_payment,
    split_aim,
)
from pos_adapters.readers.code_ids import read_code_id
from pos_adapters.readers.framer import Frame, wipe
from pos_adapters.readers.profile import SOURCES, Profile
from pos_adapters.readers.stripe import read_tracks
from pos_adapters.readers.tags import Tag, read_tag


def _no_wallet() -> WalletCheck | None:
    return None


class Interpreter:
    """Turns one reader's frames into outcomes.

    Args:
        profile: how the reader is set up.
        wallet: time and key for codes on phones, asked once a frame.

    Attributes:
        rules: the card ranges in force; may be replaced at any time.
        outcomes: how many of each kind: card, code, rejected, payment_card.
        rejects: why nothing came of a frame: the reasons of `Rejected`, `unfinished`, and `repeated`.
        without_aim: frames without a code id from a scanner that was set to send them (a factory reset, mostly).
    """

    def __init__(
        self, rules: CardRules, profile: Profile, wallet: Callable[[], WalletCheck | None] = _no_wallet
    ) -> None:
        self.rules = rules
        self._profile, self._wallet = profile, wallet
        self._repeats = Repeats(profile.repeat_ms)
        self.outcomes: Counter[str] = Counter()
        self.rejects: Counter[str] = Counter()
        self.without_aim = 0

    def interpret(self, frame: Frame, now_ms: int) -> Outcome | None:
        """Say what `frame` is, and wipe it.

        Args:
            now_ms: monotonic, to know a reading from its repeats.
        Returns:
            The outcome; None for an unfinished frame, which is only looked at so that a payment card is still
            refused aloud when the scanner's suffix is missing; and None for what is only read again.
        """
        try:
            # Latin-1 keeps every byte, so what is not ours can go back to the POS as it came.
            text = frame.data.decode("latin-1")
        finally:
            wipe(frame.data)
        outcome = self._outcome(text, frame.aim)
        if not frame.whole and not isinstance(outcome, PaymentCard):
            self.rejects["unfinished"] += 1
            return None
        if self._repeats.is_again(outcome, now_ms):
            self.rejects["repeated"] += 1
            return None
        self.outcomes[str(outcome.__struct_config__.tag)] += 1
        if isinstance(outcome, Rejected):
            self.rejects[outcome.reason] += 1
        return outcome

    def _outcome(self, text: str, aim: str | None) -> Outcome:
        profile = self._profile
        text = text.removeprefix(profile.prefix).removesuffix(profile.postamble)
        if profile.kind == "tag":
            return self._tag(text)
        if profile.kind == "stripe":
            tracks = read_tracks(profile, text)
            if tracks is None:
                return PaymentCard() if shows_payment(text) else rejected("swipe_failed")
            text = tracks
        elif profile.kind == "scanner":
            aim, text = self._code_id(text, aim)
        return read_card(self.rules, text, aim=aim, source=SOURCES[profile.kind], wallet=self._wallet())

    def _code_id(self, text: str, framed: str | None) -> tuple[str | None, str]:
        """An AIM id is understood wherever it stands: no card begins with `]`. A scanner that was set to send ids sends
        them inside packets too, though the packet itself (`framed`) names the carrier."""
        aim, rest = split_aim(text)
        if aim is None and self._profile.code_ids in ("zebra", "honeywell"):
            aim, rest = read_code_id(self._profile.code_ids, text)
        aim = aim or framed
        self.without_aim += aim is None and self._profile.code_ids != "none"
        return aim, rest

    def _tag(self, text: str) -> Outcome:
        tag = read_tag(self._profile, text)
        if isinstance(tag, Tag):
            read = read_card(self.rules, tag.uid, source="tag")
            return msgspec.structs.replace(read, alias=tag.printed) if isinstance(read, Card) else read
        return PaymentCard() if shows_payment(text) else rejected(tag)


class Repeats:
    """The same tag again while it lies in the field is one reading, and so it is when one between was read badly.

    Nothing of a payment card is remembered.
    """

    def __init__(self, window_ms: int) -> None:
        self._window_ms = window_ms
        self._last: dict[bool, tuple[Outcome, int]] = {}  # by whether it was rejected

    def is_again(self, outcome: Outcome, now_ms: int) -> bool:
        """Was the same read within the window? Each time it is, the window begins anew."""
        if not self._window_ms or isinstance(outcome, PaymentCard):
            self._last.clear()
            return False
        is_rejected = isinstance(outcome, Rejected)
        before, self._last[is_rejected] = self._last.get(is_rejected), (outcome, now_ms)
        return before is not None and before[0] == outcome and now_ms - before[1] < self._window_ms
