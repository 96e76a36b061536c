"""The console's pages about members and corrections: who sees them, what they show, what their forms do."""

import re
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from central.console.base import Console
from central.console.console import console_pages
from central.database import tables as t
from central.keys.card_keys import KeyRing
from central.login import Logins, create_user
from tests.central.office import LIMITS, Office, give, merge
from tests.central.settling import FixedClock
from tests.central.test_console import PASSWORD, page, send, signed_in, token_in, words
from tests.central.tills import ANNA, BEN, CARD_KEY, NOW, Centre, told


@pytest.fixture
def office(centre: Centre) -> Office:
    return Office(centre)


@pytest.fixture
def anna(centre: Centre) -> int:
    return centre.member()


@pytest.fixture
def app(centre: Centre) -> Iterator[Flask]:
    quick, clock = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1), FixedClock(NOW)
    people = (("ana", "head_office", ""), ("bea", "head_office", ""), ("finn", "partner_finance", "bolt"))
    for login, role, partner in people:
        create_user(
            centre.engine, now_ms=NOW, randomness=centre.random, login=login, password=PASSWORD, role=role,
            partner_id=partner, hasher=quick,
        )  # fmt: skip
    logins = Logins(centre.engine, clock, centre.random, quick)
    made = Flask("test")
    console = Console(centre.engine, clock, centre.random, logins, False, LIMITS, KeyRing(CARD_KEY))
    made.register_blueprint(console_pages(console))
    yield made


@pytest.fixture
def ana(app: Flask) -> FlaskClient:
    return signed_in(app, "ana")


@pytest.fixture
def bea(app: Flask) -> FlaskClient:
    return signed_in(app, "bea")


@pytest.fixture
def finn(app: Flask) -> FlaskClient:
    return signed_in(app, "finn")


def wanted(anna: int, **facts: str) -> dict[str, str]:
    usual = {"id": "f1", "account_id": str(anna), "what": "give", "points": "40", "issuer": "acme",
             "through": "2026-12-31", "reason": "goodwill", "note": "as promised on the phone"}  # fmt: skip
    return {**usual, **facts}


# Members


@pytest.mark.parametrize("asked", ["account", "card", "receipt"])
def test_a_member_is_found_by_account_card_or_receipt(
    office: Office, anna: int, ana: FlaskClient, asked: str
) -> None:
    till = office.centre.till()
    till.sell("R77", 4_000, told(anna))
    till.upload()
    names = {"account": str(anna), "card": ANNA, "receipt": "R77"}
    answer = send(ana, "/members", asked=names[asked])
    assert (answer.status_code, answer.location) == (303, f"/console/members/{anna}")


def test_nobody_found_says_what_to_check(anna: int, ana: FlaskClient) -> None:
    assert "Nobody is found" in words(send(ana, "/members", asked=BEN).get_data(as_text=True))


def test_a_members_page_explains_every_point(office: Office, anna: int, ana: FlaskClient) -> None:
    till = office.centre.till()
    till.sell("R1", 4_000, told(anna))
    till.upload()
    office.done(give(anna, 150, note="a birthday that was missed"))
    shown = words(page(ana, f"/members/{anna}"))
    assert "Balance 190" in shown
    assert "Sale at S1 R1 , 40.00 EUR" in shown or "Sale at S1 R1, 40.00 EUR" in shown
    assert "40 issued → available, acme, good through for ever +40 by base +40 40" in shown
    assert "goodwill, ana, approved by bea a birthday that was missed" in shown
    assert "150 issued → available, acme, good through 2026-12-31 +150 190" in shown


def test_the_pages_of_merged_accounts_lead_to_each_other(
    office: Office, anna: int, ana: FlaskClient
) -> None:
    ben = office.centre.member(BEN)
    office.ask(give(anna, 60))
    office.ask(merge(anna, ben))
    assert f"It was merged into account {ben}" in words(page(ana, f"/members/{anna}"))
    assert f"from account {anna}" in words(page(ana, f"/members/{ben}"))
    assert "Give or take points" not in words(page(ana, f"/members/{anna}"))


def test_an_unknown_member_is_a_page_with_a_sentence(ana: FlaskClient) -> None:
    answer = ana.get("/console/members/7")
    assert (answer.status_code, "There is no account 7" in answer.get_data(as_text=True)) == (404, True)


# Corrections


def test_a_small_correction_is_done_and_shown_at_the_member(office: Office, anna: int, ana: FlaskClient) -> None:
    answer = send(ana, "/corrections/new", **wanted(anna))
    assert (answer.status_code, answer.location) == (303, f"/console/members/{anna}")
    assert office.held(anna) == [("2026-12-31", "acme", 40, 0)]
    assert "as promised on the phone" in page(ana, "/corrections?state=done")


def test_sent_twice_it_is_done_once(office: Office, anna: int, ana: FlaskClient) -> None:
    for _ in range(2):
        assert send(ana, "/corrections/new", **wanted(anna)).status_code == 303
    assert office.held(anna) == [("2026-12-31", "acme", 40, 0)]


def test_every_form_has_an_id_of_its_own(anna: int, ana: FlaskClient) -> None:
    ids = {re.search(r'name="id" value="(\w+)"', page(ana, f"/corrections/new?account={anna}"))[1] for _ in range(3)}
    assert len(ids) == 3
    assert f'value="{anna}"' in page(ana, f"/corrections/new?account={anna}")


def test_a_large_one_waits_and_only_another_person_may_approve_it(
    office: Office, anna: int, ana: FlaskClient, bea: FlaskClient
) -> None:
    answer = send(ana, "/corrections/new", **wanted(anna, points="400"))
    assert answer.location == "/console/corrections?state=asked"
    assert "You asked for this yourself" in words(page(ana, "/corrections"))
    assert send(ana, "/corrections/f1/approve").status_code == 403
    assert "Given 400 of acme, good through 2026-12-31" in words(page(bea, "/corrections"))
    assert send(bea, "/corrections/f1/approve").status_code == 303
    assert office.held(anna) == [("2026-12-31", "acme", 400, 0)]
    assert send(bea, "/corrections/f1/approve").status_code == 409
    assert "Nothing waits" in words(page(bea, "/corrections"))


def test_a_correction_is_refused_with_a_reason(
    office: Office, anna: int, ana: FlaskClient, bea: FlaskClient
) -> None:
    send(ana, "/corrections/new", **wanted(anna, points="400"))
    assert send(bea, "/corrections/f1/refuse", note=" ").status_code == 422
    assert send(bea, "/corrections/f1/refuse", note="counted already").status_code == 303
    assert "counted already" in page(ana, "/corrections?state=refused")
    assert office.held(anna) == []


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"points": "x"}, "Give points as a whole number above 0"),
        ({"points": "0"}, "Give points as a whole number above 0"),
        ({"account_id": "anna"}, "Give the number of the account"),
        ({"account_id": "7"}, "There is no account 7"),
        ({"through": "soon"}, "Name the last valid day as a date"),
        ({"reason": "because"}, "give one of goodwill"),
        ({"id": ""}, "load the page again"),
        ({"what": "take", "issuer": ""}, "0 points that can be taken"),
        ({"points": "1001"}, "may move 1000 points"),
    ],
)
def test_what_cannot_be_taken_comes_back_in_the_form_with_a_sentence(
    anna: int, ana: FlaskClient, facts: dict[str, str], says: str
) -> None:
    answer = send(ana, "/corrections/new", **wanted(anna, **facts))
    shown = answer.get_data(as_text=True)
    assert 400 <= answer.status_code < 500
    assert says in words(shown)
    assert "as promised on the phone" in shown


def test_a_partner_asks_for_its_own_points_and_sees_only_what_it_asked(
    office: Office, anna: int, finn: FlaskClient, bea: FlaskClient
) -> None:
    office.ask(give(anna, 500))
    assert "Nothing waits" in words(page(finn, "/corrections"))
    answer = send(finn, "/corrections/new", **wanted(anna, issuer="bolt"))
    assert answer.location == "/console/corrections?state=asked"
    assert "40 of bolt" in words(page(finn, "/corrections"))
    assert "Approve" not in words(page(finn, "/corrections"))
    assert send(finn, "/corrections/new", **wanted(anna, id="f2")).status_code == 403
    assert send(finn, "/corrections/f1/approve").status_code == 403
    for path in ("/members", f"/members/{anna}"):
        assert finn.get(f"/console{path}").status_code == 403
    assert send(bea, "/corrections/f1/approve").status_code == 303
    assert office.held(anna) == [("2026-12-31", "bolt", 40, 0)]


def test_a_form_without_its_token_does_nothing(office: Office, anna: int, ana: FlaskClient) -> None:
    token_in(page(ana, "/"))
    assert ana.post("/console/corrections/new", data=wanted(anna)).status_code == 403
    assert office.rows(select(t.correction)) == []
