"""Why a promotion applied or not: the lines and amounts it touched, or the first condition that failed.

The same text feeds the cashier screen, the near-miss line on the receipt, the complaint desk and the worklist.
Source: engine.md "Explanations".
"""

from collections.abc import Iterable, Sequence

import msgspec

from loyalty.amounts import format_minor
from loyalty.effects import Effect
from loyalty.messages import short_of
from loyalty.workings import Reason, Workings


class Touched(msgspec.Struct, frozen=True, kw_only=True):
    """What one promotion did to one line; line 0 is the receipt as a whole."""

    line: int
    amount_minor: int
    points: int


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """One promotion that could concern this basket: applied with the lines it touched, or the first condition that
    failed; what it is short of is empty where no figure would do."""

    promotion: str
    applied: bool
    condition: str = ""
    wanted: str = ""
    found: str = ""
    say: str = ""
    short_of: str = ""
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
    did: dict[str, list[Effect]] = {}
    for effect in effects:
        if (of_promotion := did.get(effect.promotion)) is None:
            did[effect.promotion] = [effect]
        else:
            of_promotion.append(effect)
    given: dict[str, list[str]] = {}
    for promotion, what in extras:
        given.setdefault(promotion, []).append(what)
    told = []
    takes: dict[int, str] = {}  # the same few amounts come off again and again
    for no in sorted(acted):
        promotion = rules[no].promotion.id
        here = did.get(promotion, ())
        lines: tuple[Touched, ...]
        if len(here) == 1:  # most promotions touch a single line
            (one,) = here
            off, points = one.amount_minor, one.points
            lines = (Touched(line=one.line, amount_minor=off, points=points),)
        else:
            lines = _touched(here)
            off, points = sum([line.amount_minor for line in lines]), sum([line.points for line in lines])
        say = takes.get(off)
        if say is None:
            say = takes[off] = f"{format_minor(off, currency)} {currency} off" if off else ""
        if points:
            say = f"{say}, {points} points" if say else f"{points} points"
        if promotion in given:
            say = ", ".join([say, *given[promotion]] if say else given[promotion])
        told.append(Why(promotion=promotion, applied=True, say=say, lines=lines))
    told += [_not(rules[no].promotion.id, unmet[no], currency) for no in sorted(unmet.keys() - acted.keys())]
    return tuple(told)


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


def _not(promotion: str, reason: Reason, currency: str) -> Why:
    return Why(
        promotion=promotion,
        applied=False,
        condition=reason.condition,
        wanted=reason.wanted,
        found=reason.found,
        say=reason.say,
        short_of=short_of(reason, currency),
    )
