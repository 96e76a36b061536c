"""Receipts: a quote that was paid, what the POS charged, and a detail that can be judged again."""

import msgspec
import pytest

from loyalty.baskets import CertificateAsk
from loyalty.facts.events import encode, read_head
from loyalty.facts.receipts import (
    Charged,
    ChargedUnknownLine,
    close_receipt,
    paid_in_money,
    points_paid,
    quote_again,
    read_detail,
)
from loyalty.facts.reversals import ReturnLine, close_return
from loyalty.lots import Expiry
from loyalty.members import UNKNOWN_CARD, WalletItem
from loyalty.pricing.quotes import quote_basket
from loyalty.programme.return_rules import CouponRule, ReturnRules
from loyalty.trouble import InvariantBroken
from tests.loyalty.build import (
    A_FLOAT,
    SPENDING,
    amount_off,
    basket,
    bytes_of,
    cash,
    compiled,
    day,
    earn,
    line,
    member,
    percent_off,
    place,
    promotion,
    quote,
    ref,
    sale,
    steps_of,
    use,
)

RULES = compiled(
    promotion("own", percent_off(1000, sku=["milk"])),
    promotion("brand", amount_off(100, sku=["cheese"]), funded_by="bolt"),
    promotion("base", earn(1, 100)),
    spending=SPENDING,
)
GOODS = basket(line(1, 1000, sku="milk", brand="Alp"), line(2, 600, sku="cheese"), tenders=(cash(1400),))


def closed(goods=GOODS, view=None, card_token=None, **facts):
    asked = quote_basket(RULES, goods, place(), member() if view is None else view, authority=A_FLOAT)
    return close_receipt(asked, goods, place(), compiled=RULES, card_token=card_token, **facts)


def test_a_receipt_carries_what_posting_needs():
    receipt = closed()
    # 9.00 + 5.00 in money: 14 points of acme; bolt pays for its 1.00.
    assert (receipt.receipt_id, receipt.account_id, receipt.net_minor) == ("R1", 7, 1400)
    assert bytes_of(receipt.earned) == b'[["acme","9999-12-31",14]]'
    assert bytes_of(receipt.funded) == b'[["bolt",100]]'
    assert receipt.redemption is None


def test_points_that_paid_are_a_redemption_under_the_authority_they_had():
    receipt = closed(msgspec.structs.replace(GOODS, points_to_spend=450))
    spent = receipt.redemption
    assert (spent.points, spent.amount_minor, spent.authority, spent.lease_id) == (400, 200, "float", "float-1")
    assert receipt.net_minor == 1200


def test_a_redemption_says_how_the_programme_of_its_sale_spends_points():
    goods = msgspec.structs.replace(GOODS, points_to_spend=450)
    assert bytes_of(closed(goods).redemption) == (
        b'{"points":400,"amount_minor":200,"authority":"float","lease_id":"float-1"}'
    )
    options = {"lot_order": "first_earned", "expiry": "instant", "expiry_at": "18:00"}
    rules = compiled(spending=SPENDING, options=options)
    asked = quote_basket(rules, goods, place(), member(), authority=A_FLOAT)
    spent = close_receipt(asked, goods, place(), compiled=rules, card_token=None).redemption
    assert (spent.lot_order, spent.expiry) == ("first_earned", Expiry(when="instant", at="18:00"))
    assert read_head(encode(sale("R1", redemption=spent))).redemption == spent


def test_points_spent_are_shared_by_what_they_paid_of_each_line():
    receipt = closed(msgspec.structs.replace(GOODS, points_to_spend=400))
    # 2.00 over 9.00 and 5.00: 1.29 and 0.71; 400 points by these: 258 and 142.
    assert points_paid(read_detail(receipt), receipt.redemption) == {1: 258, 2: 142}


def test_a_receipt_of_release_one_shares_its_points_by_what_they_paid_of_each_line():
    """Its figures end with what is left to pay of a line."""
    receipt = closed(msgspec.structs.replace(GOODS, points_to_spend=400))
    told = msgspec.json.decode(receipt.detail)
    told["figures"] = [figures[:6] for figures in told["figures"]]
    assert told["figures"] == [[1, 1000, 100, 8, 129, 771], [2, 600, 100, 4, 71, 429]]
    old = msgspec.structs.replace(receipt, detail=msgspec.Raw(msgspec.json.encode(told)))
    assert points_paid(read_detail(old), old.redemption) == {1: 258, 2: 142}


def test_a_discount_of_the_stores_own_partner_is_funded_by_nobody_else():
    rules = compiled(promotion("own", percent_off(1000), funded_by="acme"))
    asked = quote(rules, line(1, 1000))
    assert close_receipt(asked, basket(line(1, 1000)), place(), compiled=rules, card_token=None).funded == ()


def test_a_receipt_is_closed_under_the_programme_of_its_quote_and_no_other():
    asked = quote_basket(RULES, GOODS, place(), member())
    with pytest.raises(InvariantBroken):
        close_receipt(asked, GOODS, place(), compiled=compiled(), card_token=None)


def test_an_unknown_card_leaves_its_token_and_a_known_one_does_not():
    assert closed(view=UNKNOWN_CARD, card_token="ab12").card_token == "ab12"
    assert closed(card_token="ab12").card_token is None


def test_the_detail_holds_what_was_told_and_decided():
    detail = read_detail(closed(cashier="c9", offline=True))
    assert (detail.cashier, detail.offline, detail.engine_no, detail.currency) == ("c9", True, 2, "EUR")
    assert detail.view == member()
    assert detail.lines[0].brand == ""  # no selector looks at brands
    assert detail.tenders == (cash(1400),)


EVERYTHING = compiled(
    promotion("own", percent_off(1000, sku=["milk"]), options={"coupon_on_return": "always"},
              trigger={"kind": "coupon", "coupon": "tenth"}),
    promotion("limited", percent_off(500), limits={"times": 2, "times_in_all": 50, "on_cancel": "kept"}),
    promotion("joined", {"kind": "points", "points": 40}, trigger={"kind": "event", "event": "enrolment"}),
    promotion("base", earn(1, 100)),
    promotion("next", {"kind": "issue_coupon", "coupon": "tenth"}),
    options={"points_on_return": "recompute", "clawback_short": "money", "spends_what_it_earns": True,
             "spend_tax": "out"},
    spending=SPENDING,
    coupons=[{"id": "tenth", "holder": "personal"}],
    prizes=[{"id": "mug", "points": 100, "of": {"sku": ["cheese"]}}],
    certificates={"sold": {"tags": ["certificate"]}, "wallet": True},
)  # fmt: skip
WALLET = (WalletItem(code="C1", kind="coupon", of="tenth", account_id=7),)
IN_HAND = (WalletItem(code="G1", kind="certificate", balance_minor=300),)
MUCH = basket(
    line(1, 1000, sku="milk", tax_bp=700),
    line(2, 600, sku="cheese"),
    tax_included=False,
    coupons=("C1",),
    events=("enrolment",),
    prizes=("mug",),
    certificates=(CertificateAsk(code="G1", amount_minor=200),),
    from_wallet_minor=50,
    points_to_spend=100,
)


def much():
    asked = quote_basket(
        EVERYTHING, MUCH, place(), member(wallet=WALLET, stored_minor=500), authority=A_FLOAT, bearer=IN_HAND, shared=()
    )
    return close_receipt(asked, MUCH, place(), compiled=EVERYTHING, card_token=None)


@pytest.mark.parametrize(("rules", "receipt"), [
    (RULES, closed(msgspec.structs.replace(GOODS, points_to_spend=450))), (EVERYTHING, much()),
])  # fmt: skip
def test_the_detail_is_enough_to_quote_again(rules, receipt):
    detail = read_detail(receipt)
    again = quote_again(rules, receipt, detail)
    assert (again.lines, again.effects, again.digest) == (detail.figures, detail.effects, detail.digest)
    assert (again.uses, again.shared_uses, again.earned) == (receipt.uses, receipt.shared_uses, receipt.earned)
    assert (again.prizes, again.coupons_issued, again.spends_own) == (
        detail.prizes_taken, receipt.coupons_issued, receipt.spends_own)  # fmt: skip


def test_what_everybody_shares_stands_beside_what_the_member_used():
    receipt = much()
    assert receipt.uses == (use("coupon:C1"), use("promo:limited"), use("wallet", -50))
    assert receipt.shared_uses == (use("certificate:G1", -200), use("promo:limited"))


def test_a_sale_says_when_it_may_spend_what_it_earns():
    assert much().spends_own
    assert not closed().spends_own
    assert b"spends_own" not in encode(closed(msgspec.structs.replace(GOODS, points_to_spend=450)))


def test_a_sale_writes_down_how_it_comes_back():
    assert read_detail(much()).rules == ReturnRules(
        points_on_return="recompute",
        clawback_short="money",
        coupons=(CouponRule(name="coupon:C1", on_return="always"),),
        kept=("promo:limited",),
        step_points=100,
        step_minor=50,
    )


def test_a_sale_of_a_programme_that_says_nothing_of_returns_says_nothing_either():
    assert b'"rules"' not in bytes(closed().detail)
    assert read_detail(closed()).rules == ReturnRules()


def test_a_sale_writes_down_the_coupons_for_the_next_visit_without_their_codes():
    (coupon,) = much().coupons_issued
    # Sold on 2 March, and good for 30 days from then on, as its kind says nothing else.
    assert (coupon.coupon, coupon.holder, coupon.through) == ("tenth", "personal", day("2026-03-31"))
    assert coupon.code == ""


def test_a_receipt_read_back_from_its_bytes_is_the_same_receipt():
    payload = encode(closed(msgspec.structs.replace(GOODS, points_to_spend=450)))
    assert encode(read_head(payload)) == payload
    assert b"\n" not in payload


def test_discounts_charged_as_quoted_are_not_kept_twice():
    as_quoted = [Charged(line=1, discount_minor=100), Charged(line=2, discount_minor=100)]
    assert read_detail(closed(charged=as_quoted)).charged == ()
    assert read_detail(closed()).charged == ()


def test_discounts_that_the_pos_charged_otherwise_are_the_truth_and_are_kept_whole():
    receipt = closed(charged=[Charged(line=1, discount_minor=90)])  # and none on line 2
    assert read_detail(receipt).charged == (Charged(line=1, discount_minor=90), Charged(line=2, discount_minor=0))
    assert paid_in_money(read_detail(receipt)) == {1: 910, 2: 600}
    assert receipt.net_minor == 1510


WRONG = [
    [Charged(line=3, discount_minor=0)],
    [Charged(line=0, discount_minor=0)],
    [Charged(line=1, discount_minor=-1)],
    [Charged(line=1, discount_minor=1001)],
    [Charged(line=1, discount_minor=100), Charged(line=1, discount_minor=100)],
]


@pytest.mark.parametrize("charged", WRONG, ids=str)
def test_a_charged_discount_that_does_not_fit_the_basket_is_refused(charged):
    with pytest.raises(ChargedUnknownLine):
        closed(charged=charged)


def test_a_charged_discount_leaves_room_for_what_points_paid():
    goods = basket(line(1, 1000, sku="milk"), points_to_spend=1800)  # 9.00, all by points
    assert closed(goods, charged=[Charged(line=1, discount_minor=100)]).net_minor == 0
    with pytest.raises(ChargedUnknownLine):
        closed(goods, charged=[Charged(line=1, discount_minor=101)])


CERTIFIED = compiled(certificates={"sold": {"sku": ["card"]}, "wallet": True})
FIRST, SECOND = (WalletItem(code=code, kind="certificate", balance_minor=600) for code in ("G1", "G2"))
LAID = (CertificateAsk(code="G2", amount_minor=500), CertificateAsk(code="G1", amount_minor=300))


def with_stored(charged_minor, *more):
    """A sale of 10.00 that G2, G1 and the wallet pay with 5.00, 3.00 and 2.00 as it was quoted."""
    goods = basket(line(1, 1000), *more, certificates=LAID, from_wallet_minor=200)
    asked = quote_basket(CERTIFIED, goods, place(), member(stored_minor=200), bearer=(FIRST, SECOND))
    charged = [Charged(line=1, discount_minor=charged_minor)] if charged_minor else []
    return close_receipt(asked, goods, place(), compiled=CERTIFIED, card_token=None, charged=charged)


@pytest.mark.parametrize(
    ("charged_minor", "pays"),
    [
        (0, {"certificate:G1": -300, "certificate:G2": -500, "wallet": -200}),
        (50, {"certificate:G1": -300, "certificate:G2": -500, "wallet": -150}),
        (200, {"certificate:G1": -300, "certificate:G2": -500}),
        (201, {"certificate:G1": -299, "certificate:G2": -500}),
        (600, {"certificate:G2": -400}),
        (1000, {}),
    ],
)
def test_stored_value_pays_no_more_than_the_pos_charged_and_the_wallet_leaves_off_first(charged_minor, pays):
    receipt = with_stored(charged_minor)
    assert steps_of((*receipt.uses, *receipt.shared_uses)) == pays
    assert (receipt.net_minor, receipt.to_pay_minor) == (1000 - charged_minor, 0)


def test_stored_value_never_pays_for_a_certificate_whatever_the_pos_charged():
    receipt = with_stored(600, line(2, 5000, sku="card"))
    assert steps_of(receipt.shared_uses) == {"certificate:G2": -400}
    assert (receipt.net_minor, receipt.to_pay_minor) == (5400, 5000)


def test_where_the_pos_charged_more_than_was_quoted_the_rest_is_paid_otherwise():
    goods = basket(line(1, 1000, sku="milk"), certificates=LAID)
    rules = compiled(promotion("half", percent_off(5000)), certificates={"sold": {"sku": ["card"]}})
    asked = quote_basket(rules, goods, place(), member(), bearer=(FIRST, SECOND))
    receipt = close_receipt(
        asked, goods, place(), compiled=rules, card_token=None, charged=[Charged(line=1, discount_minor=100)]
    )
    assert steps_of(receipt.shared_uses) == {"certificate:G2": -500}
    assert (receipt.net_minor, receipt.to_pay_minor) == (900, 400)


def test_a_sale_of_before_that_paid_more_than_it_cost_leaves_nothing_to_pay_and_hands_nothing_out():
    receipt = with_stored(0)
    detail = msgspec.structs.replace(
        read_detail(receipt), charged=(Charged(line=1, discount_minor=400),), stored_as_charged=False
    )
    old = msgspec.structs.replace(receipt, net_minor=600, detail=msgspec.Raw(msgspec.json.encode(detail)))
    assert old.to_pay_minor == 0
    back = close_return("B1", old, ref(1), place(), earlier=(), lines=[ReturnLine(line=1, quantity_milli=1000)])
    # What was taken of them returns to them.
    assert sum(part.amount_minor for part in back.restored) == 1000
    assert (back.net_minor, back.paid_out_minor) == (600, 0)


def test_the_digest_that_came_back_is_kept_only_when_it_differs():
    asked = quote_basket(RULES, GOODS, place(), member(), authority=A_FLOAT)
    assert read_detail(closed(quoted_digest=asked.digest)).quoted_digest == ""
    assert read_detail(closed(quoted_digest="older")).quoted_digest == "older"


@pytest.mark.parametrize("detail", [b"null", b"{}", b"[]", b'{"programme_version":1}', b"[" * 100_000])
def test_a_detail_that_cannot_be_read_is_told_apart_from_one_that_disagrees(detail):
    with pytest.raises(InvariantBroken):
        read_detail(sale("R1", detail=msgspec.Raw(detail)))
