"""The page in a real browser: its codes are scanned off the screen, nothing is fetched, and it fits its paper."""

from collections.abc import Iterator
from io import BytesIO

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, Page

from receipt_templates.profiles import PROFILES
from receipt_templates.render import render
from receipt_templates.sample_slips import sample_named, samples

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def one_page(browser: Browser) -> Iterator[Page]:
    """A new page costs more than all that a test does in it."""
    opened = browser.new_page()
    yield opened
    opened.close()


@pytest.fixture
def page(one_page: Page) -> Page:
    one_page.emulate_media(media="screen")
    return one_page


def page_of(name: str) -> str:
    return render(sample_named(name), "html", PROFILES["generic-42"])


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("sale-en", {("A-2026-00917", "]Q1")}),
        ("welcome", {("2000417731922", "]E0"), ("https://loyalty.example/c/k3pw7q2mx9t04a", "]Q1")}),
        ("certificate-sold", {("GC-7781-0042", "]Q1")}),
        (
            "sale-coupons",
            {
                ("A-2026-00917", "]Q1"),
                ("TCCB4S426G13PRF49NDD43RN0A7QXW5HZJ", "]Q1"),
                ("TC7M09KDXG13PTG5E2ZVY8CQ4S1N6FHAB3", "]Q1"),
            },
        ),
    ],
)


@pytest.mark.parametrize("width", [360, 1200])
def test_codes_are_scanned_off_the_screen(page: Page, name: str, wanted: set[tuple[str, str]], width: int):
    page.set_viewport_size({"width": width, "height": 800})
    asked: list[str] = []
    page.once("request", lambda request: asked.append(request.url))
    page.set_content(page_of(name))
    picture = Image.open(BytesIO(page.screenshot(full_page=True)))
    found = {(one.text, one.symbology_identifier) for one in zxingcpp.read_barcodes(picture)}
    assert (found, asked) == (wanted, [])


@pytest.mark.parametrize("name", sorted(samples()))
def test_no_slip_is_wider_than_a_small_phone_or_the_paper(page: Page, name: str):
    page.set_viewport_size({"width": 320, "height": 700})
    page.set_content(page_of(name))
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 280, "height": 700})  # 80 mm less the margins
    assert page.evaluate("document.documentElement.scrollWidth") <= 280
