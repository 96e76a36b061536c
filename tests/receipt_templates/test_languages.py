"""Four languages, each with every word, figures and dates as its readers write them."""

import re
from datetime import datetime

import msgspec
import pytest
from babel import Locale

from receipt_templates import languages
from receipt_templates.as_fiscal import looks_fiscal
from receipt_templates.languages import PLURALS, TONGUES, Words, tongue_of

NB = "\u00a0"


def test_the_languages_are_the_four_of_the_programme():
    assert sorted(TONGUES) == ["en", "pl", "pt-BR", "ru"]


def test_another_language_falls_back_to_english():
    assert tongue_of("de").language == "en"


@pytest.mark.parametrize("language", TONGUES)
def test_every_language_has_every_word(language: str):
    words = msgspec.structs.asdict(TONGUES[language].words)
    assert [name for name in Words.__struct_fields__ if not words[name].strip()] == []
    assert {"cash", "card", "credit", "debit", "voucher", "gift_card"} <= set(TONGUES[language].tenders)


@pytest.mark.parametrize("language", TONGUES)
def test_every_language_fills_the_same_blanks(language: str):
    english = msgspec.structs.asdict(TONGUES["en"].words)
    for name, text in msgspec.structs.asdict(TONGUES[language].words).items():
        assert sorted(re.findall(r"{(\w+)}", text)) == sorted(re.findall(r"{(\w+)}", english[name])), name


@pytest.mark.parametrize("language", TONGUES)
def test_a_fiscal_line_fills_the_same_blanks_and_has_no_fiscal_word(language: str):
    english = msgspec.structs.asdict(TONGUES["en"].fiscal)
    for name, text in msgspec.structs.asdict(TONGUES[language].fiscal).items():
        assert sorted(re.findall(r"{(\w+)}", text)) == sorted(re.findall(r"{(\w+)}", english[name])), name
        assert not looks_fiscal(text, TONGUES[language]), name


@pytest.mark.parametrize("language", TONGUES)
def test_only_english_uses_english_words(language: str):
    english = msgspec.structs.asdict(TONGUES["en"].words)
    other = msgspec.structs.asdict(TONGUES[language].words)
    same = {name for name in english if english[name] == other[name]}
    # A subtotal and a total are called so in Brazil too.
    assert language == "en" or same <= {"subtotal", "total"}


@pytest.mark.parametrize(
    ("language", "minor", "currency", "amount", "money"),
    [
        ("en", 123450, "GBP", "1,234.50", f"GBP{NB}1,234.50"),
        ("en", -5, "EUR", "-0.05", f"EUR{NB}-0.05"),
        ("en", 1234567, "JPY", "1,234,567", f"JPY{NB}1,234,567"),
        ("pt-BR", 123450, "BRL", "1.234,50", f"R${NB}1.234,50"),
        ("pl", 123450, "PLN", f"1{NB}234,50", f"1{NB}234,50{NB}zł"),
        ("ru", 123456789, "RUB", f"1{NB}234{NB}567,89", f"1{NB}234{NB}567,89{NB}руб."),
        ("ru", 1234, "KWD", "1,234", f"1,234{NB}KWD"),
        ("en", 123450, "", "1,234.50", "1,234.50"),
        ("pl", 1250, "", "12,50", "12,50"),
    ],
)
def test_money_is_written_as_its_readers_write_it(language: str, minor: int, currency: str, amount: str, money: str):
    tongue = TONGUES[language]
    assert languages.amount(tongue, minor, currency) == amount
    assert languages.money(tongue, minor, currency) == money


POINTS = """
    en      0 points    1 point   2 points    5 points   21 points   1,340 points
    pt-BR   0 ponto     1 ponto   2 pontos    5 pontos   21 pontos   1.340 pontos
    ru      0 баллов    1 балл    2 балла     5 баллов   21 балл     11 баллов   112 баллов   1_340 баллов
    pl      0 punktów   1 punkt   2 punkty    5 punktów  21 punktów  22 punkty   112 punktów  1_340 punktów
"""


PURCHASES = """
    en      1 purchase   2 purchases
    pt-BR   1 compra     2 compras
    ru      1 покупка    2 покупки    5 покупок   11 покупок   21 покупка
    pl      1 zakup      2 zakupy     5 zakupów   12 zakupów   22 zakupy
"""


@pytest.mark.parametrize("row", [row.strip() for row in PURCHASES.strip().splitlines()])
def test_purchases_take_the_form_that_their_number_asks_for(row: str):
    language, *rest = row.split()
    for figure, word in zip(rest[::2], rest[1::2], strict=True):
        assert languages.purchases(TONGUES[language], int(figure)) == f"{figure}{NB}{word}"


@pytest.mark.parametrize("row", [row.strip() for row in POINTS.strip().splitlines()])
def test_points_take_the_form_that_their_number_asks_for(row: str):
    language, *rest = row.split()
    for figure, word in zip(rest[::2], rest[1::2], strict=True):
        count = int(re.sub(r"\D", "", figure))
        assert languages.points(TONGUES[language], count) == f"{figure.replace('_', NB)}{NB}{word}"


def test_quantities_are_short_where_they_are_whole():
    assert languages.quantity(TONGUES["en"], 2000) == "2"
    assert languages.quantity(TONGUES["pt-BR"], 350) == "0,350"


def test_dates_cannot_be_misread():
    moment = datetime.fromisoformat("2026-03-05T09:07:00+00:00")
    written = {name: languages.date_and_time(tongue, moment) for name, tongue in TONGUES.items()}
    assert written == {
        "en": f"5{NB}Mar{NB}2026 09:07",
        "pt-BR": "05/03/2026 09:07",
        "pl": "05.03.2026 09:07",
        "ru": "05.03.2026 09:07",
    }


@pytest.mark.parametrize("language", TONGUES)
def test_figures_and_plurals_agree_with_cldr(language: str):
    tongue, locale = TONGUES[language], Locale.parse(language, sep="-")
    symbols = locale.number_symbols["latn"]
    assert tongue.numbers.decimal == symbols["decimal"]
    assert tongue.numbers.group == symbols["group"].replace("\u202f", NB)
    rule = PLURALS[tongue.plural]
    assert [n for n in range(2000) if rule(n) != locale.plural_form(n)] == []
    assert {rule(n) for n in range(200)} == set(tongue.points)
