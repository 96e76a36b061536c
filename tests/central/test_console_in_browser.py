"""Asking for corrections in a real browser: by keyboard, on a desk and a phone, light and dark, legible and named."""

import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from werkzeug.serving import make_server

from central.console.base import Console
from central.console.console import console_pages
from central.keys.card_keys import KeyRing
from central.login import Logins, create_user
from tests.central.office import LIMITS, Office, give, take, transfer
from tests.central.settling import FixedClock
from tests.central.test_console import PASSWORD
from tests.central.tills import ANNA, BEN, CARD_KEY, NOW, Centre

pytestmark = pytest.mark.browser
LOOKS = {
    "desk": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "night": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 380, "height": 800}, "color_scheme": "light"},
}
# What WCAG 2.2 asks of text (1.4.3), of names (4.1.2, 1.3.1) and of narrow screens (1.4.10), as figures and names.
TROUBLES = """() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => parts(colour).slice(0, 3).map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor, told = parts(colour);
      if (told.length === 3 || told[3] === 1) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !node.getClientRects().length || node.matches(".skip")) continue;
    const [dark, bright] = [light(getComputedStyle(node).color), light(behind(node))].sort((a, b) => a - b);
    const contrast = (bright + 0.05) / (dark + 0.05);
    if (contrast < 4.5) found.push(`contrast ${contrast.toFixed(2)}: ${walker.currentNode.textContent.trim()}`);
  }
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
    if (!field.labels.length) found.push(`no label: ${field.name}`);
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  found.push(...ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => `twice: ${id}`));
  for (const node of document.querySelectorAll("[aria-describedby], [aria-labelledby]"))
    for (const id of `${node.getAttribute("aria-describedby") || node.getAttribute("aria-labelledby")}`.split(" "))
      if (!document.getElementById(id)) found.push(`leads nowhere: ${id}`);
  if (document.documentElement.scrollWidth > innerWidth) found.push(`wider than the screen`);
  return found;
}"""


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    centre = Centre(f"sqlite:///{tmp_path / 'central.db'}")
    yield Office(centre)
    centre.engine.dispose()


@pytest.fixture
def accounts(office: Office) -> tuple[int, int]:
    anna, ben = office.centre.member(), office.centre.member(BEN)
    office.ask(give(anna, 90, "acme", date(2026, 6, 30)))
    office.done(give(anna, 900, "bolt"))
    return anna, ben


@pytest.fixture
def sign_in(office: Office, browser: Browser) -> Iterator[Callable[[str, str], Page]]:
    """A page of somebody who is signed in, at one of the looks."""
    centre, quick = office.centre, PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    for login in ("ana", "bea"):
        create_user(centre.engine, now_ms=NOW, randomness=centre.random, login=login, password=PASSWORD,
                    role="head_office", hasher=quick)  # fmt: skip
    clock, app = FixedClock(NOW), Flask("test")
    logins = Logins(centre.engine, clock, centre.random, quick)
    app.register_blueprint(
        console_pages(Console(centre.engine, clock, centre.random, logins, False, LIMITS, KeyRing(CARD_KEY)))
    )
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    contexts = []

    def sign(login: str, look: str = "desk") -> Page:
        contexts.append(browser.new_context(**LOOKS[look], base_url=f"http://127.0.0.1:{server.port}"))
        page = contexts[-1].new_page()
        page.goto("/console/login")
        page.fill("#login", login)
        page.fill("#password", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/console/")
        return page

    yield sign
    for context in contexts:
        context.close()
    server.shutdown()
    thread.join()


def test_an_older_scheme_comes_in_by_two_people_and_what_was_approved_is_what_was_seen(
    office: Office, accounts: tuple[int, int], sign_in: Callable[[str, str], Page], tmp_path: Path
) -> None:
    file = tmp_path / "stamps.csv"
    file.write_text(f"account,card,issuer,terms,points,last_day\n,{ANNA},acme,acme-1,70,2027-01-31\n")
    ana = sign_in("ana")
    ana.goto("/console/corrections")
    ana.get_by_role("link", name="Bring over an older scheme").click()
    ana.get_by_label("Name of the older scheme").fill("Stamps")
    ana.get_by_label("CSV file").set_input_files(file)
    ana.keyboard.press("Tab")
    ana.get_by_role("button", name="Show what would move").focus()
    ana.keyboard.press("Enter")
    expect(ana.get_by_role("region", name="What would move")).to_contain_text("70 points of 1 account.")
    file.unlink()  # the browser sends no file any more: what was read is what is asked for
    ana.get_by_role("button", name="Ask for it").click()
    expect(ana.get_by_text("You asked for this yourself")).to_be_visible()
    expect(ana.get_by_role("button", name="Approve")).to_have_count(0)
    bea = sign_in("bea")
    bea.goto("/console/corrections")
    expect(bea.get_by_role("row", name="Given acme")).to_contain_text("70")
    bea.get_by_role("button", name="Approve").click()
    expect(bea.get_by_text("Nothing waits for a second person.")).to_be_visible()
    assert ("2027-01-31", "acme", 70, 0) in office.held(accounts[0])


def test_the_first_button_of_a_form_shows_and_asks_for_nothing(
    office: Office, accounts: tuple[int, int], sign_in: Callable[[str, str], Page]
) -> None:
    """Enter in a field presses the first button: it must not move points that nobody has looked at."""
    anna, _ = accounts
    page = sign_in("ana")
    page.goto(f"/console/corrections/new?account={anna}")
    page.get_by_label("Whose points").select_option("bolt")
    page.get_by_label("Points", exact=True).fill("5")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="What would move")).to_be_visible()
    assert len(office.held(anna)) == 2


def test_the_look_finds_what_it_looks_for(browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 380, "height": 800})
    page.set_content(
        '<p style="color: #999">pale</p><input name="who"><b id="x"></b><b id="x"></b>'
        '<i aria-describedby="y"></i><div style="width: 900px">wide</div>'
    )
    # (1 + 0.05) / (0.3185 + 0.05)
    assert page.evaluate(TROUBLES) == [
        "contrast 2.85: pale", "no label: who", "twice: x", "leads nowhere: y", "wider than the screen",
    ]  # fmt: skip
    page.close()


@pytest.mark.parametrize("look", list(LOOKS))
def test_the_pages_are_legible_and_named_and_fit_the_screen(
    office: Office, accounts: tuple[int, int], sign_in: Callable[[str, str], Page], look: str, tmp_path: Path
) -> None:
    anna, ben = accounts
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(f"account,card,issuer,terms,points,last_day\n,{ANNA},acme,acme-1,-7,2027-01-31\n")
    office.ask(transfer(anna, ben, 400))
    office.ask(take(anna, 900))
    page = sign_in("ana", look)
    told: dict[str, list[str]] = {}

    def look_at(name: str) -> None:
        page.wait_for_load_state("load")  # or its style may not be there yet
        told[name] = page.evaluate(TROUBLES)

    for path in ("new", "new/transfer", "new/merge", "new/opening", "new/ending", ""):
        page.goto(f"/console/corrections/{path}".rstrip("/"))
        look_at(path or "list")
    page.goto(f"/console/corrections/new/transfer?account={anna}")
    page.fill("#other_id", str(ben))
    page.click("button.primary")
    expect(page.get_by_role("region", name="What would move")).to_be_visible()
    look_at("preview")
    page.fill("#points", "99999")
    page.get_by_role("button", name="Show again").click()
    expect(page.get_by_label("Points (empty")).to_have_attribute("aria-invalid", "true")
    look_at("trouble")
    page.goto("/console/corrections/new/opening")
    page.fill("#scheme", "Stamps")
    page.set_input_files("#file", wrong)
    page.click("button.primary")
    expect(page.get_by_role("alert")).to_contain_text("line 2: points must be a whole number above 0")
    look_at("wrong file")
    page.goto("/console/corrections/new/ending")
    page.fill("#last_day", "2026-03-31")
    page.click("button.primary")
    expect(page.get_by_role("region", name="What would move")).to_be_visible()
    look_at("last day")
    page.goto(f"/console/members/{anna}")
    look_at("member")
    assert {name: found for name, found in told.items() if found} == {}
