"""How discounts add up, in their turn and together, and what combines with what."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.pricing.combining import Gate
from tests.loyalty.build import (
    A_FLOAT,
    BY_COUPON,
    SPENDING,
    amount_off,
    buy_get,
    cap,
    compiled,
    coupon,
    earn,
    fixed,
    gift,
    issue,
    line,
    member,
    off,
    off_by,
    percent_off,
    points_by,
    promotion,
    quantity,
    quote,
    refused,
    set_price,
    spend,
    steps_of,
)


def why(asked):
    return {one.promotion: "yes" if one.applied else one.condition for one in asked.why}


# In their turn


def test_in_a_running_order_stages_come_before_priorities_and_these_before_the_list():
    def last(name, **facts):
        return promotion(name, set_price(0), **facts)

    stages = [last("e", stage="after", priority=9), last("d"), last("c", priority=1), last("b", stage="before"),
              last("a", stage="price_list", priority=-9)]  # fmt: skip
    assert [one.id for one in compiled(*stages).promotions] == ["a", "b", "c", "d", "e"]
    # The first of them takes everything, whichever of them are there.
    for n in range(1, 6):
        assert off_by(quote(compiled(*stages[:n]), line(1, 100))) == {"edcba"[n - 1]: 100}


def test_what_nothing_is_left_for_does_not_apply_and_says_so():
    rules = compiled(promotion("all", set_price(0), priority=1), promotion("more", percent_off(5000)))
    assert why(quote(rules, line(1, 100))) == {"all": "yes", "more": "then"}


# Together. Three promotions of one group, on lines of 10.00 and 4.00.


def together(stacking, *promotions, **facts):
    return compiled(
        *(one | {"group": "g"} for one in promotions), groups=[{"id": "g", "stacking": stacking}], **facts
    )


TENTH = promotion("tenth", percent_off(1000))  # 1.00 and 0.40
TWO = promotion("two", amount_off(200, sku=["sku2"]))  # 2.00 of line 2
ONE = promotion("one", amount_off(100, "line"))  # 1.00 each
TOGETHER = [
    ("sequential", [TENTH, TWO, ONE], {"tenth": 140, "two": 200, "one": 200}),
    ("best_of", [TENTH, TWO, ONE], {"two": 200}),  # 1.40, 2.00 and 2.00: the first of equals
    ("best_of", [ONE, TWO, TENTH], {"one": 200}),
    ("best_of_line", [TENTH, TWO, ONE], {"tenth": 100, "two": 200}),  # 1.00 and 1.00: the first; 0.40, 2.00, 1.00
    ("best_of_line", [ONE, TWO, TENTH], {"one": 100, "two": 200}),
    ("sum", [TENTH, TWO, ONE], {"tenth": 140, "two": 200, "one": 200}),
    ("best_of", [TENTH], {"tenth": 140}),
    ("best_of_line", [TWO], {"two": 200}),
    ("sum", [ONE], {"one": 200}),
]


@pytest.mark.parametrize(("stacking", "rules", "told"), TOGETHER)
def test_a_group_adds_up_as_it_says(stacking, rules, told):
    assert off_by(quote(together(stacking, *rules), line(1, 1000), line(2, 400))) == told


def test_a_sum_goes_no_lower_than_the_floor_and_the_last_ones_find_nothing():
    rules = together("sum", promotion("a", percent_off(6000)), promotion("b", percent_off(6000)), promotion(
        "c", percent_off(6000)
    ))  # fmt: skip
    asked = quote(rules, line(1, 1000, floor_unit_minor=100))
    assert off_by(asked) == {"a": 600, "b": 300}
    assert why(asked) == {"a": "yes", "b": "yes", "c": "then"}


def test_what_loses_says_which_promotion_takes_more_and_why_others_do_nothing():
    rules = together("best_of", promotion("none", percent_off(1000, sku=["sku2"])), TENTH, promotion(
        "half", percent_off(5000)
    ))  # fmt: skip
    asked = quote(rules, line(1, 1000), line(2, 0))
    assert [(one.promotion, one.condition, one.say) for one in asked.why] == [
        ("half", "", "5.00 EUR off"),
        ("none", "then", "Nothing in this basket counts for it."),
        ("tenth", "best_of", "half takes more off."),
    ]


def test_a_promotion_that_lost_all_its_lines_has_not_applied_and_one_that_kept_a_line_has():
    counted = {"limits": {"times": 5}}
    rules = together("best_of_line", TENTH | counted, promotion("half", percent_off(5000, sku=["sku1"])) | counted)
    assert steps_of(quote(rules, line(1, 1000), view=member()).uses) == {"promo:half": 1}
    both = quote(rules, line(1, 1000), line(2, 400), view=member())
    assert steps_of(both.uses) == {"promo:half": 1, "promo:tenth": 1}


def test_a_cap_counts_the_units_of_lines_that_were_kept_and_no_others():
    rules = together(
        "best_of_line",
        TENTH | {"caps": [cap(3, "units", "month", first="basket")]},
        promotion("half", percent_off(5000, sku=["sku1"])),
    )
    asked = quote(rules, line(1, 1000, quantity_milli=2000), line(2, 400), view=member())
    assert off(asked) == [500, 40]
    assert steps_of(asked.uses) == {"cap:tenth:units:2026-03": 1}


def test_a_group_takes_its_turn_once_and_later_promotions_see_what_it_left():
    rules = compiled(
        promotion("early", amount_off(100), priority=5),
        promotion("g1", percent_off(1000), priority=4, group="g"),
        promotion("between", amount_off(100), priority=3),
        promotion("g2", percent_off(2000), priority=2, group="g"),
        groups=[{"id": "g", "stacking": "sum"}],
    )
    # 11.00 - 1.00 = 10.00; 1.00 and 2.00 of it; then 1.00 more.
    assert off_by(quote(rules, line(1, 1100))) == {"early": 100, "g1": 100, "g2": 200, "between": 100}


def test_a_group_is_one_in_each_stage():
    rules = compiled(
        promotion("g1", percent_off(1000), stage="before", group="g"),
        promotion("g2", percent_off(2000), group="g"),
        groups=[{"id": "g", "stacking": "best_of"}],
    )
    assert off_by(quote(rules, line(1, 1000))) == {"g1": 100, "g2": 180}


def test_a_group_whose_first_promotion_does_not_hold_runs_in_the_turn_of_the_next():
    rules = compiled(
        promotion("g1", percent_off(5000), priority=3, group="g", when=[spend(10**6)]),
        promotion("between", amount_off(200), priority=2),
        promotion("g2", percent_off(1000), priority=1, group="g"),
        groups=[{"id": "g", "stacking": "sum"}],
    )
    assert off_by(quote(rules, line(1, 1000))) == {"between": 200, "g2": 80}


def test_a_promotion_that_lost_still_grants_nothing_and_one_that_found_nothing_does():
    rules = together(
        "best_of",
        promotion("half", percent_off(5000)),
        promotion("tenth", percent_off(1000), fixed(10)),
        promotion("other", percent_off(1000, sku=["sku9"]), fixed(7)),
    )
    asked = quote(rules, line(1, 1000), line(2, 0, sku="sku9"), view=member())
    assert (off_by(asked), points_by(asked)) == ({"half": 500}, {"other": {1: 7}})


AMOUNTS = st.lists(st.integers(0, 2000), min_size=1, max_size=4)
CHOICES = st.lists(
    st.one_of(
        st.builds(percent_off, st.integers(1, 10_000)),
        st.builds(amount_off, st.integers(1, 1500), st.sampled_from(["basket", "line"])),
        st.builds(set_price, st.integers(0, 1500)),
    ),
    min_size=1,
    max_size=4,
)


@given(AMOUNTS, CHOICES)
def test_the_best_takes_as_much_off_as_the_best_of_them_alone(amounts, choices):
    lines = [line(n, amount) for n, amount in enumerate(amounts, 1)]
    alone = [off(quote(compiled(promotion("p", rule)), *lines)) for rule in choices]
    rules = [promotion(f"p{n}", rule) for n, rule in enumerate(choices)]
    best = off(quote(together("best_of", *rules), *lines))
    assert best == max(alone, key=sum)
    by_line = off(quote(together("best_of_line", *rules), *lines))
    assert by_line == [max(cuts) for cuts in zip(*alone, strict=True)]
    total = off(quote(together("sum", *rules), *lines))
    assert total == [min(amount, sum(cuts)) for amount, *cuts in zip(amounts, *alone, strict=True)]


# Exclusive promotions


def test_an_exclusive_promotion_of_a_later_stage_is_tried_first_on_the_full_price():
    rules = compiled(
        promotion("tenth", percent_off(1000), stage="price_list"),
        promotion("alone", percent_off(2000), stage="after", exclusive=True),
    )
    asked = quote(rules, line(1, 1000))
    assert (off_by(asked), why(asked)) == ({"alone": 200}, {"alone": "yes", "tenth": "exclusive"})


def test_what_is_kept_out_names_the_promotion_that_keeps_it_out():
    rules = compiled(promotion("alone", percent_off(2000), exclusive=True), promotion("tenth", percent_off(1000)))
    (_, told) = quote(rules, line(1, 1000)).why
    assert (told.found, told.say) == ("alone", "Does not combine with alone.")


EXCLUSIVE = promotion("alone", amount_off(100), exclusive=True)
BESIDE = [
    # Option `exclusive_over`, what stands beside it, what is granted: everything is kept out, or only money.
    ("everything", promotion("other", earn(1, 100)), {}, []),
    ("same_kind", promotion("other", earn(1, 100)), {"other": {1: 9}}, []),
    ("everything", promotion("other", gift("bag")), {}, []),
    ("same_kind", promotion("other", gift("bag")), {}, ["bag"]),
    ("same_kind", promotion("other", percent_off(1000), fixed(5)), {}, []),  # held once, by its discount
]


@pytest.mark.parametrize(("over", "other", "granted", "gifts"), BESIDE)
def test_an_exclusive_discount_keeps_out_everything_or_its_own_kind(over, other, granted, gifts):
    rules = compiled(EXCLUSIVE, other, options={"exclusive_over": over})
    asked = quote(rules, line(1, 1000), view=member())
    assert (off(asked), points_by(asked), [one.sku for one in asked.gifts]) == ([100], granted, gifts)


def test_an_exclusive_discount_keeps_out_coupons_for_the_next_visit():
    rules = compiled(EXCLUSIVE, promotion("next", issue("five")), coupons=[{"id": "five"}])
    assert quote(rules, line(1, 1000)).coupons_issued == ()


TURNS = [
    # With priority_wins the first that applies decides.
    ([("a", 3, False), ("b", 2, True), ("c", 1, False)], ["a", "c"]),
    ([("a", 3, True), ("b", 2, False), ("c", 1, True)], ["a", "c"]),
    ([("a", 3, True), ("b", 2, True), ("c", 1, False)], ["a", "b"]),
]


@pytest.mark.parametrize(("row", "applied"), TURNS)
def test_where_priority_wins_the_first_that_applies_decides(row, applied):
    rules = compiled(
        *(promotion(name, amount_off(100), priority=high, exclusive=alone) for name, high, alone in row),
        options={"exclusive": "priority_wins"},
    )
    assert list(off_by(quote(rules, line(1, 1000)))) == applied


def test_an_exclusive_promotion_among_others_of_a_group_that_adds_up_keeps_them_out():
    # All are worked out on the same prices; the exclusive one is tried first, so the others find the door closed.
    rules = together("sum", TENTH, promotion("alone", amount_off(50), exclusive=True))
    assert off_by(quote(rules, line(1, 1000))) == {"alone": 50}
    turns = together("sum", TENTH, promotion("alone", amount_off(50), exclusive=True),
                     options={"exclusive": "priority_wins"})  # fmt: skip
    assert off_by(quote(turns, line(1, 1000))) == {"tenth": 100}


def test_an_exclusive_promotion_of_the_stage_redemption_keeps_others_out():
    rules = compiled(
        promotion("tenth", percent_off(1000)),
        promotion("alone", amount_off(100), stage="redemption", exclusive=True,
                  when=[{"kind": "points_spent", "at_least_points": 100}]),
        spending=SPENDING,
    )  # fmt: skip
    without = quote(rules, line(1, 1000), view=member())
    assert off_by(without) == {"tenth": 100}


# Groups

WITH = [
    # (with of one, with of two) and whether the second may join the first.
    (None, None, True),
    (["two"], None, True),
    (None, ["one"], True),
    ([], None, False),
    (None, [], False),
    (["three"], ["one"], True),  # either may name the other
    (["three"], ["three"], False),
]


@pytest.mark.parametrize(("with_one", "with_two", "may"), WITH)
def test_two_groups_combine_when_either_names_the_other_or_neither_names_any(with_one, with_two, may):
    groups = [{"id": "three"}]
    for name, others in (("one", with_one), ("two", with_two)):
        groups.append({"id": name} | ({} if others is None else {"with": others}))
    first, second = promotion("a", amount_off(100), group="one"), promotion("b", amount_off(50), group="two")
    asked = quote(compiled(first, second, groups=groups), line(1, 1000))
    assert why(asked) == {"a": "yes", "b": "yes" if may else "group"}
    # What applied first stays, whichever it is.
    asked = quote(compiled(second, first, groups=groups), line(1, 1000))
    assert why(asked) == {"b": "yes", "a": "yes" if may else "group"}


def test_a_third_group_must_combine_with_all_that_have_applied():
    groups = [{"id": "one"}, {"id": "two"}, {"id": "three", "with": ["one"]}]
    rules = [promotion(name, amount_off(10), group=name) for name in ("one", "two", "three")]
    asked = quote(compiled(*rules, groups=groups), line(1, 1000))
    assert why(asked) == {"one": "yes", "two": "yes", "three": "group"}
    assert asked.why[2].say == "Does not combine with two."


def test_promotions_of_no_group_stand_beside_a_group_that_combines_with_none():
    rules = compiled(
        promotion("free", amount_off(10)), promotion("g", amount_off(10), group="g"), promotion("last", amount_off(10)),
        groups=[{"id": "g", "with": []}],
    )  # fmt: skip
    assert off_by(quote(rules, line(1, 1000))) == {"free": 10, "g": 10, "last": 10}


GRANTS = [fixed(5), gift("bag"), issue("five")]


@pytest.mark.parametrize(("one", "other"), list(permutations(GRANTS, 2)), ids=str)
def test_groups_keep_apart_what_grants_points_gifts_and_coupons_too(one, other):
    rules = compiled(
        promotion("a", one, group="g0"), promotion("b", other, group="g1"),
        groups=[{"id": "g0"}, {"id": "g1", "with": []}], coupons=[{"id": "five"}],
    )  # fmt: skip
    assert why(quote(rules, line(1, 1000), view=member())) == {"a": "yes", "b": "group"}


def test_what_took_money_off_keeps_groups_out_of_granting_points():
    rules = compiled(
        promotion("a", amount_off(100), group="g0"), promotion("b", fixed(5), group="g1"),
        groups=[{"id": "g0"}, {"id": "g1", "with": []}],
    )  # fmt: skip
    assert why(quote(rules, line(1, 1000), view=member())) == {"a": "yes", "b": "group"}


def test_a_copy_of_a_gate_does_not_let_anybody_into_the_first():
    rules = compiled(*(promotion(name, amount_off(10), group=name) for name in ("one", "two")),
                     groups=[{"id": "one", "with": []}, {"id": "two"}])  # fmt: skip
    gate = Gate(rules)
    gate.copy().let_in(rules.rules[0])
    assert gate.keeps_out(rules.rules[1]) is None
    gate.let_in(rules.rules[0])
    told = gate.keeps_out(rules.rules[1])
    assert told is not None and told.found == "one"


# Coupons of a kind in groups


def test_of_two_coupons_in_a_group_of_which_the_best_stays_one_is_kept():
    rules = together("best_of", promotion("five", amount_off(500), **BY_COUPON), coupons=[{"id": "five"}])
    asked = quote(rules, line(1, 2000), bearer=(coupon("C1"), coupon("C2")), coupons=("C1", "C2"))
    assert (off(asked), asked.coupons_used, refused(asked)) == ([500], ("C1",), [("C2", "kept_out")])


def test_rewards_and_conditions_see_what_the_stage_before_left_and_what_it_began_with():
    rules = compiled(
        promotion("early", amount_off(400), stage="before"),
        promotion("first", amount_off(100), priority=1),
        promotion("stage", amount_off(1), when=[spend(1600) | {"looks_at": "stage"}]),
        promotion("after", amount_off(1), when=[spend(1600) | {"looks_at": "after"}]),
        promotion("before", amount_off(1), when=[spend(2000) | {"looks_at": "before"}]),
        promotion("count", buy_get(1, amount_minor=1), when=[quantity(2000)]),
    )
    # 20.00, 16.00 when `main` began, 15.00 after `first`.
    asked = quote(rules, line(1, 1000), line(2, 1000))
    assert why(asked) == {
        "early": "yes", "first": "yes", "stage": "yes", "before": "yes", "count": "yes", "after": "when.spend",
    }  # fmt: skip


def test_in_the_stage_redemption_a_percentage_is_of_what_points_left():
    rules = compiled(
        promotion("list", percent_off(1000), stage="price_list"),
        promotion("late", percent_off(5000), stage="redemption"),
        promotion("tenth", percent_off(1000), stage="redemption"),
        spending=SPENDING,
    )
    asked = quote(rules, line(1, 1000), view=member(), authority=A_FLOAT, points_to_spend=600)
    # 9.00 after the list; 600 points are 3.00; half of 6.00, then a tenth of 3.00.
    assert (off_by(asked), asked.totals.net_minor) == ({"list": 100, "late": 300, "tenth": 30}, 270)


def test_in_the_stage_redemption_the_price_before_is_still_that_of_the_price_list():
    rules = compiled(
        promotion("list", percent_off(1000), stage="price_list"),
        promotion("late", percent_off(5000), stage="redemption"),
        promotion("more", percent_off(2000), stage="redemption"),
        spending=SPENDING,
        options={"stacking_base": "original"},
    )
    asked = quote(rules, line(1, 1000), view=member(), authority=A_FLOAT, points_to_spend=600)
    # 9.00 after the list, 6.00 after points; half of 9.00 is 4.50, and a fifth of it, 1.80, finds 1.50.
    assert (off_by(asked), asked.totals.net_minor) == ({"list": 100, "late": 450, "more": 150}, 0)
