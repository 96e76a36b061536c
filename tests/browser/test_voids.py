"""What is undone at the cashier's panel: a return, an exchange, and half of one, which is not."""

import pytest
from playwright.sync_api import Page, Route, expect

from edge.service import TillService
from tests.browser.conftest import OpenPage
from tests.browser.counter import GOODS, begin, panel_of, post, richer, sign_in
from tests.edge.rim import commit, line

pytestmark = pytest.mark.browser


@pytest.fixture
def panel(service: TillService, open_page: OpenPage) -> Page:
    """R1 is sold today, its first line exchanged as X1 for a mug of 3.00."""
    richer(service)
    post(service, "/v1/receipts", commit(card=None, basket=GOODS, sold_at=None))
    post(service, "/v1/exchanges", {
        "exchange_id": "X1", "return": {"return_id": "X1-back", "of": "R1", "lines": [{"line": 1}]},
        "receipt": {"receipt_id": "X1-sale", "basket": {"currency": GOODS["currency"],
                                                        "lines": [line(1, "mug", 300)]}},
    })  # fmt: skip
    return panel_of(service, open_page)


@pytest.fixture
def exchanged_by_hand(service: TillService, panel: Page) -> None:
    """The panel's own long number: a mug of 5.00 of R2 for one of 3.00."""
    dear = {"currency": GOODS["currency"], "lines": [line(1, "mug", 500)]}
    post(service, "/v1/receipts", commit(receipt_id="R2", card=None, basket=dear, sold_at=None))
    post(service, "/v1/exchanges", {
        "exchange_id": "exchange-5d3k9q0v7m", "return": {"return_id": "E-back", "of": "R2", "lines": [{"line": 1}]},
        "receipt": {"receipt_id": "E-sale", "basket": {"currency": GOODS["currency"], "lines": [line(1, "mug", 300)]}},
    })  # fmt: skip


def undo(page: Page, number: str, what: str) -> None:
    begin(page, "void")
    page.fill("#f-receipt", number)
    page.check(f'input[name="what"][value="{what}"]')
    page.click("#act-send")


def test_an_exchange_is_undone_as_a_whole_and_not_in_half(service: TillService, panel: Page) -> None:
    undo(panel, "X1-sale", "receipt")
    expect(panel.locator("#act-problem")).to_have_text(
        "It is half of exchange X1. Void the exchange, or take the new goods back as a return."
    )
    panel.fill("#f-receipt", "X1")
    panel.check('input[name="what"][value="exchange"]')
    panel.click("#act-send")
    told = panel.locator("#latest li").first
    expect(told).to_contain_text("Exchange X1 is void.")
    told.locator("button").click()
    expect(panel.locator("#slip-text")).to_contain_text("VOID")
    assert service.journal.find("void:X1-back") is not None


def test_a_return_is_undone_and_the_customer_pays_again(service: TillService, panel: Page) -> None:
    post(service, "/v1/returns", {"return_id": "B1", "of": "X1-sale", "lines": [{"line": 1}]})
    undo(panel, "B1", "return")
    expect(panel.locator("#latest li").first).to_contain_text("Return B1 is void. The customer pays €3.00.")
    undo(panel, "B9", "return")
    expect(panel.locator("#act-problem")).to_have_text(
        "This till keeps no such return. Void it at the till that took the goods back."
    )


@pytest.mark.parametrize(
    ("number", "what", "path"), [("R2", "receipt", "/v1/receipts/R2/void"), ("X1", "exchange", "/v1/exchanges/X1/void")]
)
def test_what_was_undone_before_is_not_paid_out_again(
    service: TillService, panel: Page, number: str, what: str, path: str
) -> None:
    post(service, "/v1/receipts", commit(receipt_id="R2", card=None, basket=GOODS, sold_at=None))
    post(service, path, {})  # by the POS
    undo(panel, number, what)
    expect(panel.locator("#latest li").first).to_contain_text(f"{number} was void already. No money changes hands now.")


def test_an_answer_that_was_lost_is_told_with_its_money(service: TillService, panel: Page) -> None:
    post(service, "/v1/receipts", commit(receipt_id="R2", card=None, basket=GOODS, sold_at=None))
    lost: list[int] = []

    def lose_the_first(route: Route) -> None:
        if lost:
            route.continue_()
            return
        route.fetch()  # the till hears it, and answers
        lost.append(1)
        route.abort()

    panel.route("**/v1/receipts/R2/void", lose_the_first)
    undo(panel, "R2", "receipt")
    expect(panel.locator("#latest li").first).to_contain_text("Receipt R2 is void. Hand out €31.47.", timeout=10_000)


def test_a_void_that_was_left_and_begun_again_is_paid_out_once(service: TillService, panel: Page) -> None:
    post(service, "/v1/receipts", commit(receipt_id="R2", card=None, basket=GOODS, sold_at=None))
    asked: list[Route] = []

    def hang(route: Route) -> None:
        asked.append(route)
        if len(asked) == 1:
            route.abort()  # it is sent again by itself, and then hangs
        elif len(asked) == 3:
            route.continue_()

    panel.route("**/v1/receipts/R2/void", hang)
    undo(panel, "R2", "receipt")
    expect(panel.locator("#act-again")).to_be_visible()
    while len(asked) < 2:
        panel.wait_for_timeout(100)
    panel.keyboard.press("Escape")
    undo(panel, "R2", "receipt")
    expect(panel.locator("#latest li").first).to_contain_text("Receipt R2 is void. Hand out €31.47.")
    asked[1].continue_()
    expect(panel.locator("#latest li")).to_have_count(2)
    expect(panel.locator("#latest li").first).to_contain_text("R2 was void already. No money changes hands now.")


def test_a_number_that_is_corrected_after_a_lost_answer_is_not_paid_out_again(
    service: TillService, panel: Page
) -> None:
    post(service, "/v1/receipts", commit(receipt_id="R2", card=None, basket=GOODS, sold_at=None))
    post(service, "/v1/receipts/R2/void", {})  # by the POS
    lost: list[int] = []

    def lose_the_first(route: Route) -> None:
        if lost:
            route.continue_()
            return
        lost.append(1)
        route.abort()

    panel.route("**/v1/receipts/R7/void", lose_the_first)
    undo(panel, "R7", "receipt")
    expect(panel.locator("#act-problem")).to_be_visible(timeout=10_000)
    panel.fill("#f-receipt", "R2")
    panel.click("#act-send")
    expect(panel.locator("#latest li").first).to_contain_text("R2 was void already. No money changes hands now.")


def test_what_is_to_be_paid_is_said_to_the_end(panel: Page, exchanged_by_hand: None) -> None:
    undo(panel, "exchange-5d3k9q0v7m", "exchange")
    expect(panel.locator(".toast span")).to_have_text("Exchange exchange-5d3k9q0v7m is void. The customer pays €2.00.")


def test_after_a_void_no_screen_says_that_it_is_paid(service: TillService, open_page: OpenPage) -> None:
    richer(service)
    panel, display, kiosk = (open_page(f"{service.url}/{name}") for name in ("cashier", "customer", "kiosk"))
    sign_in(panel)
    post(service, "/v1/receipts", commit(basket=GOODS, sold_at=None))
    expect(panel.locator("#nosale b")).to_have_text("Paid")
    expect(display.locator("#thanks")).to_have_text("Thank you")
    expect(kiosk.locator("body")).to_have_attribute("data-step", "done")
    undo(panel, "R1", "receipt")
    expect(panel.locator("#nosale b")).to_have_text("No sale at hand")
    expect(panel.locator("#row-total")).to_be_hidden()
    expect(display.locator("#welcome")).to_be_visible()
    expect(kiosk.locator("body")).to_have_attribute("data-step", "start")
    # What came of it stays to be read.
    expect(panel.locator(".toast span")).to_have_text("Receipt R1 is void. Hand out €31.47.")
