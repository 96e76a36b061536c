"""Points as tender: whole steps, at most what goods, share and authority allow, spread to the minor unit."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.leases import NO_AUTHORITY, Authority
from loyalty.programme import Spending
from loyalty.spending import most_points, pay_with_points
from tests.loyalty.build import SPENDING, line


def rule(**more):
    return msgspec.convert(SPENDING | more, Spending)


def may(points):
    return Authority(kind="float", points=points, lease_id="float-1")


# 100 points are worth 0.50. A basket of 10.00 takes 2,000 points.
MOST = [
    ({}, 5000, 1000, 2000, "goods"),
    ({}, 1990, 1000, 1900, "authority"),
    ({}, 2000, 1000, 2000, "authority"),
    ({}, 5000, 1049, 2000, "goods"),  # the last 0.49 is no whole step
    ({}, 99, 1000, 0, "nothing_to_spend"),
    ({}, 5000, 49, 0, "nothing_to_spend"),
    ({}, 5000, 0, 0, "nothing_to_spend"),
    ({"least_points": 500}, 400, 1000, 0, "least_points"),
    ({"least_points": 500}, 500, 1000, 500, "authority"),
    ({"largest_share_bp": 3000}, 5000, 1000, 600, "goods"),  # 3.00
    ({"largest_share_bp": 3333}, 5000, 1000, 600, "goods"),  # 3.33, down to 3.00
    ({"largest_share_bp": 0}, 5000, 1000, 0, "nothing_to_spend"),
]


@pytest.mark.parametrize(("more", "allowed", "amount", "points", "bound_by"), MOST)
def test_the_most_points_that_may_be_spent(more, allowed, amount, points, bound_by):
    most = most_points(rule(**more), may(allowed), [line(1, amount)], [amount])
    assert (most.points, most.step, most.bound_by) == (points, 100, bound_by)


def test_a_programme_without_spending_takes_no_points():
    most = most_points(None, may(5000), [line(1, 1000)], [1000])
    assert (most.points, most.bound_by) == (0, "programme")
    assert pay_with_points(None, 500, most, [line(1, 1000)], [1000]).per_line == (0,)


def test_without_authority_nothing_can_be_spent():
    assert most_points(rule(), NO_AUTHORITY, [line(1, 1000)], [1000]).points == 0


def paid(more, asked, *amounts, allowed=5000, lines=None):
    lines = lines or [line(i + 1, amount) for i, amount in enumerate(amounts)]
    most = most_points(rule(**more), may(allowed), lines, amounts)
    done = pay_with_points(rule(**more), asked, most, lines, amounts)
    return done.points, done.amount_minor, done.per_line


ASKED = [
    ({}, 0, (0, 0, (0,))),
    ({}, 99, (0, 0, (0,))),
    ({}, 100, (100, 50, (50,))),
    ({}, 199, (100, 50, (50,))),  # whole steps of what was asked
    ({}, 9999, (2000, 1000, (1000,))),  # the largest allowed
    ({"least_points": 500}, 400, (0, 0, (0,))),
    ({"least_points": 500}, 599, (500, 250, (250,))),
]


@pytest.mark.parametrize(("more", "asked", "told"), ASKED)
def test_as_many_points_pay_as_were_asked_in_whole_steps(more, asked, told):
    assert paid(more, asked, 1000) == told


def test_what_points_pay_is_spread_over_the_lines():
    # 4.00 over 12.00, 6.00, 2.00.
    assert paid({}, 800, 1200, 600, 200) == (800, 400, (240, 120, 40))


def test_excluded_goods_are_paid_in_money():
    lines = [line(1, 1000), line(2, 5000, category=("Tobacco",))]
    more = {"of": {"exclude": {"category": [["Tobacco"]]}}}
    assert paid(more, 9999, 1000, 5000, lines=lines) == (2000, 1000, (1000, 0))


@given(
    st.lists(st.integers(0, 3000), min_size=1, max_size=6),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
)
def test_points_never_pay_more_than_the_goods_cost_or_the_authority_allows(amounts, asked, allowed, share_bp):
    points, worth, per_line = paid({"largest_share_bp": share_bp}, asked, *amounts, allowed=allowed)
    assert points <= min(asked, allowed) and points % 100 == 0
    assert worth == points // 100 * 50 == sum(per_line)
    assert worth * 10_000 <= sum(amounts) * share_bp
    assert all(0 <= part <= amount for part, amount in zip(per_line, amounts, strict=True))
