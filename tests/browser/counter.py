"""What the tests of the pages share: a till with much to say, baskets, sizes, axe."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import requests
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from edge.service import TillService
from loyalty.cards.card_numbers import NumberSpan
from loyalty.members import Use, WalletItem
from loyalty.programme.programme import read_programme
from tests.edge.rim import PROGRAMME, TILL, basket, furnish, identity, line, member, settings

LANGUAGES = ("en", "pt-BR", "ru", "pl")
SIZES = {
    "wall": (1920, 1080),
    "till": (1366, 768),
    "desk": (1280, 800),
    "ten inches": (1024, 600),
    "seven inches": (800, 480),
    "phone": (390, 844),
    "totem": (1080, 1920),
}
# Beside what the till's programme does: a gift, coupons, a wallet, and a tier 130.00 away.
RICHER = (
    PROGRAMME.replace(
        "spending:",
        """coupons: [{id: next, name: 2.00 off}, {id: own, name: A free coffee, holder: personal}]
certificates: {sold: {tags: [gift-card]}, wallet: true}
tiers: [{id: gold, name: Gold, reach: {spend_minor: 100000}}]
spending:""",
    )
    + """
  - {id: bag, then: [{kind: gift, units: 2, items: [{sku: bag, name: Canvas bag}]}]}
  - {id: again, then: [{kind: issue_coupon, coupon: next}]}
"""
)
ASKED = """
members:
  consents:
    - purpose: terms
      version: v1
      double_opt_in: false
      text: {en: I agree to the terms of the club., ru: Согласие с правилами клуба., pl: Zgadzam się na regulamin.}
    - purpose: marketing
      channel: email
      version: v1
      text: {en: Send me offers by e-mail. I can withdraw this at any time., ru: Предложения по почте.}
"""
GOODS = basket(
    line(1, "espresso", 1798, name="Espresso beans 1 kg", category=["Coffee"], quantity="2.000"),
    line(2, "loaf", 345, name="Sourdough loaf"),
    line(3, "milk", 258, name="Whole milk 1 l", quantity="2.000"),
    line(4, "cheese", 1106, name="Mature cheddar", quantity="0.742"),
)


def start(folder: Path, port: int = 0, **more: Any) -> TillService:
    """A till that answers; `more` are settings."""
    started = TillService(settings(folder, **more), identity=identity(), port=port)
    furnish(started.journal, started.cache, started.clock)
    started.start()
    return started


def richer(service: TillService) -> None:
    """Give the till that programme, and its member 870.00 of this year, 5.00 in the wallet and a coupon."""
    service.cache.load_programme(read_programme(RICHER))
    known = member()
    row = msgspec.structs.replace(
        known.row,
        tier="",
        counters=(Use(name="spend:2026", amount=87_000),),
        stored_minor=500,
        lapsing_points=240,
        lapsing_on=date(2030, 12, 31),
        wallet=(WalletItem(code="C-1", of="own", account_id=77, through=date(2030, 1, 15)),),
    )
    service.cache.load_members([msgspec.structs.replace(known, row=row)])


def welcoming(service: TillService) -> None:
    """Give the richer till two things to ask of customers, and three card numbers of its own to hand out."""
    richer(service)
    service.cache.load_programme(read_programme(RICHER + ASKED))
    span = NumberSpan(
        span_no=1, till_id=TILL, epoch=1, kind="ean13", prefix="20", digits=13, first=0, last=2, granted_at_ms=0,
        card_key_id=service.identity.granted.card_key_id,
    )  # fmt: skip
    with service.journal.writing():
        service.journal.members.take("", [span])


def post(service: TillService, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What a POS sends, and is answered."""
    answer = requests.post(f"{service.url}{path}", json=body, timeout=5)
    answer.raise_for_status()
    told: dict[str, Any] = answer.json()
    return told


def settled(service: TillService, page: Page) -> None:
    """Wait until the page has drawn the newest state."""
    page.wait_for_function("no => window.drawn === no", arg=service.desk.screens.now().no)


def faults_of(page: Page, *, colours_alone: bool = False) -> list[str]:
    """What axe finds on the page as it stands, its best practices included.

    Args:
        colours_alone: only the rules that another theme can break.
    """
    if not page.evaluate("() => 'axe' in globalThis"):
        page.evaluate(AXE_SCRIPT)
    only = {"runOnly": ["color-contrast", "link-in-text-block"]} if colours_alone else {}
    found: list[str] = page.evaluate(
        """async (options) => (await axe.run(options)).violations.flatMap((rule) =>
          rule.nodes.map((node) => `${rule.id}: ${node.target} ${(node.failureSummary ?? "").slice(0, 160)}`))""",
        {"resultTypes": ["violations"], **only},
    )
    return found


def sign_in(page: Page, who: str = "4", pin: str = "") -> None:
    """As a cashier at the panel."""
    page.fill("#in-who", who)
    if pin:
        page.fill("#in-pin", pin)
    expect(page.locator("#in-send")).to_be_enabled()
    page.press("#in-who", "Enter")
    expect(page.locator("#acts button")).to_have_count(16)
    page.wait_for_function("() => window.drawn !== undefined")


def panel_of(service: TillService, open_page: Callable[..., Page]) -> Page:
    """The cashier panel of a till, with a cashier at it."""
    page = open_page(f"{service.url}/cashier")
    sign_in(page)
    return page


def begin(page: Page, act: str) -> None:
    """Open an act of the panel."""
    page.click(f'[data-act="{act}"]')
    expect(page.locator("#act")).to_be_visible()


def sent(page: Page, path: str) -> list[dict[str, Any]]:
    """Bodies that the page posts to a path from now on, as they are posted."""
    bodies: list[dict[str, Any]] = []
    page.on("request", lambda one: bodies.append(one.post_data_json) if one.url.endswith(path) else None)
    return bodies
