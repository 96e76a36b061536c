"""Why a promotion applied or not: the lines and amounts it touched, or the first condition that failed.

The same text feeds the cashier screen, the near-miss line on the receipt, the complaint desk and the worklist.
Source: engine.md "Explanations".
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec

from loyalty.amounts import format_minor
from loyalty.pricing.effects import Effect
from loyalty.pricing.messages import short_of
from loyalty.pricing.taking_off import NOTHING
from loyalty.pricing.workings import Reason, Workings


class Touched(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What one promotion did to one line; line 0 is the receipt as a whole."""

    line: int
    amount_minor: int = 0
    points: int = 0


# A quote under a thousand promotions says this of hundreds: what does not apply to one is not written (omit_defaults).
class Why(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One promotion that could concern this basket: applied with the lines it touched, or the first condition that
    failed; what it is short of is empty where no figure would do."""

    promotion: str
    applied: bool
    say: str
    short_of: str
    condition: str = ""
    wanted: str = ""
    found: str = ""
    lines: tuple[Touched, ...] = ()


def reasons_for(
    workings: Workings, effects: Iterable[Effect], extras: Iterable[tuple[str, str]]
) -> tuple[Why, ...]:
    """Every promotion that could concern the basket: those that applied, then the others, each in running order.

    Args:
        extras: (promotion, what it gave) of gifts and coupons.
    """
    currency = workings.compiled.programme.currency
    rules, acted, unmet = workings.compiled.rules, workings.acted, workings.unmet
    first: dict[str, Effect] = {}
    all_of: dict[str, list[Effect]] = {}  # of those that touch several lines; most touch one
    for effect in effects:
        one = first.setdefault(effect.promotion, effect)
        if one is not effect:
            all_of.setdefault(effect.promotion, [one]).append(effect)
    given: dict[str, list[str]] = {}
    for promotion, what in extras:
        given.setdefault(promotion, []).append(what)
    told = []
    for no in sorted(acted):
        promotion = rules[no].promotion.id
        only = first.get(promotion)
        if only is None or given or promotion in all_of:
            lines = _touched(all_of.get(promotion) or ([only] if only else []))
            told.append(_applied(promotion, lines, given.get(promotion, ()), currency))
        else:
            told.append(_one_line(promotion, only.line, only.amount_minor, only.points, currency))
    refused = [(rules[no].promotion.id, unmet[no]) for no in sorted(unmet.keys() - acted.keys())]
    told += [_no_goods(one) if reason is NOTHING else _because(one, reason, currency) for one, reason in refused]
    return tuple(told)


@lru_cache(maxsize=1_024)  # a basket is quoted with every line that is rung up, and most is said of it again
def _one_line(promotion: str, line: int, amount_minor: int, points: int, currency: str) -> Why:
    return _applied(promotion, (Touched(line=line, amount_minor=amount_minor, points=points),), (), currency)


def _applied(promotion: str, lines: tuple[Touched, ...], given: Sequence[str], currency: str) -> Why:
    off, points = sum([line.amount_minor for line in lines]), sum([line.points for line in lines])
    says = [f"{format_minor(off, currency)} {currency} off"] if off else []
    if points:
        says.append(f"{points} points")
    return Why(promotion=promotion, applied=True, say=", ".join([*says, *given]), short_of="", lines=lines)


def _touched(effects: Sequence[Effect]) -> tuple[Touched, ...]:
    """What these did to each line, by line."""
    numbers = [effect.line for effect in effects]
    if numbers == sorted(set(numbers)):  # each line once and in its turn, as what earns on all of them has it
        return tuple([
            Touched(line=effect.line, amount_minor=effect.amount_minor, points=effect.points) for effect in effects
        ])  # fmt: skip
    amounts: dict[int, int] = {}
    points: dict[int, int] = {}
    for effect in effects:
        line = effect.line
        amounts[line] = amounts.get(line, 0) + effect.amount_minor
        points[line] = points.get(line, 0) + effect.points
    return tuple([Touched(line=n, amount_minor=amounts[n], points=points[n]) for n in sorted(amounts)])


@lru_cache(maxsize=10_000)  # there is one of each promotion, and the same ones find nothing in most baskets
def _no_goods(promotion: str) -> Why:
    return _because(promotion, NOTHING, "")


def _because(promotion: str, reason: Reason, currency: str) -> Why:
    return Why(
        promotion=promotion,
        applied=False,
        condition=reason.condition,
        wanted=reason.wanted,
        found=reason.found,
        say=reason.say,
        short_of=short_of(reason, currency),
    )
