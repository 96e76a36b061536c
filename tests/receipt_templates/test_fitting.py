"""The foot of a receipt keeps to its length: what matters least goes first, and what is legal stays whole."""

import msgspec
import pytest

from receipt_templates.as_text import render_text
from receipt_templates.blocks import Block, Feed, Note, Text
from receipt_templates.compose import blocks_of
from receipt_templates.fitting import Caps, fit, shortened
from receipt_templates.sample_slips import sample_named
from tests.receipt_templates.samples import harbour

COLUMNS = 20
SIX = Caps(one=3, all=6)


def kept(*notes: Note, caps: Caps = SIX) -> list[str]:
    return [block.text for block in fit(notes, COLUMNS, caps) if isinstance(block, Text)]


def note(text: str, rank: int, *, legal: bool = False) -> Note:
    return Note(text=text, rank=rank, legal=legal)


def test_a_note_stands_below_an_empty_line_in_the_middle():
    assert fit([note("Hello", 2)], COLUMNS) == (Feed(), Text(text="Hello", align="center"))


def test_what_matters_least_is_left_out_first_and_the_rest_keeps_its_order():
    # Each takes two lines with its empty one, and six are there.
    told = [note("fourth", 4), note("second", 2), note("first", 1), note("third", 3)]
    assert kept(*told) == ["second", "first", "third"]


def test_a_shorter_one_takes_the_room_that_a_longer_one_has_no_use_for():
    long = "a sentence that takes three lines of this paper"
    assert kept(note("first", 1), note(long, 2), note("last", 3), caps=Caps(one=3, all=5)) == ["first", "last"]


def test_what_is_always_printed_uses_up_the_room_of_the_others_and_is_never_left_out():
    always = [note(f"always {n}", 0) for n in range(4)]
    assert kept(*always, note("offer", 2)) == ["always 0", "always 1", "always 2", "always 3"]


def test_a_legal_text_is_neither_shortened_nor_left_out_however_long_it_is():
    legal = "These are the terms. " * 12
    assert kept(note("offer", 2), note(legal, 1, legal=True)) == [legal]


@pytest.mark.parametrize(
    ("language", "points", "consent"),
    [
        ("en", "Head office will confirm the points.", "Without it we stay silent."),
        ("pt-BR", "A central confirmará os pontos.", "Sem isso não enviamos nada."),
        ("ru", "Центр подтвердит баллы.", "Без этого мы не пишем."),
        ("pl", "Centrala potwierdzi punkty.", "Bez tego nie piszemy."),
    ],
)
def test_what_must_be_said_is_said_to_its_end_on_the_narrowest_paper(language: str, points: str, consent: str):
    sale = harbour(language=language, unconfirmed=True)
    welcome = msgspec.structs.replace(sample_named("welcome"), language=language)
    for view, wanted in ((sale, points), (welcome, consent)):
        assert wanted in " ".join(render_text(blocks_of(view), 16).split())


@pytest.mark.parametrize(
    ("text", "lines", "wanted"),
    [
        ("Short enough.", 2, "Short enough."),
        ("One sentence. Another one that is long.", 1, "One sentence."),
        ("One without an end that goes on and on and on", 2, "One without an end that goes on and..."),
        ("Unbreakablewordthatgoesonandonandon", 1, "Unbreakablewordthatg"),
    ],
)
def test_a_long_sentence_ends_where_it_may(text: str, lines: int, wanted: str):
    assert shortened(text, COLUMNS, lines) == wanted


def test_empty_notes_leave_no_gap():
    assert fit([note("  ", 0), Text(text="x")], COLUMNS) == (Text(text="x"),)


def test_a_receipt_drops_the_near_miss_before_the_news_and_keeps_the_legal_text():
    terms = "Points have no cash value and lapse after a year. " * 6
    view = harbour(messages=("News of the week.",) * 2, missed=("Nearly had a coffee.",), legal=terms)
    blocks: tuple[Block, ...] = blocks_of(view)
    text = " ".join(render_text(blocks, 32).split())
    # Eleven lines of terms and the empty one leave six of eighteen: two news of two lines each, and the near miss.
    assert text.count("News of the week.") == 2
    assert " ".join(terms.split()) in text
    assert "Nearly had a coffee." in text
    longer = harbour(messages=("News of the week.",) * 3, missed=("Nearly had a coffee.",), legal=terms)
    told = " ".join(render_text(blocks_of(longer), 32).split())
    assert (told.count("News of the week."), "Nearly had" in told) == (3, False)
