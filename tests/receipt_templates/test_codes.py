"""Codes come out so that another decoder reads just what went in: from the page, and from what the printer is sent."""

import pytest
import segno
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st

from receipt_templates.as_escpos import render_escpos
from receipt_templates.as_svg import svg_of
from receipt_templates.blocks import Code
from receipt_templates.codes import bars, fits, qr_dots
from receipt_templates.compose import blocks_of
from receipt_templates.profiles import PROFILES
from receipt_templates.sample_slips import sample_named
from tests.receipt_templates.escpos_decoder import decode_escpos, pages_of
from tests.receipt_templates.scanning import scanned, svg_picture

WIDE = PROFILES["wide-48"]
FORMATS = {"qr": zxingcpp.BarcodeFormat.QRCode, "ean13": zxingcpp.BarcodeFormat.EAN13,
           "code128": zxingcpp.BarcodeFormat.Code128}  # fmt: skip
CODES = [
    (Code(kind="qr", data="A-2026-00917"), "]Q1"),
    (Code(kind="qr", data="https://loyalty.example/c/k3pw7q2mx9t04a"), "]Q1"),
    (Code(kind="qr", data="TCCB4S426G13PRF49NDD43RN0A7QXW5HZJ"), "]Q1"),
    (Code(kind="ean13", data="4006381333931"), "]E0"),
    (Code(kind="ean13", data="2000417731922"), "]E0"),
    (Code(kind="code128", data="GC-7781-0042"), "]C0"),
    (Code(kind="code128", data="AB{12 ~!"), "]C0"),
]


@pytest.mark.parametrize(("code", "aim"), CODES)
def test_a_code_on_a_page_is_read_back(code: Code, aim: str):
    assert scanned(svg_picture(svg_of(code))) == (code.data, aim)


@pytest.mark.parametrize(("code", "aim"), CODES)
def test_a_code_that_a_printer_was_sent_is_read_back(code: Code, aim: str):
    (printed,) = decode_escpos(render_escpos([code], WIDE), pages_of(WIDE)).codes
    drawn = zxingcpp.create_barcode(printed[1], FORMATS[printed[0]]).to_image(scale=4)
    (found,) = zxingcpp.read_barcodes(drawn)
    assert (found.text, found.symbology_identifier) == (code.data, aim)


@settings(max_examples=60, deadline=None)
@given(first=st.integers(min_value=0, max_value=9), rest=st.text("0123456789", min_size=11, max_size=11))
def test_every_first_digit_of_an_ean_is_drawn_right(first: int, rest: str):
    digits = f"{first}{rest}"
    even, odd = sum(map(int, digits[1::2])), sum(map(int, digits[::2]))
    data = f"{digits}{-(3 * even + odd) % 10}"
    assert scanned(svg_picture(svg_of(Code(kind="ean13", data=data)))) == (data, "]E0")


@settings(max_examples=60, deadline=None)
@given(data=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=24))
def test_any_code_128_is_drawn_right(data: str):
    assert scanned(svg_picture(svg_of(Code(kind="code128", data=data))))[0] == data


@settings(max_examples=40, deadline=None)
@given(data=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=12, max_size=200))
def test_any_qr_code_is_drawn_right(data: str):
    assert scanned(svg_picture(svg_of(Code(kind="qr", data=data))))[0] == data


def test_a_new_member_s_card_can_be_scanned_from_paper_and_from_the_page():
    welcome = sample_named("welcome")
    seen = decode_escpos(render_escpos(blocks_of(welcome), WIDE), pages_of(WIDE))
    assert seen.codes == [("ean13", "2000417731922"), ("qr", "https://loyalty.example/c/k3pw7q2mx9t04a")]
    drawn = [svg_of(block) for block in blocks_of(welcome) if isinstance(block, Code)]
    assert [scanned(svg_picture(svg))[0] for svg in drawn] == [data for _, data in seen.codes]


@pytest.mark.parametrize(
    ("code", "dots", "fit"),
    [
        (Code(kind="qr", data="A-1"), 174, 6),  # version 1: 21 modules and 8 around, six dots each
        (Code(kind="qr", data="A-1"), 173, 5),
        (Code(kind="qr", data="A-1"), 86, 0),  # 29 modules of three dots are 87
        (Code(kind="qr", data="x" * 2331), 576, 3),  # version 40: 177 and 8 around, 555 dots
        (Code(kind="qr", data="x" * 2332), 5000, 0),  # more than any symbol holds at this level
        (Code(kind="qr", data=""), 576, 0),
    ],
)
def test_a_qr_code_is_as_large_as_the_paper_lets_it_be(code: Code, dots: int, fit: int):
    assert qr_dots(code.data, dots) == fit
    assert fits(code, dots) == bool(fit)


def test_a_symbol_holds_what_a_second_opinion_says_it_does():
    for version in range(1, 41):
        side = 17 + 4 * version + 8
        most = next(n for n in range(2400, 0, -1) if qr_dots("x" * n, 3 * side) == 3)
        assert segno.make_qr(b"x" * most, error="m", boost_error=False, mode="byte").version == version
        if version < 40:
            assert segno.make_qr(b"x" * (most + 1), error="m", boost_error=False, mode="byte").version == version + 1


@pytest.mark.parametrize("code", [Code(kind="ean13", data="400638133393"), Code(kind="code128", data="Łódź")])
def test_what_makes_no_code_is_not_drawn(code: Code):
    assert (bars(code), svg_of(code)) == ("", "")
