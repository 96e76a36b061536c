"""Conditions: the first thing that keeps a promotion from applying, with its figures and its sentence."""

import pytest

from loyalty.conditions import Setting, first_unmet, limit_name, moment_of, uses_of
from loyalty.members import UNKNOWN_CARD
from tests.loyalty.build import (
    MONDAY_NOON_MS,
    line,
    member,
    percent_off,
    place,
    programme,
    promotion,
    quantity,
    spend,
    use,
)

HOUR_MS = 3_600_000


def reason(rule, *lines, view=None, remaining=None, **where):
    """The first unmet condition of a promotion for these lines: a `Reason`, or none when it holds."""
    here = place(**where)
    lines = lines or (line(1, 1000),)
    setting = Setting(lines=lines, place=here, moment=moment_of(here), view=view, currency="EUR")
    return first_unmet(promoted(**rule), setting, remaining or [row.amount_minor for row in lines])


def promoted(**rule):
    return programme(promotion("spring", percent_off(1000), **rule)).promotions[0]


def said(unmet):
    return "holds" if unmet is None else f"{unmet.condition}: {unmet.say}"


def test_a_promotion_without_conditions_holds_for_anybody():
    assert reason({}) is None


WHERE = [
    ({"partners": ["acme"]}, "holds"),
    ({"partners": ["bolt", "core"]}, "where.partners: Runs only in: bolt, core."),
    ({"stores": ["S2"]}, "where.stores: Runs only in: S2."),
    ({"channels": ["web"]}, "where.channels: Runs only in: web."),
    ({"partners": ["acme"], "stores": ["S1"], "channels": ["store"]}, "holds"),
]


@pytest.mark.parametrize(("where", "told"), WHERE)
def test_a_promotion_runs_where_it_says(where, told):
    assert said(reason({"where": where})) == told


# The sale is at 12:00 UTC on Monday 2 March 2026.
WHEN = [
    ({"from_on": "2026-03-02", "to_on": "2026-03-02"}, 0, "holds"),  # both days count
    ({"from_on": "2026-03-03"}, 0, "valid.from_on: Starts on 2026-03-03."),
    ({"to_on": "2026-03-01"}, 0, "valid.to_on: Ended on 2026-03-01."),
    ({"weekdays": ["mon"]}, 0, "holds"),
    ({"weekdays": ["tue", "wed"]}, 0, "valid.weekdays: Runs on tue, wed."),
    ({"weekdays": ["tue"]}, 12 * 60, "holds"),  # twelve hours east it is Tuesday
    ({"weekdays": ["sun"]}, -13 * 60, "holds"),  # thirteen hours west it is Sunday
    ({"hours": [["12:00", "13:00"]]}, 0, "holds"),  # from the first minute
    ({"hours": [["11:00", "12:00"]]}, 0, "valid.hours: Runs at 11:00-12:00."),  # to before the last
    ({"hours": [["11:00", "12:00"]]}, -1, "holds"),
    ({"hours": [["08:00", "09:00"], ["17:00", "24:00"]]}, 0, "valid.hours: Runs at 08:00-09:00, 17:00-24:00."),
    ({"hours": [["17:00", "24:00"]]}, 11 * 60 + 59, "holds"),  # 23:59
]


@pytest.mark.parametrize(("valid", "offset_min", "told"), WHEN)
def test_a_promotion_runs_in_store_time(valid, offset_min, told):
    assert said(reason({"valid": valid}, offset_min=offset_min)) == told


def test_store_time_is_read_from_the_instant_and_the_stores_own_offset():
    moment = moment_of(place(sold_at_ms=MONDAY_NOON_MS + 11 * HOUR_MS, offset_min=330))
    assert (moment.on.isoformat(), moment.weekday, moment.at) == ("2026-03-03", "tue", "04:30")


WHO = [
    ({}, None, "holds"),
    ({"card": True}, None, "who.card: Needs a loyalty card."),
    ({"segments": ["vip"]}, None, "who.card: Needs a loyalty card."),
    ({"tiers": ["gold"]}, None, "who.card: Needs a loyalty card."),
    ({"card": True}, UNKNOWN_CARD, "holds"),
    ({"segments": ["vip", "new"]}, member(segments=("new",)), "holds"),
    ({"segments": ["vip"]}, member(segments=("new",)), "who.segments: Is for other members."),
    ({"tiers": ["gold", "black"]}, member(tier="gold"), "holds"),
    ({"tiers": ["gold"]}, member(tier="silver"), "who.tiers: Is for tier gold."),
    ({"segments": ["vip"]}, UNKNOWN_CARD, "who.segments: Is for other members."),
]


@pytest.mark.parametrize(("who", "view", "told"), WHO)
def test_a_promotion_is_for_whom_it_says(who, view, told):
    assert said(reason({"who": who}, view=view)) == told


LIMITS = [
    ({"times": 2}, (), "holds"),
    ({"times": 2}, (use("promo:spring", 1),), "holds"),
    ({"times": 2}, (use("promo:spring", 2),), "limits: Already used 2 of 2 times."),
    ({"times": 1, "per": "month"}, (use("promo:spring:2026-02", 1),), "holds"),  # a new month begins anew
    ({"times": 1, "per": "month"}, (use("promo:spring:2026-03", 1),), "limits: Already used 1 of 1 times."),
    ({"times": 1, "per": "year"}, (use("promo:spring:2026", 3),), "limits: Already used 3 of 1 times."),
    ({"times": 1, "per": "day"}, (use("promo:spring:2026-03-02", 1),), "limits: Already used 1 of 1 times."),
    ({"times": 1, "per": "day"}, (use("promo:spring:2026-03-01", 1),), "holds"),
    ({"times": 1}, None, "limits: Cannot be checked at this store; try your home store."),
]


@pytest.mark.parametrize(("limits", "counters", "told"), LIMITS)
def test_a_member_has_a_promotion_as_often_as_it_says(limits, counters, told):
    assert said(reason({"limits": limits}, view=member(counters=counters))) == told


def test_a_limit_needs_somebody_to_count():
    assert said(reason({"limits": {"times": 1}})) == "who.card: Needs a loyalty card."
    assert reason({"limits": {"times": 1}}, view=UNKNOWN_CARD).found == "unknown"


def test_the_period_of_a_limit_is_in_its_counters_name():
    names = {per: limit_name(promoted(limits={"times": 1, "per": per}), moment_of(place())) for per in PERIODS}
    assert names == PERIODS


PERIODS = {
    "ever": "promo:spring",
    "year": "promo:spring:2026",
    "month": "promo:spring:2026-03",
    "day": "promo:spring:2026-03-02",
}


def test_only_a_limited_promotion_of_a_member_is_counted():
    here = place()
    setting = Setting(lines=(), place=here, moment=moment_of(here), view=member(), currency="EUR")
    assert uses_of(promoted(limits={"times": 3}), setting) == (use("promo:spring"),)
    assert uses_of(promoted(), setting) == ()


def test_the_goods_must_cost_enough_after_earlier_promotions():
    rule = {"when": [spend(1000, brand=["Alp"])]}
    cheese, bread = line(1, 1200, brand="Alp"), line(2, 5000)
    assert reason(rule, cheese, bread) is None
    unmet = reason(rule, cheese, bread, remaining=[680, 5000])  # 10.00 - 6.80
    assert said(unmet) == "when.spend: 3.20 EUR more."
    assert (unmet.wanted, unmet.found, unmet.short_of_minor) == ("1000", "680", 320)


def test_enough_to_the_cent_is_enough():
    assert reason({"when": [spend(1000)]}, line(1, 1000)) is None
    assert said(reason({"when": [spend(1001)]}, line(1, 1000))) == "when.spend: 0.01 EUR more."


SHORT = [(3000, 1000, "2 more to buy."), (1000, 650, "0.35 more to buy."), (11_000, 1000, "10 more to buy.")]


@pytest.mark.parametrize(("wanted", "has", "told"), SHORT)
def test_there_must_be_enough_of_the_goods(wanted, has, told):
    unmet = reason({"when": [quantity(wanted)]}, line(1, 100, quantity_milli=has))
    assert said(unmet) == f"when.quantity: {told}"
    assert unmet.short_of_milli == wanted - has


def test_units_of_all_selected_lines_count_together():
    assert reason({"when": [quantity(3000)]}, line(1, 1, quantity_milli=1000), line(2, 1, quantity_milli=2000)) is None


def test_the_first_condition_that_fails_is_told():
    rule = {"where": {"stores": ["S9"]}, "valid": {"to_on": "2026-01-01"}, "when": [spend(10**6)]}
    assert reason(rule).condition == "where.stores"
    assert reason(rule | {"where": {}}).condition == "valid.to_on"
    assert reason(rule | {"where": {}, "valid": {}}).condition == "when.spend"
