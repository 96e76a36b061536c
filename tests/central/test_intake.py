"""What becomes of a batch at the centre, on each engine."""

from collections.abc import Callable
from datetime import date

import msgspec
import pytest
from sqlalchemy import Select, func, select

from central.coalition.programmes import publish
from central.coalition.streams import resume_stream
from central.database.tables import account, batch, card, debt, event, flag, lot, posting, stream, waiting
from central.ports import writing
from central.posting.late import post_arrived, post_overdue
from central.recomputing.recompute import Recomputed
from loyalty.facts.events import Opened, encode
from loyalty.facts.receipts import read_detail
from loyalty.members import MemberView, Use
from loyalty.pricing.earning import Earned
from loyalty.programme.compiled import compile_programme
from loyalty.programme.programme import programme_from
from sync.chain import StreamHead
from sync.envelope import open_batch
from sync.refusals import StreamMoved
from sync.verdicts import Take
from sync.wire import Ack, Problem
from tests.central.busy_day import codes
from tests.central.tills import DAY, PROGRAMME, TODAY, Centre, Till, told

TOKEN = "ab" * 16
GONE = ("redeemed", "reversed", "expired")


def lots_of(centre: Centre, account_id: int) -> list[tuple]:
    held = select(lot.c.issuer_id, lot.c.points).where(lot.c.account_id == account_id, lot.c.points > 0)
    return centre.rows(held.order_by(lot.c.issuer_id))


def events_of(centre: Centre, till: Till) -> list[tuple]:
    own = select(event.c.seq, event.c.state, event.c.reason).where(event.c.till_id == till.head.till_id)
    return centre.rows(own.order_by(event.c.seq))


def point_identity(centre: Centre) -> dict[str, tuple[int, int]]:
    """By issuer: what all postings left available, bucket by bucket; and what the lots hold."""
    p = posting.c
    sums = select(p.issuer_id, p.source, p.target, func.sum(p.amount)).where(p.unit == "point")
    left: dict[str, int] = {}
    for issuer, source, target, points in centre.rows(sums.group_by(p.issuer_id, p.source, p.target)):
        step = (source == "issued") + (source in GONE) - (target in GONE)
        left[issuer] = left.get(issuer, 0) + step * int(points)
    held = dict(centre.rows(select(lot.c.issuer_id, func.sum(lot.c.points)).group_by(lot.c.issuer_id)))
    return {issuer: (points, int(held.get(issuer, 0))) for issuer, points in left.items()}


def test_a_receipt_posts_its_points_and_the_batch_is_kept_as_received(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    till.append(Opened(receipt_id="opened:1", reason="enrolled"))
    till.sell("R1", 10_050, told(anna))
    data = till.batch()
    ack = till.send(data)
    assert isinstance(ack, Ack)
    assert (ack.head, ack.flagged) == (till.head, ())
    assert lots_of(centre, anna) == [("acme", 100)]
    assert centre.version(anna) == 1
    ((header, signature, body),) = centre.rows(select(batch.c.header, batch.c.signature, batch.c.body))
    assert len(header).to_bytes(2, "big") + header + signature + body == data
    assert events_of(centre, till) == [(1, "posted", ""), (2, "posted", "")]


def test_the_same_batch_again_changes_nothing_and_is_answered_the_same(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    till.sell("R1", 10_000, told(anna))
    data = till.batch()
    first, again = till.send(data), till.send(data)
    assert isinstance(first, Ack) and isinstance(again, Ack)
    assert first.head == again.head
    assert lots_of(centre, anna) == [("acme", 100)]
    assert centre.rows(select(func.count()).select_from(batch)) == [(1,)]


def test_a_batch_that_overlaps_posts_only_what_is_new_and_is_kept_whole(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    till.sell("R1", 10_000, told(anna))
    till.upload()
    till.sell("R2", 5_000, told(anna))
    ack = till.send(till.batch(first=1))
    assert isinstance(ack, Ack) and ack.head.seq == 2
    assert lots_of(centre, anna) == [("acme", 150)]
    rows = centre.rows(select(batch.c.first_seq, batch.c.posted_from, batch.c.last_seq).order_by(batch.c.last_seq))
    assert rows == [(1, 1, 1), (1, 2, 2)]
    assert centre.store.hash_at(till.head.till_id, 1, 1) == till.events[0].hash
    assert centre.store.hash_at(till.head.till_id, 1, 2) == till.events[1].hash


def test_a_hash_inside_a_batch_is_walked_again(centre: Centre) -> None:
    till = centre.till()
    for n in range(1, 5):
        till.sell(f"R{n}", 100)
    till.upload()
    assert centre.store.hash_at(till.head.till_id, 1, 3) == till.events[2].hash


def test_a_gap_is_refused_with_the_first_missing_number(centre: Centre) -> None:
    till = centre.till()
    for n in range(1, 4):
        till.sell(f"R{n}", 100)
    problem = till.send(till.batch(first=3))
    assert isinstance(problem, Problem)
    assert (problem.code, problem.need) == ("sync.gap", 1)
    assert events_of(centre, till) == []


def test_another_history_suspends_the_till_until_somebody_decides(centre: Centre) -> None:
    till = centre.till()
    till.sell("R1", 100)
    till.upload()
    other = till.events[0]
    till.head, till.events, till.sent = till.start, [], 0
    till.sell("R9", 100)
    assert till.events[0].hash != other.hash
    problem = till.send(till.batch())
    assert isinstance(problem, Problem) and problem.code == "sync.fork"
    assert centre.flags() == [(0, "sync.fork")]
    suspended = till.send(till.batch())
    assert isinstance(suspended, Problem) and suspended.code == "sync.suspended"
    assert events_of(centre, till) == [(1, "posted", "")]
    with writing(centre.engine) as tx:
        assert resume_stream(tx, till.head.till_id, 1)
    again = till.send(till.batch())
    assert isinstance(again, Problem) and again.code == "sync.fork"


def test_a_batch_signed_by_another_key_is_refused(centre: Centre) -> None:
    till, thief = centre.till(), centre.till("S2")
    till.sell("R1", 100)
    till.signer = thief.signer
    problem = till.send(till.batch())
    assert isinstance(problem, Problem) and problem.code == "sync.bad_signature"
    assert events_of(centre, till) == []


def test_a_batch_judged_before_another_came_in_is_not_posted(centre: Centre) -> None:
    till = centre.till()
    till.sell("R1", 100)
    till.sell("R2", 100)
    till.upload()
    late = open_batch(till.batch(first=1), lambda till_id, key_no: till.signer.public)
    with pytest.raises(StreamMoved):
        centre.store.take_batch(late, Take(from_index=0, after=till.start), centre.now)
    assert centre.rows(select(func.count()).select_from(event)) == [(2,)]


BAD = {
    "event.unknown": b'{"type":"gift.v1","receipt_id":"G1"}',
    "event.unknown, bytes that are no text": b'{"type":"opened.v1","receipt_id":"o\xff","reason":"x"}',
    "event.not_a_tills": b'{"type":"grant.v1","receipt_id":"x","lease_id":"l","till_id":"t","epoch":1,"points":9,'
    b'"granted_at_ms":1}',
}


@pytest.mark.parametrize("cause", list(BAD))
def test_what_cannot_be_posted_is_quarantined_and_the_next_event_goes_on(centre: Centre, cause: str) -> None:
    till, anna = centre.till(), centre.member()
    till.append(BAD[cause])
    till.sell("R1", 10_000, told(anna))
    ack = till.upload()
    code = cause.split(",")[0]
    assert ack.flagged == ((1, code),)
    assert events_of(centre, till) == [(1, "quarantined", code), (2, "posted", "")]
    assert lots_of(centre, anna) == [("acme", 100)]


@pytest.mark.parametrize(
    "change",
    [{"account_id": 2**60}, {"receipt_id": ""}, {"receipt_id": "a\0b"}, {"receipt_id": "r" * 201},
     {"account_id": None, "card_token": "2900000000018"},
     {"earned": (Earned(issuer_id="acme", valid_through=TODAY, points=10**12),) * 11},
     {"uses": (Use(name="promo:milk", amount=-(10**13)), Use(name="promo:tea", amount=1))}],
)  # fmt: skip
def test_a_head_that_no_database_should_hold_is_quarantined(centre: Centre, change: dict) -> None:
    till, anna = centre.till(), centre.member()
    till.append(msgspec.structs.replace(till.receipt("R1", 10_000, told(anna)), **change))
    till.sell("R2", 500, told(anna))
    assert till.upload().flagged == ((1, "event.out_of_range"),)
    assert lots_of(centre, anna) == [("acme", 5)]


def test_negative_points_are_quarantined(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    receipt = till.receipt("R1", 10_000, told(anna))
    payload = encode(msgspec.structs.replace(receipt, detail=msgspec.Raw(b"null")))
    assert payload.count(b",100]]") == 1
    till.append(payload.replace(b",100]]", b",-5]]"))
    assert till.upload().flagged == ((1, "event.unknown"),)
    assert lots_of(centre, anna) == []


def test_a_receipt_id_serves_once_whatever_the_epoch(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    till.sell("R1", 10_000, told(anna))
    till.sell("R1", 99_000, told(anna))
    assert till.upload().flagged == ((2, "receipt_id_reused"),)
    assert lots_of(centre, anna) == [("acme", 100)]
    newer = Till(centre, "S1", till_id=till.head.till_id, seed="new machine")
    assert newer.head.epoch == 2
    newer.append(till.events[0].payload)
    assert newer.upload().flagged == ((1, "receipt_id_reused"),)
    assert lots_of(centre, anna) == [("acme", 100)]
    says = [figures for (figures,) in centre.rows(select_figures("receipt_id_reused"))]
    assert ["has other content" in says[0], "has the same content" in says[1]] == [True, True]


def select_figures(cause: str) -> Select:
    return select(flag.c.figures).where(flag.c.cause == cause).order_by(flag.c.epoch, flag.c.seq)


def test_a_card_nobody_knows_earns_on_an_account_of_its_own(centre: Centre) -> None:
    one, other = centre.till("S1"), centre.till("S2")
    one.sell("R1", 10_000, MemberView(), token=TOKEN)
    one.upload()
    other.sell("R1", 3_000, MemberView(), token=TOKEN)
    other.upload()
    account_id = centre.account_of(TOKEN)
    assert 0 < account_id < 2**53
    assert lots_of(centre, account_id) == [("acme", 100), ("bolt", 30)]
    assert centre.rows(select(account.c.status).where(account.c.account_id == account_id)) == [("unregistered",)]
    assert centre.rows(select(func.count()).select_from(card)) == [(1,)]


def test_an_account_that_nobody_gave_out_is_flagged_and_kept(centre: Centre) -> None:
    till = centre.till()
    till.sell("R1", 10_000, told(77))
    assert till.upload().flagged == ((1, "account_unknown"),)
    assert lots_of(centre, 77) == [("acme", 100)]


def test_an_uncovered_spend_becomes_a_debt_that_later_points_repay(centre: Centre) -> None:
    till, anna = centre.till("S1"), centre.member()
    till.sell("R1", 10_000, told(anna))  # 100 points
    till.sell("R2", 50_000, told(anna, 1, 300), spend=300)  # 200 of them are not there; earns 497
    assert till.upload().flagged == ((2, "uncovered"),)
    assert centre.rows(select(debt.c.points, debt.c.at_partner_id, debt.c.of_seq)) == [(200, "acme", 2)]
    assert lots_of(centre, anna) == [("acme", 497)]
    other = centre.till("S2")
    other.sell("R1", 15_000, told(anna))  # 150 points of bolt, all of which repay
    other.upload()
    assert centre.rows(select(debt.c.points)) == [(50,)]
    assert lots_of(centre, anna) == [("acme", 497)]
    p = posting.c
    repaid = select(p.source, p.target, p.amount, p.issuer_id, p.at_partner_id, p.of_seq)
    assert centre.rows(repaid.where(p.by_till == other.head.till_id).order_by(p.n)) == [
        ("issued", "available", 150, "bolt", "bolt", 1),
        ("available", "redeemed", 150, "bolt", "acme", 2),
        ("pending", "issued", 150, "acme", "acme", 2),  # acme's claim for them, now that it is paid
    ]
    assert point_identity(centre) == {"acme": (497, 497), "bolt": (0, 0)}


# Tea earns points through the end of the year, bread for ten days.
TWO_LIVES = [
    {"id": name, "who": {"card": True}, "lifetime": lifetime,
     "then": [{"kind": "earn", "points": 1, "per_minor": 100, "of": {"sku": [name]}}]}
    for name, lifetime in (("tea", {"end_of": "year"}), ("bread", {"days": 10}))
]  # fmt: skip
# Options, what is left of 100 points of tea and 100 of bread by last valid day, and what nothing covers.
SPENDINGS = [
    ({}, [("2026-03-02", 0), ("2026-12-31", 50)], 0),
    ({"lot_order": "first_earned"}, [("2026-03-02", 50), ("2026-12-31", 0)], 0),
    ({"expiry": "start_of_day"}, [("2026-03-02", 100), ("2026-12-31", 0)], 50),
    ({"expiry": "instant", "expiry_at": "12:00"}, [("2026-03-02", 100), ("2026-12-31", 0)], 50),
    ({"expiry": "instant", "expiry_at": "12:01"}, [("2026-03-02", 0), ("2026-12-31", 50)], 0),
]


@pytest.mark.parametrize(("options", "lots", "short"), SPENDINGS)
def test_points_are_spent_in_the_order_and_until_the_time_that_the_programme_of_the_sale_tells(
    centre: Centre, options: dict, lots: list, short: int
) -> None:
    till, anna = centre.till(), centre.member()
    till.hello()
    document = {**PROGRAMME, "promotions": TWO_LIVES, "options": options}
    till.rules = compile_programme(programme_from(document))
    with writing(centre.engine) as tx:
        publish(tx, msgspec.json.encode(document), centre.now)
    # A batch for each sale, so that what the lots know goes through the tables.
    till.sell("R1", 10_000, told(anna), sku="tea", on=date(2026, 1, 5))
    till.upload()
    till.sell("R2", 10_000, told(anna, 1, 100), on=date(2026, 2, 20))
    till.upload()
    till.sell("R3", 20_000, told(anna, 2, 200), sku="coffee", spend=150)  # at noon on 2 March
    assert till.upload().flagged == (((3, "uncovered"),) if short else ())
    kept = select(lot.c.valid_through, lot.c.points, lot.c.earned_on).order_by(lot.c.valid_through)
    days = ("2026-02-20", "2026-01-05")
    assert centre.rows(kept) == [(*held, on) for held, on in zip(lots, days, strict=True)]
    assert centre.rows(select(debt.c.points)) == ([(short,)] if short else [])
    assert codes(centre) == []
    assert centre.recompute() == Recomputed(same=3)


def test_a_lot_that_was_spent_and_filled_again_is_as_old_as_what_is_in_it(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    till.hello()
    till.sell("R1", 10_000, told(anna), on=date(2026, 2, 10))
    till.upload()
    kept = select(lot.c.points, lot.c.earned_on)
    assert centre.rows(kept) == [(100, "2026-02-10")]
    till.sell("R2", 10_100, told(anna, 1, 100), spend=100, on=date(2026, 2, 20))
    till.upload()
    # 100 points pay 1.00 of 101.00, and 100.00 earn 100: as many as before, of another day.
    assert centre.rows(kept) == [(100, "2026-02-20")]
    assert codes(centre) == []


def test_points_that_paid_later_come_back_with_the_goods(centre: Centre) -> None:
    one, other, anna = centre.till("S1"), centre.till("S2"), centre.member()
    receipt = one.receipt("R1", 10_000, told(anna, 0, 300), spend=300)
    ref = one.append(receipt)  # nothing covers it; 97 points earned
    one.upload()
    other.sell("R1", 40_000, told(anna))  # 400 points, 300 repay
    other.upload()
    assert lots_of(centre, anna) == [("acme", 97), ("bolt", 100)]
    one.take_back("B1", ref, receipt, 1000)
    one.upload()
    assert lots_of(centre, anna) == [("bolt", 400)]
    assert point_identity(centre) == {"acme": (0, 0), "bolt": (400, 400)}


def test_a_return_waits_for_its_receipt_and_posts_right_after_it(centre: Centre) -> None:
    one, other, anna = centre.till("S1"), centre.till("S2"), centre.member()
    receipt = one.receipt("R1", 10_000, told(anna))
    ref = one.append(receipt)
    one.sell("R2", 2_000, told(anna))
    other.take_back("B1", ref, receipt, 1000)
    other.upload()
    assert events_of(centre, other) == [(1, "waiting", "")]
    assert lots_of(centre, anna) == []
    one.upload()
    assert events_of(centre, other) == [(1, "posted", "")]
    assert lots_of(centre, anna) == [("acme", 20)]
    order = select(event.c.till_id, event.c.seq).where(event.c.account_id == anna).order_by(event.c.account_version)
    assert centre.rows(order) == [(one.head.till_id, 1), (other.head.till_id, 1), (one.head.till_id, 2)]
    assert point_identity(centre) == {"acme": (20, 20)}


@pytest.mark.parametrize("days, sweep", [(0, post_arrived), (8, post_overdue)])
def test_a_return_whose_receipt_came_at_the_same_moment_is_found_by_the_sweep(
    centre: Centre, days: int, sweep: Callable[..., int]
) -> None:
    one, other, anna = centre.till("S1"), centre.till("S2"), centre.member()
    receipt = one.receipt("R1", 10_000, told(anna))
    ref = one.append(receipt)
    other.take_back("B1", ref, receipt, 1000)
    other.upload()
    # As if neither transaction had seen the other: the receipt is posted, the return still waits.
    with writing(centre.engine) as tx:
        rows = [row._mapping for row in tx.execute(select(waiting))]
        tx.execute(waiting.delete())
    one.upload()
    with writing(centre.engine) as tx:
        tx.execute(waiting.insert(), [dict(row) for row in rows])
    assert events_of(centre, other) == [(1, "waiting", "")]
    with writing(centre.engine) as tx:
        assert sweep(tx, centre.now + days * DAY, centre.random) == 1
        assert sweep(tx, centre.now + days * DAY, centre.random) == 0
    assert events_of(centre, other) == [(1, "posted", "")]
    assert lots_of(centre, anna) == []
    assert centre.flags() == []


def test_a_return_whose_receipt_never_comes_is_posted_without_it_after_seven_days(centre: Centre) -> None:
    one, other, anna = centre.till("S1"), centre.till("S2"), centre.member()
    other.sell("R1", 30_000, told(anna))
    receipt = one.receipt("R1", 10_000, told(anna))
    other.take_back("B1", one.append(receipt), receipt, 1000)
    other.upload()
    with writing(centre.engine) as tx:
        assert post_overdue(tx, centre.now + 7 * DAY - 1, centre.random) == 0
    with writing(centre.engine) as tx:
        assert post_overdue(tx, centre.now + 7 * DAY, centre.random) == 1
    assert events_of(centre, other) == [(1, "posted", ""), (2, "posted", "")]
    assert lots_of(centre, anna) == [("bolt", 200)]  # bolt's own points made good for acme's
    assert centre.flags() == [(2, "posted_unreferenced")]
    one.upload()
    assert lots_of(centre, anna) == [("acme", 100), ("bolt", 200)]
    assert point_identity(centre) == {"acme": (100, 100), "bolt": (200, 200)}


def test_goods_that_come_back_twice_are_taken_once_and_flagged(centre: Centre) -> None:
    one, other, anna = centre.till("S1"), centre.till("S2"), centre.member()
    receipt = one.receipt("R1", 10_000, told(anna))
    ref = one.append(receipt)
    one.take_back("B1", ref, receipt, 600)
    one.upload()
    assert lots_of(centre, anna) == [("acme", 40)]
    other.take_back("B1", ref, receipt, 1000)
    ack = other.upload()
    assert ack.flagged == ((1, "returned_twice"),)
    assert lots_of(centre, anna) == []
    assert point_identity(centre) == {"acme": (0, 0)}


def test_a_void_takes_back_the_whole_receipt(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    receipt = till.receipt("R1", 10_000, told(anna))
    ref = till.append(receipt)
    till.upload()
    till.void(ref, receipt)
    till.upload()
    assert lots_of(centre, anna) == []
    assert centre.version(anna) == 2


def test_an_anonymous_sale_has_no_account(centre: Centre) -> None:
    till = centre.till()
    till.sell("R1", 10_000)
    assert till.upload().flagged == ()
    assert centre.rows(select(event.c.account_id, event.c.net_minor)) == [(0, 10_000)]
    assert centre.rows(select(func.count()).select_from(account)) == [(0,)]


def test_a_till_close_is_held_against_what_came(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    receipt = till.receipt("R1", 10_000, told(anna))
    ref = till.append(receipt)
    till.sell("R2", 250)
    till.take_back("B1", ref, receipt, 500)
    till.sell("R3", 999, on=date(2026, 3, 3))  # rung up under the next day already
    till.close(receipts=2, returns=1, net_minor=10_250, returned_minor=5_000, points_earned=100, points_reversed=50)
    assert till.upload().flagged == ()
    short = centre.till("S2")
    short.sell("R1", 700)
    short.close(receipts=2, net_minor=700)
    assert short.upload().flagged == ((2, "close_differs"),)
    assert centre.figures("close_differs") == {"till_receipts": 2, "centre_receipts": 1}


@pytest.mark.parametrize(
    ("told_place", "cause"),
    [({"store_id": "S3"}, "store_differs"), ({"partner_id": "bolt"}, "partner_differs"),
     ({"till_id": "ab" * 16}, "till_differs")],
)  # fmt: skip
def test_a_receipt_that_names_another_place_than_its_tills_is_flagged(
    centre: Centre, told_place: dict, cause: str
) -> None:
    till = centre.till("S1")
    receipt = till.receipt("R1", 100)
    place = msgspec.structs.replace(receipt.place, **told_place)
    till.append(msgspec.structs.replace(receipt, place=place))
    assert till.upload().flagged == ((1, cause),)


def test_a_void_of_another_tills_receipt_is_flagged(centre: Centre) -> None:
    one, other = centre.till("S1"), centre.till("S1")
    receipt = one.receipt("R1", 100)
    other.void(one.append(receipt), receipt)
    one.upload()
    assert other.upload().flagged == ((1, "void_elsewhere"),)


def test_the_detail_is_not_looked_at_when_a_receipt_is_posted(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    receipt = till.receipt("R1", 10_000, told(anna))
    assert read_detail(receipt).digest
    till.append(msgspec.structs.replace(receipt, detail=msgspec.Raw(b'"torn"')))
    assert till.upload().flagged == ()
    assert lots_of(centre, anna) == [("acme", 100)]
    assert centre.recompute().differs == 1
    assert centre.flags() == [(1, "detail_malformed")]


def test_the_stream_says_where_it_stands_and_what_the_till_has_left(centre: Centre) -> None:
    till = centre.till()
    for n in range(1, 6):
        till.sell(f"R{n}", 100)
    ack = till.send(till.batch(last=2))
    assert isinstance(ack, Ack) and ack.head.seq == 2
    assert centre.store.stream(till.head.till_id, 1) == StreamHead(
        till_id=till.head.till_id, epoch=1, seq=2, hash=till.events[1].hash
    )
    said = select(stream.c.backlog, stream.c.announced_seq).where(stream.c.till_id == till.head.till_id)
    assert centre.rows(said) == [(3, 5)]
