"""A centre of two partners on each engine, with real keys, and tills that speak to it in real bytes."""

from collections.abc import Iterator

import pytest

from tests.central.tills import Centre


@pytest.fixture
def centre(central_url: str) -> Iterator[Centre]:
    made = Centre(central_url)
    yield made
    made.engine.dispose()
