"""Every example of docs/programme-examples.md comes out as its page says, and the check has nothing against it."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from loyalty.programme.check import check_programme
from tests.loyalty.case_runner import found_in, quote_case
from tests.loyalty.test_programme_schema import SCHEMA, complaints

PAGE = (Path(__file__).parents[2] / "docs/programme-examples.md").read_text("utf-8")
# The list of what a programme must be able to say (engine.md) has so many entries; the page has a section for each.
ENTRIES = 26


class Example(NamedTuple):
    """One section of the page: its programme as it stands there, and baskets with what comes out of each."""

    title: str
    programme: str
    baskets: list[dict[str, Any]]
    results: list[dict[str, Any]]


def examples() -> list[Example]:
    _, *sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    return [_example(section) for section in sections]


def _example(section: str) -> Example:
    blocks = re.findall(r"^```yaml (\w+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    of = {kind: [text for named, text in blocks if named == kind] for kind in ("programme", "basket", "result")}
    assert [kind for kind, _ in blocks] == ["programme", *["basket", "result"] * len(of["basket"])], section
    return Example(
        title=section.split("\n", 1)[0],
        programme=of["programme"][0],
        baskets=[yaml.safe_load(text) for text in of["basket"]],
        results=[yaml.safe_load(text) for text in of["result"]],
    )


EXAMPLES = examples()
RUNS = [
    pytest.param(one.programme, basket, result, id=f"{one.title} {n}")
    for one in EXAMPLES for n, (basket, result) in enumerate(zip(one.baskets, one.results, strict=True), 1)
]  # fmt: skip


@pytest.mark.parametrize(("programme", "basket", "result"), RUNS)
def test_an_example_comes_out_as_the_page_says(programme, basket, result):
    assert result
    assert basket.keys() <= {"lines", "ask", "member", "bearer", "shared"}
    found = found_in(quote_case(basket | {"programme": yaml.safe_load(programme)}))
    assert {name: found[name] for name in result} == result


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_the_check_has_nothing_against_an_example(example):
    assert check_programme(example.programme) == ()
    assert list(complaints(SCHEMA, yaml.safe_load(example.programme))) == []


def test_the_page_has_a_section_for_every_entry_and_a_list_that_leads_to_each():
    listed = re.findall(r"^(\d+)\. \[(.+)\]\(#(.+)\)$", PAGE, re.MULTILINE)
    assert [int(number) for number, _, _ in listed] == list(range(1, ENTRIES + 1))
    assert [title for _, title, _ in listed] == [example.title for example in EXAMPLES]
    for _, title, anchor in listed:
        assert anchor == re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
