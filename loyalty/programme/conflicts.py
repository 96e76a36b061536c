"""Promotions that meet on the same goods, where nothing but their place in the list says which one wins.

The engine takes them as listed, so that every till does the same; but whoever sorts the list changes prices without
knowing it. The option `priority: as_listed` says that this is meant.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import NamedTuple

from loyalty.programme.benefits import (
    MONEY,
    AmountOff,
    Benefit,
    Bundle,
    BuyGet,
    Earn,
    PercentOff,
    PriceList,
    Scale,
    SetPrice,
    selectors_of,
)
from loyalty.programme.compiled import plain_code
from loyalty.programme.doubts import Doubt
from loyalty.programme.overlaps import alike, can_meet, without_exclude
from loyalty.programme.programme import Options, Programme
from loyalty.programme.promotion import ByCode, ByItself, Promotion
from loyalty.programme.selectors import EVERYTHING, Selector

Groups = Mapping[str, tuple[str, ...] | None]


class _Listed(NamedTuple):
    """A promotion at its place in the list; `cuts` are what it takes off, and off which goods: see `_of_the_rest`."""

    at: int
    promotion: Promotion
    takes: bool
    cuts: tuple[tuple[str, tuple[Selector, ...]], ...]


def doubts_about_conflicts(programme: Programme) -> Iterator[Doubt]:
    """Every promotion whose result depends on another one without a rule for it; each is told once."""
    options = programme.options
    groups = {group.id: group.with_ for group in programme.groups}
    yield from _shared_codes(programme, groups)
    yield from _keeps_from_earning(programme)
    if options.priority == "as_listed":
        return
    by_turn: dict[tuple[str, int], list[_Listed]] = {}
    for i, promotion in enumerate(programme.promotions):
        # What a code or coupon sets off comes after what applies by itself, in the order of entry.
        if isinstance(promotion.trigger, ByItself) and promotion.then:
            one = _listed(i, promotion, options)
            by_turn.setdefault((promotion.stage if one.takes else "earning", promotion.priority), []).append(one)
    for together in by_turn.values():
        told: set[int] = set()
        for one, other in combinations(together, 2):
            if other.at not in told and (why := _undeclared(one, other, options, groups)):
                told.add(other.at)
                yield Doubt(path=("promotions", other.at, "priority"), rule=why[0], say=why[1])


def _listed(at: int, promotion: Promotion, options: Options) -> _Listed:
    money = [one for one in promotion.then if isinstance(one, MONEY)]
    cuts = tuple((_of_the_rest(one, promotion, options), selectors_of(one)) for one in money)
    return _Listed(at, promotion, bool(cuts), cuts)


def _undeclared(one: _Listed, other: _Listed, options: Options, groups: Groups) -> tuple[str, str] | None:
    """The rule that is broken when two promotions of one turn meet, and what to say; none where it is not."""
    a, b = one.promotion, other.promotion
    if _keep_each_other_out(a, b, options, groups) and can_meet(a, b):
        return "winner_undeclared", (
            f"{b.id} and {a.id} keep each other out at the same priority, so the first in the list wins;"
            " give them different priorities."
        )
    sequential = not a.group and not b.group and options.stacking == "sequential"
    if sequential and a.exclusive == b.exclusive and _order_matters(one, other) and can_meet(a, b):
        return "order_undeclared", (
            f"{b.id} and {a.id} reduce the same goods at the same priority, and the price depends on which comes"
            " first; give them different priorities, or a group that says how they add up."
        )
    return None


def _keep_each_other_out(one: Promotion, other: Promotion, options: Options, groups: Groups) -> bool:
    # Two exclusive promotions stand beside each other.
    if one.exclusive != other.exclusive and options.exclusive == "priority_wins":
        return one.takes_money_off == other.takes_money_off
    if not one.group or not other.group or one.group == other.group:
        return False
    with_one, with_other = groups[one.group], groups[other.group]
    if with_one is None and with_other is None:
        return False
    return other.group not in (with_one or ()) and one.group not in (with_other or ())


def _order_matters(one: _Listed, other: _Listed) -> bool:
    """Whether a share of the price meets an amount or a price on the same goods."""
    return any(
        kind != other_kind and any(alike(a, b) for a in goods for b in other_goods)
        for kind, goods in one.cuts
        for other_kind, other_goods in other.cuts
    )


def _of_the_rest(benefit: Benefit, promotion: Promotion, options: Options) -> str:
    """What a benefit takes off: a share of what is left, an amount, or all above a price."""
    if isinstance(benefit, SetPrice | PriceList):
        return "price"
    if isinstance(benefit, AmountOff):
        return "amount"
    if isinstance(benefit, PercentOff):
        # A percentage of the price before takes the same whatever comes first.
        base = promotion.options.stacking_base or options.stacking_base
        return "share" if base == "remaining" else "amount"
    if isinstance(benefit, Scale):
        return "share" if any(step.percent_bp for step in benefit.steps) else "amount"
    assert isinstance(benefit, BuyGet | Bundle)
    if benefit.price_minor is not None:
        return "price"
    return "share" if benefit.amount_minor is None else "amount"


def _shared_codes(programme: Programme, groups: Groups) -> Iterator[Doubt]:
    """One code for two promotions that never apply together: one of them is printed in vain."""
    first: dict[str, Promotion] = {}
    for i, promotion in enumerate(programme.promotions):
        if not isinstance(promotion.trigger, ByCode):
            continue
        for n, code in enumerate(promotion.trigger.codes):
            other = first.setdefault(plain_code(code), promotion)
            if other is not promotion and _keep_each_other_out(other, promotion, programme.options, groups):
                say = f"{code} sets off {other.id} too, and the two never apply together; give one another code."
                yield Doubt(path=("promotions", i, "trigger", "codes", n), rule="code_shared", say=say)


def _keeps_from_earning(programme: Programme) -> Iterator[Doubt]:
    """An exclusive discount that costs its buyers all points, which nobody says on the poster."""
    if programme.options.exclusive_over != "everything":
        return
    earning = [
        one for one in programme.promotions
        if not one.exclusive and isinstance(one.trigger, ByItself)
        and any(isinstance(benefit, Earn) and without_exclude(benefit.of) == EVERYTHING for benefit in one.then)
    ]  # fmt: skip
    beside = [one for one in programme.promotions if one.exclusive and one.grants_points]
    for i, promotion in enumerate(programme.promotions):
        if promotion.exclusive and promotion.takes_money_off and not promotion.grants_points:
            kept_out = next((one.id for one in earning if can_meet(promotion, one)), "")
            if kept_out and not any(can_meet(promotion, one) for one in beside):
                say = (
                    f"Whoever gets {promotion.id} earns no points, for it keeps out {kept_out} too;"
                    " write `exclusive_over: same_kind`, or let it grant points of its own."
                )
                yield Doubt(path=("promotions", i, "exclusive"), rule="keeps_from_earning", say=say)
