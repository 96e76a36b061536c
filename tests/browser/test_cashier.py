"""The cashier panel in a real browser: it follows the sale, and each act reaches the till once."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
from playwright.sync_api import Page, Route, expect

from edge.sale.approving import hash_of_code
from edge.service import TillService
from loyalty.cards.cards import PaymentCard
from loyalty.programme.programme import read_programme
from sync.wire import LeaseAnswer
from tests.browser.conftest import OpenPage
from tests.browser.counter import (
    GOODS,
    LANGUAGES,
    SIZES,
    begin,
    panel_of,
    post,
    richer,
    sent,
    settled,
    sign_in,
    start,
    welcoming,
)
from tests.edge.rim import CARD, PROGRAMME, STRANGER, basket, commit, line, quote

pytestmark = pytest.mark.browser


@pytest.fixture
def panel(service: TillService, open_page: OpenPage) -> Page:
    richer(service)
    return panel_of(service, open_page)


def test_it_follows_the_sale_and_says_one_thing_with_one_act(service: TillService, panel: Page):
    expect(panel.locator("#nosale")).to_be_visible()
    post(service, "/v1/quotes", quote(card=None, basket=GOODS))
    # 31.47 at a point for every 10 cents.
    expect(panel.locator("#m-lead")).to_have_text("With a card this basket earns 629 points")
    expect(panel.locator(".toast button")).to_have_text("Find card")
    post(service, "/v1/quotes", quote(basket=GOODS))
    expect(panel.locator("#m-title")).to_have_text("Member …8903")
    expect(panel.locator("#m-points")).to_have_text("1,240")
    expect(panel.locator(".toast span")).to_have_text("1,000 points may be spent, €10.00")
    assert len(panel.locator(".toast span").inner_text()) <= 60
    panel.click(".toast button")
    panel.fill("#f-points", "500")
    panel.click("#act-send")
    expect(panel.locator("#row-points dd")).to_have_text("€5.00")
    panel.click(".toast button")  # undo
    expect(panel.locator("#row-points")).to_be_hidden()
    expect(panel.locator("#latest li").first).to_have_text("The points are free again.")
    assert CARD not in panel.content()


def test_what_is_nearly_had_is_there_to_be_said_and_points_can_be_undone_as_long_as_the_sale_lasts(
    service: TillService, panel: Page
):
    panel.clock.install()
    post(service, "/v1/quotes", quote())  # 10.50, of the 30.00 at which points double
    expect(panel.locator("#offers")).to_contain_text("Only 19.50 more and your points double")
    settled(service, panel)
    begin(panel, "spend")
    panel.fill("#f-points", "500")
    panel.click("#act-send")
    expect(panel.locator(".toast button")).to_have_text("Undo")
    panel.clock.run_for(60_000)
    panel.click(".toast button")
    expect(panel.locator("#latest li").first).to_have_text("The points are free again.")
    assert service.journal.open_holds() == ()


def test_points_of_a_basket_that_was_given_up_are_not_undone_in_the_next_one(service: TillService, panel: Page):
    post(service, "/v1/quotes", quote(basket=GOODS))
    settled(service, panel)
    begin(panel, "spend")
    panel.fill("#f-points", "500")
    panel.click("#act-send")
    expect(panel.locator(".toast button")).to_have_text("Undo")
    # The POS says nothing of the first basket any more.
    post(service, "/v1/quotes", quote(quote_id="Q2", card=None, basket=GOODS))
    settled(service, panel)
    expect(panel.locator(".toast[data-stays]")).to_have_count(0)


def test_a_card_is_scanned_or_found_by_number_for_the_sale_at_hand(service: TillService, panel: Page):
    post(service, "/v1/quotes", quote(card=None, basket=GOODS))
    panel.keyboard.press("Alt+KeyC")
    panel.locator("#f-card").press_sequentially(CARD, delay=70)
    panel.keyboard.press("Enter")
    expect(panel.locator("#m-title")).to_have_text("Member …8903")
    chosen = requests.get(f"{service.url}/v1/choices", timeout=5).json()["chosen"]
    assert len(chosen["card"]) == 32
    assert chosen["points_to_spend"] == 0


def test_points_that_head_office_is_asked_for_can_be_spent_at_the_panel(service: TillService, panel: Page):
    offline = "offline: {sale_points: 1000, card_points: 2000, till_points: 5000}"
    service.cache.load_programme(read_programme(PROGRAMME.replace(offline, "online: true")))
    till, asked = service.desk.till, []

    def ask(hold_id: str, account_id: int, points: int, partial: bool) -> LeaseAnswer:
        asked.append(points)
        return LeaseAnswer(
            key_no=1, answers="0" * 64, server_at_ms=0, request_id="", granted=0, available=400,
            refused="redemption.not_enough_points",
        )  # fmt: skip

    till.ask_points, till.is_offline = ask, lambda: False
    post(service, "/v1/quotes", quote(basket=GOODS))
    settled(service, panel)
    expect(panel.locator("#facts")).to_contain_text("Head office is asked first")
    begin(panel, "spend")
    expect(panel.locator("#f-points")).to_have_value("1200")  # of 1,240, in hundreds
    panel.click("#act-send")
    expect(panel.locator("#act-problem")).to_contain_text("400")
    assert asked == [1200]


def test_a_lost_answer_is_asked_for_again_under_the_same_id(service: TillService, panel: Page):
    post(service, "/v1/receipts", commit(basket=GOODS))
    bodies = sent(panel, "/v1/returns")
    lost: list[int] = []

    def lose_the_first(route: Route) -> None:
        if not lost:
            route.fetch()  # the till hears it, and answers
            lost.append(1)
            route.abort()
        else:
            route.continue_()

    panel.route("**/v1/returns", lose_the_first)
    begin(panel, "return")
    panel.fill("#f-receipt", "R1")
    panel.click("#act-send")
    panel.check("#f-line2")
    panel.click("#act-send")
    expect(panel.locator("#slip-text")).to_contain_text("Sourdough loaf", timeout=10_000)
    expect(panel.locator("#latest li").first).to_contain_text("Hand out €3.45. Taken back: 68 points.")
    # 314 for the sum and 315 for doubling, each shared out: 345 of 3147 is 34 of either.
    assert len(bodies) == 2
    assert bodies[0] == bodies[1]
    left = requests.get(f"{service.url}/v1/returnable", params={"of": "R1"}, timeout=5).json()
    assert [line["left"] for line in left["lines"]] == ["2.000", "0.000", "2.000", "0.742"]


@pytest.mark.parametrize(
    ("quantity", "listed", "told"),
    [
        ("2", "Hand out €2.58.", "Hand out €2.58."),
        ("9", "Return: Only 2 of line 3 can still come back.", "Only 2 of line 3 can still come back."),
    ],
    ids=["done", "refused"],
)
def test_an_act_that_is_left_while_it_is_under_way_says_what_became_of_it_and_disturbs_no_other(
    service: TillService, panel: Page, quantity: str, listed: str, told: str
):
    post(service, "/v1/receipts", commit(basket=GOODS))
    held: list[Route] = []
    panel.route("**/v1/returns", lambda route: held.append(route))
    begin(panel, "return")
    panel.fill("#f-receipt", "R1")
    panel.click("#act-send")
    panel.check("#f-line3")
    panel.fill('[name="quantity3"]', quantity)
    with panel.expect_request("**/v1/returns"):
        panel.click("#act-send")
    panel.click("#act-close")
    expect(panel.locator("#act")).to_be_hidden()
    begin(panel, "copy")
    panel.fill("#f-receipt", "R9")
    with panel.expect_response("**/v1/returns"):
        held[0].continue_()
    expect(panel.locator(".toast span")).to_contain_text(told)
    expect(panel.locator("#latest li").first).to_contain_text(listed)
    # What was begun meanwhile stands as it was.
    expect(panel.locator("#act")).to_be_visible()
    expect(panel.locator("#act-problem")).to_be_hidden()
    expect(panel.locator("#act-send")).to_be_enabled()
    expect(panel.locator("#f-receipt")).to_have_value("R9")


def test_an_act_that_is_left_and_then_wants_a_supervisor_is_told_as_not_done(tmp_path: Path, open_page: OpenPage):
    hashed = hash_of_code("4711", b"s" * 16)
    service = start(tmp_path, approvals={"void": 0}, supervisors={"91": hashed})
    try:
        post(service, "/v1/receipts", commit(basket=GOODS))
        page = open_page(f"{service.url}/cashier")
        sign_in(page)
        held: list[Route] = []
        page.route("**/v1/receipts/R1/void", lambda route: held.append(route))
        begin(page, "void")
        page.fill("#f-receipt", "R1")
        with page.expect_request("**/v1/receipts/R1/void"):
            page.click("#act-send")
        page.click("#act-close")
        held[0].continue_()
        expect(page.locator(".toast span")).to_contain_text("supervisor")
        expect(page.locator("#override")).to_be_hidden()
    finally:
        service.stop()


def test_what_a_supervisor_must_approve_is_sent_again_with_the_approval(tmp_path: Path, open_page: OpenPage):
    hashed = hash_of_code("4711", b"s" * 16)
    service = start(tmp_path, approvals={"void": 0}, supervisors={"91": hashed})
    try:
        post(service, "/v1/receipts", commit(basket=GOODS))
        page = open_page(f"{service.url}/cashier")
        sign_in(page)
        begin(page, "void")
        page.fill("#f-receipt", "R1")
        page.click("#act-send")
        expect(page.locator("#o-why")).to_contain_text("This needs a supervisor. Call one;")
        page.fill("#o-who", "91")
        page.fill("#o-code", "0815")
        page.press("#o-code", "Enter")
        expect(page.locator("#o-problem")).to_contain_text("wrong")
        page.fill("#o-code", "4711")
        page.fill("#o-reason", "Rung up twice")
        page.press("#o-reason", "Enter")
        expect(page.locator("#latest li").first).to_contain_text("Receipt R1 is void. Hand out €31.47.")
    finally:
        service.stop()


BREAD, MUG = line(1, "bread", 250), line(2, "mug", 300)


def test_parked_here_and_resumed_the_basket_is_at_hand_again(service: TillService, panel: Page):
    post(service, "/v1/quotes", quote(basket=GOODS))
    begin(panel, "park")
    panel.fill("#f-note", "blue jacket")
    panel.click("#act-send")
    expect(panel.locator("#nosale")).to_be_visible()
    begin(panel, "resume")
    expect(panel.locator(".pick")).to_contain_text("blue jacket")
    panel.click("#act-send")
    expect(panel.locator("#row-total dd")).to_have_text("€31.47")
    assert requests.get(f"{service.url}/v1/parked", timeout=5).json()["parked"] == []


def test_a_basket_whose_parking_was_refused_is_parked_with_what_is_rung_up_by_the_next_try(
    service: TillService, panel: Page
):
    post(service, "/v1/quotes", quote(basket=basket(BREAD)))
    begin(panel, "park")
    panel.check("#f-anywhere")
    panel.click("#act-send")
    expect(panel.locator("#act-problem")).to_be_visible()  # there is no head office
    post(service, "/v1/quotes", quote(basket=basket(BREAD, MUG)))
    panel.uncheck("#f-anywhere")
    panel.click("#act-send")
    expect(panel.locator("#latest li").first).to_contain_text("Parked.")
    (parked,) = requests.get(f"{service.url}/v1/parked", timeout=5).json()["parked"]
    assert (parked["lines"], parked["amount_minor"]) == (2, 550)


def park_and_resume(service: TillService, panel: Page) -> None:
    post(service, "/v1/parked", {**quote(basket=GOODS, coupons=["C-1"]), "park_id": "P1", "note": "blue jacket"})
    begin(panel, "resume")
    panel.click("#act-send")


def test_a_resumed_basket_whose_card_is_refused_goes_on_without_it(service: TillService, panel: Page):
    def block_first(route: Route) -> None:
        if '"card":null' not in (route.request.post_data or ""):
            post(service, "/v1/cards", {"card_id": "K1", "what": "block", "card": CARD, "reason": "stolen"})
        route.continue_()

    panel.route("**/v1/quotes", block_first)
    park_and_resume(service, panel)
    expect(panel.locator("#latest li").first).to_have_text("Scan the card once more. Scan 1 code once more.")
    expect(panel.locator("#row-total dd")).to_have_text("€31.47")
    expect(panel.locator("#m-title")).to_have_text("No card yet")


@pytest.mark.parametrize("lost", ["**/v1/quotes", "**/resume"])
def test_a_resumed_basket_that_cannot_be_priced_can_be_resumed_again(service: TillService, panel: Page, lost: str):
    def refuse(route: Route) -> None:
        if lost == "**/resume":
            route.fetch()  # the till has done it, and its answer is lost
            return route.abort()
        return route.fulfill(status=409, json={"code": "basket.currency", "status": 409})

    panel.route(lost, refuse)
    park_and_resume(service, panel)
    expect(panel.locator("#act-problem")).to_be_visible(timeout=20_000)
    panel.click("#act-close")
    panel.unroute(lost)
    begin(panel, "resume")
    expect(panel.locator(".pick")).to_contain_text("blue jacket")
    panel.click("#act-send")
    expect(panel.locator("#latest li").first).to_have_text("Scan 1 code once more.")
    expect(panel.locator("#row-total dd")).to_have_text("€31.47")
    begin(panel, "resume")
    expect(panel.locator("#act-body .lead").first).to_have_text("Nothing is parked.")


def bring_back_for(service: TillService, panel: Page, new: dict[str, Any]) -> None:
    """An exchange for what is rung up, as far as its lines that come back."""
    post(service, "/v1/receipts", commit(basket=GOODS))
    post(service, "/v1/quotes", quote(quote_id="Q2", basket=basket(new)))
    begin(panel, "exchange")
    panel.fill("#f-receipt", "R1")
    panel.click("#act-send")


def test_an_exchange_takes_the_old_goods_and_sells_those_at_hand(service: TillService, panel: Page):
    post(service, "/v1/receipts", commit(basket=GOODS))
    post(service, "/v1/quotes", quote(quote_id="Q2"))  # beans 10.00 less a fifth, bread 2.50
    begin(panel, "exchange")
    panel.fill("#f-receipt", "R1")
    panel.click("#act-send")
    panel.check("#f-line2")
    panel.click("#act-send")
    # 10.50 for the new goods less 3.45 for the loaf.
    expect(panel.locator("#slip-list li")).to_have_text("The customer pays €7.05.")


def test_an_exchange_is_of_the_business_day_and_in_the_language_of_its_sale(service: TillService, panel: Page):
    post(service, "/v1/receipts", commit(basket=GOODS))
    post(service, "/v1/quotes", quote(quote_id="Q2", business_date="2026-03-04", channel="app", language="pl"))
    begin(panel, "exchange")
    panel.fill("#f-receipt", "R1")
    panel.click("#act-send")
    panel.check("#f-line2")
    panel.click("#act-send")
    expect(panel.locator("#slip-text")).to_contain_text("DOPŁATA")
    back, sale = (entry.event for entry in service.journal.entries_after(service.journal.head().seq - 2))
    assert [str(one.place.business_date) for one in (back, sale)] == ["2026-03-04"] * 2
    assert sale.place.channel == "app"


def test_an_exchange_sells_what_was_rung_up_while_its_lines_were_chosen_too(service: TillService, panel: Page):
    bring_back_for(service, panel, BREAD)
    panel.check("#f-line2")
    post(service, "/v1/quotes", quote(quote_id="Q2", basket=basket(BREAD, MUG)))
    panel.click("#act-send")
    # 5.50 for bread and mug less 3.45 for the loaf.
    expect(panel.locator("#slip-list li")).to_have_text("The customer pays €2.05.")


def test_an_exchange_that_was_refused_sells_what_is_rung_up_by_the_next_try(service: TillService, panel: Page):
    bring_back_for(service, panel, BREAD)
    panel.check("#f-line3")
    panel.fill('[name="quantity3"]', "9")
    panel.click("#act-send")
    expect(panel.locator("#act-problem")).to_contain_text("Only 2 of line 3 can still come back.")
    post(service, "/v1/quotes", quote(quote_id="Q2", basket=basket(BREAD, MUG)))
    panel.uncheck("#f-line3")
    panel.check("#f-line2")
    panel.click("#act-send")
    # 5.50 for bread and mug less 3.45 for the loaf.
    expect(panel.locator("#slip-list li")).to_have_text("The customer pays €2.05.")


def test_training_is_seen_and_counts_nowhere(service: TillService, panel: Page):
    begin(panel, "training")
    panel.click("#act-send")
    expect(panel.locator("#training")).to_have_text("Training")
    before = service.journal.head().seq
    post(service, "/v1/receipts", commit(basket=GOODS, training=True))
    begin(panel, "void")
    panel.fill("#f-receipt", "R1")
    panel.click("#act-send")
    expect(panel.locator("#latest li").first).to_contain_text("Receipt R1 is void.")
    begin(panel, "training")
    expect(panel.locator("#act-body .lead")).to_contain_text("Receipts 1")
    panel.click("#act-send")
    expect(panel.locator("#training")).to_be_hidden()
    assert service.journal.head().seq == before


def test_the_close_shows_where_the_pos_differs(service: TillService, panel: Page):
    post(service, "/v1/receipts", commit(basket=GOODS, business_date="2026-03-05"))
    begin(panel, "close")
    panel.fill("#f-businessDate", "2026-03-05")
    panel.fill("#f-receipts", "1")
    panel.fill("#f-net_minor", "30.00")
    panel.click("#act-send")
    expect(panel.locator("#slip-facts")).to_contain_text("€31.47")
    # The till has 31.47, the POS said 30.00.
    expect(panel.locator("#slip-list li").first).to_contain_text("1.47")


@pytest.mark.parametrize(("now", "day"), [("06T00:30", "05"), ("06T04:59", "05"), ("06T05:00", "06")])
def test_the_close_of_a_night_offers_the_day_that_was(service: TillService, panel: Page, now: str, day: str):
    at = f"2026-03-{now}:00.000+01:00"
    service.desk.screens.publish(lambda: msgspec.structs.replace(service.desk.blank_screen(), now=at))
    settled(service, panel)
    begin(panel, "close")
    expect(panel.locator("#f-businessDate")).to_have_value(f"2026-03-{day}")


def test_the_close_offers_the_day_that_it_is_though_nothing_was_shown_since_the_one_before(
    service: TillService, panel: Page
):
    now = ["2026-03-05T22:50:00.000+01:00"]
    service.desk.screens.publish(lambda: msgspec.structs.replace(service.desk.blank_screen(), now=now[0]))
    settled(service, panel)
    now[0] = "2026-03-06T22:00:00.000+01:00"
    begin(panel, "close")
    expect(panel.locator("#f-businessDate")).to_have_value("2026-03-06")


def test_a_member_joins_has_a_card_replaced_and_claims_a_receipt(service: TillService, panel: Page):
    welcoming(service)
    post(service, "/v1/receipts", commit(card=None, basket=GOODS, sold_at=None))  # today
    begin(panel, "enrol")
    # Terms may be noted on the customer's word, marketing never.
    expect(panel.locator("#act-body input[type=checkbox]")).to_have_count(1)
    panel.check("#f-terms0")
    panel.click("#act-send")
    number = panel.locator("#slip-facts dd").first.inner_text()
    assert re.fullmatch(r"20\d{11}", number)
    panel.click("#slip-close")
    begin(panel, "claim")
    panel.locator("#f-card").press_sequentially(number, delay=70)
    panel.fill("#f-receipt", "R1")
    panel.click("#act-send")
    expect(panel.locator("#latest li").first).to_contain_text("points will be added")
    begin(panel, "replace")
    panel.fill("#f-card", CARD)
    panel.click("#act-send")
    expect(panel.locator("#slip")).to_be_visible()
    expect(panel.locator("#slip-facts dd").first).to_have_text(re.compile(r"^20\d{11}$"))
    assert panel.locator("#slip-facts dd").first.inner_text() != number
    panel.click("#slip-close")
    refused = requests.post(f"{service.url}/v1/cards/identify", json={"card": CARD}, timeout=5)
    assert refused.json()["code"] == "card.blocked"


@pytest.mark.parametrize(
    ("act", "says"),
    [("balance", "1,869"), ("copy", "Sourdough loaf"), ("enrol", "New card"), ("replace", "Replace it"),
     ("claim", "Record printed"),
     ("certificate", "Code of the certificate"), ("consent", "Card: scan or type")],
)  # fmt: skip
def test_every_other_act_opens_by_its_key_and_closes_by_escape(service: TillService, panel: Page, act: str, says: str):
    keys = {"balance": "B", "copy": "Y", "enrol": "N", "replace": "T", "claim": "L", "certificate": "G", "consent": "O"}
    post(service, "/v1/receipts", commit(basket=GOODS))
    post(service, "/v1/cards/identify", {"card": CARD})
    settled(service, panel)
    panel.keyboard.press(f"Alt+Key{keys[act]}")
    expect(panel.locator("#act")).to_be_visible()
    if act == "balance":
        panel.click("#act-send")
        expect(panel.locator("#slip-facts")).to_contain_text(says)
    elif act == "copy":
        panel.fill("#f-receipt", "R1")
        panel.click("#act-send")
        expect(panel.locator("#slip-text")).to_contain_text(says)
    else:
        expect(panel.locator("#act-body")).to_contain_text(says)
    panel.keyboard.press("Escape")
    expect(panel.locator("dialog[open]")).to_have_count(0)


def test_signing_in_wants_the_pin_where_the_till_knows_one(tmp_path: Path, open_page: OpenPage):
    service = start(tmp_path, pos_token="s3cret", cashiers={"4": hash_of_code("2580", b"p" * 16)})
    try:
        page = open_page(f"{service.url}/cashier")
        page.fill("#in-who", "4")
        page.fill("#in-pin", "0000")
        page.press("#in-pin", "Enter")
        expect(page.locator("#in-problem")).to_contain_text("wrong")
        sign_in(page, pin="2580")
        cookie = page.context.cookies()[0]
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        page.click("#sign-out")
        expect(page.locator("#sign-in")).to_be_visible()
    finally:
        service.stop()


def test_after_a_restart_the_panel_asks_to_sign_in_again(tmp_path: Path, open_page: OpenPage):
    first = start(tmp_path, pos_token="s3cret", cashiers={"4": hash_of_code("2580", b"p" * 16)})
    page = open_page(f"{first.url}/cashier")
    sign_in(page, pin="2580")
    first.stop()
    second = start(
        tmp_path,
        port=int(first.url.rsplit(":", 1)[1]),
        pos_token="s3cret",
        cashiers={"4": hash_of_code("2580", b"p" * 16)},
    )
    try:
        expect(page.locator("#sign-in")).to_be_visible(timeout=20_000)
    finally:
        second.stop()


def test_a_panel_whose_session_is_over_asks_to_sign_in_again_at_the_next_act(tmp_path: Path, open_page: OpenPage):
    service = start(tmp_path, pos_token="s3cret", cashiers={"4": hash_of_code("2580", b"p" * 16)})
    try:
        page = open_page(f"{service.url}/cashier")
        sign_in(page, pin="2580")
        page.context.clear_cookies()  # as after four hours without use: the stream goes on, and nothing else
        begin(page, "balance")
        page.fill("#f-card", CARD)
        page.keyboard.press("Enter")
        expect(page.locator("#sign-in")).to_be_visible()
        sign_in(page, pin="2580")
    finally:
        service.stop()


def test_the_ninth_screen_asks_instead_of_listening_and_says_so(service: TillService, panel: Page):
    streams = [service.desk.screens.stream() for _ in range(7)]
    page = panel.context.new_page()
    page.goto(f"{service.url}/customer")
    post(service, "/v1/quotes", quote(basket=GOODS))
    expect(page.locator("#row-total dd")).to_have_text("€31.47", timeout=10_000)
    expect(page.locator("#full")).to_contain_text("Many screens are open.")
    assert len(streams) == 7


def test_a_panel_that_asks_hears_of_a_refused_card_too_and_once(service: TillService, open_page: OpenPage):
    streams = [service.desk.screens.stream() for _ in range(8)]
    page = open_page(f"{service.url}/cashier")
    sign_in(page)
    expect(page.locator("#full")).to_be_visible(timeout=15_000)
    service.readers.take(PaymentCard())
    toast = page.locator(".toast span")
    expect(toast).to_have_text("That is a payment card. Keep it for the payment terminal, and scan the member's card.")
    page.click(".toast .dismiss")
    with page.expect_response(lambda answer: "/v1/screen" in answer.url and answer.json()["notice"]["no"] == 1):
        pass  # it is told again, and not said again
    expect(toast).to_have_count(0)
    assert len(streams) == 8


def test_what_a_till_says_first_after_it_was_started_again_is_not_taken_for_what_it_said_before(
    tmp_path: Path, open_page: OpenPage
):
    first = start(tmp_path)
    page = open_page(f"{first.url}/cashier")
    sign_in(page)
    toast = page.locator(".toast span")
    first.readers.take(PaymentCard())
    expect(toast).to_contain_text("That is a payment card.")
    page.click(".toast .dismiss")
    first.stop()
    second = start(tmp_path, port=int(first.url.rsplit(":", 1)[1]))
    try:
        for _ in range(150):
            if second.desk.screens.count():
                break
            page.wait_for_timeout(100)
        second.readers.take(PaymentCard())
        expect(toast).to_contain_text("That is a payment card.")
    finally:
        second.stop()


def test_a_clock_that_is_wrong_is_said_in_place_of_a_line_that_is_down(service: TillService, panel: Page):
    desk, pill = service.desk, panel.locator("#offline")
    for is_untrusted, says in ((False, "Offline"), (True, "Offline: check the clock")):
        desk.is_offline, desk.is_untrusted = (lambda: True), (lambda said=is_untrusted: said)
        desk.screens.publish(desk.blank_screen)
        expect(pill).to_have_text(says)
    desk.is_offline = lambda: False
    desk.screens.publish(desk.blank_screen)
    expect(pill).to_be_hidden()


def test_a_button_says_what_it_does_and_an_act_asks_only_for_what_it_needs(service: TillService, panel: Page):
    post(service, "/v1/receipts", commit(basket=GOODS))
    begin(panel, "certificate")
    expect(panel.locator("#f-amountOn")).to_be_hidden()
    expect(panel.locator("#f-reason")).to_be_hidden()
    panel.select_option("#f-action", "top_up")
    expect(panel.locator("#f-amountOn")).to_be_visible()
    panel.select_option("#f-action", "block")
    expect(panel.locator("#f-amountOn")).to_be_hidden()
    expect(panel.locator("#f-reason")).to_be_visible()
    panel.keyboard.press("Escape")
    begin(panel, "resume")
    expect(panel.locator("#act-send")).to_be_hidden()  # nothing is parked
    expect(panel.locator("#act-close")).to_have_text("Close")
    panel.keyboard.press("Escape")
    begin(panel, "return")
    expect(panel.locator("#act-send")).to_have_text("Next")
    panel.fill("#f-receipt", "R1")
    panel.click("#act-send")
    expect(panel.locator("#act-send")).to_have_text("Take back")


def test_a_return_has_a_number_short_enough_to_be_typed_when_it_is_voided(service: TillService, panel: Page):
    post(service, "/v1/receipts", commit(card=None, basket=GOODS, sold_at=None))
    bodies = sent(panel, "/v1/returns")
    begin(panel, "return")
    panel.fill("#f-receipt", "R1")
    panel.click("#act-send")
    panel.check("#f-line2")
    panel.click("#act-send")
    expect(panel.locator("#slip-text")).to_be_visible()
    number = bodies[0]["return_id"]
    assert re.fullmatch(r"return-[0-9a-hjkmnp-tv-z]{10}", number)
    assert number in panel.locator("#slip-text").inner_text()
    panel.click("#slip-close")
    begin(panel, "void")
    panel.fill("#f-receipt", number)
    panel.check('input[name="what"][value="return"]')
    panel.click("#act-send")
    expect(panel.locator("#latest li").first).to_contain_text(f"Return {number} is void. The customer pays €3.45.")


def test_a_paid_sale_shows_its_record_where_its_lines_were(service: TillService, panel: Page):
    post(service, "/v1/quotes", quote(basket=GOODS))
    expect(panel.locator("#nosale")).to_be_hidden()
    said = post(service, "/v1/receipts", commit(basket=GOODS))
    record = service.desk.screens.now().record
    assert record and record in said["text"]
    expect(panel.locator("#nosale")).to_contain_text(f"PaidRecord {record}")
    expect(panel.locator("#facts dt").first).to_have_text("Earned")


@pytest.mark.parametrize("size", SIZES)
def test_what_can_be_spent_is_said_beside_the_total_and_never_over_it(
    service: TillService, open_page: OpenPage, size: str
):
    richer(service)
    panel = open_page(f"{service.url}/cashier?lang=ru", size)
    sign_in(panel)
    post(service, "/v1/quotes", quote(basket=GOODS))
    expect(panel.locator(".toast button")).to_have_text("Списать")
    total, said = panel.locator("#row-total").bounding_box(), panel.locator(".toast").bounding_box()
    assert total and said
    apart = total["y"] + total["height"] <= said["y"] or total["x"] + total["width"] <= said["x"]
    assert apart and total["y"] + total["height"] <= SIZES[size][1]


# Words of the acts that stand on two lines. A soft hyphen may part one, nothing else may.
TORN = """() => [...document.querySelectorAll(".act span")].flatMap(({ firstChild: text }) => {
  const top = (at) => {
    const range = document.createRange();
    range.setStart(text, at);
    range.setEnd(text, at + 1);
    return Math.round([...range.getClientRects()].at(-1).top);
  };
  const words = [...text.data.matchAll(/[^\\s\\u00ad-]+/g)];
  return words.filter(({ 0: word, index }) => top(index) !== top(index + word.length - 1)).map(([word]) => word);
})"""


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_of_an_act_is_torn(service: TillService, open_page: OpenPage, language: str):
    for text in ("", "big"):
        page = open_page(f"{service.url}/cashier?lang={language}&text={text}")
        sign_in(page)
        for name, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate(TORN) == [], name


@pytest.mark.parametrize("size", ["wall", "till", "desk"])
def test_no_act_is_left_over_in_a_row_of_its_own(service: TillService, open_page: OpenPage, size: str):
    page = open_page(f"{service.url}/cashier", size)
    sign_in(page)
    # Either four rows of four, or the last one as wide as the rows above it.
    edges = "() => [...document.querySelectorAll('.act')].map((one) => Math.round(one.getBoundingClientRect().right))"
    rights = page.evaluate(edges)
    assert rights[-1] == max(rights)


def test_a_card_that_stands_in_its_field_is_taken_by_enter(service: TillService, panel: Page):
    post(service, "/v1/quotes", quote(basket=GOODS))
    settled(service, panel)
    panel.keyboard.press("Alt+KeyB")
    expect(panel.locator("#f-card")).to_have_value("…8903")
    panel.keyboard.press("Enter")
    expect(panel.locator("#s-title")).to_have_text("Balance …8903")


def test_what_is_missing_or_not_of_its_form_is_named_and_nothing_is_sent(service: TillService, panel: Page):
    welcoming(service)

    def with_names(route: Route) -> None:
        """As of a till that has a head office to seal to."""
        route.fulfill(json={**route.fetch().json(), "may_seal": True})

    panel.route("**/v1/enrolment*", with_names)
    asked = [sent(panel, path) for path in ("/v1/claims", "/v1/members")]
    begin(panel, "claim")
    panel.locator("#f-card").press_sequentially(CARD, delay=70)
    panel.keyboard.press("Enter")
    expect(panel.locator("#act-problem")).to_have_text("Fill in: Receipt number.")
    expect(panel.locator("#f-receipt")).to_be_focused()
    panel.keyboard.press("Escape")
    begin(panel, "enrol")
    panel.fill("#f-birthday", "31-12")
    panel.keyboard.press("Enter")
    expect(panel.locator("#act-problem")).to_have_text(
        "Check: Birthday, month and day. Month and day, such as 04-17. No year."
    )
    expect(panel.locator("#f-birthday")).to_be_focused()
    assert asked == [[], []]


def test_a_receipt_that_is_not_known_is_typed_again_in_the_same_step(service: TillService, panel: Page):
    post(service, "/v1/receipts", commit(basket=GOODS))
    begin(panel, "return")
    panel.fill("#f-receipt", "R-77")
    panel.keyboard.press("Enter")
    expect(panel.locator("#act-problem")).to_contain_text("This till does not know that receipt.")
    expect(panel.locator("#f-receipt")).to_be_focused()
    panel.fill("#f-receipt", "R1")
    panel.keyboard.press("Enter")
    expect(panel.locator("#f-line2")).to_be_visible()


def test_training_begins_and_ends_by_key_and_enter(panel: Page):
    for said in ("Training starts. Nothing counts from here.", "Training is over and forgotten."):
        panel.keyboard.press("Alt+KeyA")
        expect(panel.locator("#act-send")).to_be_focused()
        panel.keyboard.press("Enter")
        expect(panel.locator("#latest li").first).to_have_text(said)


def test_each_approval_begins_without_the_words_of_the_last(tmp_path: Path, open_page: OpenPage):
    service = start(tmp_path, approvals={"void": 0}, supervisors={"91": hash_of_code("4711", b"s" * 16)})
    try:
        page = open_page(f"{service.url}/cashier")
        sign_in(page)
        for number in ("R1", "R2"):
            post(service, "/v1/receipts", {**commit(basket=GOODS), "receipt_id": number})
            begin(page, "void")
            page.fill("#f-receipt", number)
            page.keyboard.press("Enter")
            expect(page.locator("#o-who")).to_be_focused()
            assert [page.input_value(f"#o-{name}") for name in ("who", "code", "reason")] == ["", "", ""]
            page.fill("#o-who", "91")
            page.fill("#o-reason", f"{number} rung up twice")
            page.fill("#o-code", "4711")
            page.keyboard.press("Enter")
            expect(page.locator("#latest li").first).to_contain_text(f"Receipt {number} is void.")
    finally:
        service.stop()


def test_fields_side_by_side_stand_on_one_line_with_hints_and_without(panel: Page):
    begin(panel, "certificate")
    panel.select_option("#f-action", "activate")
    # Both at one moment, for the dialog still rises while it opens.
    tops = "(names) => names.map((name) => document.getElementById(`f-${name}`).getBoundingClientRect().top)"
    choice, amount = panel.evaluate(tops, ["action", "amountOn"])
    assert abs(choice - amount) < 1


def test_a_field_for_date_and_time_leaves_its_neighbour_alone_and_on_a_phone_fields_stand_apart(panel: Page):
    begin(panel, "claim")
    panel.locator("summary").click()
    panel.wait_for_timeout(300)  # the dialog rises
    box = "(name) => { const {left, right, top, bottom} = document.getElementById(`f-${name}`).getBoundingClientRect();\
      return {left, right, top, bottom}; }"
    sold_at, total = panel.evaluate(box, "soldAt"), panel.evaluate(box, "total")
    assert total["left"] - sold_at["right"] > 8
    panel.set_viewport_size({"width": 390, "height": 844})
    label = "document.querySelector('label[for=f-tillName]').getBoundingClientRect().top"
    assert panel.evaluate(label) - panel.evaluate(box, "store")["bottom"] > 9


def test_figures_in_fields_are_written_as_the_language_writes_them(service: TillService, open_page: OpenPage):
    post(service, "/v1/receipts", commit(basket=GOODS))
    page = open_page(f"{service.url}/cashier?lang=pl")
    sign_in(page)
    bodies = sent(page, "/v1/returns")
    begin(page, "return")
    page.fill("#f-receipt", "R1")
    page.click("#act-send")
    expect(page.locator('[name="quantity4"]')).to_have_value("0,742")
    expect(page.locator('[name="amount4"]')).to_have_value("11,06")
    page.fill('[name="quantity4"]', "0,371")
    expect(page.locator('[name="amount4"]')).to_have_value("5,53")
    page.check("#f-line4")
    page.click("#act-send")
    expect(page.locator("#slip-text")).to_be_visible()
    assert bodies[0]["lines"] == [{"line": 4, "quantity": "0.371", "amount_minor": 553}]


def test_a_balance_names_tiers_as_customers_do_and_has_the_money_of_its_slip(service: TillService, panel: Page):
    begin(panel, "balance")
    panel.locator("#f-card").press_sequentially(CARD, delay=70)
    panel.click("#act-send")
    # 1,000.00 less 870.00; 5.00 in the wallet, and no certificate.
    expect(panel.locator("#slip-facts")).to_contain_text("Next tierGold: €130.00")
    expect(panel.locator("#slip-facts")).to_contain_text("Certificates and wallet€5.00")


def test_a_card_that_takes_the_place_of_another_is_said_in_the_language_of_the_panel(
    service: TillService, open_page: OpenPage
):
    richer(service)
    page = open_page(f"{service.url}/cashier?lang=pl")
    sign_in(page)
    post(service, "/v1/quotes", quote(basket=GOODS))
    settled(service, page)
    page.keyboard.press("Alt+KeyC")
    page.locator("#f-card").press_sequentially(STRANGER, delay=70)
    page.keyboard.press("Enter")
    expect(page.locator("#latest")).to_contain_text("Karta …9998 zamiast …8903: punkty z tej sprzedaży trafią na nią.")


def test_what_needs_head_office_is_refused_once_and_at_once(service: TillService, panel: Page):
    asked = sent(panel, "/v1/members/find")
    begin(panel, "card")
    panel.fill("#f-phone", "+44 131 496 0188")
    panel.keyboard.press("Enter")
    expect(panel.locator("#act-problem")).to_contain_text("Head office cannot be asked now. Ask for the card,")
    assert len(asked) == 1


def test_where_nothing_can_be_spent_it_is_said_and_nothing_asked(service: TillService, panel: Page):
    panel.keyboard.press("Alt+KeyP")
    expect(panel.locator("#act-body")).to_have_text("Ask for the card before payment. Scan it at any time.")
    expect(panel.locator("#act-send")).to_be_hidden()
    panel.keyboard.press("Enter")  # the button to close has the caret
    post(service, "/v1/quotes", quote(card=STRANGER, basket=GOODS))
    settled(service, panel)
    panel.keyboard.press("Alt+KeyP")
    expect(panel.locator("#act-body")).to_have_text("No points can be spent on this sale now.")
