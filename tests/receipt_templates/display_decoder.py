"""A customer display of two lines of twenty columns: bytes in, what stands on it out, for three sets of commands.

Source: devices-and-receipts.md D7.
"""

from dataclasses import dataclass, field


@dataclass
class Shown:
    """What a person reads. `running` moves through the upper line."""

    upper: str = " " * 20
    lower: str = " " * 20
    running: str = ""
    selected: bool = True
    warnings: list[str] = field(default_factory=list)


def show(data: bytes, commands: str, encoding: str) -> Shown:
    """Read a frame on a display that was just switched on."""
    shown, at = Shown(), 0
    line, column = 0, 0
    text = {0: bytearray(b" " * 20), 1: bytearray(b" " * 20)}

    def until_return(start: int) -> tuple[bytes, int]:
        end = data.index(b"\r", start)
        return data[start:end], end + 1

    while at < len(data):
        two, three = data[at : at + 2], data[at : at + 3]
        if commands in ("cd5220", "escpos") and two == b"\x1b@":
            at += 2
        elif commands == "cd5220" and three in (b"\x1bQA", b"\x1bQB", b"\x1bQD"):
            body, at = until_return(at + 3)
            if three == b"\x1bQD":
                shown.running = body.decode(encoding)
            else:
                text[0 if three == b"\x1bQA" else 1][:] = body
        elif commands == "utc" and data[at : at + 1] == b"\x1f":
            text[0][:], text[1][:] = b" " * 20, b" " * 20
            at += 1
        elif commands == "utc" and three in (b"\x1buA", b"\x1buB"):
            body, at = until_return(at + 3)
            text[0 if three == b"\x1buA" else 1][:] = body
        elif two in (b"\x1bt", b"\x1bc"):
            at += 3
        elif commands == "escpos" and two == b"\x1b=":
            shown.selected = data[at + 2] == 2
            at += 3
        elif commands == "escpos" and data[at : at + 1] == b"\x0c":
            text[0][:], text[1][:] = b" " * 20, b" " * 20
            at += 1
        elif commands == "escpos" and two == b"\x1fC":
            at += 3
        elif commands == "escpos" and two == b"\x1f$":
            column, line = data[at + 2] - 1, data[at + 3] - 1
            at += 4
        elif commands == "escpos" and shown.selected and data[at] >= 0x20:
            text[line][column] = data[at]
            column, at = column + 1, at + 1
        else:
            shown.warnings.append(f"byte {data[at]:02x} at {at}")
            at += 1
    shown.upper, shown.lower = text[0].decode(encoding), text[1].decode(encoding)
    return shown
