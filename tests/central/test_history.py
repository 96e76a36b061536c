"""The history of a member: every point explained, and what was held at a date or version."""

from datetime import date

import pytest

from central.console.history import Entry, History, history_of
from central.corrections.expiry import due_on, expire
from central.members.members import UnknownAccount
from central.ports import reading
from central.posting.balances import balance_at_date, balance_at_version
from tests.central.office import Office, give, merge
from tests.central.tills import BEN, DAY, TODAY, Centre, told

TOMORROW = date(2026, 3, 3)


@pytest.fixture
def office(centre: Centre) -> Office:
    return Office(centre)


def history(office: Office, account_id: int, most: int = 500) -> History:
    with reading(office.centre.engine) as tx:
        return history_of(tx, account_id, most)


def steps(told_of: History) -> list[tuple[int, str, int, int]]:
    return [(one.version, one.kind, one.step, one.balance) for one in reversed(told_of.entries)]


def moves(entry: Entry) -> list[str]:
    return [f"{one.points} {one.source} {one.target} {one.for_event}".strip() for one in entry.movements]


def test_every_event_says_what_it_did_and_the_balance_runs_along(office: Office) -> None:
    anna, till = office.centre.member(), office.centre.till()
    till.hello()
    bought = till.receipt("R1", 4_000, told(anna))
    sold = till.append(bought)
    till.sell("R2", 200, told(anna, 1, 40), spend=30)
    till.take_back("B1", sold, bought, 500)
    till.upload()
    office.done(give(anna, 150, through=TODAY, note="a birthday that was missed"))
    office.centre.now += DAY
    expire(office.centre.engine, due_on(office.centre.now), office.centre.now, office.centre.random)
    told_of = history(office, anna)
    # Of R2's two euros 1.70 were paid in money: a point. Half of the 40 came back, of which 11 were there.
    assert steps(told_of) == [
        (1, "receipt.v1", 40, 40),
        (2, "receipt.v1", -29, 11),
        (3, "return.v1", -11, 0),
        (4, "adjustment.v1", 141, 141),
        (5, "expiry.v1", -141, 0),
    ]
    given, first = told_of.entries[1], told_of.entries[-1]
    assert first.promotions == (("base", 40),)
    assert (first.store_id, first.receipt_id, first.net_minor) == ("S1", "R1", 4_000)
    assert (given.reason, given.asked_by, given.approved_by) == ("goodwill", "ana", "bea")
    assert given.note == "a birthday that was missed"
    assert moves(given) == ["150 issued available", "9 available reversed B1"]
    assert (told_of.balance, told_of.debt_points, told_of.cards, told_of.version) == (0, 0, 1, 5)


def test_a_merge_leads_from_one_account_to_the_other(office: Office) -> None:
    anna, ben = office.centre.member(), office.centre.member(BEN)
    office.ask(give(anna, 60))
    office.ask(merge(anna, ben))
    gone, came = history(office, anna), history(office, ben)
    assert (gone.status, gone.merged_into, gone.balance) == ("closed", ben, 0)
    assert (gone.entries[0].other_id, came.entries[0].other_id) == (ben, anna)
    assert (came.came_from, came.cards, came.balance) == ((anna,), 2, 60)


def test_of_a_long_history_the_newest_are_shown_with_their_true_balance(office: Office) -> None:
    anna = office.centre.member()
    for points in (10, 20, 30):
        office.ask(give(anna, points))
    told_of = history(office, anna, 2)
    assert (steps(told_of), told_of.left_out) == ([(2, "adjustment.v1", 20, 30), (3, "adjustment.v1", 30, 60)], 1)


def test_an_unknown_account_is_refused(office: Office) -> None:
    with pytest.raises(UnknownAccount):
        history(office, 7)


def test_an_account_without_events_has_an_empty_history(office: Office) -> None:
    assert history(office, office.centre.member()).entries == ()


def test_the_balance_at_a_date_counts_what_happened_by_then_also_what_came_late(office: Office) -> None:
    anna, till = office.centre.member(), office.centre.till()
    office.ask(give(anna, 60, through=TODAY))
    office.centre.now += DAY
    office.ask(give(anna, 5))
    till.sell("R1", 1_000, told(anna), on=TODAY)
    till.upload()
    with reading(office.centre.engine) as tx:
        before = balance_at_date(tx, anna, date(2026, 3, 1))
        then, later = balance_at_date(tx, anna, TODAY), balance_at_date(tx, anna, TOMORROW)
    assert (before.points, before.version, before.lots) == (0, 0, ())
    assert (then.points, then.live_points) == (70, 70)
    # The 60 have lapsed and the run has not come to them yet.
    assert (later.points, later.live_points) == (75, 15)


def test_the_balance_at_a_version_is_what_a_till_was_told(office: Office) -> None:
    anna = office.centre.member()
    for points in (10, 20, 30):
        office.ask(give(anna, points))
    with reading(office.centre.engine) as tx:
        held = [balance_at_version(tx, anna, version) for version in (0, 1, 2, 3)]
    assert [one.points for one in held] == [0, 10, 30, 60]
    assert [(str(one.key.valid_through), one.points) for one in held[2].lots] == [("2026-12-31", 30)]
