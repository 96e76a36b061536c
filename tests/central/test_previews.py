"""What a wish would move, before anybody asks for it."""

from datetime import date

import pytest
from sqlalchemy import select

from central.corrections.adjusting import Signed
from central.corrections.previews import Preview, preview_of, preview_waiting
from central.corrections.wishes import EndingWish, NotThere, Wish
from central.database import tables as t
from central.members.members import UnknownAccount
from central.ports import reading, writing
from loyalty.moments import utc_date
from loyalty.trouble import Refusal
from tests.central.office import Office, give, merge, take, transfer
from tests.central.tills import BEN, DAY, TODAY, Centre

SUMMER = date(2026, 6, 30)
Told = tuple[str, str, str, str, int]


@pytest.fixture
def office(centre: Centre) -> Office:
    return Office(centre)


@pytest.fixture
def anna(office: Office) -> int:
    """She has 30 of acme through summer, 50 of bolt and 20 of acme through the year."""
    made = office.centre.member()
    office.ask(give(made, 30, "acme", SUMMER))
    office.ask(give(made, 50, "bolt"))
    office.ask(give(made, 20, "acme"))
    return made


def look(office: Office, wish: Wish) -> Preview:
    signed = Signed(correction_id="p", asked_by="ana", approved_by="", on=utc_date(office.centre.now),
                    now_ms=office.centre.now)  # fmt: skip
    with reading(office.centre.engine) as tx:
        return preview_of(tx, wish, signed)


def parts(shown: Preview) -> list[Told]:
    return [(one.way, str(one.key.valid_through), one.key.issuer_id, one.key.terms_id, one.points)
            for one in shown.parts]  # fmt: skip


def lease_out(office: Office, account_id: int, points: int) -> None:
    """As a till holds them; only what the preview reads."""
    with writing(office.centre.engine) as tx:
        tx.execute(t.lease.insert().values(**_lease(account_id, points)))
        tx.execute(t.lease_slice.insert().values(account_id=account_id, lease_id="L1", valid_through="2026-12-31",
                                                 issuer_id="bolt", terms_id="bolt-1", points=points))  # fmt: skip


def _lease(account_id: int, points: int) -> dict[str, object]:
    usual = {"account_id": account_id, "lease_id": "L1", "points": points, "till_id": "t1", "kind": "hold"}
    needed = {
        column.name: 0 if column.type.python_type is int else ""
        for column in t.lease.c if column.default is None and not column.nullable
    }  # fmt: skip
    return needed | usual


def test_points_given_are_shown_under_the_terms_of_the_day(office: Office, anna: int) -> None:
    shown = look(office, give(anna, 40))
    assert parts(shown) == [("given", "2026-12-31", "acme", "acme-1", 40)]
    assert (shown.points, shown.accounts, shown.leased_points) == (40, 1, 0)


def test_points_taken_are_shown_by_the_lots_that_pay_and_what_tills_hold_besides(office: Office, anna: int) -> None:
    lease_out(office, anna, 7)
    shown = look(office, take(anna, 60))
    # Soonest to lapse first; of one day, the issuer's name decides.
    assert parts(shown) == [
        ("taken", "2026-06-30", "acme", "acme-1", 30), ("taken", "2026-12-31", "acme", "acme-1", 20),
        ("taken", "2026-12-31", "bolt", "bolt-1", 10),
    ]  # fmt: skip
    assert (shown.points, shown.leased_points) == (60, 7)


def test_a_transfer_shows_its_lots(office: Office, anna: int) -> None:
    ben = office.centre.member(BEN)
    assert parts(look(office, transfer(anna, ben, 35))) == [
        ("moved", "2026-06-30", "acme", "acme-1", 30), ("moved", "2026-12-31", "acme", "acme-1", 5),
    ]  # fmt: skip
    assert look(office, transfer(anna, ben)).points == 100


def test_a_merge_shows_lapsed_points_and_what_tills_hold_instead_of_refusing(office: Office, anna: int) -> None:
    ben = office.centre.member(BEN)
    with writing(office.centre.engine) as tx:
        tx.execute(t.lot.update().where(t.lot.c.valid_through == "2026-06-30").values(points=0, expired=30))
    lease_out(office, anna, 7)
    shown = look(office, merge(anna, ben))
    assert parts(shown) == [
        ("moved", "2026-12-31", "acme", "acme-1", 20), ("moved", "2026-12-31", "bolt", "bolt-1", 50),
        ("lapsed", "2026-06-30", "acme", "acme-1", 30),
    ]  # fmt: skip
    assert (shown.points, shown.leased_points) == (70, 7)


def test_a_last_day_shows_what_lies_beyond_it_of_everybody_or_of_one_issuer(office: Office, anna: int) -> None:
    office.ask(give(office.centre.member(BEN), 5, "bolt"))
    lease_out(office, anna, 7)
    shown = look(office, EndingWish(last_day=SUMMER, reason="programme_ends"))
    assert parts(shown) == [
        ("shortened", "2026-12-31", "acme", "acme-1", 20), ("shortened", "2026-12-31", "bolt", "bolt-1", 55),
    ]  # fmt: skip
    assert (shown.points, shown.accounts, shown.leased_points) == (75, 2, 7)
    shown = look(office, EndingWish(last_day=SUMMER, reason="partner_leaves", issuer_id="acme"))
    assert (parts(shown), shown.accounts, shown.leased_points) == (
        [("shortened", "2026-12-31", "acme", "acme-1", 20)], 1, 0,
    )  # fmt: skip


def test_a_look_writes_nothing_and_refuses_as_asking_would(office: Office, anna: int) -> None:
    before = office.rows(select(t.centre_event.c.seq)), office.rows(select(t.correction.c.correction_id))
    look(office, take(anna, 100))
    with pytest.raises(NotThere):
        look(office, take(anna, 101))
    with pytest.raises(UnknownAccount):
        look(office, merge(anna, anna + 1))
    assert before == (office.rows(select(t.centre_event.c.seq)), office.rows(select(t.correction.c.correction_id)))


def test_what_waits_shows_what_it_would_move_now_or_why_it_cannot(office: Office, anna: int) -> None:
    ben = office.centre.member(BEN)
    office.done(give(anna, 200, "bolt", TODAY))
    office.ask(transfer(anna, ben, 250), correction_id="late")

    def now() -> Preview | Refusal:
        with reading(office.centre.engine) as tx:
            row = tx.execute(select(t.correction).where(t.correction.c.correction_id == "late")).one()
            return preview_waiting(tx, row, office.centre.now)

    assert parts(now()) == [
        ("moved", "2026-03-02", "bolt", "bolt-1", 200), ("moved", "2026-06-30", "acme", "acme-1", 30),
        ("moved", "2026-12-31", "acme", "acme-1", 20),
    ]  # fmt: skip
    office.centre.now += DAY
    assert "has 100 points that can be spent" in now().say
