"""Members: the published row and the till's own uses, folded so that the order of arrival does not matter."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.members import (
    EARNED,
    REVERSED,
    SPENT,
    UNKNOWN_CARD,
    WALLET,
    MemberRow,
    Use,
    add_uses,
    certificate_use,
    counter,
    coupon_use,
    row_after,
    undone,
    view_of,
)
from tests.loyalty.build import certificate, compiled, coupon, day, line, percent_off, promotion, quote, use

ROW = MemberRow(account_id=7, version=12, own_seq=40, balance_points=500, counters=(use("promo:spring", 2),))
NAMES = ["promo:spring", "promo:spring:2026-03", "spend:2026-03", "last:visit"]
USES = st.lists(st.builds(Use, name=st.sampled_from(NAMES), amount=st.integers(1, 50)), max_size=8)


def test_a_row_alone_is_what_the_centre_published():
    view = view_of(ROW, ())
    assert (view.account_id, view.version, view.balance_points, view.spendable_points) == (7, 12, 500, 500)
    assert view.counters == (use("promo:spring", 2),)


def test_points_granted_here_show_in_the_balance_and_are_spendable_only_when_they_come_back_in_a_row():
    view = view_of(ROW, [use(EARNED, 30)])
    assert (view.balance_points, view.spendable_points) == (530, 500)


def test_points_spent_or_taken_back_here_leave_both_at_once():
    view = view_of(ROW, [use(SPENT, 200), use(REVERSED, 50)])
    assert (view.balance_points, view.spendable_points) == (250, 250)


def test_points_held_for_an_open_basket_cannot_be_spent_again_and_still_show():
    view = view_of(ROW, [use(SPENT, 100)], held_points=150)
    assert (view.balance_points, view.spendable_points) == (400, 250)


def test_nobody_can_spend_less_than_nothing():
    assert view_of(ROW, [use(SPENT, 700)]).spendable_points == 0


def test_a_spend_that_is_in_the_row_is_not_subtracted_again():
    # Event 41 spends 200: first the till's own use, later part of a row whose own_seq is 41.
    before = view_of(ROW, [use(SPENT, 200)])
    after = view_of(MemberRow(account_id=7, version=13, own_seq=41, balance_points=300), ())
    assert before.balance_points == after.balance_points == 300


def test_uses_of_this_till_advance_the_counters_of_the_row():
    view = view_of(ROW, [use("promo:spring"), use("promo:autumn"), use(EARNED, 5)])
    assert view.counters == (use("promo:autumn", 1), use("promo:spring", 3))


def test_a_till_that_holds_no_counters_invents_none():
    row = MemberRow(account_id=7, version=1, balance_points=10)
    assert view_of(row, [use("promo:spring")]).counters is None


def test_an_unknown_card_has_nothing():
    assert (UNKNOWN_CARD.account_id, UNKNOWN_CARD.spendable_points, UNKNOWN_CARD.counters) == (None, 0, None)


def test_a_counter_back_at_zero_disappears():
    assert add_uses([use("a", 2)], [use("a", -2), use("b", 1)]) == (use("b", 1),)


def test_of_two_visits_the_later_counts():
    assert add_uses([use("last:visit", 20514)], [use("last:visit", 20500)]) == (use("last:visit", 20514),)


def test_a_counter_nobody_has_advanced_is_zero():
    assert counter((use("a", 2),), "b") == 0


def test_undoing_leaves_the_date_of_the_visit():
    assert undone([use("promo:spring"), use("last:visit", 20514)]) == (use("promo:spring", -1),)


@given(USES, USES, USES)
def test_the_order_in_which_uses_arrive_does_not_matter(had, one, other):
    start = add_uses((), had)
    together = add_uses(start, [*other, *one])
    assert add_uses(add_uses(start, one), other) == add_uses(add_uses(start, other), one) == together


@given(USES)
def test_uses_undone_leave_only_visits(uses):
    left = add_uses(add_uses((), uses), undone(uses))
    assert all(one.name == "last:visit" for one in left)


STORY = st.lists(st.tuples(st.sampled_from([EARNED, SPENT, REVERSED]), st.integers(1, 40)), max_size=12)


@given(STORY, st.integers(0, 12))
def test_wherever_the_row_stands_in_the_story_the_balance_is_the_same(story, known):
    """A row that holds the first `known` events, and the till's own uses of the rest, make one balance."""
    worth = {EARNED: 1, SPENT: -1, REVERSED: -1}
    told = [use(name, amount) for name, amount in story]
    in_row = 1000 + sum(worth[one.name] * one.amount for one in told[:known])
    whole = 1000 + sum(worth[one.name] * one.amount for one in told)
    view = view_of(MemberRow(account_id=7, version=known, own_seq=known, balance_points=in_row), told[known:])
    assert view.balance_points == whole
    assert view.spendable_points <= max(0, in_row)


# Birthdays and anniversaries: days to the nearest one, positive before it.

YEARLY = [
    ("03-02", "2026-03-02", 0),
    ("03-05", "2026-03-02", 3),
    ("02-27", "2026-03-02", -3),
    ("01-01", "2026-12-31", 1),  # over the turn of the year
    ("12-31", "2027-01-01", -1),
    ("02-29", "2028-02-28", 1),
    ("02-29", "2028-02-29", 0),
    ("02-29", "2028-03-01", -1),
    ("02-29", "2026-02-27", 1),  # in a year without it, on the last of February
    ("02-29", "2026-02-28", 0),
    ("02-29", "2026-03-01", -1),
    ("02-29", "2027-12-31", 60),  # 31 days of January and 29 of February
    ("07-02", "2026-01-01", 182),  # 182 days to it, 183 since the last one
    ("07-03", "2026-01-01", -182),  # 183 days to it, 182 since the last one
    ("07-01", "2027-12-31", 183),  # 183 days either way, for 2028 is a leap year: the one to come
    ("12-31", "0001-01-01", 364),  # no year lies before the first
    ("01-01", "9999-12-31", -364),  # nor after the last
    ("", "2026-03-02", None),
    ("13-01", "2026-03-02", None),
    ("3-2", "2026-03-02", None),
]


@pytest.mark.parametrize(("birthday", "on", "told"), YEARLY)
def test_a_birthday_is_so_many_days_away_or_past(birthday, on, told):
    row = MemberRow(account_id=7, version=1, birthday_mmdd=birthday)
    assert view_of(row, (), on=day(on)).birthday_in_days == told


def test_without_a_date_no_birthday_is_known():
    row = MemberRow(account_id=7, version=1, birthday_mmdd="03-02", joined_on=day("2020-03-02"))
    view = view_of(row, ())
    assert (view.birthday_in_days, view.anniversary_in_days) == (None, None)


JOINED = [
    ("2020-03-02", "2026-03-02", 0),
    ("2020-03-05", "2026-03-02", 3),
    ("2024-02-29", "2026-03-01", -1),
    ("2026-03-02", "2026-03-02", 365),  # the day of joining itself is no anniversary
    ("2026-03-01", "2026-03-02", 364),
    ("2028-02-29", "2028-03-01", 364),  # to 28 February 2029
    ("2025-03-03", "2026-03-02", 1),
]


@pytest.mark.parametrize(("joined_on", "on", "told"), JOINED)
def test_an_anniversary_is_of_the_day_of_joining(joined_on, on, told):
    row = MemberRow(account_id=7, version=1, joined_on=day(joined_on))
    assert view_of(row, (), on=day(on)).anniversary_in_days == told


def test_who_joined_yesterday_has_had_no_anniversary_yet():
    rules = compiled(promotion("years", percent_off(1000), valid={"anniversary": {"days_after": 3}}))
    for days, applied in ((1, False), (3, False), (365, True), (366, True), (368, True), (369, False)):
        row = MemberRow(account_id=7, version=1, joined_on=day("2026-03-02") - timedelta(days=days))
        view = view_of(row, (), on=day("2026-03-02"))
        assert quote(rules, line(1, 1000), view=view).why[0].applied is applied


# The wallet: what this till did since the row.


def test_money_and_items_of_the_wallet_are_what_the_row_says_less_what_was_used_here():
    wallet = (coupon("C1", account_id=7), coupon("C2", account_id=7, used=1), certificate("G1", 500))
    row = MemberRow(account_id=7, version=1, stored_minor=900, wallet=wallet)
    here = [use(coupon_use("C1")), use(certificate_use("G1"), -200), use(WALLET, -250), use(certificate_use("G1"), -50)]
    view = view_of(row, here)
    assert [(one.code, one.used, one.balance_minor) for one in view.wallet] == [
        ("C1", 1, 0), ("C2", 1, 0), ("G1", 0, 250),
    ]  # fmt: skip
    assert view.stored_minor == 650


def test_a_wallet_never_holds_less_than_nothing_and_a_coupon_that_came_back_is_good_again():
    wallet = (coupon("C1", account_id=7, used=1), certificate("G1", 100))
    row = MemberRow(account_id=7, version=1, stored_minor=100, wallet=wallet)
    view = view_of(row, [use(coupon_use("C1"), -1), use(certificate_use("G1"), -300), use(WALLET, -300)])
    assert [(one.used, one.balance_minor) for one in view.wallet] == [(0, 0), (0, 0)]
    assert view.stored_minor == 0
    twice = view_of(row, [use(coupon_use("C1"), -2)])
    assert twice.wallet[0].used == 0


def test_a_row_moves_on_with_each_receipt_that_is_in_it():
    wallet = (coupon("C1", account_id=7), certificate("G1", 500))
    row = MemberRow(
        account_id=7, version=12, balance_points=500, counters=(use("visits", 2),), stored_minor=900, wallet=wallet,
    )  # fmt: skip
    used = [use(coupon_use("C1")), use(certificate_use("G1"), -200), use(WALLET, -50)]
    uses = [use("visits"), use("spend", 1000), *used]
    after = row_after(row, iter(uses), points=-30)
    assert (after.version, after.balance_points, after.stored_minor) == (13, 470, 850)
    assert [(one.used, one.balance_minor) for one in after.wallet] == [(1, 0), (0, 300)]
    assert (counter(after.counters, "visits"), counter(after.counters, "spend")) == (3, 1000)
    nothing_known = MemberRow(account_id=7, version=1)
    assert row_after(nothing_known, uses, points=5).counters is None


def test_points_that_lapse_next_are_those_that_are_spent_first():
    row = MemberRow(account_id=7, version=1, balance_points=500, lapsing_points=300, lapsing_on=date(2026, 3, 31))
    told = [view_of(row, [use(SPENT, spent)]).lapsing_points for spent in (0, 100, 300, 400)]
    assert told == [300, 200, 0, 0]
    assert view_of(row, []).lapsing_on == date(2026, 3, 31)
    # Points granted or taken back here leave them alone.
    assert view_of(row, [use(EARNED, 50), use(REVERSED, 50)]).lapsing_points == 300


def test_a_tier_and_segments_of_the_row_are_told_as_they_are():
    row = MemberRow(account_id=7, version=1, tier="gold", tier_through=date(2026, 12, 31), segments=("vip", "new"))
    view = view_of(row, ())
    assert (view.tier, view.tier_through, view.segments) == ("gold", date(2026, 12, 31), ("vip", "new"))
