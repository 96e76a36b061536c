"""Tiers of membership: reach, keep, grace, and the day a member goes down.

A tier is a fact that the centre works out with `judge_tier` and publishes; a till only tells how far the next one is.
Source: engine.md capability 24; docs/programme.md "Tiers".
"""

from collections.abc import Mapping
from datetime import date, timedelta

import msgspec

from loyalty.members import MemberView
from loyalty.moments import in_period
from loyalty.programme.programme import Programme, Threshold, Tier


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A member's tier and the last day it lasts without being earned again; none for the tier everybody has."""

    tier: str
    through: date | None = None


class TierProgress(msgspec.Struct, frozen=True, kw_only=True):
    """The member's tier, and what the next one wants: `found` counts this receipt."""

    tier: str
    through: date | None = None
    next_tier: str = ""
    measure: str = ""
    wanted: int = 0
    found: int = 0
    short_of: int = 0


def judge_tier(programme: Programme, standing: Standing, counters: Mapping[str, int], today: date) -> Standing:
    """The tier that a member has on a day, from the one they had and what they did.

    Args:
        standing: as it was judged last.
        counters: of the account, by name; those of past periods too, as long as thresholds look at them.
        today: on which it is judged; judging again on the same day changes nothing.
    Returns:
        The highest tier that is reached now; else the one they have, while it lasts and through its days of grace; else
        the highest one that was kept or reached.
    """
    while True:
        judged = _judged_once(programme, standing, counters, today)
        if judged.through is None or today <= judged.through or judged == standing:
            return judged
        standing = judged  # what it says ended before today, and is judged in its turn


def _judged_once(programme: Programme, standing: Standing, counters: Mapping[str, int], today: date) -> Standing:
    tiers = programme.tiers
    have = _level(programme, standing.tier)
    reached = max((n for n, tier in enumerate(tiers) if is_met(tier.reach, counters, today)), default=-1)
    if reached > have:
        return _lasting(tiers[reached], today)
    if have < 0:
        return Standing(tier=programme.base_tier)
    tier, through = tiers[have], standing.through
    if through is None:
        return _lasting(tier, today)
    if today <= through:
        return standing
    # It ended; what it takes to keep it is measured on its last day, and while the days of grace run.
    if is_met(tier.keep or tier.reach, counters, through):
        return _renewed(tier, through)
    if today <= through + timedelta(days=tier.grace_days):
        return _lasting(tier, today) if is_met(tier.keep or tier.reach, counters, today) else standing
    kept = (n for n, one in enumerate(tiers[:have]) if is_met(one.keep or one.reach, counters, through))
    level = max(kept, default=-1)
    if reached >= level and reached >= 0:
        return _lasting(tiers[reached], today)
    return _renewed(tiers[level], through) if level >= 0 else Standing(tier=programme.base_tier)


def is_met(threshold: Threshold, counters: Mapping[str, int], today: date) -> bool:
    """Whether a member has what a threshold wants, as of a day."""
    return measured(threshold, counters, today) >= (threshold.spend_minor or threshold.purchases or 0)


def measured(threshold: Threshold, counters: Mapping[str, int], today: date) -> int:
    """What a member has of it: in the period that a day lies in, or in the days that end with it."""
    name = "visits" if threshold.spend_minor is None else "spend"
    if threshold.days is None:
        return counters.get(in_period(name, threshold.period, today), 0)
    first = max(date.min.toordinal(), today.toordinal() - threshold.days + 1)
    days = (date.fromordinal(one) for one in range(first, today.toordinal() + 1))
    return sum(counters.get(in_period(name, "day", day), 0) for day in days)


def progress(
    programme: Programme, view: MemberView | None, counters: Mapping[str, int] | None, today: date, *, net_minor: int
) -> TierProgress | None:
    """How far the next tier is, once this receipt counts; none where there are no tiers or the past is not known."""
    if not programme.tiers or view is None or counters is None:
        return None
    tier = view.tier or programme.base_tier
    level = _level(programme, tier)
    if level + 1 >= len(programme.tiers):
        return TierProgress(tier=tier, through=view.tier_through)
    upper = programme.tiers[level + 1]
    by_spend = upper.reach.spend_minor is not None
    found = measured(upper.reach, counters, today) + (net_minor if by_spend else 1)
    wanted = upper.reach.spend_minor or upper.reach.purchases or 0
    return TierProgress(
        tier=tier,
        through=view.tier_through,
        next_tier=upper.id,
        measure="spend" if by_spend else "purchases",
        wanted=wanted,
        found=found,
        short_of=max(0, wanted - found),
    )


def _level(programme: Programme, tier: str) -> int:
    """Its place among the tiers, lowest first; -1 for one that is not among them."""
    return next((n for n, one in enumerate(programme.tiers) if one.id == tier), -1)


def _lasting(tier: Tier, since: date) -> Standing:
    if tier.lasts_days is not None:
        return Standing(tier=tier.id, through=since + timedelta(days=tier.lasts_days - 1))
    return Standing(tier=tier.id, through=date(since.year + 1, 12, 31))


def _renewed(tier: Tier, through: date) -> Standing:
    """A tier for its next term, once the last one has ended."""
    if tier.lasts_days is not None:
        return Standing(tier=tier.id, through=through + timedelta(days=tier.lasts_days))
    return Standing(tier=tier.id, through=date(through.year + 1, 12, 31))
