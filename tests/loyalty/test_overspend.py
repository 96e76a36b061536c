"""What may be overspent without the line is bounded, whatever is lost, repeated, late or reclaimed.

A small sample of `python -m tests.loyalty.long_overspend`.
"""

import pytest

from tests.loyalty.long_overspend import BOTH, FLOATS, LEASES, NOTICED, RECLAIMS, UNNOTICED, tally
from tests.loyalty.overspend_world import Rules


def test_leases_alone_lose_nothing() -> None:
    found = tally(LEASES, 400)
    assert (found.overspent, found.misbooked) == (0, 0)


@pytest.mark.parametrize("rules", [FLOATS, RECLAIMS, BOTH])
def test_no_more_is_overspent_than_floats_and_reclaimed_points(rules: Rules) -> None:
    """And the books know it to the point: debts, less what is there to pay them."""
    found = tally(rules, 400)
    assert found.overspent > 0  # else it would show nothing
    assert (found.beyond, found.misbooked) == (0, 0)


def test_a_disk_that_goes_back_in_time_breaks_the_bound_where_nobody_notices() -> None:
    """The control: were this 0, the histories would be too tame to show anything above."""
    assert tally(UNNOTICED, 400).beyond > 0


def test_a_disk_that_goes_back_breaks_it_by_no_more_than_it_forgot_where_it_is_noticed() -> None:
    found = tally(NOTICED, 400)
    assert found.unexplained == 0
