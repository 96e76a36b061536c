"""`tallypoint settle`: a file of contracts, events and payments, settled by the kernel."""

import json
from pathlib import Path

import msgspec
import pytest

from loyalty.terms import BadTerms
from loyalty.trouble import Trouble
from tallypoint.settle.command import run, settle
from tallypoint.settle.file import Document, read_document

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "settle.json"
CONTRACTS = [
    {"terms_id": "A1", "partner_id": "A", "from_on": "2026-01-01", "fee_micro": 1200, "funding_micro": 10000,
     "reimburse_micro": 9400},
    {"terms_id": "C1", "partner_id": "C", "from_on": "2026-01-01", "fee_micro": 1200, "funding_micro": 9500,
     "advance_micro": 4750, "reimburse_micro": 9300, "expiry_share_bp": 6000},
]  # fmt: skip
SALE = {"type": "receipt", "receipt_id": "R1", "partner_id": "C", "on": "2026-03-01", "account_id": 1,
        "earned": [{"points": 1002}], "net_minor": 1002}  # fmt: skip
CLOSE = {"type": "close", "through": "2026-03-31"}


def document(*events: dict, payments: tuple = ()) -> Document:
    whole = {"currency": "EUR", "contracts": CONTRACTS, "events": events, "payments": payments}
    return read_document(json.dumps(whole).encode())


def amounts(result, period: int) -> list[tuple[str, str, int, int]]:
    lines = result.periods[period - 1].lines
    return [(line.partner_id, line.kind, line.origin_period_no, line.amount_minor) for line in lines]


def test_the_example_file_settles_to_the_figures_of_the_model(capsys: pytest.CaptureFixture) -> None:
    assert run(str(EXAMPLE), as_json=True) == 0
    result = json.loads(capsys.readouterr().out)
    november = result["periods"][1]
    nets = {row["partner_id"]: row["amount_minor"] for row in november["netting"]["positions"]}
    assert nets == {"A": 51_432, "B": -5_600, "C": -52_451, "D": 33_655}
    assert november["netting"]["operator_minor"] == -27_036
    assert november["flow"] == {"line_flow_minor": 281_968, "net_flow_minor": 143_138, "ratio_bp": 4_923}
    assert sum(line["residual_micro"] for line in november["lines"]) == 11_350
    assert result["flags"] == []


def test_payments_reduce_what_is_still_to_be_paid(capsys: pytest.CaptureFixture) -> None:
    run(str(EXAMPLE), as_json=True)
    result = json.loads(capsys.readouterr().out)
    assert {row["partner_id"]: row["open_minor"] for row in result["positions"]} == {
        "A": 51_432,
        "B": -5_600,
        "C": -52_451,
        "D": 33_655,
    }
    assert {row["account"]: row["micro"] for row in result["accounts"]} == {
        "bank:EUR": 79_000_000,
        "income:breakage": -3_800_000,
        "income:fee": -192_001_200,
        "income:spread": -87_410_900,
        "pnl:rounding": 11_350,
        "reserve:B": -31_850_000,
        "reserve:C": -34_309_250,
        "settle:A": 514_320_000,
        "settle:B": -56_000_000,
        "settle:C": -524_510_000,
        "settle:D": 336_550_000,
    }


def test_the_tables_show_the_same_figures(capsys: pytest.CaptureFixture) -> None:
    assert run(str(EXAMPLE), as_json=False) == 0
    printed = capsys.readouterr().out
    assert "operator  -270.36" in printed
    assert "D      C          10.19" in printed


def test_goods_that_come_back_in_a_later_period_correct_the_one_they_were_sold_in() -> None:
    back = {"type": "return", "receipt_id": "T1", "of": "R1", "partner_id": "C", "on": "2026-04-02", "account_id": 1,
            "reversed": [{"points": 1}], "net_minor": 1}  # fmt: skip
    result = settle(document(SALE, CLOSE, back))
    assert amounts(result, 1) == [("C", "fee", 1, 120), ("C", "advance", 1, 476)]
    assert amounts(result, 2) == [("C", "advance", 1, -1)]


def test_a_voided_receipt_leaves_only_the_fee_that_the_contract_keeps() -> None:
    result = settle(document(SALE, {"type": "void", "of": "R1", "on": "2026-03-01"}))
    assert amounts(result, 1) == [("C", "fee", 1, 120)]


def test_a_return_that_arrives_before_its_receipt_waits_for_it() -> None:
    back = {"type": "return", "receipt_id": "T1", "of": "R1", "partner_id": "C", "on": "2026-03-02", "account_id": 1,
            "reversed": [{"points": 1002}], "net_minor": 1002}  # fmt: skip
    assert settle(document(back, SALE)) == settle(document(SALE, {**back}))


def test_a_return_that_is_voided_settles_as_if_it_had_never_been_in_whatever_order_they_arrive() -> None:
    back = {"type": "return", "receipt_id": "T1", "of": "R1", "partner_id": "C", "on": "2026-03-02", "account_id": 1,
            "reversed": [{"points": 1002}], "net_minor": 1002}  # fmt: skip
    undone = {"type": "void", "of": "T1", "on": "2026-03-02"}
    again = {**back, "receipt_id": "T2"}
    sold = amounts(settle(document(SALE)), 1)
    for rows in ((SALE, back, undone), (back, undone, SALE), (undone, SALE, back), (undone, back, SALE)):
        result = settle(document(*rows))
        assert (amounts(result, 1), result.flags) == (sold, ())
    # What is back again has come back once.
    assert amounts(settle(document(SALE, back, undone, again)), 1) == amounts(settle(document(SALE, back)), 1)
    # Undone in the next period, it corrects the period of the receipt back to what it was.
    result = settle(document(SALE, back, CLOSE, {**undone, "on": "2026-04-02"}))
    assert amounts(result, 1) == [("C", "fee", 1, 120)]
    assert amounts(result, 2) == [("C", "advance", 1, 476)]


def test_the_same_receipt_twice_is_settled_once() -> None:
    assert amounts(settle(document(SALE, SALE)), 1) == [("C", "fee", 1, 120), ("C", "advance", 1, 476)]


def test_points_that_nobody_had_are_flagged_and_withheld_until_they_are_covered() -> None:
    spend = {"type": "receipt", "receipt_id": "R2", "partner_id": "A", "on": "2026-03-01", "account_id": 9,
             "points_spent": 50}  # fmt: skip
    result = settle(document(spend))
    assert [(flag.cause, flag.figures) for flag in result.flags] == [
        ("uncovered", {"asked": 50, "covered": 0, "bearer": "A"})
    ]
    # 50 x 9,400 micro are claimed, and withheld: A gets nothing, and nobody owes anything.
    assert amounts(result, 1) == [("A", "uncovered", 1, -47), ("A", "suspense:offline", 1, 47)]
    assert {one.account: one.micro for one in result.accounts}["suspense:offline:A"] == -470_000
    assert [one.net_minor for one in result.positions] == [0]
    # In April 50 points of C cover them: A is paid, C funds 4,750 micro each above its advance of as much.
    later = {"type": "receipt", "receipt_id": "R3", "partner_id": "C", "on": "2026-04-02", "account_id": 9,
             "earned": [{"points": 50}], "net_minor": 50}  # fmt: skip
    result = settle(document(spend, CLOSE, later))
    assert amounts(result, 2) == [
        ("A", "reimbursement", 1, -47), ("A", "uncovered", 1, 47), ("A", "suspense:offline", 1, -47),
        ("C", "fee", 2, 6), ("C", "advance", 2, 24), ("C", "funding", 1, 24),
    ]  # fmt: skip
    assert "suspense:offline:A" not in {one.account for one in result.accounts}


def test_the_operator_may_share_what_nothing_covers() -> None:
    whole = {"currency": "EUR", "contracts": [{**CONTRACTS[0], "uncovered_share_bp": 3_333}], "events": [
        {"type": "receipt", "receipt_id": "R2", "partner_id": "A", "on": "2026-03-01", "account_id": 9,
         "points_spent": 1_000}]}  # fmt: skip
    result = settle(read_document(json.dumps(whole).encode()))
    # 3,333 of 10,000 of 9,400 micro are 3,133 micro: 940 are claimed, 1,000 x 6,267 micro are withheld.
    assert amounts(result, 1) == [("A", "uncovered", 1, -940), ("A", "suspense:offline", 1, 627)]
    assert [one.net_minor for one in result.positions] == [-313]


def test_a_discount_that_another_partner_funds_is_owed_as_it_is() -> None:
    sale = {"type": "receipt", "receipt_id": "R3", "partner_id": "A", "on": "2026-03-01",
            "funded": [{"partner_id": "C", "amount_minor": 250}]}  # fmt: skip
    assert amounts(settle(document(sale)), 1) == [("A", "discount_given", 1, -250), ("C", "discount_funded", 1, 250)]


BAD = {
    "settle.malformed": [{**SALE, "points": 5}],
    "settle.unknown_receipt": [{"type": "void", "of": "R9", "on": "2026-03-01"}],
    "settle.same_id": [SALE, {**SALE, "net_minor": 7}],
}


@pytest.mark.parametrize("code", BAD)
def test_a_file_that_cannot_be_settled_is_refused_with_its_code(code: str) -> None:
    with pytest.raises(Trouble) as refused:
        document(*BAD[code])
    assert refused.value.code == code


def test_a_malformed_file_names_the_place_in_it() -> None:
    with pytest.raises(Trouble, match=r"events\[0\]\.earned\[0\]"):
        document({**SALE, "earned": [{"points": -3}]})


def test_a_payment_of_a_partner_without_a_contract_is_refused() -> None:
    with pytest.raises(Trouble) as refused:
        document(SALE, payments=({"partner_id": "Z", "amount_minor": 1},))
    assert refused.value.code == "settle.unknown_partner"


def test_an_advance_above_the_funding_is_refused() -> None:
    whole = {"currency": "EUR", "contracts": [{**CONTRACTS[1], "advance_micro": 9501}], "events": []}
    with pytest.raises(BadTerms):
        read_document(msgspec.json.encode(whole))


def test_a_file_that_is_not_there_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Trouble) as refused:
        run(str(tmp_path / "none.json"), as_json=False)
    assert refused.value.code == "file.unreadable"
