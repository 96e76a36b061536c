"""The void of a return: what came back is as it was before, in the books and for whatever comes back later."""

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.facts.events import encode, own_uses, read_head
from loyalty.facts.receipts import Funded, Receipt
from loyalty.facts.return_voids import close_return_void, standing_returns
from loyalty.facts.returned_points import AtHand
from loyalty.facts.reversals import Return, ReturnLine, ReturnVoid, came_back, close_return
from loyalty.ledger.books import Books, Posted
from loyalty.ledger.return_void_postings import VoidOfNothing
from loyalty.lots import LotKey
from loyalty.members import Use, add_uses
from tests.loyalty.build import (
    books,
    claims,
    day,
    earned,
    held,
    key,
    lot,
    moves,
    place,
    post,
    ref,
    sale,
    take_back,
    use,
)
from tests.loyalty.test_returns_add_up import ASKS, LINES, OPTIONS, STOCK, goods_of, in_parts, rules, sell, the_member


def stocked(*lots: Any) -> Books:
    on = books()
    on.account(7).lots = {one.key: one.points for one in lots}
    return on


def debts(on: Books) -> list[tuple[str | None, int]]:
    return [(debt.issuer_id, debt.points) for debt in on.account(7).debts]


def undone(returned: Return, seq: int, **facts: Any) -> ReturnVoid:
    return msgspec.structs.replace(close_return_void(returned, ref(seq), place()), **facts)


# Figures by hand


def test_a_void_of_a_return_says_what_the_return_said_the_other_way_round() -> None:
    back = take_back("B1", ref(3), earned(4), restored=2, net_minor=400, uses=(use("promo:a", -1),), of_receipt="R1",
                     earned=(earned(1),), shared_uses=(use("coupon:x", 1),), clamp=True)  # fmt: skip
    void = close_return_void(back, ref(5), place(), cashier="4", exchange="X-1")
    assert (void.receipt_id, void.undoes, void.of, void.of_receipt) == ("void:B1", ref(5), ref(3), "R1")
    assert (void.earned, void.reversed, void.spent_points) == ((earned(4),), (earned(1),), 2)
    assert (void.uses, void.shared_uses, void.clamp) == ((use("promo:a", 1),), (use("coupon:x", -1),), True)
    assert bytes(void.detail) == b'{"cashier":"4","exchange":"X-1"}'
    assert read_head(encode(void)) == void
    both = add_uses((), (*own_uses(back), *own_uses(void)))
    assert all(one.amount == 0 for one in both)


def test_points_that_a_return_took_and_gave_are_given_and_taken_again() -> None:
    on = stocked(lot(30, "2026-06-30", "bolt", "bolt-1"))
    post(on, sale("R1", earned(50), spent=20, funded=(Funded(partner_id="core", amount_minor=90),)), 1)
    before = on.recorded(ref(1))
    back = take_back("B1", ref(1), earned(10), restored=5, net_minor=400,
                     funded=(Funded(partner_id="core", amount_minor=40),))  # fmt: skip
    post(on, back, 2)
    assert held(on) == {"acme": 40, "bolt": 15}
    posted = post(on, undone(back, 2), 3)
    assert moves(posted) == ["reversed>available 10 acme", "issued>redeemed 40 core", "available>redeemed 5 bolt"]
    assert (held(on), debts(on), posted.flags) == ({"acme": 50, "bolt": 10}, [], ())
    after = on.recorded(ref(1))
    assert before is not None and after is not None
    assert (after.granted, after.net_minor, after.funded) == (before.granted, 1000, before.funded)
    assert sum(one.points for one in after.redeemed) == 20


def test_what_was_owed_for_a_return_is_owed_no_more_and_what_was_paid_of_it_comes_back() -> None:
    on = books()
    post(on, sale("R1", earned(50)), 1)
    post(on, sale("R2", spent=50), 2)
    back = take_back("B1", ref(1), earned(30))
    post(on, back, 3)
    assert debts(on) == [("acme", 30)]
    post(on, sale("R3", earned(20, "bolt")), 4)  # bolt's points buy 20 of them
    assert (held(on), debts(on)) == ({}, [("acme", 10)])
    posted = post(on, undone(back, 3), 5)
    assert moves(posted) == ["redeemed>available 20 bolt"]
    assert [row.priced_by for row in posted.postings] == ["funding"]
    assert (held(on), debts(on)) == ({"bolt": 20}, [])


def test_points_let_go_are_not_given_again() -> None:
    on = books()
    post(on, sale("R1", earned(50)), 1)
    post(on, sale("R2", spent=45), 2)
    back = take_back("B1", ref(1), earned(30), clamp=True)
    post(on, back, 3)
    assert moves(post(on, undone(back, 3), 4)) == ["reversed>available 5 acme"]
    assert held(on) == {"acme": 5}


def test_points_that_came_back_and_are_gone_are_owed_where_they_were_spent() -> None:
    on = stocked(lot(100, "2026-06-30"))
    post(on, sale("R1", spent=100), 1)
    back = take_back("B1", ref(1), restored=60)
    post(on, back, 2)
    post(on, sale("R2", spent=50), 3)
    posted = post(on, undone(back, 2), 4)
    assert moves(posted) == ["available>redeemed 10 acme"]
    assert claims(posted) == [("acme", 50, "acme-1", 1)]
    assert [(flag.cause, flag.figures) for flag in posted.flags] == [
        ("uncovered", {"asked": 60, "covered": 10, "bearer": "acme"})
    ]
    # The goods come back after all: the debt is the first to go.
    assert moves(post(on, take_back("B2", ref(1), restored=60), 5)) == ["redeemed>available 10 acme"]
    assert debts(on) == []


def test_a_spend_that_nothing_had_covered_is_owed_again() -> None:
    on = books()
    post(on, sale("R0", earned(60)), 1)
    post(on, sale("R1", spent=100), 2)
    back = take_back("B1", ref(2), restored=50)  # cancels the 40 that are owed, gives 10 back
    post(on, back, 3)
    posted = post(on, undone(back, 3), 4)
    assert (held(on), debts(on)) == ({}, [(None, 40)])
    assert claims(posted) == [("acme", 40, "acme-1", 1)]


def test_points_earned_anew_go_again() -> None:
    on = books()
    post(on, sale("R1", earned(50)), 1)
    back = take_back("B1", ref(1), earned(50), earned=(earned(20, valid_through="2027-03-31"),))
    post(on, back, 2)
    assert held(on) == {"acme": 20}
    assert moves(post(on, undone(back, 2), 3)) == ["reversed>available 50 acme", "available>reversed 20 acme"]
    left = on.recorded(ref(1))
    assert left is not None and [(one.key, one.points) for one in left.granted] == [(key("2026-12-31"), 50)]


def test_points_that_had_lapsed_by_then_are_spent_again_as_if_in_time() -> None:
    lapsing: LotKey = key("2026-03-02")
    on = stocked(lot(40, "2026-03-02"))
    post(on, sale("R1", spent=40), 1)
    back = take_back("B1", ref(1), restored=40)
    post(on, back, 2)
    account = on.account(7)
    account.lots[lapsing], account.expired[lapsing] = 0, 40  # the nightly run, before the void arrives
    assert moves(post(on, undone(back, 2), 3)) == ["expired>redeemed 40 acme"]
    assert account.expired[lapsing] == 0


def test_a_return_without_a_receipt_is_voided_too() -> None:
    on = stocked(lot(30, "2026-12-31"))
    back = take_back("B1", None, earned(40), funded=(Funded(partner_id="core", amount_minor=9),))
    post(on, back, 1)
    assert debts(on) == [("acme", 10)]
    assert moves(post(on, undone(back, 1), 2)) == ["reversed>available 30 acme", "issued>redeemed 9 core"]
    assert (held(on), debts(on)) == ({"acme": 30}, [])


def test_a_void_waits_for_the_receipt_as_its_return_does_and_undoes_nothing_where_there_is_none() -> None:
    on = books()
    back = take_back("B1", ref(1), earned(10), of_receipt="R1")
    void = undone(back, 2)
    assert [post(on, event, seq).waits_for for seq, event in ((2, back), (3, void))] == [ref(1), ref(1)]
    post(on, sale("R1", earned(50)), 1)
    with pytest.raises(VoidOfNothing):
        post(on, void, 3)


def test_a_void_corrects_the_period_that_its_return_corrected() -> None:
    on = books()
    post(on, sale("R1", earned(50)), 1)
    on.period_no = 2
    back = take_back("B1", ref(1), earned(10))
    post(on, back, 2)
    on.period_no = 3
    posted = post(on, undone(back, 2), 3)
    assert [(row.period_no, row.origin_period_no) for row in posted.postings] == [(3, 1)]


# Laws


def state(on: Books) -> Any:
    left = on.recorded(ref(1))
    assert left is not None
    sums: Counter[LotKey] = Counter()
    for one in left.redeemed:
        sums[one.key] += one.points
    granted = {one.key: one.points for one in left.granted}
    lots = {one.key: one.points for one in on.lots(7)}
    return lots, on.account(7).debts, granted, +sums, left.net_minor, sorted(msgspec.json.encode(left.funded))


def fold(events: list[Any]) -> dict[str, int]:
    uses = add_uses((), [one for event in events for one in (*event.uses, *event.shared_uses)])
    return {one.name: one.amount for one in uses if one.amount and not one.name.startswith("last:")}


class Till:
    """A till that knows everything about one receipt, and head office's books beside it."""

    def __init__(self, options: dict[str, Any], rows: Any, ask: dict[str, Any]) -> None:
        self.under, self.on = rules(options), books()
        self.on.account(7).lots = dict(STOCK)
        self.sold: Receipt = sell(self.on, self.under, goods_of(rows, ask))
        self.seq, self.told = 1, list[Any]()
        self.uses: tuple[Use, ...] = self.sold.uses
        self.tell(self.sold)

    def tell(self, event: Any) -> Posted:
        posted = post(self.on, event, self.seq)
        self.told.append((self.seq, event))
        self.seq += 1
        return posted

    def take_back(self, lines: list[ReturnLine]) -> Return:
        earlier, standing = came_back(self.sold, standing_returns(event for _, event in self.told))
        at_hand = AtHand(programmes=(self.under,), view=the_member(self.on, self.uses), standing=standing)
        back = close_return(f"B{self.seq}", self.sold, ref(1), place(), earlier=earlier, lines=lines, at_hand=at_hand)
        self.uses = add_uses(self.uses, back.uses)
        self.tell(back)
        return back

    def void(self, back: Return) -> None:
        void = close_return_void(back, ref(self.seq - 1), place())
        self.uses = add_uses(self.uses, void.uses)
        self.tell(void)


@settings(max_examples=300, deadline=None)
@given(OPTIONS, LINES, ASKS, st.data())
def test_a_return_and_its_void_leave_receipt_member_and_counters_as_they_were(options, rows, ask, data) -> None:
    till = Till(options, rows, ask)
    for now in in_parts(data, till.sold):
        before, counted = state(till.on), fold([event for _, event in till.told])
        back = till.take_back(now)
        if data.draw(st.booleans()):
            till.void(back)
            assert (state(till.on), fold([event for _, event in till.told])) == (before, counted)
            again = till.take_back(now)
            assert msgspec.structs.replace(again, receipt_id=back.receipt_id) == back
    # Parts that came back in the end make the whole, whatever was undone in between.
    left = till.on.recorded(ref(1))
    assert left is not None and (left.granted, left.redeemed, left.funded, left.net_minor) == ((), (), (), 0)
    assert ({one.key: one.points for one in till.on.lots(7)}, till.on.account(7).debts) == (STOCK, [])
    stand = standing_returns(event for _, event in till.told)
    assert sum(one.net_minor for one in stand) == till.sold.net_minor


@settings(max_examples=200, deadline=None)
@given(OPTIONS, LINES, ASKS, st.data())
def test_whenever_the_receipt_arrives_return_and_void_come_to_the_same(options, rows, ask, data) -> None:
    """What waits for the receipt is posted behind it in the order of its till."""
    till = Till(options, rows, ask)
    for now in in_parts(data, till.sold, 3):
        back = till.take_back(now)
        if data.draw(st.booleans()):
            till.void(back)
    late, told = books(), till.told[1:]
    late.account(7).lots = dict(STOCK)
    first = data.draw(st.integers(0, len(told)))
    assert all(post(late, event, seq).waits_for == ref(1) for seq, event in told[:first])
    post(late, till.sold, 1)
    for seq, event in told:
        post(late, event, seq)
    assert state(late) == state(till.on)


@pytest.mark.parametrize("restored", [0, 20])
def test_the_day_of_a_void_is_its_own(restored: int) -> None:
    """Only lots that are live on the day of the void pay again, beside those that the points had come back to."""
    on = stocked(lot(20, "2026-03-02"), lot(50, "2026-03-10"))
    post(on, sale("R1", spent=restored + 1), 1)
    back = take_back("B1", ref(1), restored=restored)
    post(on, back, 2)
    post(on, sale("R2", spent=19), 3)  # from the first lot
    posted = post(on, undone(back, 2, place=place(business_date=day("2026-03-03"))), 4)
    assert moves(posted) == (["available>redeemed 1 acme", "available>redeemed 19 acme"] if restored else [])
