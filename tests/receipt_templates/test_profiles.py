"""Printers as data: numbers of pages as published tables have them, and the page that keeps most of a slip."""

import pytest
from escpos.capabilities import CAPABILITIES

from receipt_templates.as_escpos import print_job
from receipt_templates.blocks import Code, Pair, Text
from receipt_templates.profiles import PROFILES, page_for

# Ours → the name of another project's table of printers.
PUBLISHED = """
    epson-tm-t88v TM-T88V | epson-tm-t88iv TM-T88IV | epson-tm-t20ii TM-T20II | epson-tm-p80 TM-P80-42col
    epson-tm-u220 TM-U220 | star-tsp600 TSP600 | citizen-ct-s651 CT-S651 | rongta-rp326 RP326
    seiko-rp-f10-80 RP-F10-80mm | seiko-rp-f10-58 RP-F10-58mm | kefar-kr-306 KR-306 | wincor-th230 TH230
    wincor-th230-plus TH230Plus | metapace-t-1 T-1 | pbm-p822d P822D | sunmi-v2 Sunmi-V2
    netum-nt-5890k NT-5890K | zjiang-pos-5890 POS-5890 | zjiang-zj-5870 ZJ-5870
"""
NAMED = [pair.split() for row in PUBLISHED.strip().splitlines() for pair in row.split("|")]
GENERIC = {"generic-42", "wide-48", "narrow-32", "polish-42", "russian-42", "russian-48", "plain-42"}


@pytest.mark.parametrize(("name", "published"), NAMED)
def test_a_named_printer_is_as_a_published_table_has_it(name: str, published: str):
    ours, theirs = PROFILES[name], CAPABILITIES["profiles"][published]
    assert ours.columns == theirs["fonts"]["0"]["columns"]
    assert ours.native_qr == theirs["features"]["qrCode"]
    for encoding, number in ours.pages.items():
        assert theirs["codePages"][str(number)] == encoding.upper()
    cuts = theirs["features"]["paperFullCut"] or theirs["features"]["paperPartCut"]
    assert cuts or ours.cut == "none"


def test_every_printer_is_a_generic_one_or_in_that_table():
    assert set(PROFILES) == GENERIC | {name for name, _ in NAMED}


@pytest.mark.parametrize(
    ("text", "encoding", "number"),
    [
        ("Milk 1.20", "cp858", 19),
        ("São João", "cp858", 19),
        ("Łódź, żółw", "cp852", 18),
        ("Хлеб", "cp866", 17),
        ("Хлеб «Бородинский» №3", "cp866", 17),
        ("12 €", "cp858", 19),
        ("Łódź 12 €", "cp1250", 45),
        ("Ёлка 12 €", "cp1251", 46),
    ],
)
def test_a_slip_is_printed_in_the_page_that_keeps_most_of_its_letters(text: str, encoding: str, number: int):
    job = print_job([Pair(left=text, right="1")], PROFILES["epson-tm-t88v"])
    assert job.page == (encoding, number)
    assert (job.data[:7], job.data.count(b"\x1bt")) == (b"\x1b@\x1c.\x1bt" + bytes([number]), 1)
    assert (job.replaced, job.lost) == (0, 0)


def test_the_same_page_has_another_number_on_another_printer():
    told = [Text(text="Хлеб")]
    numbers = {name: page_for(told, PROFILES[name]).number for name in ("epson-tm-t88v", "star-tsp600", "rongta-rp326")}
    assert numbers == {"epson-tm-t88v": 17, "star-tsp600": 10, "rongta-rp326": 7}


def test_letters_that_no_page_of_the_printer_has_are_counted():
    job = print_job([Text(text="茶 żółw")], PROFILES["generic-42"])
    assert (job.replaced, job.lost) == (3, 1)
    assert job.data.endswith(b"? z\xa2lw\n")


def test_what_stands_in_for_a_code_counts_for_the_page():
    assert page_for([Code(kind="qr", data="x", fallback_text="żółw")], PROFILES["epson-tm-t88v"]).encoding == "cp852"
