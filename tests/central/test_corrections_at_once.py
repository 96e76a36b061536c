"""Corrections and tills at the same moment, on the engine where several may write."""

from collections.abc import Callable, Iterator
from functools import partial

import msgspec
import pytest
from sqlalchemy import select, update

from central.coalition.streams import resume_stream, stop_stream
from central.corrections.corrections import NotOpen
from central.corrections.expiry import due_on, expire
from central.corrections.wishes import FixWish, NotThere
from central.database import tables as t
from central.intake.reinstated import reinstate_stream, replay_reinstated
from central.intake.replaying import Replayed, replay_all
from central.ports import writing
from loyalty.trouble import Refusal
from sync.wire import Problem
from tests.central.office import ANA, BEA, Office, give, merge, take, transfer
from tests.central.test_at_once import AtOnce
from tests.central.test_reinstating import refused, revoke
from tests.central.tills import BEN, DAY, TODAY, Centre, told

pytestmark = pytest.mark.postgresql


@pytest.fixture
def office(lent_postgres: str) -> Iterator[Office]:
    made = Centre(lent_postgres)
    yield Office(made)
    made.engine.dispose()


def all_at_once(office: Office, locked: int, *calls: Callable[[], object]) -> list[object]:
    """Run calls that all wait for an account; what each returned, or the refusal it met."""

    def answered(call: Callable[[], object]) -> object:
        try:
            return call()
        except Refusal as refusal:
            return type(refusal)

    at_once = AtOnce(office.centre, *(partial(answered, call) for call in calls))
    with writing(office.centre.engine) as tx:
        tx.execute(update(t.account).where(t.account.c.account_id == locked).values(status="registered"))
        at_once.wait_for_locks()
    at_once.join()
    assert len(at_once.results) == len(calls)
    return at_once.results


def test_a_sale_that_comes_while_its_account_is_merged_is_booked_where_it_lives_on(office: Office) -> None:
    anna, ben = office.centre.member(), office.centre.member(BEN)
    till = office.centre.till()
    bought = till.receipt("R1", 4_000, told(anna))
    sold = till.append(bought)
    till.upload()
    till.sell("R2", 700, told(anna, 1, 40))
    till.take_back("B1", sold, bought, 500)
    all_at_once(office, anna, lambda: office.ask(merge(anna, ben)), till.upload)
    assert office.account(anna)[1:] == ("closed", ben)
    assert [points for _, _, points, _ in office.held(ben)] == [27]
    assert office.adds_up()


def test_points_are_taken_once_by_two_who_take_them_at_once(office: Office) -> None:
    anna = office.centre.member()
    office.ask(give(anna, 100))
    results = all_at_once(
        office, anna, lambda: office.ask(take(anna, 60), correction_id="one"),
        lambda: office.ask(take(anna, 60), BEA, "two"),
    )  # fmt: skip
    assert NotThere in results
    assert office.held(anna) == [("2026-12-31", "acme", 40, 0)]
    assert office.adds_up()


def test_a_correction_is_approved_once_by_two_who_do_it_at_once(office: Office) -> None:
    anna = office.centre.member()
    office.ask(give(anna, 400), correction_id="one")
    with writing(office.centre.engine) as tx:
        tx.execute(update(t.correction).values(asked_by="carl"))
    results = all_at_once(
        office, anna, lambda: office.approve("one"), lambda: office.approve("one", ANA),
    )  # fmt: skip
    assert NotOpen in results
    assert office.held(anna) == [("2026-12-31", "acme", 400, 0)]
    assert office.adds_up()


def test_transfers_in_both_directions_at_once_do_not_wait_for_each_other_for_ever(office: Office) -> None:
    anna, ben = office.centre.member(), office.centre.member(BEN)
    office.ask(give(anna, 50))
    office.ask(give(ben, 30))
    all_at_once(
        office, min(anna, ben), lambda: office.ask(transfer(anna, ben, 50), correction_id="one"),
        lambda: office.ask(transfer(ben, anna, 30), correction_id="two"),
    )  # fmt: skip
    held = [office.held(anna)[0][2], office.held(ben)[0][2]]
    assert held == [30, 50]
    assert office.adds_up()


@pytest.mark.parametrize(
    ("fixed_as", "fix_first"), [("R1", False), ("R1b", False), ("R1b", True)], ids=["second", "renamed", "first"]
)
def test_an_event_that_one_fixes_while_another_replays_its_upload_is_booked_once(
    office: Office, fixed_as: str, fix_first: bool
) -> None:
    anna, till = office.centre.member(), office.centre.till()
    revoke(office.centre, till.head.till_id)
    sold = till.receipt("R1", 4_000, told(anna))
    till.append(sold)
    till.sell("R2", 1_000, told(anna))
    refused(till, 1, 2)
    (upload,) = office.rows(select(t.quarantine.c.sha256))
    fact = msgspec.structs.replace(sold, receipt_id=fixed_as)
    key = {"till_id": till.head.till_id, "epoch": 1, "seq": 1, "sha256": upload[0]}
    asked = office.ask(FixWish(**key, fact=fact, reason="till_stopped"))
    with writing(office.centre.engine) as tx:
        assert reinstate_stream(tx, till.head.till_id, 1)
    both: list[Callable[[], object]] = [
        lambda: replay_reinstated(office.centre.engine, office.centre.now, office.centre.random, "chore"),
        lambda: office.approve(asked.correction_id),
    ]
    all_at_once(office, anna, *(reversed(both) if fix_first else both))
    assert [points for _, _, points, _ in office.held(anna)] == [50]
    assert office.adds_up()


def test_an_upload_that_its_till_brings_again_while_it_is_replayed_is_booked_once(office: Office) -> None:
    anna, till = office.centre.member(), office.centre.till()
    with writing(office.centre.engine) as tx:
        stop_stream(tx, till.head.till_id, 1, "sync.rewind")
    till.sell("R1", 4_000, told(anna))
    assert isinstance(till.send(till.batch()), Problem)
    with writing(office.centre.engine) as tx:
        resume_stream(tx, till.head.till_id, 1)
    engine, now, random = office.centre.engine, office.centre.now, office.centre.random
    results = all_at_once(office, anna, till.upload, lambda: replay_all(engine, now, random, "ana"))
    assert Replayed(looked_at=1, posted=0) in results
    assert [points for _, _, points, _ in office.held(anna)] == [40]
    assert office.rows(select(t.quarantine_outcome.c.outcome)) == [("replayed",)]
    assert office.adds_up()


def test_a_spend_that_comes_while_its_points_lapse_is_paid_either_way(office: Office) -> None:
    anna, till = office.centre.member(), office.centre.till()
    till.hello()
    office.ask(give(anna, 30, through=TODAY))
    till.sell("R1", 100, told(anna, 1, 30), spend=20)
    office.centre.now += DAY
    now = office.centre.now
    all_at_once(
        office, anna, lambda: expire(office.centre.engine, due_on(now), now, office.centre.random), till.upload
    )
    assert office.held(anna) == [("2026-03-02", "acme", 0, 10)]
    assert office.rows(select(t.debt)) == []
    assert office.adds_up()
