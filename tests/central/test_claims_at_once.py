"""Claims, returns and other claims of a receipt at the same moment: one grant, no points for what came back."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.central.test_claims import claim, claims, half, points, settle, sold, violations
from tests.central.tills import ANNA, BEN, Centre


def at_once(*works: Callable[[], object]) -> None:
    """Let them begin together, and wait for all; what one raises is raised here."""
    gate = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        gate.wait()
        work()

    with ThreadPoolExecutor(len(works)) as pool:
        for done in [pool.submit(run, work) for work in works]:
            done.result()


def test_goods_that_come_back_while_their_claim_is_decided_earn_nothing(centre: Centre) -> None:
    anna, till = centre.member(ANNA), centre.till()
    for turn in range(5):
        ref, receipt = sold(till, f"R-{turn}", 1_000 + turn)
        other = centre.till()
        claim(other, f"L-{turn}", f"R-{turn}", card=ANNA, of_till=till.head.till_id)
        till.upload()
        other.upload()
        till.append(till.returned(f"B-{turn}", ref, receipt, half()))
        at_once(lambda: settle(centre), till.upload, lambda: settle(centre))
        settle(centre)
        if turn == 1:  # a card claims two receipts a day
            break
    assert points(centre, anna) == 10
    assert [one[1] for one in claims(centre)] == ["granted", "granted"]
    assert (settle(centre), violations(centre)) == (0, [])


def test_two_tills_that_claim_the_same_receipt_at_once_get_it_once(centre: Centre) -> None:
    anna, ben = centre.member(ANNA), centre.member(BEN)
    till, one, two = centre.till(), centre.till(), centre.till()
    sold(till, "R-1", 1_000)
    till.upload()
    claim(one, "L-1", "R-1", card=ANNA, of_till=till.head.till_id)
    claim(two, "L-2", "R-1", card=BEN, of_till=till.head.till_id)
    at_once(one.upload, two.upload, lambda: settle(centre), lambda: settle(centre))
    settle(centre)
    assert sorted(each[1] for each in claims(centre)) == ["granted", "refused"]
    assert points(centre, anna) + points(centre, ben) == 10
    assert violations(centre) == []
