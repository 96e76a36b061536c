"""The nightly run: when it starts, what it takes, and that it can be broken off, run again and run late."""

from datetime import date

import msgspec
import pytest
from sqlalchemy import select

import central.corrections.expiry
from central.coalition.programmes import publish
from central.corrections.expiry import NightlyRun, TooEarly, due_on, expire
from central.database import tables as t
from central.ports import writing
from central.upkeep.chores import Chore, drain
from tests.central.office import Office, give, take
from tests.central.test_leasing import ONLINE, back, under_rules
from tests.central.tills import ANNA, BEN, DAY, MINUTE, NOW, PROGRAMME, TODAY, Centre, CentreClock, told, under

HOUR = 60 * MINUTE
FIRST, SECOND = date(2026, 3, 1), date(2026, 3, 2)
CARDS = [ANNA, BEN, "2900000000032", "2900000000049", "2900000000056"]


@pytest.fixture
def office(centre: Centre) -> Office:
    return Office(centre)


def run(office: Office, on: date) -> tuple[int, int]:
    done = expire(office.centre.engine, on, office.centre.now, office.centre.random)
    return done.accounts, done.points


def test_the_run_of_a_day_starts_at_noon_utc_when_the_day_before_is_over_everywhere() -> None:
    assert due_on(NOW) == date(2026, 3, 2)  # noon
    assert due_on(NOW - 1) == date(2026, 3, 1)
    assert due_on(NOW + 12 * HOUR) == date(2026, 3, 2)


def test_a_run_that_is_not_due_is_refused_with_the_day_that_is(office: Office) -> None:
    with pytest.raises(TooEarly) as refused:
        run(office, date(2026, 3, 3))
    assert "2026-03-02" in refused.value.say


def test_lots_whose_last_day_is_over_lapse_and_run_twice_nothing_more_does(office: Office) -> None:
    anna, ben = office.centre.member(), office.centre.member(BEN)
    office.ask(give(anna, 30, through=TODAY))
    office.ask(give(anna, 40))
    office.ask(give(ben, 50, through=TODAY))
    assert run(office, SECOND) == (0, 0)  # the day itself counts
    office.centre.now += DAY
    assert run(office, date(2026, 3, 3)) == (2, 80)
    assert office.held(anna) == [("2026-03-02", "acme", 0, 30), ("2026-12-31", "acme", 40, 0)]
    assert office.kinds(ben) == [(1, "adjustment.v1"), (2, "expiry.v1")]
    assert run(office, date(2026, 3, 3)) == (0, 0)
    assert office.kinds(ben) == [(1, "adjustment.v1"), (2, "expiry.v1")]
    assert office.adds_up()


def test_a_member_without_lapsed_points_gets_no_event(office: Office) -> None:
    anna = office.centre.member()
    office.ask(give(anna, 30))
    office.centre.now += DAY
    run(office, date(2026, 3, 3))
    assert office.kinds(anna) == [(1, "adjustment.v1")]


def test_points_lapse_a_day_earlier_where_the_programme_says_so(office: Office) -> None:
    anna = office.centre.member()
    office.ask(give(anna, 30, through=date(2026, 3, 3)))
    with writing(office.centre.engine) as tx:
        early = {**PROGRAMME, "options": {"expiry": "start_of_day"}}
        publish(tx, msgspec.json.encode(early), office.centre.now)
    assert run(office, SECOND) == (0, 0)
    office.centre.now += DAY
    assert run(office, date(2026, 3, 3)) == (1, 30)
    assert office.adds_up()


def test_what_was_spent_in_time_and_comes_late_takes_back_what_lapsed(office: Office) -> None:
    anna, till = office.centre.member(), office.centre.till()
    till.hello()
    office.ask(give(anna, 30, through=TODAY))
    till.sell("R1", 100, told(anna, 1, 30), spend=20)
    office.centre.now += DAY
    assert run(office, date(2026, 3, 3)) == (1, 30)
    till.upload()
    assert office.held(anna) == [("2026-03-02", "acme", 0, 10)]
    spent = select(t.posting.c.source, t.posting.c.amount).where(t.posting.c.target == "redeemed")
    assert office.rows(spent) == [("expired", 20)]
    assert office.centre.flags() == []
    assert office.adds_up()


def test_points_that_are_set_aside_at_a_till_lapse_once_they_are_back(office: Office) -> None:
    anna, till = office.centre.member(), office.centre.till()
    under_rules(office.centre, ONLINE, till)
    office.ask(give(anna, 30, through=TODAY))
    (grant,) = till.leases(till.ask("H1", anna, 10))
    office.centre.now += DAY
    assert run(office, date(2026, 3, 3)) == (1, 20)
    assert office.held(anna) == [("2026-03-02", "acme", 0, 20)]
    back(till, grant, 10)
    till.upload()
    assert office.held(anna) == [("2026-03-02", "acme", 10, 20)]
    office.centre.now += DAY
    assert run(office, date(2026, 3, 4)) == (1, 10)
    assert office.held(anna) == [("2026-03-02", "acme", 0, 30)]
    assert office.adds_up()


def test_points_that_were_set_aside_in_time_are_spent_although_their_lot_has_lapsed(office: Office) -> None:
    anna, till = office.centre.member(), office.centre.till()
    under_rules(office.centre, ONLINE, till)
    office.ask(give(anna, 30, through=TODAY))
    (grant,) = till.leases(till.ask("H1", anna, 30))
    till.sell("R1", 100, told(anna, 2, 30), spend=20, authority=under(grant))
    office.centre.now += DAY
    assert run(office, date(2026, 3, 3)) == (0, 0)
    till.upload()
    assert office.held(anna) == [("2026-03-02", "acme", 10, 0)]
    assert office.adds_up()


def test_what_comes_into_a_lapsed_lot_after_the_run_of_the_day_lapses_with_the_next(office: Office) -> None:
    anna, till = office.centre.member(), office.centre.till()
    office.ask(give(anna, 30, through=TODAY))
    office.centre.now += DAY
    assert run(office, date(2026, 3, 3)) == (1, 30)
    with writing(office.centre.engine) as tx:
        tx.execute(t.lot.update().values(points=5))  # as a return that gives spent points back does
    assert run(office, date(2026, 3, 3)) == (0, 0)
    office.centre.now += DAY
    assert run(office, date(2026, 3, 4)) == (1, 5)
    assert till.head.seq == 0


def test_a_run_that_was_broken_off_goes_on_where_it_was(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(central.corrections.expiry, "AT_ONCE", 2)
    members = [office.centre.member(card) for card in CARDS]
    for one in members:
        office.ask(give(one, 10, through=TODAY))
    office.centre.now += DAY
    centre = office.centre
    steps = central.corrections.expiry._steps(centre.engine, date(2026, 3, 3), centre.now, centre.random)
    assert next(steps).accounts == 2
    steps.close()
    assert run(office, date(2026, 3, 3)) == (3, 30)
    assert [office.kinds(one)[-1] for one in members] == [(2, "expiry.v1")] * 5
    assert office.adds_up()


def test_the_chore_runs_once_a_day_after_noon(office: Office) -> None:
    anna, clock = office.centre.member(), CentreClock(office.centre)
    nightly = NightlyRun(office.centre.engine, clock, office.centre.random)
    chore = Chore(name="expiry", every_s=300, do=nightly.step)
    office.ask(give(anna, 30, through=TODAY))
    drain(chore, clock)
    office.centre.now += DAY - MINUTE
    drain(chore, clock)
    assert office.held(anna) == [("2026-03-02", "acme", 30, 0)]
    office.centre.now += MINUTE
    drain(chore, clock)
    assert office.held(anna) == [("2026-03-02", "acme", 0, 30)]
    assert drain(chore, clock) == 0


def test_a_chore_that_failed_begins_its_run_anew(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    anna, clock = office.centre.member(), CentreClock(office.centre)
    office.ask(give(anna, 30, through=TODAY))
    office.centre.now += DAY
    nightly = NightlyRun(office.centre.engine, clock, office.centre.random)
    with monkeypatch.context() as broken:
        broken.setattr(central.corrections.expiry, "_expiry", lambda tx: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            nightly.step()
    assert nightly.step() == anna
    assert office.held(anna) == [("2026-03-02", "acme", 0, 30)]


def test_lapsed_points_are_settled_in_the_period_in_which_the_run_was_made(office: Office) -> None:
    anna = office.centre.member()
    office.ask(give(anna, 30, through=TODAY))
    office.centre.now += DAY
    run(office, date(2026, 3, 3))
    booked = select(t.posting.c.period_no, t.posting.c.source, t.posting.c.target)
    assert office.rows(booked.where(t.posting.c.target == "expired")) == [(1, "available", "expired")]
    ask = office.ask(give(anna, 10))
    assert ask.state == "done"
    office.ask(take(anna, 10))
    assert office.adds_up()
