"""A small world of tills, a centre and a bad line between them, in which members spend points; every draw from a seed.

The centre is the kernel's own books. A till decides with the kernel's own lease functions and keeps, like the real one,
a log that is durable before goods are handed over. Beside them stands what truly happened: goods handed over for
points, and points earned. Overspend is counted there, by code that knows nothing of books, leases or floats.

Faults: messages are lost, doubled, late and out of order; tills are silent for long, so that leases are reclaimed;
tills send rights to each other. A crash loses nothing, for goods are handed over only once the log is durable; with
`rollbacks` a till's disk goes back in time.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from random import Random

import msgspec

from loyalty.baskets import Place
from loyalty.facts.events import Event
from loyalty.facts.lease_events import Granted, LeaseMoved, Reclaimed
from loyalty.facts.receipts import Receipt
from loyalty.ledger.books import Books
from loyalty.ledger.postings import post_event
from loyalty.lots import END_OF_DAY, EventRef, Slice, draw_down, points_in
from loyalty.pricing.earning import Earned
from loyalty.pricing.leases import Redemption, less, spend_slices
from loyalty.terms import Terms

TODAY = date(2026, 3, 2)
FLOAT_POINTS, SALE_CAP = 100, 60
SPEND_FOR, SETTLE_AFTER = 60, 20  # steps
TERMS = Terms(terms_id="t", partner_id="acme", from_on=date(2026, 1, 1))
Slices = tuple[Slice, ...]
# What a step is, and how often. Members are poor and shop a lot, so that any point that exists twice is found.
_STEPS = {
    "sell": 18, "answer": 8, "upload": 3, "deliver": 4, "lend": 2, "lan": 4, "house": 1, "image": 2, "rollback": 2,
    "earn": 1, "reclaim": 2,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What may happen: `detects` is whether a rewound till is noticed with its next word."""

    tills: int = 4
    steps: int = 150
    leases: bool = True
    floats: bool = False
    reclaims: bool = False
    rollbacks: bool = False
    detects: bool = True


@dataclass
class Lease:
    """What a till has of a lease, and until which step it may spend it."""

    account: int
    slices: Slices
    until: int


@dataclass
class Till:
    """One till's disk: its log and what it may spend."""

    name: str
    log: list[Event] = field(default_factory=list)
    leases: dict[str, Lease] = field(default_factory=dict)
    float_left: int = 0
    balance: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    cursor: int = 0  # grants taken
    taken: set[tuple[str, int]] = field(default_factory=set)  # transfers received
    outbox: dict[int, tuple[str, str, Lease]] = field(default_factory=dict)  # transfers not confirmed
    transfers: int = 0
    stopped: bool = False

    def image(self) -> "Till":
        """A copy of its disk."""
        return Till(
            self.name, list(self.log), {name: Lease(one.account, one.slices, one.until) for name, one in
                                        self.leases.items()}, self.float_left, defaultdict(int, self.balance),
            self.cursor, set(self.taken), dict(self.outbox), self.transfers,
        )  # fmt: skip


class World:
    """One history. `spent` and `earned` are what truly happened, by account; `bound` is what may be overspent."""

    def __init__(self, seed: int, rules: Rules) -> None:
        self.rules, self.draw = rules, Random(seed)
        self.now = 0
        self.books = Books([TERMS], 1)
        self.own_seq = 0
        self.tills = {f"T{n}": Till(f"T{n}") for n in range(rules.tills)}
        self.images: dict[str, Till] = {}
        self.arrived: dict[str, list[Event]] = {name: [] for name in self.tills}
        self.suspended: set[str] = set()
        self.grants: dict[str, list[tuple[str, int, Slices, int]]] = {name: [] for name in self.tills}
        self.held: dict[str, tuple[str, int, int]] = {}  # lease → till, account, settle until
        self.floats_out = 0
        self.reclaimed = 0
        self.forgotten = 0  # points that rewound disks forgot to have spent, sent or given back
        self.rewound: set[str] = set()
        self.line: list[tuple[str, list[Event], int]] = []  # uploads under way
        self.lan: list[tuple[str, int, str, str, Lease]] = []  # transfers under way
        self.spent: dict[int, int] = defaultdict(int)
        self.earned: dict[int, int] = defaultdict(int)
        for account in (1, 2):
            self._earn(account, self.draw.randint(40, 160))

    @property
    def overspent(self) -> int:
        """Points for which goods were handed over and that nobody had."""
        return sum(max(0, self.spent[account] - self.earned[account]) for account in self.spent)

    @property
    def bound(self) -> int:
        """What may be overspent at most."""
        return self.floats_out + self.reclaimed

    def missing(self, account: int) -> int:
        """What the books say was spent beyond what there was: debts, less points that are there to pay them."""
        kept = self.books.account(account)
        there = sum(kept.lots.values()) + sum(sum(left.values()) for left in kept.leases.values())
        return sum(debt.points for debt in kept.debts) - there

    def run(self) -> None:
        """Play all steps, then let everything arrive."""
        for _ in range(self.rules.steps):
            self.now += 1
            self._step(self.draw.choice(list(self.tills.values())))
        for till in self.tills.values():
            self._upload(till, whole=True)
        while self.line:
            self._deliver(0)

    # What happens

    def _step(self, till: Till) -> None:
        draw, rules = self.draw, self.rules
        what = draw.choices(*zip(*_STEPS.items(), strict=True))[0]
        if what == "sell":
            self._sell(till, draw.randint(1, 2), draw.randint(1, 25))
        elif what == "upload":
            self._upload(till)
        elif what == "deliver" and self.line:
            self._deliver(draw.randrange(len(self.line)))
        elif what == "answer":
            self._answer(till)
        elif what == "lend":
            self._lend(till)
        elif what == "lan" and self.lan:
            self._take_lan(draw.randrange(len(self.lan)))
        elif what == "house":
            self._give_back(till)
        elif what == "image":
            self.images[till.name] = till.image()
        elif what == "rollback" and rules.rollbacks and till.name in self.images:
            self._roll_back(till)
        elif what == "earn":
            self._earn(draw.randint(1, 2), draw.randint(1, 20))
        elif what == "reclaim" and rules.reclaims:
            self._reclaim()

    def _earn(self, account: int, points: int) -> None:
        self.earned[account] += points
        part = Earned(issuer_id="acme", valid_through=date(2027, 12, 31), points=points)
        self._post_own(_receipt(f"earn{self.own_seq}", account, earned=(part,)))

    def _sell(self, till: Till, account: int, points: int) -> None:
        """Goods for points: what a lease has of them, else all on the float; nothing where the till has stopped."""
        if till.stopped:
            return
        for name, lease in till.leases.items():
            if lease.account == account and self.now < lease.until and lease.slices:
                points = min(points, points_in(lease.slices))
                used = spend_slices(
                    lease.slices, points, today=TODAY, now=None, order="valid_through", expiry=END_OF_DAY
                )
                lease.slices = less(lease.slices, used)
                self._hand_over(till, account, points, name, used)
                return
        if self.rules.floats and points <= min(till.float_left, SALE_CAP, till.balance[account]):
            till.float_left -= points
            till.balance[account] -= points
            self._hand_over(till, account, points, "float", ())

    def _hand_over(self, till: Till, account: int, points: int, lease_id: str, used: Slices) -> None:
        paid = Redemption(
            points=points, amount_minor=points, authority="lease" if used else "float", lease_id=lease_id, slices=used
        )
        till.log.append(_receipt(f"{till.name}:{self.now}", account, paid=paid))
        self.spent[account] += points

    # The line

    def _upload(self, till: Till, *, whole: bool = False) -> None:
        """Everything since what the centre acknowledged, as far as the till knows; perhaps twice, perhaps never."""
        if whole:
            self.line = [one for one in self.line if one[0] != till.name]
            self.line.append((till.name, list(till.log), 0))
            return
        since = self.draw.randint(0, len(self.arrived[till.name]))
        if self.draw.random() < 0.8:
            self.line.append((till.name, till.log[since:], since))
        if self.draw.random() < 0.2:
            self.line.append((till.name, till.log[since:], since))

    def _deliver(self, at: int) -> None:
        name, events, since = self.line.pop(at)
        have = self.arrived[name]
        if name in self.suspended or since > len(have):
            return  # stopped, or a gap: the till sends again
        known = have[since : since + len(events)]
        if known != events[: len(known)]:
            if self.rules.detects:
                self.suspended.add(name)  # another history under the same numbers
                return
            events = [*known, *events[len(known) :]]
        for event in events[len(known) :]:
            have.append(event)
            ref = EventRef(till_id=name, epoch=1, seq=len(have))
            self.books.take(post_event(event, ref, event.account_id, self.books))

    def _answer(self, till: Till) -> None:
        """Grants that the till has not taken, and what its members have; now and then a new lease or float first."""
        if till.name in self.suspended:
            till.stopped = True
            return
        if till.name in self.rewound and self.rules.detects:
            # What it says of itself lies behind what it once announced: it is told so, and stops.
            self.suspended.add(till.name)
            till.stopped = True
            return
        if self.rules.leases and self.draw.random() < 0.7:
            self._grant(till.name, self.draw.randint(1, 2), self.draw.randint(10, 80))
        if self.rules.floats and till.float_left == 0 and self.draw.random() < 0.5:
            self.floats_out += FLOAT_POINTS
            till.float_left += FLOAT_POINTS
        if self.draw.random() < 0.2:
            return  # the answer is lost
        for n, (lease_id, account, slices, until) in enumerate(self.grants[till.name], 1):
            if n > till.cursor:
                till.leases[lease_id] = Lease(account, slices, until)
                till.cursor = n
        for account in (1, 2):
            till.balance[account] = points_in(self.books.lots(account))

    def _grant(self, name: str, account: int, points: int) -> None:
        slices = draw_down(self.books.lots(account), points, today=TODAY)
        if not slices:
            return
        lease_id = f"lease:{name}:{len(self.grants[name])}"
        self._post_own(
            Granted(
                receipt_id=lease_id, lease_id=lease_id, till_id=name, epoch=1, points=points_in(slices),
                granted_at_ms=0, account_id=account, kind="lease", on=TODAY, slices=slices,
            )
        )  # fmt: skip
        self.grants[name].append((lease_id, account, slices, self.now + SPEND_FOR))
        self.held[lease_id] = (name, account, self.now + SPEND_FOR + SETTLE_AFTER)

    def _reclaim(self) -> None:
        for lease_id, (name, account, settle) in sorted(self.held.items()):
            if settle <= self.now:
                del self.held[lease_id]
                self.reclaimed += sum(self.books.account(account).leases.get(lease_id, {}).values())
                self._post_own(
                    Reclaimed(
                        receipt_id=f"reclaim:{lease_id}", lease_id=lease_id, account_id=account, till_id=name,
                        epoch=1, on=TODAY,
                    )
                )  # fmt: skip

    # Rights between tills, and back

    def _lend(self, till: Till) -> None:
        """Send half of a lease to another till: off the disk first, then on its way, and again until confirmed."""
        lent = [(name, one) for name, one in till.leases.items() if points_in(one.slices) > 1]
        if lent and self.draw.random() < 0.6:
            lease_id, lease = self.draw.choice(lent)
            to = self.draw.choice([name for name in self.tills if name != till.name])
            part = spend_slices(
                lease.slices, points_in(lease.slices) // 2, today=TODAY, now=None, order="valid_through",
                expiry=END_OF_DAY,
            )  # fmt: skip
            lease.slices = less(lease.slices, part)
            till.transfers += 1
            sent = Lease(lease.account, part, lease.until)
            till.outbox[till.transfers] = (to, lease_id, sent)
            till.log.append(_moved(f"sent:{till.name}:{till.transfers}:{self.now}", lease_id, sent, "sent"))
        for n, (to, lease_id, sent) in till.outbox.items():
            for _ in range(self.draw.choice((0, 1, 1, 2))):
                self.lan.append((till.name, n, to, lease_id, sent))

    def _take_lan(self, at: int) -> None:
        donor, n, to, lease_id, sent = self.lan.pop(at)
        till = self.tills[to]
        if (donor, n) not in till.taken:
            till.taken.add((donor, n))
            here = till.leases.get(lease_id)
            slices = _together((*(here.slices if here else ()), *sent.slices))
            till.leases[lease_id] = Lease(sent.account, slices, max(sent.until, here.until if here else 0))
            till.log.append(_moved(f"received:{donor}:{n}:{self.now}", lease_id, sent, "received"))
        if self.draw.random() < 0.7:
            self.tills[donor].outbox.pop(n, None)

    def _give_back(self, till: Till) -> None:
        for lease_id, lease in till.leases.items():
            if lease.slices and (self.now >= lease.until or self.draw.random() < 0.1):
                till.log.append(_moved(f"back:{lease_id}:{self.now}", lease_id, lease, "returned"))
                lease.slices = ()

    def _roll_back(self, till: Till) -> None:
        """The disk is what it was; the world is not."""
        image = self.images[till.name]
        if len(image.log) < len(till.log):
            self.forgotten += sum(map(_gone, till.log[len(image.log) :]))
            self.tills[till.name] = image.image()
            self.tills[till.name].stopped = till.stopped
            self.rewound.add(till.name)

    def _post_own(self, event: Event) -> None:
        self.own_seq += 1
        ref = EventRef(till_id="centre", epoch=1, seq=self.own_seq)
        self.books.take(post_event(event, ref, event.account_id, self.books))


def _receipt(
    receipt_id: str, account: int, *, earned: tuple[Earned, ...] = (), paid: Redemption | None = None
) -> Receipt:
    place = Place(
        partner_id="acme", store_id="S", till_id="T", channel="store", sold_at_ms=1_772_452_800_000, offset_min=0,
        business_date=TODAY,
    )  # fmt: skip
    return Receipt(
        receipt_id=receipt_id, place=place, net_minor=0, account_id=account, earned=earned, redemption=paid
    )


def _moved(receipt_id: str, lease_id: str, lease: Lease, what: str) -> LeaseMoved:
    return LeaseMoved(
        receipt_id=receipt_id, lease_id=lease_id, account_id=lease.account, on=TODAY, slices=lease.slices, what=what
    )


def _gone(event: Event) -> int:
    """Points that an event says are no longer at its till."""
    if isinstance(event, Receipt):
        return event.redemption.points if event.redemption else 0
    return points_in(event.slices) if isinstance(event, LeaseMoved) and event.what != "received" else 0


def _together(slices: Slices) -> Slices:
    points: dict[object, Slice] = {}
    for one in slices:
        before = points.get(one.key)
        points[one.key] = msgspec.structs.replace(one, points=one.points + (before.points if before else 0))
    return tuple(points.values())
