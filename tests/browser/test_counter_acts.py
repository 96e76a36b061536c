"""What else a cashier's day brings, from the first key to the slip: certificates, consents, cards, claims."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest
import requests
from playwright.sync_api import Page, expect

from edge.sale.approving import hash_of_code
from edge.sale.certificate_names import code_token
from edge.service import TillService
from loyalty.certificates import CertificateRow
from loyalty.programme.programme import read_programme
from sync.lanes import LaneState
from sync.wire import Page as LanePage
from tests.browser.conftest import OpenPage
from tests.browser.counter import (
    ASKED,
    GOODS,
    LANGUAGES,
    RICHER,
    begin,
    panel_of,
    post,
    richer,
    settled,
    sign_in,
    start,
    welcoming,
)
from tests.browser.test_kiosk import at, scan
from tests.edge.rim import CARD, PAYMENT, STRANGER, commit, quote
from tests.tallypoint.test_joined_in_clear import WHO
from tests.tallypoint.test_nothing_in_clear import ANNA, Shop, opened, sale

pytestmark = pytest.mark.browser
CODE, FRESH = "GC-7781-0042", "GC-9999-1111"
PIN = hash_of_code("4711", b"s" * 16)


@pytest.fixture
def panel(service: TillService, open_page: OpenPage) -> Page:
    welcoming(service)
    rules = (RICHER + ASKED).replace("wallet: true", "wallet: true, offline_minor: 4000")
    service.cache.load_programme(read_programme(rules))
    fifty = CertificateRow(code=code_token(service.identity.card_key, CODE), parts=((date(2099, 12, 31), 5_000),))
    service.cache.take_page(
        LanePage(lane="certificates", from_cursor="", to_cursor="1", version=1, more=False,
                 rows=(msgspec.Raw(msgspec.json.encode(fifty)),)), LaneState(cursor="1", version=1),
    )  # fmt: skip
    return panel_of(service, open_page)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with opened(tmp_path) as made:
        yield made


def certificate(page: Page, action: str, code: str = CODE, amount: str = "") -> None:
    begin(page, "certificate")
    page.fill("#f-code", code)
    page.select_option("#f-action", action)
    if amount:  # only what is paid for has one
        page.fill("#f-amountOn", amount)
    page.click("#act-send")


def claim(page: Page, receipt: str) -> None:
    begin(page, "claim")
    page.locator("#f-card").press_sequentially(CARD, delay=70)
    page.fill("#f-receipt", receipt)
    page.click("#act-send")


# Certificates


def test_a_certificate_is_asked_about_topped_up_and_blocked_with_a_slip_each(panel: Page):
    certificate(panel, "enquire")
    # There is no line: the programme lets a certificate pay 40.00 then.
    expect(panel.locator("#slip-list li")).to_have_text(
        "€50.00 is left on it. It can pay €40.00 here now; take the rest in another tender."
    )
    expect(panel.locator("#slip-facts")).to_contain_text("31 December 2099")
    expect(panel.locator("#slip-text")).to_contain_text("...0042")
    assert "7781" not in panel.locator("#slip").inner_text()
    panel.click("#slip-close")
    certificate(panel, "top_up", amount="12.50")
    expect(panel.locator("#slip-text")).to_contain_text("12.50")
    expect(panel.locator("#slip-list li")).to_contain_text("€62.50")
    panel.click("#slip-close")
    certificate(panel, "block")
    expect(panel.locator("#slip-list li")).to_have_text("It is blocked. Keep it, and offer the customer another one.")
    panel.click("#slip-close")
    certificate(panel, "top_up", amount="1.00")
    expect(panel.locator("#act-problem")).to_have_text(
        "This certificate is blocked. Keep it, and sell the customer another one."
    )


def test_a_certificate_that_is_sold_goes_onto_the_slip_whole_for_its_buyer(panel: Page):
    certificate(panel, "activate", FRESH, "twenty")
    expect(panel.locator("#act-problem")).to_have_text("Check: Amount. Type an amount such as 12.50.")
    panel.fill("#f-amountOn", "20")
    panel.click("#act-send")
    expect(panel.locator("#slip-text")).to_contain_text(FRESH)
    expect(panel.locator("#slip-list li")).to_contain_text("€20.00 is on it. What was paid now can pay once")
    panel.click("#slip-close")
    certificate(panel, "activate", FRESH, "20")
    expect(panel.locator("#act-problem")).to_have_text(
        "This certificate is active already. Ask how much is on it before you top it up."
    )


def test_a_certificate_scanned_at_the_panel_reaches_the_pos_and_pays(service: TillService, panel: Page):
    post(service, "/v1/quotes", quote(basket=GOODS))
    settled(service, panel)
    scan(panel, CODE)
    expect(panel.locator("dialog[open]")).to_have_count(0)
    panel.wait_for_function(f"async () => (await (await fetch('/v1/choices')).json()).codes.includes('{CODE}')")
    laid = [{"code": CODE, "amount_minor": 3147}]
    post(service, "/v1/quotes", quote(basket=GOODS, certificates=laid))
    expect(panel.locator("#row-stored dd")).to_have_text("€31.47")
    expect(panel.locator("#row-total dd")).to_have_text("€0.00")
    post(service, "/v1/receipts", commit(basket=GOODS, certificates=laid))
    certificate(panel, "enquire")
    # 50.00 less 31.47, and 40.00 less 31.47.
    expect(panel.locator("#slip-list li")).to_contain_text("€18.53 is left on it. It can pay €8.53 here now")


def test_a_payment_card_is_no_certificate(panel: Page):
    certificate(panel, "enquire", PAYMENT)
    expect(panel.locator("#act-problem")).to_contain_text("That is the number of a payment card.")
    panel.click("#act-close")
    assert PAYMENT not in panel.content()


def test_no_payment_card_stands_in_the_field_of_a_certificate_and_a_scan_that_no_field_takes_is_said_so(panel: Page):
    not_taken, said = "The scan was not taken. Close this window, then scan again.", []
    begin(panel, "certificate")
    scan(panel, PAYMENT)
    panel.wait_for_timeout(500)
    said.append((panel.input_value("#f-code"), panel.locator("#act-problem").inner_text()))
    scan(panel, CODE)
    expect(panel.locator("#f-code")).to_have_value(CODE)
    said.append(panel.locator("#act-problem").is_visible())
    panel.click("#act-send")
    expect(panel.locator("#slip-list li")).to_contain_text("€50.00 is left on it.")
    scan(panel, CARD)
    panel.wait_for_timeout(500)
    said.append(panel.locator("#slip").inner_text().count(not_taken))
    panel.click("#slip-close")
    begin(panel, "park")
    scan(panel, CARD)
    panel.wait_for_timeout(500)
    said.append((panel.input_value("#f-note"), panel.locator("#act-problem").inner_text()))
    assert said == [
        ("", "That is a payment card. Keep it for the payment terminal, and scan the member's card."),
        False,
        1,
        ("", not_taken),
    ]


# Consents


def test_a_cashier_withdraws_a_consent_and_cannot_give_one(service: TillService, panel: Page):
    for n, channel in enumerate(("", "email")):
        asked = {"consent_id": f"K-{n}", "card": CARD, "purpose": "marketing" if channel else "terms",
                 "channel": channel or "any", "version": "v1", "given": True, "asked_on": "kiosk"}  # fmt: skip
        offered = requests.get(f"{service.url}/v1/enrolment", timeout=5).json()["consents"]
        asked["channel"] = next(one["channel"] for one in offered if one["purpose"] == asked["purpose"])
        post(service, "/v1/consents", asked)
    begin(panel, "consent")
    panel.locator("#f-card").press_sequentially(CARD, delay=70)
    panel.click("#act-send")
    rows = panel.locator(".agreements li")
    expect(rows).to_have_count(2)
    rows.nth(0).get_by_role("button", name="Withdraw").click()
    expect(rows.nth(0).locator("small")).to_have_text("Not agreed")
    # Given back by the customer alone, elsewhere.
    expect(rows.nth(0).get_by_role("button")).to_have_count(0)
    expect(rows.nth(1).get_by_role("button")).to_have_text("Withdraw")
    panel.keyboard.press("Escape")
    stands = requests.get(f"{service.url}/v1/consents", params={"card": CARD}, timeout=5).json()["consents"]
    assert {(one["purpose"], one["state"]) for one in stands} == {("terms", "withdrawn"), ("marketing", "to_confirm")}


# Cards


def test_a_card_is_blocked_with_a_supervisor_and_then_refused_with_the_next_step(tmp_path: Path, open_page: OpenPage):
    service = start(tmp_path, approvals={"card_block": 0}, supervisors={"91": PIN})
    try:
        page = open_page(f"{service.url}/cashier?lang=pl")
        sign_in(page)
        begin(page, "replace")
        page.select_option("#f-what", "block")
        page.locator("#f-card").press_sequentially(CARD, delay=70)
        page.select_option("#f-reason", "stolen")
        page.click("#act-send")
        expect(page.locator("#o-why")).to_contain_text("Tu potrzebny jest kierownik.")
        page.fill("#o-who", "91")
        page.fill("#o-code", "4711")
        page.press("#o-code", "Enter")
        expect(page.locator("#latest li").first).to_contain_text("zaproponuj nową")
        post(service, "/v1/quotes", quote(card=None, basket=GOODS))
        settled(service, page)
        scan(page, CARD)
        # Whole, though it is longer than what a toast says otherwise.
        expect(page.locator(".toast span")).to_have_text(
            "Ta karta jest zablokowana. Sprzedaj bez niej, a uczestnika skieruj do obsługi klienta."
        )
    finally:
        service.stop()


def test_a_new_card_is_handed_over_with_its_slip(service: TillService, panel: Page):
    begin(panel, "replace")
    panel.locator("#f-card").press_sequentially(CARD, delay=70)
    panel.click("#act-send")
    number = panel.locator("#slip-facts dd").first.inner_text()
    assert re.fullmatch(r"20\d{11}", number)
    expect(panel.locator("#slip-text")).to_contain_text(re.sub(r"\s", "", number)[:4])
    expect(panel.locator("#slip-print")).to_be_visible()
    panel.click("#slip-close")
    begin(panel, "replace")
    panel.select_option("#f-what", "issue")
    panel.locator("#f-card").press_sequentially(number, delay=70)
    panel.click("#act-send")
    expect(panel.locator("#slip-facts dd").first).not_to_have_text(number)
    assert requests.post(f"{service.url}/v1/cards/identify", json={"card": number}, timeout=5).ok


def test_a_card_that_is_replaced_in_a_sale_gives_its_place_to_the_new_one(service: TillService, panel: Page):
    post(service, "/v1/quotes", quote(basket=GOODS))
    settled(service, panel)
    begin(panel, "replace")
    expect(panel.locator("#f-card")).to_have_value("…8903")
    panel.click("#act-send")
    number = panel.locator("#slip-facts dd").first.inner_text()
    panel.click("#slip-close")
    expect(panel.locator("#m-title")).to_have_text(f"Member …{number[-4:]}")
    expect(panel.locator("#m-points")).to_have_text("1,240")
    # The POS is told; with the old card its next quote would be refused.
    chosen = requests.get(f"{service.url}/v1/choices", timeout=5).json()["chosen"]
    assert post(service, "/v1/quotes", quote(basket=GOODS, card=chosen["card"]))["totals"]["points_earned"] == 629


@pytest.mark.parametrize("is_rung", [True, False])
def test_a_card_that_is_blocked_leaves_the_sale(service: TillService, panel: Page, is_rung: bool):
    if is_rung:
        post(service, "/v1/quotes", quote(basket=GOODS))
    else:
        post(service, "/v1/cards/identify", {"card": CARD})
    expect(panel.locator("#m-title")).to_have_text("Member …8903")
    settled(service, panel)
    begin(panel, "replace")
    panel.select_option("#f-what", "block")
    panel.click("#act-send")
    expect(panel.locator("#latest li").first).to_contain_text("The card is blocked.")
    expect(panel.locator("#m-title")).to_have_text("No card yet")
    expect(panel.locator("#card")).to_be_hidden()
    assert requests.get(f"{service.url}/v1/choices", timeout=5).json()["chosen"]["card"] is None


# Claims


def test_a_receipt_is_claimed_once_and_the_second_time_it_is_said_why(service: TillService, panel: Page):
    post(service, "/v1/receipts", commit(card=None, basket=GOODS, sold_at=None))  # today
    claim(panel, "R1")
    expect(panel.locator("#latest li").first).to_contain_text("629 points will be added when head office has checked")
    panel.locator("#latest li button").first.click()
    expect(panel.locator("#slip-text")).to_contain_text("R1")
    panel.click("#slip-close")
    claim(panel, "R1")
    expect(panel.locator("#act-problem")).to_contain_text("This receipt was claimed already. Each receipt earns once")
    panel.fill("#f-receipt", "R-unheard-of")
    panel.click("#act-send")
    expect(panel.locator("#act-problem")).to_contain_text("Open “Receipt of another till”")
    panel.locator("summary").click()
    for field, value in (("store", "dock"), ("tillName", "dock-1"), ("soldAt", "2026-03-05T12:00"), ("total", "1,50")):
        panel.fill(f"#f-{field}", value)
    panel.fill("#f-total", "one")
    panel.click("#act-send")
    expect(panel.locator("#act-problem")).to_have_text("Check: Total printed. Type an amount such as 12.50.")
    panel.fill("#f-total", "1,50")
    panel.fill("#f-soldAt", f"{datetime.now(tz=UTC).date()}T00:01")
    panel.click("#act-send")
    expect(panel.locator("#latest li").first).to_contain_text("Head office works the points out")


# Refusals in every language


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_refused_is_said_in_the_language_of_the_panel(
    service: TillService, open_page: OpenPage, language: str
):
    richer(service)
    said = {
        "en": "This till keeps no such receipt. Look for it at the till that sold it.",
        "pt-BR": "Este caixa não tem esse recibo. Procure no caixa que vendeu.",
        "ru": "На этой кассе такого чека нет. Ищите на кассе, где продавали.",
        "pl": "Ta kasa nie ma takiego potwierdzenia. Szukaj przy kasie, która sprzedała.",
    }
    page = open_page(f"{service.url}/cashier?lang={language}")
    sign_in(page)
    begin(page, "void")
    page.fill("#f-receipt", "R-nowhere")
    page.click("#act-send")
    expect(page.locator("#act-problem")).to_have_text(said[language])
    expect(page.locator("#act-behind")).to_be_hidden()


def test_words_that_codes_share_have_the_till_s_own_beneath(service: TillService, open_page: OpenPage):
    richer(service)
    page = open_page(f"{service.url}/cashier?lang=ru")
    sign_in(page)
    begin(page, "void")
    page.fill("#f-receipt", "R-1")
    page.route("**/void", lambda route: route.fulfill(
        status=400, content_type="application/problem+json",
        body='{"code": "request.unknown_field", "detail": "Object has no field x.", "status": 400}',
    ))  # fmt: skip
    page.click("#act-send")
    expect(page.locator("#act-problem")).to_have_text("Касса не приняла запрос. Проверьте поля и отправьте снова.")
    expect(page.locator("#act-behind")).to_have_text("Object has no field x. [request.unknown_field]")
    page.unroute("**/void")
    page.click("#act-send")
    expect(page.locator("#act-behind")).to_be_hidden()


# By telephone


def test_without_a_line_nobody_is_found_by_telephone_and_it_is_said_what_else(
    service: TillService, panel: Page, open_page: OpenPage
):
    begin(panel, "card")
    panel.fill("#f-phone", "+351933777111")
    panel.click("#act-send")
    expect(panel.locator("#act-problem")).to_have_text(
        "Head office cannot be asked now. Ask for the card, or sell without it and claim later.", timeout=20_000
    )
    kiosk = open_page(f"{service.url}/kiosk")
    kiosk.click("#begin")
    kiosk.click("#to-phone")
    kiosk.fill("#keyed", "+351933777111")
    kiosk.press("#keyed", "Enter")
    expect(kiosk.locator("#keyed-problem")).to_contain_text("There is no line to look you up.", timeout=20_000)


def test_a_member_is_found_by_telephone_at_the_panel_and_at_the_kiosk(shop: Shop, open_page: OpenPage):
    shop.wait(lambda: shop.ask("GET", "/v1/balance", card=ANNA).ok and not shop.service.uplink.is_offline())
    line = shop.service.counter_line
    assert line is not None
    line.keep()  # the key to seal with
    kiosk = open_page(f"{shop.service.url}/kiosk")
    kiosk.click("#begin")
    kiosk.click("#to-join")
    for field, value in WHO.items():
        kiosk.fill(f"#j-{field}", value)
    kiosk.click("#join-form button[type=submit]")
    at(kiosk, "joined")
    last4 = re.sub(r"\s", "", kiosk.locator("#new-number").inner_text())[-4:]
    shop.wait(lambda: not shop.service.journal.backlog())
    line.keep()
    kiosk.click("#joined-on")
    panel = open_page(f"{shop.service.url}/cashier")
    sign_in(panel)
    begin(panel, "card")
    panel.fill("#f-phone", "000")
    panel.click("#act-send")
    expect(panel.locator("#act-problem")).to_have_text("Nobody is known by that. Check it, or offer to join.")
    panel.fill("#f-phone", WHO["phone"])
    panel.click("#act-send")
    expect(panel.locator("#latest li").first).to_contain_text("is with the sale")
    shop.ask("POST", "/v1/quotes", {"basket": {"currency": "EUR", "lines": [
        {"line": 1, "sku": "milk", "amount_minor": 2_000, "name": "Cake"}]}})  # fmt: skip
    begin(panel, "card")
    panel.fill("#f-email", WHO["email"])
    panel.click("#act-send")
    expect(panel.locator("#m-title")).to_have_text(f"Member …{last4}")
    assert shop.ask("POST", "/v1/receipts", sale("R-1", None)).ok
    other = open_page(f"{shop.service.url}/kiosk")
    at(other, "done")
    other.click("#finish")
    other.click("#begin")
    other.click("#to-phone")
    other.fill("#keyed", WHO["phone"])
    other.press("#keyed", "Enter")
    expect(other.locator("#card")).to_contain_text(last4)
    for page in (panel, other):
        assert WHO["phone"] not in page.content()


def test_a_stranger_s_card_at_the_panel_is_told_apart_from_a_bad_one(service: TillService, panel: Page):
    post(service, "/v1/quotes", quote(card=None, basket=GOODS))
    settled(service, panel)
    scan(panel, STRANGER)
    expect(panel.locator("#offers li").first).to_have_text(
        "This card is not known here yet. Its points are kept and credited later."
    )


# Parked at head office


def test_a_basket_is_parked_at_head_office_and_resumed_through_it(shop: Shop, open_page: OpenPage):
    shop.wait(lambda: shop.ask("GET", "/v1/balance", card=ANNA).ok and not shop.service.uplink.is_offline())
    page = open_page(f"{shop.service.url}/cashier")
    sign_in(page)
    goods = {"currency": "EUR", "lines": [{"line": 1, "sku": "milk", "amount_minor": 2_000, "name": "Cake"}]}
    assert shop.ask("POST", "/v1/quotes", {"basket": goods, "card": ANNA}).ok
    expect(page.locator("#lines li")).to_have_count(1)
    begin(page, "park")
    page.fill("#f-note", "blue jacket")
    page.check("#f-anywhere")
    page.click("#act-send")
    expect(page.locator("#latest li").first).to_have_text("Parked at head office. Resume it at any store today.")
    begin(page, "resume")
    expect(page.locator(".pick")).to_contain_text("blue jacket")
    expect(page.locator("#act-body")).not_to_contain_text("Head office cannot be asked")
    page.click("#act-send")
    expect(page.locator("#lines li")).to_have_count(1)
    begin(page, "resume")
    expect(page.locator("#act-body")).to_contain_text("Nothing is parked.")


def test_without_a_line_it_is_parked_at_the_till_under_another_id(service: TillService, panel: Page):
    post(service, "/v1/quotes", quote(basket=GOODS))
    settled(service, panel)
    begin(panel, "park")
    panel.check("#f-anywhere")
    panel.click("#act-send")
    expect(panel.locator("#act-problem")).to_have_text(
        "Head office does not answer. Park the basket at this till, or try again.", timeout=20_000
    )
    panel.uncheck("#f-anywhere")
    panel.click("#act-send")
    expect(panel.locator("#latest li").first).to_have_text("Parked. Resume it at any till of the store.")
    begin(panel, "resume")
    expect(panel.locator("#act-body")).to_contain_text("Head office cannot be asked: only baskets of this store.")


def test_the_code_on_a_receipt_is_scanned_for_its_return_and_a_payment_card_never_stands_there(
    service: TillService, panel: Page
):
    number = "20260305-lane-3-00417"
    post(service, "/v1/receipts", commit(receipt_id=number, card=None, basket=GOODS))
    begin(panel, "return")
    scan(panel, PAYMENT)
    expect(panel.locator("#act-problem")).to_have_text(
        "That is a payment card. Keep it for the payment terminal, and scan the member's card."
    )
    expect(panel.locator("#f-receipt")).to_have_value("")
    scan(panel, CARD)
    expect(panel.locator("#act-problem")).to_contain_text("Type the receipt number as it is printed.")
    expect(panel.locator("#f-receipt")).to_have_value("")
    scan(panel, number)
    expect(panel.locator("#f-receipt")).to_have_value(number)
    expect(panel.locator("#act-problem")).to_be_hidden()
    panel.click("#act-send")
    expect(panel.locator(".pick input[type=checkbox]")).to_have_count(4)


def test_a_part_that_is_typed_with_a_comma_pays_out_its_share(service: TillService, panel: Page):
    post(service, "/v1/receipts", commit(card=None, basket=GOODS))
    begin(panel, "return")
    panel.fill("#f-receipt", "R1")
    panel.click("#act-send")
    panel.check("#f-line4")
    panel.fill('input[name="quantity4"]', "0,371")  # half of 0.742
    expect(panel.locator('input[name="amount4"]')).to_have_value("5.53")  # of 11.06
    panel.click("#act-send")
    expect(panel.locator(".toast span")).to_have_text("Hand out €5.53.")
    panel.click("#slip-close")
    begin(panel, "return")
    panel.fill("#f-receipt", "R1")
    panel.click("#act-send")
    panel.check("#f-line4")
    panel.fill('input[name="quantity4"]', "0,5")
    panel.click("#act-send")
    expect(panel.locator("#act-problem")).to_have_text("Only 0.371 of line 4 can still come back. Take that many.")
    # What is left is read as a person writes it.
    panel.check("#f-line1")
    panel.uncheck("#f-line4")
    panel.fill('input[name="quantity1"]', "3")
    panel.click("#act-send")
    expect(panel.locator("#act-problem")).to_have_text("Only 2 of line 1 can still come back. Take that many.")


def test_a_figure_of_the_close_that_cannot_be_read_is_not_left_out(panel: Page):
    sums: list[dict] = []
    panel.on("request", lambda one: sums.append(one.post_data_json) if one.url.endswith("/v1/day-close") else None)
    begin(panel, "close")
    panel.fill("#f-points_earned", "some")
    panel.click("#act-send")
    expect(panel.locator("#act-problem")).to_have_text("Check: Points earned. Type a whole number such as 1340.")
    panel.fill("#f-points_earned", "1 340")
    panel.fill("#f-points_spent", "1.000")
    panel.click("#act-send")
    expect(panel.locator("#slip-list")).to_contain_text("Points earned: Here 0, POS 1,340")
    assert [one["totals"] for one in sums] == [{"points_earned": 1340, "points_spent": 1000}]
