"""What the doctors may find and what /metrics names stand on the page of operations, and nothing that is not so."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
DOCTORS = {"head office": ("central/upkeep/doctor.py", "central/upkeep/doctor_books.py"), "till": ("edge/doctor.py",)}
NAMED = {"head office": r'_lines\("([a-z_]+)"', "till": r'\("([a-z_]+)", (?:\{|named)'}
FIGURES = {"head office": "central/upkeep/metrics.py", "till": "edge/web/health.py"}
CODE = r"[a-z_]+\.[a-z_]+"


def words_in(path: str) -> set[str]:
    """Every text that stands by itself in a file of code."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {one.value for one in ast.walk(tree) if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def codes_in(side: str) -> set[str]:
    """What a doctor's own code names; it also passes on what a trouble is called."""
    words = set[str]().union(*map(words_in, DOCTORS[side]))
    return {word for word in words if re.fullmatch(CODE, word) and not word.endswith((".json", ".db"))}


def part_of(head: str) -> str:
    """A table of the page, from its head to the empty line."""
    return PAGE[PAGE.index(head) :].split("\n\n")[0]


def quoted_in(table: str, form: str) -> set[str]:
    return {name for name in re.findall(r"`([^`]+)`", table) if re.fullmatch(form, name)}


@pytest.mark.parametrize("side", list(DOCTORS))
def test_every_finding_of_a_doctor_is_on_the_page(side: str) -> None:
    told = quoted_in(part_of(f"| {side} | codes |"), CODE)
    elsewhere = quoted_in(PAGE, r"alerts\.[a-z]+")  # under Alerts
    assert codes_in(side) - told - elsewhere == set()
    errors = quoted_in((ROOT / "docs" / "errors.md").read_text("utf-8"), CODE)
    assert {name for name in told - codes_in(side) - errors if not name.startswith("alarm.")} == set()


@pytest.mark.parametrize("side", list(FIGURES))
def test_every_figure_that_is_worth_an_alarm_is_one(side: str) -> None:
    _, _, *rows = part_of("| head office, `tallypoint_centre_…`").splitlines()
    named = {name for row in rows for name in quoted_in(row.split("|")[1 + (side == "till")], "[a-z_]+")}
    assert len(named) > 10
    assert named - words_in(FIGURES[side]) == set()


@pytest.mark.parametrize("side", list(FIGURES))
def test_every_figure_is_told_of(side: str) -> None:
    figures = set(re.findall(NAMED[side], (ROOT / FIGURES[side]).read_text("utf-8")))
    assert len(figures) > 20
    told = quoted_in(PAGE[PAGE.index("## Figures") : PAGE.index("## Alerts")], "[a-z_]+")
    assert figures - told == set()
