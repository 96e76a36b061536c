"""The text of a sale, which is made without a block for each good, is the text of its blocks."""

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from loyalty.amounts import format_minor
from receipt_templates.as_text import render_text
from receipt_templates.blocks import Note
from receipt_templates.columns import _filled, wrapped
from receipt_templates.compose import blocks_of
from receipt_templates.fitting import notes_that_fit
from receipt_templates.languages import TONGUES, amount, number
from receipt_templates.profiles import PROFILES
from receipt_templates.render import render
from receipt_templates.view import ReceiptView, ViewDiscount, ViewLine
from tests.receipt_templates.samples import harbour

NAMES = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        ["Tea", " Tea ", "Green  tea", "Té", "Tea\nloose", "Чай", "茶 100 g", "Tea\u00a0black", "", "T" * 70, "x\x1b@y"]
    ),
)
AMOUNTS = st.integers(min_value=-(10**12), max_value=10**12)
DISCOUNTS = st.builds(ViewDiscount, name=NAMES, amount_minor=AMOUNTS)
LINES = st.builds(
    ViewLine,
    name=NAMES,
    quantity_milli=st.sampled_from([0, 1000, 2000, 350]),
    amount_minor=AMOUNTS,
    unit_price_minor=st.sampled_from([0, 199]),
    discounts=st.lists(DISCOUNTS, max_size=3).map(tuple),
)


def view_with(lines: list[ViewLine], language: str) -> ReceiptView:
    return msgspec.structs.replace(harbour(), lines=tuple(lines), language=language)


@given(
    lines=st.lists(LINES, max_size=6),
    language=st.sampled_from(sorted(TONGUES)),
    columns=st.integers(min_value=16, max_value=64),
)
def test_the_text_of_a_sale_is_the_text_of_its_blocks(lines: list[ViewLine], language: str, columns: int):
    view = view_with(lines, language)
    paper = msgspec.structs.replace(PROFILES["generic-42"], columns=columns)
    assert render(view, "text", paper) == render_text(blocks_of(view), columns)


def test_goods_and_what_came_off_them_stand_one_below_the_other():
    goods = ViewLine(
        name="Green tea", quantity_milli=2000, amount_minor=1_398, unit_price_minor=699,
        discounts=(ViewDiscount(name="Tea  week", amount_minor=140), ViewDiscount(name="", amount_minor=5)),
    )  # fmt: skip
    paper = msgspec.structs.replace(PROFILES["generic-42"], columns=24)
    lines = render(view_with([goods], "en"), "text", paper).split("\n")
    at = lines.index("Green tea")
    assert lines[at + 1 : at + 4] == [
        "  2 x 6.99         13.98",
        "  Tea week         -1.40",
        "  Discount         -0.05",
    ]


@given(minor=st.integers(min_value=-200_000, max_value=200_000), currency=st.sampled_from(["EUR", "JPY", "KWD"]))
@example(minor=-5, currency="EUR")
@example(minor=99_999, currency="EUR")
@example(minor=100_000, currency="EUR")
def test_an_amount_is_the_plain_decimal_as_its_language_writes_it(minor: int, currency: str):
    for tongue in TONGUES.values():
        assert amount(tongue, minor, currency) == number(tongue, format_minor(minor, currency))


@given(words=st.lists(st.sampled_from(["a", "of", "tea", "points", "fourteen_chars"]), min_size=1, max_size=30),
       width=st.integers(min_value=14, max_value=48))  # fmt: skip
def test_centred_lines_are_as_few_as_can_be_and_no_narrower_width_would_do(words: list[str], width: int):
    even = wrapped(" ".join(words), width, even=True)
    assert len(even) == len(_filled(words, width))
    narrower = max(map(len, even)) - 1
    if len(even) > 1 and narrower >= max(map(len, words)):
        assert len(_filled(words, narrower)) > len(even)


def test_a_sentence_that_always_stands_is_broken_anew_for_another_paper():
    note = Note(text="Made offline. Nothing is lost, the figures follow.")
    assert notes_that_fit([note], 42)[0].lines == ("Made offline. Nothing is", "lost, the figures follow.")
    assert notes_that_fit([note], 64)[0].lines == ("Made offline. Nothing is lost, the figures follow.",)


def test_money_off_most_of_the_basket_stands_once_beneath_the_goods_and_the_rest_with_its_line():
    dairy, basket, charged = ("Dairy week", 10), ("5.00 off", 167), ("", 4)

    def good(name: str, *taken: tuple[str, int]) -> ViewLine:
        off = tuple(ViewDiscount(name=what, amount_minor=minor) for what, minor in taken)
        return ViewLine(name=name, quantity_milli=1000, amount_minor=1_000, discounts=off)

    def printed(*goods: ViewLine) -> list[str]:
        slip = render(view_with([*goods], "en"), "text", PROFILES["generic-42"])
        rows = [" ".join(row.split()) for row in slip.split("\n")]
        first = rows.index("Milk 10.00")
        return rows[first : rows.index("-" * 42, first)]

    # Three of five lines: more than half, and three. What the POS took by itself has no name to stand under.
    goods = [good("Milk", dairy, basket), good("Tea", basket, charged), good("Bread", basket)]
    goods += [good("Gift card"), good("Bag")]
    assert printed(*goods) == [
        "Milk 10.00", "Dairy week -0.10", "Tea 10.00", "Discount -0.04", "Bread 10.00", "Gift card 10.00", "Bag 10.00",
        "5.00 off -5.01",
    ]  # fmt: skip
    # Three of six are no more than half; two of two are too few.
    assert printed(*goods, good("Cup"))[:4] == ["Milk 10.00", "Dairy week -0.10", "5.00 off -1.67", "Tea 10.00"]
    assert printed(*goods[:2])[2] == "5.00 off -1.67"
