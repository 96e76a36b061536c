"""What is left of an event once its goods are let go: the head, which the books are made of, and who approved it.

Source: ledger.md rule 6 "Payloads ... which retention and erasure may delete"; house.md section 3.
"""

from typing import Annotated

import msgspec

from loyalty.facts.fixed import FIXED
from loyalty.facts.receipts import EMPTY
from loyalty.lots import EventRef

WITH_GOODS = ("receipt.v1", "return.v1")
WITHOUT_GOODS = (
    "adjustment.v1", "card.v1", "card_named.v1", "certificate.v1", "certificate_kept.v1", "claim.v1",
    "claim_settled.v1", "consent.v1", "delta.v1", "enrolment.v1", "expiry.v1", "grant.v1", "lease.v1", "move.v1",
    "opened.v1", "opening.v1", "period.v1", "reclaim.v1", "redacted.v1", "return_void.v1",
    "till_close.v1", "transfer.v1", "void.v1", "write_off.v1",
)  # fmt: skip
UNREADABLE = b"{}"  # stands for bytes of which nobody here can say what is in them
EFFECTS = ("effects",)  # what each promotion did on which line
_ALWAYS, _APPROVED = ("programme_version",), ("cashier", "override")
_Fields = dict[str, msgspec.Raw]


class RedactedPlace(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A batch, by its last event, or one event of head office; `sha256` is of the bytes that are left."""

    till_id: str
    epoch: int
    seq: int
    sha256: Annotated[str, msgspec.Meta(max_length=64)]

    @property
    def ref(self) -> EventRef:
        return EventRef(till_id=self.till_id, epoch=self.epoch, seq=self.seq)


class Redacted(msgspec.Struct, frozen=True, kw_only=True, tag="redacted.v1", tag_field="type", omit_defaults=True):
    """Head office let the goods of old receipts go, and vouches for what it left of them."""

    receipt_id: str
    places: tuple[RedactedPlace, ...]
    detail: msgspec.Raw = EMPTY


def redacted(payload: bytes, keep: tuple[str, ...] = ()) -> bytes:
    """An event without what was bought and why: of the detail of a sale or return, the programme that it was decided
    under, and cashier and approval where there was one. What people posted instead of an event is an event in an event.
    Events without goods come back as they are.

    Args:
        payload: its bytes; fields that a version to come added to its head are kept.
        keep: more fields of its detail that stay, such as `EFFECTS`.
    Returns:
        Its bytes anew; `UNREADABLE` for what is malformed or of a type that is not known here.
    """
    try:
        told = msgspec.json.decode(payload, type=_Fields)
        kind = msgspec.json.decode(told.get("type", EMPTY))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return UNREADABLE
    if kind == FIXED and "fact" in told:
        return msgspec.json.encode(told | {"fact": msgspec.Raw(redacted(bytes(told["fact"]), keep))})
    if kind not in WITH_GOODS:
        return payload if kind in WITHOUT_GOODS else UNREADABLE
    left = _left(bytes(told.pop("detail", EMPTY)), keep)
    return msgspec.json.encode(told | ({"detail": msgspec.Raw(msgspec.json.encode(left))} if left else {}))


def _left(detail: bytes, keep: tuple[str, ...]) -> _Fields:
    """What stays of a detail; nothing of one that is malformed."""
    try:
        told = msgspec.json.decode(detail, type=_Fields)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return {}
    names = (*_ALWAYS, *keep, *(_APPROVED if "override" in told else ()))
    return {name: told[name] for name in names if name in told}
