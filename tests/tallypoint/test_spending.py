"""Points spent with the line and without, through till, line and head office as they are: the whole ladder."""

from pathlib import Path
from typing import Any

import pytest

from central.members.members import create_account, issue_card
from central.ports import writing
from central.verify.books import verify_books
from edge.journal.giving_back import give_back
from edge.sale.asks import CommitAsk, HoldAsk, SaleAsk
from loyalty.baskets import Basket, Line
from loyalty.cards.card_keys import one_card_key
from loyalty.pricing.leases import NotEnoughPoints
from loyalty.programme.programme import Programme, programme_from
from sync.transport import LineDown
from sync.wire import Answer
from tallypoint.in_process import InProcess, Node, StoryClock
from tests.central.tills import ANNA, CARDS, COALITION, NOW, PROGRAMME

HOUR = 3_600_000


def programme(**spending: Any) -> Programme:
    offline = {"sale_points": 200, "card_points": 300, "till_points": 1_000}
    rules = {**PROGRAMME["spending"], "offline": offline, **spending}
    return programme_from({**PROGRAMME, "spending": rules})


class Coalition(InProcess):
    """Two stores with a till each, and Anna, who has a thousand points."""

    down = False

    def exchange(self, url: str, body: bytes) -> Answer:
        if self.down:
            raise LineDown("The line is down.")
        return super().exchange(url, body)

    def all_sync(self) -> None:
        for _ in range(2):
            self.clock.move(2 * HOUR)
            for node in self.nodes:
                self.sync(node)


@pytest.fixture
def coalition(tmp_path: Path) -> Coalition:
    there = Coalition(tmp_path, StoryClock(NOW), COALITION)
    there.publish(programme(online=True))
    with writing(there.engine) as tx:
        import msgspec

        from loyalty.cards.cards import CardRules

        anna = create_account(tx, there.randomness, NOW)
        rules = msgspec.convert(CARDS, CardRules)
        keys = one_card_key(there.card_key)
        issue_card(tx, anna, ANNA, rules=rules, keys=keys, randomness=there.randomness, now_ms=NOW)
    there.add_till("S1", "one")
    there.add_till("S2", "two")
    there.all_sync()
    sell(there.nodes[0], "R1", 100_000)
    there.all_sync()
    return there


def sell(node: Node, receipt_id: str, amount: int, *, points: int = 0, hold_id: str | None = None):
    basket = Basket(receipt_id="quote", currency="EUR", lines=(Line(line=1, sku="bread", amount_minor=amount),),
                    points_to_spend=points)  # fmt: skip
    now_ms = node.till.clock.now().wall_ms
    ask = SaleAsk(basket=basket, card=ANNA, sold_at_ms=now_ms, hold_id=hold_id)
    return node.till.commit(CommitAsk(sale=ask, receipt_id=receipt_id)).receipt


def hold(node: Node, hold_id: str, points: int, *, partial: bool = False):
    return node.till.hold(HoldAsk(hold_id=hold_id, card=ANNA, points=points, partial=partial))


def balance(node: Node) -> tuple[int, int]:
    view = node.till.balance(ANNA).view
    return view.balance_points, view.spendable_points


def settled(coalition: Coalition) -> None:
    """Everything arrived, and head office finds nothing that does not add up."""
    coalition.all_sync()
    assert verify_books(coalition.engine).violations == ()


def test_with_the_line_all_points_can_be_spent_and_nobody_else_can_spend_them(coalition: Coalition) -> None:
    one, two = coalition.nodes
    held = hold(one, "H1", 900)
    assert (held.points, held.authority) == (900, "hold")
    with pytest.raises(NotEnoughPoints) as refused:
        hold(two, "H2", 200)
    assert refused.value.figures["most"] == 100
    receipt = sell(one, "R2", 10_000, points=800, hold_id="H1")
    assert receipt.redemption.authority == "hold"
    coalition.all_sync()
    # 1000 less 800, and 92 for the 92.00 paid in money.
    assert balance(two) == (292, 292)
    settled(coalition)


def test_without_the_line_a_till_promises_a_little_by_itself(coalition: Coalition) -> None:
    one, _ = coalition.nodes
    coalition.down = True
    assert hold(one, "H1", 200).authority == "float"
    with pytest.raises(NotEnoughPoints):
        hold(one, "H2", 250)
    sell(one, "R2", 10_000, points=200, hold_id="H1")
    coalition.down = False
    settled(coalition)
    assert balance(coalition.nodes[1])[0] == 1_000 - 200 + 98


def test_a_lease_carries_more_than_a_float_through_a_cut_and_both_tills_agree_after_it(coalition: Coalition) -> None:
    one, two = coalition.nodes
    coalition.publish(programme(offline={
        "sale_points": 50, "card_points": 50, "till_points": 100, "lease": {"share_bp": 4000},
    }))  # fmt: skip
    coalition.all_sync()
    sell(one, "R2", 100)
    coalition.all_sync()
    coalition.down = True
    # 40 % of 1001 points are leased to the till where Anna was; her balance elsewhere shows them, unspendable.
    assert balance(two) == (1_001, 601)
    assert hold(one, "H1", 400).authority == "lease"
    paid = sell(one, "R3", 10_000, points=400, hold_id="H1").redemption
    assert (paid.authority, paid.points) == ("lease", 400)
    assert hold(two, "H2", 50).authority == "float"
    sell(two, "R4", 10_000, points=50, hold_id="H2")
    coalition.down = False
    settled(coalition)
    left = 1_001 - 400 - 50 + 96 + 99
    assert [balance(node)[0] for node in coalition.nodes] == [left, left]


def test_a_hold_nobody_pays_with_is_spendable_again_everywhere(coalition: Coalition) -> None:
    one, two = coalition.nodes
    hold(one, "H1", 900)
    coalition.all_sync()
    assert balance(two) == (1_000, 100)
    assert give_back(one.journal, one.till.clock.now()) == 1
    coalition.all_sync()
    assert balance(two) == (1_000, 1_000)
    settled(coalition)
