"""What is missing is said, and where nothing may be missing it fails."""

from pathlib import Path

import pytest

from tests.support.needs import require


def test_a_missing_tool_skips_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TALLYPOINT_REQUIRE", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"^no scanner: plug one in$"):
        require("no scanner: plug one in")


def test_a_missing_tool_fails_where_all_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYPOINT_REQUIRE", "all")
    with pytest.raises(pytest.fail.Exception, match="TALLYPOINT_REQUIRE=all, but no scanner"):
        require("no scanner: plug one in")


def test_real_receipts_are_a_folder(real_data: Path) -> None:
    assert (real_data / "online_retail").is_dir()


def test_chromium_is_a_program(chromium: str) -> None:
    assert Path(chromium).is_file()
