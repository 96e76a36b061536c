"""One-letter code ids of the makers, for scanners that were not set to send AIM ids.

Source: the makers' symbology charts: Zebra/Symbol code characters, Honeywell "All Symbologies" chart (where a UPC-A is
`c`, an EAN-13 `d`); devices-and-receipts.md A3.
"""

from typing import NamedTuple

ZEBRA = {
    "A": "]E0", "B": "]A0", "C": "]F0", "D": "]C0", "E": "]G0", "F": "]I0", "K": "]C1", "R": "]e0", "X": "]L0",
}  # fmt: skip
ZEBRA_LONG = {"P00": "]d1", "P01": "]Q1", "P02": "]z0"}
HONEYWELL = {
    "c": "]E0", "E": "]E0", "d": "]E0", "D": "]E4", "j": "]C0", "I": "]C1", "b": "]A0", "a": "]F0", "e": "]I0",
    "i": "]G0", "s": "]Q1", "w": "]d1", "r": "]L0", "z": "]z0", "y": "]e0",
}  # fmt: skip


class CodeId(NamedTuple):
    """The carrier in AIM's words, and the text behind the id; `aim` is None for a letter that nobody listed."""

    aim: str | None
    text: str


def read_code_id(maker: str, text: str) -> CodeId:
    """`A4006381333931` → (`]E0`, `4006381333931`). Args: maker: `zebra` or `honeywell`."""
    if maker == "zebra" and (long := ZEBRA_LONG.get(text[:3])) is not None:
        return CodeId(long, text[3:])
    aim = (ZEBRA if maker == "zebra" else HONEYWELL).get(text[:1])
    if aim is None:
        return CodeId(None, text)
    rest = text[1:]
    # Zebra has one letter for all of EAN and UPC.
    return CodeId("]E4" if aim == "]E0" and len(rest) == 8 and maker == "zebra" else aim, rest)
