"""Money off: what each line gives, never below nothing, never below its floor, to the minor unit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.amounts import share_out
from loyalty.pricing.discounts import Part, spread, spread_out
from loyalty.pricing.discounts import set_price as prices_set
from loyalty.programme.benefits import SetPrice
from loyalty.programme.programme import Options
from tests.loyalty.build import (
    amount_off,
    cap,
    compiled,
    line,
    member,
    off,
    off_by,
    percent_off,
    promotion,
    quote,
    set_price,
    steps_of,
    taken,
    use,
)


def taken_of(left, rule, *lines, **options):
    """What a promotion of this benefit takes off each line, once others have reduced it to what is `left`."""
    first = [
        promotion(f"first{n}", amount_off(row.amount_minor - costs, sku=[row.sku]), stage="before", priority=-n)
        for n, (row, costs) in enumerate(zip(lines, left, strict=True))
        if row.amount_minor > costs
    ]
    asked = quote(compiled(*first, promotion("own", rule), options=options), *lines)
    sums = {row.line: 0 for row in asked.lines}
    for effect in asked.effects:
        if effect.promotion == "own":
            sums[effect.line] += effect.amount_minor
    return list(sums.values())


def test_a_percentage_is_rounded_on_each_lines_discount():
    # 10 % of 2.45 is 24.5 cents, of 1.04 is 10.4, of 0.06 is 0.6.
    lines = (line(1, 245), line(2, 104), line(3, 6))
    assert taken(percent_off(1000), *lines) == [25, 10, 1]
    assert taken(percent_off(1000), *lines, percent_rounding="half_even") == [24, 10, 1]
    assert taken(percent_off(1000), *lines, percent_rounding="down") == [24, 10, 0]
    assert taken(percent_off(1000), *lines, percent_rounding="up") == [25, 11, 1]


def test_a_percentage_is_taken_of_what_earlier_promotions_left():
    assert taken_of([900], percent_off(1000), line(1, 1000)) == [90]


def test_all_of_it_off_leaves_nothing():
    assert taken(percent_off(10_000), line(1, 999)) == [999]


def test_only_selected_and_discountable_lines_give():
    lines = (line(1, 1000, brand="Alp"), line(2, 1000), line(3, 1000, brand="Alp", discountable=False))
    assert taken(percent_off(1000, brand=["Alp"]), *lines) == [100, 0, 0]
    assert taken(amount_off(500, brand=["Alp"]), *lines) == [500, 0, 0]


def test_an_amount_off_the_basket_is_spread_so_that_the_parts_add_up():
    assert taken(amount_off(100), line(1, 100), line(2, 100), line(3, 100)) == [34, 33, 33]
    # 5.00 over 12.00, 6.00 and 2.00: 300, 150, 50.
    assert taken(amount_off(500), line(1, 1200), line(2, 600), line(3, 200)) == [300, 150, 50]


def test_an_amount_larger_than_the_basket_takes_what_is_there():
    assert taken(amount_off(10_000), line(1, 120), line(2, 80)) == [120, 80]
    assert taken(amount_off(10**15), line(1, 10**15 - 1), line(2, 1)) == [10**15 - 1, 1]


def test_lines_worth_nothing_take_no_part():
    assert taken(amount_off(100), line(1, 0), line(2, 300)) == [0, 100]
    assert taken(amount_off(100), line(1, 0)) == [0]


def test_an_amount_off_each_line_takes_at_most_the_line():
    assert taken(amount_off(150, "line"), line(1, 1000), line(2, 100), line(3, 0)) == [150, 100, 0]


def test_an_amount_off_each_unit_counts_parts_of_a_unit():
    # 3 x 0.20; 0.350 kg x 0.20 = 0.07; 0.375 x 0.20 = 0.075, rounded up.
    lines = (line(1, 900, quantity_milli=3000), line(2, 500, quantity_milli=350), line(3, 500, quantity_milli=375))
    assert taken(amount_off(20, "unit"), *lines) == [60, 7, 8]


def test_no_discount_takes_a_unit_below_its_floor():
    book = line(1, 1000, floor_unit_minor=950)
    assert taken(percent_off(1000), book) == [50]
    assert taken(amount_off(300, "line"), book) == [50]
    assert taken(set_price(100), book) == [50]
    assert taken(percent_off(1000), line(1, 900, floor_unit_minor=950)) == [0]
    # Two units at a floor of 4.80 keep 9.60; 0.333 of a unit at 1.00 keeps 0.333, rounded up to 34.
    assert taken(percent_off(5000), line(1, 1000, quantity_milli=2000, floor_unit_minor=480)) == [40]
    assert taken(percent_off(10_000), line(1, 50, quantity_milli=333, floor_unit_minor=100)) == [16]


def test_what_a_floor_refuses_moves_to_lines_that_can_still_take_it():
    book, pen = line(1, 1000, floor_unit_minor=950), line(2, 1000)
    assert taken(amount_off(400), book, pen) == [50, 350]


def test_what_no_line_can_take_is_dropped():
    assert taken(amount_off(400), line(1, 1000, floor_unit_minor=950), line(2, 100)) == [50, 100]


@pytest.mark.parametrize(
    "rule", [percent_off(1000), amount_off(5), amount_off(5, "line"), amount_off(5, "unit"), set_price(1)], ids=str
)
def test_an_empty_basket_gives_nothing(rule):
    assert taken(rule) == []


# Goods without a quantity: they cost what they cost, and there is no unit of them.
NO_QUANTITY = [
    (percent_off(1000), 100),
    (percent_off(1000) | {"per": "unit"}, 100),  # one thing, however it is measured
    (amount_off(30), 30),
    (amount_off(30, "line"), 30),
    (amount_off(30, "unit"), 0),
    (amount_off(30, "group") | {"group_of": 1}, 0),
    (set_price(0), 1000),
]


@pytest.mark.parametrize(("rule", "told"), NO_QUANTITY, ids=str)
def test_goods_without_a_quantity_have_a_price_and_no_units(rule, told):
    assert taken(rule, line(1, 1000, quantity_milli=0)) == [told]


# Seven units for 10.00 cost 1.43 six times and 1.42 once. A tenth of 143 is 14.3, of 142 is 14.2.
PER_UNIT = [
    (1000, 1000, 7000, {}, 98),  # 7 x 14
    (1000, 1000, 7000, {"percent_rounding": "up"}, 105),  # 7 x 15
    (1000, 1000, 7000, {"percent_rounding": "down"}, 98),
    (1000, 1000, 7000, {"percent_rounds": "price"}, 98),  # 128.7 and 127.8, half up 129 and 128
    (1000, 1000, 7000, {"percent_rounds": "price", "percent_rounding": "down"}, 105),  # 128 and 127
    (5000, 10, 10_000, {}, 10),  # half of a single cent, ten times
    (5000, 10, 10_000, {"percent_rounding": "half_even"}, 0),
    (5000, 5, 10_500, {"percent_rounding": "up"}, 3),  # ten and a half: one thing, 2.5 up
]


@pytest.mark.parametrize(("percent_bp", "amount", "milli", "options", "told"), PER_UNIT)
def test_a_percentage_of_each_unit_is_rounded_on_units_that_differ_by_a_cent(percent_bp, amount, milli, options, told):
    rule = percent_off(percent_bp) | {"per": "unit"}
    assert taken(rule, line(1, amount, quantity_milli=milli), **options) == [told]


def test_a_percentage_of_thousands_of_units_is_worked_out_on_each_of_them():
    # 9,999 units for 1,000,000 cents: 100 units at 101, 9,899 at 100. 33 % of 101 is 33.33, of 100 is 33.
    rule = percent_off(3300) | {"per": "unit"}
    assert taken(rule, line(1, 1_000_000, quantity_milli=9_999_000)) == [9_999 * 33]


def test_the_largest_sum_is_halved_to_the_cent():
    assert taken(percent_off(5000), line(1, 10**15 - 1)) == [5 * 10**14]  # half of an odd cent goes up
    assert taken(percent_off(1), line(1, 10**15)) == [10**11]


def test_a_price_is_for_a_unit_and_parts_of_it_and_never_goes_up():
    # 0.375 at 2.00 is 0.75; 2.5 at 0.99 is 2.475, up to 2.48; three at 1.00 cost 2.90 already.
    lines = (line(1, 100, quantity_milli=375), line(2, 500, quantity_milli=2500), line(3, 290, quantity_milli=3000))
    assert taken(set_price(200), *lines[:1]) == [25]
    assert taken(set_price(99), *lines[1:2]) == [252]
    assert taken(set_price(100), *lines[2:]) == [0]


def test_a_price_list_names_articles_and_leaves_others_alone():
    rule = {"kind": "price_list", "prices": {"milk": 90, "salt": 0, "wine": 999}}
    lines = (line(1, 300, sku="milk", quantity_milli=3000), line(2, 55, sku="salt"), line(3, 500, sku="wine"),
             line(4, 100, sku="tea"))  # fmt: skip
    assert taken(rule, *lines) == [30, 55, 0, 0]


GROUPS = [
    (3, (2000, 1000), 100),
    (3, (5000, 4000), 300),
    (3, (2000, 999), 100),  # weighed goods are one unit
    (4, (2000, 1000), 0),
    (1, (9_999_000, 0), 999_900),
]


@pytest.mark.parametrize(("group_of", "quantities", "told"), GROUPS)
def test_an_amount_is_taken_off_once_for_every_complete_group(group_of, quantities, told):
    lines = (line(n, 10**9, quantity_milli=milli) for n, milli in enumerate(quantities, 1))
    assert sum(taken(amount_off(100, "group") | {"group_of": group_of}, *lines)) == told


def test_a_free_unit_completes_a_group_where_free_units_count():
    rule = amount_off(100, "group") | {"group_of": 3}
    lines = (line(1, 0), line(2, 300), line(3, 300))
    assert taken(rule, *lines) == [0, 0, 0]
    assert taken(rule, *lines, gift_lines="counted") == [0, 50, 50]


# Several benefits of one promotion: each sees what those before it left.

ONE_AFTER_THE_OTHER = [
    ((percent_off(5000), amount_off(100)), [600]),  # 5.00, then 1.00
    ((amount_off(100), percent_off(5000)), [550]),  # 1.00, then half of 9.00
    ((set_price(300), percent_off(5000), amount_off(999)), [1000]),
    ((amount_off(10_000), percent_off(5000)), [1000]),
]


@pytest.mark.parametrize(("then", "told"), ONE_AFTER_THE_OTHER)
def test_benefits_of_one_promotion_follow_each_other(then, told):
    assert off(quote(compiled(promotion("own", *then)), line(1, 1000))) == told


# Caps on units: only so many are reduced, and a line of which some are picked counts with these alone.

UNIT_CAPS = [
    ("cheapest", percent_off(5000), [0, 250, 50]),  # 1.00, 2.50, 2.50 halved
    ("dearest", percent_off(5000), [500, 250, 0]),  # 10.00, 2.50, 2.50
    ("basket", percent_off(5000), [500, 250, 0]),
    ("cheapest", amount_off(100, "unit"), [0, 200, 100]),
    ("dearest", set_price(200), [800, 100, 0]),
    ("basket", percent_off(10_000) | {"per": "basket"}, [1000, 500, 0]),
]


@pytest.mark.parametrize(("first", "rule", "told"), UNIT_CAPS, ids=str)
def test_a_cap_on_units_picks_three(first, rule, told):
    rules = compiled(promotion("own", rule, caps=[cap(3, "units", "month", first=first)]))
    asked = quote(rules, line(1, 1000), line(2, 1000, quantity_milli=4000), line(3, 100), view=member())
    assert off(asked) == told
    assert steps_of(asked.uses) == {"cap:own:units:2026-03": 3}


def test_a_cap_on_units_is_used_up_by_units_that_get_something():
    rules = compiled(promotion("own", percent_off(5000), caps=[cap(3, "units", "month")]))
    counters = (use("cap:own:units:2026-03", 2),)
    asked = quote(rules, line(1, 1000, quantity_milli=4000), view=member(counters=counters))
    assert (off(asked), steps_of(asked.uses)) == ([125], {"cap:own:units:2026-03": 1})


def test_a_price_under_a_cap_is_given_to_units_that_it_lowers():
    # Two units may have the price of 1.00; those at 0.80 and 0.90 are cheaper already.
    rules = compiled(promotion("own", set_price(100), caps=[cap(2, "units", first="cheapest")]))
    assert off(quote(rules, line(1, 80), line(2, 90), line(3, 200), line(4, 300))) == [0, 0, 100, 200]


def test_a_price_list_under_a_cap_is_given_to_units_that_it_lowers():
    rule = {"kind": "price_list", "prices": {"milk": 100, "tea": 300}}
    rules = compiled(promotion("own", rule, caps=[cap(2, "units", first="cheapest")]))
    lines = (line(1, 90, sku="milk"), line(2, 240, sku="milk", quantity_milli=2000), line(3, 500, sku="tea"))
    # Milk at 1.20 comes first: two units at 1.00. Milk at 0.90 is cheaper already, and for tea nothing is left.
    assert off(quote(rules, *lines)) == [0, 40, 0]


def test_a_percentage_of_the_price_before_is_of_the_picked_units_alone():
    rules = compiled(
        promotion("first", amount_off(400), priority=1),
        promotion("own", percent_off(5000), caps=[cap(1, "units")]),
        options={"stacking_base": "original"},
    )
    # Four units for 10.00, now 6.00: half of the one unit's 2.50 is 1.25, and it still costs 1.50.
    assert off_by(quote(rules, line(1, 1000, quantity_milli=4000))) == {"first": 400, "own": 125}


# Three units for 1.10 cost 0.37, 0.37 and 0.36. Another promotion takes 0.04 off: now they cost 0.36, 0.35 and 0.35.
BASES = [
    (1, "dearest", 33),  # nine tenths of the first unit's 0.37
    (1, "basket", 33),
    (1, "cheapest", 33),  # the second unit, 0.37 before: of equals the one that stands first
    (2, "cheapest", 65),  # 0.37 and 0.36
    (2, "dearest", 66),  # 0.37 and 0.37
    (3, "cheapest", 99),  # all of it, 1.10
]


@pytest.mark.parametrize(("most", "first", "told"), BASES)
def test_each_picked_unit_has_its_own_price_before(most, first, told):
    rules = compiled(
        promotion("first", amount_off(4), priority=1),
        promotion("own", percent_off(9000), caps=[cap(most, "units", first=first)]),
        options={"stacking_base": "original", "percent_rounding": "down"},
    )
    assert off_by(quote(rules, line(1, 110, quantity_milli=3000))) == {"first": 4, "own": told}


def test_under_a_cap_on_units_weighed_goods_are_one_unit_of_their_weight():
    # 2.5 kg for 5.00, at 0.99 a kilogram 2.48.
    rules = compiled(promotion("own", set_price(99), caps=[cap(1, "units")]))
    assert off(quote(rules, line(1, 500, quantity_milli=2500))) == [252]


def test_a_picked_unit_stays_above_its_own_floor():
    # Three units at 3.00, floor 2.50: half of one unit would be 1.50, and it may give 0.50; the line could give 1.50.
    rules = compiled(promotion("own", percent_off(5000), caps=[cap(1, "units")]))
    assert off(quote(rules, line(1, 900, quantity_milli=3000, floor_unit_minor=250))) == [50]


def test_a_picked_unit_that_costs_no_more_than_its_floor_gives_nothing():
    # 1.01 for three: 0.34, 0.34, 0.33; the cheapest stands at its floor of 0.33, though the line has 0.02 to give.
    rules = compiled(promotion("own", amount_off(10, "unit"), caps=[cap(1, "units", first="cheapest")]))
    assert off(quote(rules, line(1, 101, quantity_milli=3000, floor_unit_minor=33))) == [0]


def test_the_smallest_discount_is_a_cent():
    assert taken(amount_off(1, "unit"), line(1, 500), line(2, 500)) == [1, 1]
    assert taken(set_price(99), line(1, 100)) == [1]
    assert taken(percent_off(1) | {"per": "unit"}, line(1, 5000)) == [1]  # half a cent, up


def test_what_is_spread_and_not_moved_goes_by_the_declared_rule_too():
    lines = (line(1, 100), line(2, 100), line(3, 100))
    assert taken(amount_off(100), *lines, floor_rest="dropped") == [34, 33, 33]
    assert taken(amount_off(100), *lines, floor_rest="dropped", spread_remainder="floor_last") == [33, 33, 34]


def test_lines_that_give_nothing_are_not_among_those_that_give():
    at_its_price = [Part(position=0, minor=100, base_minor=100, milli=1000, room=100)]
    assert prices_set(SetPrice(unit_price_minor=100), at_its_price) == {}
    at_its_floor = [Part(position=0, minor=100, base_minor=100, milli=1000, room=0)]
    assert spread(50, {0: 100}, at_its_floor, Options()) == {}


def test_a_percentage_of_the_price_before_takes_no_more_than_is_left():
    rules = compiled(
        promotion("first", amount_off(800), priority=1),
        promotion("own", percent_off(5000) | {"per": "basket"}),
        options={"stacking_base": "original"},
    )
    assert off_by(quote(rules, line(1, 1000))) == {"first": 800, "own": 200}


def test_both_caps_on_amounts_hold_the_lower_one_binds():
    caps = [cap(300, "amount"), cap(500, "amount", "month")]
    rules = compiled(promotion("own", percent_off(5000), caps=caps))
    for had, told in ((0, 300), (250, 250), (500, 0), (900, 0)):
        counters = (use("cap:own:amount:2026-03", had),) if had else ()
        asked = quote(rules, line(1, 600), line(2, 600), view=member(counters=counters))
        assert asked.totals.discount_minor == told
        assert steps_of(asked.uses) == ({"cap:own:amount:2026-03": told} if told else {})


ROWS = st.lists(
    st.builds(
        dict,
        amount_minor=st.integers(0, 5000),
        quantity_milli=st.integers(0, 5).map(lambda units: 1000 * units) | st.integers(1, 5000),
        floor_unit_minor=st.just(0) | st.integers(0, 3000),
        discountable=st.booleans(),
        left_bp=st.integers(0, 10_000),
    ),
    max_size=8,
)
RULES = st.one_of(
    st.builds(percent_off, st.integers(1, 10_000)),
    st.builds(amount_off, st.integers(1, 20_000), st.sampled_from(["basket", "line", "unit"])),
    st.builds(set_price, st.integers(0, 3000)),
    st.builds(lambda bp, per: percent_off(bp) | {"per": per}, st.integers(1, 10_000), st.sampled_from(
        ["unit", "line", "basket"]
    )),
)  # fmt: skip
OPTIONS = st.fixed_dictionaries(
    {
        "percent_rounding": st.sampled_from(["half_up", "half_even", "down", "up"]),
        "percent_rounds": st.sampled_from(["discount", "price"]),
        "spread_remainder": st.sampled_from(["largest_remainder", "floor_first", "floor_last", "half_down_first"]),
        "stacking_base": st.sampled_from(["remaining", "original"]),
        "floor_rest": st.sampled_from(["moves", "dropped"]),
        "gift_lines": st.sampled_from(["ignored", "counted"]),
    }
)


@given(ROWS, RULES, OPTIONS)
def test_whatever_is_taken_off_no_line_goes_below_zero_or_its_floor(rows, rule, options):
    lines, left = [], []
    for number, row in enumerate(rows, 1):
        left_bp = row.pop("left_bp")
        lines.append(line(number, **row))
        is_open = row["discountable"] and not row["floor_unit_minor"]
        left.append(row["amount_minor"] * left_bp // 10_000 if is_open else row["amount_minor"])
    cuts = taken_of(left, rule, *lines, **options)
    for row, costs, cut in zip(lines, left, cuts, strict=True):
        assert 0 <= cut <= costs
        if cut:
            assert row.discountable
            assert (costs - cut) * 1000 >= row.floor_unit_minor * row.quantity_milli
    if rule["kind"] == "amount_off" and rule["per"] == "basket":
        assert sum(cuts) <= rule["amount_minor"]


ROOMS = st.lists(st.tuples(st.integers(1, 500), st.integers(0, 500)), min_size=1, max_size=8)
HOW = st.sampled_from(["largest_remainder", "floor_first", "floor_last", "half_down_first"])


@given(ROOMS, HOW, st.data())
def test_a_spread_amount_adds_up_and_nobody_gets_more_than_fits(rooms, how, data):
    room = {n: min(weight, space) for n, (weight, space) in enumerate(rooms)}
    weights = {n: weight if room[n] else 0 for n, (weight, _) in enumerate(rooms)}
    total = data.draw(st.integers(0, sum(room.values())))
    parts = spread_out(total, weights, room, how)
    assert sum(parts.values()) == total
    assert all(0 < part <= room[n] for n, part in parts.items())


@given(ROOMS, HOW, st.integers(0, 5000))
def test_what_is_not_moved_is_dropped_and_everybody_keeps_what_was_theirs(rooms, how, total):
    room = {n: space for n, (_, space) in enumerate(rooms)}
    weights = {n: weight for n, (weight, _) in enumerate(rooms)}
    parts = spread_out(total, weights, room, how, moves=False)
    kept = (min(share, room[n]) for n, share in enumerate(share_out(total, tuple(weights.values()), how)))
    assert parts == {n: part for n, part in enumerate(kept) if part}
