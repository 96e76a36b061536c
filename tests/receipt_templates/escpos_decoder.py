"""ESC/POS bytes read back: lines with their text and style, codes, pictures, cuts, drawer; unknown bytes are warnings.

It models what a printer keeps in mind: `ESC @` takes it back to its default page, size and alignment, so letters sent
after a reset without a new `ESC t` come out wrong here as they do on paper. Positions are kept in dots, so that what
another encoder places by dots lands in the right column.
Source: devices-and-receipts.md D1; proven in test_decoder.py on the bytes of two other encoders.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from receipt_templates.profiles import DOTS_PER_COLUMN, PrinterProfile

DLE, LF, ESC, FS, GS = 0x10, 0x0A, 0x1B, 0x1C, 0x1D
ALIGN = {0: "left", 1: "center", 2: "right", 48: "left", 49: "center", 50: "right"}
BARCODES = {2: "ean13", 67: "ean13", 73: "code128"}

# Bytes after the two of a command's name, where their number is fixed.
LENGTHS = {
    (ESC, 0x40): 0, (ESC, 0x74): 1, (ESC, 0x61): 1, (ESC, 0x45): 1, (ESC, 0x21): 1, (ESC, 0x64): 1, (ESC, 0x70): 3,
    (ESC, 0x24): 2, (ESC, 0x5C): 2, (ESC, 0x2D): 1, (GS, 0x21): 1, (GS, 0x42): 1, (ESC, 0x3D): 1,
    # These change nothing that a receipt's reader sees.
    (ESC, 0x20): 1, (ESC, 0x32): 0, (ESC, 0x33): 1, (ESC, 0x47): 1, (ESC, 0x4D): 1, (ESC, 0x56): 1, (ESC, 0x7B): 1,
    (ESC, 0x52): 1, (FS, 0x2E): 0, (FS, 0x2D): 1, (FS, 0x43): 1, (FS, 0x53): 2, (GS, 0x48): 1, (GS, 0x4C): 2,
    (GS, 0x57): 2, (GS, 0x61): 1, (GS, 0x62): 1, (GS, 0x66): 1, (GS, 0x68): 1, (GS, 0x72): 1, (GS, 0x77): 1,
}  # fmt: skip


@dataclass
class Token:
    """A printed byte, a line feed, or a command: the two bytes of its name and what follows them."""

    at: int
    name: tuple[int, int] | None = None
    body: bytes = b""
    printed: int | None = None


@dataclass
class Line:
    """One printed line; its style is that of its first visible character."""

    text: str = ""
    bold: bool = False
    width: int = 1
    height: int = 1
    align: str = "left"
    columns: int = 0  # of normal width that it takes
    underline: bool = False
    inverted: bool = False


@dataclass
class Picture:
    """A raster: one bit a dot, 1 for black, each row padded to whole bytes."""

    width: int
    height: int
    rows: bytes


@dataclass
class Seen:
    """A job as it came out of the printer. Codes are (kind, data), cuts `full` or `partial`."""

    lines: list[Line] = field(default_factory=list)
    codes: list[tuple[str, str]] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    cuts: list[str] = field(default_factory=list)
    drawer: int = 0
    resets: int = 0
    page_choices: int = 0
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
    return _Printer(pages, default_page).run(data)


def pages_of(profile: PrinterProfile) -> dict[int, str]:
    """A printer's code pages by number, as `decode_escpos` wants them."""
    return {number: encoding for encoding, number in profile.pages.items()}


class _Reader:
    """Bytes into tokens: the only place that knows how long a command is."""

    def __init__(self, data: bytes, warn: Callable[[str, int], None]) -> None:
        self.data, self.at, self.warn = data, 0, warn

    def tokens(self) -> Iterator[Token]:
        while self.at < len(self.data):
            byte = self.take(1)[0]
            if byte in (ESC, FS, GS, DLE):
                yield self.command(byte)
            elif (byte < 0x20 and byte != LF) or byte == 0x7F:
                self.warn(f"control byte {byte:02x}", self.at)
            else:
                yield Token(at=self.at, printed=byte)

    def command(self, first: int) -> Token:
        name = (first, self.take(1)[0])
        if name in LENGTHS:
            body = self.take(LENGTHS[name])
        elif name == (GS, 0x56):
            body = self.take(1)
            body += self.take(1) if body[0] in (65, 66) else b""
        elif name in ((GS, 0x28), (FS, 0x28)):
            body = self.take(3)
            body = body[:1] + self.take(int.from_bytes(body[1:], "little"))
        elif name == (GS, 0x38):
            body = self.take(5)
            body = body[:1] + self.take(int.from_bytes(body[1:], "little"))
        elif name == (GS, 0x76):
            head = self.take(6)
            body = head + self.take(int.from_bytes(head[2:4], "little") * int.from_bytes(head[4:6], "little"))
        elif name == (GS, 0x6B):
            body = self.take(1)
            body += self.take(self.take(1)[0]) if body[0] > 6 else self.until_zero()
        elif first == DLE and name[1] in (4, 5):
            body = self.take(1)
        else:
            self.warn(f"unknown command {name[0]:02x} {name[1]:02x}", self.at)
            body = b""
        return Token(at=self.at, name=name, body=body)

    def take(self, count: int) -> bytes:
        """So many bytes; zeros, and a warning, where the job is over."""
        taken = self.data[self.at : self.at + count]
        self.at += len(taken)
        if len(taken) < count:
            self.warn("the job ends inside a command", self.at)
        return taken.ljust(count, b"\0")

    def until_zero(self) -> bytes:
        end = self.data.find(0, self.at)
        if end < 0:
            self.warn("the job ends inside a command", len(self.data))
            end = len(self.data)
        body, self.at = self.data[self.at : end], end + 1
        return body


class _Printer:
    """Tokens onto paper: what a printer has in mind, and what came out."""

    def __init__(self, pages: Mapping[int, str], default_page: str) -> None:
        self.pages, self.default_page = pages, default_page
        self.seen, self.line, self.dots, self.qr = Seen(), Line(), 0, b""
        self.stored: Picture | None = None
        self.reset()
        self.commands: dict[tuple[int, int], Callable[[bytes], None]] = {
            (ESC, 0x40): lambda _: self.reset(),
            (ESC, 0x74): self.choose_page,
            (ESC, 0x61): self.choose_align,
            (ESC, 0x45): lambda body: setattr(self, "bold", bool(body[0] & 1)),
            (ESC, 0x2D): lambda body: setattr(self, "underline", bool(body[0] & 3)),
            (GS, 0x42): lambda body: setattr(self, "inverted", bool(body[0] & 1)),
            (ESC, 0x21): self.choose_mode,
            (ESC, 0x64): self.feed,
            (ESC, 0x70): lambda _: setattr(self.seen, "drawer", self.seen.drawer + 1),
            (ESC, 0x24): lambda body: self.move_to(int.from_bytes(body, "little")),
            (ESC, 0x5C): lambda body: self.move_to(self.dots + int.from_bytes(body, "little", signed=True)),
            (GS, 0x21): self.choose_size,
            (GS, 0x56): self.cut,
            (GS, 0x28): self.by_function,
            (FS, 0x28): lambda _: None,
            (GS, 0x38): self.graphics,
            (GS, 0x76): self.picture,
            (GS, 0x6B): self.barcode,
        }

    def run(self, data: bytes) -> Seen:
        for token in _Reader(data, self.warn).tokens():
            self.at = token.at
            if token.name is not None:
                self.commands.get(token.name, lambda _: None)(token.body)
            elif token.printed == LF:
                self.end_line()
            elif token.printed is not None:
                self.print(token.printed)
        if self.line.text:
            self.end_line()
        return self.seen

    def warn(self, what: str, at: int | None = None) -> None:
        self.seen.warnings.append(f"{what} before byte {self.at if at is None else at}")

    def print(self, byte: int) -> None:
        try:
            char = bytes([byte]).decode(self.page)
        except UnicodeDecodeError:
            self.warn(f"byte {byte:02x} is not on page {self.page}")
            char = "\ufffd"
        if char != " " and not self.line.text.strip():
            self.line.bold, self.line.width, self.line.height = self.bold, self.width, self.height
            self.line.underline, self.line.inverted = self.underline, self.inverted
        self.line.text += char
        self.line.columns += self.width
        self.dots += self.width * DOTS_PER_COLUMN

    def move_to(self, dots: int) -> None:
        """Further right is blank paper; back over what was printed is a fault of the job."""
        gap = round((dots - self.dots) / DOTS_PER_COLUMN)
        if gap < 0:
            self.warn("printing over what is there")
        self.line.text += " " * gap
        self.line.columns += max(0, gap)
        self.dots = dots

    def end_line(self) -> None:
        self.line.align = self.align
        self.line.text = self.line.text.rstrip() if self.line.text.isspace() else self.line.text
        self.seen.lines.append(self.line)
        self.line, self.dots = Line(), 0

    def reset(self) -> None:
        self.seen.resets += 1
        self.page, self.align = self.default_page, "left"
        self.bold, self.underline, self.inverted, self.width, self.height = False, False, False, 1, 1

    def choose_page(self, body: bytes) -> None:
        number = body[0]
        self.seen.page_choices += 1
        if number not in self.pages:
            self.warn(f"page {number} is not in the printer's table")
        self.page = self.pages.get(number, self.default_page)

    def choose_align(self, body: bytes) -> None:
        if self.line.text:
            self.warn("alignment in the middle of a line")
        self.align = ALIGN.get(body[0], "left")

    def choose_mode(self, body: bytes) -> None:
        self.bold, self.height, self.width = bool(body[0] & 8), 1 + bool(body[0] & 16), 1 + bool(body[0] & 32)

    def choose_size(self, body: bytes) -> None:
        self.width, self.height = 1 + (body[0] >> 4 & 7), 1 + (body[0] & 7)

    def feed(self, body: bytes) -> None:
        count = body[0]
        if self.line.text:
            self.end_line()
            count -= 1
        for _ in range(count):
            self.end_line()

    def cut(self, body: bytes) -> None:
        self.seen.cuts.append("full" if body[0] in (0, 48, 65) else "partial")

    def by_function(self, body: bytes) -> None:
        if body[:1] == b"L":
            self.graphics(body)
        elif body[:2] != b"k1":
            self.warn(f"unknown function GS ( {body[0]:02x}")
        elif body[2:3] == b"P":
            self.qr = body[4:]
        elif body[2:3] == b"Q":
            self.seen.codes.append(("qr", self.qr.decode()))

    def graphics(self, body: bytes) -> None:
        """`GS ( L` and `GS 8 L`: 112 stores a raster, 50 prints what is stored."""
        function, rest = body[2], body[3:]
        if function == 112:
            width, height = int.from_bytes(rest[4:6], "little"), int.from_bytes(rest[6:8], "little")
            self.stored = Picture(width=width, height=height, rows=rest[8:])
        elif function in (2, 50) and self.stored is not None:
            self.seen.pictures.append(self.stored)
            self.stored = None
        else:
            self.warn(f"unknown function {function} of graphics")

    def picture(self, body: bytes) -> None:
        width, height = 8 * int.from_bytes(body[2:4], "little"), int.from_bytes(body[4:6], "little")
        self.seen.pictures.append(Picture(width=width, height=height, rows=body[6:]))

    def barcode(self, body: bytes) -> None:
        kind, text = body[0], body[1:].decode("ascii")
        if kind == 73:
            text = text.removeprefix("{B").replace("{{", "{")
        if kind not in BARCODES:
            self.warn(f"unknown barcode {kind}")
        self.seen.codes.append((BARCODES.get(kind, str(kind)), text))
