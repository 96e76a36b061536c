"""The bodies that only pages send, and what they are answered."""

from typing import Annotated

import msgspec

from edge.api.answers import Answer
from edge.api.bodies import Body

Number = Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=r"^[^\x00-\x1f\x7f]+(?!\n)$")]


class SignInBody(Body, frozen=True, kw_only=True):
    """POST /session: the cashier's number, and the PIN where the till knows PINs."""

    cashier: Number
    pin: Annotated[str, msgspec.Meta(max_length=200)] = ""


class SessionSaid(Answer, frozen=True, kw_only=True):
    """Who works at this page; `page` is empty for nobody."""

    page: str
    cashier: str


class TicketBody(Body, frozen=True, kw_only=True):
    """POST /v1/page-tickets: the cashier who is signed in at the POS."""

    cashier: Number


class TicketSaid(Answer, frozen=True, kw_only=True):
    """Where a browser of this machine opens the panel, once, within a minute."""

    path: str


class HelpBody(Body, frozen=True, kw_only=True):
    """POST /v1/help: a customer asks for somebody."""


class HelpSaid(Answer, frozen=True, kw_only=True):
    """How many screens were told."""

    told: int
