"""Who may ask what from a page: cookies, PINs, tickets, and what a kiosk may never do."""

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from edge.api.page_bodies import SignInBody
from edge.ports import BadSettings
from edge.sale.approving import hash_of_code
from edge.web.page_sessions import COOKIE, PageSessions, SignInLocked, SignInWrong
from loyalty.programme.programme import read_programme
from tests.edge.rim import CARD, PAYMENT, Rim, commit, quote, settings
from tests.edge.rim import PROGRAMME as PLAIN
from tests.edge.test_members_http import MEMBERS

PIN = hash_of_code("2580", b"p" * 16)


class Mono:
    now_ms = 0

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def mono() -> Mono:
    return Mono()


def sessions(folder: Path, mono: Mono, **more: Any) -> PageSessions:
    return PageSessions(settings(folder, **more), mono)


def guarded(folder: Path, **more: Any) -> Rim:
    return Rim(folder, pos_token="s3cret", **more)


def signed_in(rim: Rim, who: str = "4") -> FlaskClient:
    client = rim.app.test_client()
    sent = client.post("/session", json={"cashier": who, "pin": "2580"})
    assert sent.status_code == 201
    return client


def test_five_wrong_pins_lock_the_sign_in_for_a_minute(tmp_path: Path, mono: Mono):
    door = sessions(tmp_path, mono, cashiers={"4": PIN})
    for who, pin in (("4", "0000"), ("4", ""), ("5", "2580"), ("4", "2581"), ("4", "1111")):
        with pytest.raises(SignInWrong):
            door.sign_in(SignInBody(cashier=who, pin=pin))
    mono.now_ms = 59_999
    with pytest.raises(SignInLocked) as refused:
        door.sign_in(SignInBody(cashier="4", pin="2580"))
    assert refused.value.figures == {"wait_s": 1}
    mono.now_ms = 60_000
    assert door.find(door.sign_in(SignInBody(cashier="4", pin="2580"))).who == "4"  # type: ignore[union-attr]


def test_at_the_panel_nobody_agrees_in_the_customers_place_whatever_place_is_named(tmp_path: Path):
    rim = guarded(tmp_path, cashiers={"4": PIN})
    rim.cache.load_programme(read_programme(PLAIN + MEMBERS))
    asked = {"consent_id": "K-1", "card": CARD, "purpose": "marketing", "channel": "email", "version": "v1",
             "given": True, "asked_on": "kiosk"}  # fmt: skip
    panel = signed_in(rim)
    for path, body in (
        ("/v1/consents", asked),
        ("/v1/consents/confirm", {"confirm_id": "F-1", "code": "x", "asked_on": "print"}),
        ("/v1/members", {"enrol_id": "E-1", "asked_on": "customer_display"}),
    ):
        refused = panel.post(path, json=body)
        assert (refused.status_code, refused.json["code"]) == (403, "consent.not_by_cashier")
    withdrawn = panel.post("/v1/consents", json={**asked, "given": False, "asked_on": "cashier"})
    assert (withdrawn.status_code, withdrawn.json["consent"]["state"]) == (201, "withdrawn")
    assert rim.post("/v1/consents", {**asked, "consent_id": "K-2"}, Authorization="Bearer s3cret").status_code == 201


def test_without_pins_a_number_is_enough_only_where_the_api_is_open(tmp_path: Path, mono: Mono):
    assert sessions(tmp_path, mono).wants == "number"
    shut = sessions(tmp_path, mono, pos_token="s3cret")
    assert shut.wants == "ticket"
    with pytest.raises(SignInWrong, match="opened by the POS"):
        shut.sign_in(SignInBody(cashier="4"))


def test_a_pin_that_is_no_hash_stops_the_start(tmp_path: Path, mono: Mono):
    with pytest.raises(BadSettings):
        sessions(tmp_path, mono, cashiers={"4": "2580"})


def test_a_session_ends_after_four_hours_without_use_and_at_signing_out(tmp_path: Path, mono: Mono):
    door = sessions(tmp_path, mono)
    key = door.open("cashier", "4")
    mono.now_ms = 4 * 3_600_000 - 1
    assert door.find(key) is not None
    mono.now_ms += 4 * 3_600_000
    assert door.find(key) is None
    key = door.open("cashier", "4")
    door.close(key)
    assert door.find(key) is None
    assert door.find(None) is None


def test_a_kiosk_where_nobody_came_all_night_serves_in_the_morning(tmp_path: Path, mono: Mono):
    door = sessions(tmp_path, mono, pos_token="s3cret")
    key = door.open("kiosk")
    mono.now_ms = 12 * 3_600_000
    assert door.lets(key, "POST", "/v1/cards/identify", "customer")


def test_a_ticket_of_the_pos_opens_the_panel_once_within_a_minute(tmp_path: Path):
    rim = guarded(tmp_path)
    token = {"Authorization": "Bearer s3cret"}
    path = rim.post("/v1/page-tickets", {"cashier": "7"}, **token).json["path"]
    browser = rim.app.test_client()
    assert browser.get(path).status_code == 303
    assert 'data-who="7"' in browser.get("/cashier").text
    assert browser.get("/v1/at-hand").status_code == 200
    second = rim.app.test_client()
    second.get(path)
    assert 'data-who=""' in second.get("/cashier").text
    late = rim.post("/v1/page-tickets", {"cashier": "7"}, **token).json["path"]
    rim.clock.move(60_000)
    third = rim.app.test_client()
    third.get(late)
    assert third.get("/v1/at-hand").status_code == 401
    assert rim.post("/v1/page-tickets", {"cashier": "7"}).status_code == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(tmp_path: Path):
    rim = guarded(tmp_path, cashiers={"4": PIN})
    set_cookie = rim.post("/session", {"cashier": "4", "pin": "2580"}).headers["Set-Cookie"]
    assert COOKIE in set_cookie
    assert "HttpOnly" in set_cookie and "SameSite=Strict" in set_cookie and "Path=/" in set_cookie


MAY = [("get", "/v1/at-hand", None, 200), ("get", "/v1/status", None, 200), ("post", "/v1/quotes", quote(), 200),
       ("get", "/v1/screen?for=cashier", None, 200), ("post", "/v1/receipts", commit(), 401),
       ("post", "/v1/page-tickets", {"cashier": "9"}, 401), ("get", "/v1/screen?for=kiosk", None, 401)]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "status"), MAY)
def test_a_cashier_may_ask_all_but_commit_a_sale(tmp_path: Path, method: str, path: str, body: Any, status: int):
    client = signed_in(guarded(tmp_path, cashiers={"4": PIN}))
    assert getattr(client, method)(path, json=body).status_code == status


KIOSK = [("post", "/v1/cards/identify", {"card": CARD}, 200), ("post", "/v1/choices", {"choice_id": "c"}, 201),
         ("get", "/v1/screen?for=kiosk", None, 200), ("get", "/v1/screen?for=cashier", None, 401),
         ("get", "/v1/at-hand", None, 401), ("post", "/v1/quotes", quote(), 401),
         ("post", "/v1/receipts", commit(), 401), ("post", "/v1/receipts/R1/void", {}, 401),
         ("get", "/v1/receipts/R1", None, 401), ("get", "/v1/status", None, 401),
         ("post", "/v1/day-close", {}, 401), ("post", "/v1/cards", {}, 401)]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "status"), KIOSK)
def test_a_kiosk_may_do_what_a_customer_does_and_no_more(
    tmp_path: Path, method: str, path: str, body: Any, status: int
):
    client = guarded(tmp_path, till_kind="self-service").app.test_client()
    assert client.get("/kiosk").status_code == 200
    assert getattr(client, method)(path, json=body).status_code == status


def test_a_kiosk_that_is_not_switched_on_gets_no_session(tmp_path: Path):
    client = guarded(tmp_path).app.test_client()
    page = client.get("/kiosk")
    assert "Self-checkout is not switched on at this till" in page.text
    assert "Set-Cookie" not in page.headers
    assert client.post("/v1/cards/identify", json={"card": CARD}).status_code == 401


def test_a_kiosk_cannot_be_used_to_try_card_numbers(tmp_path: Path):
    rim = guarded(tmp_path, till_kind="self-service")
    client = rim.app.test_client()
    client.get("/kiosk")
    codes = [client.post("/v1/choices", json={"choice_id": f"c{n}"}).status_code for n in range(61)]
    assert (codes[:60], codes[60]) == ([201] * 60, 429)
    rim.clock.move(60_000)
    assert client.post("/v1/choices", json={"choice_id": "later"}).status_code == 201


def test_a_page_from_elsewhere_gains_nothing_by_the_cookie(tmp_path: Path):
    client = signed_in(guarded(tmp_path, cashiers={"4": PIN}))
    evil = {"Origin": "http://evil.example"}
    assert client.post("/v1/receipts/R1/void", json={}, headers=evil).json["code"] == "request.foreign_origin"
    assert client.get("/v1/at-hand", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.post("/session", json={"cashier": "4", "pin": "2580"}, headers=evil).status_code == 403


def test_what_is_the_cashiers_is_told_to_no_other_page(tmp_path: Path):
    rim = Rim(tmp_path)
    rim.post("/v1/quotes", quote())
    token = rim.desk.screens.now().beside.card_token  # type: ignore[union-attr]
    assert rim.client.get("/v1/screen").json["beside"] is None
    kiosk = rim.app.test_client()
    kiosk.get("/kiosk")
    beside = kiosk.get("/v1/screen?for=kiosk").json["beside"]
    assert (beside["card_token"], beside["say"], beside["warnings"]) == (token, [], [])


@pytest.mark.parametrize("number", [CARD, PAYMENT, "%B4111111111111111^DOE/JOHN^29122010000000000000?"])
def test_nobody_signs_in_as_a_card(tmp_path: Path, number: str):
    rim = Rim(tmp_path)
    refused = rim.client.post("/session", json={"cashier": number[:40]})
    assert (refused.status_code, refused.json["code"]) == (403, "page.sign_in")
    assert number not in refused.text
    assert rim.client.post("/session", json={"cashier": "4"}).status_code == 201


def test_nobody_signs_in_as_a_payment_card_before_there_is_a_programme(tmp_path: Path):
    rim = Rim(tmp_path, with_programme=False)
    assert rim.client.post("/session", json={"cashier": PAYMENT}).status_code == 403
