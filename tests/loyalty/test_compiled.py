"""Compiled programmes: running order, which promotions could concern a line, and what of a line matters."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.pricing.quotes import quote_basket
from loyalty.programme import compiled as compiling
from loyalty.programme.compiled import candidates_for, matches_of, plain_code, slim
from loyalty.programme.selectors import Selector, selects
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


def test_what_takes_nothing_off_runs_in_earning_and_what_codes_set_off_after_the_rest_of_its_priority():
    code, once = {"trigger": {"kind": "code", "codes": ["A"]}}, {"trigger": {"kind": "coupon", "coupon": "five"}}
    rules = compiled(
        promotion("words", stage="price_list"),
        promotion("points", earn(1, 100), stage="before", priority=3),
        promotion("mixed", earn(1, 100), percent_off(100), stage="before"),
        promotion("code", percent_off(100), **code),
        promotion("coupon", percent_off(100), priority=1, **once),
        promotion("plain", percent_off(100)),
        promotion("late", percent_off(100), stage="redemption"),
        coupons=[{"id": "five"}],
    )
    assert [(one.id, rule.stage) for one, rule in zip(rules.promotions, rules.rules, strict=True)] == [
        ("mixed", "before"), ("coupon", "main"), ("plain", "main"), ("code", "main"), ("late", "redemption"),
        ("points", "earning"), ("words", "earning"),
    ]  # fmt: skip


RANKS = [
    ("high_first", ["top", "listed", "second", "low"]),
    ("low_first", ["low", "listed", "second", "top"]),
    ("as_listed", ["listed", "low", "top", "second"]),
]


@pytest.mark.parametrize(("priority", "order"), RANKS)
def test_a_programme_says_which_priority_runs_first(priority, order):
    rules = compiled(
        *(promotion(name, percent_off(100), priority=rank) for name, rank in (
            ("listed", 0), ("low", -7), ("top", 7), ("second", 0),
        )),
        options={"priority": priority},
    )  # fmt: skip
    assert [one.id for one in rules.promotions] == order


def test_what_something_must_set_off_is_no_candidate_by_itself():
    rules = compiled(
        promotion("code", percent_off(100), trigger={"kind": "code", "codes": ["A", "b-1"]}),
        promotion("event", earn(1, 100), trigger={"kind": "event", "event": "survey"}),
        promotion("coupon", percent_off(100), trigger={"kind": "coupon", "coupon": "five"}),
        promotion("plain", percent_off(100)),
        coupons=[{"id": "five"}],
    )
    assert [rules.promotions[i].id for i in candidates_for(rules, [MILK])] == ["plain"]
    assert {name: [rules.promotions[i].id for i in found] for name, found in rules.by_code.items()} == {
        "A": ["code"], "B1": ["code"],
    }  # fmt: skip
    assert (list(rules.by_event), list(rules.by_coupon)) == (["survey"], ["five"])


CODES = [("Spring-26", "SPRING26"), (" a\tb\nc ", "ABC"), ("--", ""), ("straße", "STRASSE"), ("\u00a0x\u2003y", "XY")]


@pytest.mark.parametrize(("text", "plain"), CODES)
def test_a_code_is_compared_without_case_blanks_and_hyphens(text, plain):
    assert plain_code(text) == plain


def test_a_promotions_own_options_stand_before_the_programmes():
    rules = compiled(
        promotion("own", percent_off(100), options={"percent_rounding": "up"}), promotion("plain", percent_off(100)),
        options={"percent_rounding": "down", "earn_on": "before_points"},
    )  # fmt: skip
    assert [(one.options.percent_rounding, one.options.earn_on) for one in rules.rules] == [
        ("up", "before_points"), ("down", "before_points"),
    ]  # fmt: skip


def test_the_same_selector_is_looked_up_once_wherever_it_stands():
    dairy = {"category": [["Grocery", "Dairy"]]}
    rules = compiled(*(promotion(f"p{n}", percent_off(100, **dairy), when=[spend(1, **dairy)]) for n in range(9)))
    assert len(rules.selectors) == 2  # everything, and dairy
    assert matches_of(rules, MILK) == (1,)


def test_goods_are_remembered_by_the_facts_that_matter_and_forgotten_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(compiling, "MOST_REMEMBERED", 3)
    rules = compiled(promotion("dear", percent_off(5000, unit_price_from_minor=100)))
    for turn in range(2):
        for n in range(10):
            price = 95 + n
            row = line(1, 1000, sku=f"s{n}", unit_price_minor=price)
            asked = quote_basket(rules, basket(row), place(), None)
            assert asked.totals.discount_minor == (500 if price >= 100 else 0), turn
            assert len(rules.remembered) <= 3
    # The same article at another price is other goods.
    for price, told in ((99, 0), (100, 500), (99, 0)):
        row = line(1, 1000, sku="same", unit_price_minor=price)
        assert quote_basket(rules, basket(row), place(), None).totals.discount_minor == told


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


def test_facts_that_an_exception_to_an_exception_looks_at_are_kept():
    rules = compiled(promotion("a", percent_off(100, exclude={"brand": ["Alp"], "exclude": {"tags": ["bio"]}})))
    kept = slim(rules, MILK)
    assert (kept.category, kept.brand, kept.tags, kept.unit_price_minor) == ((), "Alp", ("fresh",), 120)
    assert slim(rules, line(1, 100)) == line(1, 100)


def test_goods_of_prizes_and_certificates_are_looked_at_too():
    prize = {"id": "mug", "points": 1, "of": {"tags": ["mug"]}}
    assert compiled(prizes=[prize]).line_facts == {"tags"}
    assert compiled(certificates={"sold": {"brand": ["Gift"]}}).line_facts == {"brand"}


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
