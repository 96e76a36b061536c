"""pyproject.toml, the hashed lists and the imports in the code tell the same story."""

import ast
import re
import sys
import tomllib
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
OURS = {"central", "edge", "integrations", "loyalty", "pos_adapters", "receipt_templates", "sync", "tallypoint"}
EXTRAS = {
    "loyalty": (),
    "sync": (),
    "pos_adapters": ("till",),
    "receipt_templates": ("till",),
    "edge": ("till",),
    "central": ("central",),
    "tallypoint": ("till", "central"),
}


def plain(requirement: str) -> str:
    """`psycopg[binary]>=3.3` → `psycopg`, spelled as the index spells it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement.strip())[0]).lower()  # type: ignore[index]


def pinned(extra: str) -> dict[str, str]:
    text = (ROOT / f"requirements-{extra}.txt").read_text("utf-8")
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, flags=re.MULTILINE))


def imported_by(folder: str) -> set[str]:
    """Top-level names that a folder's modules import, without ours and the standard library's."""
    names: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names - OURS - set(sys.stdlib_module_names)


@pytest.mark.parametrize("folder", EXTRAS)
def test_what_a_folder_imports_is_declared_for_it(folder: str) -> None:
    declared = {plain(wish) for wish in PROJECT["dependencies"]}
    for extra in EXTRAS[folder]:
        declared |= {plain(wish) for wish in PROJECT["optional-dependencies"][extra]}
    sold_as = packages_distributions()
    undeclared = {name for name in imported_by(folder) if not declared & {plain(p) for p in sold_as.get(name, [name])}}
    assert undeclared == set()


@pytest.mark.parametrize("extra", ["till", "central", "dev"])
def test_every_declared_package_is_in_the_hashed_list(extra: str) -> None:
    wishes = PROJECT["dependencies"] + PROJECT["optional-dependencies"][extra]
    missing = {plain(wish) for wish in wishes} - {"tallypoint"} - set(pinned(extra))
    assert missing == set(), "run make requirements"


@pytest.mark.parametrize("extra", ["till", "central"])
def test_what_a_shop_runs_is_what_the_tests_ran(extra: str) -> None:
    tested = pinned("dev")
    assert {name: version for name, version in pinned(extra).items() if tested.get(name) != version} == {}


@pytest.mark.parametrize("extra", ["till", "central", "dev"])
def test_the_hashed_lists_name_no_index_no_address_and_no_path(extra: str) -> None:
    text = (ROOT / f"requirements-{extra}.txt").read_text("utf-8")
    assert re.findall(r"^.*(?:://|--index|--extra-index|--find-links|@ ).*$", text, flags=re.MULTILINE) == []
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", text)) >= len(pinned(extra))
    assert "sqlalchemy" not in pinned("till")


def test_every_package_that_asks_something_of_us_has_its_row_in_the_licence_page() -> None:
    page = (ROOT / "docs" / "licence.md").read_text("utf-8")
    rows = {plain(name) for line in page.splitlines() if line.startswith("|") for name in line.split("|")[1].split(",")
            if name.strip(" -")}
    listed = pinned("dev")
    asking = set()
    for package in distributions():
        about = package.metadata
        terms = [about.get("License-Expression") or about.get("License") or "", *(about.get_all("Classifier") or [])]
        if re.search(r"GPL|MPL|ZPL|EPL|SSPL|Mozilla|Zope", " ".join(terms)) and plain(package.name) in listed:
            asking.add(plain(package.name))
    assert "psycopg" in asking
    assert asking - rows == set()
