"""The import rule: what the contracts of pyproject.toml let through, what they catch; and that the kernel is pure."""

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("central", "edge", "loyalty", "pos_adapters", "receipt_templates", "sync", "tallypoint")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
# What the contracts name inside a folder: its own folders, and what lies beside them.
INSIDE = {
    folder: [name for layer in one["layers"] for name in layer.split(" | ")]
    for one in CONTRACTS
    for folder in one.get("containers", ())
}
INSIDE["central"] += ["database/asking", "database/lanes", "database/rows"]  # which one contract names by themselves

ALLOWED = """
    sync               loyalty
    pos_adapters       loyalty
    receipt_templates  loyalty
    edge               pos_adapters
    edge               receipt_templates
    edge               sync
    central            sync
    central            receipt_templates
    central            loyalty
    central            sqlalchemy
    tallypoint         edge
    tallypoint         central
"""
FORBIDDEN = """
    edge.journal       edge.sale
    edge.sale          edge.line
    edge.cache         edge.journal
    edge.counter       edge.web
    central.posting    central.intake
    central.verify     central.posting
    central.verify     loyalty
    central.members    central.streams
    loyalty            sync
    loyalty            time
    loyalty            random
    loyalty            uuid
    loyalty            pathlib
    sync               edge
    sync               receipt_templates
    sync               sqlalchemy
    pos_adapters       sync
    receipt_templates  pos_adapters
    edge               central
    edge               tallypoint
    edge               sqlalchemy
    central            edge
    central            pos_adapters
    central            tallypoint
"""

# The shell of sync: sockets in one, the making of keys in the other.
SHELL = {"transport.py", "keys.py"}
IMPURE_MODULES = {
    "asyncio", "flask", "os", "pathlib", "random", "requests", "secrets", "socket", "sqlalchemy", "sqlite3",
    "subprocess", "tempfile", "threading", "time", "urllib", "uuid",
}
IMPURE_CALLS = {"now", "today", "utcnow", "uuid1", "uuid4", "urandom", "open", "print", "input"}


def pairs(table: str) -> list[tuple[str, ...]]:
    return [tuple(line.split()) for line in table.strip().splitlines()]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).parent / "lint-imports", "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def empty_house(tmp_path: Path) -> Path:
    """The folders and those inside them without their contents, under our own contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in FOLDERS:
        for package in ("", *INSIDE.get(name, ())):
            (tmp_path / name / package).mkdir(exist_ok=True)
            (tmp_path / name / package / "__init__.py").write_text("")
    return tmp_path


def test_the_contracts_let_each_folder_import_what_lies_below_it(empty_house: Path) -> None:
    for importer, imported in pairs(ALLOWED):
        with (empty_house / importer / "__init__.py").open("a") as file:
            file.write(f"import {imported}\n")
    answer = lint(empty_house)
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize(("importer", "imported"), pairs(FORBIDDEN))
def test_the_contracts_catch_a_wrong_import(empty_house: Path, importer: str, imported: str) -> None:
    (empty_house / importer.replace(".", "/") / "inside.py").write_text(f"import {imported}\n")
    answer = lint(empty_house)
    assert answer.returncode == 1
    assert f"{importer}.inside -> {imported}" in answer.stdout


def impurities(source: str) -> list[str]:
    """What in `source` asks the clock, chance, a file or the network: `line: what`."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names if alias.name.split(".")[0] in IMPURE_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in IMPURE_MODULES:
            found.append((node.lineno, str(node.module)))
        elif isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in IMPURE_CALLS:
                found.append((node.lineno, ast.unparse(called)))
    return [f"{line}: {what}" for line, what in sorted(found)]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from datetime import date, datetime, timedelta\nday = date(2026, 3, 5) + timedelta(1)", []),
        ("from datetime import datetime\nat = datetime.now()", ["2: datetime.now"]),
        ("import datetime\nat = datetime.datetime.utcnow()", ["2: datetime.datetime.utcnow"]),
        ("from datetime import date\nday = date.today()", ["2: date.today"]),
        ("import time\nat = time.time()", ["1: time"]),
        ("from random import choice", ["1: random"]),
        ("import os.path", ["1: os.path"]),
        ("from uuid import uuid4\nname = uuid4()", ["1: uuid", "2: uuid4"]),
        ("text = open('rates.csv').read()", ["1: open"]),
        ("now = 5\ndef age(now): return now - 1", []),
    ],
)
def test_the_search_for_impurities_finds_clock_chance_and_files(source: str, found: list[str]) -> None:
    assert impurities(source) == found


def test_kernel_and_sessions_ask_no_clock_no_chance_no_file_and_no_network() -> None:
    sources = [*(ROOT / "loyalty").rglob("*.py"), *(ROOT / "sync").rglob("*.py")]
    pure = [path for path in sources if path.name not in SHELL]
    assert len(pure) > 2
    found = [f"{path.relative_to(ROOT)}:{what}" for path in pure for what in impurities(path.read_text("utf-8"))]
    assert found == []
