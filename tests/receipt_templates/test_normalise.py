"""What printers cannot print is made plain, and nothing becomes a question mark without being counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receipt_templates.normalise import normalise

ENCODINGS = ("cp852", "cp858", "cp860", "cp866", "cp1250", "cp1251", "cp1252")
LETTERS = {
    "en": "abcdefghijklmnopqrstuvwxyz£€",
    "pt-BR": "áâãàçéêíóôõúüªº€",
    "pl": "ąćęłńóśźż„”",
    "ru": "абвгдеёжзийклмнопрстуфхцчшщъыьэюя«»№₽",
}

# text | code page | printed
PRINTED = """
    “Tea” – ‘good’…        | cp858  | "Tea" - 'good'...
    15 ₽                   | cp866  | 15 руб.
    15 ₽                   | cp860  | 15 RUB
    15 ₴ 15 ₸              | cp1251 | 15 грн 15 тг
    12 €                   | cp858  | 12 €
    12 €                   | cp860  | 12 EUR
    Хлеб «Бородинский» № 3 | cp866  | Хлеб "Бородинский" № 3
    Щёлково                | cp858  | Shchelkovo
    Łódź, żółw             | cp852  | Łódź, żółw
    Łódź, żółw             | cp858  | Lódz, zólw
    São João               | cp860  | São João
    São João               | cp866  | Sao Joao
    Straße Ærø             | cp866  | Strasse AEro
    Milk 🥛 1 l ❤️ 👍🏽      | cp858  | Milk 1 l
    soft\u00adhyphen\u200f | cp858  | softhyphen
    茶 tea?                | cp1252 | ? tea?
"""
ROWS = [[cell.strip() for cell in row.split(" | ")] for row in PRINTED.strip().splitlines()]


@pytest.mark.parametrize(("text", "encoding", "printed"), ROWS)
def test_what_is_printed_for_what_was_written(text: str, encoding: str, printed: str):
    assert normalise(text, encoding).text.strip() == printed


def test_without_a_page_every_letter_stays():
    given_text = "Łódź Щёлково São João 茶 12 €"
    assert normalise(given_text).text == given_text
    assert normalise("“a” 🥛 15 ₽").text == '"a" 15 руб.'


def test_no_break_spaces_stay_until_lines_are_broken():
    assert normalise("1\u202f234\u00a0zł", "cp852").text == "1\u00a0234\u00a0zł"


def test_replaced_and_lost_letters_are_counted():
    seen = normalise("żółw 茶", "cp858")
    assert (seen.text, seen.replaced, seen.lost) == ("zólw ?", 3, 1)
    assert normalise("“żółw”", "cp852").replaced == 0


def test_a_letter_that_was_taken_apart_is_put_together():
    assert normalise("Joa\u0303o", "cp860").text == "João"


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("language", LETTERS)
def test_no_letter_of_our_languages_becomes_a_question_mark(language: str, encoding: str):
    seen = normalise(LETTERS[language] + LETTERS[language].upper(), encoding)
    assert "?" not in seen.text
    assert seen.lost == 0


@given(text=st.text(), encoding=st.sampled_from(ENCODINGS))
def test_what_comes_out_can_be_encoded_and_holds_no_control(text: str, encoding: str):
    seen = normalise(text, encoding)
    assert all(byte >= 32 or byte == 10 for byte in seen.text.encode(encoding))
    assert seen.text.count("?") == text.count("?") + seen.lost
