"""Tiers of membership: reached, kept, held through days of grace, and lost on a day that everybody can work out."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.members import UNKNOWN_CARD
from loyalty.programme.programme import Threshold
from loyalty.programme.tiers import Standing, TierProgress, judge_tier, measured
from tests.loyalty.build import (
    compiled,
    day,
    line,
    member,
    percent_off,
    place,
    programme,
    promotion,
    quote,
    steps_of,
    use,
)

SILVER = {"id": "silver", "reach": {"spend_minor": 50_000}}
GOLD = {"id": "gold", "reach": {"spend_minor": 200_000}, "keep": {"spend_minor": 100_000}, "grace_days": 31}
PLATINUM = {"id": "platinum", "reach": {"purchases": 100}, "lasts_days": 90}
CLUB = programme(tiers=[SILVER, GOLD, PLATINUM], base_tier="member")


def judged(tier, through, counters, today, rules=CLUB):
    had = Standing(tier=tier, through=day(through) if through else None)
    told = judge_tier(rules, had, counters, day(today))
    return told.tier, told.through.isoformat() if told.through else ""


# Reached. The year is the running one; each tier lasts to the end of the following year.
REACHED = [
    ({}, ("member", "")),
    ({"spend:2026": 49_999}, ("member", "")),
    ({"spend:2026": 50_000}, ("silver", "2027-12-31")),
    ({"spend:2025": 50_000}, ("member", "")),  # last year's spend reaches nothing
    ({"spend:2026": 200_000}, ("gold", "2027-12-31")),  # two steps at once
    ({"visits:2026": 100}, ("platinum", "2026-05-30")),  # three; 90 days, 2 March the first of them
    ({"visits:2026": 99, "spend:2026": 10**15}, ("gold", "2027-12-31")),
]


@pytest.mark.parametrize(("counters", "told"), REACHED)
@pytest.mark.parametrize("before", ["member", "", "bronze"], ids=["base", "none", "of another programme"])
def test_the_highest_tier_that_is_reached_is_had(before, counters, told):
    assert judged(before, "", counters, "2026-03-02") == told


def test_who_has_a_tier_goes_up_while_it_lasts_and_is_not_taken_down():
    assert judged("silver", "2026-12-31", {"spend:2026": 200_000}, "2026-03-02") == ("gold", "2027-12-31")
    assert judged("gold", "2026-12-31", {"spend:2026": 50_000}, "2026-03-02") == ("gold", "2026-12-31")
    assert judged("gold", "2026-12-31", {}, "2026-12-31") == ("gold", "2026-12-31")  # its last day


def test_a_tier_without_a_last_day_begins_to_last_today():
    assert judged("gold", "", {}, "2026-03-02") == ("gold", "2027-12-31")
    assert judged("platinum", "", {}, "2026-03-02") == ("platinum", "2026-05-30")


# Gold that ended on 31 December 2025. It is kept by 1,000.00 in the year; for 31 days there is grace.
KEPT = [
    # What was spent, on which day it is judged.
    ({"spend:2025": 100_000}, "2026-01-01", ("gold", "2026-12-31")),  # to the end of the year that follows
    ({"spend:2025": 99_999}, "2026-01-01", ("gold", "2025-12-31")),  # grace
    ({"spend:2025": 99_999}, "2026-01-31", ("gold", "2025-12-31")),  # its last day
    ({"spend:2025": 99_999}, "2026-02-01", ("silver", "2026-12-31")),  # what 2025 earned
    ({"spend:2025": 49_999}, "2026-02-01", ("member", "")),  # two steps down
    ({"spend:2025": 99_999, "spend:2026": 100_000}, "2026-01-31", ("gold", "2027-12-31")),  # in the days of grace
    ({"spend:2025": 99_999, "spend:2026": 99_999}, "2026-01-31", ("gold", "2025-12-31")),
    ({"spend:2026": 200_000}, "2026-02-01", ("gold", "2027-12-31")),  # reached anew
    ({"spend:2026": 50_000}, "2026-02-01", ("silver", "2027-12-31")),  # silver reached this year lasts to the next
    ({"spend:2025": 50_000, "spend:2026": 50_000}, "2026-02-01", ("silver", "2027-12-31")),  # kept, and reached anew
    ({"visits:2026": 100}, "2026-01-01", ("platinum", "2026-03-31")),
]


@pytest.mark.parametrize(("counters", "today", "told"), KEPT)
def test_a_tier_that_ended_is_kept_or_held_for_days_of_grace_or_lost(counters, today, told):
    assert judged("gold", "2025-12-31", counters, today) == told


def test_without_keep_a_tier_is_kept_by_what_reaches_it_and_without_grace_it_is_lost_the_next_day():
    assert judged("silver", "2025-12-31", {"spend:2025": 50_000}, "2026-01-01") == ("silver", "2026-12-31")
    assert judged("silver", "2025-12-31", {"spend:2025": 49_999}, "2026-01-01") == ("member", "")


def test_a_tier_that_lasts_for_days_is_kept_for_as_many_more():
    # 90 days from 2 March end on 30 May; kept, the next ones end on 28 August.
    assert judged("platinum", "2026-05-30", {"visits:2026": 100}, "2026-05-30") == ("platinum", "2026-05-30")
    assert judged("platinum", "2026-05-30", {"visits:2026": 100}, "2026-05-31") == ("platinum", "2026-08-28")
    assert judged("platinum", "2026-05-30", {"visits:2026": 100}, "2026-06-10") == ("platinum", "2026-08-28")
    assert judged("platinum", "2026-05-30", {"spend:2026": 100_000}, "2026-05-31") == ("gold", "2027-12-31")


def test_who_was_not_judged_for_years_is_judged_year_by_year():
    # Gold through 2024, kept by 2024 and by 2025, lost in 2026 to silver, which 2026 earned and 2027 did not keep.
    counters = {"spend:2024": 100_000, "spend:2025": 100_000, "spend:2026": 60_000}
    assert judged("gold", "2024-12-31", counters, "2025-06-01") == ("gold", "2025-12-31")
    assert judged("gold", "2024-12-31", counters, "2026-06-01") == ("gold", "2026-12-31")
    assert judged("gold", "2024-12-31", counters, "2027-06-01") == ("silver", "2027-12-31")
    assert judged("gold", "2024-12-31", counters, "2028-06-01") == ("member", "")
    assert judged("gold", "2024-12-31", {}, "2031-06-01") == ("member", "")


def test_who_reached_a_lower_tier_today_has_it_as_long_as_anybody_who_did():
    assert judged("gold", "2024-12-31", {"spend:2031": 50_000}, "2031-06-01") == ("silver", "2032-12-31")


def test_a_tier_that_the_programme_no_longer_has_is_that_of_everybody():
    assert judged("diamond", "2030-12-31", {}, "2026-03-02") == ("member", "")


# By days: the last 30 of them, the day itself counted.
MONTH = programme(tiers=[{"id": "regular", "reach": {"spend_minor": 1000, "days": 30}, "lasts_days": 30}])


def test_the_last_days_count_with_the_day_itself_and_over_the_29th_of_february():
    spent = {"spend:2028-02-01": 1000}
    # 30 days that end on 1 March 2028: 1 February is the first, for 29 February lies between.
    assert judged("", "", spent, "2028-03-01", MONTH) == ("regular", "2028-03-30")
    assert judged("", "", spent, "2028-03-02", MONTH) == ("", "")
    # In 2026 the same day is one day further away.
    assert judged("", "", {"spend:2026-02-01": 1000}, "2026-03-02", MONTH) == ("regular", "2026-03-31")
    assert judged("", "", {"spend:2026-02-01": 1000}, "2026-03-03", MONTH) == ("", "")


def test_days_of_grace_run_over_the_29th_of_february():
    rules = programme(tiers=[SILVER | {"lasts_days": 30, "grace_days": 2}], base_tier="member")
    assert judged("silver", "2028-02-28", {}, "2028-03-01", rules) == ("silver", "2028-02-28")
    assert judged("silver", "2028-02-28", {}, "2028-03-02", rules) == ("member", "")
    assert judged("silver", "2026-02-28", {}, "2026-03-02", rules) == ("silver", "2026-02-28")
    assert judged("silver", "2026-02-28", {}, "2026-03-03", rules) == ("member", "")


def test_a_year_reached_on_the_29th_of_february_lasts_365_days():
    rules = programme(tiers=[SILVER | {"lasts_days": 365}], base_tier="member")
    assert judged("", "", {"spend:2028": 50_000}, "2028-02-29", rules) == ("silver", "2029-02-27")


MEASURES = [
    ({"spend_minor": 1}, 1),
    ({"spend_minor": 1, "period": "quarter"}, 2),
    ({"spend_minor": 1, "period": "month"}, 3),
    ({"spend_minor": 1, "period": "day"}, 4),
    ({"spend_minor": 1, "period": "ever"}, 5),
    ({"purchases": 1}, 6),
    ({"purchases": 1, "period": "ever"}, 7),
    ({"purchases": 1, "days": 2}, 8 + 9),
    ({"spend_minor": 1, "days": 1}, 4),
]
COUNTERS = {
    "spend:2026": 1, "spend:2026-Q4": 2, "spend:2026-12": 3, "spend:2026-12-31": 4, "spend": 5, "visits:2026": 6,
    "visits": 7, "visits:2026-12-31": 8, "visits:2026-12-30": 9, "visits:2026-12-29": 100, "spend:2027": 100,
    "visits:2027-01-01": 100, "spend:2027-01-01": 100,
}  # fmt: skip


@pytest.mark.parametrize(("threshold", "told"), MEASURES)
def test_a_threshold_is_measured_in_its_period(threshold, told):
    assert measured(Threshold(**threshold), COUNTERS, day("2026-12-31")) == told


def test_the_last_days_of_the_first_days_there_are_end_at_the_first():
    assert measured(Threshold(purchases=1, days=800), {"visits:0001-01-01": 3}, date(1, 1, 2)) == 3


STORIES = st.dictionaries(
    st.sampled_from([f"{name}:{year}" for name in ("spend", "visits") for year in range(2024, 2029)]),
    st.sampled_from([1, 50, 100, 49_999, 50_000, 100_000, 200_000]),
)
TODAY = st.dates(date(2024, 1, 1), date(2028, 12, 31))
HAD = st.tuples(st.sampled_from(["", "member", "silver", "gold", "platinum"]), st.none() | TODAY)


@given(STORIES, HAD, TODAY)
def test_judging_twice_on_a_day_changes_nothing(counters, had, today):
    once = judge_tier(CLUB, Standing(tier=had[0], through=had[1]), counters, today)
    assert judge_tier(CLUB, once, counters, today) == once
    # Nobody is told a tier that has ended, but for the days of grace.
    assert once.through is None or once.through + timedelta(days=31) >= today


@given(STORIES, HAD, TODAY)
def test_a_higher_tier_that_is_reached_is_never_refused(counters, had, today):
    told = judge_tier(CLUB, Standing(tier=had[0], through=had[1]), counters, today)
    ranks = ["member", "silver", "gold", "platinum"]
    reached = "member"
    if counters.get(f"spend:{today.year}", 0) >= 50_000:
        reached = "silver"
    if counters.get(f"spend:{today.year}", 0) >= 200_000:
        reached = "gold"
    if counters.get(f"visits:{today.year}", 0) >= 100:
        reached = "platinum"
    assert ranks.index(told.tier) >= ranks.index(reached)


# What a quote tells of it

TIERS = {"tiers": [SILVER, GOLD, PLATINUM], "base_tier": "member"}


def progress(view, *lines, **facts):
    return quote(compiled(**TIERS), *(lines or (line(1, 1000),)), view=view, **facts).tier


def test_how_far_the_next_tier_is_counts_this_receipt():
    had = member(tier="silver", tier_through=day("2027-12-31"), counters=(use("spend:2026", 150_000),))
    assert progress(had) == TierProgress(
        tier="silver", through=day("2027-12-31"), next_tier="gold", measure="spend", wanted=200_000, found=151_000,
        short_of=49_000,
    )  # fmt: skip


def test_nothing_is_told_where_there_are_no_tiers_or_nobody_knows_what_was_before():
    assert progress(None) is None
    assert progress(member(counters=None)) is None
    assert progress(UNKNOWN_CARD) is None
    assert quote(compiled(), line(1, 1000), view=member()).tier is None


def test_what_is_far_above_the_next_tier_leaves_nothing_short():
    told = progress(member(tier="silver", counters=(use("spend:2026", 10**15),)))
    assert (told.next_tier, told.short_of) == ("gold", 0)


def test_a_tier_by_purchases_counts_this_one():
    told = progress(member(tier="gold", counters=(use("visits:2026", 98),)))
    assert (told.next_tier, told.measure, told.found, told.short_of) == ("platinum", "purchases", 99, 1)


def test_above_the_highest_there_is_nothing_more():
    assert progress(member(tier="platinum", tier_through=day("2026-05-30"))) == TierProgress(
        tier="platinum", through=day("2026-05-30")
    )


def test_who_has_no_tier_yet_has_the_one_of_everybody():
    told = progress(member())
    assert (told.tier, told.next_tier) == ("member", "silver")
    rules = compiled(promotion("hello", percent_off(1000), who={"tiers": ["member"]}), **TIERS)
    assert quote(rules, line(1, 1000), view=member()).totals.discount_minor == 100
    assert quote(rules, line(1, 1000), view=member(tier="silver")).totals.discount_minor == 0


def test_after_midnight_the_receipt_is_told_in_the_year_in_which_it_is_counted():
    new_year_ms = 1_798_763_400_000  # 2027-01-01 00:30 UTC
    where = place(sold_at_ms=new_year_ms, business_date=day("2026-12-31"))
    view = member(tier="member", counters=(use("spend:2026", 40_000), use("spend:2027", 5_000)))
    asked = quote(compiled(**TIERS), line(1, 1000), view=view, place=where)
    (counted,) = [name for name in steps_of(asked.uses) if name.startswith("spend:")]
    found = {"spend:2026": 41_000, "spend:2027": 6_000}[counted]
    assert (asked.tier.found, asked.tier.short_of) == (found, 50_000 - found)
