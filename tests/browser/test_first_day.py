"""What a cashier does on her first day: scans into whatever is open, types as it is printed, presses Enter too soon."""

import re
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, Route, expect

from edge.sale.approving import hash_of_code
from edge.service import TillService
from loyalty.programme.programme import read_programme
from tests.browser.conftest import OpenPage
from tests.browser.counter import ASKED, GOODS, RICHER, begin, panel_of, post, sent, settled, sign_in, start, welcoming
from tests.browser.test_kiosk import scan
from tests.edge.rim import CARD, PAYMENT, STRANGER, basket, commit, line, quote

pytestmark = pytest.mark.browser
SOLD = commit(card=None, basket=GOODS, sold_at=None)


@pytest.fixture
def panel(service: TillService, open_page: OpenPage) -> Page:
    welcoming(service)
    return panel_of(service, open_page)


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


# Members


def test_who_cannot_be_served_stands_in_the_way_of_nobody_else(service: TillService, panel: Page):
    blocked = token_of(service, STRANGER)
    post(service, "/v1/cards", {"card_id": "C1", "what": "block", "card": STRANGER, "reason": "lost"})
    found = {"found": [{"card_token": blocked, "last4": "9998"}]}
    panel.route("**/v1/members/find", lambda route: route.fulfill(json=found))
    post(service, "/v1/quotes", quote(card=None, basket=GOODS))
    open_act(panel, "card")
    panel.fill("#f-phone", "+44 131 496 0188")
    panel.press("#f-phone", "Enter")
    expect(panel.locator("#act-problem")).to_contain_text("This card is blocked.")
    panel.fill("#f-card", CARD)
    panel.press("#f-card", "Enter")
    expect(panel.locator("#latest li").first).to_have_text("Card …8903 is with the sale.")


def test_a_card_that_is_blocked_in_a_sale_leaves_no_points_set_aside(service: TillService, panel: Page):
    post(service, "/v1/quotes", quote(basket=GOODS))
    settled(service, panel)
    open_act(panel, "spend")
    panel.fill("#f-points", "500")
    panel.keyboard.press("Enter")
    expect(panel.locator("#row-points dd")).to_have_text("€5.00")
    open_act(panel, "replace")
    panel.select_option("#f-what", "block")
    panel.click("#act-send")
    expect(panel.locator("#latest li").first).to_contain_text("The card is blocked.")
    expect(panel.locator("#row-points")).to_be_hidden()
    assert service.journal.open_holds() == ()


def test_what_is_printed_at_another_till_is_not_claimed_as_a_receipt_of_this_one(service: TillService, panel: Page):
    post(service, "/v1/receipts", SOLD)  # 31.47, to somebody else
    bodies = sent(panel, "/v1/claims")
    open_act(panel, "claim")
    panel.fill("#f-card", CARD)
    panel.fill("#f-receipt", "R1")
    panel.click("summary")
    panel.fill("#f-total", "9,99")
    panel.press("#f-total", "Enter")
    expect(panel.locator("#act-problem")).to_have_text(
        "Type what is printed: receipt number, date, time and total, or the record of 8 signs."
    )
    panel.fill("#f-soldAt", "2026-11-27T10:00")
    panel.press("#f-total", "Enter")
    expect(panel.locator("#latest li").first).to_contain_text("Head office works the points out")
    assert [body["printed"]["receipt_id"] for body in bodies] == ["R1", "R1"]
    assert bodies[1]["printed"]["total_minor"] == 999


# Figures


@pytest.mark.parametrize("quantity", ["", "0", "1,5,0", "two", "-1"])
def test_what_is_no_quantity_is_said_to_be_none(service: TillService, panel: Page, quantity: str):
    post(service, "/v1/receipts", SOLD)
    bodies = sent(panel, "/v1/returns")
    open_act(panel, "return")
    panel.fill("#f-receipt", "R1")
    panel.keyboard.press("Enter")
    panel.check("#f-line3")
    panel.fill('[name="quantity3"]', quantity)
    panel.keyboard.press("Enter")
    expect(panel.locator("#act-problem")).to_have_text("A quantity cannot be read. Type it like 2 or 0.350.")
    assert bodies == []


def test_what_comes_back_is_shown_with_what_is_handed_out_for_it_to_the_cent(service: TillService, panel: Page):
    three = basket(line(1, "cup", 200, name="Cup", quantity="3.000"))
    post(service, "/v1/receipts", {**SOLD, "basket": three})
    # A third of 2.00, by cumulative floor.
    for worth in ("0.66", "0.67", "0.67"):
        open_act(panel, "return")
        panel.fill("#f-receipt", "R1")
        panel.keyboard.press("Enter")
        panel.check("#f-line1")
        panel.fill('[name="quantity1"]', "1")
        expect(panel.locator('[name="amount1"]')).to_have_value(worth)
        expect(panel.locator('[name="amount1"]')).not_to_be_editable()
        panel.keyboard.press("Enter")
        expect(panel.locator("#slip")).to_be_visible()
        expect(panel.locator("#latest li").first).to_contain_text(f"Hand out €{worth}.")
        panel.click("#slip-close")


def test_points_are_typed_as_the_panel_shows_them(service: TillService, panel: Page):
    post(service, "/v1/quotes", quote(basket=GOODS))
    settled(service, panel)
    open_act(panel, "spend")
    panel.fill("#f-points", "1,000")
    panel.keyboard.press("Enter")
    expect(panel.locator("#latest li").first).to_contain_text(re.compile(r"Set aside until .*: 1,000 points\."))


def test_of_many_figures_the_one_that_cannot_be_read_is_named_and_has_the_caret(panel: Page):
    bodies = sent(panel, "/v1/day-close")
    open_act(panel, "close")
    for name, text, said in (
        ("net_minor", "1.234,50", "Check: Sales, net. Type an amount such as 12.50."),
        ("voids", "none", "Check: Voids. Type a whole number such as 1340."),
        ("businessDate", "", "Fill in: Business date."),
    ):
        panel.fill(f"#f-{name}", text)
        panel.press("#f-points_spent", "Enter")
        expect(panel.locator("#act-problem")).to_have_text(said)
        expect(panel.locator(f"#f-{name}")).to_be_focused()
        panel.fill(f"#f-{name}", "")
    panel.keyboard.press("Escape")
    open_act(panel, "certificate")
    panel.fill("#f-code", "GC-1")
    panel.keyboard.press("Enter")
    expect(panel.locator("#act-problem")).to_have_text("Check: Code of the certificate.")
    panel.fill("#f-code", "GC-7781-0042")
    panel.select_option("#f-action", "activate")
    panel.press("#f-code", "Enter")
    expect(panel.locator("#act-problem")).to_have_text("Fill in: Amount.")
    expect(panel.locator("#f-amountOn")).to_be_focused()
    assert bodies == []


def test_a_figure_that_is_changed_after_a_lost_answer_is_known_to_come_on_top_of_the_first(
    service: TillService, panel: Page
):
    rules = (RICHER + ASKED).replace("wallet: true", "wallet: true, offline_minor: 4000")
    service.cache.load_programme(read_programme(rules))

    def lose(route: Route) -> None:
        route.fetch()  # the till hears it, and answers
        route.abort()

    panel.route("**/v1/certificates", lose)
    open_act(panel, "certificate")
    panel.fill("#f-code", "GC-7781-0042")
    panel.select_option("#f-action", "activate")
    panel.fill("#f-amountOn", "50")
    panel.click("#act-send")
    expect(panel.locator("#act-problem")).to_contain_text("The till does not answer.", timeout=20_000)
    panel.unroute("**/v1/certificates")
    panel.fill("#f-amountOn", "5")
    panel.click("#act-send")
    expect(panel.locator("#act-problem")).to_have_text(
        "Your first try was done, as it was typed then. Send once more only if both are wanted."
    )


# Supervisors and slips


def test_enter_after_the_supervisors_number_costs_no_try(tmp_path: Path, open_page: OpenPage):
    service = start(tmp_path, approvals={"void": 0}, supervisors={"91": hash_of_code("4711", b"s" * 16)})
    try:
        post(service, "/v1/receipts", SOLD)
        page = open_page(f"{service.url}/cashier")
        sign_in(page)
        open_act(page, "void")
        page.fill("#f-receipt", "R1")
        page.keyboard.press("Enter")
        page.fill("#o-who", "91")
        page.press("#o-who", "Enter")
        expect(page.locator("#o-code")).to_be_focused()
        expect(page.locator("#o-problem")).to_be_hidden()
        page.fill("#o-code", "4711")
        page.press("#o-code", "Enter")
        expect(page.locator("#latest li").first).to_contain_text("Receipt R1 is void.")
    finally:
        service.stop()


def test_a_slip_opens_at_its_top_however_small_the_page(service: TillService, panel: Page):
    post(service, "/v1/receipts", SOLD)
    panel.set_viewport_size({"width": 390, "height": 600})
    open_act(panel, "close")
    panel.click("#act-send")
    expect(panel.locator("#slip")).to_be_visible()
    overflows, top = panel.evaluate("() => { const at = document.getElementById('slip');"
                                    " return [at.scrollHeight > at.clientHeight, at.scrollTop] }")  # fmt: skip
    assert (overflows, top) == (True, 0)
