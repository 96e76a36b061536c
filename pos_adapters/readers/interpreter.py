"""What a frame is: strip the AIM id, ask the kernel, wipe the bytes. Pure but for its counters."""

from collections import Counter

from loyalty.cards import CardRules, Outcome, PaymentCard, Rejected, read_card, split_aim
from pos_adapters.readers.framer import Frame, wipe


class Interpreter:
    """Turns one reader's frames into outcomes.

    Attributes:
        rules: the card ranges in force; may be replaced at any time.
        outcomes: how many of each kind: card, code, rejected, payment_card.
        rejects: why nothing came of a frame: the reasons of `Rejected`, and `unfinished`.
        without_aim: frames without an AIM id from a scanner that was set to send them (a factory reset, mostly).
    """

    def __init__(self, rules: CardRules, *, aim_expected: bool) -> None:
        self.rules = rules
        self._aim_expected = aim_expected
        self.outcomes: Counter[str] = Counter()
        self.rejects: Counter[str] = Counter()
        self.without_aim = 0

    def interpret(self, frame: Frame) -> Outcome | None:
        """Say what `frame` is, and wipe it.

        Returns:
            The outcome; None for an unfinished frame, which is only looked at so that a payment card is still
            refused aloud when the scanner's suffix is missing.
        """
        try:
            # Latin-1 keeps every byte, so what is not ours can go back to the POS as it came.
            aim, text = split_aim(frame.data.decode("latin-1"))
        finally:
            wipe(frame.data)
        outcome = read_card(self.rules, text, aim=aim)
        if not frame.whole and not isinstance(outcome, PaymentCard):
            self.rejects["unfinished"] += 1
            return None
        self.without_aim += self._aim_expected and aim is None
        self.outcomes[str(outcome.__struct_config__.tag)] += 1
        if isinstance(outcome, Rejected):
            self.rejects[outcome.reason] += 1
        return outcome
