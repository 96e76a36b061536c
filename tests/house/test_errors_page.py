"""The list of error codes is the code's own."""

import re

from tests.house.errors_page import ROOT, page

PAGE = ROOT / "docs" / "errors.md"


def test_every_error_code_is_on_its_page_and_nothing_else():
    assert PAGE.read_text("utf-8") == page(), "run: python -m tests.house.errors_page > docs/errors.md"


def test_every_file_that_the_page_names_is_there():
    files = re.findall(r"\| `([a-z_/]+\.py)` \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(files) > 300
    assert [name for name in set(files) if not (ROOT / name).is_file()] == []
