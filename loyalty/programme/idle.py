"""Parts of a programme that have no effect where they stand, or less than they say: limits, caps, coupons, tiers."""

from collections.abc import Iterator
from itertools import pairwise

from loyalty.programme.benefits import (
    AmountOff,
    Benefit,
    BuyGet,
    IssueCoupon,
    PercentOff,
    Points,
    PriceList,
    Scale,
    SetPrice,
)
from loyalty.programme.doubts import Doubt
from loyalty.programme.programme import Options, Programme, Threshold, Tier
from loyalty.programme.promotion import ByCoupon, Cap, Promotion
from loyalty.programme.words import Path


def doubts_about_effect(programme: Programme) -> Iterator[Doubt]:
    """Everything that stands there in vain, in the order of the document's parts."""
    if programme.options.expiry_at != "24:00" and programme.options.expiry != "instant":
        say = "Points are gone at this time only with `expiry: instant`; write that too, or take expiry_at out."
        yield Doubt(path=("options", "expiry_at"), rule="no_effect", say=say)
    for i, promotion in enumerate(programme.promotions):
        yield from _promotion(("promotions", i), promotion, programme.options)
    yield from _coupons(programme)
    yield from _tiers(programme.tiers)


def _promotion(path: Path, promotion: Promotion, options: Options) -> Iterator[Doubt]:
    takes, grants = promotion.takes_money_off, promotion.grants_points
    if promotion.then and not takes and promotion.stage not in ("main", "earning"):
        say = "It takes no money off, so it runs in the stage earning all the same; take stage out."
        yield Doubt(path=(*path, "stage"), rule="no_effect", say=say)
    if promotion.lifetime is not None and not grants:
        say = "It grants no points that could live so long; take lifetime out."
        yield Doubt(path=(*path, "lifetime"), rule="no_effect", say=say)
    for n, cap in enumerate(promotion.caps):
        yield from _cap((*path, "caps", n), cap, promotion, options)
    if promotion.limits is not None:
        yield from _limits((*path, "limits"), promotion)
    # A price list is the price on the shelf: nobody sees a discount that a partner could be billed for.
    if promotion.funded_by and takes and promotion.stage == "price_list":
        say = (
            f"{promotion.funded_by} pays for prices that customers see as the ordinary ones;"
            " choose the stage main, or take funded_by out."
        )
        yield Doubt(path=(*path, "funded_by"), rule="funded_price_list", say=say)


def _limits(path: Path, promotion: Promotion) -> Iterator[Doubt]:
    limits = promotion.limits
    assert limits is not None
    if limits.budget_minor is not None:
        if not promotion.takes_money_off:
            say = "It takes no money off, so no budget is used up; bound it by times or times_in_all."
            yield Doubt(path=(*path, "budget_minor"), rule="no_effect", say=say)
        elif limits.budget_minor < (most := _fixed_amount(promotion)):
            say = f"The budget is smaller than the {most} that it takes off at once; raise it."
            yield Doubt(path=(*path, "budget_minor"), rule="cap_below_amount", say=say)
    if limits.times and limits.times_in_all and limits.times_in_all < limits.times:
        say = f"One member may have it {limits.times} times, and all of them together less often; raise times_in_all."
        yield Doubt(path=(*path, "times_in_all"), rule="no_effect", say=say)


def _cap(path: Path, cap: Cap, promotion: Promotion, options: Options) -> Iterator[Doubt]:
    capped = {
        "units": any(_counts_units(one, promotion, options) for one in promotion.then),
        "amount": promotion.takes_money_off,
        "points": promotion.grants_points,
    }
    if not capped[cap.of]:
        say = f"Nothing that {promotion.id} does is counted in {cap.of}; cap another measure, or take the cap out."
        yield Doubt(path=path, rule="no_effect", say=say)
    fixed = {"units": 0, "amount": _fixed_amount(promotion), "points": _fixed_points(promotion)}[cap.of]
    if cap.most < fixed:
        say = f"It gives {fixed} at once and may give no more than {cap.most}; raise the cap, or give less."
        yield Doubt(path=(*path, "most"), rule="cap_below_amount", say=say)


def _counts_units(benefit: Benefit, promotion: Promotion, options: Options) -> bool:
    """Whether a cap of units bounds it; of a graduated scale `riddles` speaks."""
    if isinstance(benefit, AmountOff):
        each = promotion.options.amount_each or options.amount_each
        return benefit.per == "unit" or (benefit.per == "each" and each == "unit")
    if isinstance(benefit, Scale):
        return benefit.graduated or all(step.percent_bp for step in benefit.steps)
    return isinstance(benefit, PercentOff | SetPrice | PriceList | BuyGet)


def _fixed_amount(promotion: Promotion) -> int:
    amounts = [one.amount_minor for one in promotion.then if isinstance(one, AmountOff) and one.per == "basket"]
    return max(amounts, default=0)


def _fixed_points(promotion: Promotion) -> int:
    return max((one.points for one in promotion.then if isinstance(one, Points) and one.per == "basket"), default=0)


def _coupons(programme: Programme) -> Iterator[Doubt]:
    """A kind of coupon that sets nothing off: whoever brings one is sent away with it."""
    used = {one.trigger.coupon for one in programme.promotions if isinstance(one.trigger, ByCoupon)}
    issued = {
        benefit.coupon: promotion.id
        for promotion in programme.promotions for benefit in promotion.then if isinstance(benefit, IssueCoupon)
    }  # fmt: skip
    for i, kind in enumerate(programme.coupons):
        if kind.id not in used:
            handed_out = f", though {issued[kind.id]} hands it out" if kind.id in issued else ""
            say = (
                f"No promotion is set off by a coupon {kind.id}{handed_out};"
                f" give one `trigger: {{kind: coupon, coupon: {kind.id}}}`."
            )
            yield Doubt(path=("coupons", i), rule="coupon_unused", say=say)


def _tiers(tiers: tuple[Tier, ...]) -> Iterator[Doubt]:
    for i, tier in enumerate(tiers):
        if tier.keep is not None and _reaches_more(tier.keep, tier.reach):
            say = f"{tier.id} is harder to keep than to reach, so its members lose it again; lower keep."
            yield Doubt(path=("tiers", i, "keep"), rule="tier_order", say=say)
    for i, (low, high) in enumerate(pairwise(tiers), 1):
        if not _reaches_more(high.reach, low.reach) and _comparable(high.reach, low.reach):
            say = f"{high.id} is reached no later than {low.id}, which stands before it; list tiers lowest first."
            yield Doubt(path=("tiers", i, "reach"), rule="tier_order", say=say)


def _comparable(one: Threshold, other: Threshold) -> bool:
    same = (one.spend_minor is None) == (other.spend_minor is None) and one.days == other.days
    return same and (one.days is not None or one.period == other.period)


def _reaches_more(one: Threshold, other: Threshold) -> bool:
    most = (one.spend_minor or one.purchases or 0) > (other.spend_minor or other.purchases or 0)
    return _comparable(one, other) and most
