"""What is known of a member: the row the centre published plus the till's own uses not in it yet.

A counter is a use whose amounts add; under a name that starts with `last:` the greatest counts. Adding is
commutative, so a till and the centre reach the same counters whatever the order of arrival.
Source: house.md, "History-dependent rules".
"""

from collections.abc import Iterable
from typing import Annotated

import msgspec

from loyalty.amounts import Step

# Uses that this till derives from its own events; the row's balance holds the rest.
EARNED = "points:earned"
REVERSED = "points:reversed"
SPENT = "points:spent"

AccountId = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]  # drawn by the centre; 0 is nobody's


class Use(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One step of a counter, such as `promo:spring` +1; the period is part of the name."""

    name: str
    amount: Step


class MemberRow(msgspec.Struct, frozen=True, kw_only=True):
    """An account as the centre published it.

    Attributes:
        version: number of events folded into the account when the row was made.
        own_seq: last event of the receiving till's stream (present epoch) that is in it.
        counters: sorted by name; none where this till does not hold them.
    """

    account_id: int
    version: int
    own_seq: int = 0
    balance_points: int = 0
    tier: str = ""
    segments: tuple[str, ...] = ()
    birthday_mmdd: str = ""
    counters: tuple[Use, ...] | None = None


class PublishedMember(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A row of the members lane: the account, the tokens of its cards, and the language it is spoken to in."""

    row: MemberRow
    cards: tuple[str, ...]
    language: str = ""
    closed: bool = False


class HotlistedCard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A row of the hotlist lane: a card not to be served, or served again once `lifted`."""

    card_token: str
    reason: str
    lifted: bool = False


class MemberView(msgspec.Struct, frozen=True, kw_only=True):
    """What a quote is told of a member; every field of it travels in the receipt.

    `account_id` is none for a card that this till does not know yet: it earns under its token and spends nothing.
    `balance_points` counts what this till granted and took since the row; `spendable_points` only what it took.
    """

    account_id: int | None = None
    version: int = 0
    balance_points: int = 0
    spendable_points: int = 0
    tier: str = ""
    segments: tuple[str, ...] = ()
    birthday_in_days: int | None = None
    counters: tuple[Use, ...] | None = None


UNKNOWN_CARD = MemberView()


def view_of(row: MemberRow, own_uses: Iterable[Use], *, held_points: int = 0) -> MemberView:
    """The member as this till may treat them now.

    Args:
        row: the last row that came down.
        own_uses: uses of this till's own events later than `row.own_seq`, in any order.
        held_points: points in this till's open holds of the account.
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
        # What this till granted becomes spendable when it comes back in a row.
        spendable_points=max(0, row.balance_points - gone - held_points),
        tier=row.tier,
        segments=row.segments,
        counters=counters,
    )


def add_uses(counters: Iterable[Use], uses: Iterable[Use]) -> tuple[Use, ...]:
    """Fold uses into counters; sorted by name, and a counter back at zero disappears."""
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


def undone(uses: Iterable[Use]) -> tuple[Use, ...]:
    """The uses that take these back; the date of a visit stays."""
    return tuple(Use(name=use.name, amount=-use.amount) for use in uses if not use.name.startswith("last:"))
