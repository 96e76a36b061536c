"""Tills that come back at once are let in as fast as they can be served, and the hotlist does not wait behind them."""

from tests.faults.herd import herd
from tests.faults.lengths import rounds


def test_a_herd_drains_near_the_ideal_and_hears_of_stolen_cards_meanwhile() -> None:
    told = herd(rounds(200, 2_000), 1_500)
    print(told)
    assert told.beyond_ideal <= 1.3
    assert told.batches_for_nothing == 0
    assert told.turned_away > 0
    assert told.hotlist_p99_s < 60


def test_the_control_works_for_nothing_where_everybody_is_let_in() -> None:
    """Tills give up waiting and ask again, while the server still answers the first time."""
    told = herd(1_200, 1, is_guarded=False)
    assert told.turned_away == 0
    assert told.batches_for_nothing > 100
