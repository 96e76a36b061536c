"""Gifts: how many, of which, and what is told of them. A gift is told, not priced."""

import pytest

from tests.loyalty.build import compiled, gift, line, percent_off, promotion, quote

EVENT = {"kind": "event", "event": "survey"}


def given(rule, *lines, trigger=None, events=()):
    """Gifts of a promotion; goods `half` cost half by another one."""
    rules = compiled(
        promotion("gift", rule, **({"trigger": trigger} if trigger else {})),
        promotion("half", percent_off(5000, sku=["half"])),
    )
    return quote(rules, *lines, events=events).gifts


def units(*found):
    return [one.units for one in found]


MUGS = [
    # for_units, times, how many there are: gifts
    ({}, 1, [1]),
    ({}, 9999, [1]),
    ({"for_units": 3}, 2, []),
    ({"for_units": 3}, 3, [1]),
    ({"for_units": 3}, 9999, [3333]),
    ({"for_units": 3, "times": 5}, 9999, [5]),
    ({"for_units": 3, "times": 5, "units": 2}, 9999, [10]),
    ({"units": 10_000, "for_units": 1}, 10**9, [10**13]),
    ({"times": 1}, 5, [1]),
]


@pytest.mark.parametrize(("facts", "count", "told"), MUGS)
def test_a_gift_is_given_again_for_every_so_many_units(facts, count, told):
    assert units(*given(gift("mug", **facts), line(1, 100, quantity_milli=1000 * count))) == told


def test_weighed_goods_are_one_unit_and_goods_without_a_quantity_none():
    rule = gift("mug", for_units=2)
    assert units(*given(rule, line(1, 100, quantity_milli=2500), line(2, 100, quantity_milli=350))) == [1]
    assert units(*given(rule, line(1, 100, quantity_milli=1000), line(2, 100, quantity_milli=0))) == []


SUMS = [(0, []), (999, []), (1000, [1]), (2999, [2]), (10**15, [10**12])]


@pytest.mark.parametrize(("amount", "told"), SUMS)
def test_a_gift_is_given_again_for_every_so_much(amount, told):
    assert units(*given(gift("mug", for_minor=1000), line(1, amount))) == told


def test_so_much_is_what_the_goods_cost_after_discounts():
    assert units(*given(gift("mug", for_minor=1000), line(1, 1999, sku="half"))) == []  # 9.99
    assert units(*given(gift("mug", for_minor=1000), line(1, 2000, sku="half"))) == [1]


def test_a_gift_wants_some_of_its_goods():
    rule = gift("mug", of={"sku": ["tea"]})
    assert given(rule, line(1, 100)) == ()
    assert units(*given(rule, line(1, 0, sku="tea"))) == [1]
    assert given(gift("mug")) == ()


def test_an_event_gives_without_goods_and_by_measure_only_with_them():
    told = {"trigger": EVENT, "events": ("survey",)}
    assert units(*given(gift("pen"), **told)) == [1]
    assert units(*given(gift("pen", for_units=1), **told)) == []
    assert units(*given(gift("pen", for_units=1), line(1, 5), **told)) == [1]
    assert given(gift("pen"), trigger=EVENT) == ()


def test_of_several_goods_the_first_is_named_and_all_may_be_chosen():
    rule = {
        "kind": "gift",
        "items": [{"sku": "red", "name": "Red mug", "note": "few left"}, {"sku": "blue"}],
        "units": 2,
    }
    (one,) = given(rule, line(1, 100))
    assert (one.promotion, one.sku, one.name, one.note, one.units) == ("gift", "red", "Red mug", "few left", 2)
    assert one.choice == ("red", "blue")
    (alone,) = given(gift("red"), line(1, 100))
    assert alone.choice == ()


def test_a_gift_costs_nothing_and_changes_no_figure():
    rules = compiled(promotion("gift", gift("mug")))
    asked = quote(rules, line(1, 100))
    assert (asked.totals.net_minor, asked.effects, [row.line for row in asked.lines]) == (100, (), [1])


def test_what_a_gift_is_called_is_said():
    rules = compiled(promotion("gift", gift("mug", units=3)), promotion("named", {
        "kind": "gift", "items": [{"sku": "pen", "name": "Pen"}],
    }))  # fmt: skip
    assert [one.say for one in quote(rules, line(1, 100)).why] == ["gift: 3 x mug", "gift: 1 x Pen"]
