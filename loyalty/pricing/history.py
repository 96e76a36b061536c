"""What a receipt adds to counters: uses of promotions, caps, purchases, spend, the day of the visit.

Till and centre add the same steps to what they know, so both reach the same figures from the same receipt.
Source: house.md "History-dependent rules"; DECISIONS 14.
"""

from collections.abc import Iterable, Mapping

from loyalty.members import LAST_VISIT, Use, add_uses
from loyalty.moments import in_period
from loyalty.pricing.conditions import cap_name, limit_name
from loyalty.pricing.workings import Workings


def uses_of(workings: Workings, points: Mapping[int, int], net_minor: int) -> tuple[list[Use], list[Use]]:
    """What the rules that acted, and what the programme keeps of every receipt, add to counters.

    Args:
        points: that each rule with caps granted, by its place.
        net_minor: what is spent on this receipt, certificates being sold left out.
    Returns:
        The member's own uses; and those that everybody shares.
    """
    on = workings.moment.on
    own: list[Use] = []
    shared: list[Use] = []
    compiled, acted = workings.compiled, workings.acted
    for no in sorted(compiled.counting & acted.keys()):
        promotion, times = compiled.rules[no].promotion, acted[no]
        measured = {
            "units": workings.units.get(no, 0), "amount": workings.taken.get(no, 0), "points": points.get(no, 0),
        }  # fmt: skip
        limits = promotion.limits
        if limits is not None:
            if limits.times and workings.view is not None:
                own.append(Use(name=limit_name(promotion, on), amount=times))
            if limits.times_in_all:
                shared.append(Use(name=f"promo:{promotion.id}", amount=times))
            if limits.budget_minor:
                shared.append(Use(name=f"budget:{promotion.id}", amount=measured["amount"]))
        if workings.view is not None:
            own += [
                Use(name=name, amount=measured[measure])
                for name, measure in {cap_name(promotion, cap, on): cap.of for cap in promotion.caps
                                      if cap.per != "receipt"}.items()
            ]  # fmt: skip
    if workings.view is not None and workings.lines:
        own += _tracked(workings, net_minor)
    return own, shared


def merged(uses: Iterable[Use]) -> tuple[Use, ...]:
    """Steps of the same counter as one, sorted by name; those that add nothing left out."""
    return add_uses((), uses)


def counters_after(workings: Workings, uses: Iterable[Use]) -> tuple[Use, ...]:
    """The new values of the counters that these uses change; none where the old ones are not known."""
    if workings.view is None or workings.view.counters is None:
        return ()
    changed = {use.name for use in uses}
    return tuple(use for use in add_uses(workings.view.counters, uses) if use.name in changed)


def _tracked(workings: Workings, net_minor: int) -> Iterable[Use]:
    for name, period in workings.compiled.tracked:
        if name == LAST_VISIT:
            yield Use(name=name, amount=workings.place.business_date.toordinal())
        else:
            amount = 1 if name == "visits" else net_minor
            yield Use(name=in_period(name, period, workings.moment.on), amount=amount)
