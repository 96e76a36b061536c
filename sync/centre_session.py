"""The centre's side of TPS/1: bytes in, bytes out, over a store.

Every answer is signed and names the request it answers, refusals too, so that nobody on the way can
acknowledge, suspend or rewind a till. The HTTP shell adds only admission and the size cap.

Source: sync.md sections 2, 3 and 7.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from loyalty.trouble import Fault, Refusal
from sync.chain import StreamHead
from sync.enrolment import code_hash, grant_identity, judge_claim, open_claim
from sync.envelope import MAX_BODY_BYTES, OpenedBatch, open_batch, walk_batch
from sync.framing import check_signature, pack, read_json, sha256, split
from sync.keys import Signer
from sync.lanes import seal_page
from sync.ports import CentreFacts, CentreStore, TillRecord
from sync.refusals import (
    BadEnvelope,
    CodeUsed,
    Replayed,
    Revoked,
    StreamMoved,
    Suspended,
    TooLarge,
    UnknownPath,
    UnknownProto,
    UnknownTill,
)
from sync.verdicts import (
    Already,
    Fork,
    Gap,
    Go,
    LaterEpoch,
    OlderEpoch,
    Stopped,
    Take,
    judge_batch,
    judge_hello,
    refusal_for,
)
from sync.wire import (
    ACK_TAG,
    ASK_TAG,
    BATCH_PATH,
    ENROL_PATH,
    GRANT_TAG,
    HELLO_ANSWER_TAG,
    HELLO_PATH,
    HELLO_TAG,
    LEASE_ANSWER_TAG,
    LEASE_ASK_TAG,
    LEASE_PATH,
    PAGE_PATH,
    PROBLEM_TAG,
    PROTO,
    Ack,
    Answer,
    Hello,
    HelloAnswer,
    LeaseAnswer,
    LeaseAsk,
    PageAsk,
    Problem,
    TillMessage,
)

M = TypeVar("M", bound=TillMessage)

REVOKED_RETRY_S = 3_600  # a revoked till otherwise hammers the service
GRANTS_AT_ONCE = 20  # an ack with 500 flags and these stays below 64 KiB; the rest comes with the next
JUDGEMENTS = 3  # how often a batch is judged again when another request moved the stream


class CentreSession:
    """Answers tills.

    Args:
        signer: the centre's key.
        random_bytes: gives so many secret random bytes, for the exchange keys of enrolments.
    """

    def __init__(self, signer: Signer, random_bytes: Callable[[int], bytes]) -> None:
        self._signer = signer
        self._random_bytes = random_bytes
        self._routes = {
            ENROL_PATH: self._enrol,
            HELLO_PATH: self._hello,
            BATCH_PATH: self._batch,
            PAGE_PATH: self._page,
            LEASE_PATH: self._lease,
        }

    def answer(self, now_ms: int, path: str, data: bytes, store: CentreStore) -> Answer:
        """Answer one request, whatever its bytes.

        Args:
            now_ms: wall clock, since 1970 UTC.
            path: one of the five of `wire`.
            data: the request's body, any bytes at all.
        """
        try:
            if len(data) > MAX_BODY_BYTES:
                raise TooLarge("A request must stay below 320 KiB; send less at a time.", bytes=len(data))
            if path not in self._routes:
                raise UnknownPath("There is nothing under this path; check the version of the till.")
            return Answer(status=200, body=self._routes[path](now_ms, data, store))
        except (Refusal, Fault) as trouble:
            return self._refuse(trouble, data, now_ms)

    def _refuse(self, trouble: Refusal | Fault, data: bytes, now_ms: int) -> Answer:
        problem = Problem(
            key_no=self._signer.key_no,
            answers=sha256(data),
            server_at_ms=now_ms,
            status=trouble.status,
            code=trouble.code,
            say=trouble.say,
            need=trouble.figures.get("need", 0),
        )
        return Answer(
            status=trouble.status,
            body=pack(PROBLEM_TAG, problem, self._signer),
            retry_after_s=trouble.figures.get("retry_after_s"),
        )

    # Enrolment

    def _enrol(self, now_ms: int, data: bytes, store: CentreStore) -> bytes:
        claim = open_claim(data)
        slot = store.slot(code_hash(claim.code))
        try:
            slot = judge_claim(slot, claim, now_ms)
            if not store.claim_slot(slot, claim, now_ms):
                raise CodeUsed("This enrolment code was used by another machine. Stop, and tell head office at once.")
        except CodeUsed as used:
            store.alarm(used.code, slot.till_id if slot else "", now_ms)
            raise
        return grant_identity(
            slot,
            claim,
            answers=sha256(data),
            now_ms=now_ms,
            signer=self._signer,
            exchange_private=self._random_bytes(32),
        )

    # Hello

    def _hello(self, now_ms: int, data: bytes, store: CentreStore) -> bytes:
        hello, till = _open(HELLO_TAG, data, Hello, store)
        # Read before counting: a later batch of this till then cannot make this hello look like a rewind.
        stream = store.stream(till.till_id, till.epoch)
        _count(hello, till, store, now_ms)
        judgement = judge_hello(
            stream,
            hello,
            lambda seq: store.hash_at(till.till_id, till.epoch, seq),
            announced_seq=till.announced_seq,
            install_id=till.install_id,
        )
        if not isinstance(judgement, Go):
            refusal = refusal_for(judgement)
            if not isinstance(judgement, OlderEpoch | LaterEpoch):
                store.suspend(till.till_id, till.epoch, refusal.code, data, now_ms)
            raise refusal
        facts = store.take_hello(hello, now_ms)
        _check_state(till)
        answer = HelloAnswer(
            key_no=self._signer.key_no,
            answers=sha256(data),
            server_at_ms=now_ms,
            head=facts.head,
            generation=facts.generation,
            block_no=facts.block_no,
            block_hash=facts.block_hash,
            pause_ms=facts.pause_ms,
            max_events=facts.max_events,
            lanes=facts.lanes,
            grants=self._grants(till, hello.grants, store),
            recalls=facts.recalls,
            peers=facts.peers,
        )
        return pack(HELLO_ANSWER_TAG, answer, self._signer)

    # Batches

    def _batch(self, now_ms: int, data: bytes, store: CentreStore) -> bytes:
        opened, till = _open_batch(data, store)
        header = opened.header
        try:
            _check_state(till)
        except (Suspended, Revoked) as stopped:
            store.quarantine(till.till_id, header.epoch, stopped.code, data, now_ms)
            raise
        facts = self._take(opened, till, data, now_ms, store)
        ack = Ack(
            key_no=self._signer.key_no,
            answers=sha256(data),
            server_at_ms=now_ms,
            head=facts.head,
            generation=facts.generation,
            block_no=facts.block_no,
            block_hash=facts.block_hash,
            flagged=facts.flagged,
            pause_ms=facts.pause_ms,
            max_events=facts.max_events,
            lanes=facts.lanes,
            grants=self._grants(till, header.grants, store),
            recalls=facts.recalls,
        )
        return pack(ACK_TAG, ack, self._signer)

    def _take(self, opened: OpenedBatch, till: TillRecord, data: bytes, now_ms: int, store: CentreStore) -> CentreFacts:
        header = opened.header
        # The genesis of another epoch is not at hand; such a batch is judged by its epoch alone.
        walked = walk_batch(opened, till.genesis) if header.epoch == till.epoch else ()
        for _ in range(JUDGEMENTS):
            stream = store.stream(till.till_id, till.epoch)
            verdict = judge_batch(stream, header, lambda seq: store.hash_at(till.till_id, till.epoch, seq), walked)
            if not isinstance(verdict, Take | Already):
                raise _stop(verdict, stream, opened, data, now_ms, store)
            try:
                return store.take_batch(opened, verdict, now_ms)
            except StreamMoved:
                continue
        raise StreamMoved("Another request of this till is being taken; try again.", retry_after_s=1)

    def _grants(self, till: TillRecord, after: int, store: CentreStore) -> tuple[bytes, ...]:
        return tuple(
            pack(GRANT_TAG, msgspec.structs.replace(grant, key_no=self._signer.key_no), self._signer)
            for grant in store.grants_after(till.till_id, till.epoch, after)[:GRANTS_AT_ONCE]
        )

    # Leases

    def _lease(self, now_ms: int, data: bytes, store: CentreStore) -> bytes:
        ask, till = _open(LEASE_ASK_TAG, data, LeaseAsk, store)
        _check_state(till)
        _check_epoch(ask, till)
        taken = store.take_lease_ask(ask, now_ms)
        answer = LeaseAnswer(
            key_no=self._signer.key_no,
            answers=sha256(data),
            server_at_ms=now_ms,
            request_id=ask.request_id,
            granted=taken.granted,
            available=taken.available,
            refused=taken.refused,
            grants=self._grants(till, ask.grants, store),
        )
        return pack(LEASE_ANSWER_TAG, answer, self._signer)

    # Pages

    def _page(self, now_ms: int, data: bytes, store: CentreStore) -> bytes:
        ask, till = _open(ASK_TAG, data, PageAsk, store)
        if till.state == "revoked":
            _check_state(till)
        _check_epoch(ask, till)
        _count(ask, till, store, now_ms)
        page = store.page_for(till, ask, now_ms)
        return seal_page(page, till_id=till.till_id, answers=sha256(data), now_ms=now_ms, signer=self._signer)


def _open(tag: bytes, data: bytes, kind: type[M], store: CentreStore) -> tuple[M, TillRecord]:
    parts = split(data)
    message = read_json(parts, kind)
    if message.proto != PROTO:
        raise UnknownProto(f"This centre speaks TPS/{PROTO}; update the till or the centre.", proto=message.proto)
    till = _known_till(store, message.till_id)
    check_signature(tag, parts, till.keys.find(message.key_no))
    if parts.body:
        raise BadEnvelope("This message has nothing behind its signature.")
    return message, till


def _open_batch(data: bytes, store: CentreStore) -> tuple[OpenedBatch, TillRecord]:
    asked: list[TillRecord] = []

    def key_of(till_id: str, key_no: int) -> str | None:
        asked.append(_known_till(store, till_id))
        return asked[-1].keys.find(key_no)

    return open_batch(data, key_of), asked[-1]


def _known_till(store: CentreStore, till_id: str) -> TillRecord:
    till = store.till(till_id)
    if till is None:
        raise UnknownTill("This till is not enrolled here; enrol it with a new code.", till_id=till_id)
    return till


def _check_state(till: TillRecord) -> None:
    if till.state == "revoked":
        raise Revoked("This till was revoked; ask head office.", retry_after_s=REVOKED_RETRY_S)
    if till.state == "suspended":
        raise Suspended("This till's uploads wait for a decision at head office; nothing is lost.")


def _check_epoch(message: TillMessage, till: TillRecord) -> None:
    if message.epoch != till.epoch:
        raise refusal_for(OlderEpoch() if message.epoch < till.epoch else LaterEpoch())


def _count(message: TillMessage, till: TillRecord, store: CentreStore, now_ms: int) -> None:
    if message.epoch == till.epoch and not store.take_counter(till.till_id, till.epoch, message.counter):
        store.alarm(Replayed.code, till.till_id, now_ms)
        raise Replayed("This request was seen before; count on from the last one.", need=till.counter)


def _stop(
    verdict: Stopped, stream: StreamHead, opened: OpenedBatch, data: bytes, now_ms: int, store: CentreStore
) -> Refusal:
    """Keep the proof of a batch that cannot be taken, and say why."""
    header = opened.header
    refusal = refusal_for(verdict)
    if isinstance(verdict, Fork):
        store.suspend(header.till_id, stream.epoch, refusal.code, data, now_ms)
    elif not isinstance(verdict, Gap):
        store.quarantine(header.till_id, header.epoch, refusal.code, data, now_ms)
    return refusal
