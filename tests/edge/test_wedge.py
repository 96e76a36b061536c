"""The keyboard wedge in Chromium: a reader's burst is one scan, a person's typing a person's, no card number shows."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.support.reader_keys import burst, press

STATIC = Path(__file__).parents[2] / "edge/web/static"
CARD = "2012345678903"
PAYMENT = "4242424242424242"
PAGE = """<!doctype html><title>wedge</title>
<form id="form"><input id="field" maxlength="40"><input id="number" type="number"><button id="button">Go</button></form>
<script type="module">
  import { listen, identify } from "/wedge.js";
  window.told = []; window.sent = 0; window.inputs = [];
  document.addEventListener("tallypoint:scanned", (event) => window.told.push(event.detail));
  document.getElementById("form").addEventListener("submit", (event) => { event.preventDefault(); window.sent += 1; });
  document.getElementById("field").addEventListener("input", (event) => window.inputs.push(event.target.value));
  const how = { "?own": { take: (text) => window.told.push(text) }, "?patient": { gapMs: 2000 } };
  window.stop = listen(how[location.search] ?? {});
  window.ready = true;
</script>"""

pytestmark = pytest.mark.browser


class Till(BaseHTTPRequestHandler):
    """Answers like a till, and remembers what was posted."""

    posted: list[dict[str, str]]

    def do_GET(self) -> None:
        if self.path == "/favicon.ico":
            self._answer(204, "image/x-icon", b"")
            return
        is_script = self.path in ("/wedge.js", "/us_keys.js")
        body = (STATIC / self.path[1:]).read_bytes() if is_script else PAGE.encode()
        self._answer(200, "text/javascript" if is_script else "text/html; charset=utf-8", body)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/v1/cards/identify" and self.headers["Content-Type"] == "application/json"
        self.posted.append(body)
        refused = PAYMENT in body["card"]
        said = {"code": "card.payment_card"} if refused else {"outcome": "card"}
        self._answer(422 if refused else 200, "application/json", json.dumps(said).encode())

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def one_till() -> Iterator[tuple[str, list[dict[str, str]]]]:
    posted: list[dict[str, str]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneTill", (Till,), {"posted": posted}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", posted
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def one_page(browser: Browser) -> Iterator[Page]:
    """A new page costs more than all that most of these tests do in it."""
    opened = browser.new_page()
    yield opened
    opened.close()


@pytest.fixture
def till(one_till) -> tuple[str, list[dict[str, str]]]:
    one_till[1].clear()
    return one_till


@pytest.fixture
def page(one_page: Page, till) -> Page:
    one_page.goto(till[0])
    one_page.wait_for_function("window.ready")
    return one_page


def told(page: Page, many: int) -> list:
    page.wait_for_function("(many) => window.told.length >= many", arg=many)
    return page.evaluate("window.told")


def test_real_keys_without_a_pause_are_one_scan(page: Page, till):
    # Real keys take as long as this machine takes; what they look like is what matters here.
    page.goto(till[0] + "?patient")
    page.wait_for_function("window.ready")
    page.focus("#field")
    page.keyboard.type(CARD, delay=0)
    page.keyboard.press("Enter")
    assert told(page, 1) == [{"ok": True, "said": {"outcome": "card"}}]
    assert till[1] == [{"card": CARD}]
    assert (page.input_value("#field"), page.evaluate("window.sent")) == ("", 0)


def test_a_person_types_into_the_field_and_sends_the_form(page: Page, till):
    page.focus("#field")
    page.keyboard.type("600123456", delay=70)
    page.keyboard.press("Enter", delay=70)
    page.wait_for_function("window.sent === 1")
    assert page.input_value("#field") == "600123456"
    assert (till[1], page.evaluate("window.told")) == ([], [])


def test_a_suffix_that_comes_late_presses_nothing(page: Page, till):
    page.focus("#field")
    last = burst(page, CARD, end="")
    told(page, 1)
    burst(page, "", at_ms=last + 499)
    assert (page.evaluate("window.sent"), till[1]) == (0, [{"card": CARD}])
    burst(page, "", at_ms=last + 500)  # a person's: a reader has one suffix
    assert (page.evaluate("window.sent"), till[1]) == (1, [{"card": CARD}])


def test_a_person_may_press_enter_half_a_second_after_a_scan_without_a_suffix(page: Page, till):
    page.focus("#field")
    last = burst(page, CARD, end="")
    told(page, 1)
    burst(page, "", at_ms=last + 501)
    assert (page.evaluate("window.sent"), till[1]) == (1, [{"card": CARD}])


@pytest.mark.parametrize("end", ["Enter", "Tab"])
@pytest.mark.parametrize("gap_ms", [0.5, 10, 30])
def test_a_burst_with_its_suffix_is_one_scan_with_the_field_as_it_was(page: Page, till, end, gap_ms):
    page.fill("#field", "two words")
    page.evaluate("document.getElementById('field').setSelectionRange(3, 3); document.getElementById('field').focus()")
    burst(page, f"]E0{CARD}", end, gap_ms)
    told(page, 1)
    assert till[1] == [{"card": f"]E0{CARD}"}]
    assert page.input_value("#field") == "two words"
    assert page.evaluate("document.getElementById('field').selectionStart") == 3
    assert page.evaluate("[document.activeElement.id, window.sent]") == ["field", 0]


def test_no_digit_of_a_payment_card_stands_in_the_page(page: Page, till):
    page.focus("#field")
    burst(page, PAYMENT)
    assert told(page, 1) == [{"ok": False, "said": {"code": "card.payment_card"}}]
    # The first key alone was there, for the moment before the second.
    assert page.evaluate("window.inputs") == ["4", ""]
    assert "42" not in page.content() and page.input_value("#field") == ""


def test_a_reader_without_a_suffix_ends_with_silence(page: Page, till):
    page.focus("#field")
    burst(page, PAYMENT, end="")
    assert told(page, 1)[0]["said"] == {"code": "card.payment_card"}
    assert page.input_value("#field") == ""


def test_a_swipe_whose_tracks_each_end_with_enter_is_one_scan(page: Page, till):
    burst(page, "%B9826300000000015^DOE/J^9912?\n;9826300000000015=9912?")
    told(page, 1)
    page.wait_for_timeout(700)
    assert till[1] == [{"card": "%B9826300000000015^DOE/J^9912?;9826300000000015=9912?"}]


def test_fnc1_typed_as_a_control_key_is_kept(page: Page, till):
    burst(page, "8018735005385000000011\x1d80191")
    told(page, 1)
    assert till[1] == [{"card": "8018735005385000000011\x1d80191"}]


# What Windows' Russian layout makes of the keys that a reader presses for the line before it.
RUSSIAN = str.maketrans(
    "qwertyuiop[]asdfghjkl;'zxcvbnm,./QWERTYUIOP{}ASDFGHJKL:\"ZXCVBNM<>?@#$^&",
    "йцукенгшщзхъфывапролджэячсмитьбю.ЙЦУКЕНГШЩЗХЪФЫВАПРОЛДЖЭЯЧСМИТЬБЮ,\"№;:?",
)


def pressed(page: Page, text: str) -> None:
    """The keys of a US keyboard for a text, then Enter, while the machine stands on the Russian layout."""
    codes = {";": "Semicolon", ":": "Semicolon", "[": "BracketLeft", "]": "BracketRight", "/": "Slash", "?": "Slash",
             ".": "Period", "=": "Equal", "-": "Minus", "_": "Minus"}  # fmt: skip
    shifted = {**dict(zip(")!@#$%^&*(", "0123456789", strict=True)), "_": "", ":": "", "?": ""}
    keys = []
    for sign in text:
        if sign.isdigit() or shifted.get(sign):
            code = f"Digit{shifted.get(sign, sign)}"
        else:
            code = f"Key{sign.upper()}" if sign.isalpha() else codes[sign]
        is_shifted = sign in shifted or sign.isupper()
        keys.append({"key": sign.translate(RUSSIAN), "code": code, "shiftKey": is_shifted})
    press(page, [*keys, {"key": "Enter", "code": "Enter"}])


@pytest.mark.parametrize("text", [
    f"]E0{CARD}", "https://id.example.org/8018/735005385000000011", ";9826300000000015=9912?",
    "%B9826300000000015^DOE/J^9912?", "TPA1.Aa_zZ-09",
])  # fmt: skip
def test_a_readers_keys_are_read_by_their_places_under_the_russian_layout(page: Page, till, text):
    pressed(page, text)
    told(page, 1)
    assert till[1] == [{"card": text}]


def test_a_payment_card_is_one_under_the_russian_layout_too(page: Page, till):
    pressed(page, f";{PAYMENT}=29011010000?")
    assert told(page, 1)[0]["said"] == {"code": "card.payment_card"}


def test_a_word_that_was_typed_quickly_in_russian_stays_russian(page: Page, till):
    page.focus("#field")
    burst(page, "слово", end="")
    page.wait_for_function("document.getElementById('field').value === 'слово'")


SHORT = [("12345", "Enter"), ("ab", ""), ("12345678901", "")]


@pytest.mark.parametrize(("text", "end"), SHORT)
def test_quick_fingers_lose_no_key(page: Page, till, text, end):
    page.focus("#field")
    burst(page, text, end)
    page.wait_for_function("(text) => document.getElementById('field').value === text", arg=text)
    assert page.evaluate("window.sent") == (1 if end else 0)
    assert till[1] == []


def test_two_keys_that_roll_into_each_other_stay_in_order(page: Page, till):
    page.focus("#field")
    last = page.evaluate("performance.now()")
    for pair in ("he", "ll", "o!"):
        last = burst(page, pair, end="", gap_ms=15, at_ms=last + 40)
    page.wait_for_function("document.getElementById('field').value === 'hello!'")
    assert till[1] == []


def test_a_field_takes_no_more_than_it_may(page: Page, till):
    page.fill("#field", "x" * 38)
    page.focus("#field")
    burst(page, "12345", end="")
    page.wait_for_function("document.getElementById('field').value.length > 39")  # the first key alone makes 39
    assert page.input_value("#field") == "x" * 38 + "12"


def test_scans_in_a_row_are_told_in_order(page: Page, till):
    for n in range(3):
        burst(page, f"{CARD}{n}")
    told(page, 3)
    assert [body["card"] for body in till[1]] == [f"{CARD}{n}" for n in range(3)]


def test_a_page_may_take_the_scan_itself_and_stop_listening(page: Page, till):
    page.goto(till[0] + "?own")
    page.wait_for_function("window.ready")
    burst(page, CARD)
    assert told(page, 1) == [CARD]
    page.evaluate("window.stop()")
    burst(page, CARD)
    page.wait_for_timeout(200)
    assert (page.evaluate("window.told.length"), till[1]) == (1, [])


def test_a_till_that_does_not_answer_is_told_and_the_next_scan_tries_again(page: Page, till):
    page.route("**/v1/cards/identify", lambda route: route.abort())
    burst(page, CARD)
    assert told(page, 1) == [{"ok": False, "said": {"code": "page.no_answer"}}]
    page.unroute("**/v1/cards/identify")
    burst(page, CARD)
    assert told(page, 2)[1]["ok"]
