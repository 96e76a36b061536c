"""What the POS was told: the run's own record, made as each till answered, where no fault can reach it.

It is the other side of every check, so nothing here asks a till or the centre what it has.
"""

from collections import Counter
from collections.abc import Callable
from datetime import date
from typing import Literal, NamedTuple

Kind = Literal["sale", "return", "void", "close", "join", "card", "consent", "claim", "certificate"]
Place = tuple[str, int, int, str]
"""till id, epoch, seq, hash: one event and no other."""
Who = int | str
"""Whose card was shown: a member's account, or the token of a card that was given meanwhile; 0 for nobody's."""


class Told(NamedTuple):
    """One answer.

    Attributes:
        points: what it adds to that account's balance; `spent` what was paid with points.
        restored: of a return, the part of `points` that had been spent: it comes back only to a receipt that is here.
        of: of a return or void, place and id of the receipt that its till says it takes back.
        gifts: minor units that it puts on gift certificates, by token, and takes off them below 0.
        approved: a supervisor had to approve it, and did.
        named: the account that the till itself named, 0 where it knew only the card.
    """

    place: Place
    kind: Kind
    event_id: str
    account: Who = 0
    points: int = 0
    spent: int = 0
    restored: int = 0
    of: tuple[tuple[str, int, int], str] | None = None
    gifts: tuple[tuple[str, int], ...] = ()
    approved: bool = False
    named: int = 0


class Given(NamedTuple):
    """A card that was given, or blocked: `other` is whose member it was given to, none for a new member.

    `token` is the card's; `gone` that of one which is not served any more, "" for none.
    """

    place: Place
    event_id: str
    token: str
    other: Who | None
    number: str = ""
    gone: str = ""


class Said(NamedTuple):
    """What a customer said to one thing that was asked; a confirmation names the code alone."""

    place: Place
    what: str
    account: Who
    purpose: str
    channel: str
    at_ms: int
    code: str = ""


class Claim(NamedTuple):
    """A receipt to nobody that was brought with a card; `points` are what its goods are worth."""

    place: Place
    account: Who
    till_id: str
    receipt_id: str
    points: int
    days: tuple[date, date]


class GiftPaid(NamedTuple):
    """A sale that was paid with a gift certificate.

    Attributes:
        heard_seq: up to which event of its epoch the till knew that head office had everything.
        held_at_ms: when its machine heard that head office set as much aside for it, which still held; none where
            nothing was. `until_ms`: how long it does.
    """

    place: Place
    event_id: str
    code: str
    amount_minor: int
    heard_seq: int
    held_at_ms: int | None
    until_ms: int


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
        given, said, claims: what was done at the counter besides selling, each once.
        blocked_gifts: gift certificates that were blocked, by the event that did.
        gifts_paid: sales that were paid with gift certificates, by certificate; `late`: those that head office heard of
            after their hold had ended and another till had asked for the same money; `let_go`: those that were not
            there as it took their till's hold to be over, for the till had told it everything.
        restored_at: when head office was put back.
        acked: of each stream the last event that the centre said it has, since it was last put back.
        resumed: who took a parked basket up, by its id: machine, and the id of the sale.
    """

    def __init__(self) -> None:
        self.told: dict[Place, Told] = {}
        self.earned: Counter[Who] = Counter()
        self.spent: Counter[Who] = Counter()
        self.overspent = 0
        self.doubled = 0
        self.removed: set[Place] = set()
        self.restored_points = 0
        self.reclaimed = 0
        self.refused: Counter[str] = Counter()
        self.wrongs: list[str] = []
        self.given: list[Given] = []
        self.said: list[Said] = []
        self.claims: list[Claim] = []
        self.blocked_gifts: dict[Place, str] = {}
        self.gifts_paid: dict[str, list[GiftPaid]] = {}
        self.late: set[Place] = set()
        self.let_go: set[Place] = set()
        self.restored_at: list[int] = []
        self.acked: dict[tuple[str, int], Place] = {}
        self.resumed: dict[str, tuple[str, str]] = {}
        self._held: dict[tuple[str, str], tuple[int, int, int]] = {}
        self._over: Counter[Who] = Counter()
        self._over_now = 0

    def tell(self, told: Told) -> bool:
        """Note an answer; False when it was told before."""
        if told.place in self.told:
            return False
        self.told[told.place] = told
        return True

    def hear_held(self, name: str, code: str, at_ms: int, amount_minor: int, until_ms: int) -> None:
        """A machine heard how much of a certificate is set aside for it, instead of what was before."""
        self._held[name, code] = (at_ms, amount_minor, until_ms)

    def pay(self, name: str, told: Told, at_ms: int, heard_of: Callable[[str], int]) -> None:
        """What a machine's sale took of certificates, each with the hold that it was under."""
        for code, moved in told.gifts:
            if moved >= 0:
                continue
            held_at, amount, until_ms = self._held.pop((name, code), (0, 0, 0))
            under = held_at if -moved <= amount and at_ms < until_ms else None
            paid = GiftPaid(told.place, told.event_id, code, -moved, heard_of(code), under, until_ms)
            self.gifts_paid.setdefault(code, []).append(paid)

    def trade(self, account: Who, *, earned: int, spent: int) -> None:
        """What a sale did to what its member truly has; below zero where it is undone."""
        self.earned[account] += max(0, earned)
        self.spent[account] += spent
        over = max(0, self.spent[account] - self.earned[account])
        self._over_now += over - self._over[account]
        self._over[account] = over
        self.overspent = max(self.overspent, self._over_now)
