"""Whatever the till refuses at its cashier panel has words in every language, and figures that the refusal has.

Which refusals those are is read from the code: each class of refusal that a module behind the till's routes raises.
"""

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from edge.api.member_bodies import CardBody
from edge.sale.certificates import State
from edge.web.words import LANGUAGES, words_of
from loyalty.facts.day_totals import FIGURES
from loyalty.trouble import CODES, Refusal

ROOT = Path(__file__).parents[2]
OURS = ("loyalty", "sync", "edge", "receipt_templates", "pos_adapters")
# Raised behind the routes, and never on the way to an answer: who reads it is no cashier.
ELSEWHERE = {
    "sync.": "between the till and head office, on the uplink's thread",
    "enrolment.": "of the till itself, on the command line",
    "event.": "a file of events that is read back",
    "cache.": "a row that head office sent",
    "transfer.": "head office alone moves points between accounts",
    "terms.": "contracts, at head office",
    "programme.": "the author of a programme",
    "cards.": "the author of a programme's card rules",
    "display.": "the settings, at start-up",
    "printer.unknown_profile": "the settings, at start-up",
}
# Words that are no code's own: what many codes share, what is left over, and what only a page can know.
SHARED = {"id_reused", "request", "basket", "other", "fault", "page_no_answer"}


class Raised(msgspec.Struct, frozen=True):
    """One place that raises: the figures it gives, without the `**figures` of others."""

    figures: frozenset[str]
    has_all: bool


def modules_behind(start: str) -> Iterator[tuple[str, ast.Module]]:
    """Every module of ours that the start imports, itself and by others."""
    seen, waiting = set[str](), [start]
    while waiting:
        name = waiting.pop()
        path = ROOT / f"{name.replace('.', '/')}.py"
        if name in seen or name.split(".")[0] not in OURS or not path.exists():
            continue
        seen.add(name)
        tree = ast.parse(path.read_text("utf-8"))
        yield name, tree
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                waiting += [node.module, *(f"{node.module}.{one.name}" for one in node.names)]


@cache
def refusals() -> dict[str, list[Raised]]:
    """Places that raise, by the code of the refusal."""
    found: dict[str, list[Raised]] = {}
    for name, tree in modules_behind("edge.web.http"):
        named = vars(importlib.import_module(name))
        for node in ast.walk(tree):
            kind = named.get(node.func.id) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None
            if isinstance(node, ast.Call) and isinstance(kind, type) and issubclass(kind, Refusal):
                figures = [one.arg for one in node.keywords]
                raised = Raised(frozenset(filter(None, figures)), has_all=None not in figures)
                found.setdefault(kind.code, []).append(raised)
    return {code: raised for code, raised in found.items() if not code.startswith(tuple(ELSEWHERE))}


def own_name(code: str) -> str:
    return code.replace(".", "_")


def words_for(code: str, words: dict[str, Any]) -> str:
    """As `edge/web/static/told.js` finds them: the code's own, those of its kind, those of its area."""
    area, kind = code.split(".")
    return next((one for one in (own_name(code), kind, area) if one in words), "")


def test_every_refusal_that_a_cashier_can_meet_has_words_in_every_language():
    assert len(refusals()) > 90  # else the search itself has failed
    for language in LANGUAGES:
        words = words_of(language)["refusal"]
        assert [code for code in sorted(refusals()) if not words_for(code, words)] == [], language


def test_a_refusal_without_words_would_be_found():
    words = words_of("pl")["refusal"]
    assert words_for("card.blocked", words) == "card_blocked"
    assert words_for("parked.id_reused", words) == "id_reused"
    assert words_for("request.not_json", words) == "request"
    assert words_for("card.melted", words) == ""
    assert "void.day_closed" in refusals()


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_name_only_figures_that_every_such_refusal_has(language: str):
    words = words_of(language)["refusal"]
    for code, raised in refusals().items():
        wanted = set(re.findall(r"{(\w+)}", words[words_for(code, words)]))
        for place in raised:
            assert wanted <= place.figures or not place.has_all, (code, wanted, place.figures)


def test_no_words_are_there_for_a_code_that_is_none():
    known = {own_name(code) for code in CODES}
    assert set(words_of("en")["refusal"]) - known == SHARED


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_refusal_says_the_next_step(language: str):
    # Two clauses at least: what is the matter, and what to do.
    for name, said in words_of(language)["refusal"].items():
        assert said.endswith(".") and len(said) <= 100, name
        parts = [part for part in re.split(r"[.;:,] |\b(?:and|e|i|и|or|ou|lub|albo|или)\b", said[:-1]) if part.strip()]
        assert len(parts) >= 2 or name == "certificate_bad_amount", (name, said)


def test_every_exception_is_still_one():
    codes = [kind.code for kind in CODES.values() if kind.__module__.split(".")[0] in OURS]
    assert [start for start in ELSEWHERE if not any(code.startswith(start) for code in codes)] == []


def test_what_is_told_by_state_or_code_has_words_for_each():
    told, script = words_of("en")["told"], (ROOT / "edge/web/static/told.js").read_text("utf-8")
    states = set(get_args(State)) - {"active"}  # an active one is told by what it may pay
    assert {name.removeprefix("certificate_") for name in told if name.startswith("certificate_")} == states | {
        "pays", "pays_part", "pays_later", "pays_not",
    }  # fmt: skip
    whats = next(field.type for field in msgspec.structs.fields(CardBody) if field.name == "what")
    assert {f"card_{what}" for what in get_args(whats)} <= told.keys()
    assert [figure for figure in FIGURES if f"{figure}: " not in script] == []
    warned = {own_name(code) for code in re.findall(r'Warn\(\s*code="([\w.]+)"', sources("edge"))}
    assert len(warned) > 5
    assert warned - told.keys() - words_of("en")["refusal"].keys() == set()
    # A reader tells the screens so where nobody foresaw the trouble.
    assert '"internal.error"' in (ROOT / "edge/devices/readers.py").read_text("utf-8")
    assert "internal_error" in told


def sources(folder: str) -> str:
    return "\n".join(path.read_text("utf-8") for path in sorted((ROOT / folder).rglob("*.py")))


# A void may be of a sale or of a return, and is refused by the same code with another next step.
VOID_STEPS = {
    "en": ("back as a return", "sell those of a return", "Void that return first"),
    "pt-BR": ("faça a devolução", "venda os produtos de novo", "Cancele essa devolução primeiro"),
    "ru": ("примите возвратом", "возвращённый продайте", "Сначала аннулируйте"),
    "pl": ("przyjmij jako zwrot", "zwrócony sprzedaj", "Najpierw anuluj tamten zwrot"),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_void_that_is_refused_names_the_next_step_of_a_sale_and_of_a_return(language: str):
    words = words_of(language)["refusal"]
    of_sale, of_return, first = VOID_STEPS[language]
    assert of_sale in words["void_day_closed"] and of_return in words["void_day_closed"]
    assert first in words["void_has_returns"]
