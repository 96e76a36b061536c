"""The list of error codes is the code's own."""

from pathlib import Path

from tests.house.errors_page import page

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


def test_every_error_code_is_on_its_page_and_nothing_else():
    assert PAGE.read_text("utf-8") == page(), "run: python -m tests.house.errors_page > docs/errors.md"
