"""Settlement between partners: both worked examples of the model, to the unit, and the laws that hold for any input."""

from datetime import date
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.ledger.books import Books
from loyalty.ledger.expiry import expire_lots
from loyalty.lots import EventRef, Lot, LotKey, draw_down
from loyalty.settling.money import PointSum, balances, money_legs
from loyalty.settling.netting import Payment, flow_of, net_positions
from loyalty.settling.statements import StatementLine, closing_legs, owed_by_partner, statement_lines
from loyalty.terms import BadTerms, Terms, check_terms
from loyalty.trouble import InvariantBroken


def terms_of(partner: str, fee: int, funding: int, advance: int, reimburse: int, back: int = 0, **more: bool) -> Terms:
    return Terms(
        terms_id=f"{partner}1",
        partner_id=partner,
        from_on=date(2026, 1, 1),
        fee_micro=fee,
        funding_micro=funding,
        advance_micro=advance,
        reimburse_micro=reimburse,
        expiry_back_micro=back,
        **more,
    )


# The price book of the model; C gets 6,000 basis points of 4,750 back on expiry, which is 2,850.
PRICES = {
    "A1": terms_of("A", 1_200, 10_000, 0, 9_400),
    "B1": terms_of("B", 1_200, 9_800, 9_800, 9_200),
    "C1": terms_of("C", 1_200, 9_500, 4_750, 9_300, 2_850),
    "D1": terms_of("D", 1_200, 10_000, 0, 9_400),
}


def moved(
    source: str, target: str, issuer: str, points: int, *, at: str = "", origin: int = 1, priced_by: str = "reimburse"
) -> PointSum:
    return PointSum(
        unit="point",
        source=source,
        target=target,
        issuer_id=issuer,
        terms_id=f"{issuer}1",
        at_partner_id=at or issuer,
        at_terms_id=f"{at}1" if at else "none",
        priced_by=priced_by,
        origin_period_no=origin,
        points=points,
    )


def issued(issuer: str, points: int, origin: int = 1) -> PointSum:
    return moved("issued", "available", issuer, points, origin=origin)


def redeemed(issuer: str, at: str, points: int, origin: int = 1) -> PointSum:
    return moved("available", "redeemed", issuer, points, at=at, origin=origin)


def lines_of(sums: list[PointSum], period_no: int = 1, billed: tuple[StatementLine, ...] = ()) -> tuple:
    return statement_lines(sums, PRICES, period_no=period_no, currency="EUR", billed=billed)


def legs_of(sums: list[PointSum]) -> dict[str, int]:
    return balances(leg for one in sums for leg in money_legs(one, PRICES, "EUR"))


def shown(lines: tuple[StatementLine, ...], partner: str, kind: str) -> list[tuple[int, int]]:
    return [(line.points, line.amount_minor) for line in lines if (line.partner_id, line.kind) == (partner, kind)]


# Example 1: mixed lots


def lot(issuer: str, points: int, valid_through: str) -> Lot:
    key = LotKey(valid_through=date.fromisoformat(valid_through), issuer_id=issuer, terms_id=f"{issuer}1")
    return Lot(key=key, points=points)


LOTS = [
    lot("A", 400, "2027-01-31"),
    lot("B", 250, "2026-12-31"),
    lot("C", 333, "2027-01-31"),
    lot("A", 500, "2027-06-30"),
]


def mixed_redemption() -> list[PointSum]:
    slices = draw_down(LOTS, 1_000, today=date(2026, 11, 20))
    return [redeemed(slice_.key.issuer_id, "D", slice_.points) for slice_ in slices]


def test_a_redemption_uses_up_the_lots_that_lapse_first_and_leaves_483_points() -> None:
    slices = draw_down(LOTS, 1_000, today=date(2026, 11, 20))
    used = [(slice_.key.issuer_id, slice_.key.valid_through.isoformat(), slice_.points) for slice_ in slices]
    assert used == [
        ("B", "2026-12-31", 250),
        ("A", "2027-01-31", 400),
        ("C", "2027-01-31", 333),
        ("A", "2027-06-30", 17),
    ]
    assert 400 + 250 + 333 + 500 - sum(points for _, _, points in used) == 483


def test_mixed_lots_are_funded_by_their_issuers_under_their_own_terms() -> None:
    funding = [line for line in lines_of(mixed_redemption()) if line.kind == "funding"]
    table = [
        (line.partner_id, line.points, line.price_micro, line.exact_micro, line.amount_minor, line.residual_micro)
        for line in funding
    ]
    assert table == [
        ("A", 417, 10_000, 4_170_000, 417, 0),
        ("B", 250, 0, 0, 0, 0),
        ("C", 333, 4_750, 1_581_750, 158, 1_750),
    ]


def test_the_redeeming_partner_is_reimbursed_for_every_point_whoever_issued_it() -> None:
    paid = [line for line in lines_of(mixed_redemption()) if line.kind == "reimbursement"]
    assert {line.partner_id for line in paid} == {"D"}
    assert {line.price_micro for line in paid} == {9_400}
    assert [(line.counterparty_id, line.points, line.amount_minor) for line in paid] == [
        ("A", 417, -392),
        ("B", 250, -235),
        ("C", 333, -313),
    ]
    assert sum(line.points for line in paid) == 1_000
    assert sum(line.exact_micro for line in paid) == -9_400_000
    assert sum(line.amount_minor for line in paid) == -940
    assert sum(line.residual_micro for line in paid) == 0


def test_mixed_lots_release_reserves_and_leave_the_operator_its_spread() -> None:
    assert legs_of(mixed_redemption()) == {
        "accrual:A": 4_170_000,
        "accrual:C": 1_581_750,
        "accrual:D": -9_400_000,
        "income:spread": -383_500,
        "reserve:B": 2_450_000,
        "reserve:C": 1_581_750,
    }


def test_the_spread_of_mixed_lots_comes_from_each_issuers_price() -> None:
    assert legs_of([redeemed("A", "D", 417)])["income:spread"] == -250_200
    assert legs_of([redeemed("B", "D", 250)])["income:spread"] == -100_000
    assert legs_of([redeemed("C", "D", 333)])["income:spread"] == -33_300


# Example 2: multilateral netting

NOVEMBER = [
    issued("A", 70_000), issued("B", 20_000), issued("C", 15_001), issued("D", 30_000),
    moved("available", "expired", "C", 2_000),
    redeemed("A", "A", 12_000), redeemed("A", "B", 14_500), redeemed("A", "C", 29_333), redeemed("A", "D", 6_000),
    redeemed("B", "A", 3_000), redeemed("B", "B", 5_000), redeemed("B", "C", 12_500), redeemed("B", "D", 1_250),
    redeemed("C", "A", 1_001), redeemed("C", "B", 3_000), redeemed("C", "C", 1_000), redeemed("C", "D", 777),
    redeemed("D", "A", 4_000), redeemed("D", "B", 7_500), redeemed("D", "C", 25_500), redeemed("D", "D", 10_000),
]  # fmt: skip

NOVEMBER_LINES = {
    ("A", "fee"): [8_400],
    ("A", "advance"): [],
    ("A", "funding"): [12_000, 14_500, 29_333, 6_000],
    ("A", "reimbursement"): [-11_280, -2_820, -941, -3_760],
    ("A", "expiry"): [],
    ("B", "fee"): [2_400],
    ("B", "advance"): [19_600],
    ("B", "funding"): [0, 0, 0, 0],
    ("B", "reimbursement"): [-13_340, -4_600, -2_760, -6_900],
    ("B", "expiry"): [],
    ("C", "fee"): [1_800],
    ("C", "advance"): [7_125],
    ("C", "funding"): [475, 1_425, 475, 369],
    ("C", "reimbursement"): [-27_280, -11_625, -930, -23_715],
    ("C", "expiry"): [-570],
    ("D", "fee"): [3_600],
    ("D", "advance"): [],
    ("D", "funding"): [4_000, 7_500, 25_500, 10_000],
    ("D", "reimbursement"): [-5_640, -1_175, -730, -9_400],
    ("D", "expiry"): [],
}


@pytest.mark.parametrize(("partner", "kind"), NOVEMBER_LINES)
def test_november_bills_each_line_as_the_table_says(partner: str, kind: str) -> None:
    amounts = [amount for _, amount in shown(lines_of(NOVEMBER), partner, kind)]
    assert amounts == NOVEMBER_LINES[partner, kind]


def test_november_nets_to_what_each_partner_owes() -> None:
    assert owed_by_partner(lines_of(NOVEMBER)) == {"A": 51_432, "B": -5_600, "C": -52_451, "D": 33_655}
    assert net_positions(owed_by_partner(lines_of(NOVEMBER))).operator_minor == -27_036


def test_november_leaves_the_operator_what_it_receives_in_fees_spread_breakage_and_reserves() -> None:
    accounts = legs_of(NOVEMBER)
    assert accounts["income:fee"] == -162_001_200
    assert accounts["income:spread"] == -87_410_900
    assert accounts["income:breakage"] == -3_800_000
    assert accounts["reserve:B"] == 17_150_000
    assert accounts["reserve:C"] == -34_309_250
    assert sum(line.residual_micro for line in lines_of(NOVEMBER)) == 11_350
    assert 162_001_200 + 87_410_900 + 3_800_000 - 11_350 - 17_150_000 + 34_309_250 == 270_360_000 == 27_036 * 10_000


def test_closing_november_empties_the_accruals_into_what_is_to_be_settled() -> None:
    legs = [leg for one in NOVEMBER for leg in money_legs(one, PRICES, "EUR")]
    after = balances([*legs, *closing_legs(lines_of(NOVEMBER), "EUR")])
    assert after == {
        "income:breakage": -3_800_000,
        "income:fee": -162_001_200,
        "income:spread": -87_410_900,
        "pnl:rounding": 11_350,
        "reserve:B": 17_150_000,
        "reserve:C": -34_309_250,
        "settle:A": 514_320_000,
        "settle:B": -56_000_000,
        "settle:C": -524_510_000,
        "settle:D": 336_550_000,
    }


def payments(rows: tuple[Payment, ...]) -> list[tuple[str, str, int]]:
    return [(row.payer_id, row.payee_id, row.amount_minor) for row in rows]


def test_november_is_paid_through_the_operator() -> None:
    netting = net_positions(owed_by_partner(lines_of(NOVEMBER)))
    assert payments(netting.hub) == [
        ("A", "operator", 51_432),
        ("D", "operator", 33_655),
        ("operator", "B", 5_600),
        ("operator", "C", 52_451),
    ]


def test_november_can_be_paid_among_the_partners_in_four_payments() -> None:
    netting = net_positions(owed_by_partner(lines_of(NOVEMBER)))
    assert payments(netting.direct) == [
        ("A", "C", 51_432),
        ("D", "C", 1_019),
        ("D", "operator", 27_036),
        ("D", "B", 5_600),
    ]


def test_november_netting_saves_almost_half_of_the_money_moved() -> None:
    lines = lines_of(NOVEMBER)
    flow = flow_of(lines, net_positions(owed_by_partner(lines)))
    assert (flow.line_flow_minor, flow.net_flow_minor, flow.ratio_bp) == (281_968, 143_138, 4_923)


# What lapses


def books_holding(*lots: Lot) -> Books:
    books = Books(PRICES.values(), period_no=4)
    books.account(7).lots.update({one.key: one.points for one in lots})
    return books


def test_lots_lapse_the_day_after_their_last_valid_day_soonest_first() -> None:
    ref = EventRef(till_id="centre", epoch=1, seq=9)
    books = books_holding(*LOTS)
    posted = expire_lots(7, ref, date(2027, 2, 1), books)
    moves = [(row.source, row.target, row.key.issuer_id, row.amount, row.period_no) for row in posted.postings]
    assert moves == [
        ("available", "expired", "B", 250, 4),
        ("available", "expired", "A", 400, 4),
        ("available", "expired", "C", 333, 4),
    ]
    books.take(posted)
    assert [(one.key.issuer_id, one.points) for one in books.lots(7)] == [("A", 500)]
    assert expire_lots(7, ref, date(2027, 2, 1), books).postings == ()


def test_points_are_good_on_their_last_valid_day() -> None:
    ref = EventRef(till_id="centre", epoch=1, seq=9)
    posted = expire_lots(7, ref, date(2026, 12, 31), books_holding(*LOTS))
    assert (posted.postings, posted.account_version) == ((), 0)


# Corrections, discounts, late spends


def test_taking_back_one_of_1002_points_gives_back_the_cent_that_the_whole_rounded_up() -> None:
    first = lines_of([issued("C", 1_002)])
    assert shown(first, "C", "advance") == [(1_002, 476)]
    second = lines_of([moved("available", "reversed", "C", 1)], period_no=2, billed=first)
    assert shown(second, "C", "advance") == [(-1, -1)]
    assert [line.origin_period_no for line in second] == [1]


def test_what_comes_back_within_its_period_is_never_billed() -> None:
    lines = lines_of([issued("C", 1_002), moved("available", "reversed", "C", 1)])
    assert shown(lines, "C", "advance") == [(1_001, 475)]
    assert shown(lines, "C", "fee") == [(1_002, 120)]


def test_the_fee_of_points_taken_back_returns_only_where_the_contract_says_so() -> None:
    prices = {"E1": terms_of("E", 1_200, 10_000, 0, 9_400, refunds_fee=True)}
    sums = [issued("E", 1_000), moved("available", "reversed", "E", 400)]
    lines = statement_lines(sums, prices, period_no=1, currency="EUR")
    assert shown(lines, "E", "fee") == [(600, 72)]


def test_a_correction_of_an_earlier_period_is_a_line_of_its_own_that_names_it() -> None:
    first = lines_of([issued("C", 1_002)])
    second = lines_of([issued("C", 10, origin=2), moved("available", "reversed", "C", 1)], period_no=2, billed=first)
    advances = [(line.origin_period_no, line.amount_minor) for line in second if line.kind == "advance"]
    assert advances == [(1, -1), (2, 5)]


def test_a_refunded_redemption_undoes_funding_and_reimbursement() -> None:
    assert lines_of([redeemed("A", "D", 300), moved("redeemed", "available", "A", 300, at="D")]) == ()


def test_a_late_spend_of_lapsed_points_takes_the_breakage_back() -> None:
    first = lines_of([moved("available", "expired", "C", 2_000)])
    assert shown(first, "C", "expiry") == [(2_000, -570)]
    late = [moved("expired", "available", "C", 2_000), redeemed("C", "D", 2_000, origin=2)]
    second = lines_of(late, period_no=2, billed=first)
    assert shown(second, "C", "expiry") == [(-2_000, 570)]
    assert shown(second, "C", "funding") == [(2_000, 950)]


def test_points_of_one_issuer_that_repay_another_issuers_debt_are_paid_at_that_issuers_funding_price() -> None:
    repaid = moved("available", "redeemed", "A", 100, at="C", priced_by="funding")
    lines = lines_of([repaid])
    assert shown(lines, "A", "funding") == [(100, 100)]
    assert shown(lines, "C", "reimbursement") == [(100, -95)]


def discount(amount_minor: int, source: str = "issued", target: str = "redeemed", origin: int = 1) -> PointSum:
    return PointSum(
        unit="currency", source=source, target=target, issuer_id="B", terms_id="none", at_partner_id="A",
        at_terms_id="none", priced_by="reimburse", origin_period_no=origin, points=amount_minor,
    )  # fmt: skip


def test_a_discount_that_another_partner_funds_enters_in_minor_units_as_it_is() -> None:
    lines = lines_of([discount(1_234)])
    assert [(line.partner_id, line.kind, line.counterparty_id, line.amount_minor) for line in lines] == [
        ("A", "discount_given", "B", -1_234),
        ("B", "discount_funded", "A", 1_234),
    ]
    assert legs_of([discount(1_234)]) == {"accrual:A": -12_340_000, "accrual:B": 12_340_000}


def test_a_funded_discount_comes_back_with_the_goods() -> None:
    first = lines_of([discount(1_234)])
    second = lines_of([discount(234, "redeemed", "issued")], period_no=2, billed=first)
    assert owed_by_partner(second) == {"A": 234, "B": -234}


def test_yen_are_settled_by_the_same_rule_as_cents() -> None:
    prices = {"J1": terms_of("J", 1_200_000, 1_000_000, 0, 940_000)}
    (fee,) = statement_lines([issued("J", 3)], prices, period_no=1, currency="JPY")
    assert (fee.amount_minor, fee.residual_micro) == (4, -400_000)


def test_points_without_terms_cost_nobody_anything() -> None:
    orphan = PointSum(
        unit="point", source="issued", target="available", issuer_id="X", terms_id="none", at_partner_id="X",
        at_terms_id="none", priced_by="reimburse", origin_period_no=1, points=5,
    )  # fmt: skip
    assert lines_of([orphan]) == ()


def test_terms_that_do_not_exist_stop_the_close() -> None:
    with pytest.raises(InvariantBroken):
        lines_of([issued("Z", 5)])


def test_terms_twice_under_one_id_are_refused() -> None:
    with pytest.raises(BadTerms):
        check_terms([PRICES["A1"], PRICES["A1"]])


# What a statement and the netting look like


def test_a_statement_lists_fees_first_then_advances_funding_reimbursement_and_what_lapsed() -> None:
    kinds = [line.kind for line in lines_of(NOVEMBER) if line.partner_id == "C"]
    assert kinds == ["fee", "advance", *["funding"] * 4, *["reimbursement"] * 4, "expiry"]


def test_a_line_names_its_period_and_the_one_it_corrects() -> None:
    first = lines_of([issued("C", 1_002)], period_no=4)
    second = lines_of([moved("available", "reversed", "C", 1, origin=4)], period_no=5, billed=first)
    assert {(line.period_no, line.origin_period_no) for line in second} == {(5, 4)}


def test_points_that_earn_the_redeeming_partner_nothing_are_listed_all_the_same() -> None:
    prices = PRICES | {"E1": terms_of("E", 1_200, 10_000, 0, 0)}
    lines = statement_lines([redeemed("A", "E", 300)], prices, period_no=1, currency="EUR")
    assert shown(lines, "E", "reimbursement") == [(300, 0)]


def test_where_no_money_moved_netting_saves_nothing() -> None:
    flow = flow_of([], net_positions({"A": 0}))
    assert (flow.line_flow_minor, flow.net_flow_minor, flow.ratio_bp) == (0, 0, 0)


# Laws

# What nothing covers


def claim(at: str, points: int, origin: int = 1) -> PointSum:
    """Points of a redemption that nothing covers; below 0 they are covered now."""
    buckets = ("issued", "pending") if points > 0 else ("pending", "issued")
    one = moved(*buckets, at, abs(points), at=at, origin=origin)
    return msgspec.structs.replace(one, unit="claim", terms_id="none")


def test_reimbursement_is_withheld_at_the_contracts_rate_until_points_cover_it() -> None:
    # 101 points spent at A: 101 x 9,400 micro are 94.94 cents.
    first = lines_of([claim("A", 101)])
    assert shown(first, "A", "uncovered") == [(101, -95)]
    assert shown(first, "A", "suspense:offline") == [(101, 95)]
    assert owed_by_partner(first) == {"A": 0}
    # In the next period 101 points of C cover it: A gets its 95, C owes 101 x 4,750 micro, which are 47.975 cents.
    covered = [claim("A", -101), redeemed("C", "A", 101)]
    second = lines_of(covered, 2, first)
    assert shown(second, "A", "uncovered") == [(-101, 95)]
    assert shown(second, "A", "suspense:offline") == [(-101, -95)]
    assert shown(second, "A", "reimbursement") == [(101, -95)]
    assert {line.origin_period_no for line in second} == {1}
    assert owed_by_partner(second) == {"A": -95, "C": 48}


def test_what_is_covered_in_the_period_in_which_it_was_spent_leaves_no_line() -> None:
    assert lines_of([claim("A", 50), claim("A", -50)]) == ()


def test_the_accounts_of_a_claim_name_what_is_withheld_from_whom() -> None:
    assert legs_of([claim("A", 100)]) == {"claims:offline": 940_000, "suspense:offline:A": -940_000}
    assert legs_of([claim("A", 100), claim("A", -100)]) == {}


def test_a_contract_may_share_with_the_operator_what_nothing_covers() -> None:
    # A third of 9,400 micro, floored to the micro, is the operator's.
    shared = {**PRICES, "A1": msgspec.structs.replace(PRICES["A1"], uncovered_micro=3_133)}

    def of(sums: list[PointSum], period_no: int = 1, billed: tuple[StatementLine, ...] = ()) -> tuple:
        return statement_lines(sums, shared, period_no=period_no, currency="EUR", billed=billed)

    first = of([claim("A", 1_000)])
    # 940 cents are claimed; 1,000 x 6,267 micro, 626.7 cents, are withheld: the operator pays 313 at once.
    assert [(line.kind, line.amount_minor) for line in first] == [("uncovered", -940), ("suspense:offline", 627)]
    assert owed_by_partner(first) == {"A": -313}
    # Once it is covered A has had its 940 in all, and the operator has its share back.
    second = of([claim("A", -1_000), redeemed("B", "A", 1_000)], 2, first)
    assert owed_by_partner(second) == {"A": -627, "B": 0}


def test_a_share_of_more_than_the_reimbursement_is_refused() -> None:
    with pytest.raises(BadTerms):
        check_terms([msgspec.structs.replace(PRICES["A1"], uncovered_micro=9_401)])
    check_terms([msgspec.structs.replace(PRICES["A1"], uncovered_micro=9_400)])


def test_what_is_withheld_moves_no_money_and_does_not_count_as_saved_by_netting() -> None:
    lines = lines_of([claim("A", 1_000), redeemed("C", "D", 100)])
    flow = flow_of(lines, net_positions(owed_by_partner(lines)))
    # C owes 47.5 cents, rounded up, and D gets 94: nothing of A's 940.
    assert (flow.line_flow_minor, flow.net_flow_minor) == (142, 142)


PARTNERS = st.sampled_from("ABCD")
POINTS = st.integers(1, 10**9)
SUMS = st.lists(
    st.one_of(
        st.builds(issued, PARTNERS, POINTS),
        st.builds(redeemed, PARTNERS, PARTNERS, POINTS),
        st.builds(lambda issuer, points: moved("available", "expired", issuer, points), PARTNERS, POINTS),
        st.builds(lambda issuer, points: moved("available", "reversed", issuer, points), PARTNERS, POINTS),
        st.builds(discount, POINTS),
        st.builds(claim, PARTNERS, POINTS),
    ),
    max_size=30,
)
OWED = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), st.integers(-(10**12), 10**12), max_size=12)


@given(SUMS)
def test_every_entry_sums_to_zero(sums: list[PointSum]) -> None:
    for one in sums:
        assert sum(leg.micro for leg in money_legs(one, PRICES, "EUR")) == 0


@given(SUMS)
def test_positions_and_the_operator_sum_to_zero(sums: list[PointSum]) -> None:
    netting = net_positions(owed_by_partner(lines_of(sums)))
    assert sum(one.amount_minor for one in netting.positions) + netting.operator_minor == 0


@given(SUMS)
def test_the_operators_cash_is_its_income_its_rounding_and_its_reserves_in_micro(sums: list[PointSum]) -> None:
    lines = lines_of(sums)
    operator = net_positions(owed_by_partner(lines)).operator_minor
    own = sum(micro for account, micro in legs_of(sums).items() if not account.startswith("accrual:"))
    assert operator * 10_000 == own + sum(line.residual_micro for line in lines)


@given(SUMS, st.randoms(use_true_random=False))
def test_the_order_of_postings_does_not_matter(sums: list[PointSum], dice: Random) -> None:
    shuffled = list(sums)
    dice.shuffle(shuffled)
    assert lines_of(shuffled) == lines_of(sums)


@given(st.lists(POINTS, min_size=1, max_size=8), PARTNERS, PARTNERS)
def test_taking_everything_back_bills_zero_in_all_however_it_is_cut(parts: list[int], issuer: str, at: str) -> None:
    billed = lines_of([redeemed(issuer, at, sum(parts))])
    for period_no, points in enumerate(parts, 2):
        billed += lines_of([moved("redeemed", "available", issuer, points, at=at)], period_no, billed)
    assert owed_by_partner(billed) == dict.fromkeys({issuer, at}, 0)


@given(OWED)
def test_netting_pays_every_position_and_no_more(owed: dict[str, int]) -> None:
    netting = net_positions(owed)
    parties = {**owed, "operator": netting.operator_minor}
    for payments_made in (netting.hub, netting.direct):
        paid = dict.fromkeys(parties, 0)
        for payment in payments_made:
            assert payment.amount_minor > 0
            paid[payment.payer_id] += payment.amount_minor
            paid[payment.payee_id] -= payment.amount_minor
        assert paid == parties


@given(OWED)
def test_partners_pay_each_other_in_fewer_payments_than_there_are_parties(owed: dict[str, int]) -> None:
    owing = [amount for amount in [*owed.values(), -sum(owed.values())] if amount]
    assert len(net_positions(owed).direct) <= max(0, len(owing) - 1)


@given(OWED)
def test_netting_is_the_same_in_whatever_order_partners_are_named(owed: dict[str, int]) -> None:
    assert net_positions(dict(reversed(owed.items()))) == net_positions(owed)
