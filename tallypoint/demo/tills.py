"""A till of the demo and its shop's own list of what it answered.

The list, not the ledger, says what must have reached the centre.
"""

from typing import Any

import msgspec

from tallypoint.demo.till_client import TillClient


class Rung(msgspec.Struct, kw_only=True):
    """One answered receipt: what the customer holds in hand. `undone`: nothing of it will come back any more."""

    receipt_id: str
    card: str | None
    basket: dict[str, Any]
    net_minor: int
    points_earned: int
    points_spent: int
    coupons_used: tuple[str, ...] = ()
    coupons_issued: tuple[str, ...] = ()
    undone: bool = False


class Till(msgspec.Struct, kw_only=True):
    """A till of the demo: where it stands, how it is called, and what it answered."""

    label: str
    partner: str
    store: str
    client: TillClient
    rung: list[Rung] = msgspec.field(default_factory=list)
    answered: list[str] = msgspec.field(default_factory=list)
    refused: list[str] = msgspec.field(default_factory=list)
    held: int = 0
    codes_refused: int = 0
    differences: list[dict[str, Any]] = msgspec.field(default_factory=list)
