"""The customer display in a real browser: it follows a sale live, heals after a restart, and shows nobody's number."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from edge.service import TillService
from tests.browser.conftest import OpenPage
from tests.browser.counter import GOODS, SIZES, post, richer, settled, start
from tests.edge.rim import CARD, STRANGER, basket, commit, line, quote

pytestmark = pytest.mark.browser


def test_a_sale_is_followed_live_from_card_to_thanks(service: TillService, open_page: OpenPage):
    page = open_page(f"{service.url}/customer")
    expect(page.locator("#welcome")).to_be_visible()
    post(service, "/v1/cards/identify", {"card": CARD})
    expect(page.locator("#balance")).to_have_text("Balance 1,240 points")
    post(service, "/v1/quotes", quote(basket=basket(line(1, "espresso", 1000, name="Espresso", category=["Coffee"]))))
    expect(page.locator("#lines li")).to_have_count(1)
    post(service, "/v1/quotes", quote())
    expect(page.locator("#lines li")).to_have_count(2)
    expect(page.locator("#lines li").first).to_contain_text("You save €2.00")
    expect(page.locator("#row-total dd")).to_have_text("€10.50")
    expect(page.locator("#earned")).to_have_text("+105")
    expect(page.locator("#spend")).to_contain_text("You can use 1,000 points, worth €10.00")
    expect(page.locator("#spend small")).to_have_text("Up to this shop's limit")
    expect(page.locator("#messages li").last).to_have_text("Only 19.50 more and your points double")
    expect(page.locator("#spoken")).to_contain_text("Total €10.50")
    post(service, "/v1/receipts", commit())
    expect(page.locator("#thanks")).to_have_text("Thank you")
    expect(page.locator("#balance")).to_have_text("Balance 1,345 points")
    assert CARD not in page.content()


def test_a_display_heals_by_itself_after_the_service_was_restarted(tmp_path: Path, open_page: OpenPage):
    first = start(tmp_path)
    page = open_page(f"{first.url}/customer")
    post(first, "/v1/quotes", quote())
    expect(page.locator("#row-total dd")).to_have_text("€10.50")
    first.stop()
    second = start(tmp_path, port=int(first.url.rsplit(":", 1)[1]))
    try:
        expect(page.locator("#welcome")).to_be_visible(timeout=15_000)
        post(second, "/v1/quotes", quote(basket=basket(line(1, "bread", 250, name="Rye bread"))))
        expect(page.locator("#row-total dd")).to_have_text("€2.50", timeout=15_000)
    finally:
        second.stop()


def test_a_display_whose_machine_slept_is_itself_again_with_the_next_beat(service: TillService, open_page: OpenPage):
    page = open_page(f"{service.url}/customer")
    page.clock.install()
    page.goto(f"{service.url}/customer")
    page.wait_for_function("() => window.drawn !== undefined")
    post(service, "/v1/quotes", quote())
    expect(page.locator("#row-total dd")).to_have_text("€10.50")
    page.clock.fast_forward(40_000)  # as where a lid is closed: what was due is done once
    expect(page.locator("#offline")).to_have_text("One moment, please")
    # Beats come every three seconds, and nothing has changed.
    expect(page.locator("#offline")).to_have_text("Offline. Your points are safe.")  # of head office: there is none
    expect(page.locator("#row-total dd")).to_have_text("€10.50")
    expect(page.locator("body")).to_have_attribute("data-phase", "sale")


def test_a_display_that_gets_no_stream_polls(service: TillService, open_page: OpenPage):
    streams = [service.desk.screens.stream() for _ in range(8)]
    page = open_page(f"{service.url}/customer")
    post(service, "/v1/quotes", quote())
    expect(page.locator("#row-total dd")).to_have_text("€10.50", timeout=10_000)
    assert len(streams) == 8


GREETINGS = {"en": "Good to see you", "pt-BR": "Que bom ver você", "ru": "Рады вас видеть", "pl": "Miło Cię widzieć"}


@pytest.mark.parametrize("language", GREETINGS)
def test_the_display_speaks_four_languages(service: TillService, open_page: OpenPage, language: str):
    page = open_page(f"{service.url}/customer?lang={language}")
    expect(page.locator("#welcome")).to_have_text(GREETINGS[language])
    assert page.locator("html").get_attribute("lang") == language
    post(service, "/v1/quotes", quote(card=None))
    expect(page.locator("#row-total dd")).to_contain_text("10.50" if language == "en" else "10,50")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_or_runs_out_of_its_box(service: TillService, open_page: OpenPage, scheme: str):
    page = open_page(f"{service.url}/customer?lang=pl", color_scheme=scheme, reduced_motion="reduce")
    long = [line(i, f"sku{i}", 10_000 + i, name="A long name of an article that goes on and on") for i in range(1, 31)]
    story: list[tuple[str, dict[str, Any], str]] = [
        ("/v1/cards/identify", {"card": CARD}, "member"),
        ("/v1/quotes", quote(points_to_spend=500), "sale"),
        ("/v1/quotes", quote(card=None), "sale"),
        ("/v1/quotes", quote(card=STRANGER), "sale"),
        ("/v1/quotes", quote(basket=basket(*long)), "sale"),
        ("/v1/receipts", commit(basket=basket(*long), points_to_spend=500), "done"),
    ]
    expect(page.locator("body")).to_have_attribute("data-phase", "idle")
    for path, body, phase in story:
        post(service, path, body)
        expect(page.locator("body")).to_have_attribute("data-phase", phase)
        settled(service, page)
        assert cut_off_at_any_size(page) == []


def test_what_comes_with_the_basket_and_how_far_the_next_tier_is_are_shown(service: TillService, open_page: OpenPage):
    richer(service)
    page = open_page(f"{service.url}/customer")
    post(service, "/v1/quotes", quote(from_wallet_minor=300))
    # 10.50 are paid, 3.00 of them out of the wallet; 1,000.00 less 870.00 and 10.50 is missing.
    expect(page.locator("#news li")).to_have_text(
        ["Your gift: 2 × Canvas bag", "For your next visit: 2.00 off", "€119.50 more to Gold"]
    )
    expect(page.locator("#row-stored")).to_contain_text("Certificates and wallet")
    expect(page.locator("#row-stored dd")).to_have_text("€3.00")
    expect(page.locator("#row-total dd")).to_have_text("€7.50")
    expect(page.locator("#spoken")).to_contain_text("For your next visit: 2.00 off")
    post(service, "/v1/receipts", commit(from_wallet_minor=300))
    expect(page.locator("#thanks")).to_have_text("Thank you")
    expect(page.locator("#news li").nth(1)).to_have_text("For your next visit: 2.00 off")
    post(service, "/v1/quotes", quote(card=None))
    expect(page.locator("#news li")).to_have_count(2)


@pytest.mark.parametrize("language", GREETINGS)
def test_with_all_there_is_to_say_nothing_is_cut_off_either(service: TillService, open_page: OpenPage, language: str):
    richer(service)
    page = open_page(f"{service.url}/customer?lang={language}", color_scheme="light", reduced_motion="reduce")
    for path, body in (
        ("/v1/quotes", quote()),
        ("/v1/quotes", quote(from_wallet_minor=300, points_to_spend=500)),
        ("/v1/receipts", commit(from_wallet_minor=300, points_to_spend=500)),
    ):
        post(service, path, body)
        settled(service, page)
        assert cut_off_at_any_size(page) == []
        expect(page.locator("#news li").first).to_be_visible()


def test_a_stranger_is_told_that_the_points_are_kept(service: TillService, open_page: OpenPage):
    page = open_page(f"{service.url}/customer")
    post(service, "/v1/quotes", quote(card=STRANGER))
    expect(page.locator("#balance")).to_have_text("Your card is new here. Your points are kept for you.")


CUT_OFF = """() => [...document.querySelectorAll('.figures, .basket, .idle, header')]
  .filter((box) => box.offsetParent !== null)
  .filter((box) => box.scrollHeight > box.clientHeight + 2 || box.scrollWidth > box.clientWidth + 2)
  .map((box) => `${box.className || box.tagName}: ${box.scrollWidth}x${box.scrollHeight} in
    ${box.clientWidth}x${box.clientHeight}`)"""


def cut_off_at_any_size(page: Page) -> list[str]:
    found: list[str] = []
    for name, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        found += [f"{name}: {one}" for one in page.evaluate(CUT_OFF)]
    return found


def test_at_four_times_its_size_names_and_quantities_are_whole_and_all_is_reached(
    service: TillService, open_page: OpenPage
):
    page = open_page(f"{service.url}/customer")
    page.set_viewport_size({"width": 320, "height": 256})  # WCAG 1.4.10
    post(service, "/v1/quotes", quote(basket=GOODS))
    settled(service, page)
    expect(page.locator("#lines li .name")).to_have_text(
        ["Espresso beans 1 kg  × 2", "Sourdough loaf", "Whole milk 1 l  × 2", "Mature cheddar  × 0.742"]
    )
    cut = "all => all.filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.textContent)"
    assert page.locator("#lines .name").evaluate_all(cut) == []
    assert page.evaluate("() => document.documentElement.scrollWidth") == 320
    page.locator("#row-total").scroll_into_view_if_needed()
    expect(page.locator("#row-total")).to_be_in_viewport(ratio=1)
