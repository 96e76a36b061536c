"""Points: rate times what was paid in money, floored once per promotion and receipt, shared by largest remainder."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from loyalty.earning import earn_points
from loyalty.programme import Earn, MultiplyPoints
from tests.loyalty.build import earn, line, multiply, programme, promotion


def granted(rules, *lines, paid=None):
    """Points by promotion and line for (promotion id, effect) pairs: `[("base", (3, 2))]`."""
    owners = {name: programme(promotion(name)).promotions[0] for name, _ in rules}
    read = [(owners[name], msgspec.convert(said, Earn | MultiplyPoints)) for name, said in rules]
    earners = [(owner, rule) for owner, rule in read if isinstance(rule, Earn)]
    boosts = [(owner, rule) for owner, rule in read if isinstance(rule, MultiplyPoints)]
    parts = earn_points(earners, boosts, lines, paid or [row.amount_minor for row in lines])
    return [(part.promotion.id, part.points) for part in parts]


def test_points_are_floored_once_over_the_receipt_and_not_line_by_line():
    # 0.90 + 0.90 + 0.90 = 2.70 at a point per 1.00: 2 points; line by line there would be none.
    assert granted([("base", earn(1, 100))], line(1, 90), line(2, 90), line(3, 90)) == [("base", (1, 1, 0))]


def test_points_follow_what_is_paid_in_money():
    assert granted([("base", earn(1, 100))], line(1, 1000), paid=[449]) == [("base", (4,))]


def test_goods_without_accrual_and_goods_not_selected_earn_nothing():
    lines = (line(1, 1000), line(2, 1000, accrual=False), line(3, 1000, category=("Tobacco",)))
    assert granted([("base", earn(1, 100, exclude={"category": [["Tobacco"]]}))], *lines) == [("base", (10, 0, 0))]


def test_too_little_for_a_point_grants_nothing():
    assert granted([("base", earn(1, 100))], line(1, 99)) == []
    assert granted([("base", earn(1, 100))]) == []


def test_each_earning_promotion_floors_for_itself():
    # 1.50 at a point per 1.00 is 1; at three per 0.40 it is 11.25, so 11.
    rules = [("base", earn(1, 100)), ("more", earn(3, 40))]
    assert granted(rules, line(1, 150)) == [("base", (1,)), ("more", (11,))]


def test_a_multiplier_multiplies_the_rate_and_is_credited_with_what_it_adds():
    # 1.50 twice is 3.00: 3 points, of which the base has 1 and the multiplier 2.
    assert granted([("base", earn(1, 100)), ("double", multiply(200))], line(1, 150)) == [
        ("base", (1,)),
        ("double", (2,)),
    ]


def test_a_multiplier_acts_on_its_own_goods():
    # Milk 2.00 tripled, bread 1.00: 3 of the base, 4 more for the milk.
    lines = (line(1, 200, sku="milk"), line(2, 100, sku="bread"))
    rules = [("base", earn(1, 100)), ("milk", multiply(300, sku=["milk"]))]
    assert granted(rules, *lines) == [("base", (2, 1)), ("milk", (4, 0))]


def test_two_multipliers_on_the_same_goods_multiply_each_other():
    # 10.00 at 1 per 1.00: 10; doubled 20, so 10 more; half as much again 30, so another 10.
    rules = [("base", earn(1, 100)), ("double", multiply(200)), ("half", multiply(150))]
    assert granted(rules, line(1, 1000)) == [("base", (10,)), ("double", (10,)), ("half", (10,))]


def test_a_multiplier_without_points_to_multiply_grants_nothing():
    assert granted([("double", multiply(200))], line(1, 1000)) == []
    assert granted([("base", earn(1, 100)), ("double", multiply(200, sku=["milk"]))], line(1, 1000)) == [
        ("base", (10,))
    ]


PAID = st.lists(st.integers(0, 3000), min_size=1, max_size=6)


@given(PAID, st.integers(1, 50), st.integers(1, 300), st.lists(st.integers(101, 400), max_size=3))
def test_points_add_up_to_the_rate_times_the_sum_floored_once(paid, points, per_minor, boosts):
    rules = [("base", earn(points, per_minor)), *((f"x{i}", multiply(times)) for i, times in enumerate(boosts))]
    lines = [line(i + 1, amount) for i, amount in enumerate(paid)]
    parts = granted(rules, *lines)
    rate, scale = points, per_minor
    for times in boosts:
        rate, scale = rate * times, scale * 100
    assert sum(sum(by_line) for _, by_line in parts) == rate * sum(paid) // scale
    assert all(part >= 0 for _, by_line in parts for part in by_line)


@given(PAID, st.integers(2, 9))
def test_a_split_receipt_never_earns_more_than_a_whole_one(paid, points):
    lines = [line(i + 1, amount) for i, amount in enumerate(paid)]
    rules = [("base", earn(points, 100))]
    apart = sum(sum(by_line) for row in lines for _, by_line in granted(rules, row))
    assert apart <= sum(sum(by_line) for _, by_line in granted(rules, *lines))
