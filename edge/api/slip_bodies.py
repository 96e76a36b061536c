"""Slips that a POS or a page asks for: what only it knows comes in the body, goes onto paper and nowhere else."""

from datetime import date
from typing import Annotated, Literal

import msgspec

from edge.api.answers import Answer
from edge.api.bodies import Body, Currency, Scan, Text
from loyalty.document import Language

Url = Annotated[str, msgspec.Meta(max_length=300, pattern="^(https?://.*)?$")]


class SlipBody(Body, frozen=True, kw_only=True):
    """What every such slip has. `number` is the caller's id of the act; with `print` it also goes to the till's own
    printer, where there is one."""

    number: Text = ""
    record: Annotated[str, msgspec.Meta(max_length=8)] = ""
    last4: Annotated[str, msgspec.Meta(pattern="^([0-9A-Za-z]{1,4})?$")] = ""
    cashier: Text = ""
    language: Language | None = None
    copy: bool = False
    training: bool = False
    offline: bool = False
    print: bool = False


class WelcomeSlip(SlipBody, frozen=True, kw_only=True):
    """For a new member or card: the number that `POST /v1/members` or `POST /v1/cards` answered, and the code of a
    consent that waits to be confirmed. Without `card_code` the card is drawn as scanners know its kind."""

    card_number: Text = ""
    card_code: Literal["", "ean13", "code128", "qr"] = ""
    confirm_code: Text = ""
    confirm_url: Url = ""


class CertificateSlip(SlipBody, frozen=True, kw_only=True):
    """A gift certificate sold, topped up, used or asked about. `code` only for whoever bought it, `ending` for others;
    with `waits` head office has not heard of it yet."""

    what: Literal["sold", "topped_up", "redeemed", "asked"]
    currency: Currency
    amount_minor: Annotated[int, msgspec.Meta(ge=0)] = 0
    left_minor: Annotated[int, msgspec.Meta(ge=0)] | None = None
    code: Text = ""
    ending: Text = ""
    through: date | None = None
    waits: bool = False


class ClaimSlip(SlipBody, frozen=True, kw_only=True):
    """Points asked for afterwards; `points` none where only head office has them."""

    of_number: Text
    points: Annotated[int, msgspec.Meta(ge=0)] | None = None
    state: Literal["provisional", "granted", "refused"] = "provisional"


class BalanceSlip(Body, frozen=True, kw_only=True):
    """What this till knows of a card; in the member's language where none is named."""

    card: Scan
    language: Language | None = None
    print: bool = False


AnySlip = WelcomeSlip | CertificateSlip | ClaimSlip


class SlipSaid(Answer, frozen=True, kw_only=True):
    """The slip ready to print; `escpos` in base64. `printed`: it waits for the till's own printer."""

    text: str
    escpos: str
    html: str
    printed: bool


class FiscalSaid(Answer, frozen=True, kw_only=True):
    """Lines for a fiscal printer, most important first; how many sentences had no room, and how many looked fiscal."""

    lines: tuple[str, ...]
    no_room: int
    barred: int
