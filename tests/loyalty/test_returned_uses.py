"""Counters of a sale whose goods come back: which part of each, and with which part of the goods."""

import msgspec
import pytest

from loyalty.facts.receipts import close_receipt, read_detail
from loyalty.facts.returned_lines import ReturnLine, return_lines
from loyalty.facts.returned_uses import StoredBack, UsesBack, coupons_withdrawn, stored_back, uses_left
from loyalty.pricing.coupons import kinds_of, read_coupon, with_codes
from loyalty.pricing.quotes import quote_basket
from loyalty.shares import Shares
from tests.loyalty.build import (
    BY_COUPON,
    amount_off,
    basket,
    compiled,
    coupon,
    fixed,
    issue,
    line,
    member,
    percent_off,
    place,
    promotion,
    steps_of,
    use,
)


def sold(rules, *lines, coupons=(), bearer=()):
    goods = basket(*lines, coupons=coupons)
    asked = quote_basket(rules, goods, place(), member(), bearer=bearer)
    return close_receipt(asked, goods, place(), compiled=rules, card_token=None)


def left_of(receipt, back):
    """What is left of the member's counters once so much of each line is back."""
    detail = read_detail(receipt)
    quantities = {row.line: row.quantity_milli for row in detail.lines}
    return steps_of(uses_left(receipt.uses, UsesBack(receipt, detail, Shares(quantities, back))))


def shared_back(receipt, back):
    """Counters of nobody that come back with so much of each line."""
    lines = [ReturnLine(line=number, quantity_milli=milli) for number, milli in back.items()]
    return steps_of(return_lines(receipt, read_detail(receipt), (), lines).shared_uses)


TRACKED = compiled(
    promotion("half", percent_off(5000), limits={"times": 2, "on_cancel": "kept"}),
    promotion("later", fixed(9), when=[{"kind": "period_spend", "at_least_minor": 900_000, "period": "month"}]),
    promotion("gone", fixed(9), when=[{"kind": "lapsed", "days": 90}]),
)


@pytest.mark.parametrize(("back", "spend"), [({}, 400), ({1: 1000}, 200), ({1: 2000}, 0)])
def test_what_a_sale_keeps_stands_whole_whatever_comes_back(back, spend):
    # Two units for 8.00, half off: 4.00 spent. 2 March 2026 is day 739,677 since 1 January of the year 1.
    receipt = sold(TRACKED, line(1, 800, quantity_milli=2000))
    assert left_of(receipt, back) == {"last:visit": 739_677, "promo:half": 1, "spend:2026-03": spend}


BUDGET = {"budget_minor": 100_000}


def test_a_budget_comes_back_by_the_share_of_the_discount_floored():
    receipt = sold(compiled(promotion("off", amount_off(100), limits=BUDGET)), line(1, 1000, quantity_milli=3000))
    # A third of 1.00.
    assert shared_back(receipt, {1: 1000}) == {"budget:off": -33}


def test_a_budget_comes_back_by_all_that_its_promotion_took_off_a_line():
    rules = compiled(promotion("off", amount_off(100, "line"), limits=BUDGET, **BY_COUPON), coupons=[{"id": "five"}])
    in_hand = (coupon("C1"), coupon("C2"))
    receipt = sold(rules, line(1, 1000), line(2, 150), coupons=("C1", "C2"), bearer=in_hand)
    # Each coupon takes 1.00 off each line, but of the second the last one only 0.50: 2.00 and 1.50.
    assert shared_back(receipt, {1: 1000}) == {"budget:off": -200}


def test_a_counter_whose_promotion_left_nothing_on_the_lines_comes_back_with_the_last_part():
    receipt = sold(compiled(), line(1, 500), line(2, 500))
    receipt = msgspec.structs.replace(receipt, uses=(use("cap:other:units:2026-03", 2),))
    assert left_of(receipt, {1: 1000}) == {"cap:other:units:2026-03": 2}
    assert left_of(receipt, {1: 1000, 2: 1000}) == {"cap:other:units:2026-03": 0}


@pytest.mark.parametrize("holder", ["personal", "bearer"])
def test_a_coupon_for_the_next_visit_is_withdrawn_where_it_would_be_looked_for(holder):
    rules = compiled(promotion("give", issue("next")), coupons=[{"id": "next", "holder": holder}])
    receipt = sold(rules, line(1, 1000))
    (coded,) = with_codes(receipt.coupons_issued, b"k" * 32, till_id="T1", receipt_id="R1", account_id=7)
    number = read_coupon(b"k" * 32, coded.code, kinds_of(rules), account_id=7).code
    withdrawn = (use(f"coupon:{number}"),)
    assert coupons_withdrawn(receipt) == ((withdrawn, ()) if holder == "personal" else ((), withdrawn))


def test_only_money_goes_back_to_certificates_and_wallet():
    uses = (use("certificate:G1", 150), use("certificate:G2", 0), use("visits", 1), use("wallet", 200))
    assert stored_back(uses) == (StoredBack(code="G1", amount_minor=150), StoredBack(code="", amount_minor=200))
    assert stored_back((use("wallet", -200),)) == ()
