"""The customer display in a real browser: it follows a sale live, heals after a restart, and shows nobody's number."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
from playwright.sync_api import Browser, Page, expect, sync_playwright

from edge.service import TillService
from loyalty.members import Use
from loyalty.programme import read_programme
from tests.edge.rim import (
    CARD,
    PROGRAMME,
    STRANGER,
    basket,
    commit,
    furnish,
    identity,
    line,
    member,
    quote,
    settings,
)

pytestmark = pytest.mark.browser
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SIZES = {
    "wall": (1920, 1080),
    "till": (1366, 768),
    "ten inches": (1024, 600),
    "seven inches": (800, 480),
    "phone": (390, 844),
}
# Beside what the till's programme does: a gift, a coupon for the next visit, and a tier 130.00 away.
RICHER = PROGRAMME.replace(
    "spending:",
    """coupons: [{id: next, name: 2.00 off}]
certificates: {sold: {tags: [gift-card]}, wallet: true}
tiers: [{id: gold, name: Gold, reach: {spend_minor: 100000}}]
spending:""",
) + """
  - {id: bag, then: [{kind: gift, units: 2, items: [{sku: bag, name: Canvas bag}]}]}
  - {id: again, then: [{kind: issue_coupon, coupon: next}]}
"""


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


def richer(service: TillService) -> None:
    """Give the till that programme, and its member 870.00 of this year and 5.00 in the wallet."""
    service.cache.load_programme(read_programme(RICHER))
    known = member()
    spent = (Use(name="spend:2026", amount=87_000),)
    row = msgspec.structs.replace(known.row, tier="", counters=spent, stored_minor=500)
    service.cache.load_members([msgspec.structs.replace(known, row=row)])


def test_what_comes_with_the_basket_and_how_far_the_next_tier_is_are_shown(
    service: TillService, open_page: Callable[..., Page]
):
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


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("language", GREETINGS)
def test_with_all_there_is_to_say_nothing_is_cut_off_either(
    service: TillService, open_page: Callable[..., Page], size: str, language: str
):
    richer(service)
    page = open_page(f"{service.url}/customer?lang={language}", size, color_scheme="light", reduced_motion="reduce")
    for path, body in (
        ("/v1/quotes", quote()),
        ("/v1/quotes", quote(from_wallet_minor=300)),
        ("/v1/quotes", quote(from_wallet_minor=300, points_to_spend=500)),
        ("/v1/receipts", commit(from_wallet_minor=300, points_to_spend=500)),
    ):
        post(service, path, body)
        page.wait_for_function("no => window.drawn === no", arg=service.desk.screens.now().no)
        assert page.evaluate(CUT_OFF) == []
        expect(page.locator("#news li").first).to_be_visible()


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
