"""Whether two parts of a programme can meet, as far as the document tells: goods, moments, members, conditions.

What is not known for sure counts as possible, so that a warning built on "never" is right whenever it is given.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta, timezone
from itertools import combinations

import msgspec

from loyalty.document import WEEKDAYS
from loyalty.programme.promotion import (
    Condition,
    Lapsed,
    PeriodSpendIs,
    Promotion,
    PurchaseIs,
    QuantityIs,
    SpendIs,
    Valid,
    Where,
    Who,
)
from loyalty.programme.selectors import EVERYTHING, Selector

WHOLE_DAY = ((0, 24 * 60),)
# Offsets of the world's stores, for instants that were written in UTC and so do not tell the store's own.
_EVERYWHERE = tuple(timedelta(minutes=minutes) for minutes in range(-12 * 60, 14 * 60 + 1, 15))


# Goods


def within(inner: Selector, outer: Selector) -> bool:
    """Whether surely every line that `inner` names is named by `outer`."""
    if outer in (EVERYTHING, inner):
        return True
    low, high = inner.unit_price_from_minor, inner.unit_price_to_minor
    kinds = ((inner.sku, outer.sku), (inner.brand, outer.brand), (inner.tags, outer.tags))
    return (
        all(not wide or (bool(narrow) and set(narrow) <= set(wide)) for narrow, wide in kinds)
        and (not outer.category or (bool(inner.category) and all(_below(p, outer.category) for p in inner.category)))
        and (outer.unit_price_from_minor is None or (low is not None and low >= outer.unit_price_from_minor))
        and (outer.unit_price_to_minor is None or (high is not None and high <= outer.unit_price_to_minor))
        and (outer.exclude is None or apart(inner, outer.exclude))
    )


def apart(one: Selector, other: Selector) -> bool:
    """Whether surely no line is named by both."""
    for a, b in ((one.sku, other.sku), (one.brand, other.brand)):
        if a and b and set(a).isdisjoint(b):
            return True
    if one.category and other.category:
        paths = [(a, b) for a in one.category for b in other.category]
        if not any(_below(a, (b,)) or _below(b, (a,)) for a, b in paths):
            return True
    for inner, outer in ((one, other), (other, one)):
        if inner.unit_price_to_minor is not None and (outer.unit_price_from_minor or 0) > inner.unit_price_to_minor:
            return True
        if inner.exclude is not None and within(outer, inner.exclude):
            return True
    return False


def never_selects(selector: Selector) -> bool:
    """Whether a selector excludes all that it includes."""
    return selector.exclude is not None and within(without_exclude(selector), selector.exclude)


def alike(one: Selector, other: Selector) -> bool:
    """Whether the goods of one are, but for exclusions, among those of the other."""
    if apart(one, other):
        return False
    plain, plain_other = without_exclude(one), without_exclude(other)
    return within(plain, plain_other) or within(plain_other, plain)


def without_exclude(selector: Selector) -> Selector:
    """The selector with nothing excluded."""
    return msgspec.structs.replace(selector, exclude=None)


def _below(path: tuple[str, ...], roots: Sequence[tuple[str, ...]]) -> bool:
    return any(path[: len(root)] == root for root in roots)


# Moments


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """When something runs: days (both in), instants (in and out), weekdays, and minutes of the day (in and out)."""

    first: date
    last: date
    start: datetime | None
    end: datetime | None
    weekdays: tuple[str, ...]
    hours: tuple[tuple[int, int], ...]


def times_of(valid: Valid) -> Times:
    """When a promotion runs; windows around a member's own day are not looked at."""
    return Times(
        first=valid.from_on or date.min,
        last=valid.to_on or date.max,
        start=_within_reach(valid.from_at),
        end=_within_reach(valid.to_at),
        weekdays=valid.weekdays or WEEKDAYS,
        hours=tuple((_minutes(start), _minutes(end)) for start, end in valid.hours) or WHOLE_DAY,
    )


def both(one: Times, other: Times) -> Times:
    """When two things run at once."""
    hours = ((max(a, c), min(b, d)) for a, b in one.hours for c, d in other.hours)
    return Times(
        first=max(one.first, other.first),
        last=min(one.last, other.last),
        start=max(filter(None, (one.start, other.start)), default=None),
        end=min(filter(None, (one.end, other.end)), default=None),
        weekdays=tuple(day for day in one.weekdays if day in other.weekdays),
        hours=tuple((start, end) for start, end in hours if start < end),
    )


def has_a_moment(times: Times) -> bool:
    """Whether there is any minute at which all of it holds, in the store time that its instants are written in."""
    if times.start and times.end and times.start >= times.end:
        return False
    return any(_has_a_minute(times, offset) for offset in _offsets(times))


def _offsets(times: Times) -> Sequence[timedelta]:
    told = [one.utcoffset() or timedelta() for one in (times.start, times.end) if one]
    return _EVERYWHERE if told and timedelta() in told else told or (timedelta(),)


def _has_a_minute(times: Times, offset: timedelta) -> bool:
    start = times.start and times.start.astimezone(timezone(offset)).replace(tzinfo=None)
    end = times.end and (times.end.astimezone(timezone(offset)) - timedelta(microseconds=1)).replace(tzinfo=None)
    first = max(times.first, start.date()) if start else times.first
    last = min(times.last, end.date()) if end else times.last
    if first > last:
        return False
    if (last - first).days > 8:
        return bool(times.weekdays and times.hours)  # every weekday is there from midnight to midnight
    for day in (first + timedelta(days=n) for n in range((last - first).days + 1)):
        low = start.hour * 60 + start.minute if start and start.date() == day else 0
        high = end.hour * 60 + end.minute if end and end.date() == day else 24 * 60 - 1
        open_then = any(max(low, a) <= min(high, b - 1) for a, b in times.hours)
        if WEEKDAYS[day.weekday()] in times.weekdays and open_then:
            return True
    return False


def _minutes(time: str) -> int:
    return int(time[:2]) * 60 + int(time[3:])


def _within_reach(instant: datetime | None) -> datetime | None:
    """An instant that can be told in every offset; one at the ends of the calendar bounds nothing."""
    return instant if instant and 1 < instant.year < 9_999 else None


# Conditions


def contradictions(conditions: Sequence[Condition]) -> Iterator[tuple[int, int]]:
    """Positions of conditions that cannot both hold, the earlier one first."""
    for (i, one), (j, other) in combinations(enumerate(conditions), 2):
        if _excludes(one, other) or _excludes(other, one):
            yield i, j


def _excludes(one: Condition, other: Condition) -> bool:
    """Whether what the first asks at least is more than the second allows at most."""
    if isinstance(one, SpendIs) and isinstance(other, SpendIs):
        same = (one.looks_at, one.tax) == (other.looks_at, other.tax) and within(one.of, other.of)
        high = other.at_most_minor if other.equal_minor is None else other.equal_minor
        return same and high is not None and _least(one) > high
    if isinstance(one, QuantityIs) and isinstance(other, QuantityIs):
        most = other.at_most_milli if other.per == "basket" and within(one.of, other.of) else None
        return most is not None and (one.at_least_milli or 0) > most
    if isinstance(one, PeriodSpendIs) and isinstance(other, PeriodSpendIs):
        same = one.period == other.period and (other.this_receipt or not one.this_receipt)
        return same and other.at_most_minor is not None and (one.at_least_minor or 0) > other.at_most_minor
    if isinstance(one, PurchaseIs) and isinstance(other, PurchaseIs):
        if one.number is None:
            return False
        return one.number % other.every > 0 if other.every else one.number != other.number
    return isinstance(one, PurchaseIs) and one.number == 1 and isinstance(other, Lapsed)


def _least(condition: SpendIs) -> int:
    above = 0 if condition.more_than_minor is None else condition.more_than_minor + 1
    return max(condition.at_least_minor or 0, above, condition.equal_minor or 0)


# Promotions


def can_meet(one: Promotion, other: Promotion) -> bool:
    """Whether one sale can have both promotions, as far as place, member, time and conditions tell."""
    return (
        _same_place(one.where, other.where)
        and _same_member(one.who, other.who)
        and has_a_moment(both(times_of(one.valid), times_of(other.valid)))
        and next(contradictions((*one.when, *other.when)), None) is None
    )


def _same_place(one: Where, other: Where) -> bool:
    pairs = (
        (one.partners, other.partners), (one.stores, other.stores),
        (one.channels, other.channels), (one.till_kinds, other.till_kinds),
    )  # fmt: skip
    return all(not a or not b or bool(set(a) & set(b)) for a, b in pairs)


def _same_member(one: Who, other: Who) -> bool:
    if one.tiers and other.tiers and not set(one.tiers) & set(other.tiers):
        return False
    pairs = ((one, other), (other, one))
    return not any(a.segments and set(a.segments) <= set(b.not_segments) for a, b in pairs)
