"""What supervisors approved, and what a POS counted otherwise, as head office sees it; on each engine."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import delete, insert, select, update

from central.database.tables import approval, flag
from central.ports import reading, writing
from central.posting.approvals import MANY, by_cashier, newest
from central.posting.late import post_overdue
from central.verify.books import verify_books
from loyalty.approvals import Override, stamped
from loyalty.facts.day_totals import CloseDetail, DayTotals, Difference, Explaining
from loyalty.facts.events import Event, TillClose
from loyalty.facts.member_events import CardChanged
from loyalty.facts.reversals import ReturnLine, close_void
from loyalty.lots import EventRef
from tests.central.test_claims_at_once import at_once
from tests.central.tills import DAY, TODAY, Centre, Till, told

BOSS = Override(supervisor="91", reason="wrong size", actions=("void", "return"))


def approved(event: Event, override: Override = BOSS) -> Any:
    return msgspec.structs.replace(event, detail=stamped(event.detail, override))


def by(event: Event, cashier: str) -> Any:
    detail = msgspec.json.decode(event.detail, type=dict[str, msgspec.Raw])
    said = msgspec.Raw(msgspec.json.encode({**detail, "cashier": cashier}))
    return msgspec.structs.replace(event, detail=said)


def sold(till: Till, receipt_id: str, cashier: str = "4", **more: Any) -> EventRef:
    return till.append(approved(by(till.receipt(receipt_id, 700, **more), cashier)))


def rows(centre: Centre) -> list[tuple[Any, ...]]:
    columns = ("receipt_id", "kind", "cashier", "supervisor", "reason", "actions", "store_id", "business_date")
    return centre.rows(select(*(approval.c[name] for name in columns)).order_by(approval.c.seq))


def test_what_was_approved_is_a_row_and_what_was_not_is_none(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    receipt = till.receipt("R1", 10_000, told(anna))
    ref = till.append(receipt)
    till.append(approved(till.returned("B1", ref, receipt, (ReturnLine(line=1, quantity_milli=1_000),))))
    sold(till, "R2")
    till.upload()
    day = TODAY.isoformat()
    assert rows(centre) == [
        ("B1", "return.v1", "", "91", "wrong size", "void return", "S1", day),
        ("R2", "receipt.v1", "4", "91", "wrong size", "void return", "S1", day),
    ]
    assert verify_books(centre.engine).violations == ()
    centre.recompute()
    assert centre.rows(select(flag.c.cause)) == []


def test_whatever_a_till_writes_may_have_been_approved(centre: Centre) -> None:
    till = centre.till()
    receipt = till.receipt("R1", 700)
    ref = till.append(receipt)
    till.append(approved(close_void(receipt, ref, till.place(), cashier="4")))
    till.upload()
    card = CardChanged(receipt_id="K1", place=till.place(), what="blocked", card_token="ab" * 16, kind="ean13",
                       detail=msgspec.Raw(b'{"cashier":"5"}'))  # fmt: skip
    till.append(approved(card))
    till.upload()
    assert [(row[0], row[1], row[2]) for row in rows(centre)] == [
        ("void:R1", "void.v1", "4"), ("K1", "card.v1", "5"),
    ]  # fmt: skip
    assert verify_books(centre.engine).violations == ()


def test_what_waits_and_is_given_up_keeps_its_approval(centre: Centre) -> None:
    one, other = centre.till("S1"), centre.till("S2")
    receipt = one.receipt("R1", 700)
    other.append(approved(close_void(receipt, one.append(receipt), other.place(), cashier="4")))
    other.upload()
    assert [row[0] for row in rows(centre)] == ["void:R1"]
    with writing(centre.engine) as tx:
        assert post_overdue(tx, centre.now + 7 * DAY, centre.random) == 1
    assert [row[0] for row in rows(centre)] == ["void:R1"]
    assert verify_books(centre.engine).violations == ()


def test_a_batch_that_comes_again_adds_nothing(centre: Centre) -> None:
    till = centre.till()
    sold(till, "R1")
    data = till.batch()
    for _ in range(2):
        till.send(data)
        assert [row[0] for row in rows(centre)] == ["R1"]


def test_cashiers_are_counted_by_store_those_with_most_first(centre: Centre) -> None:
    one, two = centre.till("S1"), centre.till("S2")
    for n in range(3):
        sold(one, f"R{n}", "4")
    sold(one, "R9", "5")
    two.append(approved(by(two.receipt("R1", 700), "4"), msgspec.structs.replace(BOSS, supervisor="92")))
    one.upload()
    two.upload()
    day = TODAY.isoformat()
    with reading(centre.engine) as tx:
        counted = [(one.store_id, one.cashier, one.approvals, one.supervisors) for one in by_cashier(tx, day)]
        assert counted == [("S1", "4", 3, 1), ("S1", "5", 1, 1), ("S2", "4", 1, 1)]
        assert by_cashier(tx, "2026-03-03") == []
        assert {row.receipt_id for row in newest(tx, day, store_id="S1", cashier="4")} == {"R0", "R1", "R2"}
        assert len(newest(tx, day)) == 5


def test_very_many_in_a_day_are_a_row_of_the_worklist_once(centre: Centre) -> None:
    till = centre.till()
    assert MANY == 10
    for n in range(9):
        sold(till, f"R{n}")
    till.upload()
    assert centre.rows(select(flag.c.cause)) == []
    for n in range(9, 14):
        sold(till, f"R{n}")
    till.upload()
    assert centre.rows(select(flag.c.cause, flag.c.receipt_id)) == [("overrides_many", "R9")]
    assert centre.figures("overrides_many") == {"cashier": "4", "approvals": 10}
    sold(till, "R20")
    till.upload()
    assert len(centre.rows(select(flag.c.cause))) == 1


def test_the_tenth_of_a_cashier_is_told_once_though_two_tills_bring_it_at_once(centre: Centre) -> None:
    one, two = centre.till(), centre.till()
    for turn in range(4):
        cashier = f"4{turn}"
        for n in range(8):
            sold(one, f"R{turn}-{n}", cashier)
        one.upload()
        for n in range(2):
            sold(one, f"S{turn}-{n}", cashier)
            sold(two, f"T{turn}-{n}", cashier)
        at_once(one.upload, two.upload)
    told = centre.rows(select(flag.c.cause, flag.c.receipt_id))
    assert sorted((cause, receipt_id[1]) for cause, receipt_id in told) == [
        ("overrides_many", str(turn)) for turn in range(4)
    ]


@pytest.mark.parametrize("harm", ["changed", "gone", "invented"])
def test_verify_finds_an_approval_that_no_till_sent(centre: Centre, harm: str) -> None:
    till = centre.till()
    ref = sold(till, "R1")
    till.sell("R2", 700)
    till.upload()
    with writing(centre.engine) as tx:
        if harm == "changed":
            tx.execute(update(approval).values(supervisor="92"))
        elif harm == "gone":
            tx.execute(delete(approval))
        else:
            (row,) = tx.execute(select(approval))
            tx.execute(insert(approval).values({**row._mapping, "seq": ref.seq + 1}))
    wanted = {"changed": "approval.supervisor", "gone": "approval.missing", "invented": "approval.invented"}[harm]
    assert [one.code for one in verify_books(centre.engine).violations] == [wanted]


def test_a_detail_that_only_looks_like_an_approval_is_none(centre: Centre) -> None:
    till = centre.till()
    receipt = till.receipt("R1", 700)
    detail = {**msgspec.json.decode(receipt.detail), "override": 7}
    till.append(msgspec.structs.replace(receipt, detail=msgspec.Raw(msgspec.json.encode(detail))))
    till.append(by(till.receipt("R2", 700), 'says "override": in its name'))
    till.upload()
    assert rows(centre) == []
    assert verify_books(centre.engine).violations == ()


# The POS's totals


def closed(till: Till, **detail: Any) -> EventRef:
    nothing = dict.fromkeys(
        ("voids", "returns", "returned_minor", "points_earned", "points_spent", "points_reversed"), 0
    )
    close = TillClose(receipt_id=f"till_close:{TODAY}", place=till.place(), receipts=1, net_minor=700, first_seq=1,
                      last_seq=till.head.seq, **nothing,
                      detail=msgspec.Raw(msgspec.json.encode(CloseDetail(**detail))))  # fmt: skip
    return till.append(close)


def test_a_pos_that_counted_otherwise_is_a_row_with_both_sides_and_the_receipts(centre: Centre) -> None:
    till = centre.till()
    till.sell("R1", 700)
    why = Explaining(receipt_id="R7", amount=-200, why="only_at_pos")
    closed(till, cashier="4", override=BOSS, pos=DayTotals(net_minor=900), differences=(
        Difference(figure="net_minor", pos=900, till=700, receipts=(why,)),
        Difference(figure="tender:cash", pos=900, till=700, receipts=(why,)),
    ))  # fmt: skip
    assert till.upload().flagged == ((2, "pos_differs"),)
    assert centre.figures("pos_differs") == {
        "cashier": "4", "pos_net_minor": 900, "till_net_minor": 700, "pos_tender:cash": 900, "till_tender:cash": 700,
        "receipts": "R7", "approved_by": "91",
    }  # fmt: skip
    assert [row[1] for row in rows(centre)] == ["till_close.v1"]
    assert verify_books(centre.engine).violations == ()


def test_a_pos_that_agrees_or_said_nothing_is_no_row(centre: Centre) -> None:
    till = centre.till()
    till.sell("R1", 700)
    closed(till, cashier="4", pos=DayTotals(net_minor=700))
    assert till.upload().flagged == ()


def test_a_close_whose_detail_is_none_of_ours_is_told_and_posted(centre: Centre) -> None:
    till = centre.till()
    till.sell("R1", 700)
    closed(till)
    kept = till.events[-1]
    head = till.head
    till.head = msgspec.structs.replace(head, seq=head.seq - 1, hash=till.events[-2].hash)
    till.events.pop()
    till.append(kept.payload.replace(b'"detail":{}', b'"detail":{"differences":7}'))
    assert till.upload().flagged == ((2, "detail_malformed"),)
