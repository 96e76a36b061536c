"""A till's day against the POS's: what differs, and which receipts explain it."""

from loyalty.facts.day_totals import (
    DayEntry,
    DayTotals,
    Difference,
    Explaining,
    SaleTotal,
    TenderTotal,
    compare_day,
    totals_of_day,
)


def sale(receipt_id: str, net: int, *, discount: int = 0, cash: int = 0, card: int = 0, **flags: bool) -> DayEntry:
    adds = {"receipts": 1, "net_minor": net, "discount_minor": discount, "points_earned": net // 100, "points_spent": 0}
    paid = {f"tender:{kind}": minor for kind, minor in (("cash", cash), ("card", card)) if minor}
    return DayEntry(receipt_id=receipt_id, adds=adds | paid, **flags)


DAY = (
    sale("R1", 1_000, cash=1_000),
    sale("R2", 2_500, discount=300, card=2_500),
    sale("R3", 400, cash=400, is_voided=True),
    DayEntry(receipt_id="B1", adds={"returns": 1, "returned_minor": 250, "points_reversed": 2}),
    DayEntry(receipt_id="void:R3", adds={"voids": 1}),
)
OURS = DayTotals(
    receipts=3, voids=1, returns=1, net_minor=3_900, discount_minor=300, returned_minor=250, points_earned=39,
    points_spent=0, points_reversed=2,
    tenders=(TenderTotal(kind="card", amount_minor=2_500), TenderTotal(kind="cash", amount_minor=1_400)),
)  # fmt: skip


def paid(**kinds: int) -> tuple[TenderTotal, ...]:
    return tuple(TenderTotal(kind=kind, amount_minor=minor) for kind, minor in kinds.items())


def because(*rows: tuple[str, int, str]) -> tuple[Explaining, ...]:
    return tuple(Explaining(receipt_id=name, amount=amount, why=why) for name, amount, why in rows)


def test_a_day_is_the_sum_of_its_entries() -> None:
    assert totals_of_day(DAY) == OURS
    assert totals_of_day(()).net_minor == 0


def test_totals_that_agree_differ_in_nothing() -> None:
    assert compare_day(DAY, OURS) == ()
    assert compare_day(DAY, DayTotals()) == ()
    assert compare_day((), DayTotals(receipts=0, tenders=())) == ()


def test_what_the_pos_does_not_say_is_not_compared() -> None:
    (only,) = compare_day(DAY, DayTotals(returned_minor=200))
    assert (only.figure, only.pos, only.till, only.difference) == ("returned_minor", 200, 250, 50)


def test_a_void_that_the_pos_took_out_of_its_sums_explains_all_of_them() -> None:
    pos = DayTotals(receipts=2, net_minor=3_500, points_earned=35, tenders=paid(cash=1_000, card=2_500))
    assert compare_day(DAY, pos) == (
        Difference(figure="receipts", pos=2, till=3, receipts=because(("R3", 1, "voided"))),
        Difference(figure="net_minor", pos=3_500, till=3_900, receipts=because(("R3", 400, "voided"))),
        Difference(figure="points_earned", pos=35, till=39, receipts=because(("R3", 4, "voided"))),
        Difference(figure="tender:cash", pos=1_000, till=1_400, receipts=because(("R3", 400, "voided"))),
    )


def test_a_void_explains_no_sale_that_the_pos_has_besides() -> None:
    (only,) = compare_day(DAY, DayTotals(receipts=5))
    assert (only.difference, only.receipts) == (-2, ())


def test_with_the_pos_own_list_the_receipt_is_named_exactly() -> None:
    sales = [SaleTotal(receipt_id="R1", net_minor=1_000), SaleTotal(receipt_id="R2", net_minor=2_450),
             SaleTotal(receipt_id="R9", net_minor=700), SaleTotal(receipt_id="R3", net_minor=400)]  # fmt: skip
    found = compare_day(DAY, DayTotals(receipts=4, net_minor=4_550), sales)
    assert found == (
        Difference(figure="receipts", pos=4, till=3, receipts=because(("R9", -1, "only_at_pos"))),
        Difference(figure="net_minor", pos=4_550, till=3_900,
                   receipts=because(("R2", 50, "amount_differs"), ("R9", -700, "only_at_pos"))),
    )  # fmt: skip
    # The parts make up the whole.
    assert sum(row.amount for row in found[1].receipts) == found[1].difference


def test_a_receipt_that_is_only_here_says_whether_it_was_voided() -> None:
    (found,) = compare_day(DAY, DayTotals(net_minor=2_500), [SaleTotal(receipt_id="R2", net_minor=2_500)])
    assert found.receipts == because(("R1", 1_000, "only_here"), ("R3", 400, "voided"))


def test_two_mistakes_that_make_up_for_each_other_are_found_by_the_list() -> None:
    sales = [SaleTotal(receipt_id="R1", net_minor=1_100), SaleTotal(receipt_id="R2", net_minor=2_400),
             SaleTotal(receipt_id="R3", net_minor=400)]  # fmt: skip
    (found,) = compare_day(DAY, DayTotals(net_minor=3_900), sales)
    assert (found.difference, found.receipts) == (
        0, because(("R1", -100, "amount_differs"), ("R2", 100, "amount_differs")))  # fmt: skip


def test_without_a_list_a_receipt_of_just_that_amount_is_a_guess() -> None:
    (found,) = compare_day(DAY, DayTotals(net_minor=2_900))
    assert found.receipts == because(("R1", 1_000, "same_amount"), ("R3", 400, "voided"))
    (found,) = compare_day(DAY, DayTotals(net_minor=6_400))  # R2 twice at the POS
    assert found.receipts[0] == Explaining(receipt_id="R2", amount=2_500, why="same_amount")


def test_discounts_other_than_quoted_are_named_where_discounts_differ() -> None:
    day = (*DAY, sale("R4", 500, discount=70, charged_differs=True))
    (found,) = compare_day(day, DayTotals(discount_minor=320))
    assert found.receipts == because(("R4", 70, "charged_differs"))


def test_once_tenders_are_said_every_kind_is_compared_but_what_the_till_pays_itself() -> None:
    with_points = DayEntry(receipt_id="R5", adds={"receipts": 1, "net_minor": 0, "tender:points": 900})
    found = compare_day((*DAY, with_points), DayTotals(tenders=paid(cash=1_400, voucher=50)))
    assert [(one.figure, one.pos, one.till) for one in found] == [
        ("tender:card", 0, 2_500), ("tender:voucher", 50, 0),
    ]  # fmt: skip
    assert found[0].receipts == because(("R2", 2_500, "same_amount"))
    (said,) = compare_day((*DAY, with_points), DayTotals(tenders=paid(cash=1_400, card=2_500, points=800)))
    assert (said.figure, said.difference) == ("tender:points", 100)
