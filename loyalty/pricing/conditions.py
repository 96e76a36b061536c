"""Does a promotion hold for this basket, member, place and moment; if not, the first figure that fails."""

import hashlib
from datetime import UTC, date, datetime, timedelta

from loyalty.baskets import Place
from loyalty.members import MemberView
from loyalty.moments import in_period
from loyalty.pricing.when_conditions import first_condition_unmet
from loyalty.pricing.workings import Reason, Workings, no_card, not_met, unknown_here
from loyalty.programme.compiled import Rule
from loyalty.programme.promotion import Cap, Promotion, Window

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def first_unmet(rule: Rule, workings: Workings) -> Reason | None:
    """The first thing that keeps a promotion from applying, none when it holds.

    What only depends on place and time comes first, then the member, then the goods.
    """
    asks, promotion = rule.asks, rule.promotion
    if not asks:
        return None
    if "place" in asks and (reason := _place(promotion, workings.place)):
        return reason
    if "time" in asks and (reason := _time(promotion, workings)):
        return reason
    if "card" in asks and workings.view is None:
        return no_card()
    if "member" in asks and (reason := _member(promotion, workings)):
        return reason
    if "limits" in asks and (reason := limits_unmet(rule, workings)):
        return reason
    return first_condition_unmet(rule, workings) if "when" in asks else None


def limit_name(promotion: Promotion, on: date) -> str:
    """The counter behind a limit per member, in the period of a day."""
    assert promotion.limits is not None
    return in_period(f"promo:{promotion.id}", promotion.limits.per, on)


def cap_name(promotion: Promotion, cap: Cap, on: date) -> str:
    """The counter behind a cap per member and period."""
    return in_period(f"cap:{promotion.id}:{cap.of}", cap.per, on)


def _place(promotion: Promotion, place: Place) -> Reason | None:
    where = promotion.where
    for kind, wanted, found in (
        ("partners", where.partners, place.partner_id),
        ("stores", where.stores, place.store_id),
        ("channels", where.channels, place.channel),
        ("till_kinds", where.till_kinds, place.till_kind),
    ):
        if wanted and found not in wanted:
            return not_met(f"where.{kind}", ", ".join(wanted), found, f"Runs only in: {', '.join(wanted)}.")
    return None


def _time(promotion: Promotion, workings: Workings) -> Reason | None:
    valid, moment = promotion.valid, workings.moment
    sold_at_ms = workings.place.sold_at_ms
    if valid.from_at and sold_at_ms < _ms(valid.from_at):
        return not_met("valid.from_at", valid.from_at.isoformat(), str(sold_at_ms), f"Starts at {valid.from_at}.")
    if valid.to_at and sold_at_ms >= _ms(valid.to_at):
        return not_met("valid.to_at", valid.to_at.isoformat(), str(sold_at_ms), f"Ended at {valid.to_at}.")
    today = moment.on.isoformat()
    if valid.from_on and moment.on < valid.from_on:
        return not_met("valid.from_on", valid.from_on.isoformat(), today, f"Starts on {valid.from_on}.")
    if valid.to_on and moment.on > valid.to_on:
        return not_met("valid.to_on", valid.to_on.isoformat(), today, f"Ended on {valid.to_on}.")
    if valid.weekdays and moment.weekday not in valid.weekdays:
        days = ", ".join(valid.weekdays)
        return not_met("valid.weekdays", days, moment.weekday, f"Runs on {days}.")
    if valid.hours and not any(start <= moment.at < end for start, end in valid.hours):
        hours = ", ".join(f"{start}-{end}" for start, end in valid.hours)
        return not_met("valid.hours", hours, moment.at, f"Runs at {hours}.")
    return None


def _member(promotion: Promotion, workings: Workings) -> Reason | None:
    who, valid, view = promotion.who, promotion.valid, workings.view
    assert view is not None
    if who.segments and not set(who.segments) & set(view.segments):
        return not_met("who.segments", ", ".join(who.segments), ", ".join(view.segments), "Is for other members.")
    if who.not_segments and set(who.not_segments) & set(view.segments):
        return not_met(
            "who.not_segments", ", ".join(who.not_segments), ", ".join(view.segments), "Is for other members."
        )
    if who.tiers and workings.tier not in who.tiers:
        return not_met("who.tiers", ", ".join(who.tiers), workings.tier, f"Is for tier {', '.join(who.tiers)}.")
    if who.control_bp and _is_control(promotion, view):
        return not_met("who.control", str(who.control_bp), "control", "Is not offered to this member.")
    return _yearly("birthday", valid.birthday, view.birthday_in_days) or _yearly(
        "anniversary", valid.anniversary, view.anniversary_in_days
    )


def _is_control(promotion: Promotion, view: MemberView) -> bool:
    """The same members are left out at every till and for as long as the promotion has its name."""
    if view.account_id is None:
        return False
    told = hashlib.sha256(f"{promotion.id}:{view.account_id}".encode()).digest()
    return int.from_bytes(told[:8], "big") % 10_000 < promotion.who.control_bp


def _yearly(name: str, window: Window | None, in_days: int | None) -> Reason | None:
    if window is None or (in_days is not None and -window.days_after <= in_days <= window.days_before):
        return None
    found = "unknown" if in_days is None else str(in_days)
    return not_met(f"valid.{name}", f"-{window.days_after}..{window.days_before}", found, f"Runs around the {name}.")


def limits_unmet(rule: Rule, workings: Workings) -> Reason | None:
    """The first limit of a promotion that is used up, what it did on this receipt counted."""
    promotion = rule.promotion
    limits, now = promotion.limits, workings.acted.get(rule.no, 0) + workings.pending.get(rule.no, 0)
    if workings.counters is None and workings.view is not None:
        if limits and limits.times:
            # Tills hold counters only for their own store's members; without them a limit cannot be kept.
            return unknown_here("limits.times", str(limits.times))
        if any(cap.per != "receipt" for cap in promotion.caps):
            return unknown_here("caps", "known")
    if limits is None:
        return None
    if limits.times and workings.counters is not None:
        used = workings.counters.get(limit_name(promotion, workings.moment.on), 0) + now
        if used >= limits.times:
            say = f"Already used {used} of {limits.times} times."
            return not_met("limits.times", str(limits.times), str(used), say)
    if limits.times_in_all:
        used = workings.shared.get(f"promo:{promotion.id}", 0) + now
        if used >= limits.times_in_all:
            say = "All that there were have been given out."
            return not_met("limits.times_in_all", str(limits.times_in_all), str(used), say)
    return None


def budget_left(rule: Rule, workings: Workings) -> int | None:
    """What is left of a promotion's budget, in minor units; none where it has none."""
    limits = rule.promotion.limits
    if limits is None or limits.budget_minor is None:
        return None
    used = workings.shared.get(f"budget:{rule.promotion.id}", 0) + workings.taken.get(rule.no, 0)
    return limits.budget_minor - used


def _ms(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(milliseconds=1)
