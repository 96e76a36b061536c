"""Store time and the names of periods: both read off an instant, an offset and a date, without a time-zone database."""

from datetime import date

import pytest

from loyalty.moments import in_period, moment_of
from tests.loyalty.build import MONDAY_NOON_MS, place

HOUR_MS = 3_600_000


def told(sold_at_ms, offset_min=0):
    moment = moment_of(place(sold_at_ms=sold_at_ms, offset_min=offset_min))
    return moment.on.isoformat(), moment.weekday, moment.at


def test_store_time_is_read_from_the_instant_and_the_stores_own_offset():
    assert told(MONDAY_NOON_MS + 11 * HOUR_MS, 330) == ("2026-03-03", "tue", "04:30")


MOMENTS = [
    (0, 0, ("1970-01-01", "thu", "00:00")),
    (0, -1, ("1969-12-31", "wed", "23:59")),
    (59_999, 0, ("1970-01-01", "thu", "00:00")),  # a minute is what hours are compared in
    (MONDAY_NOON_MS, 14 * 60, ("2026-03-03", "tue", "02:00")),
    (MONDAY_NOON_MS, -12 * 60, ("2026-03-02", "mon", "00:00")),
    (MONDAY_NOON_MS, 345, ("2026-03-02", "mon", "17:45")),  # Kathmandu
    (1_798_761_599_999, 0, ("2026-12-31", "thu", "23:59")),
    (1_798_761_600_000, 0, ("2027-01-01", "fri", "00:00")),
    (1_835_395_200_000, 0, ("2028-02-29", "tue", "00:00")),
    (10**14, 18 * 60, ("5138-11-17", "thu", "03:46")),  # the latest instant there is, the largest offset
]


@pytest.mark.parametrize(("sold_at_ms", "offset_min", "moment"), MOMENTS)
def test_a_moment_has_its_date_weekday_and_minute(sold_at_ms, offset_min, moment):
    assert told(sold_at_ms, offset_min) == moment


QUARTERS = [
    ("2026-01-01", "Q1"), ("2026-03-31", "Q1"), ("2026-04-01", "Q2"), ("2026-06-30", "Q2"), ("2026-07-01", "Q3"),
    ("2026-09-30", "Q3"), ("2026-10-01", "Q4"), ("2026-12-31", "Q4"),
]  # fmt: skip


@pytest.mark.parametrize(("on", "quarter"), QUARTERS)
def test_a_quarter_has_three_months(on, quarter):
    assert in_period("spend", "quarter", date.fromisoformat(on)) == f"spend:2026-{quarter}"


# Weeks begin on Monday, and belong to the year of their Thursday (ISO 8601, 5.7.7).
WEEKS = [
    ("2026-03-01", "2026-W09"), ("2026-03-02", "2026-W10"), ("2026-03-08", "2026-W10"), ("2026-03-09", "2026-W11"),
    ("2024-12-29", "2024-W52"), ("2024-12-30", "2025-W01"), ("2026-12-31", "2026-W53"), ("2027-01-03", "2026-W53"),
    ("2027-01-04", "2027-W01"),
]  # fmt: skip


@pytest.mark.parametrize(("on", "week"), WEEKS)
def test_a_week_begins_on_monday_and_has_the_year_of_its_thursday(on, week):
    assert in_period("said:p:0", "week", date.fromisoformat(on)) == f"said:p:0:{week}"


PERIODS = [
    ("ever", "spend"),
    ("year", "spend:2028"),
    ("quarter", "spend:2028-Q1"),
    ("month", "spend:2028-02"),
    ("day", "spend:2028-02-29"),
]


@pytest.mark.parametrize(("period", "name"), PERIODS)
def test_a_period_is_in_the_counters_name(period, name):
    assert in_period("spend", period, date(2028, 2, 29)) == name


def test_years_sort_as_they_follow_each_other():
    assert in_period("spend", "year", date(1, 1, 1)) == "spend:0001"
    assert in_period("spend", "quarter", date(999, 12, 31)) == "spend:0999-Q4"
