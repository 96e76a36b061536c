"""Lots: which pay, which come back, and what a clawback takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.lots import END_OF_DAY, Expiry, Lot, draw_back, draw_down, give_back, points_in
from loyalty.moments import Moment
from loyalty.trouble import InvariantBroken
from tests.loyalty.build import day, key, lot, part

TODAY = day("2026-03-02")


def parts(slices):
    return [(str(one.key.valid_through), one.key.issuer_id, one.points) for one in slices]


def test_redemption_spends_the_lot_that_lapses_soonest():
    lots = [lot(300, "2026-12-31"), lot(200, "2026-06-30")]
    assert parts(draw_down(lots, 250, today=TODAY)) == [("2026-06-30", "acme", 200), ("2026-12-31", "acme", 50)]


def test_points_that_never_lapse_are_spent_last():
    lots = [lot(300), lot(200, "2099-12-31")]
    assert parts(draw_down(lots, 201, today=TODAY)) == [("2099-12-31", "acme", 200), ("9999-12-31", "acme", 1)]


def test_of_lots_that_lapse_together_the_issuer_then_the_terms_decide():
    lots = [
        lot(10, "2026-06-30", "bolt"),
        lot(10, "2026-06-30", "acme", "acme-2"),
        lot(10, "2026-06-30", "acme", "acme-1"),
    ]
    drawn = draw_down(lots, 30, today=TODAY)
    assert [(one.key.issuer_id, one.key.terms_id) for one in drawn] == [
        ("acme", "acme-1"),
        ("acme", "acme-2"),
        ("bolt", "acme-1"),
    ]


def test_a_lot_is_good_through_its_last_valid_day():
    assert points_in(draw_down([lot(10, "2026-03-02")], 10, today=TODAY)) == 10
    assert draw_down([lot(10, "2026-03-01")], 10, today=TODAY) == ()


MORNING, NOON, EVENING = (Moment(on=TODAY, weekday="mon", at=at) for at in ("09:00", "12:00", "18:30"))
PAST_MIDNIGHT = Moment(on=day("2026-03-03"), weekday="tue", at="00:10")
AT_NOON = Expiry(when="instant", at="12:00")
# On 2 March: the last day of a lot, how it goes, store time, and whether it still pays.
LAST_DAYS = [
    ("2026-03-02", END_OF_DAY, MORNING, True),
    ("2026-03-02", END_OF_DAY, EVENING, True),
    ("2026-03-02", END_OF_DAY, PAST_MIDNIGHT, True),  # the business day goes on past midnight
    ("2026-03-01", END_OF_DAY, MORNING, False),
    ("", END_OF_DAY, EVENING, True),
    ("2026-03-02", Expiry(when="start_of_day"), None, False),
    ("2026-03-02", Expiry(when="start_of_day"), MORNING, False),
    ("2026-03-03", Expiry(when="start_of_day"), EVENING, True),
    ("", Expiry(when="start_of_day"), EVENING, True),
    ("2026-03-02", AT_NOON, None, True),  # without a time the day has just begun
    ("2026-03-02", AT_NOON, MORNING, True),
    ("2026-03-02", AT_NOON, NOON, False),  # the instant itself is out
    ("2026-03-02", AT_NOON, EVENING, False),
    ("2026-03-03", AT_NOON, PAST_MIDNIGHT, True),  # by the clock of the store, not the business day
    ("2026-03-02", Expiry(when="instant", at="24:00"), PAST_MIDNIGHT, False),
    ("", AT_NOON, EVENING, True),
    ("2026-03-02", Expiry(when="instant", at="00:00"), None, False),  # gone as the day begins
    ("2026-03-03", Expiry(when="instant", at="00:00"), None, True),
]


@pytest.mark.parametrize(("last_day", "expiry", "now", "pays"), LAST_DAYS)
def test_when_a_lot_goes_on_its_last_day_is_as_the_programme_says(last_day, expiry, now, pays):
    drawn = draw_down([lot(10, last_day)], 10, today=TODAY, now=now, expiry=expiry)
    assert points_in(drawn) == (10 if pays else 0)


# A lot that lapses soon was earned late, and one that nobody remembers the earning of came before all others.
SOON, LATE, FOR_EVER, UNKNOWN = (
    Lot(key=key(through), points=10, earned_on=day(on) if on else None)
    for through, on in (("2026-04-30", "2026-02-20"), ("2026-12-31", "2026-01-05"), ("", "2026-01-20"),
                        ("2027-06-30", ""))
)  # fmt: skip
ORDERS = [
    ("valid_through", [SOON, LATE, FOR_EVER, UNKNOWN], [SOON, LATE, UNKNOWN, FOR_EVER]),
    ("valid_through", [UNKNOWN, SOON], [SOON, UNKNOWN]),
    ("first_earned", [SOON, LATE, FOR_EVER, UNKNOWN], [UNKNOWN, LATE, FOR_EVER, SOON]),
    ("first_earned", [FOR_EVER, LATE], [LATE, FOR_EVER]),
]


@pytest.mark.parametrize(("order", "lots", "turns"), ORDERS)
def test_which_points_are_spent_first_is_as_the_programme_says(order, lots, turns):
    drawn = draw_down(lots, 10 * len(lots), today=TODAY, order=order)
    assert [one.key for one in drawn] == [one.key for one in turns]


def test_of_lots_earned_on_the_same_day_the_one_that_lapses_sooner_is_spent_first():
    lots = [Lot(key=key(through), points=10, earned_on=TODAY) for through in ("2026-12-31", "2026-06-30")]
    assert parts(draw_down(lots, 15, today=TODAY, order="first_earned")) == [
        ("2026-06-30", "acme", 10),
        ("2026-12-31", "acme", 5),
    ]


def test_lots_that_hold_too_little_give_what_they_have():
    assert points_in(draw_down([lot(10), lot(0, "2026-06-30")], 25, today=TODAY)) == 10


def test_drawing_nothing_draws_nothing_and_drawing_less_than_nothing_is_our_own_mistake():
    assert draw_down([lot(10)], 0, today=TODAY) == ()
    with pytest.raises(InvariantBroken):
        draw_down([lot(10)], -1, today=TODAY)


def test_a_lot_of_a_single_point_pays_too():
    assert parts(draw_down([lot(1, "2026-06-30"), lot(9)], 4, today=TODAY)) == [
        ("2026-06-30", "acme", 1),
        ("9999-12-31", "acme", 3),
    ]


def test_a_draw_of_less_than_nothing_carries_its_figure():
    with pytest.raises(InvariantBroken) as told:
        draw_down([lot(10)], -3, today=TODAY)
    assert told.value.figures == {"points": -3}


def test_a_clawback_takes_the_granted_lot_then_the_issuers_others_then_any():
    lots = [lot(5, "2026-04-30", "bolt"), lot(5, "2026-05-31"), lot(5, "2026-12-31")]
    back = draw_back(lots, key("2026-12-31"), 12)
    assert parts(back) == [("2026-12-31", "acme", 5), ("2026-05-31", "acme", 5), ("2026-04-30", "bolt", 2)]


def test_a_clawback_takes_lapsed_points_too():
    assert parts(draw_back([lot(5, "2026-01-31")], key("2026-01-31"), 5)) == [("2026-01-31", "acme", 5)]


def test_a_clawback_takes_a_lot_of_a_single_point_and_passes_over_empty_ones():
    assert parts(draw_back([lot(0, "2026-01-31"), lot(1, "2026-05-31")], key("2026-12-31"), 3)) == [
        ("2026-05-31", "acme", 1)
    ]


def test_a_redemption_comes_back_last_used_first():
    used = [part(10, "2026-04-30"), part(10, "2026-05-31")]
    assert parts(give_back(used, 15)) == [("2026-05-31", "acme", 10), ("2026-04-30", "acme", 5)]
    assert give_back(used, 0) == ()


DAYS = st.sampled_from(["2026-01-31", "2026-03-01", "2026-03-02", "2026-06-30", ""])
LOTS = st.dictionaries(st.tuples(DAYS, st.sampled_from(["acme", "bolt"])), st.integers(0, 50), max_size=6).map(
    lambda held: [lot(points, on, issuer) for (on, issuer), points in held.items()]
)


@given(LOTS, st.integers(0, 300), st.randoms(use_true_random=False))
def test_the_order_in_which_lots_are_handed_in_does_not_matter(lots, points, random):
    turned = list(lots)
    random.shuffle(turned)
    assert draw_down(lots, points, today=TODAY) == draw_down(turned, points, today=TODAY)
    assert draw_back(lots, key("2026-06-30"), points) == draw_back(turned, key("2026-06-30"), points)


@given(LOTS, st.integers(0, 300))
def test_no_lot_gives_more_than_it_holds_and_all_that_is_asked_is_given_if_it_is_there(lots, points):
    held = {one.key: one.points for one in lots}
    for slices, there in (
        (draw_down(lots, points, today=TODAY), [one for one in lots if one.key.valid_through >= TODAY]),
        (draw_back(lots, key("2026-06-30"), points), lots),
    ):
        assert points_in(slices) == min(points, points_in(there))
        assert all(0 < one.points <= held[one.key] for one in slices)
        assert len({one.key for one in slices}) == len(slices)


@given(LOTS, st.integers(1, 200), st.integers(0, 200))
def test_what_is_given_back_in_two_parts_is_what_is_given_back_at_once(lots, points, first):
    used = draw_down(lots, points, today=TODAY)
    whole = points_in(used)
    first = min(first, whole)
    back = give_back(used, first)
    left = {one.key: one.points for one in used}
    for one in back:
        left[one.key] -= one.points
    still = [part(left[one.key], str(one.key.valid_through), one.key.issuer_id) for one in used]
    rest = give_back(still, whole - first)
    sums = {}
    for one in (*back, *rest):
        sums[one.key] = sums.get(one.key, 0) + one.points
    assert sums == {one.key: one.points for one in used}
