"""How one reader is connected and set up: read from the settings once, then fixed."""

from typing import Literal

import msgspec

from loyalty.trouble import Fault

SUFFIXES = {"cr": b"\r", "lf": b"\n", "crlf": b"\r\n", "tab": b"\t"}


class BadReaderProfile(Fault):
    code = "reader.bad_profile"


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One reader.

    Attributes:
        name: what the operator calls it, such as `scanner`.
        port: a device path, best a /dev/serial/by-id or by-path link (ttyACM0 changes its number when replugged), or
            a pyserial URL.
        framing: `suffix` ends a message with `suffix`, `stx_etx` stands it between 02 and 03, `idle` ends it with
            silence (readers without a suffix; stripe readers that send a line for each track).
        idle_ms: silence that ends a message (`idle`), or after which an unfinished one is given up, 10 to 5000.
        max_bytes: longest message, 16 to 8192; a longer one is thrown away whole.
        aim_expected: the scanner was set to send AIM ids; a message without one is counted, not refused.
    """

    name: str
    port: str
    baud: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200] = 9600
    bytesize: Literal[7, 8] = 8
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    framing: Literal["suffix", "stx_etx", "idle"] = "suffix"
    suffix: Literal["cr", "lf", "crlf", "tab"] = "cr"
    idle_ms: int = 500
    max_bytes: int = 2048
    aim_expected: bool = True

    def __post_init__(self) -> None:
        if not self.port:
            raise BadReaderProfile("Give the device path of the reader, such as /dev/serial/by-id/….", name=self.name)
        if not 10 <= self.idle_ms <= 5000:
            raise BadReaderProfile("Set idle_ms of the reader from 10 to 5000.", name=self.name, idle_ms=self.idle_ms)
        if not 16 <= self.max_bytes <= 8192:
            raise BadReaderProfile(
                "Set max_bytes of the reader from 16 to 8192.", name=self.name, max_bytes=self.max_bytes
            )
