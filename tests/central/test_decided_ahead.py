"""Sales that are decided before their accounts are locked: which they are, and what becomes of them where another till
was there first."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from central.database.tables import account, event, lot, posting
from central.ports import writing
from central.posting import books
from central.posting.plain_sales import plain_sales
from central.verify.books import verify_books
from loyalty.baskets import Place
from loyalty.certificates import CertificateSold
from loyalty.facts.events import Event
from loyalty.facts.member_events import CardChanged
from loyalty.facts.receipts import Receipt
from loyalty.facts.reversals import Return
from loyalty.ledger.books import Books, Posted
from loyalty.ledger.postings import post_event
from loyalty.lots import EventRef
from loyalty.members import Use
from loyalty.pricing.leases import Redemption
from loyalty.trouble import InvariantBroken
from sync.wire import Ack
from tests.central.test_at_once import AtOnce
from tests.central.tills import BEN as BEN_CARD
from tests.central.tills import Centre, told

ANNA, BEN = 11, 12


@pytest.fixture
def centre(lent_postgres: str) -> Iterator[Centre]:
    made = Centre(lent_postgres)
    yield made
    made.engine.dispose()


@pytest.mark.postgresql
def test_points_that_another_till_spent_meanwhile_are_not_there_any_more(centre: Centre) -> None:
    """Both tills' batches read 500 points before either has the account. 50.00 with 500 points, worth 5.00, earn 45: of
    the 500 points that the second till let be spent, the first has left 45."""
    till, anna = centre.till(), centre.member()
    till.sell("R1", 50_000, told(anna))
    till.upload()
    assert centre.rows(select(lot.c.points)) == [(500,)]
    one, other = centre.till("S2"), centre.till("S3")
    for shop, name in ((one, "A"), (other, "B")):
        shop.hello()
        shop.sell(name, 5_000, told(anna, 1, 500), spend=500)
    other.sell("C", 3_000, told(anna, 1, 500))
    at_once = AtOnce(centre, one.upload, other.upload)
    with writing(centre.engine) as tx:
        tx.execute(select(account).where(account.c.account_id == anna).with_for_update())
        at_once.wait_for_locks()
    at_once.join()
    assert [isinstance(answer, Ack) for answer in at_once.results] == [True, True]
    versions = select(event.c.receipt_id, event.c.account_version).order_by(event.c.account_version)
    assert centre.rows(versions) == [("R1", 1), ("A", 2), ("B", 3), ("C", 4)]
    redeemed = select(event.c.receipt_id, posting.c.amount).join_from(
        posting, event, (posting.c.of_till == event.c.till_id) & (posting.c.of_seq == event.c.seq)
    )
    paid = redeemed.where(posting.c.source == "available", posting.c.target == "redeemed")
    # C's points repay of what B owes; B's own came with the debt, and repay nothing.
    assert sorted(centre.rows(paid)) == [("A", 500), ("B", 30), ("B", 45)]
    assert centre.figures("uncovered")["covered"] == 45
    assert verify_books(centre.engine).violations == ()


@pytest.mark.postgresql
def test_a_sale_that_breaks_a_sum_is_struck_out_and_those_beside_it_stand(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(head: Event, ref: EventRef, whom: int | None, at: Books) -> Posted:
        if head.receipt_id == "R2":
            raise InvariantBroken("a sum is broken")
        return post_event(head, ref, whom, at)

    monkeypatch.setattr(books, "post_event", breaks)
    till, anna, ben = centre.till(), centre.member(), centre.member(BEN_CARD)
    for name, who in (("R1", anna), ("R2", anna), ("R3", anna), ("R4", ben)):
        till.sell(name, 1_000, told(who))
    till.upload()
    rows = select(event.c.receipt_id, event.c.state, event.c.account_version).order_by(event.c.seq)
    assert centre.rows(rows) == [
        ("R1", "posted", 1), ("R2", "quarantined", 0), ("R3", "posted", 2), ("R4", "posted", 1),
    ]  # fmt: skip
    assert sorted(centre.rows(select(lot.c.account_id, lot.c.points))) == sorted([(anna, 20), (ben, 10)])


# Which they are

PLACE = Place(
    partner_id="mill", store_id="S1", till_id="0f" * 16, channel="store", sold_at_ms=1_772_700_000_000, offset_min=0,
    business_date=date(2026, 3, 5),
)  # fmt: skip


def ref(seq: int) -> EventRef:
    return EventRef(till_id=PLACE.till_id, epoch=1, seq=seq)


def sale(name: str, who: int | None, **more: Any) -> Receipt:
    return Receipt(receipt_id=name, place=PLACE, net_minor=1_000, account_id=who, **more)


def back(name: str, of: EventRef) -> Return:
    return Return(receipt_id=name, place=PLACE, net_minor=500, of=of)


def chosen(*events: Event, late: tuple[Event, ...] = (), busy: frozenset[int] = frozenset()) -> list[str]:
    new = {ref(seq): one for seq, one in enumerate(events, 1)}
    found = plain_sales([*events, *late], new, lambda head: head.account_id, busy)
    return [head.receipt_id for head, _ in found.values()]


def test_sales_to_members_are_plain_and_keep_their_order() -> None:
    paid = Redemption(points=5, amount_minor=5, authority="float", lease_id="float:1:1")
    events = sale("1", ANNA), sale("2", None), sale("3", BEN, redemption=paid), sale("4", ANNA)
    assert chosen(*events) == ["1", "3", "4"]


@pytest.mark.parametrize(
    "more",
    [
        {"redemption": Redemption(points=5, amount_minor=5, authority="lease", lease_id="L1")},
        {"redemption": Redemption(points=5, amount_minor=5, authority="hold", lease_id="H1")},
        {"uses": (Use(name="certificate:" + "ab" * 16, amount=500),)},
        {"certificates_sold": (CertificateSold(line=1, code="ab" * 16, amount_minor=500, valid_through=date.max),)},
    ],
    ids=["lease", "hold", "paid with a certificate", "sold a certificate"],
)  # fmt: skip
def test_whoever_has_a_sale_that_reads_more_waits_with_all_sales(more: dict[str, Any]) -> None:
    assert chosen(sale("1", ANNA), sale("2", BEN), sale("3", ANNA, **more)) == ["2"]


def test_whoever_brings_goods_back_in_the_same_batch_waits() -> None:
    assert chosen(sale("1", ANNA), back("2", ref(1)), sale("3", ANNA), sale("4", BEN)) == ["4"]


def test_whoever_is_waited_for_by_a_return_of_before_waits() -> None:
    assert chosen(sale("1", ANNA), sale("2", BEN), late=(back("3", ref(1)),)) == ["2"]


def test_whoever_an_earlier_receipt_belongs_to_that_comes_back_waits() -> None:
    of = EventRef(till_id="0e" * 16, epoch=1, seq=9)
    assert chosen(sale("1", ANNA), back("2", of), sale("3", BEN), busy=frozenset({ANNA})) == ["3"]


def test_with_a_card_that_changes_hands_all_wait() -> None:
    given = CardChanged(receipt_id="2", place=PLACE, card_token="ab" * 16, what="blocked")
    assert chosen(sale("1", ANNA), given) == []
