"""Counters that go with points where these are worked out again: what stands of them is what the kept goods count.

They are those of promotions that only grant points, and caps of points. All others come back as `returned_uses` says.
Source: docs/programme.md "Returns", option `points_on_return`.
"""

from collections.abc import Iterable

import msgspec

from loyalty.facts.receipts import Receipt, ReceiptDetail
from loyalty.members import Use, add_uses
from loyalty.pricing.quotes import Quote
from loyalty.programme.benefits import POINTS
from loyalty.programme.compiled import Compiled


class StillCounted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is counted of a receipt: its member's counters, and those that everybody shares."""

    own: tuple[Use, ...] = ()
    shared: tuple[Use, ...] = ()


NOTHING_COUNTED = StillCounted()


class FollowsPoints:
    """Which counters of a sale go with its points.

    Args:
        compiled: that the points are worked out under; a promotion that does more there than grant points does not.
    """

    def __init__(self, receipt: Receipt, detail: ReceiptDetail, compiled: Compiled) -> None:
        off = {effect.promotion for effect in detail.effects if effect.amount_minor}
        granting = {effect.promotion for effect in detail.effects if effect.points}
        counting = {_promotion(use.name) for use in (*receipt.uses, *receipt.shared_uses) if is_limit(use.name)}
        beside = {one.id for one in compiled.programme.promotions
                  if one.id in counting and not all(isinstance(part, POINTS) for part in one.then)}  # fmt: skip
        self._stay = counting & off | counting & beside | counting - granting
        self._kept = detail.rules.kept

    def __call__(self, name: str) -> bool:
        """Whether the counter of this name does."""
        if not is_limit(name) or name in self._kept:
            return False
        return (name.startswith("cap:") and name.split(":")[2:3] == ["points"]) or _promotion(name) not in self._stay

    def counts(self, quote: Quote) -> StillCounted:
        """What goods count that earn these points."""
        granting = {effect.promotion for effect in quote.effects if effect.points}

        def of(uses: Iterable[Use]) -> tuple[Use, ...]:
            return tuple(use for use in uses if self(use.name) and _promotion(use.name) in granting)

        return StillCounted(own=of(quote.uses), shared=of(quote.shared_uses))


def counted_of(receipt: Receipt, returns: Iterable[tuple[Iterable[Use], Iterable[Use]]]) -> StillCounted:
    """What still stands of the limits and caps that a receipt counts under.

    Args:
        returns: of each return before, the uses of its member and of everybody.
    """
    own, shared = list(receipt.uses), list(receipt.shared_uses)
    for of_member, of_all in returns:
        own += of_member
        shared += of_all
    return StillCounted(own=_limits(own), shared=_limits(shared))


def at_most(stands: StillCounted, counted: StillCounted) -> StillCounted:
    """No more of any counter than is counted already."""
    both = ((stands.own, counted.own), (stands.shared, counted.shared))
    own, shared = (
        tuple(Use(name=use.name, amount=min(use.amount, _amount(before, use.name))) for use in now)
        for now, before in both
    )
    return StillCounted(own=own, shared=shared)


def limits_back(
    back: Iterable[Use],
    counted: tuple[Use, ...],
    stands: tuple[Use, ...],
    follows: FollowsPoints | None,
    kept: Iterable[str],
    *,
    whole: bool,
) -> tuple[Use, ...]:
    """The uses that a return takes back, by name, those that come to nothing left out.

    Args:
        back: by the shares of what comes back.
        counted: limits and caps that stand before it; `stands`: what the kept goods count of those that `follows`,
            none where points were not worked out again.
        kept: names that never come back.
        whole: nothing is left; what stands comes back, however the parts before came.
    """
    steps = {use.name: use.amount for use in back}
    for name in {name for name in (*steps, *(use.name for use in (*counted, *stands))) if is_limit(name)} - set(kept):
        before = _amount(counted, name)
        if whole:
            steps[name] = -before
        elif follows is not None and follows(name):
            steps[name] = _amount(stands, name) - before
        else:
            steps[name] = max(steps.get(name, 0), -before)
    return tuple(Use(name=name, amount=steps[name]) for name in sorted(steps) if steps[name])


def is_limit(name: str) -> bool:
    """Whether a counter is that of a promotion's limit or cap in uses, units or points."""
    return name.startswith(("promo:", "cap:"))


def _limits(uses: Iterable[Use]) -> tuple[Use, ...]:
    return tuple(use for use in add_uses((), (use for use in uses if is_limit(use.name))) if use.amount)


def _promotion(name: str) -> str:
    return name.split(":")[1]


def _amount(uses: Iterable[Use], name: str) -> int:
    return next((use.amount for use in uses if use.name == name), 0)
