"""Evidence read back: signatures, gapless numbers, hashes that lead from batch to batch, the events inside.

A batch that is not as its till signed it proves nothing: it is named once, its events are `lost`, and the walk goes on
behind it. What was redacted is in its place by the digests it left, and as an event of head office vouches for it.
Source: house.md section 3; sync.md sections 1 and 2.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from central.database import tables as t
from central.verify.certificates import CERTIFICATE_KEPT
from central.verify.deltas import PRICE_DELTA
from central.verify.quarantine import FIXED
from central.verify.refold import Ref
from central.verify.stored import batches_of, event_of, payloads_in
from central.verify.violations import Violations
from sync.chain import StreamHead, next_hash, payload_digest, walk_digests
from sync.keys import verify as signature_holds
from sync.wire import BATCH_TAG, BatchHeader

Take = Callable[[Ref, dict[str, Any], bool], None]
REDACTED = "redacted.v1"
_DIGEST = 32


class StreamWalk:
    """Walks every stream and hands its events on.

    Args:
        take: called with the place of each event of a till, and of each about an account, the event as JSON, and
            whether it is whole; of others head office let the goods go.

    Attributes:
        own: the centre's own events; `own_refs`: the places of those about an account.
        lost: places of events that a damaged batch held, or that are not what was chained.
        unread: streams that could not be walked to their end.
    """

    def __init__(self, db: Connection, found: Violations, take: Take) -> None:
        self._db, self._found, self._take = db, found, take
        self.batches = 0
        self.own: list[dict[str, Any]] = []
        self.own_refs: set[Ref] = set()
        self.lost: set[Ref] = set()
        self.unread: set[tuple[str, int]] = set()
        self._redacted: dict[Ref, str] = {}  # by the last event of a batch, or an own event: the hash of what is left

    def run(self) -> None:
        """Every stream, from its beginning to the head it is said to have."""
        for stream in self._db.execute(select(t.stream).order_by(t.stream.c.till_id, t.stream.c.epoch)).all():
            about = f"{stream.till_id}/{stream.epoch}"
            self.unread.add((stream.till_id, stream.epoch))
            with self._found.damage("stream.unreadable", about):
                genesis = bytes.fromhex(stream.genesis)
                begin = StreamHead(till_id=stream.till_id, epoch=stream.epoch)
                of_centre = stream.state == "centre"
                end = self._centre(begin, genesis, about) if of_centre else self._till(begin, genesis, about)
                self.unread.discard((stream.till_id, stream.epoch))
                if end:
                    self._found.differs("chain.head", about, (end.seq, end.hash), (stream.seq, stream.hash))
        told = {(till_id, epoch, seq): sha256 for event in self.own if event["type"] == REDACTED
                for till_id, epoch, seq, sha256 in event["places"]}  # fmt: skip
        for ref in sorted(told.keys() | self._redacted.keys()):
            self._found.differs("redacted.left", ref, told.get(ref), self._redacted.get(ref))

    def _centre(self, head: StreamHead, genesis: bytes, about: str) -> StreamHead:
        here = t.centre_event.c.till_id == head.till_id, t.centre_event.c.epoch == head.epoch
        for row in self._db.execute(select(t.centre_event).where(*here).order_by(t.centre_event.c.seq)):
            if self._found.differs("chain.gap", about, head.seq + 1, row.seq):
                # What is missing leaves no hash to go on from.
                head = msgspec.structs.replace(head, seq=row.seq, hash=row.hash)
            else:
                digest = bytes(row.digest) if row.redacted_ms else payload_digest(genesis, bytes(row.payload))
                head = msgspec.structs.replace(head, seq=row.seq, hash=next_hash(head, digest))
                if self._found.differs("chain.link", f"{about} at {row.seq}", head.hash, row.hash):
                    head = msgspec.structs.replace(head, hash=row.hash)
                    self.lost.add((row.till_id, row.epoch, row.seq))
                    continue
            event = event_of(bytes(row.payload))
            if row.redacted_ms:
                self._redacted[row.till_id, row.epoch, row.seq] = hashlib.sha256(bytes(row.payload)).hexdigest()
            self.own.append(event)
            if event.get("account_id") or event["type"] in (FIXED, CERTIFICATE_KEPT, PRICE_DELTA):
                self.own_refs.add((row.till_id, row.epoch, row.seq))
                self._take((row.till_id, row.epoch, row.seq), event, not row.redacted_ms)
        return head

    def _till(self, begin: StreamHead, genesis: bytes, about: str) -> StreamHead | None:
        listed = select(t.till_key).where(t.till_key.c.till_id == begin.till_id)
        keys = {row.key_no: row for row in self._db.execute(listed)}
        head: StreamHead | None = begin
        for row in batches_of(self._db, begin.till_id, begin.epoch):
            self.batches += 1
            where = f"{about} up to {row.last_seq}"
            header = self._header(row, keys, where)
            payloads = self._payloads(row, header, genesis, head, where) if header else None
            if header is None or payloads is None:
                self.lost |= {(row.till_id, row.epoch, seq) for seq in range(row.posted_from, row.last_seq + 1)}
                # A header that is sound still says how the chain goes on behind its body.
                head = _place(header, header.last_seq, header.head_hash) if header else None
                continue
            head = _place(header, header.last_seq, header.head_hash)
            for seq, payload in enumerate(payloads, row.posted_from):
                self._take((row.till_id, row.epoch, seq), event_of(payload), not row.redacted_ms)
        return head

    def _header(self, row: Row[Any], keys: dict[int, Row[Any]], where: str) -> BatchHeader | None:
        """What the till signed; none where it did not, or where the row says something else."""
        header = None
        with self._found.damage("batch.header", where):
            header = msgspec.json.decode(bytes(row.header), type=BatchHeader)
        if header is None:
            return None
        key = keys.get(header.key_no)
        good = key is not None and signature_holds(key.public, bytes(row.signature), BATCH_TAG + bytes(row.header))
        if key is not None and key.state == "replaced" and key.epoch == header.epoch:
            # Beyond there only the newer key speaks for the till.
            self._found.differs("batch.key", where, True, header.last_seq <= key.until_seq)
        if key is not None and header.epoch in keys:
            # An enrolment's key has the number of its epoch; that of an earlier one does not speak for it.
            self._found.differs("batch.key", where, True, key.epoch >= header.epoch)
        told = (header.till_id, header.epoch, header.first_seq, header.last_seq)
        if self._found.differs("batch.signature", where, True, good):
            return None
        if self._found.differs("batch.place", where, told, (row.till_id, row.epoch, row.first_seq, row.last_seq)):
            return None
        in_it = header.first_seq <= row.posted_from <= header.last_seq
        return None if self._found.differs("batch.place", where, True, in_it) else header

    def _payloads(
        self, row: Row[Any], header: BatchHeader, genesis: bytes, head: StreamHead | None, where: str
    ) -> list[bytes] | None:
        """The events that a batch brought first, if its body is the one that the header binds and the chain is made of.

        Args:
            head: where the batches before it end, if that is known.
        """
        sha256 = hashlib.sha256(bytes(row.body)).hexdigest()
        if row.redacted_ms:
            self._redacted[row.till_id, row.epoch, row.last_seq] = sha256
        elif self._found.differs("batch.body", where, header.body_sha256, sha256):
            return None
        payloads = None
        with self._found.damage("batch.body", where):
            payloads = payloads_in(bytes(row.body))
        wanted = header.last_seq - header.first_seq + 1
        if payloads is None or self._found.differs("batch.events", where, wanted, len(payloads)):
            return None
        digests = _digests(row) if row.redacted_ms else [payload_digest(genesis, one) for one in payloads]
        if self._found.differs("batch.events", where, wanted, len(digests)):
            return None
        before = _place(header, header.first_seq - 1, header.prev_hash)
        heads = [before, *walk_digests(before, digests)]
        if self._found.differs("chain.link", where, header.head_hash, heads[-1].hash):
            return None
        # A batch may begin before the events that it brought first.
        skipped = row.posted_from - header.first_seq
        if head and not self._found.differs("chain.gap", where, head.seq + 1, row.posted_from):
            self._found.differs("chain.link", where, head.hash, heads[skipped].hash)
        return payloads[skipped:]


def _digests(row: Row[Any]) -> list[bytes]:
    digests = bytes(row.digests)
    return [digests[at : at + _DIGEST] for at in range(0, len(digests), _DIGEST)]


def _place(header: BatchHeader, seq: int, hash: str) -> StreamHead:
    return StreamHead(till_id=header.till_id, epoch=header.epoch, seq=seq, hash=hash)
