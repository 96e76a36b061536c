"""The void of a return out of quarantine: put right by people, or posted once its return is; the books agree each time.

A sale of 100.00 earns 100 points; a quarter of its goods takes 25.
"""

import msgspec
import pytest
from sqlalchemy import select

from central.corrections.wishes import BadWish, NotThere
from central.database import tables as t
from central.intake.quarantine import AlreadyDecided
from central.intake.replaying import NotReadable
from central.ports import writing
from loyalty.facts.return_voids import close_return_void
from loyalty.facts.reversals import Return, ReturnVoid
from loyalty.lots import EventRef
from loyalty.pricing.earning import Earned
from tests.central.office import BEA, Office
from tests.central.test_claims import claim, half, points, settle, sold
from tests.central.test_quarantine import decided, key_of, off, replay, state, violations, waiting, wish_for
from tests.central.test_return_voids import back
from tests.central.tills import BEN, TODAY, Centre, Till, told

WILD = 10**14  # more money than any event may move


def held(centre: Centre) -> int:
    return sum(row[0] for row in centre.rows(select(t.lot.c.points)))


def assert_books_hold(centre: Centre) -> None:
    assert centre.recompute().differs == 0
    assert violations(centre) == []


def sold_and_brought_back(centre: Centre, till: Till, anna: int | None) -> tuple[EventRef, Return, EventRef]:
    """The place of a sale of 100.00, and the return of a quarter of it with its place."""
    receipt = till.receipt("R1", 10_000, told(anna) if anna else None)
    of = till.append(receipt)
    return of, *back(till, "B1", of, receipt, 250)


def undone(till: Till, returned: Return, of: EventRef) -> ReturnVoid:
    return close_return_void(returned, of, till.place(), cashier="4")


def test_a_void_with_wrong_figures_is_put_right_by_one_and_posted_once_another_agrees(centre: Centre) -> None:
    anna, till = centre.member(), centre.till()
    of, returned, returned_at = sold_and_brought_back(centre, till, anna)
    right = undone(till, returned, returned_at)
    at = till.append(msgspec.structs.replace(right, net_minor=WILD))
    assert till.upload().flagged == ((3, "event.out_of_range"),)
    assert held(centre) == 75
    office = Office(centre)
    asked = office.ask(wish_for(at, right, note="the till was mended"))
    assert (asked.state, asked.points, held(centre)) == ("asked", 25, 75)
    office.approve(asked.correction_id, BEA)
    assert (held(centre), state(centre, at)[0], waiting(centre)) == (100, "quarantined", [])
    assert decided(centre) == [(f"{at.till_id}/1/3", "fixed", "bea")]
    with pytest.raises(AlreadyDecided):
        office.ask(wish_for(at, right))
    with pytest.raises(AlreadyDecided):
        off(centre, key_of(at))
    # What comes back afterwards still makes the whole.
    till.take_back("B2", of, till.receipt("R1", 10_000, told(anna)), 1_000)
    till.upload()
    assert (held(centre), centre.rows(select(t.debt))) == (0, [])
    moved = select(t.reversed_.c.net_minor).order_by(t.reversed_.c.by_till, t.reversed_.c.by_seq)
    assert sorted(row[0] for row in centre.rows(moved)) == [-2_500, 2_500, 10_000]
    assert_books_hold(centre)


@pytest.mark.parametrize("is_member", [True, False])
def test_a_void_follows_its_return_out_of_quarantine(centre: Centre, is_member: bool) -> None:
    till = centre.till()
    anna = centre.member() if is_member else None
    _, returned, _ = sold_and_brought_back(centre, till, anna)
    till.events.pop()
    till.head = msgspec.structs.replace(till.head, seq=1, hash=till.events[0].hash)
    returned_at = till.append(msgspec.structs.replace(returned, net_minor=WILD))
    right = undone(till, returned, returned_at)
    at = till.append(right)
    assert till.upload().flagged == ((2, "event.out_of_range"), (3, "void_of_nothing"))
    with pytest.raises(NotReadable):
        replay(centre, key_of(at))
    office = Office(centre)
    with pytest.raises(NotThere, match="post that first"):
        office.ask(wish_for(at, right))
    office.done(wish_for(returned_at, returned))
    assert held(centre) == (75 if is_member else 0)
    # The void names the event that the till wrote, and finds what people posted instead.
    assert replay(centre, key_of(at)).posted == 1
    assert (held(centre), state(centre, at)[0], waiting(centre)) == (100 if is_member else 0, "posted", [])
    assert centre.rows(select(t.reversed_.c.net_minor).where(t.reversed_.c.by_seq == 3)) == [(-2_500,)]
    assert_books_hold(centre)


def test_a_void_that_differs_from_the_return_that_people_posted_is_a_finding(centre: Centre) -> None:
    anna, till = centre.member(), centre.till()
    receipt = till.receipt("R1", 10_000, told(anna))
    of = till.append(receipt)
    right, _ = back(till, "B1", of, receipt, 250)
    till.events.pop()
    till.head = msgspec.structs.replace(till.head, seq=1, hash=till.events[0].hash)
    wrong = msgspec.structs.replace(
        right, reversed=(Earned(issuer_id="acme", valid_through=TODAY, points=10**12),) * 11
    )
    returned_at = till.append(wrong)
    at = till.append(msgspec.structs.replace(undone(till, right, returned_at), net_minor=2_400))
    till.upload()
    Office(centre).done(wish_for(returned_at, right))
    replay(centre, key_of(at))
    assert centre.recompute().differs == 1
    told_of = centre.figures("decision_differs")
    assert (told_of["till_net_minor"], told_of["centre_net_minor"]) == (2_400, 2_500)
    assert (held(centre), violations(centre)) == (100, [])


def test_both_are_put_right_though_another_return_has_the_place_of_the_first(centre: Centre) -> None:
    # A copy of the till took other goods back under the same numbers; what it sent is kept aside.
    anna, till = centre.member(), centre.till()
    receipt = till.receipt("R1", 10_000, told(anna))
    of = till.append(receipt)
    till.upload()
    at_fork = till.head
    back(till, "B1", of, receipt, 500)
    till.upload()
    till.head, till.events, till.sent = at_fork, till.events[:1], 1
    other, other_at = back(till, "B2", of, receipt, 250)
    void = undone(till, other, other_at)
    till.append(void)
    assert till.send(till.batch()).code == "sync.fork"  # type: ignore[union-attr]
    assert held(centre) == 50
    (upload,) = waiting(centre)
    office = Office(centre)
    kept = {"sha256": upload.name, "reason": "till_stopped"}
    void_at = msgspec.structs.replace(other_at, seq=3)
    with pytest.raises(NotThere):
        office.ask(wish_for(void_at, void, **kept))
    office.done(wish_for(other_at, other, **kept))
    assert held(centre) == 25
    office.done(wish_for(void_at, void, **kept))
    assert (held(centre), waiting(centre)) == (50, [])
    assert_books_hold(centre)


def test_a_void_whose_return_went_to_another_account_is_booked_there(centre: Centre) -> None:
    anna, ben, till = centre.member(), centre.member(BEN), centre.till()
    till.sell("R1", 10_000, told(ben))
    goods = Return(receipt_id="B1", place=till.place(), account_id=anna, net_minor=1_000,
                   reversed=(Earned(issuer_id="acme", valid_through=msgspec.convert("9999-12-31", type(TODAY)),
                                    points=10),))  # fmt: skip
    wild = msgspec.structs.replace(goods, net_minor=WILD)
    returned_at = till.append(wild)
    at = till.append(undone(till, goods, returned_at))
    till.upload()
    Office(centre).done(wish_for(returned_at, msgspec.structs.replace(goods, account_id=ben), reason="wrong_account"))
    by_account = select(t.lot.c.account_id, t.lot.c.points).where(t.lot.c.points > 0)
    assert centre.rows(by_account) == [(ben, 90)]
    replay(centre, key_of(at))
    assert (centre.rows(by_account), centre.rows(select(t.debt))) == ([(ben, 100)], [])
    assert violations(centre) == []


def test_a_claim_of_the_receipt_is_looked_at_again_with_each(centre: Centre) -> None:
    anna, till = centre.member(), centre.till()
    ref, receipt = sold(till, "R-1", 1_000)
    claim(till, "L-1", "R-1", of_till=till.head.till_id)
    till.upload()
    settle(centre)
    assert points(centre, anna) == 10
    returned = till.returned("B1", ref, receipt, half())
    returned_at = till.append(msgspec.structs.replace(returned, net_minor=WILD))
    at = till.append(msgspec.structs.replace(undone(till, returned, returned_at), net_minor=WILD))
    till.upload()
    office = Office(centre)
    office.done(wish_for(returned_at, returned))
    assert (settle(centre), points(centre, anna)) == (1, 5)
    office.done(wish_for(at, undone(till, returned, returned_at)))
    assert (settle(centre), points(centre, anna)) == (1, 10)
    assert violations(centre) == []


@pytest.mark.parametrize(("name", "trouble"), [("B1", BadWish), ("void:B2", NotThere), ("void:", NotThere)])
def test_a_void_has_the_id_of_its_return(centre: Centre, name: str, trouble: type[Exception]) -> None:
    anna, till = centre.member(), centre.till()
    _, returned, returned_at = sold_and_brought_back(centre, till, anna)
    right = undone(till, returned, returned_at)
    at = till.append(msgspec.structs.replace(right, net_minor=WILD))
    till.upload()
    with pytest.raises(trouble):
        Office(centre).ask(wish_for(at, msgspec.structs.replace(right, receipt_id=name)))
    assert held(centre) == 75


def test_a_return_is_undone_by_the_till_that_made_it(centre: Centre) -> None:
    anna, till, other = centre.member(), centre.till(), centre.till()
    _, returned, returned_at = sold_and_brought_back(centre, till, anna)
    till.upload()
    foreign = undone(other, returned, returned_at)
    at = other.append(msgspec.structs.replace(foreign, net_minor=WILD))
    other.upload()
    with pytest.raises(BadWish, match="by the till that took the goods back"):
        Office(centre).ask(wish_for(at, foreign))
    assert held(centre) == 75


def test_a_return_that_another_till_undid_is_not_undone_again(centre: Centre) -> None:
    anna, till, other = centre.member(), centre.till(), centre.till()
    _, returned, returned_at = sold_and_brought_back(centre, till, anna)
    right = undone(till, returned, returned_at)
    at = till.append(msgspec.structs.replace(right, net_minor=WILD))
    till.upload()
    other.append(undone(other, returned, returned_at))
    other.upload()
    assert held(centre) == 100
    with pytest.raises(BadWish, match="voided already"):
        Office(centre).ask(wish_for(at, right))
    off(centre, key_of(at), "undone at the other lane")
    assert (held(centre), violations(centre)) == (100, [])


def test_verify_folds_what_people_posted_and_sees_where_the_books_say_otherwise(centre: Centre) -> None:
    anna, till = centre.member(), centre.till()
    _, returned, returned_at = sold_and_brought_back(centre, till, anna)
    right = undone(till, returned, returned_at)
    at = till.append(msgspec.structs.replace(right, net_minor=WILD))
    till.upload()
    Office(centre).done(wish_for(at, right))
    with writing(centre.engine) as tx:
        tx.execute(t.lot.update().values(points=75))
    assert "lot.folded" in {code for code, _ in violations(centre)}
