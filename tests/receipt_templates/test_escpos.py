"""Printer bytes: the page is set once, codes print where they can, and no value reaches the printer as a command."""

import pytest
from escpos.printer import Dummy

from receipt_templates.as_escpos import render_escpos
from receipt_templates.blocks import Block, Code, Cut, Feed, Pair, Text
from receipt_templates.profiles import PROFILES, UnknownProfile, profile_named
from receipt_templates.render import render
from tests.receipt_templates.escpos_decoder import Line, Seen, decode_escpos, pages_of
from tests.receipt_templates.samples import CODES, harbour, harbour_coupons

WIDE, NARROW, RUSSIAN = PROFILES["wide-48"], PROFILES["narrow-32"], PROFILES["russian-42"]


def printed(*blocks: Block, on: str = "wide-48") -> Seen:
    profile = PROFILES[on]
    return decode_escpos(render_escpos(blocks, profile), pages_of(profile))


def test_a_job_begins_with_reset_single_bytes_and_its_page():
    assert render_escpos([], WIDE) == b"\x1b@\x1c.\x1bt\x10"
    assert render_escpos([], RUSSIAN) == b"\x1b@\x1c.\x1bt\x11"


def test_a_whole_job_byte_by_byte():
    job = render_escpos([Text(text="Olá", bold=True), Pair(left="Café", right="5,00"), Cut()], NARROW)
    assert job == (
        b"\x1b@\x1c.\x1bt\x03"
        b"\x1bE\x01Ol\xa0\x1bE\x00\n"  # á is A0 on cp860
        b"Caf\x82                        5,00\n"  # é is 82; 4 + 24 + 4 = 32
        b"\x1bd\x05"  # no cutter: fed to where it can be torn
    )


def test_the_page_is_never_switched_inside_a_job():
    job = render(harbour(), "escpos", WIDE)
    assert (job.count(b"\x1b@"), job.count(b"\x1bt")) == (1, 1)


def test_the_headline_is_large_bold_and_centred_by_columns():
    line = printed(Text(text="Harbour Market", align="center", bold=True, size="large")).lines[0]
    # 14 letters of two columns leave 20 of 48: ten before.
    assert line == Line(text=" " * 10 + "Harbour Market", bold=True, width=2, height=2, columns=38)


def test_style_ends_with_its_line():
    tall, plain = printed(Text(text="TOTAL", bold=True, size="tall"), Text(text="Cash")).lines
    assert (tall.bold, tall.width, tall.height) == (True, 1, 2)
    assert (plain.bold, plain.width, plain.height) == (False, 1, 1)


def test_our_qr_code_is_that_of_another_encoder():
    other = Dummy(profile="TM-T88V")
    other.qr("A-2026-00917", ec=1, size=6, native=True)
    assert other.output in render_escpos([Code(kind="qr", data="A-2026-00917")], WIDE)


def test_codes_are_printed_centred_and_the_printer_goes_back_to_the_left():
    job = render_escpos([Code(kind="ean13", data="4006381333931"), Text(text="after")], WIDE)
    seen = decode_escpos(job, {16: "cp1252"})
    assert seen.codes == [("ean13", "4006381333931")]
    assert b"\x1ba\x01\x1dh" in job and job.endswith(b"\x00\x1ba\x00after\n")
    assert printed(Code(kind="code128", data="AB{12")).codes == [("code128", "AB{12")]


@pytest.mark.parametrize(
    ("code", "on"),
    [
        (Code(kind="qr", data="A-1", fallback_text="see A-1"), "narrow-32"),  # no native QR
        (Code(kind="ean13", data="400638133393", fallback_text="see A-1"), "wide-48"),  # twelve digits
        (Code(kind="ean13", data="4006381333932", fallback_text="see A-1"), "wide-48"),  # a printer would print nothing
        (Code(kind="code128", data="Łódź", fallback_text="see A-1"), "wide-48"),
        (Code(kind="code128", data="0123456789012345", fallback_text="see A-1"), "narrow-32"),  # wider than the paper
    ],
)
def test_a_code_that_cannot_be_printed_becomes_its_text(code: Code, on: str):
    seen = printed(code, on=on)
    assert [line.text.strip() for line in seen.lines] == ["see A-1"]
    assert seen.codes == []


def test_a_code_without_a_text_leaves_no_trace_where_it_cannot_be_printed():
    assert printed(Code(kind="qr", data="A-1"), Feed(lines=2), on="narrow-32").text == "\n"


def test_the_receipt_number_can_be_scanned():
    seen = decode_escpos(render(harbour(), "escpos", WIDE), {16: "cp1252"})
    assert (seen.codes, seen.cuts) == ([("qr", "A-2026-00917")], ["partial"])


def test_each_coupon_can_be_scanned_and_read_aloud():
    seen = decode_escpos(render(harbour_coupons(), "escpos", WIDE), {16: "cp1252"})
    assert seen.codes == [("qr", CODES[0]), ("qr", CODES[1]), ("qr", "A-2026-00917")]
    assert "TCCB 4S42 6G13 PRF4 9NDD 43RN 0A7Q XW5H ZJ" in seen.text
    assert decode_escpos(render(harbour_coupons(), "escpos", NARROW), {3: "cp860"}).codes == []


def test_control_bytes_of_any_text_never_reach_the_printer():
    seen = printed(Text(text="a\x1b@b\x1d\x56\x00c\x85\x9b"), Pair(left="\x10\x04\x01x", right="\x001"))
    assert [line.text for line in seen.lines] == ["a@bVc", "x" + " " * 46 + "1"]
    assert (seen.cuts, seen.warnings) == ([], [])


def test_an_unknown_profile_names_those_there_are():
    with pytest.raises(UnknownProfile, match=r"citizen-ct-s651, epson-tm-p80, .*, generic-42, "):
        profile_named("tm-t99")
