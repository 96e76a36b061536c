"""Slips of what a POS or page knows: laid out with the till's name, printed once, and kept nowhere."""

import re
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from loyalty.programme.programme import read_programme
from receipt_templates.profiles import PROFILES
from receipt_templates.slip_views import CertificateView, WelcomeView
from receipt_templates.view import Shop
from tests.edge.paper import FarEnd, wait_until
from tests.edge.rim import CARD as MEMBER
from tests.edge.rim import PAYMENT, PROGRAMME, Rim
from tests.receipt_templates.escpos_decoder import decode_escpos, pages_of
from tests.receipt_templates.scanning import scanned, svg_picture

CARD = "2000417731922"
WELCOME = {
    "number": "E-1",
    "card_number": CARD,
    "confirm_code": "k3pw 7q2m",
    "confirm_url": "https://x.example/c/k3pw7q2m",
}
SOLD = {
    "what": "sold",
    "currency": "EUR",
    "amount_minor": 5000,
    "code": "GC-7781-0042",
    "through": "2027-03-05",
    "waits": True,
}
CLAIM = {"number": "L-1", "of_number": "R-17", "points": 12, "last4": "8903"}


@pytest.fixture
def rim(tmp_path: Path) -> Rim:
    return Rim(tmp_path, receipt_profile="epson-tm-t88v", in_files=True)


def rows(said: Any) -> list[str]:
    return [" ".join(row.split()) for row in said["text"].splitlines()]


def test_a_new_card_can_be_scanned_off_the_paper_and_off_the_page(rim: Rim):
    said = rim.post("/v1/slips/welcome", WELCOME).json
    assert rows(said)[:3] == ["Café Central", "", "WELCOME"]
    assert CARD in rows(said) and "k3pw 7q2m" in rows(said)
    seen = decode_escpos(b64decode(said["escpos"]), pages_of(PROFILES["epson-tm-t88v"]))
    assert seen.codes == [("ean13", CARD), ("qr", "https://x.example/c/k3pw7q2m")]
    drawn = re.findall("<svg.*?</svg>", said["html"])
    assert [scanned(svg_picture(svg)) for svg in drawn] == [(CARD, "]E0"), ("https://x.example/c/k3pw7q2m", "]Q1")]
    assert said["printed"] is False


@pytest.mark.parametrize(
    ("given", "drawn", "carrier"),
    [
        ("9826300000000015", "9826300000000015", "]C0"),
        # This company's prefix begins like Maestro's, and these eighteen digits have a right Luhn digit.
        ("8018501234500000000095", "https://id.gs1.org/8018/501234500000000095", "]Q1"),
    ],
    ids=["luhn", "gsrn"],
)
def test_a_number_of_any_range_can_be_scanned_and_typed_off_the_paper(
    rim: Rim, given: str, drawn: str, carrier: str
) -> None:
    ranges = '[{kind: luhn, prefix: "982630", length: 16}, {kind: gsrn, prefix: "5012345"}]'
    rim.cache.load_programme(read_programme(PROGRAMME.replace('[{kind: ean13, prefix: "20"}]', ranges)))
    said = rim.post("/v1/slips/welcome", {"number": "E-1", "card_number": given}).json
    assert given in rows(said)
    (svg,) = re.findall("<svg.*?</svg>", said["html"])
    assert scanned(svg_picture(svg)) == (drawn, carrier)
    for body in ({"card": given, "keyed": True}, {"card": drawn, "aim": carrier}):
        assert rim.post("/v1/cards/identify", body).json["outcome"] == "card"


def test_a_certificate_sold_says_what_it_is_worth_until_when_and_that_it_waits(rim: Rim):
    told = rows(rim.post("/v1/slips/certificate", SOLD).json)
    assert "Value EUR 50.00" in told and "Good through 5 Mar 2027" in told and "GC-7781-0042" in told
    assert "It can be used once this till has reached head office." in " ".join(told)


def test_a_certificate_used_shows_its_end_and_what_is_left(rim: Rim):
    body = {"what": "redeemed", "currency": "EUR", "amount_minor": 1250, "left_minor": 3750, "ending": "…0042"}
    told = rows(rim.post("/v1/slips/certificate", body).json)
    assert "Used now EUR 12.50" in told and "Left on it EUR 37.50" in told and "Gift certificate ...0042" in told
    assert not [row for row in told if "Keep this slip" in row]


@pytest.mark.parametrize(
    ("language", "state", "wanted"),
    [
        ("en", "provisional", "The points are added when head office has checked the receipt."),
        ("pl", "granted", "Punkty są już na Twoim koncie."),
        ("ru", "refused", "Центр решил, что за этот чек баллы не положены."),
        ("pt-BR", "provisional", "Os pontos entram quando a central conferir o recibo."),
    ],
)
def test_a_claim_says_how_it_stands(rim: Rim, language: str, state: str, wanted: str):
    told = rows(rim.post("/v1/slips/claim", {**CLAIM, "language": language, "state": state}).json)
    assert wanted in " ".join(told)
    assert ("+12" in " ".join(told)) == (state != "refused")


def test_a_balance_is_a_slip_too_in_the_language_that_is_asked_for(rim: Rim):
    told = rows(rim.post("/v1/slips/balance", {"card": MEMBER, "language": "pl"}).json)
    assert "TWOJE SALDO" in told and "Saldo 1 240 punktów" in told and "Twoja karta ...8903" in told
    assert rim.post("/v1/slips/balance", {"card": "4006381333931"}).status_code == 422


def test_a_slip_in_training_says_so_at_both_ends(rim: Rim):
    assert rows(rim.post("/v1/slips/claim", {**CLAIM, "training": True}).json).count("*** TRAINING ***") == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/slips/claim", {}),
        ("/v1/slips/certificate", {**SOLD, "currency": "euro"}),
        ("/v1/slips/welcome", {**WELCOME, "card": CARD}),
        ("/v1/slips/welcome", {**WELCOME, "confirm_url": "javascript:alert(1)"}),
    ],
)
def test_what_is_no_slip_is_refused(rim: Rim, path: str, body: dict[str, Any]):
    assert rim.post(path, body).status_code in (400, 422)


def test_a_payment_card_is_never_printed(rim: Rim):
    said = rim.post("/v1/slips/welcome", {**WELCOME, "card_number": PAYMENT}).json
    assert PAYMENT not in said["text"] and PAYMENT not in said["html"]


def test_of_a_swipe_with_a_payment_card_beside_ours_only_ours_is_printed(rim: Rim):
    swipe = f"%B{CARD}^MEMBER/A^9912?;{PAYMENT}=9912?"
    said = rim.post("/v1/slips/welcome", {**WELCOME, "card_number": swipe}).json
    assert PAYMENT not in said["text"] and PAYMENT not in said["html"]
    assert CARD in rows(said)


def test_nothing_of_a_slip_is_kept(rim: Rim, tmp_path: Path):
    rim.post("/v1/slips/welcome", WELCOME)
    rim.post("/v1/slips/certificate", SOLD)
    rim.journal.checkpoint()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    for path in files:
        kept = path.read_bytes()
        assert CARD.encode() not in kept and b"7781" not in kept and b"k3pw" not in kept
    assert CARD not in repr(_view(WelcomeView, card_number=CARD))
    assert "7781" not in repr(_view(CertificateView, what="sold", code="GC-7781-0042"))


def _view(kind: Any, **more: Any) -> Any:
    shop = Shop(name="x", currency="EUR")
    at = datetime(2026, 3, 5, tzinfo=UTC)
    return kind(language="en", shop=shop, currency="EUR", number="1", till_id="3", sold_at=at, **more)


@pytest.fixture
def printer(tmp_path: Path) -> Iterator[FarEnd]:
    far = FarEnd(tmp_path / "printer")
    yield far
    far.pull_out()


def test_a_slip_goes_to_the_till_s_own_printer_where_that_is_asked_for(tmp_path: Path, printer: FarEnd):
    rim = Rim(tmp_path, printer_port=str(printer.path), receipt_profile="epson-tm-t88v")
    rim.peripherals.start()
    try:
        assert rim.post("/v1/slips/claim", CLAIM).json["printed"] is False
        assert rim.post("/v1/slips/welcome", {**WELCOME, "print": True}).json["printed"] is True
        pages = pages_of(PROFILES["epson-tm-t88v"])
        wait_until(lambda: decode_escpos(printer.taken(), pages).cuts == ["partial"], "one slip")
        assert "WELCOME" in decode_escpos(printer.taken(), pages).text
    finally:
        rim.peripherals.stop()
