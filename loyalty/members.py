"""What is known of a member: the row the centre published plus the till's own uses not in it yet.

A counter is a use whose amounts add; under a name that starts with `last:` the greatest counts. Adding is
commutative, so a till and the centre reach the same counters whatever the order of arrival.
Source: house.md, "History-dependent rules".
"""

import re
from calendar import monthrange
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Literal

import msgspec

from loyalty.amounts import Step

# Uses that this till derives from its own events; the row's balance holds the rest.
EARNED = "points:earned"
REVERSED = "points:reversed"
SPENT = "points:spent"
LEASED = "points:leased"  # what holds and leases set aside, less what was spent of it or given back
VISITS = "visits"
LAST_VISIT = "last:visit"  # the business date as a number of days, 1 January of the year 1 being 1
WALLET = "wallet"

_MMDD = re.compile("(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")
AccountId = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]  # drawn by the centre; 0 is nobody's


class Use(msgspec.Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """One step of a counter, such as `promo:spring` +1; the period is part of the name."""

    name: str
    amount: Step


class WalletItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A coupon or certificate as the till knows it: in a member's wallet, or in the hand of whoever brings it.

    Attributes:
        code: as it is entered; of a certificate a token, for it stands for money.
        of: the kind of coupon; of a certificate empty.
        account_id: whose it is; none serves its bearer.
        used: how often it was used already, as far as the till was told.
        balance_minor: what is left on a certificate.
        refused: why the till takes nothing of it now, a code of `loyalty.pricing.coupons.SAY`; "" where it may.
        held_until_ms: until when head office had set `balance_minor` aside for this till; 0 where it had not.
    """

    code: str
    kind: Literal["coupon", "certificate"] = "coupon"
    of: str = ""
    account_id: int | None = None
    from_on: date | None = None
    through: date | None = None
    used: int = 0
    balance_minor: int = 0
    refused: str = ""
    held_until_ms: int = 0


class MemberRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An account as the centre published it.

    Attributes:
        version: number of events folded into the account when the row was made.
        own_seq: last event of the receiving till's stream (present epoch) that is in it.
        counters: sorted by name; none where this till does not hold them.
        lapsing_points, lapsing_on: the points that lapse next, and their last valid day.
        tier_through: the last day of the tier.
        stored_minor: money in the member's wallet; `wallet`: its coupons and certificates.
        leased_points: of the balance, set aside by holds and leases at any till.
        lapsing_later: the next last valid days after `lapsing_on` with their points, for whoever asks for the balance.
    """

    account_id: int
    version: int
    own_seq: int = 0
    balance_points: int = 0
    tier: str = ""
    segments: tuple[str, ...] = ()
    birthday_mmdd: str = ""
    counters: tuple[Use, ...] | None = None
    joined_on: date | None = None
    lapsing_points: int = 0
    lapsing_on: date | None = None
    tier_through: date | None = None
    stored_minor: int = 0
    wallet: tuple[WalletItem, ...] = ()
    leased_points: int = 0
    lapsing_later: tuple[tuple[date, int], ...] = ()


class PublishedMember(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A row of the members lane: the account, the tokens of its cards, and the language it is spoken to in.

    `home` says that it belongs to the receiving till's own store, which alone is told its counters. A `closed` one is
    a tombstone: the till forgets the account.
    """

    row: MemberRow
    cards: tuple[str, ...]
    language: str = ""
    closed: bool = False
    home: bool = False


class HotlistedCard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A row of the hotlist lane: a card not to be served, or served again once `lifted`."""

    card_token: str
    reason: str
    lifted: bool = False


class MemberView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a quote is told of a member; every field of it travels in the receipt.

    `account_id` is none for a card that this till does not know yet: it earns under its token and spends nothing.
    `balance_points` counts what this till granted and took since the row; `spendable_points` only what it took.
    `birthday_in_days` and `anniversary_in_days` are signed, to the nearest one.
    """

    account_id: int | None = None
    version: int = 0
    balance_points: int = 0
    spendable_points: int = 0
    tier: str = ""
    segments: tuple[str, ...] = ()
    birthday_in_days: int | None = None
    counters: tuple[Use, ...] | None = None
    anniversary_in_days: int | None = None
    lapsing_points: int = 0
    lapsing_on: date | None = None
    tier_through: date | None = None
    stored_minor: int = 0
    wallet: tuple[WalletItem, ...] = ()


UNKNOWN_CARD = MemberView()


def view_of(row: MemberRow, own_uses: Iterable[Use], *, held_points: int = 0, on: date | None = None) -> MemberView:
    """The member as this till may treat them now.

    Args:
        row: the last row that came down.
        own_uses: uses of this till's own events later than `row.own_seq`, in any order.
        held_points: points in this till's open holds of the account.
        on: the business date, from which birthday and anniversary are counted; without it they are not known.
    """
    own = add_uses((), own_uses)
    earned, gone = counter(own, EARNED), counter(own, SPENT) + counter(own, REVERSED)
    counters = None
    if row.counters is not None:
        counters = add_uses(row.counters, (use for use in own if not use.name.startswith("points:")))
    return MemberView(
        account_id=row.account_id,
        version=row.version,
        balance_points=row.balance_points + earned - gone,
        # What this till granted becomes spendable when it comes back in a row; what is leased, under its lease.
        spendable_points=max(0, row.balance_points - gone - leased_of(row, own) - held_points),
        tier=row.tier,
        segments=row.segments,
        birthday_in_days=_days_to(row.birthday_mmdd, on),
        counters=counters,
        anniversary_in_days=_days_to(f"{row.joined_on:%m-%d}", on, row.joined_on.year + 1) if row.joined_on else None,
        lapsing_points=max(0, row.lapsing_points - counter(own, SPENT) - min(0, counter(own, LEASED))),
        lapsing_on=row.lapsing_on,
        tier_through=row.tier_through,
        stored_minor=max(0, row.stored_minor + counter(own, WALLET)),
        wallet=tuple(_since(item, own) for item in row.wallet),
    )


def leased_of(row: MemberRow, own: Iterable[Use]) -> int:
    """Points of the row that holds and leases still set aside, this till's own uses counted."""
    return max(0, row.leased_points + counter(own, LEASED))


def row_after(row: MemberRow, uses: Iterable[Use], *, points: int) -> MemberRow:
    """The row once a receipt is in it.

    Args:
        uses: what it adds to the member's counters.
        points: granted less spent.
    """
    own = tuple(uses)
    return msgspec.structs.replace(
        row,
        version=row.version + 1,
        balance_points=row.balance_points + points,
        counters=None if row.counters is None else add_uses(row.counters, own),
        stored_minor=max(0, row.stored_minor + counter(own, WALLET)),
        wallet=tuple(_since(item, own) for item in row.wallet),
    )


def view_after(view: MemberView, uses: Iterable[Use], *, points_spent: int) -> MemberView:
    """What a receipt left of the points that lapse next and of the wallet; all else as it was told of.

    Args:
        uses: what the receipt adds to the member's counters.
    """
    own = tuple(uses)
    return msgspec.structs.replace(
        view,
        lapsing_points=max(0, view.lapsing_points - points_spent),
        stored_minor=max(0, view.stored_minor + counter(own, WALLET)),
        wallet=tuple(_since(item, own) for item in view.wallet),
    )


def coupon_use(code: str) -> str:
    """The counter behind a coupon."""
    return f"coupon:{code}"


def certificate_use(code: str) -> str:
    """The counter behind what is on a certificate."""
    return f"certificate:{code}"


def _since(item: WalletItem, own: Iterable[Use]) -> WalletItem:
    """An item of the wallet with what this till did since."""
    return msgspec.structs.replace(
        item,
        used=max(0, item.used + counter(own, coupon_use(item.code))),
        balance_minor=max(0, item.balance_minor + counter(own, certificate_use(item.code))),
    )


def _days_to(mmdd: str, on: date | None, first_year: int = date.min.year) -> int | None:
    """Days to the nearest of a yearly day from a year on, signed; a day that a year lacks is the last of its month."""
    if on is None or not _MMDD.fullmatch(mmdd):
        return None
    month, day = int(mmdd[:2]), int(mmdd[3:])
    years = (year for year in (on.year - 1, on.year, on.year + 1) if first_year <= year <= date.max.year)
    days = [(date(year, month, min(day, monthrange(year, month)[1])) - on).days for year in years]
    return min(days, key=lambda one: (abs(one), -one), default=None)


def add_uses(counters: Iterable[Use], uses: Iterable[Use]) -> tuple[Use, ...]:
    """Fold uses into counters; sorted by name, and a counter back at zero disappears."""
    counters, uses = tuple(counters), tuple(uses)
    if not counters and not uses:
        return ()
    folded: dict[str, int] = {use.name: use.amount for use in counters}
    for use in uses:
        if use.name.startswith("last:"):
            folded[use.name] = max(folded.get(use.name, use.amount), use.amount)
        else:
            folded[use.name] = folded.get(use.name, 0) + use.amount
    return tuple(Use(name=name, amount=folded[name]) for name in sorted(folded) if folded[name])


def counter(counters: Iterable[Use], name: str) -> int:
    """The value of one counter, 0 where it has none."""
    return next((use.amount for use in counters if use.name == name), 0)


def here_already(view: MemberView, on: date) -> MemberView:
    """The same member as if they had been here before on a day: what they do next is no visit of theirs."""
    if view.counters is None:
        return view
    counters = add_uses(view.counters, (Use(name=LAST_VISIT, amount=on.toordinal()),))
    return msgspec.structs.replace(view, counters=counters)


def undone(uses: Iterable[Use]) -> tuple[Use, ...]:
    """The uses that take these back; the date of a visit stays."""
    return tuple(Use(name=use.name, amount=-use.amount) for use in uses if not use.name.startswith("last:"))
