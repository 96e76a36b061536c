"""What head office sets aside of a certificate for this till, before it is paid with: so the same code is not taken at
two tills at once while both have the line.

Kept in memory alone: after a restart head office is asked anew, and says the same. Source: docs/certificates.md "Paying
with one".
"""

from collections.abc import Callable

import msgspec

from edge.ports import Clock
from sync.desk import DeskAnswer, DeskWanted

SPARE_MS = 60_000  # so long before a hold ends it is asked for again
UNHEARD_MS = 5_000  # so long nobody is asked again who did not answer
Ask = Callable[[DeskWanted], DeskAnswer | None]


class HeldHere(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a certificate head office set aside for this till, out of how much was asked; none where it did not
    answer."""

    amount_minor: int | None
    asked_minor: int
    until_mono_ms: int


class CertificateHolds:
    """The holds of one till, by the certificate's token.

    Args:
        ask: carries a question to head office; none where it is out of reach, or does not answer in time.
    """

    def __init__(self, clock: Clock, ask: Ask) -> None:
        self._clock, self._ask = clock, ask
        self._held: dict[str, HeldHere] = {}

    def hold(self, code: str, amount_minor: int) -> None:
        """Have so much set aside, unless it is already; waits for head office's answer for a second or two at most.

        Args:
            amount_minor: what is to be paid with it, above 0.
        """
        now = self._clock.now()
        before = self._held.get(code)
        if before is not None and now.mono_ms < before.until_mono_ms and amount_minor <= before.asked_minor:
            return
        told = self._ask(DeskWanted(what="hold_certificate", certificate=code, amount_minor=amount_minor))
        if told is None or told.held is None:
            self._keep(code, HeldHere(amount_minor=None, asked_minor=amount_minor,
                                      until_mono_ms=now.mono_ms + UNHEARD_MS))  # fmt: skip
            return
        held = told.held
        lasts_ms = max(0, held.until_ms - told.server_at_ms - SPARE_MS) if held.amount_minor >= amount_minor else 0
        self._keep(code, HeldHere(amount_minor=held.amount_minor, asked_minor=amount_minor,
                                  until_mono_ms=now.mono_ms + max(lasts_ms, UNHEARD_MS)))  # fmt: skip

    def held(self, code: str) -> HeldHere | None:
        """What is set aside now; none for a certificate that head office was not asked about lately."""
        found = self._held.get(code)
        return found if found is not None and self._clock.now().mono_ms < found.until_mono_ms else None

    def wait(self, code: str) -> None:
        """Head office has not heard yet of what was paid here a moment ago, and would hold that once more, or let go of
        a hold as that arrives: the rule without the line applies."""
        until_ms = self._clock.now().mono_ms + UNHEARD_MS
        self._keep(code, HeldHere(amount_minor=None, asked_minor=0, until_mono_ms=until_ms))

    def spent(self, code: str) -> None:
        """The sale is written: the hold ends as it arrives, and what is left is asked for anew."""
        self._held.pop(code, None)

    def _keep(self, code: str, held: HeldHere) -> None:
        now_ms = self._clock.now().mono_ms
        self._held = {name: one for name, one in self._held.items() if now_ms < one.until_mono_ms} | {code: held}
