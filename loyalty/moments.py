"""Store time, and the names of the periods that counters count in.

Time is read from `sold_at` and the store's own offset, so no time-zone database is needed (DECISIONS 6).
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import msgspec

from loyalty.baskets import Place
from loyalty.document import WEEKDAYS

DAY_MS = 86_400_000  # 24 hours; a business day is a date


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """The store's local date, weekday and `HH:MM` of a sale."""

    on: date
    weekday: str
    at: str


@lru_cache(maxsize=16)  # of the sales at hand: quote and commit ask some four times
def moment_of(place: Place) -> Moment:
    """Store time of a sale, from its instant and offset."""
    since = timedelta(milliseconds=place.sold_at_ms, minutes=place.offset_min)
    return moment_at(datetime.fromtimestamp(0, UTC) + since)


def moment_at(local: datetime) -> Moment:
    """Store time of what the clock of the store shows."""
    return Moment(on=local.date(), weekday=WEEKDAYS[local.weekday()], at=f"{local.hour:02}:{local.minute:02}")


def utc_date(at_ms: int) -> date:
    """The date of an instant where no store's own time is meant."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).date()


def in_period(name: str, period: str, on: date) -> str:
    """The counter of a name in the period that a day lies in; the period is in the name, so it lapses by itself.

    Args:
        period: ever, year, quarter, month, week (ISO 8601, from Monday on; its year may be another) or day.
    """
    if period == "ever":
        return name
    if period == "week":
        year, week, _ = on.isocalendar()
        return f"{name}:{year:04}-W{week:02}"
    if period == "quarter":
        return f"{name}:{on.year:04}-Q{(on.month + 2) // 3}"
    return f"{name}:{on.isoformat()[: {'year': 4, 'month': 7, 'day': 10}[period]]}"
