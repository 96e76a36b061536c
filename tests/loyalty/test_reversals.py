"""Returns and voids: from what the receipt recorded, so that parts which add up to the whole leave nothing behind."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.baskets import CertificateSale
from loyalty.facts.receipts import Charged, close_receipt, read_detail
from loyalty.facts.returned_points import AtHand, standing_of, way_of
from loyalty.facts.reversals import (
    ReturnLine,
    ReturnsMoreThanSold,
    UnknownLine,
    close_return,
    close_unreferenced,
    close_void,
    return_lines,
)
from loyalty.facts.withholding import withhold
from loyalty.members import UNKNOWN_CARD
from loyalty.pricing.coupons import kinds_of, read_coupon, with_codes
from loyalty.pricing.quotes import quote_basket
from loyalty.programme.return_rules import CouponRule, ReturnRules
from tests.loyalty.build import (
    A_FLOAT,
    SPENDING,
    amount_off,
    basket,
    bytes_of,
    compiled,
    earn,
    earned,
    line,
    member,
    percent_off,
    place,
    promotion,
    quote,
    ref,
    sale,
    use,
)

RULES = compiled(
    promotion("tenth", percent_off(1000), funded_by="bolt", limits={"times": 9}),
    promotion("base", earn(1, 100)),
    promotion("brand", earn(1, 33), funded_by="core"),
    spending=SPENDING,
)


def sold(*lines, points=0, charged=()):
    goods = basket(*lines, points_to_spend=points)
    asked = quote_basket(RULES, goods, place(), member(), authority=A_FLOAT)
    return close_receipt(asked, goods, place(), compiled=RULES, card_token=None, charged=charged)


def back(number, milli):
    return ReturnLine(line=number, quantity_milli=milli)


def given_back(receipt, *now, earlier=()):
    return return_lines(receipt, read_detail(receipt), earlier, now)


def parts(figures):
    return (figures.net_minor, [(row.issuer_id, row.points) for row in figures.reversed], figures.restored_points)


def test_half_of_a_line_gives_half_of_everything_floored_and_the_last_part_the_rest():
    # Three units at 10.00: 1.00 off, 9.00 paid, 9 points of acme, 27 of core.
    receipt = sold(line(1, 1000, quantity_milli=3000))
    assert parts(given_back(receipt, back(1, 1000))) == (300, [("acme", 3), ("core", 9)], 0)
    assert bytes_of(given_back(receipt, back(1, 1000)).funded) == b'[["bolt",33]]'
    last = given_back(receipt, back(1, 1000), earlier=[back(1, 2000)])
    assert bytes_of(last.funded) == b'[["bolt",34]]'
    assert (last.whole, given_back(receipt, back(1, 1000)).whole) == (True, False)


def test_points_that_paid_come_back_with_the_goods_they_paid_for():
    # 9.00 left of each line; 600 points are 3.00, 1.50 on each, 300 points each.
    receipt = sold(line(1, 1000), line(2, 1000), points=600)
    assert parts(given_back(receipt, back(2, 1000)))[::2] == (750, 300)


def test_what_the_pos_charged_comes_back_not_what_was_quoted():
    receipt = sold(line(1, 1000), charged=[Charged(line=1, discount_minor=0)])
    assert given_back(receipt, back(1, 1000)).net_minor == 1000


def test_a_weighed_good_comes_back_by_weight():
    receipt = sold(line(1, 777, quantity_milli=333))  # 0.78 off: 6.99 paid
    # 111 of 333 thousandths: a third, 2.33.
    assert given_back(receipt, back(1, 111)).net_minor == 233


def test_a_line_sold_without_a_quantity_comes_back_as_one_unit():
    receipt = sold(line(1, 500, quantity_milli=0), line(2, 100))
    figures = given_back(receipt, back(1, 1000), back(2, 1000))
    assert (figures.net_minor, figures.whole) == (540, True)
    assert given_back(receipt, back(1, 250)).net_minor == 112  # a quarter of 4.50
    with pytest.raises(ReturnsMoreThanSold):
        given_back(receipt, back(1, 1000), earlier=[back(1, 1000)])


WRONG = [
    ("a line that was not sold", [back(9, 1000)], (), UnknownLine),
    ("nothing of a line", [back(1, 0)], (), UnknownLine),
    ("less than nothing of a line", [back(1, -1000)], (), UnknownLine),
    ("twice the same line", [back(1, 1000), back(1, 1000)], (), UnknownLine),
    ("more than was sold", [back(1, 3001)], (), ReturnsMoreThanSold),
    ("more than is left", [back(1, 2000)], [back(1, 1000), back(1, 1)], ReturnsMoreThanSold),
    ("what two tills have already taken back twice", [back(1, 1)], [back(1, 3000), back(1, 500)], ReturnsMoreThanSold),
]


@pytest.mark.parametrize(("what", "now", "earlier", "refusal"), WRONG, ids=[row[0] for row in WRONG])
def test_a_return_that_does_not_fit_the_receipt_is_refused(what, now, earlier, refusal):
    with pytest.raises(refusal):
        given_back(sold(line(1, 1000, quantity_milli=3000)), *now, earlier=earlier)


def test_the_cashier_is_told_how_much_can_still_come_back():
    receipt = sold(line(1, 1000, quantity_milli=3000))
    with pytest.raises(ReturnsMoreThanSold, match=r"Only 0.5 of line 1 can still come back; take that many."):
        given_back(receipt, back(1, 1000), earlier=[back(1, 2500)])
    with pytest.raises(ReturnsMoreThanSold, match=r"Line 1 has come back already; choose among the others."):
        given_back(receipt, back(1, 1000), earlier=[back(1, 3500)])


def test_what_does_not_fit_the_receipt_is_told_with_its_figures():
    receipt = sold(line(1, 1000, quantity_milli=3000))
    with pytest.raises(UnknownLine) as told:
        given_back(receipt, back(9, 1000))
    assert told.value.say == "Line 9 is not on this receipt, or comes twice; scan the receipt and choose its lines."
    assert told.value.figures == {"line": 9}
    with pytest.raises(ReturnsMoreThanSold) as told:
        given_back(receipt, back(1, 1000), earlier=[back(1, 2500)])
    assert told.value.figures == {"line": 1, "left": "0.500", "asked": "1.000"}


def test_a_use_of_a_promotion_comes_back_only_with_the_whole_receipt():
    receipt = sold(line(1, 1000), line(2, 1000))
    one = close_return("B1", receipt, ref(5), place(), earlier=(), lines=[back(1, 1000)])
    other = close_return("B2", receipt, ref(5), place(), earlier=[back(1, 1000)], lines=[back(2, 1000)])
    assert (one.uses, other.uses) == ((), (use("promo:tenth", -1),))


def test_an_empty_return_after_the_whole_gives_no_use_back_again():
    receipt = sold(line(1, 1000))
    assert not given_back(receipt, earlier=[back(1, 1000)]).whole


def test_a_return_names_the_receipt_and_what_had_come_back_before():
    receipt = sold(line(1, 1000, quantity_milli=2000))
    made = close_return("B1", receipt, ref(5), place(), earlier=[back(1, 500)], lines=[back(1, 1000)], cashier="c9")
    assert (made.receipt_id, made.of, made.of_receipt, made.account_id) == ("B1", ref(5), "R1", 7)
    assert bytes_of(made.detail) == b'{"lines":[[1,1000,0]],"earlier":[[1,500,0]],"of_receipt":"R1","cashier":"c9"}'


def test_goods_without_a_receipt_reverse_todays_points_and_give_no_spent_points_back():
    asked = quote(RULES, line(1, 1000), view=member())
    paid_out = [ReturnLine(line=1, quantity_milli=1000, amount_minor=899)]
    made = close_unreferenced("B1", asked, place(), compiled=RULES, card_token=None, lines=paid_out)
    assert (made.of, made.net_minor, made.restored_points, made.uses) == (None, 899, 0, ())
    assert bytes_of(made.reversed) == b'[["acme","9999-12-31",9],["core","9999-12-31",27]]'
    assert bytes_of(made.funded) == b'[["bolt",100]]'


def test_goods_without_a_receipt_of_an_unknown_card_leave_its_token():
    asked = quote(RULES, line(1, 1000), view=UNKNOWN_CARD)
    made = close_unreferenced("B1", asked, place(), compiled=RULES, card_token="ab12", lines=[])
    assert made.card_token == "ab12"


def test_a_sale_priced_by_another_engine_comes_back_pro_rata():
    rules = compiled(promotion("base", earn(1, 100)), options={"points_on_return": "recompute"})
    asked = quote(rules, line(1, 1050, quantity_milli=2000), view=member())
    receipt = close_receipt(asked, basket(*asked.goods), place(), compiled=rules, card_token=None)
    detail = read_detail(receipt)
    assert way_of(detail, AtHand(programmes=(rules,)), place()).how == "recompute"
    older = msgspec.structs.replace(detail, engine_no=1)
    assert way_of(older, AtHand(programmes=(rules,)), place()).how == "pro_rata"


def test_goods_without_a_receipt_let_points_go_where_the_programme_does():
    rules = compiled(promotion("base", earn(1, 100)), options={"clawback_short": "clamp"})
    asked = quote(rules, line(1, 1000), view=member(balance_points=3))
    paid_out = [ReturnLine(line=1, quantity_milli=1000, amount_minor=900)]
    made = close_unreferenced("B1", asked, place(), compiled=rules, card_token=None, lines=paid_out)
    assert (made.clamp, made.net_minor, made.withheld_minor) == (True, 900, 0)


def test_goods_without_a_receipt_leave_the_worth_of_missing_points_in_the_till():
    rules = compiled(
        promotion("base", earn(1, 100)),
        options={"clawback_short": "money"},
        spending={"step_points": 2, "step_minor": 5},
    )
    asked = quote(rules, line(1, 1000), view=member(balance_points=3))
    paid_out = [ReturnLine(line=1, quantity_milli=1000, amount_minor=900)]
    made = close_unreferenced("B1", asked, place(), compiled=rules, card_token=None, lines=paid_out)
    # 10 points are to come back and 3 are there; 7 are worth 17.5, so 17.
    assert (made.net_minor, made.withheld_minor, made.withheld_points) == (883, 17, 7)
    assert bytes_of(made.reversed) == b'[["acme","9999-12-31",3]]'
    unknown = close_unreferenced(
        "B1", quote(rules, line(1, 1000), view=UNKNOWN_CARD), place(), compiled=rules, card_token="ab", lines=paid_out
    )
    assert (unknown.net_minor, unknown.withheld) == (900, ())


PAYS_IN_MONEY = ReturnRules(clawback_short="money", step_points=2, step_minor=5)  # a point is worth 2.5 cents
TO_COME_BACK = (earned(3), earned(10, "bolt"), earned(4, "core"))
# Points that are there, what is paid out; cents kept, points they pay for, points that still come back.
WITHHELD = [
    (12, 900, 12, [3, 2], [8, 4]),  # 5 of 17 are missing, worth 12.5: of the first issuer, and of the second the rest
    (0, 900, 42, [3, 10, 4], []),  # all of them, 42.5
    (-6, 900, 42, [3, 10, 4], []),  # what is owed already is no reason to keep more
    (16, 900, 2, [1], [2, 10, 4]),
    (17, 900, 0, [], [3, 10, 4]),
    (20, 900, 0, [], [3, 10, 4]),
    (None, 900, 0, [], [3, 10, 4]),  # nobody knows what is there
    (0, 0, 0, [], [3, 10, 4]),
    (0, 1, 0, [], [3, 10, 4]),  # one point is worth two cents already
    (0, 2, 2, [1], [2, 10, 4]),
    (0, 9, 7, [3], [10, 4]),  # three are worth 7.5, four 10
    (0, 10, 10, [3, 1], [9, 4]),
    (0, -5, 0, [], [3, 10, 4]),
]


@pytest.mark.parametrize(("there", "paid_out", "cents", "paid_for", "still"), WITHHELD)
def test_money_is_kept_for_points_that_are_gone_first_granted_first(there, paid_out, cents, paid_for, still):
    kept = withhold(PAYS_IN_MONEY, TO_COME_BACK, there=there, paid_out_minor=paid_out)
    assert (kept.amount_minor, [row.points for row in kept.points]) == (cents, paid_for)
    assert [row.points for row in kept.reversed] == still


def test_money_is_kept_down_to_the_last_cent_that_is_paid_out():
    cheap = ReturnRules(clawback_short="money", step_points=100, step_minor=50)
    kept = withhold(cheap, TO_COME_BACK, there=0, paid_out_minor=1)
    # Three points are worth 1.5 cents, four would be two.
    assert (kept.amount_minor, [row.points for row in kept.points]) == (1, [3])


def test_where_nothing_is_paid_out_no_point_is_let_off_for_less_than_a_cent():
    cheap = ReturnRules(clawback_short="money", step_points=100, step_minor=50)
    kept = withhold(cheap, TO_COME_BACK, there=0, paid_out_minor=0)
    assert (kept.amount_minor, kept.points, kept.reversed) == (0, (), TO_COME_BACK)


@pytest.mark.parametrize("rules", [
    ReturnRules(clawback_short="debt", step_points=2, step_minor=5),
    ReturnRules(clawback_short="clamp", step_points=2, step_minor=5),
    ReturnRules(clawback_short="money"),  # points that cannot be spent have no worth
])  # fmt: skip
def test_no_money_is_kept_where_the_programme_does_not_say_so(rules):
    kept = withhold(rules, TO_COME_BACK, there=0, paid_out_minor=900)
    assert (kept.amount_minor, kept.points, kept.reversed) == (0, (), TO_COME_BACK)


def test_a_coupon_of_which_nothing_is_said_comes_back_on_a_full_return():
    rules = ReturnRules(coupons=(CouponRule(name="coupon:C1", on_return="never"),))
    assert [rules.of_coupon(name) for name in ("coupon:C1", "coupon:C2")] == ["never", "full"]


RECOMPUTED = compiled(
    promotion("base", earn(1, 100, sku=["sku1"])),
    promotion("brand", earn(1, 100, sku=["sku2"]), funded_by="core"),
    options={"points_on_return": "recompute"},
)


def recomputed(*lines):
    """A sale whose points ask to be recomputed when goods come back."""
    asked = quote(RECOMPUTED, *lines, view=member())
    return close_receipt(asked, basket(*asked.goods), place(), compiled=RECOMPUTED, card_token=None)


def test_points_come_back_pro_rata_where_neither_programme_nor_other_returns_are_known():
    # Three units for 11.00 earned 11 points: 3.67 a unit, in all 3, 7 and 11.
    receipt = recomputed(line(1, 1100, quantity_milli=3000))
    assert parts(given_back(receipt, back(1, 1000)))[1] == [("acme", 3)]
    assert parts(given_back(receipt, back(1, 1000), earlier=[back(1, 1000)]))[1] == [("acme", 4)]
    assert parts(given_back(receipt, back(1, 1000), earlier=[back(1, 2000)]))[1] == [("acme", 4)]
    assert parts(given_back(receipt, back(1, 2000), earlier=[back(1, 1000)]))[1] == [("acme", 8)]


def test_no_more_points_come_back_than_still_stand():
    receipt = recomputed(line(1, 1100, quantity_milli=3000))
    for standing, told in (((), []), ((earned(2, valid_through="9999-12-31"),), [("acme", 2)])):
        way = way_of(read_detail(receipt), AtHand(standing=standing), place())
        figures = return_lines(receipt, read_detail(receipt), (), [back(1, 1000)], way)
        assert parts(figures)[1] == told


def test_an_issuer_whose_goods_all_come_back_takes_all_its_points_back():
    # 11 points of acme on the first line stay, the 5 of core on the second go.
    receipt = recomputed(line(1, 1100), line(2, 500))
    way = way_of(read_detail(receipt), AtHand(programmes=(RECOMPUTED,)), place())
    figures = return_lines(receipt, read_detail(receipt), (), [back(2, 1000)], way)
    assert parts(figures)[1] == [("core", 5)]


def test_goods_sold_beside_a_certificate_come_back_once_the_programme_has_no_certificates_any_more():
    clawed = {"options": {"points_on_return": "claw_all"}}
    then = compiled(promotion("base", earn(1, 100)), certificates={"sold": {"sku": ["gift"]}}, **clawed)
    now = compiled(promotion("base", earn(1, 100)), **clawed)
    sells = (CertificateSale(line=3, code="c" * 32),)
    goods = basket(line(1, 1000), line(2, 600), line(3, 5000, sku="gift"), certificates_sold=sells)
    receipt = close_receipt(
        quote_basket(then, goods, place(), member()), goods, place(), compiled=then, card_token=None
    )
    way = way_of(read_detail(receipt), AtHand(programmes=(now,)), place())
    figures = return_lines(receipt, read_detail(receipt), (), [back(2, 1000)], way)
    # The 16 points of both goods are taken back; the 10.00 that are kept earn 10, and the certificate nothing, as ever.
    assert parts(figures) == (600, [("acme", 16)], 0)
    assert [(row.issuer_id, row.points) for row in figures.earned] == [("acme", 10)]


def test_points_of_one_issuer_and_day_stand_together():
    receipt = sale("R1", earned(5), earned(7), earned(2, "bolt"))
    assert standing_of(receipt, []) == (earned(12), earned(2, "bolt"))
    # One return took 4 and granted 1 anew, another took all of bolt's.
    taken = [([earned(4)], [earned(1)]), ([earned(2, "bolt")], [])]
    assert standing_of(receipt, taken) == (earned(9),)


def test_a_void_undoes_the_whole_receipt_once():
    receipt = sold(line(1, 1000))
    made = close_void(receipt, ref(5), place(), cashier="c9")
    assert (made.receipt_id, made.of, made.uses) == ("void:R1", ref(5), (use("promo:tenth", -1),))
    assert bytes_of(made.detail) == b'{"cashier":"c9"}'


# Laws

LINES = st.lists(
    st.tuples(st.integers(0, 5000), st.sampled_from([0, 1, 333, 1000, 2000, 5000])), min_size=1, max_size=4
)
MANY = compiled(
    promotion("floor", amount_off(150), funded_by="core"),
    promotion("tenth", percent_off(1250), funded_by="bolt", limits={"times": 9}),
    promotion("base", earn(3, 100)),
    promotion("brand", earn(1, 33), funded_by="core", lifetime={"days": 30}),
    spending=SPENDING,
)


@given(LINES, st.integers(0, 9000), st.data())
def test_partial_returns_that_add_up_to_the_whole_leave_nothing_behind(rows, points, data):
    goods = basket(
        *(line(i + 1, amount, quantity_milli=milli) for i, (amount, milli) in enumerate(rows)), points_to_spend=points
    )
    asked = quote_basket(MANY, goods, place(), member(), authority=A_FLOAT)
    receipt = close_receipt(asked, goods, place(), compiled=MANY, card_token=None)
    left = {row.line: row.quantity_milli or 1000 for row in goods.lines}
    net, points_back, restored, funded, wholes = 0, {}, 0, {}, []
    earlier: list[ReturnLine] = []
    for visit in range(4):
        open_lines = [number for number, milli in left.items() if milli]
        last = visit == 3  # brings all that is left
        chosen = open_lines if last else [number for number in open_lines if data.draw(st.booleans())]
        now = [back(n, left[n] if last else data.draw(st.integers(1, left[n]))) for n in chosen]
        made = close_return(f"B{len(earlier)}", receipt, ref(5), place(), earlier=earlier, lines=now)
        for row in made.reversed:
            assert row.points > 0
            name = (row.issuer_id, row.valid_through)
            points_back[name] = points_back.get(name, 0) + row.points
        for row in made.funded:
            funded[row.partner_id] = funded.get(row.partner_id, 0) + row.amount_minor
        assert min(made.net_minor, made.restored_points) >= 0
        net, restored = net + made.net_minor, restored + made.restored_points
        if now:
            wholes.append(bool(made.uses))
        earlier += now
        left = {n: milli - sum(row.quantity_milli for row in now if row.line == n) for n, milli in left.items()}
    assert net == receipt.net_minor
    assert points_back == {(row.issuer_id, row.valid_through): row.points for row in receipt.earned}
    assert restored == (receipt.redemption.points if receipt.redemption else 0)
    assert {partner: amount for partner, amount in funded.items() if amount} == {
        row.partner_id: row.amount_minor for row in receipt.funded
    }
    if receipt.uses:
        assert wholes == [False] * (len(wholes) - 1) + [True]


def test_a_part_whose_funded_discount_rounds_to_nothing_names_no_payer():
    # 10 % of 0.10 is 0.01 over three pieces: the first piece carries none of it
    receipt = sold(line(1, 10, quantity_milli=3000))
    given = return_lines(receipt, read_detail(receipt), (), [ReturnLine(line=1, quantity_milli=1000)])
    assert given.funded == ()


def test_a_coupon_that_a_sale_issued_counts_as_used_once_all_of_it_is_back():
    rules = compiled(
        promotion("give", {"kind": "issue_coupon", "coupon": "next"}), coupons=[{"id": "next"}]
    )
    two = basket(line(1, 1000), line(2, 500))
    asked = quote_basket(rules, two, place(), member())
    sold = close_receipt(asked, two, place(), compiled=rules, card_token=None)
    (coded,) = with_codes(sold.coupons_issued, b"k" * 32, till_id="T1", receipt_id="R1", account_id=7)
    # The number without its check: what a till keeps of a coupon that it took.
    number = read_coupon(b"k" * 32, coded.code, kinds_of(rules)).code
    detail = read_detail(sold)
    first = return_lines(sold, detail, (), (ReturnLine(line=1, quantity_milli=1000),))
    assert first.shared_uses == ()
    last = return_lines(
        sold, detail, (ReturnLine(line=1, quantity_milli=1000),), (ReturnLine(line=2, quantity_milli=1000),)
    )
    assert last.shared_uses == (use(f"coupon:{number}"),)
    assert close_void(sold, ref(1), place()).shared_uses == (use(f"coupon:{number}"),)
