"""What corrections may move within a day and a month: by asker, account and approver, and alone."""

from collections.abc import Iterator

import msgspec
import pytest
from sqlalchemy import select

from central.corrections.correction_limits import Limits, OverTime, TooManyOverTime, TooManyPoints, limits_of
from central.database import tables as t
from central.ports import Settings
from tests.central.office import ANA, BEA, FINN, LIMITS, Office, give, merge, take, transfer
from tests.central.test_corrections_at_once import all_at_once
from tests.central.tills import BEN, DAY, Centre


def limited(**facts: tuple[int, int]) -> Limits:
    """The usual limits of the tests, with some day and month sums."""
    told = {name: OverTime(day_points=day, month_points=month) for name, (day, month) in facts.items()}
    return msgspec.structs.replace(LIMITS, **told)


@pytest.fixture
def anna(centre: Centre) -> int:
    return centre.member()


@pytest.fixture
def ben(centre: Centre) -> int:
    return centre.member(BEN)


def states(office: Office) -> list[tuple[str, int]]:
    chosen = select(t.correction.c.state, t.correction.c.points)
    return office.rows(chosen.order_by(t.correction.c.asked_at_ms, t.correction.c.correction_id))  # type: ignore[return-value]


def test_what_one_person_asks_for_within_a_day_is_one_sum(centre: Centre, anna: int, ben: int) -> None:
    office = Office(centre, limited(asker=(500, 10_000)))
    office.ask(give(anna, 90))
    office.ask(give(ben, 400))  # waits, and counts
    with pytest.raises(TooManyOverTime) as refused:
        office.ask(take(anna, 11))
    assert refused.value.figures == {"limit": 500, "so_far": 490, "points": 11}
    assert refused.value.say == (
        "Corrections that ana asks for may move 500 points within 24 hours; 490 are done or wait already, and this one"
        " moves 11. Ask for at most 10, wait until older ones are 24 hours old, have some that wait refused, or have"
        " `correct_asker_day_points` raised in the settings of head office."
    )
    assert office.ask(take(anna, 10)).state == "done"
    assert office.ask(give(anna, 100), BEA).state == "done"  # another person has a sum of their own
    assert states(office) == [("done", 90), ("asked", 400), ("done", 10), ("done", 100)]


def test_a_day_is_the_last_24_hours_and_not_a_date(centre: Centre, anna: int) -> None:
    office = Office(centre, limited(asker=(100, 10_000)))
    office.ask(give(anna, 100))
    centre.now += DAY - 1
    with pytest.raises(TooManyOverTime):
        office.ask(give(anna, 1))
    centre.now += 1
    assert office.ask(give(anna, 100)).state == "done"


def test_a_month_is_the_last_30_days(centre: Centre, anna: int) -> None:
    office = Office(centre, limited(asker=(100, 250)))
    for _ in range(2):
        office.ask(give(anna, 100))
        centre.now += DAY
    with pytest.raises(TooManyOverTime) as refused:
        office.ask(give(anna, 51))
    assert "250 points within 30 days; 200 are done" in refused.value.say
    assert "`correct_asker_month_points`" in refused.value.say
    centre.now += 28 * DAY  # the first one is 30 days old
    assert office.ask(give(anna, 100)).state == "done"


def test_what_waits_counts_however_old_it_is_and_no_longer_once_it_is_refused(centre: Centre, anna: int) -> None:
    office = Office(centre, limited(asker=(500, 500)))
    waiting = office.ask(give(anna, 450))
    centre.now += 40 * DAY
    with pytest.raises(TooManyOverTime):
        office.ask(give(anna, 60))
    office.refuse(waiting.correction_id)
    assert office.ask(give(anna, 60)).state == "done"


def test_an_account_has_a_sum_whoever_asks_and_on_whichever_side_it_stands(centre: Centre, anna: int, ben: int) -> None:
    office = Office(centre, limited(account=(150, 10_000)))
    office.ask(give(anna, 100))
    office.ask(transfer(anna, ben, 40), BEA)
    with pytest.raises(TooManyOverTime) as refused:
        office.ask(give(anna, 11), BEA)
    assert f"Corrections of account {anna} may move 150 points" in refused.value.say
    with pytest.raises(TooManyOverTime) as refused:
        office.ask(give(ben, 111))
    assert refused.value.figures["so_far"] == 40
    assert office.ask(give(ben, 100)).state == "done"


def test_what_one_person_approves_is_one_sum_and_what_is_beyond_goes_on_waiting(centre: Centre, anna: int) -> None:
    office = Office(centre, limited(approver=(600, 10_000)))
    for name in ("one", "two"):
        office.ask(give(anna, 400), correction_id=name)
    office.ask(give(anna, 100), BEA)  # done alone, approves nothing
    office.approve("one")
    with pytest.raises(TooManyOverTime) as refused:
        office.approve("two")
    assert "Corrections that bea approves may move 600 points within 24 hours; 400 are done" in refused.value.say
    assert sorted(states(office)) == [("asked", 400), ("done", 100), ("done", 400)]
    centre.now += DAY
    assert office.approve("two").state == "done"


def test_what_one_person_does_alone_is_one_sum_and_beyond_it_a_second_person_is_needed(
    centre: Centre, anna: int
) -> None:
    office = Office(centre, limited(alone=(150, 200)))
    told = []
    for points in (100, 51, 50):
        told.append(office.ask(give(anna, points)).state)
    assert told == ["done", "asked", "done"]
    centre.now += DAY
    assert [office.ask(give(anna, points)).state for points in (51, 50, 1)] == ["asked", "done", "asked"]


def test_an_account_that_got_more_while_its_merge_waited_is_measured_by_what_moves_then(
    centre: Centre, anna: int, ben: int
) -> None:
    office = Office(centre, LIMITS)
    office.done(give(anna, 200))
    office.ask(merge(anna, ben), correction_id="late")
    office.done(give(anna, 900))
    with pytest.raises(TooManyPoints) as refused:
        office.approve("late")
    assert refused.value.figures == {"points": 1_100, "most": 1_000}
    office.ask(take(anna, 100))
    assert office.approve("late").points == 1_000
    assert office.held(ben) == [("2026-12-31", "acme", 1_000, 0)]
    assert office.adds_up()


def test_people_of_partners_have_sums_as_well(centre: Centre, anna: int) -> None:
    office = Office(centre, limited(asker=(80, 10_000)))
    office.ask(give(anna, 50, "bolt"), FINN)
    with pytest.raises(TooManyOverTime):
        office.ask(give(anna, 31, "bolt"), FINN)


def test_a_retry_is_told_the_same_though_nothing_more_has_room(centre: Centre, anna: int) -> None:
    office = Office(centre, limited(asker=(100, 100)))
    first = office.ask(give(anna, 100), correction_id="one")
    assert office.ask(give(anna, 100), correction_id="one") == first


def test_the_settings_give_the_limits() -> None:
    made = limits_of(Settings(correct_asker_day_points=7, correct_approver_month_points=9))
    assert (made.asker.day_points, made.approver.month_points) == (7, 9)
    assert made.alone == OverTime(day_points=2_500, month_points=25_000)
    assert made.account == OverTime(day_points=50_000, month_points=100_000)


# At the same moment, on the engine where several may write


@pytest.fixture
def on_postgresql(lent_postgres: str) -> Iterator[Centre]:
    made = Centre(lent_postgres)
    yield made
    made.engine.dispose()


@pytest.mark.postgresql
def test_two_who_ask_at_once_do_not_both_find_room(on_postgresql: Centre) -> None:
    centre = on_postgresql
    anna = centre.member()
    office = Office(centre, limited(account=(150, 150)))
    results = all_at_once(
        office, anna, lambda: office.ask(give(anna, 90), correction_id="one"),
        lambda: office.ask(give(anna, 90), BEA, "two"),
    )  # fmt: skip
    assert [one for one in results if one is TooManyOverTime] == [TooManyOverTime]
    assert office.held(anna) == [("2026-12-31", "acme", 90, 0)]
    assert office.adds_up()


@pytest.mark.postgresql
def test_one_who_approves_two_at_once_does_not_go_beyond_the_sum(on_postgresql: Centre) -> None:
    centre = on_postgresql
    anna = centre.member()
    office = Office(centre, limited(approver=(500, 500)))
    for name in ("one", "two"):
        office.ask(give(anna, 400), correction_id=name)
    results = all_at_once(office, anna, lambda: office.approve("one"), lambda: office.approve("two"))
    assert [one for one in results if one is TooManyOverTime] == [TooManyOverTime]
    assert office.held(anna) == [("2026-12-31", "acme", 400, 0)]
    assert office.adds_up()


@pytest.mark.postgresql
def test_two_that_are_done_alone_at_once_are_one_sum(on_postgresql: Centre) -> None:
    centre = on_postgresql
    anna = centre.member()
    office = Office(centre, limited(alone=(150, 150)))
    all_at_once(
        office, anna, lambda: office.ask(give(anna, 90), ANA, "one"), lambda: office.ask(give(anna, 90), ANA, "two")
    )
    assert sorted(states(office)) == [("asked", 90), ("done", 90)]
    assert office.held(anna) == [("2026-12-31", "acme", 90, 0)]
