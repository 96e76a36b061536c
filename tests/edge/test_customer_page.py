"""The customer display in a real browser: it follows a sale live, heals after a restart, and shows nobody's number."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect, sync_playwright

from edge.service import TillService
from tests.edge.rim import CARD, STRANGER, basket, commit, furnish, identity, line, quote, settings

pytestmark = pytest.mark.browser
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SIZES = {"wall": (1920, 1080), "till": (1366, 768), "seven inches": (800, 480), "phone": (390, 844)}


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[TillService]:
    started = start(tmp_path)
    yield started
    started.stop()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    complaints: list[str] = []
    contexts = []

    def make(url: str, size: str = "till", **more: Any) -> Page:
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, **more)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
        page.goto(url)
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []


def test_a_sale_is_followed_live_from_card_to_thanks(service: TillService, open_page: Callable[..., Page]):
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
    expect(page.locator("#spend")).to_have_text("You can use 1,000 points, worth €10.00")
    expect(page.locator("#messages li").last).to_have_text("Only 19.50 more and your points double")
    expect(page.locator("#spoken")).to_contain_text("Total €10.50")
    post(service, "/v1/receipts", commit())
    expect(page.locator("#thanks")).to_have_text("Thank you")
    expect(page.locator("#balance")).to_have_text("Balance 1,345 points")
    assert CARD not in page.content()


def test_a_display_heals_by_itself_after_the_service_was_restarted(tmp_path: Path, open_page: Callable[..., Page]):
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


def test_a_display_that_gets_no_stream_polls(service: TillService, open_page: Callable[..., Page]):
    streams = [service.desk.screens.stream() for _ in range(8)]
    page = open_page(f"{service.url}/customer")
    post(service, "/v1/quotes", quote())
    expect(page.locator("#row-total dd")).to_have_text("€10.50", timeout=10_000)
    assert len(streams) == 8


GREETINGS = {"en": "Good to see you", "pt-BR": "Que bom ver você", "ru": "Рады вас видеть", "pl": "Miło Cię widzieć"}


@pytest.mark.parametrize("language", GREETINGS)
def test_the_display_speaks_four_languages(service: TillService, open_page: Callable[..., Page], language: str):
    page = open_page(f"{service.url}/customer?lang={language}")
    expect(page.locator("#welcome")).to_have_text(GREETINGS[language])
    assert page.locator("html").get_attribute("lang") == language
    post(service, "/v1/quotes", quote(card=None))
    expect(page.locator("#row-total dd")).to_contain_text("10.50" if language == "en" else "10,50")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_or_runs_out_of_its_box(
    service: TillService, open_page: Callable[..., Page], size: str, scheme: str
):
    page = open_page(f"{service.url}/customer?lang=pl", size, color_scheme=scheme, reduced_motion="reduce")
    long = [line(i, f"sku{i}", 10_000 + i, name="A long name of an article that goes on and on") for i in range(1, 31)]
    story: list[tuple[str, dict[str, Any], str]] = [
        ("/v1/cards/identify", {"card": CARD}, "member"),
        ("/v1/quotes", quote(points_to_spend=500), "sale"),
        ("/v1/quotes", quote(card=STRANGER), "sale"),
        ("/v1/quotes", quote(basket=basket(*long)), "sale"),
        ("/v1/receipts", commit(basket=basket(*long), points_to_spend=500), "done"),
    ]
    expect(page.locator("body")).to_have_attribute("data-phase", "idle")
    for path, body, phase in story:
        post(service, path, body)
        expect(page.locator("body")).to_have_attribute("data-phase", phase)
        page.wait_for_function("no => window.drawn === no", arg=service.desk.screens.now().no)
        assert page.evaluate(CUT_OFF) == []


def test_a_stranger_is_told_that_the_points_are_kept(service: TillService, open_page: Callable[..., Page]):
    page = open_page(f"{service.url}/customer")
    post(service, "/v1/quotes", quote(card=STRANGER))
    expect(page.locator("#balance")).to_have_text("Your card is new here. Your points are kept for you.")


CUT_OFF = """() => [...document.querySelectorAll('.figures, .basket, .idle, header')]
  .filter((box) => box.offsetParent !== null)
  .filter((box) => box.scrollHeight > box.clientHeight + 2 || box.scrollWidth > box.clientWidth + 2)
  .map((box) => `${box.className || box.tagName}: ${box.scrollWidth}x${box.scrollHeight} in
    ${box.clientWidth}x${box.clientHeight}`)"""


def start(folder: Path, port: int = 0) -> TillService:
    started = TillService(settings(folder), identity=identity(), port=port)
    furnish(started.journal, started.cache, started.clock)
    started.start()
    return started


def post(service: TillService, path: str, body: dict[str, Any]) -> None:
    requests.post(f"{service.url}{path}", json=body, timeout=5).raise_for_status()
