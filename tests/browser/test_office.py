"""Head office's pages in a real browser: axe finds nothing on any, light, dark and narrow, and none runs out of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.counter import faults_of
from tests.browser.office import PASSWORD, Head, head_office

pytestmark = pytest.mark.browser
LOOKS = {
    "desk": {"viewport": {"width": 1366, "height": 900}, "color_scheme": "light"},
    "phone": {"viewport": {"width": 360, "height": 780}, "color_scheme": "dark"},
}


@pytest.fixture
def head(tmp_path: Path) -> Iterator[Head]:
    with head_office(tmp_path) as made:
        yield made


def sign_in(page: Page, head: Head, login: str) -> None:
    page.goto(f"{head.url}/console/login")
    page.fill("#login", login)
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/")


def paths_of(head: Head) -> list[str]:
    """Every page that is only looked at, those with an id by an id that stands for something."""
    return [
        "/", "/worklist", "/worklist?state=settled", f"/worklist/{head.finding}", "/approvals",
        "/approvals?store=S1&cashier=4", "/tills", "/members", f"/members/{head.account_id}", "/corrections",
        "/corrections/new", "/corrections/new/transfer", "/corrections/new/merge", "/corrections/new/opening",
        "/corrections/new/ending", "/periods", "/periods/1", "/partners/acme", "/partners/operator", "/quarantine",
        "/quarantine?state=decided", f"/quarantine/{head.kept}", "/health",
    ]  # fmt: skip


@pytest.mark.parametrize("look", list(LOOKS))
def test_axe_finds_nothing_on_any_page_of_head_office(browser: Browser, head: Head, look: str):
    context = browser.new_context(**LOOKS[look], reduced_motion="reduce")  # type: ignore[arg-type]
    page, found, places = context.new_page(), list[str](), 0

    def look_at(name: str) -> None:
        nonlocal places
        page.wait_for_load_state("load")
        places += 1
        found.extend(f"{name}: {fault}" for fault in faults_of(page))
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        found.extend([f"{name}: {wide} px wider than its screen"] if wide > 0 else [])

    page.goto(f"{head.url}/console/login")
    look_at("sign in")
    page.fill("#login", "ana")
    page.press("#login", "Enter")
    look_at("sign in, refused")
    sign_in(page, head, "ana")
    for path in paths_of(head):
        answer = page.goto(f"{head.url}/console{path}")
        assert answer is not None
        assert answer.status == 200, path
        look_at(path)
    page.goto(f"{head.url}/console/tills")
    page.fill("#label", "Lane 12")
    page.get_by_role("button", name="Make a code").click()
    look_at("a code")
    page.goto(f"{head.url}/console/partners/acme")
    for field, value in (("amount", "125.00"), ("on", "2026-03-02"), ("reference", "SEPA 4711")):
        page.fill(f"#{field}", value)
    page.get_by_role("button", name="Write it down").click()
    expect(page.get_by_text("SEPA 4711")).to_be_visible()
    look_at("cash written down")
    page.goto(f"{head.url}/console/periods/1")
    page.fill("input[name=through]", "2026-03-31")
    page.check("input[name=sure]")
    page.get_by_role("button", name="Close").click()
    look_at("a closed period")
    page.locator("a[href*='/console/statements/']").first.click()
    look_at("a statement")
    page.goto(f"{head.url}/console/nothing/here")
    look_at("no such page")
    page.goto(f"{head.url}{head.link}")
    look_at("consent")
    page.locator("button").click()
    look_at("consent confirmed")
    page.goto(f"{head.url}/c/nobody")
    look_at("a link that is none")
    assert (found, places) == ([], len(paths_of(head)) + 10)
    context.close()


def test_a_partner_sees_its_own_account_and_axe_finds_nothing(browser: Browser, head: Head):
    page = browser.new_page()
    sign_in(page, head, "finn")
    found = []
    for path in ("/", "/corrections", "/periods", "/partners/acme"):
        page.goto(f"{head.url}/console{path}")
        found += [f"{path}: {fault}" for fault in faults_of(page)]
    assert found == []
    answer = page.goto(f"{head.url}/console/partners/bolt")
    assert answer is not None
    assert answer.status in (403, 404)
    assert faults_of(page) == []
    page.close()


def test_a_customer_confirms_a_consent_by_the_button_in_the_language_of_the_slip(browser: Browser, head: Head):
    page = browser.new_page()
    page.goto(f"{head.url}{head.link}")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Confirmed.")
    page.close()
