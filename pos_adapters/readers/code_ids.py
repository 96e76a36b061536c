"""One-letter code ids of the makers, for scanners that were not set to send AIM ids.

Source: the makers' charts: Zebra, Symbol Code Identifiers; Honeywell, "All Symbologies" (where a UPC-A is `c`, an
EAN-13 `d`); devices-and-receipts.md A3.
"""

from typing import NamedTuple

ZEBRA = {
    "A": "]E0", "B": "]A0", "C": "]F0", "D": "]C0", "E": "]G0", "F": "]I0", "K": "]C1", "L": "]E0", "R": "]e0",
    "X": "]L0", "z": "]z0",
}  # fmt: skip
ZEBRA_LONG = {"P00": "]d1", "P01": "]Q1", "P02": "]U0", "P0G": "]d2", "P0Q": "]Q3"}
HONEYWELL = {
    "c": "]E0", "E": "]E0", "d": "]E0", "D": "]E4", "j": "]C0", "I": "]C1", "b": "]A0", "a": "]F0", "e": "]I0",
    "i": "]G0", "s": "]Q1", "w": "]d1", "r": "]L0", "z": "]z0", "y": "]e0",
}  # fmt: skip


WITH_FNC1 = {"]d1": "]d2", "]Q1": "]Q3"}


class CodeId(NamedTuple):
    """The carrier in AIM's words, and the text behind the id; `aim` is None for a letter that nobody listed."""

    aim: str | None
    text: str


def read_code_id(maker: str, text: str) -> CodeId:
    """`A4006381333931` → (`]E0`, `4006381333931`). Args: maker: `zebra` or `honeywell`."""
    if maker == "zebra" and (long := ZEBRA_LONG.get(text[:3])) is not None:
        aim, rest = long, text[3:]
    else:
        found = (ZEBRA if maker == "zebra" else HONEYWELL).get(text[:1])
        if found is None:
            return CodeId(None, text)
        aim, rest = found, text[1:]
    if aim == "]E0" and len(rest) == 8 and maker == "zebra":
        return CodeId("]E4", rest)  # Zebra has one letter for all of EAN and UPC
    if aim in WITH_FNC1 and rest.startswith("8018"):
        return CodeId(WITH_FNC1[aim], rest)  # Honeywell and older Zebras have one id for both: a GSRN in front tells
    return CodeId(aim, rest)
