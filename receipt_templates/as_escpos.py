"""Blocks as printer bytes. The page is chosen once, at the start of the job, and never again.

Resetting or switching pages inside a job is where letters get lost: after `ESC @` a printer is back at its default
page, and some print a blank at every switch. Source: devices-and-receipts.md D1, D3.
"""

import re
from collections.abc import Iterable

from receipt_templates.blocks import Block, Code, Feed, Size, Text
from receipt_templates.layout import Row, indent_of, lay_out
from receipt_templates.printable import printable
from receipt_templates.profiles import PrinterProfile

_START = b"\x1b@\x1c."  # initialise; no double-byte characters
_SIZE: dict[Size, bytes] = {"normal": b"\x1d!\x00", "tall": b"\x1d!\x01", "large": b"\x1d!\x11"}
_BOLD, _PLAIN = b"\x1bE\x01", b"\x1bE\x00"
_CENTER, _LEFT = b"\x1ba\x01", b"\x1ba\x00"
# The cutter sits above the head: the paper is fed first, else the last lines stay on the next receipt.
_CUT = {"none": b"\x1bd\x05", "partial": b"\x1dVB\x00", "full": b"\x1dVA\x00"}
_MODULE = {"qr": 6, "bar": 2}  # dots
_DOTS_PER_COLUMN = 12  # font A
_QR_MOST = 2331  # bytes that the largest symbol holds at level M


def render_escpos(blocks: Iterable[Block], profile: PrinterProfile) -> bytes:
    """One complete print job.

    Args:
        profile: of the printer that gets the bytes; its encoding decides which letters can be kept.
    """
    out = bytearray(_START + b"\x1bt" + bytes([profile.page]))
    shown = (_shown(block, profile) for block in printable(blocks, profile.encoding))
    for piece in lay_out(shown, profile.columns, codes=("qr", "ean13", "code128")):
        if isinstance(piece, Row):
            out += _row(piece, profile)
        elif isinstance(piece, Code):
            out += _CENTER + _code(piece) + _LEFT
        else:
            out += _CUT[profile.cut]
    return bytes(out)


def _row(row: Row, profile: PrinterProfile) -> bytes:
    """A line that leaves the printer as it found it: normal size, not bold. The indent is of normal width."""
    text = row.text.encode(profile.encoding)
    before, after = b" " * indent_of(row, profile.columns, scale=2 if row.size == "large" else 1), b""
    if row.bold:
        before, after = before + _BOLD, _PLAIN
    if row.size != "normal":
        before, after = before + _SIZE[row.size], _SIZE["normal"] + after
    return before + text + after + b"\n"


def _shown(block: Block, profile: PrinterProfile) -> Block:
    """A code that this printer cannot print, or that would not fit its paper, as the text that stands in for it."""
    if isinstance(block, Code) and not _fits(block, profile):
        return Text(text=block.fallback_text, align="center") if block.fallback_text else Feed(lines=0)
    return block


def _fits(code: Code, profile: PrinterProfile) -> bool:
    if code.kind == "qr":
        return profile.native_qr and 0 < len(code.data.encode()) <= _QR_MOST
    if code.kind == "ean13":
        return re.fullmatch(r"[0-9]{13}", code.data) is not None
    # Start, check and stop symbols, 11 modules a character.
    modules = 11 * (len(code.data) + 2) + 13
    return (
        re.fullmatch(r"[ -~]{1,120}", code.data) is not None
        and modules * _MODULE["bar"] <= profile.columns * _DOTS_PER_COLUMN
    )


def _code(code: Code) -> bytes:
    if code.kind == "qr":
        return _qr(code.data.encode())
    bars = b"\x1dh\x50\x1dw" + bytes([_MODULE["bar"]]) + b"\x1dH\x02"  # 80 dots high, digits below
    if code.kind == "ean13":
        return bars + b"\x1dk\x02" + code.data.encode("ascii") + b"\x00"
    data = b"{B" + code.data.encode("ascii").replace(b"{", b"{{")
    return bars + b"\x1dkI" + bytes([len(data)]) + data


def _qr(data: bytes) -> bytes:
    """Model 2, level M: model, module size, level, store, print."""

    def part(function: bytes) -> bytes:
        return b"\x1d(k" + len(function).to_bytes(2, "little") + function

    return (
        part(b"1A2\x00")
        + part(b"1C" + bytes([_MODULE["qr"]]))
        + part(b"1E1")
        + part(b"1P0" + data)
        + part(b"1Q0")
    )
