"""Whether a promotion holds: where, when, for whom, how often, and every condition.

Where the page leaves something open the simplest reading was taken:
- a promotion that names segments or tiers, or leaves some out, is about a member, and so needs a card; one that only
  grants points does too;
- a till that was told nothing of what all members had together takes it for nothing;
- `per: line` wants one line of the goods that lies within the bounds.
"""

from fractions import Fraction

from loyalty.document import WEEKDAYS
from loyalty.programme.benefits import POINTS
from loyalty.programme.promotion import (
    BalanceIs,
    Condition,
    Lapsed,
    OnEvent,
    PeriodSpendIs,
    PointsSpent,
    Promotion,
    PurchaseIs,
    QuantityIs,
    SpendIs,
    TenderIs,
)
from tests.loyalty.naive.goods import names, taxed
from tests.loyalty.naive.sale import Run, Sale

HOLDS, NEEDS_CARD, NOT_NOW = "", "needs_card", "not_now"


def judge(run: Run, sale: Sale) -> str:
    """Why a promotion does not hold now, in the word a refused code is told; empty where it holds."""
    promotion = run.promotion
    if not (_here(promotion, sale) and _today(promotion, sale) and _happened(promotion, sale)):
        return NOT_NOW
    if sale.view is None and _about_a_member(promotion):
        return NEEDS_CARD
    if not (_for_them(promotion, sale) and _within_limits(promotion, sale) and _caps_known(promotion, sale)):
        return NOT_NOW
    for condition in promotion.when:
        if not _holds(condition, promotion, sale):
            about_a_member = isinstance(condition, PurchaseIs | Lapsed | PeriodSpendIs | BalanceIs)
            return NEEDS_CARD if about_a_member and sale.view is None else NOT_NOW
    only_points = bool(promotion.then) and all(isinstance(benefit, POINTS) for benefit in promotion.then)
    return NEEDS_CARD if only_points and sale.view is None else HOLDS


def _here(promotion: Promotion, sale: Sale) -> bool:
    where, place = promotion.where, sale.place
    return all(
        not wanted or found in wanted
        for wanted, found in (
            (where.partners, place.partner_id),
            (where.stores, place.store_id),
            (where.channels, place.channel),
            (where.till_kinds, place.till_kind),
        )
    )


def _today(promotion: Promotion, sale: Sale) -> bool:
    valid, local = promotion.valid, sale.local
    clock = f"{local:%H:%M}"
    return (
        (valid.from_at is None or sale.instant >= valid.from_at)
        and (valid.to_at is None or sale.instant < valid.to_at)
        and (valid.from_on is None or local.date() >= valid.from_on)
        and (valid.to_on is None or local.date() <= valid.to_on)
        and (not valid.weekdays or WEEKDAYS[local.weekday()] in valid.weekdays)
        and (not valid.hours or any(start <= clock < end for start, end in valid.hours))
    )


def _happened(promotion: Promotion, sale: Sale) -> bool:
    """An event that the POS tells; a visit is the first receipt of a day of a member whose last one is known."""
    if not isinstance(promotion.trigger, OnEvent):
        return True
    if promotion.trigger.event == "visit":
        last = sale.counter("last:visit")
        return last is not None and last < sale.today.toordinal()
    return promotion.trigger.event in sale.basket.events


def _about_a_member(promotion: Promotion) -> bool:
    who, limits = promotion.who, promotion.limits
    return (
        bool(who.card or who.segments or who.not_segments or who.tiers or who.control_bp)
        or promotion.valid.birthday is not None
        or promotion.valid.anniversary is not None
        or (limits is not None and limits.times is not None)
        or any(cap.per != "receipt" for cap in promotion.caps)
    )


def _for_them(promotion: Promotion, sale: Sale) -> bool:
    who, valid, view = promotion.who, promotion.valid, sale.view
    if view is None:
        return True
    for window, days in ((valid.birthday, view.birthday_in_days), (valid.anniversary, view.anniversary_in_days)):
        if window is not None and (days is None or not -window.days_after <= days <= window.days_before):
            return False
    tier = view.tier or sale.programme.base_tier
    return (
        (not who.segments or bool(set(who.segments) & set(view.segments)))
        and not set(who.not_segments) & set(view.segments)
        and (not who.tiers or tier in who.tiers)
        # Smaller shares hang on a draw that the page does not lay down; a card not known here cannot be drawn.
        and (who.control_bp < 10_000 or view.account_id is None)
    )


def _within_limits(promotion: Promotion, sale: Sale) -> bool:
    """Uses of before and those of this receipt; a budget is looked at once the discount is known."""
    limits = promotion.limits
    if limits is None:
        return True
    now = sale.times_applied(promotion)
    if limits.times is not None:
        used = sale.counter(f"promo:{promotion.id}{sale.suffix(limits.per)}")
        if used is None or used + now >= limits.times:
            return False
    return limits.times_in_all is None or sale.shared.get(f"promo:{promotion.id}", 0) + now < limits.times_in_all


def _caps_known(promotion: Promotion, sale: Sale) -> bool:
    return all(
        cap.per == "receipt" or (sale.view is not None and sale.view.counters is not None) for cap in promotion.caps
    )


def _holds(condition: Condition, promotion: Promotion, sale: Sale) -> bool:
    if isinstance(condition, SpendIs):
        return _spend(condition, promotion, sale)
    if isinstance(condition, QuantityIs):
        return _quantity(condition, sale)
    if isinstance(condition, TenderIs):
        given = sum(tender.amount_minor for tender in sale.basket.tenders if tender.kind in condition.kinds)
        return given >= condition.at_least_minor
    if isinstance(condition, BalanceIs):
        return sale.view is not None and sale.view.balance_points >= condition.at_least_points
    if isinstance(condition, PointsSpent):
        return sale.stage in ("redemption", "earning") and sale.spent >= condition.at_least_points
    return _history(condition, sale)


def _history(condition: PurchaseIs | Lapsed | PeriodSpendIs, sale: Sale) -> bool:
    if isinstance(condition, PurchaseIs):
        visits = sale.counter("visits")
        if visits is None:
            return False
        return visits + 1 == condition.number if condition.number else (visits + 1) % (condition.every or 1) == 0
    if isinstance(condition, Lapsed):
        last = sale.counter("last:visit")
        return last is not None and last > 0 and sale.today.toordinal() - last >= condition.days
    spent = sale.counter(f"spend{sale.suffix(condition.period)}")
    if spent is None:
        return False
    if condition.this_receipt:
        spent += sum(sale.costs())
    return _within(spent, condition.at_least_minor, condition.at_most_minor)


def _spend(condition: SpendIs, promotion: Promotion, sale: Sale) -> bool:
    looks_at = condition.looks_at or sale.option(promotion, "spend_looks_at")
    amounts = {
        "after": sale.costs(),
        "stage": sale.began,
        "before": [line.amount_minor for line in sale.lines],
    }[looks_at]
    tax = condition.tax or sale.option(promotion, "spend_tax")
    cost = sum(
        taxed(amount, line, tax, sale.basket.tax_included)
        for amount, line in zip(amounts, sale.lines, strict=True)
        if names(condition.of, line)
    )
    return (
        _within(cost, condition.at_least_minor, condition.at_most_minor)
        and (condition.more_than_minor is None or cost > condition.more_than_minor)
        and (condition.equal_minor is None or cost == condition.equal_minor)
    )


def _quantity(condition: QuantityIs, sale: Sale) -> bool:
    found = [line.quantity_milli for line in sale.lines if names(condition.of, line)]
    if condition.per == "basket":
        found = [sum(found)]
    return any(_within(one, condition.at_least_milli, condition.at_most_milli) for one in found)


def _within(found: int | Fraction, low: int | None, high: int | None) -> bool:
    return (low is None or found >= low) and (high is None or found <= high)
