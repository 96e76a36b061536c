"""What the centre finds when it decides again what a till decided, and asks who could have told it so."""

from collections.abc import Callable

import msgspec
import pytest
from sqlalchemy import select

from central.database.tables import event
from central.ports import reading, writing
from central.recomputing.explaining import histories
from central.recomputing.recompute import recompute_pending
from loyalty.facts.receipts import Charged, Receipt, read_detail
from loyalty.facts.reversals import ReturnLine
from loyalty.members import MemberView, Use
from tests.central.tills import Centre, told

TOKEN = "cd" * 16
MILK = Use(name="promo:milk", amount=1)


def with_detail(receipt: Receipt, **change) -> Receipt:
    detail = msgspec.structs.replace(read_detail(receipt), **change)
    return msgspec.structs.replace(receipt, detail=msgspec.Raw(msgspec.json.encode(detail)))


def counts(centre: Centre) -> tuple[int, int, int]:
    done = centre.recompute()
    return done.same, done.differs, done.skipped


def test_honest_sales_returns_and_voids_come_out_the_same(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    first = till.receipt("R1", 10_000, told(anna), sku="milk")
    ref = till.append(first)
    # The till adds its own uses to the row it has: version 0, one milk offer and 90 points since.
    later = MemberView(account_id=anna, version=0, balance_points=90, spendable_points=0, counters=(MILK,))
    second = till.receipt("R2", 2_000, later)
    till.void(till.append(second), second)
    till.take_back("B1", ref, first, 300)
    till.take_back("B2", ref, first, 700, earlier=300)
    till.sell("R3", 1_000, MemberView(), token=TOKEN)
    till.sell("R4", 1_000)
    till.close(receipts=4, voids=1, returns=2, net_minor=13_000, returned_minor=9_000, points_earned=120,
               points_reversed=90)  # fmt: skip
    assert till.upload().flagged == ()
    assert counts(centre) == (7, 0, 0)
    assert counts(centre) == (0, 0, 0)
    assert centre.flags() == []


def test_one_unit_too_much_off_a_line_is_found(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    receipt = till.receipt("R1", 10_000, told(anna), sku="milk")
    (figures,) = read_detail(receipt).figures
    wrong = msgspec.structs.replace(figures, discount_minor=1_001, net_minor=8_999)
    till.append(msgspec.structs.replace(with_detail(receipt, figures=(wrong,)), net_minor=8_999))
    till.upload()
    assert counts(centre) == (0, 1, 0)
    assert centre.figures("decision_differs") == {
        "till_figures": "[[1,10000,1001,90,0,8999,0]]", "centre_figures": "[[1,10000,1000,90,0,9000,0]]",
        "till_lines_minor": 8_999, "centre_lines_minor": 9_000}  # fmt: skip


def test_one_point_too_many_is_found(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    receipt = till.receipt("R1", 10_000, told(anna))
    (earned,) = receipt.earned
    till.append(msgspec.structs.replace(receipt, earned=(msgspec.structs.replace(earned, points=101),)))
    till.upload()
    assert counts(centre) == (0, 1, 0)
    assert centre.figures("decision_differs") == {
        "till_earned": '[["acme","9999-12-31",101]]', "centre_earned": '[["acme","9999-12-31",100]]'}  # fmt: skip


def test_a_discount_the_pos_took_otherwise_and_a_changed_basket_are_found(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    till.sell("R1", 10_000, told(anna), charged=[Charged(line=1, discount_minor=7)])
    till.sell("R2", 10_000, told(anna, 0, 0), quoted="0" * 32)
    till.upload()
    centre.recompute()
    assert centre.figures("charged_differs") == {"quoted_minor": 0, "charged_minor": 7}
    assert centre.figures("quote_differs")["quoted"] == "0" * 32


def test_a_programme_nobody_published_and_an_engine_we_cannot_run_are_left_alone(centre: Centre) -> None:
    till = centre.till()
    till.append(with_detail(till.receipt("R1", 100), programme_version="f" * 64))
    till.append(with_detail(till.receipt("R2", 100), engine_no=99))
    till.upload()
    assert counts(centre) == (0, 0, 2)
    assert centre.flags() == [(1, "programme_unknown")]


@pytest.mark.parametrize(
    ("view", "figures"),
    [
        ({"counters": ()}, {"counter": "promo:milk", "told": 0, "books": 1}),
        ({"counters": (MILK, Use(name="promo:tea", amount=2))}, {"counter": "promo:tea", "told": 2, "books": 0}),
        ({"balance_points": 91}, {"told_balance": 91, "books_balance": 90}),
        ({"spendable_points": 91}, {"told_spendable": 91, "books_spendable": 90}),
        ({"version": 2}, {"told_version": 2, "events_before": 1}),
        ({"version": 2**63}, {"told_version": 2**63, "events_before": 1}),  # beyond any column
    ],
)
def test_a_till_that_invents_what_it_was_told_is_found(centre: Centre, view: dict, figures: dict) -> None:
    till, anna = centre.till(), centre.member()
    till.sell("R1", 10_000, told(anna), sku="milk")
    true = {"account_id": anna, "version": 1, "balance_points": 90, "spendable_points": 90, "counters": (MILK,)}
    till.sell("R2", 1_000, MemberView(**true | view))
    till.upload()
    assert counts(centre) == (1, 1, 0)
    assert centre.figures("inputs_unexplained") == figures


def test_of_an_account_only_what_happened_since_a_till_was_told_is_read(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    till.sell("R1", 10_000, told(anna), sku="milk")  # 90 points, and one milk offer
    till.sell("R2", 1_000, MemberView(account_id=anna, balance_points=90, counters=(MILK,)))  # 10 points
    till.sell("R3", 2_000, MemberView(account_id=anna, balance_points=100, counters=(MILK,)))  # 20 points
    till.upload()
    with reading(centre.engine) as connection:
        since, never = histories(connection, {anna: 2})[anna], histories(connection, {anna: None})[anna]
    assert [(row.account_version, row.amount) for row in since.postings] == [(3, 20)]
    assert [(row.name, row.amount) for row in since.steps] == [("points:earned", 20)]
    assert dict(since.held) == {"9999-12-31": 120}
    assert [(row.account_version, row.name) for row in since.counters] == [(1, "promo:milk")]
    assert (never.postings, never.steps, dict(never.held)) == ((), (), {})
    assert never.counters == since.counters


def test_an_old_row_is_stale_but_honest(centre: Centre) -> None:
    one, other, anna = centre.till("S1"), centre.till("S2"), centre.member()
    one.sell("R1", 10_000, told(anna), sku="milk")
    one.upload()
    other.sell("R1", 5_000, told(anna))
    other.sell("R2", 5_000, MemberView(account_id=anna, version=0, balance_points=50, counters=()))
    other.upload()
    assert counts(centre) == (3, 0, 0)
    assert centre.flags() == []


def test_points_earned_before_the_till_knew_whose_card_it_was_are_no_lie(centre: Centre) -> None:
    till = centre.till()
    till.sell("R1", 10_000, MemberView(), token=TOKEN)
    till.upload()
    account_id = centre.account_of(TOKEN)
    till.sell("R2", 3_000, MemberView(), token=TOKEN)
    till.sell("R3", 1_000, told(account_id, 1, 100))
    till.upload()
    assert counts(centre) == (3, 0, 0)
    assert centre.flags() == []


def test_two_tills_that_give_the_last_offer_at_once_are_both_named(centre: Centre) -> None:
    one, other, anna = centre.till("S1"), centre.till("S2"), centre.member()
    one.sell("R1", 10_000, told(anna), sku="milk")
    other.sell("R1", 2_000, told(anna), sku="milk")
    one.upload()
    other.upload()
    assert counts(centre) == (1, 1, 0)
    assert centre.flags() == [(1, "limit_overshot")]
    assert centre.figures("limit_overshot") == {
        "promotion": "milk", "limit": 1, "used": 2, "other": f"{one.head.till_id}:1:1"}  # fmt: skip


def test_a_return_that_gives_back_too_much_is_found(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    receipt = till.receipt("R1", 10_000, told(anna))
    ref = till.append(receipt)
    returned = till.returned("B1", ref, receipt, (ReturnLine(line=1, quantity_milli=500),))
    assert (returned.net_minor, returned.reversed[0].points) == (5_000, 50)
    till.append(msgspec.structs.replace(returned, net_minor=5_001))
    till.upload()
    assert counts(centre) == (1, 1, 0)
    assert centre.figures("decision_differs") == {"till_net_minor": 5_001, "centre_net_minor": 5_000}


def test_a_receipt_is_judged_only_when_what_its_till_did_before_is_in_the_books(centre: Centre) -> None:
    one, other, anna = centre.till("S1"), centre.till("S2"), centre.member()
    receipt = one.receipt("R1", 10_000, told(anna))
    ref = one.append(receipt)
    other.take_back("B1", ref, receipt, 500)  # waits, yet its till counts 50 points less already
    other.sell("R1", 1_000, MemberView(account_id=anna, version=0, balance_points=-50, counters=()))
    other.upload()
    assert counts(centre) == (0, 0, 0)
    one.upload()
    assert counts(centre) == (3, 0, 0)
    assert centre.flags() == []


def test_what_waits_for_an_earlier_event_keeps_nobody_else_waiting(centre: Centre) -> None:
    one, other, anna = centre.till("S1"), centre.till("S2"), centre.member()
    receipt = one.receipt("R1", 10_000, told(anna))
    other.take_back("B1", one.append(receipt), receipt, 500)
    other.sell("R1", 1_000, told(anna))
    other.sell("R2", 1_000)
    other.upload()
    # One at a time: the first in line is not the one that waits.
    assert [recompute_pending(centre.engine, 1, centre.now).same for _ in range(2)] == [1, 0]


def no_text(detail: bytes) -> bytes:
    return detail.replace(b'"bread"', b'"br\xff"')


def no_version(detail: bytes) -> bytes:
    return b'{"programme_version":"a\\u0000b"}'


def another_line(detail: bytes) -> bytes:
    return detail.replace(b'"figures":[[1,', b'"figures":[[9,')


@pytest.mark.parametrize("tear", [no_text, no_version, another_line])
def test_a_detail_that_makes_no_sense_is_found_and_the_next_receipt_gets_its_turn(
    centre: Centre, tear: Callable[[bytes], bytes]
) -> None:
    till = centre.till()
    whole = till.receipt("R1", 10_000)
    torn = msgspec.structs.replace(whole, detail=msgspec.Raw(tear(bytes(whole.detail))))
    assert bytes(torn.detail) != bytes(whole.detail)
    ref = till.append(torn)
    till.append(till.returned("B1", ref, whole, (ReturnLine(line=1, quantity_milli=500),)))
    till.sell("R2", 1_000)
    assert till.upload().flagged == ()
    assert centre.recompute().events == 3
    checked = select(event.c.checked).where(event.c.receipt_id.in_(("R1", "R2"))).order_by(event.c.receipt_id)
    assert centre.rows(checked) == [("differs",), ("same",)]
    assert set(centre.flags()) <= {(1, "detail_malformed"), (1, "decision_differs"), (2, "detail_malformed")}


def test_running_again_over_the_same_receipts_finds_nothing_twice(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    till.sell("R1", 10_000, told(anna, 0, 5))
    till.upload()
    assert counts(centre) == (0, 1, 0)
    with writing(centre.engine) as tx:
        tx.execute(event.update().values(checked=""))
    assert counts(centre) == (0, 1, 0)
    assert centre.flags() == [(1, "inputs_unexplained")]
    assert centre.rows(select(event.c.checked)) == [("differs",)]
