"""What a receipt without a card earns later: its own basket, day and programme, and nothing that asks for a member."""

from datetime import date

import pytest

from loyalty.baskets import Basket, Line, Place
from loyalty.facts.claiming import NotPriceable, claimed_points
from loyalty.facts.receipts import close_receipt, read_detail
from loyalty.facts.returned_lines import ReturnLine
from loyalty.pricing.quotes import quote_basket
from loyalty.programme.compiled import compile_programme
from loyalty.programme.programme import read_programme

RULES = """
id: club
currency: EUR
lifetime: {months: 12, end_of: month}
promotions:
  - {id: base, who: {card: true}, then: [{kind: earn, points: 1, per_minor: 100}]}
  - {id: milk, who: {card: true}, then: [{kind: percent_off, percent_bp: 1000, of: {sku: [milk]}}]}
  - {id: once, who: {card: true}, limits: {times: 1}, then: [{kind: earn, points: 5, per_minor: 100}]}
  - {id: cola, who: {card: true}, funded_by: bolt, then: [{kind: earn, points: 2, per_minor: 100, of: {sku: [cola]}}]}
"""
COMPILED = compile_programme(read_programme(RULES))
DAY = date(2026, 3, 2)


def receipt(*lines):
    place = Place(partner_id="acme", store_id="S1", till_id="ab" * 16, channel="pos", sold_at_ms=1_772_452_800_000,
                  offset_min=0, business_date=DAY)  # fmt: skip
    goods = tuple(Line(line=n, sku=sku, amount_minor=minor) for n, (sku, minor) in enumerate(lines, 1))
    basket = Basket(receipt_id="R-1", currency="EUR", lines=goods)
    quote = quote_basket(COMPILED, basket, place, None)
    made = close_receipt(quote, basket, place, compiled=COMPILED, card_token=None)
    assert made.earned == ()
    return made, read_detail(made)


def told(parts):
    return [(part.issuer_id, part.points, part.valid_through.isoformat()) for part in parts]


def test_a_claim_earns_what_the_card_alone_would_have():
    sold, detail = receipt(("bread", 1_250))
    # 12 euros whole; `once` asks for a counter that nobody was told.
    assert told(claimed_points(COMPILED, sold, detail)) == [("acme", 12, "2027-03-31")]


def test_money_off_is_not_given_later_and_its_goods_earn_as_if_it_had_been():
    sold, detail = receipt(("milk", 1_000))
    # With the card the milk would have cost 9.00: nine points, as at the till.
    assert told(claimed_points(COMPILED, sold, detail)) == [("acme", 9, "2027-03-31")]


def test_points_are_of_the_partner_that_funds_them():
    sold, detail = receipt(("cola", 300), ("bread", 200))
    assert told(claimed_points(COMPILED, sold, detail)) == [("acme", 5, "2027-03-31"), ("bolt", 6, "2027-03-31")]


def test_goods_that_came_back_earn_nothing_even_if_two_tills_took_them():
    sold, detail = receipt(("bread", 1_000), ("cola", 300))
    half = ReturnLine(line=1, quantity_milli=500)
    assert told(claimed_points(COMPILED, sold, detail, [half])) == [
        ("acme", 8, "2027-03-31"), ("bolt", 6, "2027-03-31"),
    ]  # fmt: skip
    assert told(claimed_points(COMPILED, sold, detail, [half, half, half])) == [
        ("acme", 3, "2027-03-31"), ("bolt", 6, "2027-03-31"),
    ]  # fmt: skip
    whole = [ReturnLine(line=n, quantity_milli=1000) for n in (1, 2)]
    assert claimed_points(COMPILED, sold, detail, whole) == ()


def test_rules_that_are_not_here_price_nothing():
    sold, detail = receipt(("bread", 1_000))
    other = compile_programme(read_programme("id: other\ncurrency: EUR\n"))
    with pytest.raises(NotPriceable):
        claimed_points(other, sold, detail)
