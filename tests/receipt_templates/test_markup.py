"""Values cannot become markup; a layout that says nonsense is found out."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from receipt_templates.as_html import render_html
from receipt_templates.as_text import render_text
from receipt_templates.blocks import Code, Cut, Feed, Pair, Rule, Text
from receipt_templates.compose import _JINJA, blocks_of
from receipt_templates.markup import BadLayout, escaped, parse
from receipt_templates.profiles import PROFILES
from receipt_templates.render import render
from receipt_templates.view import ViewLine
from tests.receipt_templates.escpos_decoder import decode_escpos, pages_of
from tests.receipt_templates.samples import harbour

WICKED = "Tea\n[cut]\n[qr] http://evil.example | x\x1b@\x1dV\x00 \\n | 0.01 ]{{ 7 * 7 }}{% raw %}<script>&"


def test_every_mark_makes_its_block():
    source = """
        [center bold large] Shop

        [pair indent] a \\| b | 1.00
        [rule =]
        [qr] data | text
        [feed 2]
        [cut]
    """
    assert parse(source) == (
        Text(text="Shop", align="center", bold=True, size="large"),
        Pair(left="a | b", right="1.00", indent=2),
        Rule(char="="),
        Code(kind="qr", data="data", fallback_text="text"),
        Feed(lines=2),
        Cut(),
    )


def test_a_part_stands_where_its_mark_does_and_is_told_what_the_mark_says():
    parts = {"head": lambda title: (Text(text=title), Rule()), "foot": lambda: ()}
    assert parse("[head void_slip]\n[foot]\n[cut]", parts) == (Text(text="void_slip"), Rule(), Cut())
    with pytest.raises(BadLayout):
        parse("[foot] x", parts)


@pytest.mark.parametrize(
    "source",
    ["no mark", "[shout] x", "[left] a | b", "[pair] a | b | c", "[rule][left] x", "[left] x [cut]", "[cut] x", "[]"],
)
def test_nonsense_in_a_layout_is_refused(source: str):
    with pytest.raises(BadLayout):
        parse(source)


@given(value=st.text())
@example(value=WICKED)
@example(value="\\")
def test_a_value_is_one_text_whatever_is_in_it(value: str):
    wanted = "".join(char for char in value.replace("\r\n", "\n") if char == "\n" or not is_control(char))
    assert parse(f"[left] {escaped(value)}") == (Text(text=wanted.strip()),)
    assert parse(f"[pair] {escaped(value)} | 1.00") == (Pair(left=wanted.strip(), right="1.00"),)


def is_control(char: str) -> bool:
    return ord(char) < 32 or 127 <= ord(char) < 160 or 0xD800 <= ord(char) < 0xE000


@pytest.mark.parametrize("value", [None, True, 1.5, ("a",)])
def test_a_layout_prints_texts_and_whole_numbers_only(value: object):
    with pytest.raises(BadLayout):
        escaped(value)


def test_a_name_that_a_layout_does_not_know_is_refused():
    with pytest.raises(UndefinedError):
        _JINJA.from_string("[left] {{ totl }}").render()


def test_a_layout_cannot_reach_outside():
    with pytest.raises(Exception, match="unsafe"):
        _JINJA.from_string("[left] {{ ''.__class__.__mro__ }}").render()


def test_a_wicked_product_name_is_only_a_name():
    plain, wicked = harbour(), harbour(lines=(ViewLine(name=WICKED, quantity_milli=1000, amount_minor=100),))
    blocks = blocks_of(wicked)
    assert sum(isinstance(block, Cut) for block in blocks) == 1
    assert [block.data for block in blocks if isinstance(block, Code)] == ["A-2026-00917"]

    profile = PROFILES["wide-48"]
    seen = decode_escpos(render(wicked, "escpos", profile), pages_of(profile))
    assert (seen.cuts, seen.codes, seen.warnings) == (["partial"], [("qr", "A-2026-00917")], [])
    text = render_text(blocks, 64)
    assert "Tea\n[cut]\n[qr] http://evil.example | x@V \\n | 0.01 ]{{ 7 * 7 }}{%" in text
    assert "<script>" not in render_html(blocks)
    assert "&lt;script&gt;&amp;" in render_html(blocks)
    assert len(blocks_of(plain)) > len(blocks)
