"""How the console writes figures."""

import pytest

from central.console.format import span


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0 s"), (1, "1 s"), (90, "90 s"), (600, "10 min"), (3_600, "1 h"), (21_600, "6 h")]
)
def test_a_span_is_written_in_the_largest_unit_that_leaves_no_rest(seconds: int, shown: str):
    assert span(seconds) == shown
