"""The stage is set once for all plays."""

from collections.abc import Iterator

import pytest

from tests.faults.traced import Stage


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """A process that forks scenes for strace."""
    with Stage() as opened:
        yield opened
