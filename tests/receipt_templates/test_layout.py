"""Rows never pass the paper's edge, figures stay whole, and nothing that was written is lost."""

from datetime import datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receipt_templates.as_escpos import render_escpos
from receipt_templates.as_text import render_text
from receipt_templates.blocks import Block, Pair, Rule, Text
from receipt_templates.columns import columns_of
from receipt_templates.compose import blocks_of
from receipt_templates.languages import TONGUES, date_and_time
from receipt_templates.profiles import PROFILES, PrinterProfile
from receipt_templates.sample_slips import sample_named
from receipt_templates.view import Shop, ViewDiscount, ViewLine
from tests.receipt_templates.escpos_decoder import decode_escpos, pages_of
from tests.receipt_templates.samples import aurora, harbour_coupons

WORDS = st.text(max_size=90)
AMOUNTS = st.integers(min_value=-(10**15), max_value=10**15)
COLUMNS = st.integers(min_value=16, max_value=64)


def rows(block: Block, columns: int) -> list[str]:
    return render_text([block], columns).rstrip("\n").split("\n")


def test_text_wraps_at_spaces_and_a_long_word_where_it_must():
    assert rows(Text(text="sparkling water 0123456789abcdefgh"), 16) == ["sparkling water", "0123456789abcdef", "gh"]


def test_centred_text_wraps_into_even_lines():
    assert rows(Text(text="Seus pontos valem sempre", align="center"), 22) == ["     Seus pontos", "     valem sempre"]


def test_text_stands_right():
    assert rows(Text(text="12,50", align="right"), 16) == ["           12,50"]


def test_a_figure_is_not_torn_from_its_currency():
    assert rows(Text(text="Você economizou R$\u00a05,38"), 20) == ["Você economizou", "R$ 5,38"]


def test_a_figure_is_not_torn_from_its_unit():
    assert rows(Text(text="Café torrado e moído 500 g"), 25) == ["Café torrado e moído", "500 g"]
    assert rows(Text(text="Café torrado e moído 500 de novo"), 24) == ["Café torrado e moído", "500 de novo"]


def test_a_pair_keeps_its_right_part_whole_and_wraps_the_left_above():
    pair = Pair(left="Extra virgin olive oil", right="1.234,50", indent=2)
    assert rows(pair, 24) == ["  Extra virgin olive", "  oil           1.234,50"]
    assert rows(pair, 40) == ["  Extra virgin olive oil        1.234,50"]


def test_a_left_text_has_the_whole_paper_but_for_its_last_line():
    machine = Pair(left="Cafeteira expresso automática com moedor, 220 V", right="1.234,50")
    assert rows(machine, 20) == ["Cafeteira expresso", "automática com", "moedor,", "220 V       1.234,50"]
    assert rows(machine, 32) == ["Cafeteira expresso automática", "com moedor, 220 V       1.234,50"]
    assert rows(Pair(left="Sales by head office", right="4,524.80"), 20) == ["Sales by head", "office      4,524.80"]


@pytest.mark.parametrize(("language", "date"), [("en", "12 Mar 2026"), ("pl", "12.03.2026"), ("pt-BR", "12/03/2026")])
def test_a_date_at_the_head_stays_in_one_line_on_the_narrowest_paper(language: str, date: str):
    moment = date_and_time(TONGUES[language], datetime.fromisoformat("2026-03-12T18:42:30+00:00"))
    assert rows(Pair(left=moment, right="Till 3"), 16) == [date, "18:42     Till 3"]


DAYS = {
    "en": ["        Good", "  from 13 Mar 2026", "   to 11 Apr 2026"],
    "pt-BR": ["Válido de 13/03/2026", "    a 11/04/2026"],
    "ru": ["     Действует", "    с 13.03.2026", "   по 11.04.2026"],
    "pl": ["Ważny od 13.03.2026", "   do 11.04.2026"],
}


@pytest.mark.parametrize("language", TONGUES)
def test_the_days_of_a_coupon_stay_beside_from_and_to(language: str):
    view = harbour_coupons()
    text = render_text(blocks_of(msgspec.structs.replace(view, language=language)), 20)
    assert "\n".join(DAYS[language]) in text


@pytest.mark.parametrize("columns", [16, 20, 32])
@pytest.mark.parametrize("language", TONGUES)
def test_the_line_to_sign_on_is_one_line(language: str, columns: int):
    close = msgspec.structs.replace(sample_named("close"), language=language)
    lines = render_text(blocks_of(close), columns).split("\n")
    assert [line[-16:] for line in lines if "_" in line] == ["_" * 16]


def test_a_right_part_too_long_for_company_goes_below():
    assert rows(Pair(left="Receipt", right="0d5c1c1e-77a4"), 16) == ["Receipt", "   0d5c1c1e-77a4"]
    longer = Pair(left="Receipt", right="0d5c1c1e-77a4-4f5e")
    assert rows(longer, 16) == ["Receipt", "0d5c1c1e-77a4-4f", "              5e"]


def test_a_date_or_word_beside_a_figure_is_not_torn():
    assert rows(Pair(left="Use by 31.03.2026", right="121 points"), 20) == ["Use by 31.03.2026", "          121 points"]
    assert rows(Pair(left="To be confirmed", right="9f3a02c1"), 19) == ["To be", "confirmed  9f3a02c1"]
    # What is wider than the paper is broken at any rate.
    assert rows(Pair(left="0123456789abcdefgh", right="1.00"), 16) == ["0123456789abcdef", "gh", "            1.00"]


def test_a_rule_spans_the_paper():
    assert rows(Rule(char="="), 16) == ["================"]


@given(left=WORDS, right=WORDS, indent=st.sampled_from([0, 2]), columns=COLUMNS)
def test_no_letter_of_a_pair_is_lost(left: str, right: str, indent: int, columns: int):
    plain = rows(Pair(left=left, right="", indent=indent), columns) + rows(Pair(left="", right=right), columns)
    both = rows(Pair(left=left, right=right, indent=indent), columns)
    assert "".join("".join(plain).split()) == "".join("".join(both).split())


@settings(deadline=None)
@given(
    name=WORDS,
    shop=WORDS,
    promotion=WORDS,
    message=WORDS,
    amount=AMOUNTS,
    points=st.integers(min_value=-(10**12), max_value=10**12),
    quantity=st.integers(min_value=1, max_value=10**15),
    language=st.sampled_from(["en", "pt-BR", "ru", "pl"]),
    columns=COLUMNS,
    printer=st.sampled_from(sorted(PROFILES)),
)
def test_no_line_is_wider_than_the_paper(
    name: str,
    shop: str,
    promotion: str,
    message: str,
    amount: int,
    points: int,
    quantity: int,
    language: str,
    columns: int,
    printer: str,
):
    line = ViewLine(
        name=name,
        quantity_milli=quantity,
        amount_minor=amount,
        unit_price_minor=amount,
        discounts=(ViewDiscount(name=promotion, amount_minor=amount),),
    )
    view = aurora(
        language=language,
        shop=Shop(name=shop, currency="BRL", address=(name, promotion)),
        number=name,
        lines=(line, line),
        total_minor=amount,
        points_spent=points,
        balance_points=points,
        messages=(message,),
    )
    blocks = blocks_of(view)
    assert max(map(columns_of, render_text(blocks, columns).split("\n"))) <= columns
    like = PROFILES[printer]
    profile = PrinterProfile(name="any", columns=columns, pages=like.pages, native_qr=like.native_qr, cut=like.cut)
    seen = decode_escpos(render_escpos(blocks, profile), pages_of(profile))
    assert max(line.columns for line in seen.lines) <= columns
    assert seen.warnings == []
