"""Lines lent by a fiscal printer: plain, short, most important first, and nothing that looks fiscal."""

from datetime import date

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receipt_templates.as_fiscal import looks_fiscal, render_fiscal
from receipt_templates.languages import TONGUES
from receipt_templates.sample_slips import sample_named, samples
from receipt_templates.view import Lapsing
from tests.receipt_templates.samples import (
    aurora_void,
    harbour,
    harbour_coupons,
    harbour_return,
    polish,
    russian,
)

LEGAL = "Points have no cash value. Terms at harbourmarket.example."


def test_what_became_of_points_stands_first_and_what_is_offered_last():
    told = render_fiscal(harbour(lapsing=(Lapsing(points=120, through=date(2026, 3, 31)),), legal=LEGAL), lines=10)
    assert told.lines == (
        "Points today: 134",
        "Points used: 200",
        "Your points: 1,340",
        "120 points: use by 31 Mar 2026",
        "Questions: 9f3a02c1",
        "Points have no cash value. Terms at",
        "harbourmarket.example.",
        "Spend £4.52 more next time and coffee is",
        "on us.",
    )
    assert (told.no_room, told.barred) == (0, 0)


TIERS = {
    "en": ["Double points on fruit this week.", "GBP 45.00 more to reach Gold.",
           "Spend £4.52 more next time and coffee is", "on us."],
    "pl": ["Podwójne punkty za owoce w tym tygodniu.", 'Do poziomu "Złoty": jeszcze 2 zakupy.'],
    "pt-BR": ["Café em dobro: pontos 2x até domingo.", "Para chegar a Ouro: mais 3 compras.",
              "Faltaram R$ 4,52 para um café grátis."],
    "ru": ["Двойные баллы за фрукты на этой неделе.", 'Ещё 5 покупок до уровня "Золотой".'],
}  # fmt: skip


@pytest.mark.parametrize("language", TONGUES)
def test_the_next_tier_stands_between_what_is_offered_and_what_was_missed(language: str):
    offered = TIERS[language]
    assert list(render_fiscal(sample_named(f"sale-{language}"), lines=16).lines[-len(offered) :]) == offered


def test_what_is_not_certain_is_said_before_what_is_offered():
    told = render_fiscal(harbour(offline=True, unconfirmed=True)).lines
    assert told[2:5] == ("Last known points: 1,340", "To be confirmed", "Offline, nothing is lost")


def test_training_is_said_before_anything_else():
    assert render_fiscal(harbour(training=True), lines=1).lines == ("TRAINING, counts nowhere",)


def test_a_legal_text_that_does_not_fit_whole_is_left_out_whole():
    # Four lines stand before it, and it takes two.
    view = harbour(legal=LEGAL, messages=())
    assert render_fiscal(view, lines=6).lines[4:] == (
        "Points have no cash value. Terms at", "harbourmarket.example.",
    )  # fmt: skip
    short = render_fiscal(view, lines=5)
    assert (short.lines[-1], short.no_room) == ("Questions: 9f3a02c1", 1)


def test_cut_after_any_line_it_still_says_the_most_important():
    whole = render_fiscal(harbour_coupons(), lines=12).lines
    for after in range(4):
        assert whole[:after] == render_fiscal(harbour_coupons(), lines=after).lines


@pytest.mark.parametrize(
    ("language", "text", "is_fiscal"),
    [
        ("en", "Your TOTAL is high", True),
        ("en", "Totally new", False),
        ("en", "VAT included", True),
        ("pt-BR", "Impostos inclusos", True),
        ("pt-BR", "Compre mais", False),
        ("ru", "Итоговая сумма", True),
        ("ru", "без НДС", True),
        ("ru", "Центр ждёт вас", False),
        ("pl", "RAZEM z nami", True),
        ("pl", "Do centrali", False),
        ("pl", "paragon fiskalny", True),
    ],
)
def test_words_of_fiscal_receipts_are_known_in_each_language(language: str, text: str, is_fiscal: bool):
    assert looks_fiscal(text, TONGUES[language]) is is_fiscal


def test_a_message_that_looks_fiscal_is_left_out_and_counted():
    told = render_fiscal(harbour(messages=("Your total was low, come again.", "Come again.")))
    assert ("Come again." in told.lines, told.barred) == (True, 1)


def test_letters_go_the_way_of_the_driver_s_page():
    assert render_fiscal(polish(), encoding="cp866").lines[0] == "Punkty dzis: 134"
    assert render_fiscal(russian(), encoding="cp866").lines[0] == "Баллы сегодня: 134"


def test_points_of_a_void_go_back():
    assert render_fiscal(aurora_void()).lines[0] == "Pontos estornados: 1.267"


@pytest.mark.parametrize(
    ("earned", "first"), [(0, "Points taken back: 67"), (54, "Points taken back: 13"), (70, "Points today: 3")]
)
def test_what_the_goods_that_stay_earn_anew_was_not_taken_back(earned: int, first: str):
    back = msgspec.structs.replace(harbour_return(), earned_points=earned)
    assert render_fiscal(back).lines[:2] == (first, "Points given back: 200")


@pytest.mark.parametrize("name", ["welcome", "certificate-sold", "certificate-redeemed", "claim", "close"])
def test_a_slip_with_a_code_or_a_signature_needs_paper_of_its_own(name: str):
    assert render_fiscal(sample_named(name)).lines == ()


@settings(deadline=None)
@given(
    name=st.sampled_from(sorted(samples())),
    language=st.sampled_from(sorted(TONGUES)),
    columns=st.integers(min_value=16, max_value=64),
    lines=st.integers(min_value=0, max_value=40),
    message=st.text(max_size=80),
)
def test_lines_fit_hold_no_control_and_look_like_nothing_fiscal(
    name: str, language: str, columns: int, lines: int, message: str
):
    view = harbour(language=language, messages=(message,)) if name == "sale-en" else sample_named(name)
    told = render_fiscal(view, columns=columns, lines=lines)
    assert len(told.lines) <= lines
    for line in told.lines:
        assert line and all(char.isprintable() or char == "\u00ad" for char in line)
        assert not looks_fiscal(line, TONGUES[view.language])
