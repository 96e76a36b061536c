"""Members: the published row and the till's own uses, folded so that the order of arrival does not matter."""

from hypothesis import given
from hypothesis import strategies as st

from loyalty.members import EARNED, REVERSED, SPENT, UNKNOWN_CARD, MemberRow, Use, add_uses, counter, undone, view_of
from tests.loyalty.build import use

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
