"""What a printer can do, as data: columns, code page and its number there, native QR, how it cuts.

The same code page bears different numbers on different printers, so the number belongs to the profile.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from loyalty.trouble import Refusal


class PrinterProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One printer set-up. `encoding` is Python's name of the page, `page` the printer's number of it (`ESC t`)."""

    name: str
    columns: Annotated[int, msgspec.Meta(ge=16, le=64)]
    encoding: Literal["cp852", "cp858", "cp860", "cp866", "cp1250", "cp1251", "cp1252"]
    page: Annotated[int, msgspec.Meta(ge=0, le=255)]
    native_qr: bool = True
    cut: Literal["none", "partial", "full"] = "partial"


class UnknownProfile(Refusal):
    code = "printer.unknown_profile"
    status = 422


def read_profiles(text: bytes) -> Mapping[str, PrinterProfile]:
    """Profiles by name from YAML. Raises: msgspec.ValidationError."""
    rows = msgspec.yaml.decode(text, type=list[PrinterProfile])
    return {row.name: row for row in rows}


PROFILES = read_profiles((Path(__file__).parent / "profiles.yaml").read_bytes())


def profile_named(name: str) -> PrinterProfile:
    """A profile that ships with us. Raises: UnknownProfile."""
    try:
        return PROFILES[name]
    except KeyError:
        raise UnknownProfile(
            f"There is no printer profile {name!r}; choose one of {', '.join(sorted(PROFILES))}.", profile=name
        ) from None
