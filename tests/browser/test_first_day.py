"""What a cashier does on her first day: scans into whatever is open, types as it is printed, presses Enter too soon."""

import pytest
import requests
from playwright.sync_api import Page, expect

from edge.service import TillService
from tests.browser.conftest import OpenPage
from tests.browser.counter import GOODS, post, settled, sign_in, welcoming
from tests.browser.test_cashier import begin
from tests.browser.test_kiosk import scan
from tests.edge.rim import CARD, PAYMENT, STRANGER, commit, quote

pytestmark = pytest.mark.browser
SOLD = commit(card=None, basket=GOODS, sold_at=None)


@pytest.fixture
def panel(service: TillService, open_page: OpenPage) -> Page:
    welcoming(service)
    page = open_page(f"{service.url}/cashier")
    sign_in(page)
    return page


def open_act(page: Page, act: str) -> None:
    begin(page, act)
    expect(page.locator("#act-send")).to_be_enabled()


def token_of(service: TillService, card: str) -> str:
    token: str = post(service, "/v1/cards/identify", {"card": card})["card_token"]
    return token


# Scans


def test_a_new_card_that_is_scanned_takes_the_place_of_no_old_one(service: TillService, panel: Page):
    post(service, "/v1/quotes", quote(basket=GOODS))
    settled(service, panel)
    open_act(panel, "replace")
    scan(panel, STRANGER)
    expect(panel.locator("#f-newCard")).to_have_value(STRANGER)
    expect(panel.locator("#f-card")).to_have_value("…8903")
    panel.click("#act-send")
    expect(panel.locator("#latest li").first).to_contain_text("The old card is blocked.")
    refused = requests.post(f"{service.url}/v1/cards/identify", json={"card": CARD}, timeout=5)
    assert refused.json()["code"] == "card.blocked"
    assert requests.post(f"{service.url}/v1/cards/identify", json={"card": STRANGER}, timeout=5).ok


def test_an_old_card_and_a_new_one_are_scanned_in_a_row_and_the_next_sale_has_the_new_one(
    service: TillService, panel: Page
):
    scan(panel, CARD)  # laid against the sale to come
    expect(panel.locator("#m-title")).to_have_text("Member …8903")
    open_act(panel, "replace")
    panel.fill("#f-card", "")
    scan(panel, CARD)
    expect(panel.locator("#f-card")).to_have_value("…8903")
    scan(panel, STRANGER)
    expect(panel.locator("#f-newCard")).to_have_value(STRANGER)
    panel.click("#act-send")
    expect(panel.locator("#latest li").first).to_contain_text("The old card is blocked.")
    chosen = requests.get(f"{service.url}/v1/choices", timeout=5).json()["chosen"]
    assert chosen["card"] == token_of(service, STRANGER)


def test_by_scanner_alone_a_receipt_is_claimed_for_the_card_at_hand(service: TillService, panel: Page):
    post(service, "/v1/receipts", {**SOLD, "receipt_id": "R-2026-17"})
    post(service, "/v1/quotes", quote(basket=GOODS))
    settled(service, panel)
    open_act(panel, "claim")
    scan(panel, "R-2026-17")
    expect(panel.locator("#f-receipt")).to_have_value("R-2026-17")
    expect(panel.locator("#f-card")).to_have_value("…8903")
    panel.keyboard.press("Enter")
    expect(panel.locator("#latest li").first).to_contain_text("629 points will be added")


@pytest.mark.parametrize(("act", "field"), [("enrol", "#f-card"), ("replace", "#f-newCard")])
def test_no_payment_card_stands_in_the_field_of_a_new_card(panel: Page, act: str, field: str):
    open_act(panel, act)
    panel.focus(field)
    scan(panel, PAYMENT)
    expect(panel.locator("#act-problem")).to_contain_text("That is a payment card.")
    expect(panel.locator(field)).to_have_value("")


def test_a_card_that_stands_in_its_field_still_counts_after_a_scan_that_was_refused(service: TillService, panel: Page):
    post(service, "/v1/quotes", quote(basket=GOODS))
    settled(service, panel)
    open_act(panel, "balance")
    scan(panel, PAYMENT)
    expect(panel.locator("#act-problem")).to_contain_text("That is a payment card.")
    expect(panel.locator("#f-card")).to_have_value("…8903")
    panel.keyboard.press("Enter")
    expect(panel.locator("#s-title")).to_have_text("Balance …8903")


def test_a_card_that_is_scanned_at_the_sign_in_is_nobodys_number_and_does_not_stand_there(
    service: TillService, open_page: OpenPage
):
    page = open_page(f"{service.url}/cashier")
    for number in (CARD, PAYMENT):
        page.fill("#in-who", number)
        page.press("#in-who", "Enter")
        expect(page.locator("#in-problem")).to_contain_text("The number or the PIN is wrong.")
        expect(page.locator("#in-who")).to_have_value("")
        page.evaluate("() => { document.getElementById('in-problem').hidden = true }")
    sign_in(page)
