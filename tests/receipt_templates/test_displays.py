"""Two lines of twenty columns: figures whole, words that fit, three sets of commands."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from receipt_templates.as_display import DISPLAYS, UnknownDisplay, display_named, render_display, step_of
from receipt_templates.columns import columns_of
from receipt_templates.languages import TONGUES
from receipt_templates.sample_slips import samples
from receipt_templates.two_lines import DisplayState, two_lines
from receipt_templates.view_on_display import display_of
from tests.receipt_templates.display_decoder import show

PAID = DisplayState(phase="done", currency="GBP", has_card=True, points=125, balance_points=1340, total_minor=1548)

# language | state | upper, lower
LINES = """
    en    | done    | BONUS           +125 | BALANCE        1,340
    pt-BR | done    | PONTOS          +125 | SALDO          1.340
    ru    | done    | БОНУС           +125 | БАЛАНС         1 340
    pl    | done    | PUNKTY          +125 | SALDO          1 340
    en    | offline | BONUS           +125 | OFFLINE
    pl    | offline | PUNKTY          +125 | BEZ POŁĄCZENIA
    en    | nobody  | SAVED           2.77 | TOTAL          15.48
    en    | dear    | THANK YOU            | TOTAL          15.48
    en    | sale    | Extra virgin ol 9.90 | TOTAL          15.48
    ru    | sale    | Extra virgin ol 9,90 | ИТОГО          15,48
    en    | member  | BALANCE        1,340 | USE              500
    en    | unknown | WELCOME              |
    en    | idle    | Harbour Market       | WELCOME
    ru    | idle    | Harbour Market       | ЗДРАВСТВУЙТЕ
    en    | practice| THANK YOU            | TRAINING       15.48
    en    | broken  | Harbour Market       | OFFLINE
"""
ITEM = "Extra virgin olive oil"
STATES = {
    "done": PAID,
    "offline": msgspec.structs.replace(PAID, offline=True),
    "nobody": msgspec.structs.replace(PAID, has_card=False, saved_minor=277, balance_points=None),
    "dear": msgspec.structs.replace(PAID, has_card=False, balance_points=None),
    "sale": DisplayState(phase="sale", currency="GBP", item=ITEM, item_minor=990, total_minor=1548),
    "member": DisplayState(phase="member", has_card=True, balance_points=1340, may_spend_points=500),
    "unknown": DisplayState(phase="member", has_card=True),
    "idle": DisplayState(shop="Harbour Market"),
    "practice": msgspec.structs.replace(PAID, training=True),
    "broken": DisplayState(shop="Harbour Market", offline=True),
}
ROWS = [[cell.strip() for cell in row.split("|")] for row in LINES.strip().splitlines()]


@pytest.mark.parametrize(("language", "state", "upper", "lower"), ROWS)
def test_what_stands_on_the_display(language: str, state: str, upper: str, lower: str):
    lines = two_lines(msgspec.structs.replace(STATES[state], language=language))
    assert (lines.upper.rstrip(), lines.lower.rstrip(), lines.running) == (upper, lower, "")


@pytest.mark.parametrize("language", TONGUES)
def test_every_word_of_a_display_fits_beside_a_long_figure(language: str):
    for word in msgspec.structs.asdict(TONGUES[language].display).values():
        assert len(word) <= 14
    for word in ("bonus", "balance", "total", "saved", "spend"):
        assert len(getattr(TONGUES[language].display, word)) <= 10  # a space, and 1,234,567 or 12,345.67


def test_a_long_name_runs_through_the_upper_line_between_sales_and_at_no_other_time():
    name = "Harbour Market of Leith, Edinburgh"
    assert two_lines(DisplayState(shop=name)).running == name
    sale = DisplayState(phase="sale", shop=name, item=name, currency="GBP")
    assert two_lines(sale).running == ""


def test_a_running_text_moves_one_letter_a_step_where_the_display_does_not_move_it():
    lines = two_lines(DisplayState(shop="Harbour Market of Leith"))
    assert step_of(lines, 0).upper == "Harbour Market of Le"
    assert step_of(lines, 8).upper == "Market of Leith   Ha"
    assert step_of(lines, 26).upper == "Harbour Market of Le"  # 23 letters and three spaces: round again


def test_a_figure_that_does_not_fit_is_left_out_rather_than_cut():
    lines = two_lines(DisplayState(phase="sale", currency="GBP", item="x", item_minor=1, total_minor=10**18))
    assert lines.lower == "TOTAL" + " " * 15


@pytest.mark.parametrize("name", sorted(DISPLAYS))
def test_every_display_shows_both_lines_in_letters_of_its_page(name: str):
    profile = DISPLAYS[name]
    language = {"cp866": "ru", "cp1251": "ru", "cp852": "pl"}.get(profile.encoding, "en")
    lines = two_lines(msgspec.structs.replace(PAID, language=language), profile.encoding)
    shown = show(render_display(lines, profile), profile.commands, profile.encoding)
    assert (shown.upper, shown.lower, shown.warnings) == (lines.upper, lines.lower, [])
    assert shown.upper.startswith({"ru": "БОНУС", "pl": "PUNKTY", "en": "BONUS"}[language])


def test_frames_byte_by_byte():
    lines = two_lines(PAID)
    upper, lower = b"BONUS           +125", b"BALANCE        1,340"
    cd5220 = b"\x1b@\x1bQA" + upper + b"\r\x1bQB" + lower + b"\r"
    assert render_display(lines, display_named("cd5220")) == cd5220
    assert render_display(lines, display_named("utc")) == b"\x1f\x1buA" + upper + b"\r\x1buB" + lower + b"\r"
    assert render_display(lines, display_named("epson-dm-d")) == (
        b"\x1b=\x02\x1b@\x1bt\x13\x1fC\x00\x0c\x1f$\x01\x01" + upper + b"\x1f$\x01\x02" + lower + b"\x1b=\x01"
    )


def test_a_cd5220_moves_a_long_text_by_itself():
    profile = display_named("cd5220")
    assert profile.runs_by_itself and not display_named("utc").runs_by_itself
    frame = render_display(two_lines(DisplayState(shop="Harbour Market of Leith"), "cp437"), profile)
    assert show(frame, "cd5220", "cp437").running == "Harbour Market of Leith"


def test_a_printer_behind_which_a_display_hangs_gets_its_line_back():
    assert show(render_display(two_lines(PAID), display_named("epson-dm-d")), "escpos", "cp858").selected is False


def test_an_unknown_display_names_those_there_are():
    with pytest.raises(UnknownDisplay, match=r"aures-ocd-300, .*cd5220"):
        display_named("tv")


@pytest.mark.parametrize("name", sorted(samples()))
def test_every_slip_has_its_two_lines(name: str):
    lines = two_lines(display_of(samples()[name]))
    assert (columns_of(lines.upper), columns_of(lines.lower)) == (20, 20)
    assert (lines.upper + lines.lower).strip()


@given(
    item=st.text(max_size=60),
    minor=st.integers(min_value=-(10**20), max_value=10**20),
    points=st.integers(min_value=0, max_value=10**20),
    language=st.sampled_from(sorted(TONGUES)),
    phase=st.sampled_from(["idle", "member", "sale", "done"]),
    name=st.sampled_from(sorted(DISPLAYS)),
    has_card=st.booleans(),
)
def test_no_text_and_no_figure_breaks_a_frame(
    item: str, minor: int, points: int, language: str, phase: str, name: str, has_card: bool
):
    profile = DISPLAYS[name]
    state = DisplayState(
        phase=phase, language=language, currency="GBP", shop=item, item=item, item_minor=minor, total_minor=minor,
        has_card=has_card, points=points, balance_points=points,
    )  # fmt: skip
    lines = two_lines(state, profile.encoding)
    shown = show(render_display(lines, profile), profile.commands, profile.encoding)
    assert shown.warnings == []
    assert (len(shown.upper), len(shown.lower)) == (20, 20)
