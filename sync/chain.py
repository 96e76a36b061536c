"""One link, one walk: the hash chain that every event of a stream hangs on.

    d_n = HMAC-SHA256(genesis, payload)
    h_n = SHA256("TP-EV1" ‖ till_id ‖ epoch ‖ seq ‖ h_{n-1} ‖ d_n)        h_0 = 32 zero bytes

`till_id` is 16 bytes, `epoch` u32, `seq` u64, big-endian. Only till and centre know `genesis`, so nobody
else can test a guess at a payload. A payload that was erased leaves its `d_n` behind and the walk goes on.
The centre keeps journals of its own with the same code.

Source: house.md section 3, sync.md section 1.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec

Hex32 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
Hex64 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Epoch = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
Seq = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

ZERO_HASH = "0" * 64

_BLANKED = re.compile(rb'\{"blanked":"([0-9a-f]{64})"\}')


class StreamHead(msgspec.Struct, frozen=True, kw_only=True):
    """Where a stream stands: the place of its last event and the hash that covers it and all before it."""

    till_id: Hex32
    epoch: Epoch
    seq: Seq = 0
    hash: Hex64 = ZERO_HASH


def next_hash(head: StreamHead, digest: bytes) -> str:
    """`h_{n}` as 64 hex characters, for the event right after `head` whose `d_n` is `digest` (32 bytes)."""
    place = _stream(head) + (head.seq + 1).to_bytes(8, "big")
    return hashlib.sha256(place + bytes.fromhex(head.hash) + digest).hexdigest()


def next_head(head: StreamHead, genesis: bytes, payload: bytes) -> StreamHead:
    """The stream one event further.

    Args:
        head: where the stream stands; `StreamHead(till_id=…, epoch=…)` before the first event.
        genesis: the stream's secret nonce, 32 bytes.
        payload: the exact stored bytes of the event, or its blanked line.
    """
    after = next_hash(head, payload_digest(genesis, payload))
    return StreamHead(till_id=head.till_id, epoch=head.epoch, seq=head.seq + 1, hash=after)


def walk(head: StreamHead, genesis: bytes, payloads: Iterable[bytes]) -> Iterator[StreamHead]:
    """The heads after each of `payloads`, in order, beginning right after `head`."""
    return walk_digests(head, (payload_digest(genesis, payload) for payload in payloads))


def walk_digests(head: StreamHead, digests: Iterable[bytes]) -> Iterator[StreamHead]:
    """The same by `d_n`, 32 bytes each, of events whose payloads were let go."""
    stream, before = _stream(head), bytes.fromhex(head.hash)
    for seq, digest in enumerate(digests, head.seq + 1):
        before = hashlib.sha256(stream + seq.to_bytes(8, "big") + before + digest).digest()
        yield StreamHead(till_id=head.till_id, epoch=head.epoch, seq=seq, hash=before.hex())


def payload_digest(genesis: bytes, payload: bytes) -> bytes:
    """`d_n`: the keyed digest of a payload, or the digest that a blanked line has kept."""
    if blanked := _BLANKED.fullmatch(payload):
        return bytes.fromhex(blanked[1].decode("ascii"))
    return hmac.digest(genesis, payload, "sha256")


def blank(genesis: bytes, payload: bytes) -> bytes:
    """The line that stands for an erased payload; the chain walks over it as over the payload itself."""
    return b'{"blanked":"' + payload_digest(genesis, payload).hex().encode("ascii") + b'"}'


def is_blanked(payload: bytes) -> bool:
    """Whether this line stands for an erased payload."""
    return _BLANKED.fullmatch(payload) is not None


def _stream(head: StreamHead) -> bytes:
    return b"TP-EV1" + bytes.fromhex(head.till_id) + head.epoch.to_bytes(4, "big")
