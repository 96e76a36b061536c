"""Returns and voids: from what the receipt recorded, so that parts which add up to the whole leave nothing behind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.members import UNKNOWN_CARD
from loyalty.quotes import quote_basket
from loyalty.receipts import Charged, close_receipt, read_detail
from loyalty.reversals import (
    ReturnLine,
    ReturnsMoreThanSold,
    UnknownLine,
    close_return,
    close_unreferenced,
    close_void,
    return_lines,
)
from tests.loyalty.build import (
    A_FLOAT,
    SPENDING,
    amount_off,
    basket,
    bytes_of,
    compiled,
    earn,
    line,
    member,
    percent_off,
    place,
    promotion,
    quote,
    ref,
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
    return close_receipt(asked, goods, place(), card_token=None, charged=charged)


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
    with pytest.raises(ReturnsMoreThanSold, match=r"Only 0.500 of line 1 can still come back."):
        given_back(receipt, back(1, 1000), earlier=[back(1, 2500)])
    with pytest.raises(ReturnsMoreThanSold, match=r"Only 0.000 of line 1 can still come back."):
        given_back(receipt, back(1, 1000), earlier=[back(1, 3500)])


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
    assert (made.receipt_id, made.of, made.account_id) == ("B1", ref(5), 7)
    assert bytes_of(made.detail) == b'{"lines":[[1,1000,0]],"earlier":[[1,500,0]],"of_receipt":"R1","cashier":"c9"}'


def test_goods_without_a_receipt_reverse_todays_points_and_give_no_spent_points_back():
    asked = quote(RULES, line(1, 1000), view=member())
    paid_out = [ReturnLine(line=1, quantity_milli=1000, amount_minor=899)]
    made = close_unreferenced("B1", asked, place(), card_token=None, lines=paid_out)
    assert (made.of, made.net_minor, made.restored_points, made.uses) == (None, 899, 0, ())
    assert bytes_of(made.reversed) == b'[["acme","9999-12-31",9],["core","9999-12-31",27]]'
    assert bytes_of(made.funded) == b'[["bolt",100]]'


def test_goods_without_a_receipt_of_an_unknown_card_leave_its_token():
    asked = quote(RULES, line(1, 1000), view=UNKNOWN_CARD)
    assert close_unreferenced("B1", asked, place(), card_token="ab12", lines=[]).card_token == "ab12"


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
    receipt = close_receipt(asked, goods, place(), card_token=None)
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
