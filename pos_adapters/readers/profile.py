"""How one reader is connected and set up: read from a shipped profile and the settings once, then fixed."""

from typing import Annotated, Literal

import msgspec

from loyalty.cards.carriers import Source
from loyalty.trouble import Fault

SUFFIXES = {"cr": (b"\r",), "lf": (b"\n",), "crlf": (b"\r\n",), "tab": (b"\t",), "any": (b"\r", b"\n", b"\t")}

Kind = Literal["scanner", "stripe", "tag", "vas", "keypad"]
SOURCES: dict[Kind, Source] = {
    "scanner": "scan", "stripe": "stripe", "tag": "tag", "vas": "vas", "keypad": "keyed",
}  # fmt: skip


class BadReaderProfile(Fault):
    code = "reader.bad_profile"


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One reader.

    Attributes:
        name: what the operator calls it, such as `scanner`.
        about: which readers the profile is for, and what has to be set on them.
        port: a device path, best a /dev/serial/by-id or by-path link (ttyACM0 changes its number when replugged), or
            a pyserial URL such as `hwgrep://1a86:7523` or `socket://10.0.0.9:4001`.
        kind: `scanner`, `stripe`, `tag` (RFID), `vas` (a certified NFC reader that hands over plain text), `keypad`.
        dtr, rts: levels the lines have from before the port is opened; none leaves them to the system. Stripe readers
            that draw their power from DTR forget their settings when it drops.
        framing: `suffix` ends a message with `suffix`, `stx_etx` stands it between 02 and 03, `idle` ends it with
            silence (readers without a suffix), `tracks` joins the lines of one swipe, `ssi` is Zebra's packets.
        suffix: `cr`, `lf`, `crlf`, `tab`, or `any` of them, for scanners with a suffix of their own for some codes.
        idle_ms: silence that ends a message (`idle`, `tracks`), or after which an unfinished one is given up.
        lines: of `tracks`: so many lines are all, so nobody waits for silence; 0 where the number varies.
        max_bytes: longest message, 16 to 8192; a longer one is thrown away whole.
        prefix, postamble: text that the reader was set to put before the code id and behind the data; taken off.
        code_ids: what stands before the data: `aim`, `zebra` or `honeywell` (one letter), or `none`. A letter may as
            well be the first of a card, so only the setting tells.
        stripe: how tracks are sent: `plain`, `extech` (/2/…), `insertion` (ESC before, a sensor's state behind).
        lrc: each track is followed by its LRC, which is checked.
        tag: what a tag's frame holds: `hex` digits, or a `decimal` number of `tag_bytes`.
        tag_bytes: 4, 5, 7 or 10 bytes of id; 0 takes 4, 7 and 10 as they come.
        checksum: one more byte behind the id: `xor` or `sum` (mod 256), or `none`. Never guessed.
        byte_order: `msb` as it is printed, or `lsb` first.
        printed_bytes: how many low bytes of a 5-byte id make the decimal that is printed on the tag.
        repeat_ms: the same again within so long is no second reading; each repeat begins the time anew. 0 for never.
    """

    name: str
    port: str
    about: str = ""
    kind: Kind = "scanner"
    baud: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200] = 9600
    bytesize: Literal[7, 8] = 8
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    dtr: bool | None = None
    rts: bool | None = None
    framing: Literal["suffix", "stx_etx", "idle", "tracks", "ssi"] = "suffix"
    suffix: Literal["cr", "lf", "crlf", "tab", "any"] = "cr"
    idle_ms: int = 500
    lines: Annotated[int, msgspec.Meta(ge=0, le=3)] = 0
    max_bytes: int = 2048
    prefix: str = ""
    postamble: str = ""
    code_ids: Literal["aim", "zebra", "honeywell", "none"] = "aim"
    stripe: Literal["plain", "extech", "insertion"] = "plain"
    lrc: bool = False
    tag: Literal["hex", "decimal"] = "hex"
    tag_bytes: Literal[0, 4, 5, 7, 10] = 0
    checksum: Literal["none", "xor", "sum"] = "none"
    byte_order: Literal["msb", "lsb"] = "msb"
    printed_bytes: Literal[3, 4] = 3
    repeat_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 0

    def __post_init__(self) -> None:
        if not self.port:
            raise BadReaderProfile(
                f"Give the device path of the reader {self.name} as port, such as /dev/serial/by-id/….", name=self.name
            )
        if not 10 <= self.idle_ms <= 5000:
            raise BadReaderProfile(
                f"Set idle_ms of the reader {self.name} from 10 to 5000.", name=self.name, idle_ms=self.idle_ms
            )
        if not 16 <= self.max_bytes <= 8192:
            raise BadReaderProfile(
                f"Set max_bytes of the reader {self.name} from 16 to 8192.", name=self.name, max_bytes=self.max_bytes
            )
        if not (self.prefix + self.postamble).isascii():
            raise BadReaderProfile(f"prefix and postamble of the reader {self.name} are plain ASCII.", name=self.name)
        if self.kind == "tag" and self.tag == "decimal" and (self.tag_bytes == 0 or self.checksum != "none"):
            raise BadReaderProfile(
                f"The reader {self.name} sends decimal numbers: set tag_bytes (4, 5, 7 or 10), and checksum to none.",
                name=self.name,
            )
        if self.framing == "ssi" and self.kind != "scanner":
            raise BadReaderProfile(
                f"Framing ssi is for scanners; in the reader {self.name} set the kind to scanner.", name=self.name
            )
        if self.framing == "tracks" and self.kind != "stripe":
            raise BadReaderProfile(
                f"Framing tracks is for stripe readers; in the reader {self.name} set the kind to stripe.",
                name=self.name,
            )
