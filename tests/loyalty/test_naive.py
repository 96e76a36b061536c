"""The engine and a naive interpreter of the same page agree, figure by figure, on programmes nobody would write.

The long run over many more cases is `python -m tests.loyalty.long_run`.
"""

import ast
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings

from loyalty.programme.promotion import Promotion
from tests.loyalty import long_run
from tests.loyalty.long_run import differences, engine_quote, in_full
from tests.loyalty.random_programmes import Case, case_of_seed, cases

SAMPLE = range(1200)
# The naive interpreter may know what a document and a basket look like, and nothing of how they are worked out.
TYPES = {
    "loyalty.baskets", "loyalty.document", "loyalty.members", "loyalty.pricing.leases", "loyalty.programme.benefits",
    "loyalty.programme.programme", "loyalty.programme.promotion", "loyalty.programme.selectors",
}  # fmt: skip
LOGIC = {"selects", "add_uses", "counter", "view_of", "check_basket", "valid_through", "selectors_of"}


def test_engine_and_naive_interpreter_agree_on_a_sample():
    differing = {seed: found for seed in SAMPLE if (found := differences(case_of_seed(seed)))}
    assert differing == {}


@settings(max_examples=100)
@given(cases())
def test_engine_and_naive_interpreter_agree_on_whatever_is_drawn(case: Case):
    assert differences(case) == {}, in_full(case)


def test_the_sample_is_no_empty_exercise():
    """Every kind of benefit, trigger and condition does something in it more than once."""
    seen: Counter[str] = Counter()
    for seed in SAMPLE:
        case = case_of_seed(seed)
        applied = {one.promotion for one in engine_quote(case).why if one.applied}
        for promotion in case.programme.promotions:
            if promotion.id in applied:
                seen.update(_words(promotion))
    few = [word for word in _WORDS if seen[word] < 2]
    assert few == []


_WORDS = """
    percent_off amount_off set_price price_list buy_get bundle scale earn points multiply_points gift issue_coupon
    automatic code coupon event spend quantity price_list_stage before main after redemption exclusive group caps limits
""".split()


def _words(promotion: Promotion) -> set[str]:
    parts = (*promotion.then, *promotion.when, promotion.trigger)
    words = {str(part.__struct_config__.tag) for part in parts}
    words |= {name for name in ("exclusive", "group", "caps", "limits") if getattr(promotion, name)}
    if promotion.takes_money_off:
        words.add("price_list_stage" if promotion.stage == "price_list" else promotion.stage)
    return words


def test_a_figure_that_differs_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch):
    cases_by_seed = (case_of_seed(seed) for seed in SAMPLE)
    case = next(case for case in cases_by_seed if engine_quote(case).totals.discount_minor)
    bare = case._replace(programme=type(case.programme)(id="club", currency="EUR"))
    monkeypatch.setattr(long_run, "engine_quote", lambda _: engine_quote(bare))
    assert {"off", "by", "applied"} <= differences(case).keys()


def test_the_naive_interpreter_borrows_no_logic_of_the_engine():
    for path in sorted((Path(__file__).parent / "naive").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("loyalty"):
                assert node.module in TYPES, f"{path.name} imports {node.module}"
                assert not {alias.name for alias in node.names} & LOGIC, f"{path.name} borrows from {node.module}"
            elif isinstance(node, ast.Import):
                assert not any(alias.name.startswith("loyalty") for alias in node.names), path.name
