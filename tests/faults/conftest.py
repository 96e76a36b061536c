"""The stage is set once for all plays."""

from collections.abc import Iterator

import pytest

from tests.faults.traced import Stage


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """A process that forks scenes for strace."""
    with Stage() as opened:
        yield opened


@pytest.fixture(autouse=True)
def as_in_a_shop(waiting_for_disks: None) -> None:
    """What becomes of machines is seen on databases that are set up as theirs."""
