"""What nothing ever covered is given up by two people: the member owes it no more, the partner bears it for good."""

from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from central.coalition.registry import load_coalition
from central.corrections.correction_limits import limits_of
from central.corrections.corrections import OwnWish, approve, ask
from central.corrections.wishes import NotThere, WriteOffWish
from central.corrections.writing_off import TooYoung
from central.database import tables as t
from central.database.rows import put
from central.login import Person
from central.ports import Settings, reading, writing
from central.settlement.closing import close_period
from central.settlement.partner_accounts import partner_account
from central.verify.books import verify_books
from loyalty.lots import EventRef
from tests.central.tills import COALITION, DAY, NOW, TODAY, Centre, told

ANA = Person(user_id="u1", login="ana", name="Ana", role="head_office", partner_id="")
EVA = Person(user_id="u2", login="eva", name="Eva", role="head_office", partner_id="")
LIMITS = limits_of(Settings())


def spend_what_is_not_there(centre: Centre) -> tuple[int, EventRef]:
    """Anna spends 50 points at acme that nobody has: acme is reimbursed 9,000 micro a point, 45 cents, withheld."""
    anna, till = centre.member(), centre.till()
    till.hello()
    ref = till.sell("R1", 100, told(anna, 0, 50), spend=50)
    till.upload()
    return anna, ref


def wish(anna: int, ref: EventRef, **more: Any) -> WriteOffWish:
    told_ = {"till_id": ref.till_id, "epoch": ref.epoch, "seq": ref.seq, "reason": "uncollectable", **more}
    return WriteOffWish(account_id=anna, **told_)


def asked(centre: Centre, one: WriteOffWish, by: Person = ANA) -> Any:
    return ask(centre.engine, one, by, LIMITS, correction_id="w1", now_ms=centre.now, randomness=centre.random)


def approved(centre: Centre, by: Person = EVA) -> Any:
    return approve(centre.engine, "w1", by, LIMITS, now_ms=centre.now, randomness=centre.random)


def lines(centre: Centre, period_no: int) -> list[tuple[Any, ...]]:
    with reading(centre.engine) as tx:
        return [(one.kind, one.origin_period_no, one.points, one.amount_minor)
                for one in partner_account(tx, "acme").lines if one.period_no == period_no]  # fmt: skip


def test_it_takes_its_time_a_reason_and_two_people(centre: Centre) -> None:
    anna, ref = spend_what_is_not_there(centre)
    centre.now += 179 * DAY
    with pytest.raises(TooYoung) as refused:
        asked(centre, wish(anna, ref))
    assert "180 days" in refused.value.say
    centre.now += DAY
    assert (asked(centre, wish(anna, ref)).state, asked(centre, wish(anna, ref)).points) == ("asked", 50)
    with pytest.raises(OwnWish):
        approved(centre, ANA)
    assert approved(centre).state == "done"
    assert centre.rows(select(t.debt)) == []
    (row,) = centre.rows(select(t.correction.c.asked_by, t.correction.c.decided_by, t.correction.c.reason))
    assert row == ("ana", "eva", "uncollectable")


def test_the_setting_says_after_how_many_days(centre: Centre) -> None:
    anna, ref = spend_what_is_not_there(centre)
    with writing(centre.engine) as tx:
        put(tx, t.setting, [{"name": "write_off_after_days", "value": "30"}], {"value": "given"})
    centre.now += 30 * DAY
    assert asked(centre, wish(anna, ref)).points == 50


def test_the_statement_releases_what_was_withheld_into_what_the_partner_bears(centre: Centre) -> None:
    anna, ref = spend_what_is_not_there(centre)
    close_period(centre.engine, period_no=1, through=TODAY, now_ms=NOW, randomness=centre.random)
    assert lines(centre, 1) == [("uncovered", 1, 50, -45), ("suspense:offline", 1, 50, 45)]
    centre.now += 180 * DAY
    asked(centre, wish(anna, ref))
    approved(centre)
    assert lines(centre, 2) == [("suspense:offline", 1, -50, -45), ("written_off", 1, 50, 45)]
    with reading(centre.engine) as tx:
        account = partner_account(tx, "acme")
    assert (account.withheld_minor, account.owed_minor) == (0, 0)
    assert [(one.cause, one.points, one.open_points, one.amount_minor, one.state) for one in account.borne] == [
        ("uncovered", 50, 0, 45, "borne")
    ]
    close_period(centre.engine, period_no=2, through=date(2026, 8, 31), now_ms=centre.now, randomness=centre.random)
    assert verify_books(centre.engine).violations == ()


def test_the_operators_share_stays_with_the_partner_when_it_is_written_off(centre: Centre) -> None:
    acme, bolt = COALITION["partners"]
    shared = {"terms_id": "acme-2", "from_on": "2026-02-01", "funding_micro": 10_000, "reimburse_micro": 9_000,
              "uncovered_micro": 3_000}  # fmt: skip
    with writing(centre.engine) as tx:
        load_coalition(tx, {**COALITION, "partners": [{**acme, "terms": [*acme["terms"], shared]}, bolt]}, NOW)
    anna, ref = spend_what_is_not_there(centre)
    assert lines(centre, 1) == [("uncovered", 1, 50, -45), ("suspense:offline", 1, 50, 30)]
    centre.now += 180 * DAY
    asked(centre, wish(anna, ref))
    approved(centre)
    # In one period: the two lines of what is withheld cancel, and the operator has paid 15.
    assert lines(centre, 1) == [("uncovered", 1, 50, -45), ("written_off", 1, 50, 30)]
    assert verify_books(centre.engine).violations == ()


def test_points_that_come_later_are_the_members_own_again(centre: Centre) -> None:
    anna, ref = spend_what_is_not_there(centre)
    centre.now += 180 * DAY
    asked(centre, wish(anna, ref))
    approved(centre)
    till = centre.till()
    till.sell("R2", 8_000, told(anna), on=date(2026, 8, 29))
    till.upload()
    (points,) = centre.rows(select(t.lot.c.points).where(t.lot.c.account_id == anna))
    assert points == (80,)
    assert verify_books(centre.engine).violations == ()
    with pytest.raises(NotThere):
        ask(centre.engine, wish(anna, ref), ANA, LIMITS, correction_id="w2", now_ms=centre.now,
            randomness=centre.random)  # fmt: skip
