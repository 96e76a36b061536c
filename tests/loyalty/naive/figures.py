"""What came out of a sale, in the words in which the cases of the engine name its figures.

Where the page leaves something open the simplest reading was taken:
- a code that set off several promotions of which none applied is refused for the first that did not hold or combine;
- a gift without `for_units` and `for_minor` is given when any of its goods is there, and of an event always;
- a coupon is good from so many days after the business date, for so many days, the first one counted;
- a promotion that only speaks has applied when it holds;
- what a member spent is what goods that are no certificates cost in the end.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from loyalty.programme.benefits import Gift, IssueCoupon, Scale
from loyalty.programme.promotion import Lapsed, OnEvent, PeriodSpendIs, PurchaseIs
from tests.loyalty.naive.codes import Entered
from tests.loyalty.naive.goods import count_of, names
from tests.loyalty.naive.paying import pay_with_stored_value
from tests.loyalty.naive.sale import Sale


@dataclass(frozen=True)
class Figures:
    """By line, by promotion and in all; `whole_points` are those that go with the receipt as a whole."""

    off: list[int]
    by: dict[str, list[int]]
    net: int
    to_pay: int
    points: list[int]
    points_by: dict[str, list[int]]
    earned: int
    whole_points: int
    paid_with_points: list[int]
    spent: int
    applied: list[str]
    used: list[str]
    refused: list[list[str]]
    issued: list[list[str]]
    gifts: dict[str, int]
    prizes: list[list[Any]]
    certificates: list[list[Any]]
    from_wallet: int
    uses: dict[str, int] = field(default_factory=dict)
    shared_uses: dict[str, int] = field(default_factory=dict)


def figures_of(sale: Sale, entered: list[Entered]) -> Figures:
    """The figures of a sale that has been worked out."""
    stored = pay_with_stored_value(sale)
    net = sum(sale.costs())
    used, refused = _codes(sale, entered)
    by_line = [sum(row[i] for row in sale.points_by.values()) for i in range(len(sale.lines))]
    whole = sum(row[-1] for row in sale.points_by.values())
    spend = sum(cost for i, cost in enumerate(sale.costs()) if not sale.is_certificate(i))
    uses, shared = _uses(sale, spend, [one for one in entered if one.code in used and not one.refused])
    for code, amount, _ in stored.certificates:
        (shared if _is_bearer(code, sale) else uses)[f"certificate:{code}"] -= amount
    uses["wallet"] -= stored.from_wallet
    return Figures(
        off=sale.off,
        by={name: row for name, row in sale.off_by.items() if any(row)},
        net=net,
        to_pay=net - sum(amount for _, amount, _ in stored.certificates) - stored.from_wallet,
        points=by_line,
        points_by={name: row[:-1] for name, row in sale.points_by.items() if any(row[:-1])},
        earned=sum(by_line) + whole,
        whole_points=whole,
        paid_with_points=sale.paid,
        spent=sale.spent,
        applied=sorted({run.promotion.id for run in sale.applied}),
        used=used,
        refused=refused,
        issued=_issued(sale),
        gifts=_gifts(sale),
        prizes=[list(one) for one in sale.prizes],
        certificates=[list(one) for one in stored.certificates],
        from_wallet=stored.from_wallet,
        uses={name: amount for name, amount in sorted(uses.items()) if amount},
        shared_uses={name: amount for name, amount in sorted(shared.items()) if amount},
    )


def _codes(sale: Sale, entered: list[Entered]) -> tuple[list[str], list[list[str]]]:
    used, refused = [], []
    for one in entered:
        runs = [run for run in sale.verdicts | dict.fromkeys(sale.held) if run.entered == one.place]
        if one.refused:
            refused.append([one.code, one.refused])
        elif any(run in sale.applied for run in runs):
            used.append(one.code)
        elif not runs:
            refused.append([one.code, "kept_out"])
        else:
            told = [verdict for run, verdict in sale.verdicts.items() if run in runs and verdict != "does_nothing"]
            refused.append([one.code, told[0] if told else "does_nothing"])
    return used, refused


def _issued(sale: Sale) -> list[list[str]]:
    """Coupons for the next visit: by which promotion, of which kind, good from and through."""
    kinds = {kind.id: kind for kind in sale.programme.coupons}
    rows = []
    for run in sale.going:
        for benefit in run.promotion.then:
            if isinstance(benefit, IssueCoupon) and may_have(benefit, sale):
                kind = kinds[benefit.coupon]
                start = sale.today + timedelta(days=kind.good_after_days)
                end = start + timedelta(days=kind.good_for_days - 1)
                rows.append([run.promotion.id, kind.id, start.isoformat(), end.isoformat()])
    return sorted(rows)


def may_have(benefit: IssueCoupon, sale: Sale) -> bool:
    """A personal coupon needs a member that is known; anybody may have one to bearer."""
    kind = next(kind for kind in sale.programme.coupons if kind.id == benefit.coupon)
    return kind.holder == "bearer" or (sale.view is not None and sale.view.account_id is not None)


def gift_units(benefit: Gift, sale: Sale, *, of_event: bool) -> int:
    """How many units of a gift are given."""
    goods = [i for i, line in enumerate(sale.lines) if names(benefit.of, line)]
    times = 1 if goods or of_event else 0
    if benefit.for_units is not None:
        times = sum(count_of(sale.lines[i]) for i in goods) // benefit.for_units
    if benefit.for_minor is not None:
        times = sum(sale.costs()[i] for i in goods) // benefit.for_minor
    return benefit.units * (times if benefit.times is None else min(times, benefit.times))


def _gifts(sale: Sale) -> dict[str, int]:
    given: Counter[str] = Counter()
    for run in sale.going:
        of_event = isinstance(run.promotion.trigger, OnEvent)
        for benefit in run.promotion.then:
            if isinstance(benefit, Gift):
                given[run.promotion.id] += gift_units(benefit, sale, of_event=of_event)
    return {name: units for name, units in given.items() if units}


def _is_bearer(code: str, sale: Sale) -> bool:
    return all(item.code != code for item in (sale.view.wallet if sale.view else ()))


def _uses(sale: Sale, spend: int, coupons: list[Entered]) -> tuple[Counter[str], Counter[str]]:
    """Steps of the counters: limits, budgets, caps, coupons, and the history that the programme looks at."""
    uses: Counter[str] = Counter()
    shared: Counter[str] = Counter()
    for run in sale.applied:
        limits = run.promotion.limits
        if limits is not None and limits.times is not None:
            uses[f"promo:{run.promotion.id}{sale.suffix(limits.per)}"] += 1
        if limits is not None and limits.times_in_all is not None:
            shared[f"promo:{run.promotion.id}"] += 1
    for promotion in {run.promotion.id: run.promotion for run in sale.applied}.values():
        if promotion.limits is not None and promotion.limits.budget_minor is not None:
            shared[f"budget:{promotion.id}"] += sale.took(promotion)
        for name, had in {
            f"cap:{promotion.id}:{cap.of}{sale.suffix(cap.per)}": _had(cap.of, promotion.id, sale)
            for cap in promotion.caps
            if cap.per != "receipt"
        }.items():
            uses[name] += had
    for one in coupons:
        if one.coupon is not None:
            (uses if one.coupon.account_id is not None else shared)[f"coupon:{one.coupon.code}"] += 1
    if sale.view is not None:
        for name, amount in _history(sale, spend).items():
            uses[name] += amount
    return uses, shared


def _had(measure: str, promotion_id: str, sale: Sale) -> int:
    return {
        "units": sale.units_by.get(promotion_id, 0),
        "amount": sum(sale.off_by.get(promotion_id, ())),
        "points": sum(sale.points_by.get(promotion_id, ())),
    }[measure]


def _history(sale: Sale, spend: int) -> dict[str, int]:
    """Purchases, the last visit, spend of the running periods, where any rule of the programme looks at them."""
    found: dict[str, int] = {}
    for promotion in sale.programme.promotions:
        if isinstance(promotion.trigger, OnEvent) and promotion.trigger.event == "visit":
            found["last:visit"] = sale.today.toordinal()
        for condition in promotion.when:
            if isinstance(condition, PurchaseIs):
                found["visits"] = 1
            elif isinstance(condition, Lapsed):
                found["last:visit"] = sale.today.toordinal()
            elif isinstance(condition, PeriodSpendIs):
                found[f"spend{sale.suffix(condition.period)}"] = spend
        for benefit in promotion.then:
            if isinstance(benefit, Scale) and benefit.by == "period_spend":
                found[f"spend{sale.suffix(benefit.period)}"] = spend
    return found
