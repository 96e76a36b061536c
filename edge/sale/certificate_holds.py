"""What head office sets aside of a certificate for this till, before it is paid with: so the same code is not taken at
two tills at once while both have the line, and pays as it was quoted where the line drops before the sale is paid.

Kept in memory alone: after a restart head office is asked anew, and says the same; without the line nothing is known to
be set aside then. Source: docs/certificates.md "Paying with one".
"""

from collections.abc import Callable

import msgspec

from edge.ports import Clock
from sync.desk import DeskAnswer, DeskWanted

SPARE_MS = 60_000  # so long before a hold ends nothing is paid out of it any more, and it is asked for again
SETTLING_MS = 30_000  # a sale that is being written as that time comes is written by then
UNHEARD_MS = 5_000  # so long nobody is asked again who did not answer
Ask = Callable[[DeskWanted], DeskAnswer | None]


class HeldHere(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a certificate head office set aside for this till, out of how much was asked; none where it did not
    answer."""

    amount_minor: int | None
    asked_minor: int
    until_mono_ms: int


class Aside(msgspec.Struct, frozen=True, kw_only=True):
    """What head office keeps of a certificate for this till, whether the line is there or not: this till may pay it
    before `until_mono_ms`; `until_ms` is head office's own word of until when."""

    amount_minor: int
    until_mono_ms: int
    until_ms: int


class CertificateHolds:
    """The holds of one till, by the certificate's token.

    Args:
        ask: carries a question to head office; none where it is out of reach, or does not answer in time.
    """

    def __init__(self, clock: Clock, ask: Ask) -> None:
        self._clock, self._ask = clock, ask
        self._held: dict[str, HeldHere] = {}
        self._aside: dict[str, Aside] = {}

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
            # It may have heard us all the same: then no more is set aside than this.
            if (was := self._aside.get(code)) is not None:
                self._aside[code] = msgspec.structs.replace(was, amount_minor=min(was.amount_minor, amount_minor))
            self._keep(code, HeldHere(amount_minor=None, asked_minor=amount_minor,
                                      until_mono_ms=now.mono_ms + UNHEARD_MS))  # fmt: skip
            return
        held = told.held
        good_ms = max(0, held.until_ms - told.server_at_ms - SPARE_MS)
        self._aside[code] = Aside(
            amount_minor=held.amount_minor, until_mono_ms=now.mono_ms + good_ms, until_ms=held.until_ms
        )
        lasts_ms = good_ms if held.amount_minor >= amount_minor else 0
        self._keep(code, HeldHere(amount_minor=held.amount_minor, asked_minor=amount_minor,
                                  until_mono_ms=now.mono_ms + max(lasts_ms, UNHEARD_MS)))  # fmt: skip

    def held(self, code: str) -> HeldHere | None:
        """What is set aside now; none for a certificate that head office was not asked about lately."""
        found = self._held.get(code)
        return found if found is not None and self._clock.now().mono_ms < found.until_mono_ms else None

    def aside(self, code: str) -> Aside | None:
        """What is kept for this till until its sale arrives, as head office last said; none once that time is over."""
        found = self._aside.get(code)
        return found if found is not None and self._clock.now().mono_ms < found.until_mono_ms else None

    def give_back(self) -> None:
        """Its chore: what nobody paid with in time goes back, so that others may have it. Without the line it waits."""
        for code, one in list(self._aside.items()):
            if self._clock.now().mono_ms < one.until_mono_ms + SETTLING_MS:
                continue
            wanted = DeskWanted(what="hold_certificate", certificate=code, held_until_ms=one.until_ms)
            if self._ask(wanted) is not None and self._aside.get(code) is one:
                del self._aside[code]

    def let_go(self, code: str) -> None:
        """The basket was laid aside: others may have it, as soon as head office hears so; the chore asks again."""
        self._held.pop(code, None)
        if (was := self._aside.get(code)) is not None:
            self._aside[code] = msgspec.structs.replace(was, until_mono_ms=self._clock.now().mono_ms - SETTLING_MS)
            self.give_back()

    def wait(self, code: str) -> None:
        """Head office has not heard yet of what was paid here a moment ago, and would hold that once more, or let go of
        a hold as that arrives: the rule without the line applies."""
        until_ms = self._clock.now().mono_ms + UNHEARD_MS
        self._keep(code, HeldHere(amount_minor=None, asked_minor=0, until_mono_ms=until_ms))

    def spent(self, code: str) -> None:
        """The sale is written: the hold ends as it arrives, and what is left is asked for anew."""
        self._held.pop(code, None)
        self._aside.pop(code, None)

    def _keep(self, code: str, held: HeldHere) -> None:
        now_ms = self._clock.now().mono_ms
        self._held = {name: one for name, one in self._held.items() if now_ms < one.until_mono_ms} | {code: held}
