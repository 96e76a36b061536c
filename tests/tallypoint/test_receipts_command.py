"""`tallypoint receipts preview`: samples, files and receipts of a till's own folder, in every form."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from edge.identity import write_identity_file
from receipt_templates.profiles import PROFILES
from receipt_templates.sample_slips import samples
from tallypoint.cli import main
from tallypoint.receipts.escpos_listing import list_job
from tests.edge.rim import Rim, commit, identity
from tests.edge.test_exchanging import swap
from tests.receipt_templates.escpos_decoder import decode_escpos, pages_of

SALE = ["receipts", "preview", "--sample", "sale-en"]


def said(capsysbinary: pytest.CaptureFixture[bytes], *words: str) -> str:
    assert main(list(words)) == 0
    return capsysbinary.readouterr().out.decode()


@pytest.mark.parametrize("columns", ["16", "32", "42", "48", "64"])
def test_a_sample_is_printed_in_any_width(capsysbinary: pytest.CaptureFixture[bytes], columns: str):
    lines = said(capsysbinary, *SALE, "--columns", columns).splitlines()
    assert max(map(len, lines)) <= int(columns)
    assert "-" * int(columns) in lines


def test_a_sample_takes_another_language_and_becomes_a_copy(capsysbinary: pytest.CaptureFixture[bytes]):
    text = said(capsysbinary, *SALE, "--language", "ru", "--copy")
    assert text.count("*** КОПИЯ ***") == 2
    assert "ИТОГО                            15,48 GBP" in text


def test_the_page_is_a_whole_document(capsysbinary: pytest.CaptureFixture[bytes]):
    page = said(capsysbinary, *SALE, "--html", "--language", "pl")
    assert page.startswith('<!doctype html>\n<html lang="pl">') and "<svg" in page and "<script" not in page


def test_a_print_job_is_listed_in_words(capsysbinary: pytest.CaptureFixture[bytes]):
    lines = said(capsysbinary, *SALE, "--escpos", "--profile", "epson-tm-t88v").splitlines()
    assert [line.strip() for line in lines[:3]] == ["reset", "single-byte letters", "code page 19, cp858"]
    assert "| TOTAL                            GBP 15.48" in lines
    assert "  QR code A-2026-00917" in lines
    assert lines[-1] == "  partial cut"
    assert not [line for line in lines if line.startswith("  ?")]


def test_the_bytes_themselves_go_to_a_printer(capsysbinary: pytest.CaptureFixture[bytes]):
    assert main([*SALE, "--bytes", "--profile", "star-tsp600", "--language", "ru"]) == 0
    profile = PROFILES["star-tsp600"]
    seen = decode_escpos(capsysbinary.readouterr().out, pages_of(profile))
    assert (seen.cuts, seen.warnings) == (["partial"], [])
    assert "ИТОГО" in seen.text


def test_a_listing_shows_what_it_does_not_know():
    assert list_job(b"\x1b@\x1bt\x13ol\x82\n\x1bZ", {19: "cp858"}).splitlines() == [
        "  reset", "  code page 19, cp858", "| olé", "  ? 1b 5a",
    ]  # fmt: skip


def test_fiscal_lines_and_display(capsysbinary: pytest.CaptureFixture[bytes]):
    lines = said(capsysbinary, *SALE, "--fiscal", "--lines", "2").splitlines()
    assert lines[:2] == ["Points today: 134", "Points used: 200"]
    assert lines[2].startswith("(")
    assert said(capsysbinary, *SALE, "--display").splitlines()[1:3] == [
        "|BONUS           +134|", "|BALANCE        1,340|",
    ]  # fmt: skip


def test_a_view_of_one_s_own(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]):
    sample = Path("receipt_templates/samples/claim.json").read_text("utf-8")
    mine = tmp_path / "mine.json"
    mine.write_text(json.dumps({**json.loads(sample), "points": 7}), "utf-8")
    assert "Points for it" + " " * 27 + "+7" in said(capsysbinary, "receipts", "preview", "--json", str(mine))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], "receipts.nothing_to_preview"),
        (["--sample", "cake"], "receipts.unknown_sample"),
        (["--sample", "sale-en", "--columns", "12"], "receipts.nothing_to_preview"),
        (["--sample", "sale-en", "--profile", "x"], "printer.unknown_profile"),
        (["--sample", "sale-en", "--display", "--profile", "x"], "display.unknown_profile"),
        (["--receipt", "R-1"], "Name the till that keeps the receipt: --settings FILE"),
        (["--sample", "sale-en", "--to", "/no-such-folder/slip.txt"], "file.not_written"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_what_can(words: list[str], code: str, capsys: pytest.CaptureFixture[str]):
    assert main(["receipts", "preview", *words]) == 2
    assert code in capsys.readouterr().err


def test_a_file_that_is_no_slip_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    bad = tmp_path / "bad.json"
    bad.write_text('{"slip": "sale.v1"}', "utf-8")
    assert main(["receipts", "preview", "--json", str(bad)]) == 2
    told = capsys.readouterr()
    assert "receipts.bad_view" in told.err
    assert told.out == ""  # `--json` names a file here, and asks for nothing


def test_a_slip_that_needs_paper_of_its_own_has_no_fiscal_lines_and_says_so(capsysbinary: pytest.CaptureFixture[bytes]):
    assert main(["receipts", "preview", "--sample", "welcome", "--fiscal"]) == 0
    assert b"needs paper of its own" in capsysbinary.readouterr().out


class Ids(HTMLParser):
    """Headings and how many pages and papers a gallery has; every element closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[str] = []
        self.papers = self.svgs = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "hr", "path"):
            self.open.append(tag)
        self.papers += tag == "pre"
        self.svgs += tag == "svg"

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("path",):
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def test_the_gallery_shows_every_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    page = tmp_path / "gallery.html"
    assert main(["receipts", "preview", "--all", "--to", str(page)]) == 0
    read = Ids()
    read.feed(page.read_text("utf-8"))
    assert (read.open, read.headings) == ([], list(samples()))
    assert read.papers > 3 * len(samples()) and read.svgs > len(samples())


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but SQLite's shared memory, in which readers leave their marks."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}


def test_a_receipt_of_a_till_is_shown_from_its_folder_while_the_till_runs(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
):
    rim = Rim(tmp_path, in_files=True)
    write_identity_file(tmp_path, identity())
    text = rim.post("/v1/receipts", commit()).json["text"]
    rim.post("/v1/receipts/R1/void", {})
    before = contents(tmp_path)
    for name, value in (("DATA_DIR", str(tmp_path)), ("SHOP_NAME", "Café Central"), ("OFFSET_MIN", "60")):
        monkeypatch.setenv(f"TALLYPOINT_TILL_{name}", value)
    shown = said(capsysbinary, "receipts", "preview", "--receipt", "R1")
    # The end of the card is in the running till's memory alone, so one line is another.
    ours, theirs = shown.splitlines(), text.splitlines()
    assert [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b] == [
        ("YOUR POINTS", "YOUR POINTS" + " " * 24 + "...8903"),
    ]  # fmt: skip
    assert "VOID" in said(capsysbinary, "receipts", "preview", "--receipt", "void:R1")
    assert contents(tmp_path) == before
    assert main(["receipts", "preview", "--receipt", "R9"]) == 2


def test_an_exchange_and_a_close_of_a_till_are_shown_too(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
):
    rim = Rim(tmp_path, in_files=True)
    write_identity_file(tmp_path, identity())
    rim.post("/v1/receipts", commit())
    rim.post("/v1/exchanges", swap())
    rim.post("/v1/day-close", {"business_date": "2026-03-05"})
    monkeypatch.setenv("TALLYPOINT_TILL_DATA_DIR", str(tmp_path))
    exchange = said(capsysbinary, "receipts", "preview", "--receipt", "X1", "--language", "pl")
    assert "WYMIANA" in exchange and "DOPŁATA                           6,40 EUR" in exchange
    page = said(capsysbinary, "receipts", "preview", "--receipt", "till_close:2026-03-05", "--html")
    assert "TILL CLOSE" in page and "19.40" in page


def test_a_folder_without_a_till_is_said_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TALLYPOINT_TILL_DATA_DIR", str(tmp_path))
    assert main(["receipts", "preview", "--receipt", "R1"]) == 3
    assert "service.not_enrolled" in capsys.readouterr().err
