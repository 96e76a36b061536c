"""axe finds nothing to complain of: every screen, in every state, language and theme, and with the letters enlarged.

Source: WCAG 2.2 AA and EN 301 549 as far as a machine can check them; axe's best practices besides.
"""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from edge.service import TillService
from edge.web.words import teller
from tests.browser.conftest import OpenPage
from tests.browser.counter import GOODS, LANGUAGES, faults_of, post, richer, settled, welcoming
from tests.edge.rim import CARD, commit, quote

pytestmark = pytest.mark.browser
THEMES = ("light", "dark")


class Looked:
    """What axe found of a page, by where the page stood."""

    def __init__(self, page: Page) -> None:
        self.page, self.found, self.places = page, list[str](), 0

    def at(self, place: str) -> None:
        self.places += 1
        for theme in THEMES:
            self.page.evaluate("(theme) => { document.documentElement.dataset.theme = theme }", theme)
            self.found += [
                f"{place}, {theme}: {fault}" for fault in faults_of(self.page, colours_alone=theme == "dark")
            ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_customer_display(service: TillService, open_page: OpenPage, language: str):
    richer(service)
    page = open_page(f"{service.url}/customer?lang={language}&theme=light", reduced_motion="reduce")
    page.wait_for_function("() => window.drawn !== undefined")
    look = Looked(page)
    look.at("idle")
    for path, body in (
        ("/v1/cards/identify", {"card": CARD}),
        ("/v1/quotes", quote(basket=GOODS, card=None)),
        ("/v1/quotes", quote(from_wallet_minor=300, training=language == "en")),
        ("/v1/receipts", commit(basket=GOODS, points_to_spend=500)),
    ):
        post(service, path, body)
        settled(service, page)
        look.at(f"{path} {page.get_attribute('body', 'data-phase')}")
    assert (look.found, look.places) == ([], 5)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_self_checkout(service: TillService, open_page: OpenPage, language: str):
    welcoming(service)
    page = open_page(f"{service.url}/kiosk?lang={language}&theme=light", reduced_motion="reduce")
    page.wait_for_function("() => window.drawn !== undefined")
    look = Looked(page)
    look.at("start")
    page.click("#begin")
    look.at("card")
    page.click("#to-key")
    page.fill("#keyed", "12345678")
    page.press("#keyed", "Enter")
    expect(page.locator("#keyed-problem, #toast").locator("visible=true").first).to_be_visible()
    look.at("key, with a number that is no card")
    page.fill("#keyed", CARD)
    page.press("#keyed", "Enter")
    expect(page.locator("body")).to_have_attribute("data-step", "member")
    look.at("member")
    page.click("#to-mine")
    expect(page.locator("#agreements li")).to_have_count(2)
    look.at("consents")
    page.click("#mine-on")
    post(service, "/v1/quotes", quote(basket=GOODS))
    settled(service, page)
    look.at("sale")
    page.click("#to-spend")
    look.at("spend")
    page.click("#help")
    look.at("help")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.evaluate("() => { document.getElementById('rest-dialog').showModal() }")
    look.at("time-out")
    page.keyboard.press("Escape")
    post(service, "/v1/receipts", commit(basket=GOODS))
    expect(page.locator("body")).to_have_attribute("data-step", "done")
    look.at("done")
    page.click("#finish")
    page.click("#begin")
    page.click("#to-join")
    expect(page.locator("#j-checks input")).to_have_count(2)
    look.at("join")
    page.click("#join-form button[type=submit]")
    expect(page.locator("body")).to_have_attribute("data-step", "joined")
    look.at("joined")
    assert (look.found, look.places) == ([], 12)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_cashier_panel(service: TillService, open_page: OpenPage, language: str):
    richer(service)
    page = open_page(f"{service.url}/cashier?lang={language}&theme=light", reduced_motion="reduce")
    look = Looked(page)
    look.at("sign in")
    page.fill("#in-who", "4")
    page.press("#in-who", "Enter")
    expect(page.locator("#acts button")).to_have_count(16)
    page.wait_for_function("() => window.drawn !== undefined")
    look.at("no sale")
    post(service, "/v1/quotes", quote(basket=GOODS))
    settled(service, page)
    expect(page.locator(".toast")).to_be_visible()
    look.at("sale")
    post(service, "/v1/help", {})
    expect(page.locator(".toast span")).to_have_text(teller(language)("told.kiosk_help"))
    look.at("a sentence to dismiss")
    page.click('[data-act="spend"]')
    look.at("spend")
    page.keyboard.press("Escape")
    post(service, "/v1/receipts", commit(basket=GOODS))
    settled(service, page)
    page.click('[data-act="void"]')
    page.fill("#f-receipt", "R-nowhere")
    page.click("#act-send")
    expect(page.locator("#act-problem")).to_be_visible()
    look.at("refused")
    page.keyboard.press("Escape")
    page.click('[data-act="park"]')
    expect(page.locator("#f-anywhere")).to_be_visible()
    look.at("park")
    page.keyboard.press("Escape")
    page.click('[data-act="return"]')
    page.fill("#f-receipt", "R1")
    page.click("#act-send")
    expect(page.locator(".pick input[type=checkbox]")).to_have_count(4)
    look.at("return")
    page.evaluate("() => { document.getElementById('override').showModal() }")
    look.at("supervisor")
    page.keyboard.press("Escape")
    page.check("#f-line2")
    page.click("#act-send")
    expect(page.locator("#slip")).to_be_visible()
    look.at("slip")
    assert (look.found, look.places) == ([], 10)


@pytest.mark.parametrize("path", ["/customer", "/kiosk"])
def test_larger_letters_and_stronger_colours(service: TillService, open_page: OpenPage, path: str):
    richer(service)
    for theme in THEMES:
        page = open_page(f"{service.url}{path}?theme={theme}", reduced_motion="reduce")
        page.wait_for_function("() => window.drawn !== undefined")
        before = page.evaluate("() => parseFloat(getComputedStyle(document.documentElement).fontSize)")
        page.click("#big-text")
        page.click("#contrast")
        after = page.evaluate("() => parseFloat(getComputedStyle(document.documentElement).fontSize)")
        assert after > before * 1.2
        post(service, "/v1/quotes", quote(basket=GOODS))
        settled(service, page)
        assert faults_of(page) == []
        # Black or white behind everything: 7:1 and better is what the button promises.
        ink, paper = page.evaluate(
            "() => ['color', 'backgroundColor'].map((name) => getComputedStyle(document.body)[name])"
        )
        assert {ink, paper} == {"rgb(0, 0, 0)", "rgb(255, 255, 255)"}


def test_axe_would_notice(service: TillService, open_page: OpenPage, tmp_path: Path):
    page = open_page(f"{service.url}/kiosk")
    page.evaluate("() => document.querySelector('main').append(document.createElement('button'))")
    assert any(fault.startswith("button-name") for fault in faults_of(page))
