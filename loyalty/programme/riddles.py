"""What a programme says and nobody could explain to the customer who stands at the till; and slips of a unit."""

from collections.abc import Iterator
from itertools import pairwise

from loyalty.amounts import format_quantity
from loyalty.programme.benefits import AmountOff, Benefit, Bundle, BuyGet, PercentOff, Scale
from loyalty.programme.doubts import Doubt
from loyalty.programme.overlaps import alike, can_meet, within
from loyalty.programme.programme import Options, Programme
from loyalty.programme.promotion import Promotion, QuantityIs
from loyalty.programme.words import Path

LEAST_BP = 100  # one per cent: less is hardly a discount, and `percent_bp: 10` was meant as ten per cent
LEAST_MILLI = 50  # fifty grams: less is hardly goods, and `at_least_milli: 3` was meant as three


def doubts_about_sense(programme: Programme) -> Iterator[Doubt]:
    """Everything that could be read and hardly explained, in the order of the document's parts."""
    for part in ("spending", "certificates"):
        share = getattr(getattr(programme, part), "largest_share_bp", LEAST_BP)
        if 0 < share < LEAST_BP:
            yield _in_bp((part, "largest_share_bp"), share)
    for i, promotion in enumerate(programme.promotions):
        path = ("promotions", i)
        for n, benefit in enumerate(promotion.then):
            yield from _benefit((*path, "then", n), benefit, promotion, programme.options)
        for n, condition in enumerate(promotion.when):
            if isinstance(condition, QuantityIs):
                for name in ("at_least_milli", "at_most_milli"):
                    yield from _in_milli((*path, "when", n, name), getattr(condition, name))
        yield from _in_group(path, promotion, programme)
    yield from _more_than_all(programme)


def _benefit(path: Path, benefit: Benefit, promotion: Promotion, options: Options) -> Iterator[Doubt]:
    if isinstance(benefit, PercentOff):
        own = promotion.options
        per = benefit.per or own.percent_per or options.percent_per
        if per == "unit" and (own.percent_rounding or options.percent_rounding) == "half_even":
            say = (
                "Rounded half even on each unit, goods of nearly one price get different discounts;"
                " round half up, or work it out per line."
            )
            yield Doubt(path=path, rule="hard_to_explain", say=say)
    if isinstance(benefit, PercentOff | BuyGet | Bundle) and (benefit.percent_bp or LEAST_BP) < LEAST_BP:
        yield _in_bp((*path, "percent_bp"), benefit.percent_bp or 0)
    if isinstance(benefit, BuyGet) and benefit.counts and _reaches_further(benefit):
        say = (
            "Some of the rewarded goods count as bought and some do not;"
            " reward only goods that `buy` names, or take counts out."
        )
        yield Doubt(path=(*path, "counts"), rule="hard_to_explain", say=say)
    if isinstance(benefit, Scale):
        yield from _scale(path, benefit, promotion)


def _reaches_further(benefit: BuyGet) -> bool:
    """Whether rewarded goods are partly among the bought ones and partly not."""
    if benefit.get is None or within(benefit.get, benefit.buy):
        return False
    return alike(benefit.get, benefit.buy)


def _scale(path: Path, scale: Scale, promotion: Promotion) -> Iterator[Doubt]:
    if scale.graduated and any(cap.of == "units" for cap in promotion.caps):
        say = (
            "Which units the cap lets through and which the graduated scale counts, nobody can tell;"
            " end the last step instead of the cap."
        )
        yield Doubt(path=path, rule="hard_to_explain", say=say)
    for n, step in enumerate(scale.steps):
        if step.percent_bp is not None and step.percent_bp < LEAST_BP:
            yield _in_bp((*path, "steps", n, "percent_bp"), step.percent_bp)
    if scale.by == "quantity":
        yield from _in_milli((*path, "steps", len(scale.steps) - 1, "from"), scale.steps[-1].from_)
    for n, (low, high) in enumerate(pairwise(scale.steps), 1):
        less = (high.percent_bp or 0) < (low.percent_bp or 0) and (high.amount_minor or 0) <= (low.amount_minor or 0)
        fewer = (high.amount_minor or 0) < (low.amount_minor or 0) and (high.percent_bp or 0) <= (low.percent_bp or 0)
        # A graduated scale may well give more on the first units.
        if not scale.graduated and (less or fewer):
            say = "Whoever buys more gets less off here than at the step before; check the two figures."
            yield Doubt(path=(*path, "steps", n), rule="scale_falls", say=say)


def _in_group(path: Path, promotion: Promotion, programme: Programme) -> Iterator[Doubt]:
    """An amount off the basket that competes line by line is given in part, and then it is no round figure."""
    if _stacking(promotion, programme) == "best_of_line":
        for n, benefit in enumerate(promotion.then):
            if isinstance(benefit, Bundle) or (isinstance(benefit, AmountOff) and benefit.per in ("basket", "group")):
                say = (
                    "Among promotions that are best of line only a part of this figure may be taken off;"
                    " choose best_of, or a group of its own."
                )
                yield Doubt(path=(*path, "then", n), rule="hard_to_explain", say=say)


def _more_than_all(programme: Programme) -> Iterator[Doubt]:
    """Percentages that are added up and make more than the price."""
    rates = [
        (i, n, promotion, benefit)
        for i, promotion in enumerate(programme.promotions) if _stacking(promotion, programme) == "sum"
        for n, benefit in enumerate(promotion.then) if isinstance(benefit, PercentOff)
    ]  # fmt: skip
    for at, (i, n, promotion, benefit) in enumerate(rates):
        total = benefit.percent_bp + sum(
            other.percent_bp for _, _, with_, other in rates[:at]
            if (with_.stage, with_.group) == (promotion.stage, promotion.group)
            and within(benefit.of, other.of) and can_meet(promotion, with_)
        )  # fmt: skip
        if total > 10_000 and benefit.percent_bp < 10_000:
            say = f"Added up with those before it this makes {_percent(total)} of one price; lower one of them."
            yield Doubt(path=("promotions", i, "then", n, "percent_bp"), rule="more_than_all", say=say)


def _stacking(promotion: Promotion, programme: Programme) -> str:
    if promotion.group:
        return next(group.stacking for group in programme.groups if group.id == promotion.group)
    return programme.options.stacking


def _in_bp(path: Path, bp: int) -> Doubt:
    say = f"{bp} basis points are {_percent(bp)}; write {bp * 100} if {bp} % is meant."
    return Doubt(path=path, rule="unit_slip", say=say)


def _in_milli(path: Path, milli: int | None) -> Iterator[Doubt]:
    if milli is not None and 0 < milli < LEAST_MILLI:
        say = f"{milli} thousandths are {format_quantity(milli)} units; write {milli * 1000} if {milli} are meant."
        yield Doubt(path=path, rule="unit_slip", say=say)


def _percent(bp: int) -> str:
    return f"{bp // 100}.{bp % 100:02} %"
