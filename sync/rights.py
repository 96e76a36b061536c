"""Rights to spend a member's points that one till of a store gives to another over the LAN, without a leader.

The donor takes them off its own disk before it sends them; the receiver credits each transfer once, by the donor's
number of it; what is not confirmed is sent again. So points under way are at nobody's till, and never at two.
Every message is signed by the till that sends it; who the peers are comes from the centre, signed.
Source: offline-redemption.md "Store sharing on a LAN".
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from loyalty.facts.lease_events import SignedBytes
from loyalty.lots import Slice
from sync.chain import Epoch, Hex32
from sync.framing import check_signature, pack, read_json, split
from sync.keys import Signer
from sync.refusals import BadEnvelope, BadSignature
from sync.wire import Count, Peer, Short

RIGHTS_PATH = "/lan/v1/rights"
ASK_TAG = b"TP-RIGHTS1\0"
SENT_TAG = b"TP-SENT1\0"
TAKEN_TAG = b"TP-TAKEN1\0"
MOST_BYTES = 64 * 1024
MOST_SENT = 20  # grants beside the rights that they gave


class RightsMessage(msgspec.Struct, frozen=True, kw_only=True):
    """From one till to another: both by id and epoch."""

    till_id: Hex32
    epoch: Epoch
    key_no: Count
    to_till: Hex32
    to_epoch: Epoch
    sent_at_ms: int


class RightsAsk(RightsMessage, frozen=True, kw_only=True):
    """Please send rights to spend so many points of an account, but none where there are fewer than `least`, for a sale
    draws on one lease. Asked again under its id it gets the same."""

    ask_id: Short
    account_id: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
    points: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    least: Count = 1


class RightsSent(RightsMessage, frozen=True, kw_only=True):
    """Rights of one lease, gone from the donor. `n` counts the donor's transfers; 0 says that it has nothing to give.

    `spend_for_s` is what is left of the lease's time as the donor counts it now; `grants` are the last messages of the
    centre by which it was given, for the receiver to show to a centre that lost them.
    """

    n: Count
    ask_id: Short = ""
    lease_id: Short = ""
    account_id: Count = 0
    slices: tuple[Slice, ...] = ()
    spend_for_s: Count = 0
    settle_until_ms: int = 0
    grants: Annotated[tuple[SignedBytes, ...], msgspec.Meta(max_length=MOST_SENT)] = ()


class RightsTaken(RightsMessage, frozen=True, kw_only=True):
    """The donor's transfers that the sender of this has on its disk: they need not be sent again."""

    numbers: Annotated[tuple[Count, ...], msgspec.Meta(max_length=1000)]


TAGS: dict[type[RightsMessage], bytes] = {RightsAsk: ASK_TAG, RightsSent: SENT_TAG, RightsTaken: TAKEN_TAG}


def pack_rights(
    message: RightsMessage, signer: Signer, tags: Mapping[type[RightsMessage], bytes] = TAGS
) -> bytes:
    """A message as bytes. Raises: TooLarge."""
    return pack(tags[type(message)], message, signer)


def open_rights(
    data: bytes,
    own: tuple[str, int],
    peers: tuple[Peer, ...],
    tags: Mapping[type[RightsMessage], bytes] = TAGS,
) -> RightsMessage:
    """A message for the till `own` (id, epoch), from one of its peers.

    Args:
        tags: the kinds of message that are looked for, by the tag each is signed under.
    Raises:
        BadEnvelope: no such message, or for another till.
        BadSignature: not signed by a peer as the centre tells of it now.
    """
    if len(data) > MOST_BYTES:
        raise BadEnvelope("A message between tills stays below 64 KiB.", bytes=len(data))
    parts = split(data)
    said = read_json(parts, RightsMessage)
    who = said.till_id, said.epoch, said.key_no
    peer = next((one for one in peers if (one.till_id, one.epoch, one.key_no) == who), None)
    if peer is None:
        raise BadSignature("This is no till of the store, as far as head office told.", till_id=said.till_id)
    if (said.to_till, said.to_epoch) != own:
        raise BadEnvelope("This message is for another till.", to_till=said.to_till)
    for kind, tag in tags.items():
        try:
            check_signature(tag, parts, peer.public)
        except BadSignature:
            continue
        return read_json(parts, kind)
    raise BadSignature("The signature does not belong to this till of the store.", till_id=said.till_id)
