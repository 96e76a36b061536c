"""Who approved what a cashier may not do alone: a part of the detail of the event that it was done by."""

from typing import Literal

import msgspec

Action = Literal["void", "return", "return_without_receipt", "charged_difference", "points_spent", "day_close",
                 "card_block", "card_replace", "claim"]  # fmt: skip


class Override(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A supervisor's approval.

    Attributes:
        supervisor: as the shop numbers its people, never a name.
        reason: in their words.
        actions: the rules of the till that wanted it; empty where none did, and it was given all the same.
        by_pos: the till knows no supervisors, so the POS says that it asked one.
    """

    supervisor: str
    reason: str = ""
    actions: tuple[Action, ...] = ()
    by_pos: bool = False


class Approved(msgspec.Struct, frozen=True, kw_only=True):
    """What any detail says of who did it, who approved it, and of which exchange it is half."""

    cashier: str = ""
    override: Override | None = None
    exchange: str = ""


def stamped(detail: msgspec.Raw, override: Override | None, exchange: str = "") -> msgspec.Raw:
    """An event's detail with its approval and exchange; as it was where there is neither."""
    if override is None and not exchange:
        return detail
    told = msgspec.json.decode(detail, type=dict[str, msgspec.Raw])
    if override is not None:
        told["override"] = msgspec.Raw(msgspec.json.encode(override))
    if exchange:
        told["exchange"] = msgspec.Raw(msgspec.json.encode(exchange))
    return msgspec.Raw(msgspec.json.encode(told))


def approved_in(detail: bytes) -> Approved:
    """Cashier, approval and exchange out of any detail; nothing of one that is malformed or was erased, which is a
    finding of the recomputation."""
    try:
        return msgspec.json.decode(detail, type=Approved)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return Approved()
