"""Baskets: what can be priced, and every basket that cannot."""

import msgspec
import pytest

from loyalty.amounts import LARGEST_MINOR
from loyalty.baskets import MOST_LINES, BadBasket, Place, WrongCurrency, check_basket
from tests.loyalty.build import basket, bytes_of, line, place


def test_a_basket_of_plain_lines_is_taken():
    check_basket(basket(line(1, 250), line(7, 0), line(3, LARGEST_MINOR - 250)), "EUR")


def test_an_empty_basket_is_taken():
    check_basket(basket(), "EUR")


def test_another_currency_is_refused_with_the_one_to_use():
    with pytest.raises(WrongCurrency) as told:
        check_basket(basket(line(1, 250), currency="PLN"), "EUR")
    assert told.value.figures == {"wanted": "EUR", "found": "PLN"}
    assert told.value.say == "This programme counts in EUR; ring the basket up in EUR or sell without loyalty."


WRONG = [
    ("a negative amount", basket(line(1, -1))),
    ("a negative quantity", basket(line(1, 100, quantity_milli=-1000))),
    ("a negative unit price", basket(line(1, 100, unit_price_minor=-1))),
    ("a negative floor", basket(line(1, 100, floor_unit_minor=-1))),
    ("an amount larger than any sale", basket(line(1, LARGEST_MINOR + 1))),
    ("a quantity larger than any sale", basket(line(1, 1, quantity_milli=LARGEST_MINOR + 1))),
    ("lines that together cost more than any sale", basket(line(1, 1), line(2, LARGEST_MINOR))),
    ("a line number twice", basket(line(1, 100), line(1, 100))),
    ("a line number below 1", basket(line(0, 100))),
    ("no sku", basket(line(1, 100, sku=""))),
    ("points below zero", basket(line(1, 100), points_to_spend=-1)),
    ("too many lines", basket(*(line(i, 1) for i in range(1, MOST_LINES + 2)))),
]


@pytest.mark.parametrize(("what", "wrong"), WRONG, ids=[what for what, _ in WRONG])
def test_a_basket_that_cannot_be_priced_is_refused(what, wrong):
    with pytest.raises(BadBasket) as told:
        check_basket(wrong, "EUR")
    assert told.value.code == "basket.malformed"


def test_goods_that_come_back_are_sent_to_a_return():
    with pytest.raises(BadBasket, match="go through a return, not a sale"):
        check_basket(basket(line(1, 100), line(2, -50)), "EUR")


def test_a_place_travels_as_a_row():
    assert bytes_of(place()) == b'["acme","S1","T1","store",1772452800000,0,"2026-03-02"]'


WRONG_PLACES = [
    b'["acme","S1","T1","store",-1,0,"2026-03-02"]',
    b'["acme","S1","T1","store",100000000000001,0,"2026-03-02"]',
    b'["acme","S1","T1","store",1772452800000,1081,"2026-03-02"]',
    b'["acme","S1","T1","store",1772452800000,0,"2026-02-30"]',
    b'["acme","S1","T1","store",1772452800000,0]',
]


@pytest.mark.parametrize("row", WRONG_PLACES)
def test_a_place_at_no_possible_moment_cannot_be_read(row):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(row, type=Place)
