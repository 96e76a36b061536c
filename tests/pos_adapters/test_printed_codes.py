"""Printed symbols, read by an independent decoder as a scanner with AIM ids sends them, are the cards they carry."""

import pytest
import zxingcpp
from zxingcpp import BarcodeFormat as Format

from loyalty.cards.wallet_codes import sign_app_code
from pos_adapters.readers.shipped import make_profile
from tests.loyalty.test_cards_wallet import APP_RULES, NOW_MS, PRIVATE, STEP
from tests.pos_adapters.dialects import DialectBench

GSRN = "735005385000000011"
ELEMENTS = f"(8018){GSRN}"
LINK = f"https://id.example.org/8018/{GSRN}"

SYMBOLS = [
    # symbol, text, GS1 or not, AIM id, what it is
    (Format.EAN13, "2037215727383", False, "]E0", "card ean13 2037215727383"),
    (Format.UPCA, "420000000013", False, "]E0", "card ean13 0420000000013"),
    (Format.EAN13, "4006381333931", False, "]E0", "code 4006381333931"),
    (Format.EAN8, "96385074", False, "]E4", "code 96385074"),
    (Format.Code128, "9826300000000015", False, "]C0", "card luhn 9826300000000015"),
    (Format.Code39, "9826300000000015", False, "]A0", "card luhn 9826300000000015"),
    (Format.Codabar, "A9826300000000015B", False, "]F0", "card luhn 9826300000000015"),
    (Format.Codabar, "A12345C", False, "]F0", "code A12345C"),
    (Format.ITF, "9826300000000015", False, "]I0", "card luhn 9826300000000015"),
    (Format.QRCode, "9826300000000015", False, "]Q1", "card luhn 9826300000000015"),
    (Format.PDF417, "9826300000000015", False, "]L2", "card luhn 9826300000000015"),
    (Format.Aztec, "9826300000000015", False, "]z0", "card luhn 9826300000000015"),
    (Format.DataMatrix, "9826300000000015", False, "]d1", "card luhn 9826300000000015"),
    (Format.Code128, ELEMENTS, True, "]C1", f"card gsrn {GSRN}"),
    (Format.QRCode, ELEMENTS, True, "]Q3", f"card gsrn {GSRN}"),
    (Format.DataMatrix, ELEMENTS, True, "]d2", f"card gsrn {GSRN}"),
    (Format.QRCode, f"{ELEMENTS}(8019)12", True, "]Q3", f"card gsrn {GSRN}"),
    (Format.DataMatrix, f"(10)LOT7{ELEMENTS}", True, "]d2", f"card gsrn {GSRN}"),
    (Format.QRCode, LINK, False, "]Q1", f"card gsrn {GSRN}"),
    (Format.DataMatrix, LINK, False, "]d1", f"card gsrn {GSRN}"),
    (Format.QRCode, "4242424242424242", False, "]Q1", "payment_card"),
]


def scanned(symbol: Format, text: str, *, gs1: bool = False) -> tuple[str, bytes]:
    """What a scanner sends of a printed symbol: the AIM id, and the data."""
    image = zxingcpp.create_barcode(text, symbol, gs1=gs1).to_image(scale=4)
    (read,) = zxingcpp.read_barcodes(image)
    return read.symbology_identifier, read.bytes


@pytest.mark.parametrize(("symbol", "text", "gs1", "aim", "what"), SYMBOLS)
def test_a_printed_symbol_is_what_it_carries(symbol, text, gs1, aim, what):
    identifier, data = scanned(symbol, text, gs1=gs1)
    assert identifier == aim
    bench = DialectBench(make_profile({"profile": "generic", "port": "x"}))
    bench.send(identifier.encode() + data + b"\r", 0)
    assert bench.meanings() == [what]


def test_a_signed_code_fits_a_qr_code_and_is_read_back():
    code = sign_app_code(PRIVATE, 7, "9826300000000015", STEP)
    identifier, data = scanned(Format.QRCode, code)
    assert (identifier, data) == ("]Q1", code.encode())
    bench = DialectBench(make_profile({"profile": "generic", "port": "x"}), rules=APP_RULES, now_ms=NOW_MS)
    bench.send(b"]Q1" + data + b"\r", 0)
    assert bench.meanings() == ["card luhn 9826300000000015"]
