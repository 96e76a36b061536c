"""The page: a small document that means what it shows."""

from html.parser import HTMLParser

from receipt_templates.as_html import render_html
from receipt_templates.blocks import Code, Cut, Pair, Rule, Text
from receipt_templates.compose import blocks_of
from receipt_templates.profiles import PROFILES
from receipt_templates.render import render
from tests.receipt_templates.samples import aurora, harbour_coupons

VOID = {"meta", "hr"}


class Outline(HTMLParser):
    """Texts by element, and the elements left open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1], data))


def outline(page: str) -> Outline:
    read = Outline()
    read.feed(page)
    return read


def test_pairs_are_names_and_figures_of_one_list():
    page = render_html([Pair(left="Milk", right="1.00"), Pair(left="Tea", right="2.00", bold=True), Rule(), Cut()])
    assert page.count("<dl>") == 1
    assert '<div class="bold"><dt>Tea</dt><dd>2.00</dd></div>' in page


def test_every_element_is_closed_and_texts_are_escaped():
    page = render_html([Text(text="<b>&", align="center")], title='"><script>')
    read = outline(page)
    assert read.open == []
    assert ("p", "<b>&") in read.texts
    assert ("title", '"><script>') in read.texts


def test_a_code_is_drawn_with_its_text_below_and_only_said_where_it_cannot_be_drawn():
    page = render_html([Code(kind="qr", data="A-1", fallback_text="A-1")])
    assert '<figure data-code="qr"><svg ' in page and "</svg><figcaption>A-1</figcaption></figure>" in page
    unfit = render_html([Code(kind="ean13", data="12", fallback_text="see 12"), Code(kind="ean13", data="12")])
    assert '<figure data-code="ean13"><figcaption>see 12</figcaption></figure>' in unfit
    assert unfit.count("<figure") == 1


def test_a_receipt_page_names_its_language_and_its_number():
    page = render(aurora(), "html", PROFILES["generic-42"])
    read = outline(page)
    assert page.startswith('<!doctype html>\n<html lang="pt-BR">')
    assert ("title", "0042-000917") in read.texts
    assert ("dd", "R$\u00a01.267,62") in read.texts
    assert len([text for element, text in read.texts if element in ("p", "dt", "dd")]) > 20
    assert len(blocks_of(aurora())) > 20


def test_a_page_shows_every_sentence_where_paper_has_room_for_some():
    said = tuple(f"Sentence {number}." for number in range(12))
    page = render(aurora(messages=said), "html", PROFILES["generic-42"])
    paper = render(aurora(messages=said), "text", PROFILES["generic-42"])
    assert [sentence in page for sentence in said] == [True] * 12
    assert [sentence in paper for sentence in said] == [True] * 9 + [False] * 3  # nine of two lines are eighteen


def test_a_page_shows_each_coupon_with_its_days_and_its_code():
    read = outline(render(harbour_coupons(), "html", PROFILES["generic-42"]))
    texts = [text.replace("\u00a0", " ") for element, text in read.texts if element == "p"]
    at = texts.index("A coffee with any cake")
    assert texts[at + 1 : at + 3] == [
        "Good from 13 Mar 2026 to 11 Apr 2026", "TC7M 09KD XG13 PTG5 E2ZV Y8CQ 4S1N 6FHA B3",
    ]  # fmt: skip
