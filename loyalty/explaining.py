"""Why a promotion applied or not: the lines and amounts it touched, or the first condition that failed.

The same text feeds the cashier screen, the near-miss line on the receipt, the complaint desk and the worklist.
Source: engine.md "Explanations".
"""

from collections.abc import Iterable

import msgspec

from loyalty.amounts import format_minor
from loyalty.effects import Effect
from loyalty.messages import short_of
from loyalty.workings import Reason, Workings


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """One promotion that could concern this basket: applied with its figures, or the first condition that failed.

    `lines` are (line, minor units off, points) of what it did; line 0 is the receipt as a whole.
    """

    promotion: str
    applied: bool
    condition: str = ""
    wanted: str = ""
    found: str = ""
    say: str = ""
    short_of: str = ""
    lines: tuple[tuple[int, int, int], ...] = ()


def reasons_for(
    workings: Workings, effects: Iterable[Effect], extras: Iterable[tuple[str, str]]
) -> tuple[Why, ...]:
    """Every promotion that could concern the basket: those that applied, then the others, each in running order.

    Args:
        extras: (promotion, what it gave) of gifts and coupons.
    """
    currency = workings.compiled.programme.currency
    rules = workings.compiled.rules
    did: dict[str, dict[int, tuple[int, int]]] = {}
    for effect in effects:
        of_line = did.setdefault(effect.promotion, {})
        amount, points = of_line.get(effect.line, (0, 0))
        of_line[effect.line] = (amount + effect.amount_minor, points + effect.points)
    given: dict[str, list[str]] = {}
    for promotion, what in extras:
        given.setdefault(promotion, []).append(what)
    told = []
    for no in sorted(workings.acted):
        promotion = rules[no].promotion.id
        touched = did.get(promotion, {})
        ordered = sorted(touched.items()) if len(touched) > 1 else touched.items()
        lines = tuple([(line, amount, points) for line, (amount, points) in ordered])
        off, points = sum([line[1] for line in lines]), sum([line[2] for line in lines])
        said = [f"{format_minor(off, currency)} {currency} off"] if off else []
        said += [f"{points} points"] if points else []
        said += given.get(promotion, [])
        told.append(Why(promotion=promotion, applied=True, say=", ".join(said), lines=lines))
    told += [_not(rules[no].promotion.id, workings.unmet[no], currency)
             for no in sorted(workings.unmet) if no not in workings.acted]  # fmt: skip
    return tuple(told)


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
