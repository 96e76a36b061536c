"""What the POS was told: the run's own record, made as each till answered, where no fault can reach it.

It is the other side of every check, so nothing here asks a till or the centre what it has.
"""

from collections import Counter
from typing import Literal, NamedTuple

Kind = Literal["sale", "return", "void", "close"]
Place = tuple[str, int, int, str]
"""till id, epoch, seq, hash: one event and no other."""


class Told(NamedTuple):
    """One answer. `account` is 0 for nobody; `points` are what it adds to that account's balance; `spent` paid."""

    place: Place
    kind: Kind
    event_id: str
    account: int
    points: int
    spent: int


class Record:
    """Everything that was told, and what must follow from it.

    Attributes:
        told: by place; a retry that is answered the same adds nothing.
        earned, spent: points by account, gross: what sales granted, and what was paid with points less what came back.
        overspent: the most that all accounts together were ever overspent.
        doubled: points spent by machines whose authority may exist twice: their disk was put back, or copied.
        removed: places that stood on a disk which was put back to before them.
        restored_points: points of spends and leases that the centre forgot when it was put back from a backup.
        reclaimed: points of leases that the centre took back unheard.
    """

    def __init__(self) -> None:
        self.told: dict[Place, Told] = {}
        self.earned: Counter[int] = Counter()
        self.spent: Counter[int] = Counter()
        self.overspent = 0
        self.doubled = 0
        self.removed: set[Place] = set()
        self.restored_points = 0
        self.reclaimed = 0
        self.refused: Counter[str] = Counter()
        self.wrongs: list[str] = []
        self._over: Counter[int] = Counter()
        self._over_now = 0

    def tell(self, told: Told) -> bool:
        """Note an answer; False when it was told before."""
        if told.place in self.told:
            return False
        self.told[told.place] = told
        return True

    def trade(self, account: int, *, earned: int, spent: int) -> None:
        """What a sale did to what its member truly has; below zero where it is undone."""
        self.earned[account] += max(0, earned)
        self.spent[account] += spent
        over = max(0, self.spent[account] - self.earned[account])
        self._over_now += over - self._over[account]
        self._over[account] = over
        self.overspent = max(self.overspent, self._over_now)
