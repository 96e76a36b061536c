"""Every setting stands on the page of running, head office's with what holds where nothing is said."""

import re
from pathlib import Path

from central.ports import Settings as OfficeSettings
from edge.ports import Settings as TillSettings

DOCS = Path(__file__).parents[2] / "docs"
RUNNING = (DOCS / "running.md").read_text("utf-8")
LEDGER = (DOCS / "ledger.md").read_text("utf-8")


def rows_of(page: str, head: str) -> list[list[str]]:
    """The cells of a table, from its head to the empty line, each as the quoted words in it."""
    lines = page[page.index(head) :].split("\n\n")[0].splitlines()[2:]
    return [[re.findall(r"`([^`]+)`", cell) for cell in line.split("|")[1:]] for line in lines]


def test_every_setting_of_a_till_is_in_its_table() -> None:
    told = {name for names, *_ in rows_of(RUNNING, "| setting | says |") for name in names}
    assert set(TillSettings.__struct_fields__) - told == set()


def test_every_setting_of_head_office_is_in_a_table() -> None:
    in_short = {word for row in rows_of(RUNNING, "| setting | where") for cell in row for word in cell}
    of_corrections = {name for names, *_ in rows_of(LEDGER, "| setting | says |") for name in names}
    assert set(OfficeSettings.__struct_fields__) - in_short - of_corrections == set()


def test_what_holds_where_nothing_is_said_is_what_the_page_says() -> None:
    settings = OfficeSettings()
    compared = 0
    for names, said, *_ in rows_of(RUNNING, "| setting | where"):
        if len(names) == len(said):
            ours = [str(value).lower() if isinstance(value, bool) else str(value)
                    for value in (getattr(settings, name) for name in names)]  # fmt: skip
            assert ours == said, names
            compared += len(names)
    assert compared > 20
