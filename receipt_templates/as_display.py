"""Two lines as the bytes of a customer display: CD5220, ESC/POS as Epson's DM-D has it, or UTC.

Every frame is whole: it begins with what puts the display into a known state, so one that was plugged in anew is right
with the next frame. Source: devices-and-receipts.md D7.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from loyalty.trouble import Refusal
from receipt_templates.profiles import Encoding
from receipt_templates.two_lines import WIDE, TwoLines

LONGEST_RUNNING = 40  # what a CD5220 keeps of a running text


class DisplayProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of display. `select` is sent first, as hexadecimal."""

    name: str
    commands: Literal["cd5220", "escpos", "utc"]
    encoding: Encoding
    select: str = ""

    @property
    def runs_by_itself(self) -> bool:
        """Whether the display moves a long text along without being told each step."""
        return self.commands == "cd5220"


class UnknownDisplay(Refusal):
    code = "display.unknown_profile"
    status = 422


def render_display(lines: TwoLines, profile: DisplayProfile) -> bytes:
    """One frame.

    Args:
        lines: of letters that the profile's encoding holds, as `two_lines` makes them for it.
    """
    upper, lower = (line.encode(profile.encoding) for line in (lines.upper, lines.lower))
    select = bytes.fromhex(profile.select)
    if profile.commands == "cd5220":
        running = lines.running.encode(profile.encoding)[:LONGEST_RUNNING]
        first = b"\x1bQD" + running + b"\r" if running else b"\x1bQA" + upper + b"\r"
        return b"\x1b@" + select + first + b"\x1bQB" + lower + b"\r"
    if profile.commands == "utc":
        return b"\x1f" + select + b"\x1buA" + upper + b"\r" + b"\x1buB" + lower + b"\r"
    # A display that a printer hangs behind takes the bytes only while it is selected.
    at = b"\x1f$\x01"
    return b"\x1b=\x02\x1b@" + select + b"\x1fC\x00\x0c" + at + b"\x01" + upper + at + b"\x02" + lower + b"\x1b=\x01"


def step_of(lines: TwoLines, step: int) -> TwoLines:
    """The lines while a running text has moved along by so many letters, for a display that cannot do it itself."""
    if not lines.running:
        return lines
    text = lines.running + "   "
    at = step % len(text)
    window = (text[at:] + text + text)[:WIDE]
    return msgspec.structs.replace(lines, upper=window)


def read_displays(text: bytes) -> Mapping[str, DisplayProfile]:
    """Profiles by name from YAML. Raises: msgspec.ValidationError."""
    return {row.name: row for row in msgspec.yaml.decode(text, type=list[DisplayProfile])}


DISPLAYS = read_displays((Path(__file__).parent / "displays.yaml").read_bytes())


def display_named(name: str) -> DisplayProfile:
    """A display that ships with us. Raises: UnknownDisplay."""
    try:
        return DISPLAYS[name]
    except KeyError:
        raise UnknownDisplay(
            f"There is no display profile {name!r}; choose one of {', '.join(sorted(DISPLAYS))}.", profile=name
        ) from None
