"""Saying that a test lacks something, in one way."""

import os
from typing import NoReturn

import pytest


def require(reason: str) -> NoReturn:
    """Skip this test with `reason`; fail it where TALLYPOINT_REQUIRE=all promises that nothing is missing.

    Args:
        reason: what is missing and how to get it, "no Chromium: apt-get install chromium".
    """
    if os.environ.get("TALLYPOINT_REQUIRE") == "all":
        pytest.fail(f"TALLYPOINT_REQUIRE=all, but {reason}", pytrace=False)
    pytest.skip(reason)
