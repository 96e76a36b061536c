"""How the console writes figures."""

import pytest

from central.console.format import figure, span


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0 s"), (1, "1 s"), (90, "90 s"), (600, "10 min"), (3_600, "1 h"), (21_600, "6 h")]
)
def test_a_span_is_written_in_the_largest_unit_that_leaves_no_rest(seconds: int, shown: str):
    assert span(seconds) == shown


@pytest.mark.parametrize(
    ("name", "shown"), [("points", "1,234,567"), ("net_minor", "12,345.67"), ("account_id", "1234567"),
                        ("joined", "1234567"), ("into", "1234567")]
)  # fmt: skip
def test_an_account_in_a_finding_is_written_as_it_is_looked_up(name: str, shown: str):
    assert figure(1_234_567, name, "EUR") == shown
