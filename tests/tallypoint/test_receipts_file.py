"""A file of real receipts: every line in a receipt or set aside with its reason."""

from pathlib import Path

import pytest

from tallypoint.receipts_file import BadFile, BadMap, FileRead, read_map, read_receipts

FORTY = Path(__file__).parent / "forty_lines.csv"


@pytest.fixture
def forty() -> FileRead:
    return read_receipts(FORTY, read_map("online_retail.yaml"))


def test_every_line_is_in_a_receipt_or_set_aside_with_its_reason(forty):
    assert forty.read == 40
    assert forty.set_aside == {
        "stock write-off": 3,
        "amount not whole in minor units": 1,
        "negative line in a sale": 1,
    }
    assert sum(len(receipt.lines) for receipt in forty.receipts) == 35


def test_cancellations_are_returns_and_the_rest_are_sales(forty):
    assert [receipt.receipt_id for receipt in forty.receipts if receipt.is_return] == ["C700007", "C700011", "C700016"]
    assert len([receipt for receipt in forty.receipts if not receipt.is_return]) == 13


def test_a_line_costs_quantity_times_unit_price_exactly(forty):
    pencils = next(line for receipt in forty.receipts for line in receipt.lines if line.sku == "10009")
    assert (pencils.quantity_milli, pencils.amount_minor) == (100_000, 650)  # 100 x 0.065


def test_goods_that_come_back_are_counted_as_positive_lines(forty):
    back = next(receipt for receipt in forty.receipts if receipt.receipt_id == "C700007")
    assert [(line.quantity_milli, line.amount_minor) for line in back.lines] == [(12_000, 1020), (1000, 339)]


def test_the_same_line_twice_stays_two_lines(forty):
    first = forty.receipts[0]
    assert [line.line for line in first.lines] == [1, 2, 3, 4, 5]
    assert first.lines[2].sku == first.lines[3].sku == "10003"


def test_a_zero_price_is_sold_at_zero(forty):
    third = forty.receipts[2]
    assert [line.amount_minor for line in third.lines] == [255, 339, 0]


def test_a_receipt_without_a_customer_has_no_card(forty):
    assert [receipt.receipt_id for receipt in forty.receipts if receipt.card is None] == ["700003", "700010", "700014"]


def test_a_customer_becomes_a_card_number_with_its_luhn_digit(forty):
    # 982600 + 000020001 + the digit that makes the doubled sum 9+8*2.. a multiple of ten, worked out by hand: 3
    number = forty.receipts[0].card
    assert number is not None
    assert number[:15] == "982600000020001"
    digits = [int(digit) for digit in number]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[0::2]]
    assert (sum(doubled) + sum(digits[1::2])) % 10 == 0


def test_the_time_is_the_store_s_own(forty):
    assert forty.receipts[0].sold_at.isoformat() == "2010-12-01T12:00:00+00:00"


def test_a_line_whose_date_or_figure_cannot_be_read_is_set_aside(tmp_path):
    rows = ["InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID",
            "1,10001,Mug,1,12/1/2010 8:26,2.55,",
            "1,10002,Cup,1,01/12/2010,3.00,",
            "2,10001,Mug,NaN,01/12/2010,2.55,",
            "3,10001,Mug,1,01/12/2010,Infinity,"]  # fmt: skip
    (tmp_path / "odd.csv").write_text("\n".join(rows) + "\n")
    read = read_receipts(tmp_path / "odd.csv", read_map("online_retail.yaml"))
    assert (read.read, read.set_aside) == (4, {"not a date": 1, "not a number": 2})
    assert [[line.sku for line in receipt.lines] for receipt in read.receipts] == [["10002"]]


def test_a_column_that_is_missing_is_named(tmp_path):
    (tmp_path / "odd.csv").write_text("InvoiceNo,StockCode\n1,2\n")
    with pytest.raises(BadFile, match="CustomerID"):
        read_receipts(tmp_path / "odd.csv", read_map("online_retail.yaml"))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadFile, match=r"none\.csv"):
        read_receipts(tmp_path / "none.csv", read_map("online_retail.yaml"))


def test_an_unknown_map_says_which_maps_ship():
    with pytest.raises(BadMap, match=r"complete_journey\.yaml"):
        read_map("nowhere.yaml")


def test_a_map_with_an_unknown_word_is_refused(tmp_path):
    (tmp_path / "m.yaml").write_text("currency: GBP\ncolour: blue\n")
    with pytest.raises(BadMap, match=r"colour|columns"):
        read_map(str(tmp_path / "m.yaml"))


def test_the_whole_file_of_the_gift_retailer_adds_up_to_the_penny(real_data):
    file = real_data / "online_retail" / "online_retail_2010_12_01_to_05.csv.gz"
    read = read_receipts(file, read_map("online_retail.yaml"))
    sales = [receipt for receipt in read.receipts if not receipt.is_return]
    returns = [receipt for receipt in read.receipts if receipt.is_return]
    assert (read.read, len(sales), len(returns)) == (9999, 439, 43)
    assert read.set_aside == {"stock write-off": 30}
    assert sum(line.amount_minor for receipt in sales for line in receipt.lines) == 18_423_983
    assert sum(line.amount_minor for receipt in returns for line in receipt.lines) == 358_058
