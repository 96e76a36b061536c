"""The decoder that the other tests believe, proven on the bytes of two other encoders."""

from pathlib import Path

import pytest
from escpos.printer import Dummy

from tests.receipt_templates.escpos_decoder import Line, Seen, decode_escpos
from tests.receipt_templates.scanning import picture_of, scanned

PAGES = {2: "cp850", 3: "cp860", 13: "cp857", 15: "iso8859_7", 16: "cp1252", 17: "cp866", 18: "cp852", 19: "cp858"}


@pytest.fixture
def printer() -> Dummy:
    return Dummy(profile="TM-T88V")


def test_letters_of_three_alphabets_on_pages_switched_within_a_line(printer: Dummy):
    printer.textln("Łódź")
    printer.textln("Привет João €")
    seen = decode_escpos(printer.output, PAGES)
    assert [line.text for line in seen.lines] == ["Łódź", "Привет João €"]
    assert seen.warnings == []


def test_style_belongs_to_its_line(printer: Dummy):
    printer.set(bold=True, align="center", double_width=True, double_height=True)
    printer.textln("LOUD")
    printer.set_with_default()
    printer.textln("quiet")
    loud, quiet = decode_escpos(printer.output, PAGES).lines
    assert loud == Line(text="LOUD", bold=True, width=2, height=2, align="center", columns=8)
    assert quiet == Line(text="quiet", bold=False, width=1, height=1, align="left", columns=5)


def test_codes_cuts_and_the_drawer_are_seen(printer: Dummy, capsys: pytest.CaptureFixture[str]):
    printer.qr("A-2026-00917", native=True, size=6)
    printer.barcode("4006381333931", "EAN13", function_type="A")
    printer.barcode("{BAB{{12", "CODE128", function_type="B", check=False)
    printer.cashdraw(2)
    printer.cut()
    capsys.readouterr()  # it tells the standard output which renderer it took
    seen = decode_escpos(printer.output, PAGES)
    assert seen.codes == [("qr", "A-2026-00917"), ("ean13", "4006381333931"), ("code128", "AB{12")]
    assert (seen.cuts, seen.drawer, seen.warnings) == (["full"], 1, [])


def test_a_reset_takes_the_printer_back_to_its_default_page(printer: Dummy):
    printer.textln("Łódź")
    printer.hw("INIT")
    printer.textln("Łódź")  # python-escpos 3.1 believes that the page is still set
    first, second = decode_escpos(printer.output, PAGES).lines
    assert first.text == "Łódź"
    assert second.text == "¥ód½"


@pytest.mark.parametrize(
    ("data", "warning"),
    [
        (b"\x07", "control byte 07 before byte 1"),
        (b"\x1b\x7f", "unknown command 1b 7f before byte 2"),
        (b"\x1bt\x63", "page 99 is not in the printer's table before byte 3"),
        (b"\x1bt\x10\x81", "byte 81 is not on page cp1252 before byte 4"),
        (b"\x1d!", "the job ends inside a command before byte 2"),
    ],
)
def test_what_it_does_not_know_is_a_warning(data: bytes, warning: str):
    assert decode_escpos(data, PAGES).warnings == [warning]


JOBS = Path(__file__).parent / "receiptline"


def other_job(name: str) -> Seen:
    return decode_escpos(bytes.fromhex((JOBS / f"{name}.hex").read_text("ascii")), {**PAGES, 0: "cp437", 1: "cp932"})


def test_a_second_encoder_s_lines_stand_in_their_columns():
    seen = other_job("plain-cp437")
    # 42 columns: 14 large letters take 28, so 7 stand before them; the pair of sizes ends at the right edge.
    assert [line.text for line in seen.lines[:2]] == [" " * 7 + "Harbour Market", " " * 14 + "12 Quay Street"]
    assert [line.text for line in seen.lines[3:5]] == [
        " " * 6 + "Whole milk 1 L" + " " + "2.90",
        " " * 15 + "TOTAL" + " " + "15.48",
    ]
    # Its rule is drawn in Katakana's page, of which Python has no name: 42 letters that we cannot read.
    assert {warning.split(" before")[0] for warning in seen.warnings} == {"byte 95 is not on page cp932"}
    assert len(seen.warnings) == 42


def test_a_second_encoder_s_styles_are_seen():
    lines = other_job("plain-cp437").lines
    assert (lines[0].width, lines[0].height, lines[0].bold) == (2, 2, False)
    assert (lines[4].bold, lines[5].underline, lines[5].inverted) == (True, True, False)


def test_a_second_encoder_s_letters_of_three_alphabets():
    assert [" ".join(line.text.split()) for line in other_job("letters-multilingual").lines[:2]] == [
        "São João € 12", "Łódź żółw 1",
    ]  # fmt: skip
    assert [" ".join(line.text.split()) for line in other_job("russian-cp866").lines[:2]] == [
        "Хлеб 3,20",
        "ИТОГО 15,48",
    ]
    assert [" ".join(line.text.split()) for line in other_job("polish-cp852").lines[:2]] == ["Łódź 3,20", "żółw 1"]


def test_a_second_encoder_s_codes_are_seen_and_its_picture_of_one_can_be_scanned():
    seen = other_job("codes-cp437")
    assert [scanned(picture_of(one)) for one in seen.pictures] == [("A-2026-00917", "]Q1")]
    # It leaves the check digit of an EAN to the printer.
    assert seen.codes == [("ean13", "400638133393"), ("code128", "AB-12")]
    assert (seen.cuts, seen.warnings) == (["partial", "partial"], [])
