"""The words of the screens: the same in every language, whole in their plurals, and none that no page says."""

import re
from pathlib import Path
from typing import Any

import pytest
from babel import Locale

from edge.web.words import FOLDER, LANGUAGES, teller, words_of
from receipt_templates.languages import tongue_of

WEB = Path(__file__).parents[2] / "edge" / "web"
CODE = "\n".join(
    path.read_text("utf-8") for kind in ("static/*.js", "templates/*.html") for path in sorted(WEB.glob(kind))
)


def flat(language: str) -> dict[str, Any]:
    return {f"{part}.{name}": said for part, names in words_of(language).items() for name, said in names.items()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_words_with_the_same_figures(language: str):
    english, own = flat("en"), flat(language)
    assert own.keys() == english.keys()
    for name, said in own.items():
        wanted = {figure for text in forms(english[name]) for figure in re.findall(r"{\w+}", text)}
        assert all(set(re.findall(r"{\w+}", text)) == wanted for text in forms(said)), name
        assert isinstance(said, dict) == isinstance(english[name], dict), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_with_plural_forms_have_all_those_of_their_language(language: str):
    # Unicode CLDR says which there are.
    classes = {*Locale.parse(language, sep="-").plural_form.rules, "other"}
    found = {name: set(said) for name, said in flat(language).items() if isinstance(said, dict)}
    assert len(found) > 6
    assert all(has == classes for has in found.values()), found


def test_no_word_is_there_that_no_page_says():
    # Names of acts, fields, problems and steps of spending are put together in the pages.
    made = ("act.", "do.", "field.", "problem.", "refusal.", "told.", "tier.", "kiosk.help")
    assert [name for name in flat("en") if name not in CODE and not name.startswith(made)] == []


def test_every_word_that_a_page_says_is_there():
    said = set(re.findall(r'\bt\("([a-z]\w*\.\w+)"', CODE)) | set(
        re.findall(r'data-w(?:-label)?="([a-z]\w*\.\w+)"', CODE)
    )
    assert len(said) > 120
    assert said - flat("en").keys() == set()


@pytest.mark.parametrize("group", ["act", "do"])
def test_every_act_of_the_cashier_has_a_name_and_says_on_its_button_what_it_does(group: str):
    acts = set(re.findall(r'name: "(\w+)", key: "', CODE))
    assert len(acts) == 16
    assert {f"{group}.{name}" for name in acts} - flat("en").keys() == set()


def test_pages_hold_no_words_of_their_own():
    for path in sorted(WEB.glob("templates/*.html")):
        text = re.sub(r"{% block body %}.*?{% endblock %}", "", path.read_text("utf-8"))
        text = re.sub(r"{[{%#].*?[}%#]}|<[^>]*>", "\n", text, flags=re.DOTALL)
        rest = {line.strip() for line in text.split("\n")} - {"", "·", "A+"}
        assert rest == set(), path.name


def test_a_word_that_is_in_no_file_is_a_mistake():
    assert teller("pl")("kiosk.start") == "Zaczynamy"
    with pytest.raises(KeyError):
        teller("pl")("kiosk.nothing")
    assert sorted(path.stem for path in FOLDER.glob("*.json")) == sorted(LANGUAGES)


# One idea a row: its stem in en, pt-BR, ru and pl, then the words of slips and of screens that must have it.
ONE_WORD = """
    void, cancel, аннулир, anul          | void_slip voided voids | act.void do.void field.voids say.voided say.isVoid
    void, cancel, аннулир, anul          | voided | say.returnVoided say.exchangeVoidedOut say.exchangeVoidedPay
    taken back, estorn, снят, cofn       | taken_back points_reversed | told.pointsBack say.returnedPoints
    earned, ganho, начислен, nalicz      | earned points_earned | customer.earned kiosk.doneEarned field.pointsEarned
    spent, usado, списан, użyt           | spent points_spent | field.pointsSpent
    balance, saldo, баланс, saldo        | balance balance_slip | customer.balance cashier.balance act.balance
    receipt, recibo, чек, potwierdz      | receipt receipts | field.voidReceipt field.receipt field.printed
    receipt, recibo, чек, potwierdz      | receipt | say.voided say.isVoid say.nothingLeft refusal.receipt_unknown
    set aside, reserv, резерв, rezerw    | open_holds | say.held tier.lease told.day_open_holds refusal.hold_exceeded
    parked, suspens, отлож, odłoż        | parked_expired | say.parked say.parkedAnywhere told.day_parked_expired
    pos, pdv, кассовая прогр, program k  | of_pos | field.pos
    offline, sem conex, связи, bez połą  | offline offline_receipts | common.offline cashier.lineDown
    cashier, operador, кассир, kasjer    | cashier | cashier.title cashier.who cashier.is
    record, registro, запись, zapis      | record | cashier.record field.record refusal.claim_wrong_record
    use, us, срок, użyj                  | lapsing | customer.lapsing cashier.lapses
    certificate, vale, сертификат, bon   | certificate_slip back_on_certificate | act.certificate field.code
"""


@pytest.mark.parametrize("row", ONE_WORD.strip().splitlines())
def test_a_slip_and_a_screen_have_one_word_for_the_same(row: str):
    stems, on_slips, on_screens = (part.strip() for part in row.split("|"))
    for language, stem in zip(("en", "pt-BR", "ru", "pl"), stems.split(", "), strict=True):
        slips, screens = tongue_of(language).words, flat(language)
        said = [getattr(slips, name) for name in on_slips.split()] + [
            text for name in on_screens.split() for text in forms(screens[name])
        ]
        assert [one for one in said if stem not in one.replace("\u00ad", "").casefold()] == [], language


# The figures of a day's close, on its slip and on the screen.
CLOSE = {
    "receipts": "field.receipts", "voids": "field.voids", "returns": "field.returns", "net_minor": "field.net",
    "returned_minor": "field.returned", "points_earned": "field.pointsEarned", "points_spent": "field.pointsSpent",
    "discount_minor": "told.discounts", "points_reversed": "told.pointsBack", "of_pos": "field.pos",
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_figure_of_the_close_has_the_same_name_on_the_slip_and_on_the_screen(language: str):
    slips, screens = tongue_of(language).words, flat(language)
    assert {name: getattr(slips, name) for name in CLOSE} == {name: screens[shown] for name, shown in CLOSE.items()}


def test_in_poland_only_what_the_pos_prints_is_called_paragon():
    # A paragon is the fiscal receipt. What we print is a potwierdzenie; a paragon cannot be voided.
    called = {name for name, said in flat("pl").items() if any("paragon" in text.casefold() for text in forms(said))}
    assert called == {"kiosk.doneHint"}
    slips = FOLDER.parents[3] / "receipt_templates" / "words" / "pl.yaml"
    assert "paragon" not in slips.read_text("utf-8").partition("fiscal_looking")[0].casefold()


def test_in_brazil_only_a_coupon_is_called_cupom():
    called = {name for name, said in flat("pt-BR").items() if any("cupo" in text.casefold() for text in forms(said))}
    assert called == {"refusal.till_revoked"}


def forms(said: Any) -> list[str]:
    return list(said.values()) if isinstance(said, dict) else [said]
