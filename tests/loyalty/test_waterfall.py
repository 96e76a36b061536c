"""Who bears what a partner does not pay, in the order of the contract."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.settling.waterfall import cover_default
from loyalty.trouble import InvariantBroken

STORY = [
    # unpaid, deposit, reserve, operator at most, sharing → who bears what
    (1000, 1500, 500, None, {}, [("deposit", "", 1000)]),
    (1000, 300, 500, None, {}, [("deposit", "", 300), ("reserve", "", 500), ("operator", "", 200)]),
    (1000, 0, 0, 400, {}, [("operator", "", 1000)]),  # nobody agreed to share
    (1000, 100, 200, 400, {"bolt": 1, "cape": 2},
     [("deposit", "", 100), ("reserve", "", 200), ("operator", "", 400), ("partner", "bolt", 100),
      ("partner", "cape", 200)]),
    (0, 100, 200, None, {}, []),
    (-500, 100, 200, None, {}, []),  # the operator owes it
]  # fmt: skip


@pytest.mark.parametrize(("unpaid", "deposit", "reserve", "most", "sharing", "wanted"), STORY)
def test_its_own_resources_come_first_then_the_operator_then_who_agreed(
    unpaid: int, deposit: int, reserve: int, most: int | None, sharing: dict[str, int], wanted: list[object]
) -> None:
    found = cover_default(
        unpaid, deposit_minor=deposit, reserve_minor=reserve, operator_most_minor=most, sharing=sharing
    )
    assert [(one.source, one.partner_id, one.amount_minor) for one in found] == wanted


MONEY = st.integers(0, 10**9)


@given(MONEY, MONEY, MONEY, st.none() | MONEY, st.dictionaries(st.sampled_from("abcd"), st.integers(0, 5)))
def test_the_parts_make_the_whole(
    unpaid: int, deposit: int, reserve: int, most: int | None, who: dict[str, int]
) -> None:
    found = cover_default(unpaid, deposit_minor=deposit, reserve_minor=reserve, operator_most_minor=most, sharing=who)
    assert sum(one.amount_minor for one in found) == unpaid


def test_a_deposit_below_nothing_is_a_broken_sum() -> None:
    with pytest.raises(InvariantBroken):
        cover_default(1, deposit_minor=-1, reserve_minor=0)
