"""ESC/POS bytes read back: lines with their text and style, codes, cuts, and a warning for every unknown byte.

It models what a printer keeps in mind: `ESC @` takes it back to its default page, size and alignment, so letters sent
after a reset without a new `ESC t` come out wrong here as they do on paper.
Source: devices-and-receipts.md D1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

ESC, FS, GS, LF = 0x1B, 0x1C, 0x1D, 0x0A
ALIGN = {0: "left", 1: "center", 2: "right", 48: "left", 49: "center", 50: "right"}
BARCODES = {2: "ean13", 67: "ean13", 73: "code128"}

# Commands of a fixed length that change nothing a receipt's reader sees: bytes after the two of the name.
QUIET = {
    (ESC, 0x2D): 1, (ESC, 0x32): 0, (ESC, 0x33): 1, (ESC, 0x47): 1, (ESC, 0x4D): 1, (ESC, 0x56): 1, (ESC, 0x7B): 1,
    (ESC, 0x52): 1, (FS, 0x2E): 0, (GS, 0x42): 1, (GS, 0x48): 1, (GS, 0x4C): 2, (GS, 0x57): 2, (GS, 0x62): 1,
    (GS, 0x66): 1, (GS, 0x68): 1, (GS, 0x77): 1,
}  # fmt: skip


@dataclass
class Line:
    """One printed line; bold and size are those of its first visible character."""

    text: str = ""
    bold: bool = False
    width: int = 1
    height: int = 1
    align: str = "left"
    columns: int = 0  # of normal width that it takes


@dataclass
class Seen:
    """A job as it came out of the printer. Codes are (kind, data), cuts `full` or `partial`."""

    lines: list[Line] = field(default_factory=list)
    codes: list[tuple[str, str]] = field(default_factory=list)
    cuts: list[str] = field(default_factory=list)
    drawer: int = 0
    warnings: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All lines, without the empty ones at the end."""
        return "\n".join(line.text for line in self.lines).rstrip("\n") + "\n"


def decode_escpos(data: bytes, pages: Mapping[int, str], *, default_page: str = "cp437") -> Seen:
    """Read a job.

    Args:
        pages: the printer's code pages, number → Python's name.
        default_page: after power-on and after every `ESC @`.
    """
    return _Printer(data, pages, default_page).run()


class _Printer:
    def __init__(self, data: bytes, pages: Mapping[int, str], default_page: str) -> None:
        self.data, self.at, self.pages, self.default_page = data, 0, pages, default_page
        self.seen, self.line, self.qr = Seen(), Line(), b""
        self.reset()
        self.commands: dict[tuple[int, int], Callable[[], None]] = {
            (ESC, 0x40): self.reset,
            (ESC, 0x74): self.choose_page,
            (ESC, 0x61): self.choose_align,
            (ESC, 0x45): self.choose_bold,
            (ESC, 0x21): self.choose_mode,
            (ESC, 0x64): self.feed,
            (ESC, 0x70): self.kick,
            (GS, 0x21): self.choose_size,
            (GS, 0x56): self.cut,
            (GS, 0x28): self.two_dimensional,
            (GS, 0x6B): self.barcode,
        }

    def run(self) -> Seen:
        while self.at < len(self.data):
            byte = self.take()
            if byte in (ESC, FS, GS):
                self.command(byte)
            elif byte == LF:
                self.end_line()
            elif byte < 0x20 or byte == 0x7F:
                self.warn(f"control byte {byte:02x}")
            else:
                self.print(byte)
        if self.line.text:
            self.end_line()
        return self.seen

    def command(self, first: int) -> None:
        name = (first, self.take())
        if name in self.commands:
            self.commands[name]()
        elif name in QUIET:
            self.take_many(QUIET[name])
        else:
            self.warn(f"unknown command {name[0]:02x} {name[1]:02x}")

    def take(self) -> int:
        if self.at >= len(self.data):
            self.warn("the job ends inside a command")
            return 0
        self.at += 1
        return self.data[self.at - 1]

    def take_many(self, count: int) -> bytes:
        return bytes(self.take() for _ in range(count))

    def warn(self, what: str) -> None:
        self.seen.warnings.append(f"{what} before byte {self.at}")

    def print(self, byte: int) -> None:
        try:
            char = bytes([byte]).decode(self.page)
        except UnicodeDecodeError:
            self.warn(f"byte {byte:02x} is not on page {self.page}")
            char = "\ufffd"
        if char != " " and not self.line.text.strip():
            self.line.bold, self.line.width, self.line.height = self.bold, self.width, self.height
        self.line.text += char
        self.line.columns += self.width

    def end_line(self) -> None:
        self.line.align = self.align
        self.seen.lines.append(self.line)
        self.line = Line()

    def reset(self) -> None:
        self.page, self.bold, self.width, self.height, self.align = self.default_page, False, 1, 1, "left"

    def choose_page(self) -> None:
        number = self.take()
        if number not in self.pages:
            self.warn(f"page {number} is not in the printer's table")
        self.page = self.pages.get(number, self.default_page)

    def choose_align(self) -> None:
        if self.line.text:
            self.warn("alignment in the middle of a line")
        self.align = ALIGN.get(self.take(), "left")

    def choose_bold(self) -> None:
        self.bold = bool(self.take() & 1)

    def choose_mode(self) -> None:
        bits = self.take()
        self.bold, self.height, self.width = bool(bits & 8), 1 + bool(bits & 16), 1 + bool(bits & 32)

    def choose_size(self) -> None:
        bits = self.take()
        self.width, self.height = 1 + (bits >> 4 & 7), 1 + (bits & 7)

    def feed(self) -> None:
        count = self.take()
        if self.line.text:
            self.end_line()
            count -= 1
        for _ in range(count):
            self.end_line()

    def kick(self) -> None:
        self.take_many(3)
        self.seen.drawer += 1

    def cut(self) -> None:
        mode = self.take()
        if mode in (65, 66):
            self.take()
        self.seen.cuts.append("full" if mode in (0, 48, 65) else "partial")

    def two_dimensional(self) -> None:
        family, low, high = self.take_many(3)
        body = self.take_many(low + 256 * high)
        if family != 0x6B or body[:1] != b"1":
            self.warn(f"unknown function GS ( {family:02x}")
        elif body[1:2] == b"P":
            self.qr = body[3:]
        elif body[1:2] == b"Q":
            self.seen.codes.append(("qr", self.qr.decode()))

    def barcode(self) -> None:
        kind = self.take()
        if kind > 6:
            body = self.take_many(self.take())
        else:
            start = self.at
            while self.take():
                pass
            body = self.data[start : self.at - 1]
        text = body.decode("ascii")
        if kind == 73:
            text = text.removeprefix("{B").replace("{{", "{")
        if kind not in BARCODES:
            self.warn(f"unknown barcode {kind}")
        self.seen.codes.append((BARCODES.get(kind, str(kind)), text))
