"""A receipt claimed later: once, for what its goods earn, and no more once they come back."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
from sqlalchemy import select, update

from central.coalition.programmes import publish
from central.database.tables import centre_event, debt, flag, lot, posting, receipt_claim, waiting
from central.intake.claims import settle_claims
from central.ports import writing
from central.posting.late import post_arrived
from central.upkeep.redacting import redact
from central.verify.books import verify_books
from loyalty.cards.cards import Card, card_token
from loyalty.facts.member_events import Claimed, ReceiptNamed
from loyalty.facts.receipts import Receipt
from loyalty.facts.return_voids import close_return_void
from loyalty.facts.reversals import ReturnLine
from loyalty.lots import EventRef
from tests.central.tills import ANNA, BEN, CARD_KEY, DAY, PROGRAMME, TODAY, Centre, Till, told

GRACE_DAYS = 7


def token(number: str) -> str:
    return card_token(CARD_KEY, Card(kind="ean13", number=number, last4=number[-4:]))


def claim(till: Till, claim_id: str, receipt_id: str, /, *, card: str = ANNA, on: date = TODAY, of_till: str = "",
          points: int | None = None, **printed: Any) -> EventRef:  # fmt: skip
    return till.append(
        Claimed(
            receipt_id=claim_id, place=till.place(on), card_token=token(card), last4=card[-4:], till_id=of_till,
            named=ReceiptNamed(receipt_id=receipt_id, **printed), points=points,
        )
    )  # fmt: skip


def settle(centre: Centre) -> int:
    return settle_claims(centre.engine, centre.now, centre.random, GRACE_DAYS)


def points(centre: Centre, account_id: int) -> int:
    return sum(row[0] for row in centre.rows(select(lot.c.points).where(lot.c.account_id == account_id)))


def claims(centre: Centre) -> list[tuple[Any, ...]]:
    columns = (receipt_claim.c.event_id, receipt_claim.c.state, receipt_claim.c.reason, receipt_claim.c.points)
    return centre.rows(select(*columns).order_by(receipt_claim.c.event_id))


def violations(centre: Centre) -> list[str]:
    return [one.code for one in verify_books(centre.engine).violations]


def sold(till: Till, receipt_id: str, amount: int, **more: Any) -> tuple[EventRef, Receipt]:
    receipt = till.receipt(receipt_id, amount, None, **more)
    return till.append(receipt), receipt


def test_a_receipt_without_a_card_earns_for_who_brings_one_later(centre: Centre) -> None:
    anna, till = centre.member(ANNA), centre.till()
    sold(till, "R-1", 1250)
    claim(till, "L-1", "R-1", of_till=till.head.till_id)
    till.upload()
    assert settle(centre) == 1
    assert claims(centre) == [("L-1", "granted", "", 12)]
    assert points(centre, anna) == 12
    rows = centre.rows(select(posting.c.issuer_id, posting.c.terms_id, posting.c.source, posting.c.amount))
    assert rows == [("acme", "acme-1", "issued", 12)]
    assert settle(centre) == 0
    assert centre.flags() == []
    assert violations(centre) == []


def test_a_receipt_that_its_till_sent_twice_is_claimed_once(centre: Centre) -> None:
    """Its disk went back, and the POS asked again: the second is kept apart."""
    anna, till = centre.member(ANNA), centre.till()
    _, receipt = sold(till, "R-1", 1250)
    till.append(receipt)
    assert till.upload().flagged == ((2, "receipt_id_reused"),)
    claim(till, "L-1", "R-1", of_till=till.head.till_id)
    claim(till, "L-2", "R-1", of_till=till.head.till_id)
    till.upload()
    assert settle(centre) == 2
    assert claims(centre) == [("L-1", "granted", "", 12), ("L-2", "refused", "claimed", 0)]
    assert points(centre, anna) == 12


def test_the_points_are_those_of_the_store_and_day_of_the_receipt(centre: Centre) -> None:
    anna, till, bolt = centre.member(ANNA), centre.till(), centre.till("S2")
    sold(bolt, "R-7", 800, on=TODAY - timedelta(days=3))
    bolt.upload()
    claim(till, "L-1", "R-7", total_minor=800, store="S2", till="Lane", sold_at="2026-02-27T12:00")
    till.upload()
    settle(centre)
    assert claims(centre) == [("L-1", "granted", "", 8)]
    assert centre.rows(select(lot.c.issuer_id, lot.c.points, lot.c.earned_on)) == [("bolt", 8, "2026-02-27")]
    assert points(centre, anna) == 8
    assert violations(centre) == []


def test_a_discount_for_the_card_is_no_reason_to_earn_on_more_than_it_would_have_cost(centre: Centre) -> None:
    centre.member(ANNA)
    till = centre.till()
    # Milk is a tenth cheaper once a member; nobody's counter is known, so it is not given and the points are of 1000.
    sold(till, "R-1", 1000, sku="milk")
    claim(till, "L-1", "R-1", of_till=till.head.till_id)
    till.upload()
    settle(centre)
    assert claims(centre) == [("L-1", "granted", "", 10)]


def test_a_receipt_is_granted_once_in_the_whole_programme(centre: Centre) -> None:
    anna, ben = centre.member(ANNA), centre.member(BEN)
    till, other = centre.till(), centre.till("S2")
    sold(till, "R-1", 1000)
    claim(till, "L-1", "R-1", of_till=till.head.till_id)
    claim(other, "L-2", "R-1", card=BEN, total_minor=1000)
    till.upload()
    other.upload()
    assert settle(centre) == 2
    assert sorted(one[1:] for one in claims(centre)) == [("granted", "", 10), ("refused", "claimed", 0)]
    assert points(centre, anna) + points(centre, ben) == 10
    assert [cause for _, cause in centre.flags()] == ["claim_refused"]
    assert violations(centre) == []


def test_a_receipt_entered_again_from_its_paper_is_known_by_what_is_printed(centre: Centre) -> None:
    centre.member(ANNA)
    centre.member(BEN)
    till = centre.till()
    sold(till, "R-1", 1000)
    # The same paper rung up once more: another event, whose number somebody wrote with a blank.
    sold(till, "R 1", 1000)
    claim(till, "L-1", "R-1", of_till=till.head.till_id)
    claim(till, "L-2", "R 1", card=BEN, of_till=till.head.till_id)
    till.upload()
    settle(centre)
    assert claims(centre) == [("L-1", "granted", "", 10), ("L-2", "refused", "claimed", 0)]


def test_a_receipt_with_a_card_belongs_to_somebody(centre: Centre) -> None:
    ben = centre.member(BEN)
    centre.member(ANNA)
    till = centre.till()
    till.sell("R-1", 1000, told(ben))
    claim(till, "L-1", "R-1", of_till=till.head.till_id)
    till.upload()
    settle(centre)
    assert claims(centre) == [("L-1", "refused", "has_card", 0)]
    assert centre.figures("claim_refused") == {"reason": "has_card"}


def test_what_is_printed_must_fit(centre: Centre) -> None:
    centre.member(ANNA)
    till, other = centre.till(), centre.till()
    ref, _ = sold(till, "R-1", 1000)
    till.upload()
    record = till.events[ref.seq - 1].hash[:8].upper()
    wrong = [{"total_minor": 1001}, {"sold_at": "2026-03-02T12:01"}, {"record": "00000000"}, {"store": "S2"},
             {"till": "Lane 9"}]  # fmt: skip
    for n, printed in enumerate(wrong):
        claim(other, f"L-{n}", "R-1", **printed)
    claim(other, "L-9", "R-1", total_minor=1000, sold_at="2026-03-02 12:00", record=record.lower(), till="lane")
    other.upload()
    settle(centre)
    assert [one[1] for one in claims(centre)] == ["asked"] * 5 + ["granted"]
    centre.now += (GRACE_DAYS + 1) * DAY
    settle(centre)
    assert claims(centre)[:5] == [(f"L-{n}", "refused", "receipt_unknown", 0) for n in range(5)]


def test_a_claim_waits_for_its_receipt(centre: Centre) -> None:
    centre.member(ANNA)
    till, other = centre.till(), centre.till()
    sold(till, "R-1", 1000)
    claim(other, "L-1", "R-1", total_minor=1000)
    other.upload()
    assert settle(centre) == 0
    till.upload()
    assert settle(centre) == 1
    assert claims(centre) == [("L-1", "granted", "", 10)]


def test_it_may_be_claimed_for_a_fortnight_and_not_before_it_was_sold(centre: Centre) -> None:
    centre.member(ANNA)
    centre.member(BEN)
    till = centre.till()
    for n, days in enumerate((14, 15, -1)):
        sold(till, f"R-{n}", 1000, on=TODAY - timedelta(days=days))
        claim(till, f"L-{n}", f"R-{n}", card=ANNA if n else BEN, of_till=till.head.till_id)
    till.upload()
    settle(centre)
    assert [one[1:3] for one in claims(centre)] == [("granted", ""), ("refused", "too_old"), ("refused", "too_old")]


def test_a_card_claims_so_many_receipts_a_day(centre: Centre) -> None:
    centre.member(ANNA)
    till = centre.till()
    for n in range(3):
        sold(till, f"R-{n}", 1000 + n)
        claim(till, f"L-{n}", f"R-{n}", of_till=till.head.till_id)
    till.upload()
    settle(centre)
    assert [one[1:3] for one in claims(centre)] == [("granted", ""), ("granted", ""), ("refused", "too_many")]


def test_a_voided_receipt_and_one_that_came_back_whole_earn_nothing(centre: Centre) -> None:
    centre.member(ANNA)
    till = centre.till()
    till.void(*sold(till, "R-1", 1000))
    ref, receipt = sold(till, "R-2", 1000)
    till.append(till.returned("B-1", ref, receipt, whole()))
    for n in (1, 2):
        claim(till, f"L-{n}", f"R-{n}", of_till=till.head.till_id)
    till.upload()
    settle(centre)
    assert claims(centre) == [("L-1", "refused", "voided", 0), ("L-2", "refused", "returned", 0)]
    assert violations(centre) == []


def test_goods_that_come_back_after_the_claim_take_their_points_along(centre: Centre) -> None:
    anna, till = centre.member(ANNA), centre.till()
    ref, receipt = sold(till, "R-1", 1000)
    claim(till, "L-1", "R-1", of_till=till.head.till_id)
    till.upload()
    settle(centre)
    till.append(till.returned("B-1", ref, receipt, half()))
    till.upload()
    assert settle(centre) == 1
    assert claims(centre) == [("L-1", "granted", "", 5)]
    assert points(centre, anna) == 5
    till.append(till.returned("B-2", ref, receipt, half(), half()))
    till.upload()
    settle(centre)
    assert (points(centre, anna), settle(centre)) == (0, 0)
    assert violations(centre) == []


def test_goods_whose_return_was_voided_earn_what_they_earned_before(centre: Centre) -> None:
    anna, till = centre.member(ANNA), centre.till()
    ref, receipt = sold(till, "R-1", 1000)
    claim(till, "L-1", "R-1", of_till=till.head.till_id)
    back = till.returned("B-1", ref, receipt, half())
    of = till.append(back)
    till.upload()
    settle(centre)
    assert points(centre, anna) == 5
    till.append(close_return_void(back, of, till.place()))
    till.upload()
    settle(centre)
    assert (claims(centre), points(centre, anna)) == ([("L-1", "granted", "", 10)], 10)
    # Voided as a whole the receipt earns nothing, whatever was undone before.
    till.append(till.returned("B-2", ref, receipt, whole()))
    till.upload()
    settle(centre)
    assert points(centre, anna) == 0
    assert violations(centre) == []


def test_goods_that_came_back_at_the_same_moment_as_their_sale_came_take_their_points_along(centre: Centre) -> None:
    anna, till, other = centre.member(ANNA), centre.till(), centre.till()
    ref, receipt = sold(till, "R-1", 1000)
    other.append(other.returned("B-1", ref, receipt, half()))
    other.upload()
    # As if neither transaction had seen the other: the receipt is posted, the return still waits.
    with writing(centre.engine) as tx:
        rows = [dict(row._mapping) for row in tx.execute(select(waiting))]
        tx.execute(waiting.delete())
    claim(till, "L-1", "R-1", of_till=till.head.till_id)
    till.upload()
    with writing(centre.engine) as tx:
        tx.execute(waiting.insert(), rows)
    settle(centre)
    assert (claims(centre), points(centre, anna)) == ([("L-1", "granted", "", 10)], 10)
    with writing(centre.engine) as tx:
        assert post_arrived(tx, centre.now, centre.random) == 1
    settle(centre)
    assert (claims(centre), points(centre, anna)) == ([("L-1", "granted", "", 5)], 5)
    assert violations(centre) == []


def test_a_claim_stands_for_a_person_to_look_at_where_its_goods_come_back_after_they_were_let_go(
    centre: Centre,
) -> None:
    anna, till = centre.member(ANNA), centre.till()
    ref, receipt = sold(till, "R-1", 1000)
    claim(till, "L-1", "R-1", of_till=till.head.till_id)
    till.upload()
    settle(centre)
    centre.recompute()
    assert redact(centre.engine, 60, centre.now + 61 * DAY, centre.random) == 1
    till.append(till.returned("B-1", ref, receipt, half()))
    till.upload()
    settle(centre)
    assert (claims(centre), points(centre, anna)) == ([("L-1", "granted", "", 10)], 10)
    assert centre.figures("claim_stands") == {"reason": "not_priceable", "points": 10}
    assert settle(centre) == 0
    with writing(centre.engine) as tx:
        tx.execute(update(flag).values(state="settled"))
    till.append(till.returned("B-2", ref, receipt, half(), earlier=half()))
    till.upload()
    settle(centre)
    rows = select(flag.c.n, flag.c.state).where(flag.c.cause == "claim_stands").order_by(flag.c.n)
    assert centre.rows(rows) == [(0, "settled"), (1, "open")]
    assert violations(centre) == []


def test_points_of_a_claim_that_are_spent_when_the_goods_come_back_are_owed(centre: Centre) -> None:
    anna, till = centre.member(ANNA), centre.till()
    ref, receipt = sold(till, "R-1", 1000)
    claim(till, "L-1", "R-1", of_till=till.head.till_id)
    till.upload()
    settle(centre)
    till.sell("R-2", 8, told(anna, 1, 10), spend=8)
    till.append(till.returned("B-1", ref, receipt, whole()))
    till.upload()
    settle(centre)
    assert points(centre, anna) == 0
    assert centre.rows(select(debt.c.account_id, debt.c.issuer_id, debt.c.points)) == [(anna, "acme", 8)]
    assert violations(centre) == []


def test_part_that_came_back_before_the_claim_earns_nothing(centre: Centre) -> None:
    anna, till = centre.member(ANNA), centre.till()
    ref, receipt = sold(till, "R-1", 1000)
    till.append(till.returned("B-1", ref, receipt, half()))
    claim(till, "L-1", "R-1", of_till=till.head.till_id)
    till.upload()
    settle(centre)
    assert claims(centre) == [("L-1", "granted", "", 5)]
    assert points(centre, anna) == 5


def test_the_programme_of_the_receipt_says_what_it_earns(centre: Centre) -> None:
    centre.member(ANNA)
    till = centre.till()
    sold(till, "R-1", 1000)
    doubled = {**PROGRAMME, "promotions": [{**PROGRAMME["promotions"][0],
               "then": [{"kind": "earn", "points": 2, "per_minor": 100}]}]}  # fmt: skip
    with writing(centre.engine) as tx:
        publish(tx, msgspec.json.encode(doubled), centre.now)
    claim(till, "L-1", "R-1", of_till=till.head.till_id)
    till.upload()
    settle(centre)
    assert claims(centre) == [("L-1", "granted", "", 10)]


def test_a_programme_without_late_claims_grants_none(centre: Centre) -> None:
    centre.member(ANNA)
    till = centre.till()
    sold(till, "R-1", 1000)
    claim(till, "L-1", "R-1", of_till=till.head.till_id)
    till.upload()
    with writing(centre.engine) as tx:
        publish(tx, msgspec.json.encode({**PROGRAMME, "members": {"claims": None}}), centre.now)
    settle(centre)
    assert claims(centre) == [("L-1", "refused", "not_offered", 0)]


def test_a_till_that_told_other_points_than_there_are_is_looked_at(centre: Centre) -> None:
    anna, till = centre.member(ANNA), centre.till()
    sold(till, "R-1", 1000)
    claim(till, "L-1", "R-1", of_till=till.head.till_id, points=11)
    till.upload()
    settle(centre)
    assert centre.figures("claim_points_differ") == {"till_points": 11, "centre_points": 10}
    assert points(centre, anna) == 10


def test_a_claim_that_was_tampered_with_is_found_by_verify(centre: Centre) -> None:
    centre.member(ANNA)
    till = centre.till()
    sold(till, "R-1", 1000)
    claim(till, "L-1", "R-1", of_till=till.head.till_id)
    till.upload()
    settle(centre)
    with writing(centre.engine) as tx:
        tx.execute(receipt_claim.update().values(points=11))
    assert violations(centre) == ["claim.points"]
    assert len(centre.rows(select(centre_event.c.seq))) >= 1


def whole() -> Sequence[ReturnLine]:
    return (ReturnLine(line=1, quantity_milli=1000),)


def half() -> Sequence[ReturnLine]:
    return (ReturnLine(line=1, quantity_milli=500),)
