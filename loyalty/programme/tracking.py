"""Which counters a programme looks at, so that receipts carry these and no others."""

from collections.abc import Iterable

from loyalty.programme.benefits import Period, Scale
from loyalty.programme.programme import Programme, Tier
from loyalty.programme.promotion import Lapsed, Message, OnEvent, PeriodSpendIs, PurchaseIs

VISIT = "visit"  # the event that the first sale of a day is


def shared_counters(programme: Programme) -> Iterable[str]:
    """Counters of no account that limits look at: those that everybody has together."""
    for promotion in programme.promotions:
        if promotion.limits and promotion.limits.times_in_all:
            yield f"promo:{promotion.id}"
        if promotion.limits and promotion.limits.budget_minor:
            yield f"budget:{promotion.id}"


def said_counter(message: Message, promotion_id: str, n: int) -> str:
    """The counter of a sentence that is heard only so often, without its period.

    Args:
        promotion_id: empty for the programme's own.
        n: its place among the sentences of its promotion, or of the programme.
    """
    at_till = message.at_most is not None and message.at_most.each == "till"
    return f"{'said_here' if at_till else 'said'}:{promotion_id}:{n}"


def said_here(programme: Programme) -> Iterable[tuple[str, str]]:
    """Counters of sentences that each till says only so often, each with its period."""
    owners = [("", programme.messages), *((one.id, one.messages) for one in programme.promotions)]
    for promotion_id, messages in owners:
        for n, message in enumerate(messages):
            if message.at_most is not None and message.at_most.each == "till":
                yield said_counter(message, promotion_id, n), message.at_most.per


def tracked(programme: Programme) -> tuple[tuple[str, Period], ...]:
    """What a rule or a tier looks at of the member's past, each once, sorted."""
    found: set[tuple[str, Period]] = set()
    for promotion in programme.promotions:
        if isinstance(promotion.trigger, OnEvent) and promotion.trigger.event == VISIT:
            found.add(("last:visit", "ever"))
        for condition in promotion.when:
            if isinstance(condition, PurchaseIs):
                found.add(("visits", "ever"))
            elif isinstance(condition, Lapsed):
                found.add(("last:visit", "ever"))
            elif isinstance(condition, PeriodSpendIs):
                found.add(("spend", condition.period))
        for benefit in promotion.then:
            if isinstance(benefit, Scale) and benefit.by == "period_spend":
                found.add(("spend", benefit.period))
    for tier in programme.tiers:
        found.update(_tracked_by(tier))
    return tuple(sorted(found))


def _tracked_by(tier: Tier) -> Iterable[tuple[str, Period]]:
    for threshold in (tier.reach, tier.keep):
        if threshold is not None:
            name = "visits" if threshold.spend_minor is None else "spend"
            yield (name, "day" if threshold.days is not None else threshold.period)
