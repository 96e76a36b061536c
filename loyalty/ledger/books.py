"""The part of the ledger that a batch touches, as values: lots, debts, and what earlier events posted.

The centre opens the accounts and events a batch names, lets `post_event` decide on them one event after the other,
and writes down what changed. A file of events can be settled on the same books, starting from nothing.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Literal

import msgspec

from loyalty.certificates import STORED, UNSOLD, Certificate
from loyalty.facts.receipts import Funded
from loyalty.lots import Debt, EventRef, Lot, LotKey, Redated, Slice, points_in
from loyalty.members import Use
from loyalty.terms import Terms, terms_on

Unit = Literal["point", "currency", "claim"]
Bucket = Literal["issued", "available", "leased", "pending", "redeemed", "expired", "reversed", "moved"]
EARNS = ("issued", "moved")  # points from here make an empty lot one that was earned on the day
NOBODY = 0  # the account of what concerns partners only, such as a funded discount on an anonymous receipt
NO_TERMS = "none"


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """One movement between two buckets; source and target make it sum to zero. Never edited.

    Attributes:
        account_version: the account's, once the event is folded in; 0 for `NOBODY`.
        n: counts from 1 within (account, event that posted it).
        unit: points; or minor units, where `key.issuer_id` is the partner that pays; or a claim, points of a redemption
            that nothing covers, for which `at_partner_id` is not reimbursed (`pending`) until something does.
        at_partner_id: where it happened, or the partner that a redemption reimburses.
        at_terms_id: terms whose price reimburses; `priced_by` says which price.
        by: the event that posted it; `of`: the event whose fact it settles (the same, but for debts repaid).
        origin_period_no: the period it corrects; its own where it corrects none.
    """

    account_id: int
    account_version: int
    n: int
    unit: Unit
    source: Bucket
    target: Bucket
    amount: int
    key: LotKey
    at_partner_id: str
    at_terms_id: str
    by: EventRef
    of: EventRef
    period_no: int
    origin_period_no: int
    priced_by: Literal["reimburse", "funding"] = "reimburse"


class LeaseStep(msgspec.Struct, frozen=True, kw_only=True):
    """Points of one lot that a lease gains, or loses where they are below 0."""

    lease_id: str
    key: LotKey
    points: int


class Reversed(msgspec.Struct, frozen=True, kw_only=True):
    """What one event took back of another: granted points by lot, spent points, money, funded discounts.

    `granted` counts what a till kept the worth of in money, too: none of it can be taken back again.
    `restored_points` went back into lots; what only cancelled an uncovered spend is among the debts repaid.
    The void of a return gives back `regranted`, `refunded` and the money, `net_minor` below 0.
    """

    of: EventRef
    by: EventRef
    account_id: int
    granted: tuple[Slice, ...] = ()
    restored_points: int = 0
    net_minor: int = 0
    funded: tuple[Funded, ...] = ()
    regranted: tuple[Slice, ...] = ()
    refunded: tuple[Funded, ...] = ()


class Returned(msgspec.Struct, frozen=True, kw_only=True):
    """What a return posted, for its void: its own rows and those that settled its debts since.

    `reversed` is none where it was posted without the receipt that it names. `instead_of` is as in `Recorded`.
    """

    ref: EventRef
    return_id: str
    account_id: int
    at_partner_id: str
    postings: tuple[Posting, ...]
    reversed: Reversed | None = None
    instead_of: EventRef | None = None


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """Something that does not add up about an event: a worklist row with the figures of both sides."""

    of: EventRef
    cause: str
    figures: dict[str, int | str]


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What an earlier event posted, less what reversals have taken back of it since.

    `granted` includes what a return granted anew for goods that were kept. `redeemed` is in the order in which the
    slices were used. `instead_of` is the place of the event that it was posted for by people, where it has not its own.
    """

    ref: EventRef
    receipt_id: str
    account_id: int
    period_no: int
    at_partner_id: str
    at_terms_id: str
    net_minor: int
    granted: tuple[Slice, ...] = ()
    redeemed: tuple[Slice, ...] = ()
    funded: tuple[Funded, ...] = ()
    instead_of: EventRef | None = None


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """What an event does to the books. With `waits_for` set it does nothing yet.

    `shared_uses` advance counters of no account; `on` is the business date, from which lots know when they were earned;
    `leased` is how leases changed, `reclaimed` the lease that ended without word of its holder, `takes_over` the
    account whose sales are this one's from here on. `ages` is since when points that arrive were held where they come
    from, none where nobody remembers; `redated` which lots' points have another last valid day from here on.
    `certificates` are those that it touched, as they are from here on, by token. `returned` is set of a return.
    """

    ref: EventRef
    account_id: int = NOBODY
    account_version: int = 0
    postings: tuple[Posting, ...] = ()
    owed: tuple[Debt, ...] = ()
    repaid: tuple[Debt, ...] = ()
    uses: tuple[Use, ...] = ()
    flags: tuple[Flag, ...] = ()
    reversed: Reversed | None = None
    recorded: Recorded | None = None
    waits_for: EventRef | None = None
    shared_uses: tuple[Use, ...] = ()
    on: date | None = None
    leased: tuple[LeaseStep, ...] = ()
    reclaimed: str = ""
    takes_over: int = NOBODY
    ages: tuple[tuple[LotKey, date | None], ...] = ()
    redated: tuple[Redated, ...] = ()
    certificates: tuple[tuple[str, Certificate], ...] = ()
    returned: Returned | None = None


class Account(msgspec.Struct, kw_only=True):
    """A working copy of one account: version, lots by key, debts oldest first, when lots were first earned, what lapsed
    of each lot, and what is left of its leases by lot; of a lease that was `reclaimed` nothing is. `redated` is the
    last valid day that a lot's points were given."""

    version: int = 0
    lots: dict[LotKey, int] = msgspec.field(default_factory=dict)
    debts: list[Debt] = msgspec.field(default_factory=list)
    earned_on: dict[LotKey, date] = msgspec.field(default_factory=dict)
    expired: dict[LotKey, int] = msgspec.field(default_factory=dict)
    leases: dict[str, dict[LotKey, int]] = msgspec.field(default_factory=dict)
    reclaimed: set[str] = msgspec.field(default_factory=set)
    redated: dict[LotKey, date] = msgspec.field(default_factory=dict)


class Books:
    """Accounts and recorded events that the events at hand name; changes are taken in one after the other."""

    def __init__(self, terms: Iterable[Terms], period_no: int) -> None:
        self.terms = tuple(terms)
        self.period_no = period_no
        self.accounts: dict[int, Account] = {}
        self._recorded: dict[EventRef, Recorded] = {}
        self._instead: dict[tuple[EventRef, str], EventRef] = {}
        self._returned: dict[EventRef, Returned] = {}
        self._terms_ids: dict[tuple[str, date], str] = {}
        self.certificates: dict[str, Certificate] = {}

    def account(self, account_id: int) -> Account:
        """The working copy; an account nobody opened is new and empty."""
        found = self.accounts.get(account_id)
        if found is None:
            found = self.accounts[account_id] = Account()
        return found

    def certificate(self, code: str) -> Certificate:
        """A certificate as it stands; one that nobody opened was never sold."""
        return self.certificates.get(code, UNSOLD)

    def lots(self, account_id: int) -> tuple[Lot, ...]:
        """The account's open lots, lapsed ones included."""
        account = self.account(account_id)
        return tuple(
            Lot(key=key, points=points, earned_on=account.earned_on.get(key))
            for key, points in account.lots.items()
            if points
        )

    def recorded(self, ref: EventRef) -> Recorded | None:
        """What an earlier event posted; none while it has not arrived."""
        return self._recorded.get(ref)

    def taken_back(self, of: EventRef, receipt_id: str) -> Recorded | None:
        """What the receipt posted that a reversal names, less what has come back of it; none while it has not arrived.

        Args:
            of: its place, where another one may stand: a till whose disk went back gives a place twice.
            receipt_id: its id; "" takes whatever receipt stands there.
        """
        there = self._recorded.get(of)
        if there is not None and receipt_id in ("", there.receipt_id):
            return there
        instead = self._instead.get((of, receipt_id))
        return self._recorded.get(instead) if instead is not None else None

    def remember(self, recorded: Recorded) -> None:
        """Put in what an earlier event posted."""
        self._recorded[recorded.ref] = recorded
        if recorded.instead_of is not None:
            self._instead[recorded.instead_of, recorded.receipt_id] = recorded.ref

    def returned(self, undoes: EventRef, return_id: str) -> Returned | None:
        """What the return posted that a void undoes; none while it has not arrived. Args: as of `taken_back`."""
        there = self._returned.get(undoes)
        if there is not None and return_id in ("", there.return_id):
            return there
        instead = self._instead.get((undoes, return_id))
        return self._returned.get(instead) if instead is not None else None

    def remember_return(self, returned: Returned) -> None:
        """Put in what an earlier return posted."""
        self._returned[returned.ref] = returned
        if returned.instead_of is not None:
            self._instead[returned.instead_of, returned.return_id] = returned.ref

    def terms_id(self, partner_id: str, on: date) -> str:
        """The terms that hold for a partner on a date; `NO_TERMS` where none do."""
        found = self._terms_ids.get((partner_id, on))
        if found is None:
            terms = terms_on(self.terms, partner_id, on)
            found = self._terms_ids[partner_id, on] = terms.terms_id if terms else NO_TERMS
        return found

    def take(self, posted: Posted) -> None:
        """Fold in what an event did, so that the next one sees it."""
        if posted.waits_for is not None:
            return
        self.certificates.update(posted.certificates)
        if posted.account_id != NOBODY:
            account = self.account(posted.account_id)
            account.version = posted.account_version
            _move(account, posted.postings, posted.on, dict(posted.ages))
            account.redated.update((one.key, one.valid_through) for one in posted.redated)
            _owe(account, posted.owed, posted.repaid)
            for step in posted.leased:
                left = account.leases.setdefault(step.lease_id, {})
                left[step.key] = left.get(step.key, 0) + step.points
            if posted.reclaimed:
                account.reclaimed.add(posted.reclaimed)
        if posted.takes_over != NOBODY:
            for sold in [one for one in self._recorded.values() if one.account_id == posted.takes_over]:
                self.remember(msgspec.structs.replace(sold, account_id=posted.account_id))
            for one in [one for one in self._returned.values() if one.account_id == posted.takes_over]:
                self.remember_return(msgspec.structs.replace(one, account_id=posted.account_id))
        if posted.recorded is not None:
            self.remember(posted.recorded)
        if posted.returned is not None:
            self.remember_return(posted.returned)
        if posted.reversed is not None and (whole := self._recorded.get(posted.reversed.of)):
            self.remember(less(whole, posted.reversed))
        for posting in posted.postings:
            self._belongs_to(posting)

    def _belongs_to(self, posting: Posting) -> None:
        """A spend that later points covered counts as redeemed by the receipt that spent, and what a return granted
        anew for the goods that were kept counts as granted by the receipt that sold them."""
        if posting.of == posting.by or posting.key.terms_id in (STORED, "delta"):
            return
        if (returned := self._returned.get(posting.of)) is not None:
            self.remember_return(msgspec.structs.replace(returned, postings=(*returned.postings, posting)))
        whole = self._recorded.get(posting.of)
        if whole is None or posting.unit != "point":
            return
        if posting.target == "redeemed":
            part = Slice(key=posting.key, points=posting.amount)
            self.remember(msgspec.structs.replace(whole, redeemed=(*whole.redeemed, part)))
        elif posting.source == "issued":
            self.remember(with_granted(whole, posting.key, posting.amount))


def with_granted(whole: Recorded, key: LotKey, points: int) -> Recorded:
    """What an event granted, with more in one lot."""
    granted = {slice_.key: slice_.points for slice_ in whole.granted}
    granted[key] = granted.get(key, 0) + points
    return msgspec.structs.replace(
        whole, granted=tuple(Slice(key=key, points=points) for key, points in granted.items())
    )


def less(whole: Recorded, taken: Reversed) -> Recorded:
    """What is left of an event once a reversal has taken its part, or given one back."""
    granted = {slice_.key: slice_.points for slice_ in whole.granted}
    for slice_ in taken.granted:
        granted[slice_.key] -= slice_.points
    for slice_ in taken.regranted:
        granted[slice_.key] = granted.get(slice_.key, 0) + slice_.points
    funded = {part.partner_id: part.amount_minor for part in whole.funded}
    for part in taken.funded:
        funded[part.partner_id] -= part.amount_minor
    for part in taken.refunded:
        funded[part.partner_id] = funded.get(part.partner_id, 0) + part.amount_minor
    return msgspec.structs.replace(
        whole,
        granted=tuple(Slice(key=key, points=points) for key, points in granted.items() if points),
        redeemed=_without_last(whole.redeemed, taken.restored_points),
        net_minor=whole.net_minor - taken.net_minor,
        funded=tuple(Funded(partner_id=partner, amount_minor=amount) for partner, amount in funded.items() if amount),
    )


def _without_last(used: tuple[Slice, ...], points: int) -> tuple[Slice, ...]:
    keep = points_in(used) - points
    kept = []
    for slice_ in used:
        if keep > 0:
            kept.append(Slice(key=slice_.key, points=min(slice_.points, keep)))
            keep -= slice_.points
    return tuple(kept)


def _move(account: Account, postings: Iterable[Posting], on: date | None, ages: Mapping[LotKey, date | None]) -> None:
    for posting in postings:
        if posting.unit != "point":
            continue
        if posting.source in EARNS and posting.target == "available" and on is not None:
            _remember_earning(account, posting.key, ages.get(posting.key, on))
        if posting.target == "available":
            account.lots[posting.key] = account.lots.get(posting.key, 0) + posting.amount
        if posting.source == "available":
            account.lots[posting.key] = account.lots.get(posting.key, 0) - posting.amount
        if lapsed := (posting.target == "expired") - (posting.source == "expired"):
            account.expired[posting.key] = account.expired.get(posting.key, 0) + lapsed * posting.amount


def _remember_earning(account: Account, key: LotKey, on: date | None) -> None:
    """A lot that held nothing is earned on this day; one with points that nobody remembers is the oldest."""
    if on is None:
        account.earned_on.pop(key, None)
    elif not account.lots.get(key):
        account.earned_on[key] = on
    elif key in account.earned_on:
        account.earned_on[key] = min(account.earned_on[key], on)


def _owe(account: Account, owed: Iterable[Debt], repaid: Iterable[Debt]) -> None:
    account.debts.extend(owed)
    for part in repaid:
        at = next(i for i, debt in enumerate(account.debts) if same_debt(debt, part))
        left = account.debts[at].points - part.points
        account.debts[at : at + 1] = [msgspec.structs.replace(account.debts[at], points=left)] if left else []


def same_debt(one: Debt, other: Debt) -> bool:
    """Whether two rows are parts of one debt: the same event, issuer and terms."""
    return (one.of, one.issuer_id, one.terms_id) == (other.of, other.issuer_id, other.terms_id)
