"""What must hold under `when`: spend, quantity, tenders, the member's past; the first figure that fails.

Source: engine.md capabilities 11, 12, 16, 18; docs/programme.md "Conditions".
"""

from collections.abc import Callable

from loyalty.amounts import format_minor, format_units
from loyalty.members import LAST_VISIT, VISITS
from loyalty.moments import in_period
from loyalty.pricing.workings import Reason, Workings, no_card, not_met, unknown_here
from loyalty.programme.compiled import ALL, Rule
from loyalty.programme.promotion import (
    BalanceIs,
    Lapsed,
    PeriodSpendIs,
    PointsSpent,
    PurchaseIs,
    QuantityIs,
    SpendIs,
    TenderIs,
)
from loyalty.programme.selectors import Selector


def first_condition_unmet(rule: Rule, workings: Workings) -> Reason | None:
    """The first of its conditions that does not hold, in the order of the document."""
    for condition, number in zip(rule.promotion.when, rule.when, strict=True):
        if reason := _CHECKS[type(condition)](condition, number, rule, workings):
            return reason
    return None


def may_still_hold(rule: Rule, workings: Workings) -> bool:
    """Whether more goods, or another way to pay, could make every condition hold in this basket."""
    for condition, number in zip(rule.promotion.when, rule.when, strict=True):
        reason = _CHECKS[type(condition)](condition, number, rule, workings)
        is_short = reason is None or reason.short_of_minor or reason.short_of_milli
        if not is_short and not isinstance(condition, TenderIs | PointsSpent):
            return False
    return True


def _spend(condition: SpendIs, number: int, rule: Rule, workings: Workings) -> Reason | None:
    looks_at = condition.looks_at or rule.options.spend_looks_at
    costs = workings.remaining
    if looks_at != "after":
        costs = workings.listed if looks_at == "before" else workings.stage_start
    tax = condition.tax or rule.options.spend_tax
    positions = workings.positions(number)
    if tax == "in" and workings.basket.tax_included:
        found = sum(costs) if number == ALL else sum([costs[i] for i in positions])
    else:
        found = sum(workings.taxed(i, costs[i], tax) for i in positions)
    currency = workings.compiled.programme.currency
    least = max(
        condition.at_least_minor or 0,
        condition.more_than_minor + 1 if condition.more_than_minor is not None else 0,
        condition.equal_minor or 0,
    )
    if found < least:
        short = least - found
        say = f"{format_minor(short, currency)} {currency} more{_in(condition.of)}."
        return Reason(
            condition="when.spend", wanted=str(least), found=str(found), say=say, short_of_minor=short
        )
    most = condition.at_most_minor if condition.equal_minor is None else condition.equal_minor
    if most is not None and found > most:
        say = f"Runs up to {format_minor(most, currency)} {currency}{_in(condition.of)}."
        return not_met("when.spend", str(most), str(found), say)
    return None


def _quantity(condition: QuantityIs, number: int, rule: Rule, workings: Workings) -> Reason | None:
    each = [workings.lines[i].quantity_milli for i in workings.positions(number)]
    least, most = condition.at_least_milli or 0, condition.at_most_milli
    if condition.per == "line":
        if any(least <= milli and (most is None or milli <= most) for milli in each):
            return None
        if not each and not least:
            return not_met("when.quantity", "a line", "none", f"None of its goods are here{_in(condition.of)}.")
        found = max((milli for milli in each if milli < least), default=0)
        over = bool(each) and min(each) >= least
    else:
        found = sum(each)
        if found >= least and (most is None or found <= most):
            return None
        over = found >= least
    if over:
        assert most is not None
        return not_met("when.quantity", str(most), str(found), f"Runs up to {format_units(most)}{_in(condition.of)}.")
    short = least - found
    return Reason(
        condition="when.quantity",
        wanted=str(least),
        found=str(found),
        say=f"{format_units(short)} more to buy{_in(condition.of)}.",
        short_of_milli=short,
    )


def _tender(condition: TenderIs, number: int, rule: Rule, workings: Workings) -> Reason | None:
    found = sum(tender.amount_minor for tender in workings.basket.tenders if tender.kind in condition.kinds)
    if found >= condition.at_least_minor:
        return None
    kinds = " or ".join(condition.kinds)
    return not_met("when.tender", str(condition.at_least_minor), str(found), f"Is for payment by {kinds}.")


def _purchase(condition: PurchaseIs, number: int, rule: Rule, workings: Workings) -> Reason | None:
    counters = workings.counters
    if counters is None:
        return _past("when.purchase", workings)
    this = counters.get(VISITS, 0) + 1
    if condition.number is not None:
        if this == condition.number:
            return None
        return not_met("when.purchase", str(condition.number), str(this), f"Is for purchase {condition.number}.")
    assert condition.every is not None
    if this % condition.every == 0:
        return None
    left = condition.every - this % condition.every
    return not_met("when.purchase", f"every {condition.every}", str(this), f"{left} more purchases after this one.")


def _lapsed(condition: Lapsed, number: int, rule: Rule, workings: Workings) -> Reason | None:
    counters = workings.counters
    if counters is None:
        return _past("when.lapsed", workings)
    last = counters.get(LAST_VISIT, 0)
    away = workings.place.business_date.toordinal() - last
    if last and away >= condition.days:
        return None
    found = str(away) if last else "never"
    return not_met("when.lapsed", str(condition.days), found, "Is for members who have not been here for a while.")


def _period_spend(condition: PeriodSpendIs, number: int, rule: Rule, workings: Workings) -> Reason | None:
    counters = workings.counters
    if counters is None:
        return _past("when.period_spend", workings)
    found = counters.get(in_period("spend", condition.period, workings.moment.on), 0)
    if condition.this_receipt:
        found += sum(workings.remaining)
    currency = workings.compiled.programme.currency
    least, most = condition.at_least_minor or 0, condition.at_most_minor
    if found < least:
        short = least - found
        say = f"{format_minor(short, currency)} {currency} more."
        # Only what this basket counts towards can still be reached with it.
        near = short if condition.this_receipt else 0
        return Reason(
            condition="when.period_spend", wanted=str(least), found=str(found), say=say, short_of_minor=near
        )
    if most is not None and found > most:
        return not_met("when.period_spend", str(most), str(found), "Was for those who had spent less.")
    return None


def _balance(condition: BalanceIs, number: int, rule: Rule, workings: Workings) -> Reason | None:
    if workings.view is None:
        return no_card()
    found = workings.view.balance_points
    if found >= condition.at_least_points:
        return None
    say = f"{condition.at_least_points - found} more points on the account."
    return not_met("when.balance", str(condition.at_least_points), str(found), say)


def _points_spent(condition: PointsSpent, number: int, rule: Rule, workings: Workings) -> Reason | None:
    found = workings.points_spent or 0
    if found >= condition.at_least_points:
        return None
    say = f"Is for baskets of which {condition.at_least_points} points pay."
    return not_met("when.points_spent", str(condition.at_least_points), str(found), say)


_CHECKS: dict[type, Callable[..., Reason | None]] = {
    SpendIs: _spend,
    QuantityIs: _quantity,
    TenderIs: _tender,
    PurchaseIs: _purchase,
    Lapsed: _lapsed,
    PeriodSpendIs: _period_spend,
    BalanceIs: _balance,
    PointsSpent: _points_spent,
}


def _past(condition: str, workings: Workings) -> Reason:
    """A rule about the member's past, where there is no member or nobody told this till of it."""
    return no_card() if workings.view is None else unknown_here(condition, "known")


def _in(selector: Selector) -> str:
    """Where the goods are, as a customer would say it; nothing where no short name says it."""
    names = [path[-1] for path in selector.category] or list(selector.brand)
    return f" in {' or '.join(names)}" if names and not selector.sku and len(names) <= 3 else ""
