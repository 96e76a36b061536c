"""Blocks as printer bytes. The page is chosen once, at the start of the job, and never again.

Resetting or switching pages inside a job is where letters get lost: after `ESC @` a printer is back at its default
page, and some print a blank at every switch. Source: devices-and-receipts.md D1, D3.
"""

from collections.abc import Iterable

import msgspec

from receipt_templates.blocks import Block, Code, Feed, Size, Text
from receipt_templates.codes import BAR_DOTS, fits, qr_dots
from receipt_templates.layout import Row, indent_of, lay_out
from receipt_templates.printable import printing
from receipt_templates.profiles import Page, PrinterProfile, page_for

_START = b"\x1b@\x1c."  # initialise; no double-byte characters
_SIZE: dict[Size, bytes] = {"normal": b"\x1d!\x00", "tall": b"\x1d!\x01", "large": b"\x1d!\x11"}
_BOLD, _PLAIN = b"\x1bE\x01", b"\x1bE\x00"
_CENTER, _LEFT = b"\x1ba\x01", b"\x1ba\x00"
# The cutter sits above the head: the paper is fed first, else the last lines stay on the next receipt.
_CUT = {"none": b"\x1bd\x05", "partial": b"\x1dVB\x00", "full": b"\x1dVA\x00"}
_KICK_MS = bytes([25, 250])  # on and off, in units of 2 ms


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A print job: its bytes, the page it is in, and how many letters that page lacked, `lost` printed as `?`."""

    data: bytes
    page: Page
    replaced: int
    lost: int


def render_escpos(blocks: Iterable[Block], profile: PrinterProfile, *, open_drawer: bool = False) -> bytes:
    """The bytes of `print_job`."""
    return print_job(blocks, profile, open_drawer=open_drawer).data


def print_job(blocks: Iterable[Block], profile: PrinterProfile, *, open_drawer: bool = False) -> Job:
    """One complete print job.

    Args:
        profile: of the printer that gets the bytes; its code pages decide which letters can be kept.
        open_drawer: kick the cash drawer first, so that it is open while the paper comes.
    """
    held = tuple(blocks)
    page = page_for(held, profile)
    out = bytearray(_START + b"\x1bt" + bytes([page.number]))
    if open_drawer:
        out += b"\x1bp" + bytes([profile.drawer]) + _KICK_MS
    printed = printing(held, page.encoding)
    shown = (_shown(block, profile) for block in printed.blocks)
    for piece in lay_out(shown, profile.columns, codes=("qr", "ean13", "code128")):
        if isinstance(piece, Row):
            out += _row(piece, profile.columns, page.encoding)
        elif isinstance(piece, Code):
            out += _CENTER + _code(piece, profile) + _LEFT
        else:
            out += _CUT[profile.cut]
    return Job(data=bytes(out), page=page, replaced=printed.replaced, lost=printed.lost)


def _row(row: Row, columns: int, encoding: str) -> bytes:
    """A line that leaves the printer as it found it: normal size, not bold. The indent is of normal width."""
    text = row.text.encode(encoding)
    before, after = b" " * indent_of(row, columns, scale=2 if row.size == "large" else 1), b""
    if row.bold:
        before, after = before + _BOLD, _PLAIN
    if row.size != "normal":
        before, after = before + _SIZE[row.size], _SIZE["normal"] + after
    return before + text + after + b"\n"


def _shown(block: Block, profile: PrinterProfile) -> Block:
    """A code that this printer cannot print, or that would not fit its paper, as the text that stands in for it."""
    if isinstance(block, Code) and not _can_print(block, profile):
        return Text(text=block.fallback_text, align="center") if block.fallback_text else Feed(lines=0)
    return block


def _can_print(code: Code, profile: PrinterProfile) -> bool:
    return (profile.native_qr or code.kind != "qr") and fits(code, profile.dots)


def _code(code: Code, profile: PrinterProfile) -> bytes:
    if code.kind == "qr":
        return _qr(code.data.encode(), qr_dots(code.data, profile.dots))
    bars = b"\x1dh\x50\x1dw" + bytes([BAR_DOTS]) + b"\x1dH\x02"  # 80 dots high, digits below
    if code.kind == "ean13":
        return bars + b"\x1dk\x02" + code.data.encode("ascii") + b"\x00"
    data = b"{B" + code.data.encode("ascii").replace(b"{", b"{{")
    return bars + b"\x1dkI" + bytes([len(data)]) + data


def _qr(data: bytes, dots: int) -> bytes:
    """Model 2, level M: model, module size, level, store, print."""

    def part(function: bytes) -> bytes:
        return b"\x1d(k" + len(function).to_bytes(2, "little") + function

    return part(b"1A2\x00") + part(b"1C" + bytes([dots])) + part(b"1E1") + part(b"1P0" + data) + part(b"1Q0")
