"""A till with its pages open in Chromium. No page may complain, or ask anybody but its own till."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from edge.service import TillService
from tests.browser.counter import SIZES, start

OpenPage = Callable[..., Page]
expect.set_options(timeout=10_000)  # the machine may have other work


@pytest.fixture
def service(tmp_path: Path) -> Iterator[TillService]:
    started = start(tmp_path)
    yield started
    started.stop()


@pytest.fixture
def complaints() -> list[str]:
    """What pages complained of; a test that expects something takes it out."""
    return []


@pytest.fixture
def open_page(browser: Browser, complaints: list[str]) -> Iterator[OpenPage]:
    """Opens an address at one of the sizes; `more` are arguments of the browser's context."""
    contexts = []

    def make(url: str, size: str = "till", **more: object) -> Page:
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, **more)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        ours = urlsplit(url).netloc

        def look(request: Request) -> None:
            if urlsplit(request.url).netloc != ours and not request.url.startswith("data:"):
                complaints.append(f"asked {request.url}")

        page.on("request", look)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.goto(url)
        page.wait_for_function("() => window.ready")  # sooner, nobody hears a key
        return page

    yield make
    for context in contexts:
        context.close()
    # The browser itself reports each answer above 399; which ones may come is for the tests of each act to say.
    assert [one for one in complaints if not one.startswith("Failed to load resource")] == []
