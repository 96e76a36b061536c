"""Every case of `cases/`, and that every capability and every value of every option has enough of them."""

import pytest

from loyalty.trouble import Refusal
from tests.loyalty.case_runner import all_cases, found_in, quote_case

CASES = list(all_cases())


@pytest.mark.parametrize("case", [case for _, case in CASES], ids=[name for name, _ in CASES])
def test_a_case_comes_out_as_it_was_worked_out_by_hand(case):
    expected = dict(case["expect"])
    if "refusal" in expected:
        with pytest.raises(Refusal) as told:
            quote_case(case)
        assert told.value.code == expected["refusal"]
        return
    found = found_in(quote_case(case))
    assert {name: found[name] for name in expected} == expected
