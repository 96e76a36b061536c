"""Columns of letters, measured twice, and lines that keep a figure beside what it counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth

from receipt_templates.as_text import render_text
from receipt_templates.blocks import Pair, Text
from receipt_templates.columns import columns_of, wrapped


@pytest.mark.parametrize(
    ("text", "columns"),
    [("Milk", 4), ("会員カード", 10), ("Щёлково", 7), ("e\u0301", 1), ("ｶｰﾄﾞ", 4), ("한글", 4), ("…", 1), ("", 0)],
)
def test_a_wide_letter_takes_two_columns_and_an_accent_none(text: str, columns: int):
    assert columns_of(text) == columns


@given(st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x52F, exclude_categories=["Cc", "Cf", "Cn"])))
def test_latin_and_cyrillic_measure_as_a_second_measure_says(text: str):
    assert columns_of(text) == wcswidth(text)


@given(st.text(alphabet=st.characters(min_codepoint=0x3041, max_codepoint=0x9FFF, categories=["Lo", "Lu", "Nd"])))
def test_letters_of_the_far_east_measure_as_a_second_measure_says(text: str):
    assert columns_of(text) == wcswidth(text)


def test_wide_letters_break_where_the_paper_ends():
    # Eight letters of two columns each fill sixteen.
    assert wrapped("会員カード番号特典", 16) == ["会員カード番号特", "典"]
    assert render_text([Pair(left="会員カード", right="1,00")], 20) == "会員カード      1,00\n"
    assert render_text([Text(text="会員", align="center")], 20) == "        会員\n"


# text | columns | lines, parted by slashes
TOGETHER = """
    Spend EUR 12.00 more today   | 12 | Spend / EUR 12.00 / more today
    Mais R$ 5,38 e o café é seu  | 10 | Mais / R$ 5,38 e / o café é / seu
    Wydaj jeszcze 1 340 zł teraz | 16 | Wydaj jeszcze / 1 340 zł teraz
    Wydaj jeszcze 1 340 zł teraz | 14 | Wydaj jeszcze / 1 340 zł teraz
    Ещё 45,00 руб. до подарка    | 12 | Ещё / 45,00 руб. / до подарка
    Save 20 % on 500 g of coffee | 9  | Save 20 % / on 500 g / of coffee
    Item 5 costs little          | 7  | Item 5 / costs / little
    £ 12 off                     | 5  | £ 12 / off
    In 2026 nothing              | 8  | In 2026 / nothing
    Ważny od 13.03.2026 do 11.04 | 20 | Ważny od 13.03.2026 / do 11.04
    Do 31.03.2026 r. podwójnie   | 14 | Do / 31.03.2026 r. / podwójnie
    Скидка по 31.03.2026 г. всем | 14 | Скидка по / 31.03.2026 г. / всем
    Kup 1500 ml i oszczędź       | 9  | Kup / 1500 ml i / oszczędź
"""
ROWS = [[cell.strip() for cell in row.split("|")] for row in TOGETHER.strip().splitlines()]


@pytest.mark.parametrize(("text", "columns", "lines"), ROWS)
def test_a_figure_stays_beside_its_currency_its_unit_and_its_digits(text: str, columns: str, lines: str):
    assert wrapped(text, int(columns)) == lines.split(" / ")


def test_a_figure_wider_than_the_paper_breaks_between_its_parts_before_it_breaks_inside_them():
    assert wrapped("1 234 567 890,00 zł", 10) == ["1 234 567", "890,00 zł"]


@given(text=st.text(max_size=120), width=st.integers(min_value=2, max_value=64), even=st.booleans())
def test_no_line_is_too_wide_and_no_letter_is_lost(text: str, width: int, even: bool):
    lines = wrapped(text, width, even=even)
    assert max(map(columns_of, lines)) <= width
    assert "".join("".join(lines).split()) == "".join(text.split())
