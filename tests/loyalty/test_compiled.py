"""Compiled programmes: running order, which promotions could concern a line, and what of a line matters."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.compiled import candidates_for, selects, slim
from loyalty.programme import Selector
from loyalty.quotes import quote_basket
from tests.loyalty.build import (
    amount_off,
    basket,
    bytes_of,
    compiled,
    earn,
    line,
    member,
    multiply,
    percent_off,
    place,
    promotion,
    spend,
)

MILK = line(
    1, 120, sku="milk", category=("Grocery", "Dairy", "Milk"), brand="Alp", tags=("fresh",), unit_price_minor=120
)

SELECTIONS = [
    ({}, True),
    ({"sku": ["milk"]}, True),
    ({"sku": ["bread", "milk"]}, True),
    ({"sku": ["bread"]}, False),
    ({"category": [["Grocery"]]}, True),
    ({"category": [["Grocery", "Dairy"]]}, True),
    ({"category": [["Dairy"]]}, False),  # paths begin at the root
    ({"category": [["Grocery", "Dairy", "Milk", "Goat"]]}, False),
    ({"brand": ["Alp"]}, True),
    ({"brand": ["alp"]}, False),
    ({"tags": ["fresh", "bio"]}, True),
    ({"tags": ["bio"]}, False),
    ({"unit_price_from_minor": 120, "unit_price_to_minor": 120}, True),
    ({"unit_price_from_minor": 121}, False),
    ({"unit_price_to_minor": 119}, False),
    ({"sku": ["milk"], "brand": ["Other"]}, False),  # every kind that is given must match
    ({"category": [["Grocery"]], "exclude": {"brand": ["Alp"]}}, False),
    ({"category": [["Grocery"]], "exclude": {"brand": ["Other"]}}, True),
    ({"exclude": {"category": [["Grocery"]], "exclude": {"sku": ["milk"]}}}, True),  # an exception to the exception
    ({"exclude": {}}, False),
]


@pytest.mark.parametrize(("said", "is_selected"), SELECTIONS, ids=str)
def test_a_selector_names_goods(said, is_selected):
    assert selects(msgspec.convert(said, Selector), MILK) is is_selected


def test_promotions_run_by_stage_then_priority_then_as_listed():
    rules = compiled(
        promotion("late", percent_off(100), stage="after", priority=9),
        promotion("second", percent_off(100)),
        promotion("third", percent_off(100)),
        promotion("first", percent_off(100), priority=1),
        promotion("early", percent_off(100), stage="before", priority=-5),
    )
    assert [one.id for one in rules.promotions] == ["early", "first", "second", "third", "late"]


def test_only_promotions_that_could_concern_the_basket_are_looked_at():
    rules = compiled(
        promotion("bread", percent_off(100, sku=["bread"])),
        promotion("dairy", percent_off(100, category=[["Grocery", "Dairy"]])),
        promotion("alp", percent_off(100, brand=["Alp"])),
        promotion("bio", percent_off(100, tags=["bio"])),
        promotion("all", earn(1, 100)),
        promotion("word"),
    )
    assert [rules.promotions[i].id for i in candidates_for(rules, [MILK])] == ["dairy", "alp", "all", "word"]
    assert [rules.promotions[i].id for i in candidates_for(rules, [])] == ["word"]


def test_a_line_keeps_the_facts_that_selectors_look_at_and_no_others():
    assert compiled(promotion("a", percent_off(100, sku=["milk"]))).line_facts == frozenset()
    rules = compiled(
        promotion("a", percent_off(100, brand=["Alp"]), when=[spend(1, exclude={"tags": ["bio"]})]),
    )
    kept = slim(rules, MILK)
    assert (kept.category, kept.brand, kept.tags, kept.amount_minor) == ((), "Alp", ("fresh",), 120)


def test_what_may_be_paid_with_points_is_looked_at_too():
    rules = compiled(spending={"step_points": 1, "step_minor": 1, "of": {"exclude": {"category": [["Tobacco"]]}}})
    assert rules.line_facts == {"category"}


PATHS = st.sampled_from([("A",), ("A", "B"), ("A", "B", "C"), ("D",), ()])
WORDS = st.sampled_from(["", "x", "y"])
LINES = st.lists(
    st.builds(
        dict,
        sku=st.sampled_from(["p", "q", "r"]),
        category=PATHS,
        brand=WORDS,
        tags=st.sampled_from([(), ("x",), ("x", "y")]),
        unit_price_minor=st.integers(0, 3),
        amount_minor=st.integers(0, 999),
    ),
    max_size=4,
).map(lambda rows: [line(i + 1, **row) for i, row in enumerate(rows)])
KINDS = {
    "sku": st.just(["p"]) | st.just(["q", "r"]),
    "category": st.sampled_from([[["A"]], [["A", "B"]], [["D"], ["A", "B", "C"]]]),
    "brand": st.just(["x"]),
    "tags": st.just(["y"]) | st.just(["x", "y"]),
    "unit_price_to_minor": st.integers(0, 3),
}
FLAT = st.fixed_dictionaries({}, optional=KINDS)
SELECTORS = st.builds(lambda of, out: of | ({"exclude": out} if out else {}), FLAT, st.none() | FLAT)


@given(LINES, st.lists(SELECTORS, min_size=1, max_size=5))
def test_the_index_never_misses_a_promotion_that_selects_a_line(lines, selectors):
    rules = compiled(*(promotion(f"p{i}", percent_off(100, **of)) for i, of in enumerate(selectors)))
    found = candidates_for(rules, lines)
    for i, one in enumerate(rules.promotions):
        if any(selects(one.then[0].of, row) for row in lines):
            assert i in found


@given(LINES, st.lists(SELECTORS, min_size=1, max_size=4))
def test_goods_without_the_facts_that_nobody_looks_at_are_quoted_the_same(lines, selectors):
    rules = compiled(
        *(promotion(f"p{i}", percent_off(700, **of), amount_off(5, "line", **of)) for i, of in enumerate(selectors)),
        promotion("base", earn(3, 10)),
        promotion("more", multiply(150, **selectors[0])),
    )
    whole = quote_basket(rules, basket(*lines), place(), member())
    again = quote_basket(rules, basket(*whole.goods), place(), member())
    assert bytes_of(again) == bytes_of(whole)
