"""Why a promotion applied or not, and the sentences that follow from it.

The same text feeds the cashier screen, the near-miss line on the receipt, the complaint desk and the worklist.
Source: engine.md "Explanations".
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from loyalty.amounts import format_minor, format_units
from loyalty.conditions import Reason
from loyalty.discounts import Effect
from loyalty.members import MemberView
from loyalty.messages import Figures, Said, choose_messages
from loyalty.programme import Language, Programme, Promotion


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """One promotion that could concern this basket: applied with its figures, or the first condition that failed."""

    promotion: str
    applied: bool
    condition: str = ""
    wanted: str = ""
    found: str = ""
    say: str = ""
    short_of: str = ""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """Promotions that hold, those that do not with their reason, what the first took off, and what lines still cost."""

    held: tuple[Promotion, ...]
    unmet: tuple[tuple[Promotion, Reason], ...]
    effects: tuple[Effect, ...]
    remaining: tuple[int, ...]


def explain(rules: Judged, applied: Sequence[Promotion], effects: Iterable[Effect], currency: str) -> tuple[Why, ...]:
    """Every promotion that could concern the basket: what it did, or the first condition that failed."""
    sums = _sums(effects)
    told = []
    for promotion in applied:
        amount, points = sums.get(promotion.id, (0, 0))
        said = [f"{format_minor(amount, currency)} {currency} off"] if amount else []
        said += [f"{points} points"] if points else []
        told.append(Why(promotion=promotion.id, applied=True, say=", ".join(said)))
    acted = {promotion.id for promotion in applied}
    idle = [promotion for promotion in rules.held if promotion.id not in acted]
    told += [
        Why(promotion=promotion.id, applied=False, condition="then", say="Nothing in this basket counts for it.")
        for promotion in idle
    ]
    told += [
        Why(
            promotion=promotion.id,
            applied=False,
            condition=reason.condition,
            wanted=reason.wanted,
            found=reason.found,
            say=reason.say,
            short_of=_short_of(reason, currency),
        )
        for promotion, reason in rules.unmet
    ]
    return tuple(told)


def sentences(
    programme: Programme,
    rules: Judged,
    applied: Sequence[Promotion],
    effects: Iterable[Effect],
    view: MemberView | None,
    language: Language,
) -> tuple[Said, ...]:
    """What to say where: of promotions that applied, of those just missed, and the programme's own."""
    sums = _sums(effects)
    balance = view.balance_points if view else 0
    said: list[Said] = []
    for promotion in applied:
        amount, points = sums.get(promotion.id, (0, 0))
        figures = Figures(saved=format_minor(amount, programme.currency), points=points, balance=balance)
        said += choose_messages(promotion.messages, "applied", figures, language, programme.language, promotion.id)
    for promotion, reason in rules.unmet:
        if near := _short_of(reason, programme.currency):
            figures = Figures(short_of=near, balance=balance)
            said += choose_messages(promotion.messages, "missed", figures, language, programme.language, promotion.id)
    total = Figures(
        saved=format_minor(sum(amount for amount, _ in sums.values()), programme.currency),
        points=sum(points for _, points in sums.values()),
        balance=balance,
    )
    said += choose_messages(programme.messages, "applied", total, language, programme.language)
    return tuple(said)


def _short_of(reason: Reason, currency: str) -> str:
    if reason.short_of_minor:
        return format_minor(reason.short_of_minor, currency)
    return format_units(reason.short_of_milli) if reason.short_of_milli else ""


def _sums(effects: Iterable[Effect]) -> Mapping[str, tuple[int, int]]:
    sums: dict[str, tuple[int, int]] = {}
    for effect in effects:
        amount, points = sums.get(effect.promotion, (0, 0))
        sums[effect.promotion] = (amount + effect.amount_minor, points + effect.points)
    return sums
