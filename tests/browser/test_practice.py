"""Training at the panel: every act is practised, nothing real is touched; and points set aside once for a sale."""

from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect

from edge.service import TillService
from tests.browser.conftest import OpenPage
from tests.browser.counter import GOODS, begin, panel_of, post, sign_in, welcoming
from tests.edge.rim import CARD, STRANGER, commit, line, quote

pytestmark = pytest.mark.browser


@pytest.fixture
def panel(service: TillService, open_page: OpenPage) -> Page:
    welcoming(service)
    return panel_of(service, open_page)


@pytest.fixture
def practising(panel: Page) -> Page:
    begin(panel, "training")
    panel.click("#act-send")
    expect(panel.locator("#training")).to_have_text("Training")
    return panel


def ask(service: TillService, path: str, **query: str) -> dict[str, Any]:
    answer = requests.get(f"{service.url}{path}", params=query, timeout=5)
    answer.raise_for_status()
    told: dict[str, Any] = answer.json()
    return told


def test_practising_goes_on_when_the_page_is_loaded_anew_and_ends_with_its_cashier(practising: Page):
    practising.reload()
    expect(practising.locator("#training")).to_have_text("Training")
    expect(practising.locator('[data-act="training"]')).to_have_attribute("aria-pressed", "true")
    practising.click("#sign-out")
    expect(practising.locator("#sign-in")).to_be_visible()
    sign_in(practising)
    expect(practising.locator("#training")).to_be_hidden()


def test_a_basket_is_parked_and_resumed_in_practice_beside_a_real_one(service: TillService, practising: Page):
    real = {"currency": GOODS["currency"], "lines": [line(1, "mug", 300)]}
    post(service, "/v1/parked", {**quote(basket=real), "park_id": "P-real", "note": "red hat"})
    post(service, "/v1/quotes", quote(basket=GOODS, training=True))
    begin(practising, "park")
    practising.fill("#f-note", "blue jacket")
    practising.click("#act-send")
    begin(practising, "resume")
    expect(practising.locator(".pick")).to_have_count(1)
    expect(practising.locator(".pick")).to_contain_text("blue jacket")
    practising.click("#act-send")
    expect(practising.locator("#row-total dd")).to_have_text("€31.47")
    assert [one["park_id"] for one in ask(service, "/v1/parked")["parked"]] == ["P-real"]
    assert ask(service, "/v1/parked", training="true")["parked"] == []


def test_practice_beside_a_real_sale_leaves_that_sale_alone(service: TillService, practising: Page):
    post(service, "/v1/quotes", quote(card=None, basket=GOODS))
    expect(practising.locator("#row-total dd")).to_have_text("€31.47")
    begin(practising, "enrol")
    practising.fill("#f-card", STRANGER)
    practising.click("#act-send")
    expect(practising.locator("#latest li").first).to_contain_text("Member …9998 has joined.")
    practising.click("#slip-close")
    begin(practising, "park")
    practising.click("#act-send")
    expect(practising.locator("#act-problem")).to_have_text(
        "Training and real sales are kept apart. Switch training on or off to match this one."
    )
    practising.click("#act-close")
    at_hand = ask(service, "/v1/at-hand")["sale"]
    assert (at_hand["quote_id"], at_hand["card"]) == ("Q1", None)
    assert ask(service, "/v1/choices")["chosen"] is None


def test_what_is_practised_beside_a_real_sale_leaves_its_card_its_points_and_its_basket_alone(
    service: TillService, practising: Page
):
    post(service, "/v1/quotes", quote(basket=GOODS))
    expect(practising.locator("#m-title")).to_have_text("Member …8903")
    apart = "Training and real sales are kept apart. Switch training on or off to match this one."
    for act in ("spend", "park"):
        begin(practising, act)
        expect(practising.locator("#act-send")).to_be_enabled()
        practising.click("#act-send")
        expect(practising.locator("#act-problem")).to_have_text(apart)
        practising.keyboard.press("Escape")
    begin(practising, "enrol")
    practising.fill("#f-card", STRANGER)
    practising.click("#act-send")
    expect(practising.locator("#latest li").first).to_contain_text("has joined")
    practising.click("#slip-close")
    begin(practising, "replace")
    practising.select_option("#f-what", "block")
    practising.click("#act-send")
    expect(practising.locator("#latest li").first).to_contain_text("The card is blocked.")
    at_hand = ask(service, "/v1/at-hand")["sale"]
    assert at_hand["card"] == post(service, "/v1/cards/identify", {"card": CARD})["card_token"]
    assert at_hand["points_to_spend"] == 0
    assert ask(service, "/v1/choices", after="0")["chosen"] is None


def test_goods_of_a_practised_sale_come_back_in_practice(service: TillService, practising: Page):
    post(service, "/v1/receipts", commit(receipt_id="R9", card=None, basket=GOODS, training=True))
    before = service.journal.head().seq
    begin(practising, "return")
    practising.fill("#f-receipt", "R9")
    practising.click("#act-send")
    practising.check("#f-line2")
    practising.click("#act-send")
    expect(practising.locator("#latest li").first).to_contain_text("Hand out €3.45.")
    assert service.journal.head().seq == before


def test_a_consent_that_is_withdrawn_in_practice_still_stands(service: TillService, practising: Page):
    channel = next(one["channel"] for one in ask(service, "/v1/enrolment")["consents"] if one["purpose"] == "terms")
    asked = {"consent_id": "K-1", "card": CARD, "purpose": "terms", "channel": channel, "version": "v1", "given": True,
             "asked_on": "kiosk"}  # fmt: skip
    for training in (False, True):
        post(service, "/v1/consents", {**asked, "training": training})
    begin(practising, "consent")
    practising.fill("#f-card", CARD)
    practising.click("#act-send")
    before = service.journal.head().seq
    with practising.expect_response(lambda answer: answer.url.endswith("/v1/consents")) as answered:
        practising.locator(".agreements button", has_text="Withdraw").first.click()
    assert answered.value.request.post_data_json["training"] is True
    assert service.journal.head().seq == before
    (stands,) = ask(service, "/v1/consents", card=CARD)["consents"]
    assert stands["state"] == "given"


@pytest.mark.parametrize("training", [False, True], ids=["for real", "in practice"])
def test_points_are_set_aside_once_for_a_sale_and_go_back_at_a_touch(service: TillService, panel: Page, training: bool):
    if training:
        begin(panel, "training")
        panel.click("#act-send")
    post(service, "/v1/quotes", quote(basket=GOODS, training=training))
    expect(panel.locator("#row-total dd")).to_have_text("€31.47")
    paid = panel.locator("#row-points dd")
    for points, worth in (("300", "€3.00"), ("500", "€5.00")):
        begin(panel, "spend")
        panel.fill("#f-points", points)
        panel.click("#act-send")
        expect(paid).to_have_text(worth)
    till = service.desk.at(training).till
    assert [hold.points for hold in till.journal.open_holds()] == [500]
    panel.click(".toast button")
    expect(panel.locator("#row-points")).to_be_hidden()
    expect(panel.locator("#latest li").first).to_have_text("The points are free again.")
    assert till.journal.open_holds() == ()
