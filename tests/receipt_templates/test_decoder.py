"""The decoder that the other tests believe, proven on the bytes of another encoder."""

import pytest
from escpos.printer import Dummy

from tests.support.escpos_decoder import Line, decode_escpos

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
