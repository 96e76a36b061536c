"""What a printer can do, as data: columns, code pages and their numbers there, native QR, how it cuts, its drawer.

The same code page bears different numbers on different printers, so the numbers belong to the profile.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec

from loyalty.trouble import Refusal
from receipt_templates.blocks import Block
from receipt_templates.normalise import normalise
from receipt_templates.printable import letters_of

DOTS_PER_COLUMN = 12  # font A

Encoding = Literal["cp437", "cp850", "cp852", "cp858", "cp860", "cp866", "cp1250", "cp1251", "cp1252"]


class Page(NamedTuple):
    """A code page: Python's name, and the printer's number of it."""

    encoding: Encoding
    number: int


class PrinterProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One printer set-up.

    Attributes:
        pages: Python's name of each code page → the printer's number of it (`ESC t`); the first is preferred.
        drawer: the drawer's connector, 0 for pin 2 and 1 for pin 5.
    """

    name: str
    columns: Annotated[int, msgspec.Meta(ge=16, le=64)]
    pages: Annotated[dict[Encoding, Annotated[int, msgspec.Meta(ge=0, le=255)]], msgspec.Meta(min_length=1)]
    native_qr: bool = True
    cut: Literal["none", "partial", "full"] = "partial"
    drawer: Literal[0, 1] = 0

    @property
    def dots(self) -> int:
        """Width of the paper that can be printed on."""
        return self.columns * DOTS_PER_COLUMN


class UnknownProfile(Refusal):
    code = "printer.unknown_profile"
    status = 422


def page_for(blocks: Iterable[Block], profile: PrinterProfile) -> Page:
    """The page that keeps most letters of a slip; the first of the profile where several do.

    A page is chosen once a job, because printers lose letters or their place where it is switched inside one.
    """
    letters = "".join(sorted(set(letters_of(blocks))))

    def harm(page: Page) -> tuple[int, int]:
        seen = normalise(letters, page.encoding)
        return seen.lost, seen.replaced

    return min((Page(encoding, number) for encoding, number in profile.pages.items()), key=harm)


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
