"""Bundles: which units stand together so that the customer saves most, against every way there is to choose them."""

from functools import cache
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.loyalty.build import (
    amount_off,
    bundle,
    cap,
    compiled,
    line,
    member,
    off,
    off_by,
    percent_off,
    promotion,
    quote,
    steps_of,
    taken,
)

MAIN, SNACK, DRINK = {"tags": ["main"]}, {"tags": ["snack"]}, {"tags": ["drink"]}


def goods(number, unit_minor, units, *tags):
    return line(number, unit_minor * units, quantity_milli=1000 * units, tags=tags)


def test_any_three_of_ten_thousand_are_as_many_bundles_as_there_are():
    # 9,999 at 4.00 make 3,333 bundles that save 2.00 each.
    assert taken(bundle((3, {}), price_minor=1000), goods(1, 400, 9999)) == [666_600]
    assert taken(bundle((3, {}), price_minor=1000), goods(1, 400, 10_000)) == [666_600]


def test_the_largest_quantity_there_is_is_no_slower_than_any_other():
    # 10^9 units at 10,000.00: 333,333,333 bundles of three save 1.00 each.
    most = line(1, 10**15, quantity_milli=10**12)
    assert taken(bundle((3, {}), amount_minor=100), most) == [33_333_333_300]
    for which in ("dearest", "cheapest", "basket"):
        assert taken(bundle((3, {}), price_minor=2_999_900, which=which), most) == [33_333_333_300]


@pytest.mark.parametrize("which", ["cheapest", "basket"])
def test_thousands_of_units_in_their_order_are_counted_like_few(which):
    # 3,000 at 3.00 and 3,000 at 5.00, any two for 7.00: 3,000 bundles of 9,000.00 + 15,000.00 save 3,000.00.
    lines = (goods(1, 300, 3000), goods(2, 500, 3000))
    assert sum(taken(bundle((2, {}), price_minor=700, which=which), *lines)) == 300_000


def test_a_bundle_that_would_make_goods_dearer_is_not_made():
    for which in ("dearest", "cheapest", "basket"):
        assert taken(bundle((1, {}), price_minor=250, which=which), line(1, 100)) == [0]
        assert taken(bundle((2, {}), price_minor=200, which=which), line(1, 100), line(2, 100)) == [0, 0]
        assert taken(bundle((2, {}), price_minor=199, which=which), line(1, 100), line(2, 100)) == [1, 0]


def test_bundles_stop_where_a_further_one_would_cost_more():
    # Any two for 7.00: 5.00 + 5.00 saves 3.00, 5.00 + 3.00 another 1.00, 3.00 + 3.00 would cost 1.00 more.
    assert taken(bundle((2, {}), price_minor=700), goods(1, 500, 3), goods(2, 300, 3)) == [
        333, 67,
    ]  # fmt: skip
    # 4.00 over the units in bundles, 15.00 and 3.00: 333.3 and 66.7.


@pytest.mark.parametrize("which", ["dearest", "basket"])
def test_a_bundle_that_saves_nothing_more_is_not_made(which):
    # Any two for 7.00: 5.00 + 5.00 saves 3.00, 3.50 + 3.50 nothing, so its goods carry nothing of the 3.00.
    assert taken(bundle((2, {}), price_minor=700, which=which), goods(1, 500, 2), goods(2, 350, 2)) == [300, 0]


def test_in_another_order_as_many_bundles_are_made_as_save_most():
    # 2.00 and 2.00, 1.00 and 1.00, any two for 2.90: the first saves 1.10, the second would cost 0.90 more.
    dear, cheap = goods(1, 200, 2), goods(2, 100, 2)
    assert taken(bundle((2, {}), price_minor=290, which="basket"), dear, cheap) == [110, 0]
    # The cheap ones first: one bundle costs 0.90 more, both together 0.20 less.
    for which in ("basket", "cheapest"):
        assert sum(taken(bundle((2, {}), price_minor=290, which=which), goods(1, 100, 2), goods(2, 200, 2))) == 20
        assert sum(taken(bundle((2, {}), price_minor=300, which=which), goods(1, 100, 2), goods(2, 200, 2))) == 0


def test_thousands_of_cheap_and_dear_units_in_turn_are_bundled_as_far_as_it_pays():
    # 2,000 at 5.00, 2,000 at 1.00, 2,000 at 5.00, any two for 8.00, as they stand: 1,000 bundles save 2.00 each; the
    # next 1,000 would cost 6.00 more each, and the last 1,000 do not make that good.
    lines = (goods(1, 500, 2000), goods(2, 100, 2000), goods(3, 500, 2000))
    assert taken(bundle((2, {}), price_minor=800, which="basket"), *lines) == [200_000, 0, 0]
    # For 4.00 it does: 6.00 off, 2.00 on, 6.00 off for each of 1,000 bundles: 10,000.00 in all.
    assert sum(taken(bundle((2, {}), price_minor=400, which="basket"), *lines)) == 1_000_000


def test_wraps_are_mains_or_snacks_as_serves_best():
    # 3,000 wraps (either) at 5.00 and 4,000 mains at 4.00, a main and a snack for 6.00. Two wraps save 4.00, a wrap as
    # snack with a main 3.00: 3,000 of these save 9,000.00, more than 1,500 pairs of wraps, 6,000.00.
    lines = (goods(1, 500, 3000, "main", "snack"), goods(2, 400, 4000, "main"))
    cuts = taken(bundle((1, MAIN), (1, SNACK), price_minor=600), *lines)
    # Spread by what the units cost: 15,000.00 and 12,000.00.
    assert cuts == [500_000, 400_000]


def test_goods_move_from_part_to_part_to_make_place():
    # All three are needed: the drink is only a drink, the wrap then a main, and so the toast a snack.
    lines = (goods(1, 500, 1, "main", "snack", "drink"), goods(2, 450, 1, "main", "snack"), goods(3, 400, 1, "main"))
    rule = bundle((1, MAIN), (1, SNACK), (1, DRINK), price_minor=1000)
    assert sum(taken(rule, *lines)) == 350  # 13.50 for 10.00
    # Whatever the order in which they lie in the basket.
    turned = (goods(1, 400, 1, "main"), goods(2, 500, 1, "main", "snack", "drink"), goods(3, 450, 1, "main", "snack"))
    assert sum(taken(rule | {"which": "basket"}, *turned)) == 350


def test_a_part_may_want_several_units_and_a_line_may_serve_two_parts():
    # Six shirts at 20.00 for "two shirts and a shirt or tie for 45.00": two bundles of three.
    rule = bundle((2, MAIN), (1, {}), price_minor=4500)
    assert taken(rule, goods(1, 2000, 6, "main")) == [3000]
    # With a tie at 30.00 it takes the place of a shirt in one of them: 2 x 60.00 + 10.00 - 90.00.
    assert sum(taken(rule, goods(1, 2000, 6, "main"), goods(2, 3000, 1))) == 4000


def test_a_part_without_goods_makes_no_bundle():
    assert taken(bundle((1, MAIN), (1, DRINK), amount_minor=100), goods(1, 500, 9, "main")) == [0]
    assert taken(bundle((1, MAIN), amount_minor=100)) == []


def test_goods_without_a_quantity_go_into_no_bundle():
    assert taken(bundle((1, {}), amount_minor=100), line(1, 500, quantity_milli=0)) == [0]


FIGURES = [
    ({"price_minor": 0}, [333, 500]),
    ({"percent_bp": 1500}, [50, 75]),  # 15 % of 8.33 is 124.95, up to 1.25: 49.97 and 75.03
    ({"percent_bp": 10_000}, [333, 500]),
    ({"amount_minor": 1}, [0, 1]),  # 0.40 and 0.60 of a cent
    ({"amount_minor": 9999}, [333, 500]),
]


@pytest.mark.parametrize(("figure", "told"), FIGURES, ids=str)
def test_a_bundle_has_a_price_or_is_cheaper_by_one_figure(figure, told):
    assert taken(bundle((2, {}), **figure), line(1, 333), line(2, 500)) == told


def test_a_percentage_of_several_bundles_is_rounded_once():
    # Two bundles of two at 0.33: 10 % of 1.32 is 13.2 cents; bundle by bundle it would be 6.6 twice, 14 cents.
    assert taken(bundle((2, {}), percent_bp=1000), goods(1, 33, 4)) == [13]


def test_goods_at_their_floor_or_not_discountable_stay_out():
    rule = bundle((2, {}), price_minor=500)
    lines = (line(1, 900, discountable=False), line(2, 800, floor_unit_minor=800), line(3, 400), line(4, 300))
    assert taken(rule, *lines) == [0, 0, 114, 86]  # 2.00 over 4.00 and 3.00: 114.3 and 85.7


def test_a_floor_moves_the_saving_to_the_other_goods_of_the_bundle():
    # 6.00 off 8.00 and 2.00: 4.80 and 1.20, but line 1 keeps 7.00: 1.00, and 2.00 is all that line 2 has.
    lines = (line(1, 800, floor_unit_minor=700), line(2, 200))
    assert taken(bundle((2, {}), price_minor=400), *lines) == [100, 200]
    assert taken(bundle((2, {}), price_minor=400), *lines, floor_rest="dropped") == [100, 120]


def test_units_in_bundles_keep_their_own_floor_whatever_the_others_of_their_line_cost():
    # Four at 3.00 may cost 2.00 each: the three in the bundle, 9.00 for 3.00, still cost 6.00.
    assert taken(bundle((3, {}), price_minor=300), line(1, 1200, quantity_milli=4000, floor_unit_minor=200)) == [300]
    # A piece of 1.5 kg for 6.00 may cost 2.00 a kilogram.
    assert taken(bundle((1, {}), price_minor=0), line(1, 600, quantity_milli=1500, floor_unit_minor=200)) == [300]


@pytest.mark.parametrize("mains", range(1, 17))
def test_one_drink_makes_one_meal_however_many_mains_there_are(mains):
    deal = bundle((1, MAIN), (1, DRINK), amount_minor=100)
    assert sum(taken(deal, goods(1, 500, mains, "main"), goods(2, 300, 1, "drink"))) == 100


def test_a_free_unit_completes_a_bundle_where_free_units_count():
    rule = bundle((1, MAIN), (1, DRINK), amount_minor=100)
    lines = (goods(1, 500, 1, "main"), line(2, 0, tags=("drink",)))
    assert taken(rule, *lines) == [0, 0]
    assert taken(rule, *lines, gift_lines="counted") == [100, 0]


def test_bundles_see_what_earlier_promotions_left_and_may_pass_reduced_goods_over():
    def rules(**more):
        return compiled(
            promotion("first", percent_off(5000, sku=["sku1"]), stage="before"),
            promotion("deal", bundle((2, {}), price_minor=700), **more),
        )

    # 10.00 is now 5.00, beside 4.00: two for 7.00 save 2.00.
    assert off_by(quote(rules(), line(1, 1000), line(2, 400))) == {"first": 500, "deal": 200}
    assert off_by(quote(rules(skip_reduced=True), line(1, 1000), line(2, 400))) == {"first": 500}
    left = quote(rules(skip_reduced=True), line(1, 1000), line(2, 400), line(3, 400))
    assert off_by(left) == {"first": 500, "deal": 100}


def test_a_cap_on_the_amount_bounds_what_bundles_save():
    rules = compiled(promotion("deal", bundle((2, {}), amount_minor=300), caps=[cap(500, "amount", "quarter")]))
    asked = quote(rules, goods(1, 400, 9), view=member())
    assert (off(asked), steps_of(asked.uses)) == ([500], {"cap:deal:amount:2026-Q1": 500})


def test_two_kinds_of_bundle_follow_each_other():
    rules = compiled(
        promotion("deal", bundle((2, {}), price_minor=700, times=1)),
        promotion("more", bundle((1, {}), amount_minor=50, times=1)),
        promotion("last", amount_off(1)),
    )
    # 5.00 + 4.00 for 7.00: 111 and 89 off; then 0.50 off the dearest unit, 3.89; then a cent, to the larger rest 3.39.
    asked = quote(rules, line(1, 500), line(2, 400))
    assert (off(asked), off_by(asked)) == ([162, 89], {"deal": 200, "more": 50, "last": 1})


# Against every way there is. A unit is (what it costs, the parts that it may stand in).

TAGS = ("x", "y", "z")
ROWS = st.lists(
    st.tuples(
        st.integers(1, 12),
        st.sets(st.sampled_from(TAGS), min_size=1).map(lambda tags: tuple(sorted(tags))),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=4,
)
PARTS = st.lists(st.tuples(st.integers(1, 2), st.sampled_from(TAGS)), min_size=1, max_size=3)


def units_in(rows):
    return [(price, tags) for price, tags, count in rows for _ in range(count)]


def rung_up(rows):
    return [goods(n, price, count, *tags) for n, (price, tags, count) in enumerate(rows, 1)]


def dearest_set(units, parts, times):
    """The most that units cost which fill so many bundles; none where they cannot be filled."""

    @cache
    def best(at, open_):
        if not any(open_):
            return 0
        if at == len(units):
            return None
        price, tags = units[at]
        found = [best(at + 1, open_)]
        for n, (_, tag) in enumerate(parts):
            if open_[n] and tag in tags:
                rest = best(at + 1, tuple(count - (m == n) for m, count in enumerate(open_)))
                found.append(None if rest is None else price + rest)
        return max((one for one in found if one is not None), default=None)

    return best(0, tuple(times * count for count, _ in parts))


@given(ROWS, PARTS, st.integers(0, 30), st.none() | st.integers(1, 3))
def test_no_other_choice_of_units_saves_the_customer_more(rows, parts, price, most):
    units = units_in(rows)
    savings = [0]
    for times in range(1, (most or len(units)) + 1):
        cost = dearest_set(units, parts, times)
        if cost is not None:
            savings.append(cost - times * price)
    rule = bundle(*((count, {"tags": [tag]}) for count, tag in parts), price_minor=price, times=most)
    assert sum(taken(rule, *rung_up(rows))) == max(savings)


@given(ROWS, PARTS, st.integers(1, 10), st.none() | st.integers(1, 3))
def test_an_amount_is_saved_as_often_as_there_are_bundles(rows, parts, amount, most):
    units = units_in(rows)
    savings = [0]
    for times in range(1, (most or len(units)) + 1):
        cost = dearest_set(units, parts, times)
        if cost is not None:
            savings.append(min(cost, times * amount))
    rule = bundle(*((count, {"tags": [tag]}) for count, tag in parts), amount_minor=amount, times=most)
    assert sum(taken(rule, *rung_up(rows))) == max(savings)


def can_fill(chosen, parts, times):
    return dearest_set(list(chosen), parts, times) is not None


@given(ROWS, PARTS, st.integers(0, 20), st.sampled_from(["cheapest", "basket"]))
def test_bundles_in_another_order_take_the_goods_that_come_first_in_it(rows, parts, price, which):
    units = units_in(rows)[:7]
    # Units of a line stay together; a line that is cut short by the bound above is rung up with what is left of it.
    left, kept = 7, []
    for unit_price, tags, count in rows:
        kept.append((unit_price, tags, min(count, left)))
        left -= kept[-1][2]
    kept = [row for row in kept if row[2]]
    queue = sorted(units, key=lambda unit: unit[0]) if which == "cheapest" else units
    each = sum(count for count, _ in parts)
    savings = [0]
    for times in range(1, len(queue) // each + 1):
        chosen = next((one for one in combinations(queue, times * each) if can_fill(one, parts, times)), None)
        if chosen is not None:
            savings.append(sum(unit[0] for unit in chosen) - times * price)
    rule = bundle(*((count, {"tags": [tag]}) for count, tag in parts), price_minor=price, which=which)
    assert sum(taken(rule, *rung_up(kept))) == max(savings)
