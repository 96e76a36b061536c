"""Points by hand: who may, with whose agreement, what is refused, and what is kept of it."""

import pytest
from sqlalchemy import select

from central.corrections.correction_limits import TooManyPoints
from central.corrections.corrections import IdTaken, MayNotCorrect, NotOpen, OwnWish, corrections
from central.corrections.wishes import AdjustmentWish, BadWish, NotThere
from central.database import tables as t
from central.members.members import UnknownAccount
from central.ports import reading
from loyalty.facts.centre_events import Taken
from tests.central.office import ANA, FINN, Office, give, take
from tests.central.tills import DAY, TODAY, Centre, told


@pytest.fixture
def office(centre: Centre) -> Office:
    return Office(centre)


@pytest.fixture
def anna(centre: Centre) -> int:
    return centre.member()


def states(office: Office) -> list[tuple[str, str, str]]:
    chosen = select(t.correction.c.state, t.correction.c.asked_by, t.correction.c.decided_by)
    return office.rows(chosen.order_by(t.correction.c.asked_at_ms, t.correction.c.correction_id))  # type: ignore[return-value]


def test_a_small_correction_is_done_at_once_and_is_an_event_of_the_account(office: Office, anna: int) -> None:
    done = office.ask(give(anna, 100))
    assert (done.state, done.points) == ("done", 100)
    assert office.held(anna) == [("2026-12-31", "acme", 100, 0)]
    assert office.kinds(anna) == [(1, "adjustment.v1")]
    assert states(office) == [("done", "ana", "ana")]
    assert office.adds_up()


def test_a_large_one_waits_until_another_person_agrees(office: Office, anna: int) -> None:
    asked = office.ask(give(anna, 101))
    assert (asked.state, office.held(anna)) == ("asked", [])
    with pytest.raises(OwnWish):
        office.approve(asked.correction_id, ANA)
    assert office.approve(asked.correction_id).state == "done"
    assert office.held(anna) == [("2026-12-31", "acme", 101, 0)]
    with pytest.raises(NotOpen):
        office.approve(asked.correction_id)
    assert states(office) == [("done", "ana", "bea")]
    assert office.adds_up()


def test_what_a_second_person_refuses_is_kept_with_the_reason_and_books_nothing(office: Office, anna: int) -> None:
    asked = office.ask(give(anna, 500))
    with pytest.raises(BadWish):
        office.refuse(asked.correction_id, "  ")
    office.refuse(asked.correction_id, "the receipt was counted already")
    with reading(office.centre.engine) as tx:
        (row,) = corrections(tx, "refused")
    assert (row.note, row.decided_by, row.points) == ("the receipt was counted already", "bea", 500)
    assert (office.held(anna), office.account(anna)[0]) == ([], 0)
    with pytest.raises(NotOpen):
        office.approve(asked.correction_id)


def test_nobody_moves_more_than_the_limit_not_even_together(office: Office, anna: int) -> None:
    with pytest.raises(TooManyPoints) as refused:
        office.ask(give(anna, 1_001))
    assert "1000" in refused.value.say
    assert states(office) == []


def test_a_partner_may_ask_for_its_own_points_and_never_does_it_alone(office: Office, anna: int) -> None:
    assert office.ask(give(anna, 50, "bolt"), FINN).state == "asked"
    for wish in (give(anna, 10, "acme"), take(anna, 1)):
        with pytest.raises(MayNotCorrect) as refused:
            office.ask(wish, FINN)
        assert "0 points" not in refused.value.say  # nor what the account holds
    with pytest.raises(TooManyPoints):
        office.ask(give(anna, 51, "bolt"), FINN)
    with pytest.raises(MayNotCorrect):
        office.approve("c1", FINN)
    office.approve("c1")
    assert office.held(anna) == [("2026-12-31", "bolt", 50, 0)]


def test_taking_more_than_there_is_is_refused_with_what_there_is(office: Office, anna: int) -> None:
    office.ask(give(anna, 60))
    office.ask(give(anna, 30, "bolt"))
    with pytest.raises(NotThere) as refused:
        office.ask(take(anna, 91))
    assert (refused.value.figures, "90 points" in refused.value.say) == ({"asked": 91, "there": 90}, True)
    with pytest.raises(NotThere) as refused:
        office.ask(take(anna, 31, "bolt"))
    assert "30 points of bolt" in refused.value.say
    both = (Taken(issuer_id="", points=70), Taken(issuer_id="acme", points=20))
    with pytest.raises(NotThere):
        office.ask(AdjustmentWish(account_id=anna, reason="wrong_points", taken=both))
    assert office.ask(take(anna, 90)).state == "done"
    assert office.held(anna) == []
    assert office.adds_up()


def test_points_that_went_while_a_correction_waited_leave_it_waiting(office: Office, anna: int) -> None:
    office.done(give(anna, 150))
    office.ask(take(anna, 120), correction_id="late")
    office.ask(take(anna, 50))
    with pytest.raises(NotThere) as refused:
        office.approve("late")
    assert "100 points" in refused.value.say
    assert states(office)[-1] == ("asked", "ana", "")
    assert office.held(anna) == [("2026-12-31", "acme", 100, 0)]
    assert office.adds_up()


def test_lapsed_points_are_not_there_to_be_taken(office: Office, anna: int) -> None:
    office.ask(give(anna, 40, through=TODAY))
    office.centre.now += DAY
    with pytest.raises(NotThere) as refused:
        office.ask(take(anna, 1))
    assert "has 0 points" in refused.value.say


def test_the_same_id_is_told_the_same_and_another_wish_under_it_is_refused(office: Office, anna: int) -> None:
    first = office.ask(give(anna, 30), correction_id="one")
    assert office.ask(give(anna, 30), correction_id="one") == first
    assert office.held(anna) == [("2026-12-31", "acme", 30, 0)]
    with pytest.raises(IdTaken):
        office.ask(give(anna, 31), correction_id="one")


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"reason": "because"}, "give one of goodwill"),
        ({"granted": ()}, "how many points"),
        ({"note": "x" * 2_001}, "2000 characters"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_in_a_sentence(
    office: Office, anna: int, facts: dict[str, object], says: str
) -> None:
    with pytest.raises(BadWish) as refused:
        office.ask(give(anna, 30, **facts))
    assert says in refused.value.say


def test_points_that_would_have_lapsed_already_are_not_given(office: Office, anna: int) -> None:
    with pytest.raises(BadWish) as refused:
        office.ask(give(anna, 30, through=TODAY.replace(day=1)))
    assert "have lapsed already" in refused.value.say


def test_an_unknown_partner_or_account_is_refused(office: Office, anna: int) -> None:
    with pytest.raises(BadWish):
        office.ask(give(anna, 30, "nobody"))
    with pytest.raises(BadWish):
        office.ask(give(anna, 30, ""))
    with pytest.raises(UnknownAccount):
        office.ask(give(anna + 1, 30))


def test_points_of_a_partner_without_terms_that_day_are_not_given(office: Office, anna: int) -> None:
    office.centre.now -= 90 * DAY  # terms begin with the year
    with pytest.raises(BadWish) as refused:
        office.ask(give(anna, 30))
    assert "acme has no contract terms on 2025-12-02" in refused.value.say


def test_a_correction_reaches_the_tills_with_the_next_row(office: Office, anna: int) -> None:
    till = office.centre.till()
    office.ask(give(anna, 30))
    (row,) = till.page("members").rows
    assert b'"balance_points":30' in bytes(row) and b'"version":1' in bytes(row)


def test_points_given_by_hand_repay_an_overspend_and_the_history_goes_on(office: Office, anna: int) -> None:
    till = office.centre.till()
    till.hello()
    till.sell("R1", 100, told(anna), spend=20)
    till.upload()
    office.ask(give(anna, 50))
    till.sell("R2", 1_000, told(anna, 2, 30))
    till.upload()
    assert office.kinds(anna) == [(1, "receipt.v1"), (2, "adjustment.v1"), (3, "receipt.v1")]
    paid = select(t.posting.c.source, t.posting.c.target, t.posting.c.amount).where(t.posting.c.account_version == 2)
    assert office.rows(paid.order_by(t.posting.c.n)) == [
        ("issued", "available", 50), ("available", "redeemed", 20),
        ("pending", "issued", 20),  # what was withheld until the overspend was covered
    ]  # fmt: skip
    assert office.adds_up()


def test_every_step_is_on_the_audit_list(office: Office, anna: int) -> None:
    office.ask(give(anna, 10))
    asked = office.ask(give(anna, 200))
    office.approve(asked.correction_id)
    noted = office.rows(select(t.audit.c.action, t.audit.c.user_id, t.audit.c.about).order_by(t.audit.c.action))
    assert noted == [
        ("correction.approved", "2", "c2"), ("correction.asked", "1", "c2"), ("correction.done", "1", "c1"),
    ]  # fmt: skip


def test_a_till_that_corrects_itself_is_quarantined(office: Office, anna: int) -> None:
    till = office.centre.till()
    forged = (
        '{"type":"adjustment.v1","receipt_id":"A1","account_id":%d,"on":"2026-03-02","at_partner_id":"",'
        '"reason":"goodwill","asked_by":"ana","granted":[["acme","2026-12-31",900]]}'
    )
    till.append((forged % anna).encode())
    till.upload()
    assert (office.held(anna), office.centre.flags()) == ([], [(1, "event.not_a_tills")])
    assert office.adds_up()
