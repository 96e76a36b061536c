"""The self-checkout in a real browser: by touch, by keyboard alone, by scanner alone, with no dead end."""

import re
from pathlib import Path

import pytest
import requests
from playwright.sync_api import APIResponse, Page, Route, expect

from edge.counter import screens
from edge.service import TillService
from tests.browser.conftest import OpenPage
from tests.browser.counter import GOODS, LANGUAGES, SIZES, post, richer, settled, sign_in, start, welcoming
from tests.edge.rim import CARD, PAYMENT, STRANGER, commit, quote
from tests.support.reader_keys import burst

pytestmark = pytest.mark.browser


# Devices: kiosk text of 16 CSS pixels at least.
SMALL = """() => [...document.querySelectorAll('body *')]
  .filter((one) => one.checkVisibility() && !one.closest('.sr'))
  .filter((one) => [...one.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim()))
  .filter((one) => parseFloat(getComputedStyle(one).fontSize) < 15.99)
  .map((one) => `${one.tagName} ${one.id}: ${getComputedStyle(one).fontSize}`)"""


def at(page: Page, step: str) -> None:
    """The page stands at a step, and shows that one alone."""
    expect(page.locator("body")).to_have_attribute("data-step", step)
    assert page.locator("main > section:visible").count() == 1


def scan(page: Page, text: str) -> None:
    """As a reader types: all at once, and Enter."""
    page.wait_for_function("() => window.drawn !== undefined")
    burst(page, text)


def test_by_touch_from_the_first_page_to_thanks(service: TillService, open_page: OpenPage):
    richer(service)
    page = open_page(f"{service.url}/kiosk")
    at(page, "start")
    page.click("#begin")
    at(page, "card")
    page.click("#to-key")
    for digit in CARD:
        page.click(f'#keypad [data-sign="{digit}"]')
    page.click("#key-form button[type=submit]")
    at(page, "member")
    expect(page.locator("#m-balance")).to_have_text("Balance 1,240 points")
    expect(page.locator("#offers li").first).to_have_text("Yours until 15 January 2030: A free coffee")
    page.click("#shop")
    at(page, "sale")
    expect(page.locator("#empty")).to_be_visible()
    post(service, "/v1/quotes", quote(basket=GOODS))
    expect(page.locator("#lines li")).to_have_count(4)
    # 17.98 less a fifth (3.60, rounded half up), 3.45, 2.58 and 11.06.
    expect(page.locator("#row-total dd")).to_have_text("€31.47")
    page.click("#to-spend")
    at(page, "spend")
    expect(page.locator("#spend-points")).to_have_text("1,000 points")
    page.click("#fewer")
    page.click("#fewer")
    expect(page.locator("#spend-worth")).to_have_text("worth €8.00 · €23.47 are left to pay")
    page.click("#spend-now")
    at(page, "sale")
    expect(page.locator("#row-total dd")).to_have_text("€23.47")
    chosen = requests.get(f"{service.url}/v1/choices", timeout=5).json()["chosen"]
    assert chosen["points_to_spend"] == 800
    post(
        service,
        "/v1/receipts",
        commit(basket=GOODS, **chosen),
    )
    at(page, "done")
    expect(page.locator("#d-earned")).to_contain_text("points earned")
    page.click("#finish")
    at(page, "start")
    assert CARD not in page.content()


def test_joining_asks_each_consent_by_itself_unticked_and_the_card_counts_at_once(
    service: TillService, open_page: OpenPage
):
    welcoming(service)
    page = open_page(f"{service.url}/kiosk")
    post(service, "/v1/quotes", quote(card=None, basket=GOODS))
    at(page, "sale")
    page.click("#to-card")
    page.click("#to-join")
    boxes = page.locator("#j-checks input")
    expect(boxes).to_have_count(2)
    assert [boxes.nth(n).is_checked() for n in range(2)] == [False, False]
    boxes.nth(1).check()
    page.click("#join-form button[type=submit]")
    at(page, "joined")
    # One of the till's numbers: EAN-13 of the programme's range, in groups of four.
    expect(page.locator("#new-number")).to_have_text(re.compile(r"^20\d\d\u2009\d{4}\u2009\d{4}\u2009\d$"))
    last4 = page.locator("#new-number").inner_text().replace("\u2009", "")[-4:]
    expect(page.locator("#confirm-codes li")).to_have_count(1)
    page.click("#joined-on")
    at(page, "sale")
    expect(page.locator("#card")).to_have_text(f"Card …{last4}")
    expect(page.locator("#earned")).to_have_text("+629")


def test_a_birthday_that_cannot_be_read_is_named_and_written_again(service: TillService, open_page: OpenPage):
    welcoming(service)
    page = open_page(f"{service.url}/kiosk")

    def with_names(route: Route) -> None:
        """As of a till that has a head office to seal to."""
        route.fulfill(json={**route.fetch().json(), "may_seal": True})

    page.route("**/v1/enrolment*", with_names)
    page.click("#begin")
    page.click("#to-join")
    page.fill("#j-birthday", "17.04")
    page.click("#join-form button[type=submit]")
    expect(page.locator("#join-problem")).to_have_text("Birthday: Month and day, such as 04-17. No year.")
    expect(page.locator("#j-birthday")).to_be_focused()
    at(page, "join")
    page.fill("#j-birthday", "")
    page.click("#join-form button[type=submit]")
    at(page, "joined")


def test_consents_are_asked_again_unticked_in_a_language_that_is_chosen_meanwhile(
    service: TillService, open_page: OpenPage
):
    welcoming(service)
    page = open_page(f"{service.url}/kiosk")
    page.click("#begin")
    page.click("#to-join")
    boxes, terms = page.locator("#j-checks input"), page.locator("#j-checks label").first
    expect(terms).to_have_text("I agree to the terms of the club.")
    boxes.nth(0).check()
    page.click('[data-language="ru"]')
    expect(terms).to_have_text("Согласие с правилами клуба.")
    expect(boxes.nth(0)).not_to_be_checked()
    boxes.nth(1).check()
    with page.expect_request(lambda asked: asked.url.endswith("/v1/members")) as joining:
        page.click("#join-form button[type=submit]")
    at(page, "joined")
    body = joining.value.post_data_json
    assert (body["language"], [one["purpose"] for one in body["consents"]]) == ("ru", ["marketing"])


def test_who_has_joined_sees_the_number_and_joins_once_though_the_card_cannot_be_laid_against_the_sale(
    service: TillService, open_page: OpenPage
):
    welcoming(service)
    page = open_page(f"{service.url}/kiosk")
    refused = {"code": "page.too_fast", "detail": "That was very quick.", "status": 429}
    page.route("**/v1/choices", lambda route: route.fulfill(status=429, json=refused))
    post(service, "/v1/quotes", quote(card=None, basket=GOODS))
    at(page, "sale")
    page.click("#to-card")
    page.click("#to-join")
    expect(page.locator("#j-checks input")).to_have_count(2)
    page.click("#join-form button[type=submit]")
    at(page, "joined")
    expect(page.locator("#new-number")).to_have_text(re.compile(r"^20\d\d\u2009\d{4}\u2009\d{4}\u2009\d$"))
    expect(page.locator("#toast")).to_be_visible()
    # One of three numbers is gone.
    assert requests.get(f"{service.url}/v1/enrolment", timeout=5).json()["numbers_left"] == 2


def test_what_was_agreed_to_is_shown_and_taken_back_in_one_step(service: TillService, open_page: OpenPage):
    welcoming(service)
    page = open_page(f"{service.url}/kiosk")
    scan(page, CARD)
    at(page, "member")
    page.click("#to-mine")
    rows = page.locator("#agreements li")
    expect(rows).to_have_count(2)
    expect(rows.nth(0).locator("small")).to_have_text("Not agreed")
    rows.nth(0).get_by_role("button", name="I agree").click()
    expect(rows.nth(0).locator("small")).to_contain_text("Agreed ")
    rows.nth(1).get_by_role("button", name="I agree").click()
    expect(rows.nth(1).locator("small")).to_have_text("Enter the printed code to confirm")
    rows.nth(0).get_by_role("button", name="Withdraw").click()
    expect(rows.nth(0).locator("small")).to_have_text("Not agreed")
    stands = requests.get(f"{service.url}/v1/consents", params={"card": CARD}, timeout=5).json()["consents"]
    assert {(one["purpose"], one["state"], one["asked_on"]) for one in stands} == {
        ("terms", "withdrawn", "kiosk"), ("marketing", "to_confirm", "kiosk"),
    }  # fmt: skip
    page.click("#mine-on")
    at(page, "member")


def test_a_consent_that_is_to_be_confirmed_comes_with_its_code(service: TillService, open_page: OpenPage):
    welcoming(service)
    page = open_page(f"{service.url}/kiosk")
    scan(page, CARD)
    at(page, "member")
    page.click("#to-mine")
    row = page.locator("#agreements li").nth(1)
    row.get_by_role("button", name="I agree").click()
    code = row.locator("b").inner_text()
    assert re.fullmatch(r"\w{4} [\w ]+", code)
    page.fill("#confirm-marketing-email", code)
    row.locator("form button").click()
    expect(row.locator("small")).to_contain_text("Agreed ")
    expect(row.locator("b")).to_have_count(0)


def test_who_has_gone_on_is_not_taken_back_by_a_late_answer(service: TillService, open_page: OpenPage):
    welcoming(service)
    page = open_page(f"{service.url}/kiosk")

    def late(route: Route) -> None:
        answer = route.fetch()
        at(page, "member")  # by the stream
        page.click("#to-mine")
        route.fulfill(response=answer)

    page.route("**/v1/choices", late)
    with page.expect_response("**/v1/choices"):
        scan(page, CARD)
    expect(page.locator("#agreements li")).to_have_count(2)
    page.wait_for_timeout(200)
    at(page, "mine")


def test_by_scanner_alone_nothing_has_to_be_touched(service: TillService, open_page: OpenPage):
    page = open_page(f"{service.url}/kiosk")
    at(page, "start")
    scan(page, CARD)
    at(page, "member")
    post(service, "/v1/quotes", quote(basket=GOODS))
    at(page, "sale")
    expect(page.locator("#earned")).to_have_text("+629")
    scan(page, STRANGER)
    expect(page.locator("#toast")).to_have_text("Another card was scanned. It counts from now on.")
    post(service, "/v1/receipts", commit(basket=GOODS))
    at(page, "done")
    scan(page, CARD)
    at(page, "member")


def test_goods_scanned_into_the_page_go_on_to_the_pos(service: TillService, open_page: OpenPage):
    page = open_page(f"{service.url}/kiosk")
    at(page, "start")
    scan(page, "4006381333931")
    page.wait_for_function(
        "async () => (await (await fetch('/v1/choices?for=kiosk')).json()).codes?.[0] === '4006381333931'"
    )
    at(page, "start")


def test_a_payment_card_is_said_to_be_one_and_stands_nowhere(service: TillService, open_page: OpenPage):
    page = open_page(f"{service.url}/kiosk")
    page.click("#begin")
    scan(page, PAYMENT)
    expect(page.locator("#toast")).to_have_text("That is a payment card. Keep it for the payment terminal.")
    assert PAYMENT not in page.content()


def test_with_the_keyboard_alone(service: TillService, open_page: OpenPage):
    page = open_page(f"{service.url}/kiosk")

    def reach(selector: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("(selector) => document.activeElement?.matches(selector)", selector):
                return
        raise AssertionError(f"Tab never came to {selector}")

    reach("#begin")
    page.keyboard.press("Enter")
    at(page, "card")
    reach("#to-key")
    page.keyboard.press("Enter")
    page.keyboard.type(CARD, delay=70)
    page.keyboard.press("Enter")
    at(page, "member")
    post(service, "/v1/quotes", quote(basket=GOODS))
    at(page, "sale")
    reach("#to-spend")
    page.keyboard.press("Enter")
    reach("#spend-range")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#spend-points")).to_have_text("900 points")
    page.keyboard.press("Escape")
    at(page, "sale")
    reach("#help")
    page.keyboard.press("Enter")
    expect(page.locator("#help-dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help-dialog")).to_be_hidden()


def test_a_time_out_is_seen_and_heard_gives_more_time_and_leaves_nothing(service: TillService, open_page: OpenPage):
    page = open_page(f"{service.url}/kiosk?theme=light")
    page.clock.install(time="2026-03-05T12:00:00")
    page.goto(f"{service.url}/kiosk?theme=light")
    page.wait_for_function("() => window.drawn !== undefined")
    page.click("#begin")
    page.click("#big-text")
    page.click("#to-key")
    page.clock.pause_at("2026-03-05T12:00:50")
    page.fill("#keyed", "2012")
    page.clock.run_for(59_000)
    expect(page.locator("#rest-dialog")).to_be_hidden()
    page.clock.run_for(2_000)
    expect(page.locator("#rest-dialog")).to_be_visible()
    expect(page.locator("#urgent")).to_contain_text("Are you still there? This page starts over in 30 seconds.")
    # No less than twenty seconds to answer in: EN 301 549 9.2.2.1.
    page.clock.run_for(25_000)
    expect(page.locator("#rest-text")).to_have_text("This page starts over in 4 seconds.")
    page.click("#rest-more")
    at(page, "key")
    assert page.input_value("#keyed") == "2012"
    page.clock.run_for(95_000)
    at(page, "start")
    assert page.input_value("#keyed") == ""
    assert page.locator("html").get_attribute("data-text") is None


def test_who_walks_away_leaves_neither_card_nor_points_behind(service: TillService, open_page: OpenPage):
    richer(service)
    page = open_page(f"{service.url}/kiosk")
    page.clock.install(time="2026-03-05T12:00:00")
    page.goto(f"{service.url}/kiosk")
    scan(page, CARD)
    at(page, "member")
    post(service, "/v1/quotes", quote(card=None, basket=GOODS))
    at(page, "sale")
    page.click("#to-card")
    scan(page, CARD)
    page.click("#to-spend")
    page.click("#spend-now")
    at(page, "sale")
    assert [hold.points for hold in service.journal.open_holds()] == [1000]
    page.clock.run_for(95_000)
    at(page, "start")
    expect(page.locator("#card")).to_be_hidden()
    page.wait_for_function("async () => (await (await fetch('/v1/screen?for=kiosk')).json()).has_card === false")
    asked = requests.get(f"{service.url}/v1/choices", timeout=5).json()
    assert asked["chosen"] == {"card": None, "points_to_spend": 0, "hold_id": None, "language": None}
    page.wait_for_function("() => window.drawn !== undefined")
    assert service.journal.open_holds() == ()
    # The basket is the POS's: what more it rings up is shown again, to whoever stands there.
    at(page, "start")
    post(service, "/v1/quotes", quote(card=None))
    at(page, "sale")
    expect(page.locator("#points")).to_be_hidden()


def test_after_thanks_nothing_of_one_customer_is_shown_to_the_next(service: TillService, open_page: OpenPage):
    welcoming(service)
    page = open_page(f"{service.url}/kiosk")
    post(service, "/v1/receipts", commit(basket=GOODS))
    at(page, "done")
    page.click("#finish")
    at(page, "start")
    page.click("#begin")
    page.click("#to-join")
    at(page, "join")
    expect(page.locator("#card")).to_be_hidden()
    page.click("#back")
    page.click("#to-sale")
    at(page, "sale")
    expect(page.locator("#row-total dd")).to_have_text("€0.00")
    expect(page.locator("#points")).to_be_hidden()


# A voice of the machine's own, in a language that no page speaks.
VOICE = "speechSynthesis.getVoices = () => [{localService: true, lang: 'xx'}]"


def test_whoever_has_gone_leaves_the_next_no_letters_no_voice_no_help_no_undo_and_no_card(
    service: TillService, open_page: OpenPage
):
    richer(service)
    panel, page = open_page(f"{service.url}/cashier"), open_page(f"{service.url}/kiosk")
    sign_in(panel)
    page.add_init_script(VOICE)
    page.reload()
    page.wait_for_function("() => window.ready")
    letters, voice = page.locator("#big-text"), page.locator("#aloud")

    def comfort() -> list[str | None]:
        return [one.get_attribute("aria-pressed") for one in (letters, voice)]

    def turn_on() -> None:
        for one in (letters, voice):
            if one.get_attribute("aria-pressed") == "false":
                one.click()

    post(service, "/v1/quotes", quote(basket=GOODS))
    at(page, "sale")
    turn_on()
    post(service, "/v1/receipts", commit(basket=GOODS))
    at(page, "done")
    assert comfort() == ["true", "true"]  # to read the thanks with
    post(service, "/v1/quotes", quote(quote_id="Q2", basket=GOODS))
    at(page, "sale")
    after_thanks = comfort()

    turn_on()
    settled(service, panel)
    panel.click('[data-act="spend"]')
    panel.fill("#f-points", "500")
    panel.click("#act-send")
    expect(panel.locator(".toast button")).to_have_text("Undo")
    answers: list[tuple[Route, APIResponse]] = []
    page.route("**/v1/cards/identify", lambda route: answers.append((route, route.fetch())))
    page.click("#help")
    with page.expect_request("**/v1/cards/identify"):
        scan(page, STRANGER)
    page.wait_for_timeout(300)
    post(service, "/v1/parked", {**quote(quote_id="Q2", basket=GOODS), "park_id": "P1", "cashier": "4"})
    at(page, "start")
    expect(panel.locator("body")).to_have_attribute("data-phase", "idle")
    route, answer = answers[0]
    route.fulfill(response=answer)
    page.wait_for_timeout(300)
    left = {
        "help": page.locator("#help-dialog").is_visible(),
        "undo": panel.locator(".toast").count(),
        "card": requests.get(f"{service.url}/v1/choices", timeout=5).json()["chosen"],
    }
    assert (after_thanks, comfort(), left) == (
        ["false", "false"], ["false", "false"], {"help": False, "undo": 0, "card": None},
    )  # fmt: skip


def test_what_was_typed_and_ticked_before_paying_is_not_there_for_the_next_customer(
    service: TillService, open_page: OpenPage
):
    welcoming(service)
    page = open_page(f"{service.url}/kiosk")

    def with_names(route: Route) -> None:
        """As of a till that has a head office to seal to."""
        route.fulfill(json={**route.fetch().json(), "may_seal": True})

    page.route("**/v1/enrolment*", with_names)
    boxes, names = page.locator("#j-checks input"), ("name", "phone", "email")
    post(service, "/v1/quotes", quote(card=None, basket=GOODS))
    at(page, "sale")
    page.click("#to-card")
    page.click("#to-join")
    expect(boxes).to_have_count(2)
    boxes.nth(1).check()
    for name, text in zip(names, ("Ana", "0131 496 0188", "ana@example.com"), strict=True):
        page.fill(f"#j-{name}", text)
    post(service, "/v1/receipts", commit(card=None, basket=GOODS))
    at(page, "done")
    # The next one touches nothing: goods are rung up.
    post(service, "/v1/quotes", quote(quote_id="Q2", card=None, basket=GOODS))
    at(page, "sale")
    expect(boxes).to_have_count(0)
    page.click("#to-card")
    page.click("#to-join")
    expect(boxes).to_have_count(2)
    assert [boxes.nth(n).is_checked() for n in range(2)] == [False, False]
    assert [page.input_value(f"#j-{name}") for name in names] == ["", "", ""]


def test_whose_basket_was_given_up_is_forgotten_with_the_first_line_of_the_next(
    service: TillService, open_page: OpenPage
):
    welcoming(service)
    page = open_page(f"{service.url}/kiosk")
    post(service, "/v1/quotes", quote(basket=GOODS))
    at(page, "sale")
    page.click('[data-language="pl"]')
    scan(page, CARD)
    page.evaluate("document.getElementById('to-mine').click()")
    at(page, "mine")
    expect(page.locator("#agreements li")).not_to_have_count(0)
    # The POS says nothing of the first basket any more.
    post(service, "/v1/quotes", quote(quote_id="Q2", card=None, basket=GOODS))
    at(page, "sale")
    expect(page.locator("#agreements li")).to_have_count(0)
    assert page.locator("html").get_attribute("lang") == "en"


def test_a_sale_that_is_paid_late_takes_nothing_from_whoever_came_next(service: TillService, open_page: OpenPage):
    welcoming(service)
    page = open_page(f"{service.url}/kiosk")
    post(service, "/v1/quotes", quote(card=None, basket=GOODS))
    at(page, "sale")
    post(service, "/v1/quotes", quote(quote_id="Q2", card=None, basket=GOODS))
    settled(service, page)
    page.click('[data-language="pl"]')
    page.click("#to-card")
    page.click("#to-join")
    boxes = page.locator("#j-checks input")
    expect(boxes).to_have_count(2)
    boxes.nth(0).check()
    post(service, "/v1/receipts", commit(card=None, basket=GOODS))
    post(service, "/v1/quotes", quote(quote_id="Q2", card=None, basket=GOODS))
    settled(service, page)
    at(page, "join")
    assert (boxes.nth(0).is_checked(), page.locator("html").get_attribute("lang")) == (True, "pl")


def test_whoever_paid_late_is_forgotten_though_the_next_basket_is_rung_up(service: TillService, open_page: OpenPage):
    welcoming(service)
    page = open_page(f"{service.url}/kiosk")
    post(service, "/v1/quotes", quote(card=None, basket=GOODS))
    at(page, "sale")
    page.click('[data-language="pl"]')
    page.click("#to-card")
    page.click("#to-join")
    expect(page.locator("#j-checks input")).to_have_count(2)
    post(service, "/v1/quotes", quote(quote_id="Q2", card=None, basket=GOODS))
    post(service, "/v1/receipts", commit(card=None, basket=GOODS))
    at(page, "sale")
    expect(page.locator("#j-checks input")).to_have_count(0)
    assert page.locator("html").get_attribute("lang") == "en"
    assert service.desk.screens.now().phase == "sale"


def test_a_number_that_comes_after_the_sale_was_paid_is_not_shown_to_the_next_customer(
    service: TillService, open_page: OpenPage
):
    welcoming(service)
    page = open_page(f"{service.url}/kiosk")
    held: list[Route] = []
    page.route("**/v1/members", lambda route: held.append(route))
    post(service, "/v1/quotes", quote(card=None, basket=GOODS))
    at(page, "sale")
    page.click("#to-card")
    page.click("#to-join")
    expect(page.locator("#j-checks input")).to_have_count(2)
    with page.expect_request("**/v1/members"):
        page.click("#join-form button[type=submit]")
    post(service, "/v1/receipts", commit(card=None, basket=GOODS))
    at(page, "done")
    post(service, "/v1/quotes", quote(quote_id="Q2", card=None, basket=GOODS))
    at(page, "sale")
    with page.expect_response("**/v1/members") as joined:
        held[0].continue_()
    assert joined.value.ok
    page.wait_for_timeout(300)
    at(page, "sale")
    expect(page.locator("#new-number")).to_have_text("")
    assert service.desk.screens.now().has_card is False


def test_an_agreement_that_is_answered_after_the_sale_was_paid_is_not_shown_to_the_next_customer(
    service: TillService, open_page: OpenPage
):
    welcoming(service)
    page = open_page(f"{service.url}/kiosk")
    held: list[Route] = []
    page.route("**/v1/consents", lambda route: held.append(route))
    scan(page, CARD)
    at(page, "member")
    page.click("#to-mine")
    with page.expect_request("**/v1/consents"):
        page.locator("#agreements li").nth(0).get_by_role("button", name="I agree").click()
    post(service, "/v1/receipts", commit(basket=GOODS))
    at(page, "done")
    post(service, "/v1/quotes", quote(quote_id="Q2", card=None, basket=GOODS))
    at(page, "sale")
    with page.expect_response("**/v1/consents") as agreed:
        held[0].continue_()
    assert agreed.value.ok
    page.wait_for_timeout(300)
    at(page, "sale")
    expect(page.locator("#agreements li")).to_have_count(0)


def test_what_the_till_has_forgotten_leaves_display_and_panel_but_nobody_who_reads_the_kiosk(
    service: TillService, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(screens, "FORGOTTEN_MS", 4_000)
    monkeypatch.setattr(screens, "HEARTBEAT_S", 0.2)
    display, panel, page = (open_page(f"{service.url}/{name}") for name in ("customer", "cashier", "kiosk"))
    sign_in(panel)
    scan(page, CARD)
    at(page, "member")
    expect(panel.locator("#m-title")).to_have_text("Member …8903")
    expect(display.locator("#welcome")).to_be_visible()
    expect(panel.locator("#m-title")).to_have_text("No card yet")
    # It asks before it starts over.
    at(page, "member")
    expect(page.locator("#m-balance")).to_have_text("Balance 1,240 points")
    # A basket without a card is the POS's alone.
    page.reload()
    post(service, "/v1/quotes", quote(card=None, basket=GOODS))
    at(page, "sale")
    at(page, "start")


def test_help_is_called_and_the_cashier_hears_of_it(service: TillService, open_page: OpenPage):
    panel = open_page(f"{service.url}/cashier")
    panel.fill("#in-who", "4")
    panel.press("#in-who", "Enter")
    panel.wait_for_function("() => window.drawn !== undefined")
    page = open_page(f"{service.url}/kiosk")
    page.click("#help")
    page.click("#call")
    expect(page.locator("#called")).to_have_text("Somebody is on the way.")
    expect(panel.locator(".toast")).to_contain_text("A customer at the self-checkout asks for help.")


def test_a_call_for_help_is_not_lost_while_goods_are_rung_up(service: TillService, open_page: OpenPage):
    panel = open_page(f"{service.url}/cashier")
    sign_in(panel)
    post(service, "/v1/help", {})
    called = "A customer at the self-checkout asks for help. Go there."
    expect(panel.locator(".toast span")).to_have_text(called)
    post(service, "/v1/quotes", quote(card=None, basket=GOODS))  # of which the panel would say that no card is there
    settled(service, panel)
    expect(panel.locator(".toast span")).to_have_text(called)
    panel.click(".toast .dismiss")
    expect(panel.locator("#latest li").first).to_have_text(called)


def test_it_says_that_the_line_to_the_till_is_lost_and_heals(tmp_path: Path, open_page: OpenPage):
    first = start(tmp_path)
    page = open_page(f"{first.url}/kiosk")
    page.click("#begin")
    first.stop()
    expect(page.locator("#offline")).to_have_text("One moment, please", timeout=16_000)
    second = start(tmp_path, port=int(first.url.rsplit(":", 1)[1]))
    try:
        expect(page.locator("#offline")).not_to_have_text("One moment, please", timeout=16_000)
        post(second, "/v1/quotes", quote(basket=GOODS))
        expect(page.locator("body")).to_have_attribute("data-step", "sale", timeout=16_000)
    finally:
        second.stop()


def test_every_language_can_be_chosen_at_any_moment(service: TillService, open_page: OpenPage):
    richer(service)
    page = open_page(f"{service.url}/kiosk")
    post(service, "/v1/quotes", quote(basket=GOODS))
    at(page, "sale")
    seen = set()
    for language in LANGUAGES:
        page.click(f'[data-language="{language}"]')
        assert page.locator("html").get_attribute("lang") == language
        seen.add(page.locator("#to-spend").inner_text())
    assert len(seen) == 4
    assert "1\u00a0000 баллов" in " ".join(seen)


def test_the_language_of_the_customer_is_the_sales_down_to_its_slip_and_no_longer(
    service: TillService, open_page: OpenPage
):
    page = open_page(f"{service.url}/kiosk")
    html, said = page.locator("html"), page.locator("#messages li").first
    post(service, "/v1/quotes", quote(basket=GOODS))
    # A fifth off 17.98.
    expect(said).to_have_text("Coffee week: you save 3.60")
    page.click('[data-language="pl"]')
    expect(said).to_have_text("Tydzień kawy: 3,60 taniej")
    chosen = requests.get(f"{service.url}/v1/choices", timeout=5).json()["chosen"]
    slip = post(service, "/v1/receipts", commit(basket=GOODS, **chosen))["text"]
    assert "Oszczędzasz 3,60 EUR" in slip
    at(page, "done")
    assert html.get_attribute("lang") == "pl"
    # Who comes next, and presses nothing.
    post(service, "/v1/quotes", quote(quote_id="Q2", basket=GOODS))
    at(page, "sale")
    expect(said).to_have_text("Coffee week: you save 3.60")
    assert html.get_attribute("lang") == "en"
    assert requests.get(f"{service.url}/v1/choices", timeout=5).json()["chosen"] is None


def test_a_language_chosen_at_the_first_page_is_told_once_a_basket_begins_and_forgotten_with_its_customer(
    service: TillService, open_page: OpenPage
):
    page = open_page(f"{service.url}/kiosk")
    page.clock.install(time="2026-03-05T12:00:00")
    page.goto(f"{service.url}/kiosk")
    page.wait_for_function("() => window.drawn !== undefined")
    said = page.locator("#messages li").first
    page.click('[data-language="pl"]')
    post(service, "/v1/quotes", quote(card=None, basket=GOODS))
    at(page, "sale")
    expect(said).to_have_text("Tydzień kawy: 3,60 taniej")
    cursor = requests.get(f"{service.url}/v1/choices", timeout=5).json()["cursor"]
    # A POS that heard and has no use for it is not told again and again.
    requests.get(f"{service.url}/v1/choices?after={cursor}", timeout=5)
    post(service, "/v1/quotes", quote(card=None, basket=GOODS))
    expect(said).to_have_text("Coffee week: you save 3.60")
    assert requests.get(f"{service.url}/v1/choices", timeout=5).json()["cursor"] == cursor
    page.click('[data-language="ru"]')
    page.wait_for_function("async () => (await (await fetch('/v1/screen?for=kiosk')).json()).language === 'ru'")
    page.clock.run_for(95_000)
    at(page, "start")
    assert page.locator("html").get_attribute("lang") == "en"
    page.wait_for_function("async () => (await (await fetch('/v1/screen?for=kiosk')).json()).language === 'en'")
    # A language alone is something to forget, too; and no card goes with it that the POS reads now.
    page.click('[data-language="pl"]')
    page.wait_for_function("async () => (await (await fetch('/v1/screen?for=kiosk')).json()).language === 'pl'")
    page.clock.run_for(95_000)
    assert page.locator("html").get_attribute("lang") == "en"
    page.wait_for_function("async () => (await (await fetch('/v1/screen?for=kiosk')).json()).language === 'en'")
    post(service, "/v1/quotes", quote(basket=GOODS))
    told = requests.get(f"{service.url}/v1/choices", timeout=5).json()["chosen"]
    assert (len(told["card"]), told["language"]) == (32, None)


def test_no_step_runs_out_of_its_page_at_any_size(service: TillService, open_page: OpenPage):
    richer(service)
    page = open_page(f"{service.url}/kiosk?lang=ru", reduced_motion="reduce")
    page.wait_for_function("() => window.drawn !== undefined")

    def look() -> None:
        for name, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, (name, page.get_attribute("body", "data-step"))
            assert page.evaluate(SMALL) == [], name
            below = page.evaluate("document.querySelector('footer').getBoundingClientRect().bottom - innerHeight")
            assert below <= 1, name

    look()
    page.click("#begin")
    look()
    page.click("#to-key")
    look()
    post(service, "/v1/quotes", quote(basket=GOODS))
    page.keyboard.press("Escape")
    settled(service, page)
    look()
    page.click("#to-spend")
    look()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("size", ["phone", "desk"])
def test_what_is_looked_at_first_is_whole_though_the_line_is_down(
    service: TillService, open_page: OpenPage, size: str, language: str
):
    richer(service)
    service.desk.is_offline = lambda: True
    page = open_page(f"{service.url}/kiosk?lang={language}", size, reduced_motion="reduce")
    page.click("#begin")
    page.click("#to-key")
    page.fill("#keyed", "2037999")
    page.keyboard.press("Enter")
    expect(page.locator("#keyed-problem")).to_be_visible()
    expect(page.locator("#key-form button[type=submit]")).to_be_in_viewport(ratio=1)
    post(service, "/v1/quotes", quote(basket=GOODS))
    page.keyboard.press("Escape")
    at(page, "sale")
    settled(service, page)
    # The article that was rung up last, down to what it saves, and all above it that is not counted in words.
    whole = """() => { const list = document.getElementById("lines"), last = list.lastElementChild;
      return last.offsetTop + last.offsetHeight <= list.clientHeight ? last.firstElementChild.textContent : "cut" }"""
    assert page.evaluate(whole).startswith("Mature cheddar")
    if size == "desk":
        mark, help_ = page.locator("header .brand").bounding_box(), page.locator("header .comfort").bounding_box()
        assert mark and help_ and abs(mark["y"] + mark["height"] / 2 - help_["y"] - help_["height"] / 2) < 1
        assert mark["height"] < 50, "the name stands on two lines"


@pytest.mark.parametrize("language", LANGUAGES)
def test_on_a_phone_the_next_step_of_a_member_needs_no_scrolling(
    service: TillService, open_page: OpenPage, language: str
):
    richer(service)
    service.desk.is_offline = lambda: True
    page = open_page(f"{service.url}/kiosk?lang={language}", "phone", reduced_motion="reduce")
    post(service, "/v1/cards/identify", {"card": CARD})
    at(page, "member")
    box, foot = page.locator("#shop").bounding_box(), page.locator("footer").bounding_box()
    assert box and foot and box["y"] + box["height"] <= foot["y"]


def test_on_a_phone_the_button_to_spend_is_reached_and_on_a_totem_letters_grow(
    service: TillService, open_page: OpenPage
):
    richer(service)
    page = open_page(f"{service.url}/kiosk?lang=pl", reduced_motion="reduce")
    post(service, "/v1/quotes", quote(basket=GOODS))
    at(page, "sale")
    page.set_viewport_size({"width": 360, "height": 740})
    # Whole, and not cut off by the panel it stands on: its middle is what a finger there meets.
    hit = """() => { const button = document.getElementById("to-spend"); button.scrollIntoView({block: "center"});
      const box = button.getBoundingClientRect(), panel = button.closest(".figures").getBoundingClientRect();
      const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
      return box.bottom <= panel.bottom && button.contains(document.elementFromPoint(x, y)); }"""
    assert page.evaluate(hit)
    page.set_viewport_size(dict(zip(("width", "height"), SIZES["totem"], strict=True)))
    # 1.35 % of 1920 is 25.92; the letters of a till would be 15.
    assert page.evaluate("parseFloat(getComputedStyle(document.documentElement).fontSize)") == pytest.approx(25.92)


@pytest.mark.parametrize("size", ["till", "seven inches"])
def test_the_button_to_spend_stays_whole_with_large_letters(service: TillService, open_page: OpenPage, size: str):
    richer(service)
    page = open_page(f"{service.url}/kiosk?lang=pl&text=big", size)
    post(service, "/v1/quotes", quote(basket=GOODS))
    settled(service, page)
    button = page.locator("#to-spend").bounding_box()
    panel = page.locator("section[data-step=sale] .figures").bounding_box()
    assert button and panel and button["y"] + button["height"] <= panel["y"] + panel["height"]
