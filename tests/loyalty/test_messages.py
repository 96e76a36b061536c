"""Messages: which sentence is said, in which language, with figures written the way that language writes them."""

import msgspec
import pytest

from loyalty.messages import Figures, choose_messages
from loyalty.programme import Message

FIGURES = Figures(saved="12.50", points=1200, short_of="3.20", balance=40)


def said(*messages, case="applied", language="en", fallback="en"):
    read = [msgspec.convert({"place": "receipt"} | message, Message) for message in messages]
    return [one.text for one in choose_messages(read, case, FIGURES, language, fallback)]


def test_a_sentence_names_its_figures():
    text = "Saved {saved}, {points} points, {short_of} more, balance {balance}."
    assert said({"text": {"en": text}}) == ["Saved 12.50, 1200 points, 3.20 more, balance 40."]


def test_a_brace_that_names_nothing_stays_a_brace():
    assert said({"text": {"en": "{} {x} {{points}} {"}}) == ["{} {x} {1200} {"]


@pytest.mark.parametrize(("language", "text"), [("en", "12.50"), ("pl", "12,50"), ("ru", "12,50"), ("pt-BR", "12,50")])
def test_a_decimal_is_written_as_the_language_writes_it(language, text):
    assert said({"text": {language: "{saved}"}}, language=language) == [text]


def test_a_sentence_in_the_fallback_language_keeps_that_languages_decimals():
    assert said({"text": {"en": "Saved {saved}"}}, language="pl") == ["Saved 12.50"]
    assert said({"text": {"pl": "Rabat {saved}"}}, language="en", fallback="pl") == ["Rabat 12,50"]


def test_the_members_language_comes_first_then_the_programmes_own_then_any():
    text = {"en": "points", "pl": "punkty"}
    assert said({"text": text}, language="pl") == ["punkty"]
    assert said({"text": text}, language="ru", fallback="pl") == ["punkty"]
    assert said({"text": text}, language="ru", fallback="pt-BR") == ["points"]


CASES = [("applied", ["a", "always"]), ("missed", ["m", "always"])]


@pytest.mark.parametrize(("case", "told"), CASES)
def test_a_sentence_is_said_in_its_case(case, told):
    messages = [
        {"case": "applied", "text": {"en": "a"}},
        {"case": "missed", "text": {"en": "m"}},
        {"case": "always", "text": {"en": "always"}},
    ]
    assert said(*messages, case=case) == told


def test_a_sentence_knows_its_place_and_its_promotion():
    message = msgspec.convert({"place": "kiosk", "text": {"en": "Hello"}}, Message)
    (one,) = choose_messages([message], "applied", FIGURES, "en", "en", "spring")
    assert (one.place, one.promotion) == ("kiosk", "spring")
