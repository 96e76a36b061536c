"""Baskets laid aside at head office, for any store of the partner: left there, listed, brought here, withdrawn.

Only what head office says it has is parked there. Whether it has a basket whose answer was lost is not known: that one
is withdrawn as soon as there is a line, so that it does not wait at two places. A head office that was put back from a
backup is told which baskets this till resumed, and is left again what it may have lost. Source: sync.parked_office.
"""

from collections.abc import Callable

import msgspec

from edge.identity import TillIdentity
from edge.journal.journal import Journal
from edge.journal.parked_kept import KeptBasket
from edge.parking.over_lan import row_of
from edge.parking.parking import AWAY, read_parked, taken_elsewhere
from edge.ports import Clock
from edge.refusals import (
    ParkedGone,
    ParkedIdReused,
    ParkedNoLine,
    ParkedOfficeFull,
    ParkedResting,
    ParkedTaken,
    ParkedUnknown,
)
from loyalty.moments import DAY_MS
from sync.desk import DeskAnswer, DeskWanted
from sync.parked import MOST_LISTED
from sync.parked_office import OfficeBasket, OfficeRow, OfficeTaken, OfficeTold

LATE_MS = 5 * 3_600_000  # a store may be open beyond midnight
KEPT_MS = 36 * 3_600_000  # so long head office keeps a basket at most
WITHDRAWN = "withdrawn:"

Ask = Callable[[DeskWanted], DeskAnswer | None]


class ParkedOffice:
    """One till's dealings with head office about parked baskets.

    Args:
        ask: carries a question there and back; none where head office is out of reach.
        offset_min: minutes east of UTC, by which the store's day ends.
    """

    def __init__(self, journal: Journal, identity: TillIdentity, clock: Clock, ask: Ask, offset_min: int) -> None:
        self._journal, self._clock, self._ask, self._offset_min = journal, clock, ask, offset_min
        self._own = identity.till_id

    def leave(self, basket: KeptBasket) -> None:
        """Leave a basket there; again changes nothing.

        Raises:
            ParkedNoLine: head office does not answer, so nobody knows whether it has it.
            ParkedOfficeFull, ParkedIdReused: it has not taken it.
        """
        left = OfficeBasket(
            row=row_of(basket), until_ms=self._day_end(basket.parked_ms), body=msgspec.Raw(basket.body),
            again=basket.state in AWAY,
        )  # fmt: skip
        told = self._told(DeskWanted(what="park", about=basket.park_id, basket=left))
        if told.outcome == "full":
            raise ParkedOfficeFull("Head office keeps a hundred baskets of this till already. Park this one here.")
        if told.outcome != "kept":
            raise ParkedIdReused("This park id stands for another basket. Use a new id.", park_id=basket.park_id)

    def elsewhere(self) -> tuple[OfficeRow, ...] | None:
        """What waits there; none where head office cannot be asked."""
        told = self._ask(DeskWanted(what="parked"))
        return told.parked if told else None

    def bring(self, park_id: str, resume_id: str, till_id: str) -> KeptBasket:
        """Take a basket from there, and keep it here, so that a retry needs nobody.

        Args:
            till_id: the till that parked it.
        Raises:
            ParkedNoLine, ParkedUnknown, ParkedGone, ParkedTaken. ParkedResting: after a restore, for a while.
        """
        told = self._told(DeskWanted(what="resume", about=park_id, of_till=till_id, resume_id=resume_id))
        if told.outcome == "taken":
            raise taken_elsewhere(park_id, told.taken_by)
        if told.outcome == "expired":
            raise ParkedGone(
                "This basket was thrown away when its day was over. Ring the goods up again.",
                park_id=park_id, state="expired",
            )  # fmt: skip
        if told.outcome == "resting":
            raise _resting(park_id)
        if told.outcome != "given":
            raise ParkedUnknown("No such basket is parked. Look at the list again.", park_id=park_id)
        return self._keep(told, park_id, resume_id, till_id)

    def withdraw(self, park_id: str) -> None:
        """Throw a basket away that this till left there. Raises: ParkedNoLine, ParkedTaken, ParkedResting."""
        told = self._told(
            DeskWanted(what="resume", about=park_id, of_till=self._own, resume_id=_withdrawn(park_id))
        )
        if told.outcome == "taken":
            raise taken_elsewhere(park_id, told.taken_by)
        if told.outcome == "resting":
            raise _resting(park_id)
        with self._journal.writing():
            self._journal.parked.end(park_id, "dropped")

    def settle(self) -> int:
        """A chore: tell a head office that was put back what this till has; withdraw what it may have, or not have.

        Returns:
            How many of these it did not have, or gave back.
        """
        self._tell_anew()
        settled = 0
        for basket in self._journal.parked.unsure():
            try:
                self.withdraw(basket.park_id)
            except ParkedNoLine:
                break
            except ParkedResting:
                continue  # whether somebody has it is known soon
            except ParkedTaken:
                with self._journal.writing():
                    self._journal.parked.end(basket.park_id, "office")
            else:
                settled += 1
        return settled

    def _tell_anew(self) -> None:
        """Once for each generation of head office: until then it gives no basket of before to anybody."""
        parked, generation = self._journal.parked, self._journal.outbox.generation()
        if not generation or parked.told_to() == generation:
            return
        since_ms = self._clock.now().wall_ms - KEPT_MS
        had = [OfficeTaken(till_id=one.kept_by, park_id=one.park_id, resume_id=one.resume_id or _withdrawn(one.park_id))
               for one in parked.had(since_ms)]  # fmt: skip
        for at in range(0, max(1, len(had)), MOST_LISTED):
            is_last = at + MOST_LISTED >= len(had)
            told = self._ask(DeskWanted(what="resumed", resumed=tuple(had[at : at + MOST_LISTED]),
                                        generation=generation if is_last else 0))  # fmt: skip
            if told is None or not told.took:
                return
        for basket in parked.left_at_office(since_ms):
            try:
                self.leave(basket)
            except ParkedNoLine:
                return
            except (ParkedIdReused, ParkedOfficeFull):
                continue  # somebody has it; or so many wait there that this one is rung up again
        with self._journal.writing():
            parked.set_told_to(generation)

    def _keep(self, told: OfficeTold, park_id: str, resume_id: str, till_id: str) -> KeptBasket:
        body = bytes(told.body)
        read_parked(body)  # a basket that cannot be read is refused before it is kept
        basket = KeptBasket(
            park_id=park_id, ask_sha256="", body=body, parked_ms=told.parked_at_ms, state="taken", kept_by=till_id,
            taken_by=self._own, resume_id=resume_id,
        )  # fmt: skip
        with self._journal.writing():
            if self._journal.parked.find(park_id) is None:
                self._journal.parked.add(basket)
            else:
                self._journal.parked.take(park_id, self._own, resume_id)
        return basket

    def _told(self, wanted: DeskWanted) -> OfficeTold:
        told = self._ask(wanted)
        if told is None or told.basket is None:
            raise ParkedNoLine("Head office does not answer. Park the basket at this till, or try again.")
        return told.basket

    def _day_end(self, at_ms: int) -> int:
        offset_ms = self._offset_min * 60_000
        return ((at_ms + offset_ms) // DAY_MS + 1) * DAY_MS - offset_ms + LATE_MS


def _resting(park_id: str) -> ParkedResting:
    return ParkedResting(
        "Head office was put back from a backup and does not know yet whether another till has this basket. Try again"
        " in a few minutes, or ring the goods up again.",
        park_id=park_id,
    )


def _withdrawn(park_id: str) -> str:
    """Under which id a basket goes that nobody resumes."""
    return f"{WITHDRAWN}{park_id}"[:200]
