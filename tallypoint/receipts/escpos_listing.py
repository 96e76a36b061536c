"""A print job in words, for people: each command of ours by its name, each line as it is printed, all else as bytes.

It knows the commands that receipt_templates sends and no others; the tests have a decoder that models a printer.
"""

from collections.abc import Iterator, Mapping

_NAMED = {
    b"\x1b@": (0, "reset"),
    b"\x1c.": (0, "single-byte letters"),
    b"\x1bt": (1, "code page {}"),
    b"\x1ba": (1, "align {}"),
    b"\x1bE": (1, "bold {}"),
    b"\x1d!": (1, "size {:02x}"),
    b"\x1bd": (1, "feed {}"),
    b"\x1bp": (3, "drawer at connector {}"),
    b"\x1dh": (1, "barcode height {}"),
    b"\x1dw": (1, "barcode module {}"),
    b"\x1dH": (1, "barcode digits {}"),
}
_CUTS = {b"\x1dVA\x00": "full cut", b"\x1dVB\x00": "partial cut"}


def list_job(data: bytes, pages: Mapping[int, str]) -> str:
    """One line for each command or printed line.

    Args:
        pages: of the printer, number → Python's name.
    """
    return "\n".join(_lines(data, pages)) + "\n"


def _lines(data: bytes, pages: Mapping[int, str]) -> Iterator[str]:
    at, text, encoding = 0, bytearray(), "ascii"
    while at < len(data):
        name, length = data[at : at + 2], 0
        if data[at] == 0x0A:
            yield f"| {text.decode(encoding, 'replace')}"
            text.clear()
            at += 1
            continue
        if data[at] not in (0x1B, 0x1C, 0x1D):
            text.append(data[at])
            at += 1
            continue
        if name in _NAMED:
            length, words = _NAMED[name]
            figure = data[at + 2] if length else 0
            if name == b"\x1bt":
                encoding = pages.get(figure, "ascii")
                words += f", {encoding}"
            yield "  " + words.format(figure)
        elif data[at : at + 4] in _CUTS:
            length = 2
            yield "  " + _CUTS[data[at : at + 4]]
        elif name == b"\x1d(":
            length = 3 + int.from_bytes(data[at + 3 : at + 5], "little")
            body = data[at + 5 : at + 2 + length]
            yield f"  QR code {body[3:].decode(errors='replace')}" if body[1:2] == b"P" else f"  QR {body.hex(' ')}"
        elif name == b"\x1dk":
            ends = data.index(0, at + 3) if data[at + 2] == 2 else at + 3 + data[at + 3]
            length = ends - at - 1
            yield f"  barcode {data[at + 2]}: {data[at + 3 : ends + 1].decode('ascii', 'replace').strip(chr(0))}"
        else:
            yield f"  ? {name.hex(' ')}"
        at += 2 + length
    if text:
        yield f"| {text.decode(encoding, 'replace')}"
