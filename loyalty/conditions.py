"""Does a promotion hold for this basket, member, place and moment; if not, the first figure that fails.

Time is read from `sold_at` and the store's own offset, so no time-zone database is needed (DECISIONS 6).
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec

from loyalty.amounts import format_minor, format_units
from loyalty.baskets import Line, Place
from loyalty.compiled import selects
from loyalty.members import MemberView, Use, counter
from loyalty.programme import WEEKDAYS, Promotion, QuantityAtLeast, SpendAtLeast


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why a promotion does not apply: the condition, what it wanted, what it found, and the sentence."""

    condition: str
    wanted: str
    found: str
    say: str
    short_of_minor: int = 0
    short_of_milli: int = 0


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """The store's local date, weekday and `HH:MM` of a sale."""

    on: date
    weekday: str
    at: str


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """Everything conditions look at, but for the running amounts."""

    lines: tuple[Line, ...]
    place: Place
    moment: Moment
    view: MemberView | None
    currency: str


def moment_of(place: Place) -> Moment:
    """Store time of a sale, from its instant and offset."""
    local = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=place.sold_at_ms, minutes=place.offset_min)
    return Moment(on=local.date(), weekday=WEEKDAYS[local.weekday()], at=f"{local:%H:%M}")


def first_unmet(promotion: Promotion, setting: Setting, remaining: Sequence[int]) -> Reason | None:
    """The first thing that keeps a promotion from applying, none when it holds.

    Args:
        setting: basket, place, moment and member.
        remaining: what each line still costs after earlier promotions, in minor units, by position.
    """
    return (
        _place(promotion, setting.place)
        or _time(promotion, setting.moment)
        or _member(promotion, setting.view)
        or _limit(promotion, setting)
        or _goods(promotion, setting, remaining)
    )


def limit_name(promotion: Promotion, moment: Moment) -> str:
    """The counter behind a limit per member; the period is in the name, so it lapses by itself."""
    assert promotion.limits is not None
    period = {
        "ever": "",
        "year": f":{moment.on:%Y}",
        "month": f":{moment.on:%Y-%m}",
        "day": f":{moment.on:%Y-%m-%d}",
    }[promotion.limits.per]
    return f"promo:{promotion.id}{period}"


def uses_of(promotion: Promotion, setting: Setting) -> tuple[Use, ...]:
    """What an applied promotion adds to the member's counters."""
    if promotion.limits is None or setting.view is None:
        return ()
    return (Use(name=limit_name(promotion, setting.moment), amount=1),)


def _place(promotion: Promotion, place: Place) -> Reason | None:
    for kind, wanted, found in (
        ("partners", promotion.where.partners, place.partner_id),
        ("stores", promotion.where.stores, place.store_id),
        ("channels", promotion.where.channels, place.channel),
    ):
        if wanted and found not in wanted:
            return _reason(f"where.{kind}", ", ".join(wanted), found, f"Runs only in: {', '.join(wanted)}.")
    return None


def _time(promotion: Promotion, moment: Moment) -> Reason | None:
    valid = promotion.valid
    today = moment.on.isoformat()
    if valid.from_on and moment.on < valid.from_on:
        return _reason("valid.from_on", valid.from_on.isoformat(), today, f"Starts on {valid.from_on}.")
    if valid.to_on and moment.on > valid.to_on:
        return _reason("valid.to_on", valid.to_on.isoformat(), today, f"Ended on {valid.to_on}.")
    if valid.weekdays and moment.weekday not in valid.weekdays:
        days = ", ".join(valid.weekdays)
        return _reason("valid.weekdays", days, moment.weekday, f"Runs on {days}.")
    if valid.hours and not any(start <= moment.at < end for start, end in valid.hours):
        hours = ", ".join(f"{start}-{end}" for start, end in valid.hours)
        return _reason("valid.hours", hours, moment.at, f"Runs at {hours}.")
    return None


def _member(promotion: Promotion, view: MemberView | None) -> Reason | None:
    who = promotion.who
    if view is None:
        needs_card = who.card or who.segments or who.tiers or promotion.limits
        return _reason("who.card", "card", "none", "Needs a loyalty card.") if needs_card else None
    if who.segments and not set(who.segments) & set(view.segments):
        return _reason("who.segments", ", ".join(who.segments), ", ".join(view.segments), "Is for other members.")
    if who.tiers and view.tier not in who.tiers:
        return _reason("who.tiers", ", ".join(who.tiers), view.tier, f"Is for tier {', '.join(who.tiers)}.")
    return None


def _limit(promotion: Promotion, setting: Setting) -> Reason | None:
    limits, view = promotion.limits, setting.view
    if limits is None or view is None:
        return None
    if view.counters is None:
        # Tills hold counters only for their own store's members; without them a limited promotion is not granted.
        return _reason("limits", str(limits.times), "unknown", "Cannot be checked at this store; try your home store.")
    used = counter(view.counters, limit_name(promotion, setting.moment))
    if used >= limits.times:
        return _reason("limits", str(limits.times), str(used), f"Already used {used} of {limits.times} times.")
    return None


def _goods(promotion: Promotion, setting: Setting, remaining: Sequence[int]) -> Reason | None:
    for condition in promotion.when:
        chosen = [i for i, line in enumerate(setting.lines) if selects(condition.of, line)]
        reason: Reason | None = None
        if isinstance(condition, SpendAtLeast):
            reason = _spend(condition, sum(remaining[i] for i in chosen), setting.currency)
        elif isinstance(condition, QuantityAtLeast):
            reason = _quantity(condition, sum(setting.lines[i].quantity_milli for i in chosen))
        if reason:
            return reason
    return None


def _spend(condition: SpendAtLeast, found: int, currency: str) -> Reason | None:
    short = condition.at_least_minor - found
    if short <= 0:
        return None
    return Reason(
        condition="when.spend",
        wanted=str(condition.at_least_minor),
        found=str(found),
        say=f"{format_minor(short, currency)} {currency} more.",
        short_of_minor=short,
    )


def _quantity(condition: QuantityAtLeast, found: int) -> Reason | None:
    short = condition.at_least_milli - found
    if short <= 0:
        return None
    return Reason(
        condition="when.quantity",
        wanted=str(condition.at_least_milli),
        found=str(found),
        say=f"{format_units(short)} more to buy.",
        short_of_milli=short,
    )


def _reason(condition: str, wanted: str, found: str, say: str) -> Reason:
    return Reason(condition=condition, wanted=wanted, found=found, say=say)
