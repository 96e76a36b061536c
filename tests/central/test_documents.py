"""A frozen statement as files: what was hashed, and CSV that no spreadsheet runs."""

import csv
import io
from collections.abc import Iterator
from datetime import date

import msgspec
import pytest

from central.ports import reading
from central.settlement.closing import close_period
from central.settlement.csv_text import Figure, csv_line
from central.settlement.documents import statement_csv
from central.settlement.issued import Statement, UnknownStatement, read_statement
from loyalty.facts.receipts import Funded
from tests.central.settling import NOW, SmallCentre, sale


@pytest.fixture
def made(central_url: str) -> Iterator[tuple[Statement, bytes]]:
    """C's statement of a November in which it granted 1,002 points, of which 1,000 were spent at D."""
    centre = SmallCentre(central_url)
    centre.book(sale("C", "C-1", earned=1_002))
    centre.book(sale("D", "D-1", spent=1_000))
    centre.book(sale("A", "A-1", funded=[Funded(partner_id="C", amount_minor=250)]), account_id=None)
    close_period(
        centre.engine, period_no=1, through=date(2026, 11, 30), now_ms=NOW, randomness=centre.randomness
    )  # fmt: skip
    with reading(centre.engine) as tx:
        yield read_statement(tx, "1:C")
    centre.engine.dispose()


def test_the_json_file_is_the_bytes_that_were_hashed_and_reads_back_whole(made: tuple[Statement, bytes]) -> None:
    statement, frozen = made
    assert frozen.startswith(b'{"type":"statement.v1","statement_id":"1:C"')
    assert (statement.total_minor, statement.annex_rows) == (1_321, 3)
    assert msgspec.json.encode(statement) == frozen


def test_the_csv_file_lists_each_line_and_the_total(made: tuple[Statement, bytes]) -> None:
    rows = list(csv.DictReader(io.StringIO("".join(statement_csv(made[0])))))
    shown = [(row["kind"], row["counterparty"], row["points"], row["amount"], row["residual_micro"]) for row in rows]
    assert shown == [
        ("fee", "operator", "1002", "1.20", "2400"),
        ("advance", "operator", "1002", "4.76", "-500"),
        ("funding", "D", "1000", "4.75", "0"),
        ("discount_funded", "A", "250", "2.50", "0"),
        ("total", "", "", "13.21", ""),
    ]


def test_every_row_of_the_csv_file_names_the_block_that_seals_its_last_entries(made: tuple[Statement, bytes]) -> None:
    sealed = msgspec.structs.replace(made[0], block_no=12, block_hash="ab" * 32)
    rows = list(csv.DictReader(io.StringIO("".join(statement_csv(sealed)))))
    assert {(row["block_no"], row["block_hash"]) for row in rows} == {("12", "ab" * 32)}
    assert len(rows) == 5
    # Where nothing was sealed yet there is no block to name.
    unsealed = list(csv.DictReader(io.StringIO("".join(statement_csv(made[0])))))
    assert {(row["block_no"], row["block_hash"]) for row in unsealed} == {("", "")}


def test_the_csv_file_with_decimal_commas_is_cut_by_semicolons(made: tuple[Statement, bytes]) -> None:
    rows = list(csv.DictReader(io.StringIO("".join(statement_csv(made[0], "comma"))), delimiter=";"))
    assert [row["amount"] for row in rows] == ["1,20", "4,76", "4,75", "2,50", "13,21"]


@pytest.mark.parametrize("text", ["=1+1", "+44", "-12", "@SUM(A1)", "\tx", "\r=x"])
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert next(csv.reader(io.StringIO(csv_line([text]), newline="")))[0] == f"'{text}"


def test_numbers_stay_numbers() -> None:
    assert csv_line([-12, Figure("-1.20"), None, "A-1"]) == "-12,-1.20,,A-1\r\n"


def test_a_cell_that_holds_a_separator_or_a_quote_stays_one_cell() -> None:
    assert csv_line(['a,b "c"', "d"]) == '"a,b ""c""",d\r\n'


def test_a_statement_that_was_never_issued_is_not_found(central_url: str) -> None:
    centre = SmallCentre(central_url)
    with reading(centre.engine) as tx, pytest.raises(UnknownStatement):
        read_statement(tx, "1:C")
    centre.engine.dispose()
