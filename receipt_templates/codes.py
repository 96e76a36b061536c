"""Codes to scan: how wide they come out, whether they fit, and their bars and modules for what draws them itself.

Source: ISO/IEC 18004 (QR, by segno), ISO/IEC 15420 (EAN-13), ISO/IEC 15417 (Code 128, set B).
"""

import re
from bisect import bisect_left

import segno
from segno.encoder import DataOverflowError

from loyalty.cards.check_digits import gs1_digit
from receipt_templates.blocks import Code

QR_DOTS = (6, 5, 4, 3)  # dots a module, the largest that fits; below three, cheap heads smear them together
BAR_DOTS = 2
# Bytes that each version of the symbol holds at level M, 1 to 40.
_QR_BYTES = (
    14, 26, 42, 62, 84, 106, 122, 152, 180, 213, 251, 287, 331, 362, 412, 450, 504, 560, 624, 666, 711, 779, 857, 911,
    997, 1059, 1125, 1190, 1264, 1370, 1452, 1538, 1628, 1722, 1809, 1911, 1989, 2099, 2213, 2331,
)  # fmt: skip
_EAN_MODULES = 113  # 95 and the quiet zones: 11 left, 7 right

_L = "0001101 0011001 0010011 0111101 0100011 0110001 0101111 0111011 0110111 0001011".split()
_PARITY = "LLLLLL LLGLGG LLGGLG LLGGGL LGLLGG LGGLLG LGGGLL LGLGLG LGLGGL LGGLGL".split()
# Widths of bar, space, bar, space, bar, space for each value; the last is the stop, of seven.
_CODE128 = """
    212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231 113222
    123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211 212123 212321
    232121 111323 131123 131321 112313 132113 132311 211313 231113 231311 112133 112331 132131 113123 113321 133121
    313121 211331 231131 213113 213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224
    111422 121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 241112 134111
    111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113
    114311 411113 411311 113141 114131 311141 411131 211412 211214 211232 2331112
""".split()
_START_B, _STOP = 104, 106


def fits(code: Code, dots: int) -> bool:
    """Whether a code can be printed as it is, within so many dots: its data are such, and it is not too wide."""
    if code.kind == "qr":
        return bool(qr_dots(code.data, dots))
    if code.kind == "ean13":
        # A printer prints nothing at all where the check digit is wrong.
        right = re.fullmatch("[0-9]{13}", code.data) is not None and gs1_digit(code.data[:-1]) == code.data[-1]
        return right and dots >= _EAN_MODULES * BAR_DOTS
    # Start, check and stop symbols, 11 modules a character.
    modules = 11 * (len(code.data) + 2) + 13
    return re.fullmatch("[ -~]{1,120}", code.data) is not None and modules * BAR_DOTS <= dots


def qr_dots(data: str, dots: int) -> int:
    """Dots for a module, so that the symbol fits so many dots with its quiet zone; 0 where it cannot.

    Data are counted as bytes; a printer that packs digits closer makes a symbol that is smaller still.
    """
    version = bisect_left(_QR_BYTES, len(data.encode())) + 1
    if not data or version > len(_QR_BYTES):
        return 0
    side = 17 + 4 * version + 8
    return next((module for module in QR_DOTS if side * module <= dots), 0)


def qr_modules(data: str) -> tuple[bytes, ...]:
    """Rows of a QR symbol at level M, 1 for dark, without its quiet zone; none where no symbol holds the data."""
    try:
        return tuple(bytes(row) for row in segno.make_qr(data, error="m", boost_error=False).matrix) if data else ()
    except DataOverflowError:
        return ()


def bars(code: Code) -> str:
    """Modules of a barcode, `1` for dark, without its quiet zones; empty where its data are not such.

    Args:
        code: an EAN-13 or a Code 128.
    """
    if not fits(code, 10_000):
        return ""
    return _ean13(code.data) if code.kind == "ean13" else _code128(code.data)


def _ean13(digits: str) -> str:
    left = "".join(
        _L[int(digit)] if parity == "L" else _reversed(_L[int(digit)])
        for digit, parity in zip(digits[1:7], _PARITY[int(digits[0])], strict=True)
    )
    right = "".join(_inverted(_L[int(digit)]) for digit in digits[7:])
    return f"101{left}01010{right}101"


def _inverted(modules: str) -> str:
    return modules.translate(str.maketrans("01", "10"))


def _reversed(modules: str) -> str:
    """Set G: set R read from the right, which is set L inverted."""
    return _inverted(modules)[::-1]


def _code128(text: str) -> str:
    values = [_START_B, *(ord(char) - 32 for char in text)]
    check = (_START_B + sum(place * value for place, value in enumerate(values[1:], start=1))) % 103
    widths = "".join(_CODE128[value] for value in (*values, check, _STOP))
    return "".join(("1" if at % 2 == 0 else "0") * int(width) for at, width in enumerate(widths))
