"""Events to signed compressed bytes and back, bounded both ways.

    u16 length ‖ BatchHeader as JSON ‖ 64-byte signature ‖ zlib(one payload a line)

A blanked payload is the line `{"blanked":"<hex of d_n>"}` (`chain.blank`).
Source: sync.md section 2, DECISIONS 16 and 17.
"""

import zlib
from collections.abc import Sequence

import msgspec

from loyalty.trouble import InvariantBroken
from sync.blocks import BlockMark
from sync.chain import StreamHead, walk
from sync.framing import KeyLookup, check_signature, inflate, pack, sha256, split
from sync.keys import Signer
from sync.refusals import BadBody, BadChain, BadEnvelope, TooLarge
from sync.versions import OURS, Versions
from sync.wire import BATCH_TAG, BatchHeader, Grant, Lanes

MAX_EVENTS = 500
MAX_RAW_BYTES = 2 * 1024 * 1024
MAX_WIRE_BYTES = 256 * 1024
_HEADER_ROOM = 8 * 1024  # what a header and its signature never need
MAX_BODY_BYTES = 320 * 1024  # of a request: what the HTTP shell may read before it hands the bytes on


class Unsent(msgspec.Struct, frozen=True, kw_only=True):
    """One event as the journal stores it: place, exact bytes, hash after it."""

    seq: int
    payload: bytes
    hash: str


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """What a till says of itself in a batch header, beside the events."""

    counter: int
    sent_at_ms: int
    clock_error_ms: int
    boot: str
    head_seq: int
    cursors: Lanes
    grants: int
    block: BlockMark = BlockMark()


class SealedBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes to send, and the header inside them."""

    data: bytes
    header: BatchHeader


class OpenedBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch whose signature, hash, length and number of lines hold. Keep the first four as evidence.

    `shown` are grants in its events that the centre did sign, with the sequence of the event.
    """

    header: BatchHeader
    header_bytes: bytes
    signature: bytes
    body: bytes
    payloads: tuple[bytes, ...]
    shown: tuple[tuple[int, Grant], ...] = ()


def seal_batch(after: StreamHead, events: Sequence[Unsent], sender: Sender, signer: Signer) -> SealedBatch:
    """A batch of the first events that fit the limits, at least one.

    Args:
        after: the head right before `events[0]`.
        events: gapless, in order; what does not fit is left for the next batch.
    Raises:
        TooLarge: a single event is over the limits.
    """
    if not events or events[0].seq != after.seq + 1:
        raise InvariantBroken("a batch begins right after the head it follows", after=after.seq, events=len(events))
    count = _fitting(events)
    while True:
        raw = b"".join(event.payload + b"\n" for event in events[:count])
        body = zlib.compress(raw, 6)
        header = _header(after, events[:count], sender, signer, raw_bytes=len(raw), body_sha256=sha256(body))
        data = pack(BATCH_TAG, header, signer, body)
        if len(data) <= MAX_WIRE_BYTES and len(raw) <= MAX_RAW_BYTES:
            return SealedBatch(data=data, header=header)
        if count == 1:
            raise TooLarge("One event alone is over the limits of a batch.", seq=events[0].seq, bytes=len(data))
        count //= 2


def fits_a_batch(payload: bytes) -> bool:
    """Whether one event, alone in a batch, stays within the limits."""
    if len(payload) < MAX_WIRE_BYTES // 2:
        return True
    return len(payload) < MAX_RAW_BYTES and len(zlib.compress(payload, 6)) < MAX_WIRE_BYTES - _HEADER_ROOM


def _fitting(events: Sequence[Unsent]) -> int:
    raw = 0
    for count, event in enumerate(events[:MAX_EVENTS]):
        raw += len(event.payload) + 1
        if b"\n" in event.payload or not event.payload:
            raise InvariantBroken("a payload is one line", seq=event.seq)
        if raw > MAX_RAW_BYTES and count:
            return count
    return min(len(events), MAX_EVENTS)


def _header(
    after: StreamHead, events: Sequence[Unsent], sender: Sender, signer: Signer, *, raw_bytes: int, body_sha256: str
) -> BatchHeader:
    last = events[-1]
    return BatchHeader(
        till_id=after.till_id,
        epoch=after.epoch,
        key_no=signer.key_no,
        counter=sender.counter,
        sent_at_ms=sender.sent_at_ms,
        first_seq=events[0].seq,
        last_seq=last.seq,
        prev_hash=after.hash,
        head_hash=last.hash,
        raw_bytes=raw_bytes,
        body_sha256=body_sha256,
        clock_error_ms=sender.clock_error_ms,
        boot=sender.boot,
        backlog=max(0, sender.head_seq - last.seq),
        cursors=sender.cursors,
        grants=sender.grants,
        block_no=sender.block.block_no,
        block_hash=sender.block.hash,
    )


def open_batch(data: bytes, key_lookup: KeyLookup, versions: Versions = OURS) -> OpenedBatch:
    """Take a batch apart and check all that its own bytes can prove: cheap checks first.

    Args:
        data: the request body, any bytes at all.
        key_lookup: the till's public key by till and key number.
    Raises:
        TooLarge, BadEnvelope, UnknownProto, BadSignature, BadBody.
    """
    if len(data) > MAX_BODY_BYTES:
        raise TooLarge("A batch must stay below 320 KiB; send fewer events.", bytes=len(data))
    parts = split(data)
    header = versions.read(parts, BatchHeader, is_upload=True)
    _check_limits(header)
    check_signature(BATCH_TAG, parts, key_lookup(header.till_id, header.key_no))
    payloads = _lines(inflate(parts.body, header.body_sha256, header.raw_bytes), header)
    return OpenedBatch(
        header=header, header_bytes=parts.json, signature=parts.signature, body=parts.body, payloads=payloads
    )


def _check_limits(header: BatchHeader) -> None:
    events = header.last_seq - header.first_seq + 1
    if header.first_seq < 1 or events < 1:
        raise BadEnvelope("A batch holds at least one event, from sequence 1 on.", first_seq=header.first_seq)
    if events > MAX_EVENTS or header.raw_bytes > MAX_RAW_BYTES:
        raise TooLarge("At most 500 events and 2 MiB in a batch.", events=events, raw_bytes=header.raw_bytes)


def _lines(raw: bytes, header: BatchHeader) -> tuple[bytes, ...]:
    lines = raw.split(b"\n")
    ended = lines.pop() == b""
    if not ended or len(lines) != header.last_seq - header.first_seq + 1 or not all(lines):
        raise BadBody("The body does not hold one line for each event the header counts.", lines=len(lines))
    return tuple(lines)


def walk_batch(opened: OpenedBatch, genesis: bytes) -> tuple[StreamHead, ...]:
    """The stream's heads after each payload of a batch, which must end at the hash the till signed.

    Raises:
        BadChain: the payloads do not lead from `prev_hash` to `head_hash`.
    """
    header = opened.header
    before = StreamHead(till_id=header.till_id, epoch=header.epoch, seq=header.first_seq - 1, hash=header.prev_hash)
    heads = tuple(walk(before, genesis, opened.payloads))
    if heads[-1].hash != header.head_hash:
        raise BadChain("The events do not lead to the hash that was signed.", last_seq=header.last_seq)
    return heads
