"""A partner leaves, a programme ends: what becomes of points that members still hold."""

from datetime import date

import pytest
from sqlalchemy import select

from central.corrections.corrections import MayNotCorrect, OwnWish
from central.corrections.ending import DayIsOver, UnknownPartner, last_days, outstanding, redate, set_last_day
from central.corrections.expiry import due_on, expire
from central.corrections.wishes import BadWish, EndingWish
from central.database import tables as t
from central.ports import reading, writing
from central.settlement.annex import annex_csv
from central.settlement.closing import close_period
from central.verify.books import verify_books
from tests.central.office import ANA, FINN, Office, give, merge
from tests.central.tills import BEN, DAY, TODAY, Centre, told

SPRING, SUMMER = date(2026, 3, 31), date(2026, 6, 30)


@pytest.fixture
def office(centre: Centre) -> Office:
    return Office(centre)


def end(office: Office, through: date, issuer_id: str = "*") -> None:
    with writing(office.centre.engine) as tx:
        set_last_day(tx, through, office.centre.now, issuer_id)
    for _ in redate(office.centre.engine, TODAY, office.centre.now, office.centre.random):
        pass


def run(office: Office) -> int:
    on = due_on(office.centre.now)
    return expire(office.centre.engine, on, office.centre.now, office.centre.random).points


# A partner leaves


def test_points_of_a_partner_that_left_stay_good_and_it_still_owes_for_each_that_is_redeemed(office: Office) -> None:
    anna, till = office.centre.member(), office.centre.till("S1")
    till.hello()
    office.ask(give(anna, 60, "bolt"))
    with reading(office.centre.engine) as tx:
        (lot,) = outstanding(tx, "bolt")
    # bolt-1 funds 9,000 micro a point and pays no advance.
    assert (lot.points, lot.accounts, lot.per_point_micro, lot.valid_through) == (60, 1, 9_000, date(2026, 12, 31))
    till.sell("R1", 100, told(anna, 1, 60), spend=50)
    till.upload()
    closed = close_period(office.centre.engine, period_no=1, through=SPRING, now_ms=office.centre.now)
    owed = {one.partner_id: one.amount_minor for one in closed.netting.positions}
    # 50 x 9,000 micro are 45 cents; acme gets 50 x 9,000 micro, its own price for a point, as well.
    assert owed == {"acme": -45, "bolt": 45}
    assert office.adds_up()


def test_the_annex_of_a_statement_names_no_account(office: Office) -> None:
    anna = office.centre.member()
    office.ask(give(anna, 60, "bolt", through=TODAY))
    office.ask(give(anna, 40, "bolt"))
    end(office, SPRING)
    office.centre.now += DAY
    run(office)
    with reading(office.centre.engine) as tx:
        annex = "".join(annex_csv(tx, 1, "bolt"))
    assert str(anna) not in annex
    named = sorted(line.split(",")[3] for line in annex.splitlines()[1:])
    assert named == ["adjustment.v1", "adjustment.v1", "expiry.v1", "move.v1", "move.v1"]


def test_the_final_statement_lists_what_members_hold_by_lot(office: Office) -> None:
    anna, ben = office.centre.member(), office.centre.member(BEN)
    office.ask(give(anna, 60, "bolt"))
    office.ask(give(ben, 40, "bolt"))
    office.ask(give(ben, 30, "bolt", through=SUMMER))
    office.ask(give(ben, 20, "acme"))
    with reading(office.centre.engine) as tx:
        found = [(str(one.valid_through), one.points, one.accounts) for one in outstanding(tx, "bolt")]
        assert found == [("2026-06-30", 30, 1), ("2026-12-31", 100, 2)]
        with pytest.raises(UnknownPartner):
            outstanding(tx, "nobody")


def test_a_last_day_for_one_partners_points_leaves_those_of_others(office: Office) -> None:
    anna = office.centre.member()
    office.ask(give(anna, 60, "bolt"))
    office.ask(give(anna, 20, "acme"))
    end(office, SPRING, "bolt")
    assert office.held(anna) == [("2026-03-31", "bolt", 60, 0), ("2026-12-31", "acme", 20, 0)]
    assert office.kinds(anna)[2:] == [(3, "move.v1"), (4, "move.v1")]
    assert office.adds_up()


# A programme ends


def test_no_points_are_good_beyond_the_last_day_and_the_usual_run_ends_them(office: Office) -> None:
    anna, ben = office.centre.member(), office.centre.member(BEN)
    office.ask(give(anna, 60))
    office.ask(give(anna, 20, through=SUMMER))
    office.ask(give(anna, 5, through=TODAY))
    office.ask(give(ben, 40, "bolt"))
    end(office, SPRING)
    assert office.held(anna) == [("2026-03-02", "acme", 5, 0), ("2026-03-31", "acme", 80, 0)]
    assert office.held(ben) == [("2026-03-31", "bolt", 40, 0)]
    assert run(office) == 0
    office.centre.now += 30 * DAY
    assert run(office) == 125
    assert office.held(anna) == [("2026-03-02", "acme", 0, 5), ("2026-03-31", "acme", 0, 80)]
    assert office.adds_up()


def test_setting_the_day_again_moves_nothing_twice(office: Office) -> None:
    anna = office.centre.member()
    office.ask(give(anna, 60))
    end(office, SPRING)
    end(office, SPRING)
    assert office.account(anna)[0] == 3


def test_points_that_come_beyond_the_day_later_are_brought_to_it_by_the_next_run(office: Office) -> None:
    anna, till = office.centre.member(), office.centre.till()
    end(office, SPRING)
    till.sell("R1", 1_000, told(anna))  # its programme lets them live for ever
    till.upload()
    assert office.held(anna) == [("9999-12-31", "acme", 10, 0)]
    office.centre.now += DAY
    run(office)
    assert office.held(anna) == [("2026-03-31", "acme", 10, 0)]
    assert office.adds_up()


def test_goods_that_come_back_take_their_points_from_the_lot_they_are_in_now(office: Office) -> None:
    anna, till = office.centre.member(), office.centre.till()
    bought = till.receipt("R1", 1_000, told(anna))
    sold = till.append(bought)
    till.upload()
    end(office, SPRING)
    till.take_back("B1", sold, bought, 1000)
    till.upload()
    assert (office.held(anna), office.rows(select(t.debt))) == ([], [])
    assert office.adds_up()


def lapse(office: Office) -> None:
    """The last day of March passes, and the run ends what was good through it."""
    office.centre.now += 30 * DAY
    run(office)


def test_goods_that_come_back_after_the_last_day_take_their_points_from_what_lapsed_with_it(office: Office) -> None:
    anna, till = office.centre.member(), office.centre.till()
    bought = till.receipt("R1", 1_000, told(anna))
    sold = till.append(bought)
    till.upload()
    end(office, SPRING)
    lapse(office)
    assert office.held(anna) == [("2026-03-31", "acme", 0, 10)]
    till.take_back("B1", sold, bought, 400)
    till.upload()
    assert office.held(anna) == [("2026-03-31", "acme", 0, 6)]
    till.take_back("B2", sold, bought, 600, earlier=400)
    till.upload()
    assert (office.held(anna), office.rows(select(t.debt))) == ([], [])
    assert office.adds_up()


def test_an_account_that_is_merged_still_knows_where_its_points_were_brought_to(office: Office) -> None:
    anna, ben, till = office.centre.member(), office.centre.member(BEN), office.centre.till()
    bought = till.receipt("R1", 1_000, told(anna))
    sold = till.append(bought)
    till.upload()
    end(office, SPRING)
    lapse(office)
    office.ask(merge(anna, ben))
    till.take_back("B1", sold, bought, 1000)
    till.upload()
    assert (office.held(ben), office.rows(select(t.debt))) == ([], [])
    assert office.adds_up()


def test_a_lot_that_was_merged_first_and_brought_to_its_last_day_then_is_found_too(office: Office) -> None:
    anna, ben, till = office.centre.member(), office.centre.member(BEN), office.centre.till()
    bought = till.receipt("R1", 1_000, told(anna))
    sold = till.append(bought)
    till.upload()
    office.ask(merge(anna, ben))
    end(office, SPRING)
    lapse(office)
    assert office.held(ben) == [("2026-03-31", "acme", 0, 10)]
    till.take_back("B1", sold, bought, 1000)
    till.upload()
    assert (office.held(ben), office.rows(select(t.debt))) == ([], [])
    assert office.adds_up()


def test_points_with_a_new_last_day_stay_as_old_as_the_oldest_of_them(office: Office) -> None:
    anna = office.centre.member()
    office.ask(give(anna, 60))
    office.centre.now += 5 * DAY
    office.ask(give(anna, 20, through=SUMMER))
    end(office, SPRING)
    kept = select(t.lot.c.points, t.lot.c.earned_on).where(t.lot.c.points > 0)
    assert office.rows(kept) == [(80, "2026-03-02")]
    assert office.adds_up()


def test_verification_names_a_lot_that_forgot_where_its_points_went(office: Office) -> None:
    anna = office.centre.member()
    office.ask(give(anna, 60))
    end(office, SPRING)
    with writing(office.centre.engine) as tx:
        tx.execute(t.lot.update().values(redated_to=""))
    (found,) = verify_books(office.centre.engine).violations
    assert (found.code, found.wanted, found.found) == ("lot.redated", "2026-03-31", "")


def test_the_earlier_of_two_days_holds(office: Office) -> None:
    anna = office.centre.member()
    office.ask(give(anna, 60, "bolt"))
    end(office, SUMMER)
    end(office, SPRING, "bolt")
    assert office.held(anna) == [("2026-03-31", "bolt", 60, 0)]


def test_a_day_that_is_over_or_an_unknown_partner_is_refused(office: Office) -> None:
    with pytest.raises(DayIsOver) as refused:
        end(office, TODAY)
    assert "after 2026-03-02" in refused.value.say
    with pytest.raises(UnknownPartner):
        end(office, SPRING, "nobody")


# Two people


PROGRAMME_ENDS = EndingWish(last_day=SPRING, reason="programme_ends")
BOLT_LEAVES = EndingWish(last_day=SPRING, reason="partner_leaves", issuer_id="bolt")


def days(office: Office) -> dict[str, date]:
    with reading(office.centre.engine) as tx:
        return last_days(tx)


@pytest.mark.parametrize(("wish", "whose"), [(PROGRAMME_ENDS, "*"), (BOLT_LEAVES, "bolt")])
def test_a_last_day_is_asked_by_one_and_set_by_the_approval_of_another(
    office: Office, wish: EndingWish, whose: str
) -> None:
    anna = office.centre.member()
    office.ask(give(anna, 60, "bolt"))
    asked = office.ask(wish)
    assert (asked.state, asked.points, days(office)) == ("asked", 60, {})
    with pytest.raises(OwnWish):
        office.approve(asked.correction_id, ANA)
    assert office.held(anna) == [("2026-12-31", "bolt", 60, 0)]
    office.approve(asked.correction_id)
    assert (office.held(anna), days(office)) == ([("2026-03-31", "bolt", 60, 0)], {whose: SPRING})
    noted = select(t.audit.c.user_id, t.audit.c.about).where(t.audit.c.action == "points.last_day")
    assert office.rows(noted) == [("2", whose)]
    assert office.adds_up()


def test_a_last_day_that_came_while_it_waited_cannot_be_approved_any_more(office: Office) -> None:
    asked = office.ask(PROGRAMME_ENDS)
    office.centre.now += 29 * DAY  # the last day itself
    with pytest.raises(DayIsOver):
        office.approve(asked.correction_id)
    assert days(office) == {}


def test_a_last_day_that_is_refused_is_not_set(office: Office) -> None:
    office.refuse(office.ask(PROGRAMME_ENDS).correction_id)
    assert days(office) == {}


def test_no_partner_asks_for_a_last_day_and_the_reason_fits_the_points(office: Office) -> None:
    with pytest.raises(MayNotCorrect):
        office.ask(BOLT_LEAVES, FINN)
    for wish in (EndingWish(last_day=SPRING, reason="partner_leaves"),
                 EndingWish(last_day=SPRING, reason="programme_ends", issuer_id="bolt")):  # fmt: skip
        with pytest.raises(BadWish):
            office.ask(wish)
    with pytest.raises(UnknownPartner):
        office.ask(EndingWish(last_day=SPRING, reason="partner_leaves", issuer_id="nobody"))
