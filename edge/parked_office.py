"""Baskets laid aside at head office, for any store of the partner: left there, listed, brought here, withdrawn.

Only what head office says it has is parked there. Whether it has a basket whose answer was lost is not known: that one
is withdrawn as soon as there is a line, so that it does not wait at two places. Source: sync.parked_office.
"""

from collections.abc import Callable

import msgspec

from edge.identity import TillIdentity
from edge.journal import DAY_MS, Journal
from edge.parked_kept import KeptBasket
from edge.parked_lan import row_of
from edge.parking import read_parked, taken_elsewhere
from edge.ports import Clock
from edge.refusals import ParkedGone, ParkedIdReused, ParkedNoLine, ParkedOfficeFull, ParkedTaken, ParkedUnknown
from sync.desk import DeskAnswer, DeskWanted
from sync.parked_office import OfficeBasket, OfficeRow, OfficeTold

LATE_MS = 5 * 3_600_000  # a store may be open beyond midnight
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
        left = OfficeBasket(row=row_of(basket), until_ms=self._day_end(basket.parked_ms), body=msgspec.Raw(basket.body))
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
            ParkedNoLine, ParkedUnknown, ParkedGone, ParkedTaken.
        """
        told = self._told(DeskWanted(what="resume", about=park_id, of_till=till_id, resume_id=resume_id))
        if told.outcome == "taken":
            raise taken_elsewhere(park_id, told.taken_by)
        if told.outcome == "expired":
            raise ParkedGone(
                "This basket was thrown away when its day was over. Ring the goods up again.",
                park_id=park_id, state="expired",
            )  # fmt: skip
        if told.outcome != "given":
            raise ParkedUnknown("No such basket is parked. Look at the list again.", park_id=park_id)
        return self._keep(told, park_id, resume_id, till_id)

    def withdraw(self, park_id: str) -> None:
        """Throw a basket away that this till left there. Raises: ParkedNoLine, ParkedTaken."""
        name = f"{WITHDRAWN}{park_id}"[:200]
        told = self._told(DeskWanted(what="resume", about=park_id, of_till=self._own, resume_id=name))
        if told.outcome == "taken":
            raise taken_elsewhere(park_id, told.taken_by)
        with self._journal.writing():
            self._journal.parked.end(park_id, "dropped")

    def settle(self) -> int:
        """A chore: withdraw what head office may or may not have; how many it did not have, or gave back."""
        settled = 0
        for basket in self._journal.parked.unsure():
            try:
                self.withdraw(basket.park_id)
            except ParkedNoLine:
                break
            except ParkedTaken:
                with self._journal.writing():
                    self._journal.parked.end(basket.park_id, "office")
            else:
                settled += 1
        return settled

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
