"""The centre's side of TPS/1: bytes in, bytes out, over a store.

Every answer is signed and names the request it answers, refusals too, so that nobody on the way can
acknowledge, suspend or rewind a till. The HTTP shell adds only admission and the size cap.

Source: sync.md sections 2, 3 and 7.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from loyalty.trouble import Fault, Refusal
from sync.card_keys import seal_card_keys
from sync.chain import StreamHead
from sync.desk import DESK_ANSWER_TAG, DESK_ASK_TAG, DESK_PATH, DeskAnswer, DeskAsk, sign_span
from sync.enrolment import code_hash, grant_identity, judge_claim, open_claim
from sync.envelope import MAX_BODY_BYTES, OpenedBatch, walk_batch
from sync.framing import check_signature, pack, sha256, split
from sync.heard import check_epoch, check_state, keep_retired, open_ask, open_said, open_sent_batch, take_count
from sync.keys import PublicKey, Signer
from sync.lanes import seal_page
from sync.leaving import LEAVE_PATH, LEAVE_TAG, LEFT_TAG, Leave, Left
from sync.papers import make_paper, read_paper
from sync.ports import CentreFacts, CentreStore, TillRecord
from sync.provisional import may_be_provisional
from sync.refusals import (
    BadBody,
    BadChain,
    BadEnvelope,
    CodeUsed,
    GapFound,
    KeyRefused,
    Revoked,
    StreamMoved,
    Suspended,
    TillLeft,
    TooLarge,
    UnknownChunk,
    UnknownEpoch,
    UnknownPath,
)
from sync.rotation import (
    CENTRE_KEYS_PATH,
    KEY_TAKEN_TAG,
    KEYS_ASK_TAG,
    NEW_KEY_PATH,
    NEW_KEY_TAG,
    KeysAsk,
    KeysTold,
    KeyTaken,
    NewKey,
    Notice,
    next_key_no,
    pack_keys,
    proof_holds,
    trusted_back,
)
from sync.shown import shown_grants
from sync.snapshots import seal_manifest, seal_part
from sync.verdicts import (
    Already,
    Fork,
    Gap,
    Go,
    LaterEpoch,
    OlderEpoch,
    Rewind,
    Stopped,
    Take,
    judge_batch,
    judge_hello,
    refusal_for,
)
from sync.versions import OURS, Versions
from sync.wire import (
    ACK_TAG,
    ASK_TAG,
    BATCH_PATH,
    CHUNK_ASK_TAG,
    CHUNK_PATH,
    DIGEST_ANSWER_TAG,
    DIGEST_ASK_TAG,
    DIGEST_PATH,
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
    SALVAGE_PATH,
    SNAPSHOT_ASK_TAG,
    SNAPSHOT_PATH,
    URGENT_PATH,
    Ack,
    Answer,
    ChunkAsk,
    DigestAnswer,
    DigestAsk,
    Hello,
    HelloAnswer,
    LeaseAnswer,
    LeaseAsk,
    PageAsk,
    Problem,
    SealedCardKeys,
    SnapshotAsk,
)

GRANTS_AT_ONCE = 20  # an ack with 500 flags and these stays below 64 KiB; the rest comes with the next
JUDGEMENTS = 3  # how often a batch is judged again when another request moved the stream


class CentreSession:
    """Answers tills.

    Args:
        signer: the centre's key.
        random_bytes: gives so many secret random bytes, for the exchange keys of enrolments.
        versions: of the protocol that it reads.
        notices: of the keys that came before this one, in order.
    """

    def __init__(
        self,
        signer: Signer,
        random_bytes: Callable[[int], bytes],
        versions: Versions = OURS,
        notices: tuple[Notice, ...] = (),
    ) -> None:
        self._versions, self._notices = versions, notices
        self._own_keys = trusted_back(PublicKey(key_no=signer.key_no, public=signer.public), notices)
        self._signer = signer
        self._random_bytes = random_bytes
        self._routes = {
            ENROL_PATH: self._enrol,
            HELLO_PATH: self._hello,
            BATCH_PATH: self._batch,
            PAGE_PATH: self._page,
            URGENT_PATH: self._urgent,
            SNAPSHOT_PATH: self._snapshot,
            CHUNK_PATH: self._chunk,
            DIGEST_PATH: self._digest,
            LEASE_PATH: self._lease,
            DESK_PATH: self._desk,
            NEW_KEY_PATH: self._new_key,
            CENTRE_KEYS_PATH: self._tell_keys,
            SALVAGE_PATH: self._salvage,
            LEAVE_PATH: self._leave,
        }

    def answer(self, now_ms: int, path: str, data: bytes, store: CentreStore) -> Answer:
        """Answer one request, whatever its bytes.

        Args:
            now_ms: wall clock, since 1970 UTC.
            path: one of those of `wire`.
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
        claim = open_claim(data, self._versions)
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
            paper=make_paper(slot, claim, now_ms=now_ms, signer=self._signer),
        )

    # Hello

    def _readmit(self, now_ms: int, data: bytes, store: CentreStore) -> None:
        """Where a till is not known, or its key, and shows by a paper of ours that it was: before a restore."""
        parts = split(data)
        hello = self._versions.read(parts, Hello, is_upload=True)
        if not hello.paper or ((till := store.till(hello.till_id)) and till.keys.find(hello.key_no)):
            return
        paper, genesis = read_paper(hello.paper, self._signer)
        check_signature(HELLO_TAG, parts, paper.public)
        if (paper.till_id, paper.till_key_no) == (hello.till_id, hello.key_no):
            store.readmit(paper, genesis, now_ms)

    def _hello(self, now_ms: int, data: bytes, store: CentreStore) -> bytes:
        self._readmit(now_ms, data, store)
        hello, till = open_said(HELLO_TAG, data, Hello, store, self._versions, is_upload=True)
        if hello.epoch > till.epoch and may_be_provisional(hello.epoch):
            till = store.adopt_provisional(hello, now_ms) or till
        # Read before counting: a later batch of this till then cannot make this hello look like a rewind.
        stream = store.stream(till.till_id, till.epoch)
        take_count(hello, till, store, now_ms)
        if till.state == "revoked" or (till.is_undecided and hello.epoch > till.epoch):
            check_state(till)  # whatever it says, in whatever epoch: it is to forget, or to wait
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
        check_state(till)
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
            granted_no=facts.granted_no,
            new_key=facts.new_key,
            card_keys=self._card_keys(facts, hello, data),
            sealing_key=facts.sealing_key if facts.sealing_key != hello.sealing_key else "",
        )
        return pack(HELLO_ANSWER_TAG, answer, self._signer)

    def _card_keys(self, facts: CentreFacts, hello: Hello, data: bytes) -> SealedCardKeys | None:
        """For a till that asks and holds others; where its exchange key is unusable it is told all but these."""
        if facts.card_keys is None or not hello.exchange_key or hello.card_keys == facts.card_keys.ids:
            return None
        try:
            return seal_card_keys(facts.card_keys, hello.exchange_key, self._random_bytes(32), data)
        except BadBody:
            return None

    # Batches

    def _batch(self, now_ms: int, data: bytes, store: CentreStore) -> bytes:
        opened, till = open_sent_batch(data, store, self._versions)
        keep_retired(opened, till, data, now_ms, store)
        header = opened.header
        try:
            check_state(till)
        except (Suspended, Revoked, TillLeft) as stopped:
            store.quarantine(till.till_id, header.epoch, stopped.code, data, now_ms)
            raise
        facts = self._take(opened, till, data, now_ms, store)
        return self._ack(facts, data, now_ms, grants=self._grants(till, header.grants, store))

    def _ack(self, facts: CentreFacts, data: bytes, now_ms: int, grants: tuple[bytes, ...] = ()) -> bytes:
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
            grants=grants,
            recalls=facts.recalls,
        )
        return pack(ACK_TAG, ack, self._signer)

    def _take(self, opened: OpenedBatch, till: TillRecord, data: bytes, now_ms: int, store: CentreStore) -> CentreFacts:
        header = opened.header
        opened = msgspec.structs.replace(opened, shown=shown_grants(opened, self._own_keys))
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

    def _salvage(self, now_ms: int, data: bytes, store: CentreStore) -> bytes:
        """Events of an epoch that is over: what is lacking is posted, what does not follow on is kept apart."""
        opened, till = open_sent_batch(data, store, self._versions)
        keep_retired(opened, till, data, now_ms, store)
        header = opened.header
        if header.epoch == till.epoch and till.state != "left":
            return self._batch(now_ms, data, store)
        if till.is_undecided:
            check_state(till)  # what it brings of before would else be booked though it may not go on
        try:
            if till.state == "revoked":
                check_state(till)
            ended = store.ended_stream(header, now_ms)
            if ended is None:
                raise UnknownEpoch("Head office does not know this enrolment, or revoked it; a person decides.")
            return self._ack(self._take(opened, ended, data, now_ms, store), data, now_ms)
        except (Revoked, UnknownEpoch, BadChain, GapFound) as refused:
            store.quarantine(till.till_id, header.epoch, refused.code, data, now_ms)
            raise

    # Leaving

    def _leave(self, now_ms: int, data: bytes, store: CentreStore) -> bytes:
        leave, till = open_said(LEAVE_TAG, data, Leave, store, self._versions, is_upload=True)
        check_epoch(leave, till)
        stream = store.stream(till.till_id, till.epoch)
        to_come = leave.head_seq - stream.seq
        if till.state != "left":
            check_state(till)
            take_count(leave, till, store, now_ms)
            if to_come < 0:
                raise refusal_for(Rewind(head_seq=leave.head_seq, known_seq=stream.seq))
            if to_come and not leave.exported:
                raise refusal_for(Gap(need=stream.seq + 1))
            if not to_come and leave.head_hash != stream.hash:
                raise refusal_for(Fork(at_seq=stream.seq))
            store.leave(till.till_id, till.epoch, to_come, now_ms)
        left = Left(
            key_no=self._signer.key_no, answers=sha256(data), server_at_ms=now_ms, to_come=max(0, to_come)
        )  # fmt: skip
        return pack(LEFT_TAG, left, self._signer)

    def _grants(self, till: TillRecord, after: int, store: CentreStore) -> tuple[bytes, ...]:
        return tuple(
            pack(GRANT_TAG, msgspec.structs.replace(grant, key_no=self._signer.key_no), self._signer)
            for grant in store.grants_after(till.till_id, till.epoch, after)[:GRANTS_AT_ONCE]
        )

    # Keys

    def _new_key(self, now_ms: int, data: bytes, store: CentreStore) -> bytes:
        # A till whose answer was lost asks again with the key that was replaced meanwhile.
        said, till = open_said(NEW_KEY_TAG, data, NewKey, store, self._versions, is_upload=True, may_be_replaced=True)
        is_proven = said.new_key_no == next_key_no(said.key_no) and proof_holds(said)
        if is_proven and said.epoch > till.epoch and may_be_provisional(said.epoch):
            # With the one key it may not say hello any more, and with the other not yet.
            till = store.adopt_provisional(said, now_ms) or till
        check_state(till)
        check_epoch(said, till)
        key = till.keys.key(said.key_no)
        if key is None or not key.is_replaced:
            take_count(said, till, store, now_ms)
        if not is_proven:
            raise KeyRefused("The new key does not prove itself; make another one.")
        until_seq = store.take_key(said, now_ms)
        answer = KeyTaken(
            key_no=self._signer.key_no,
            answers=sha256(data),
            server_at_ms=now_ms,
            new_key_no=said.new_key_no,
            rotation_seq=until_seq,
        )
        return pack(KEY_TAKEN_TAG, answer, self._signer)

    def _tell_keys(self, now_ms: int, data: bytes, store: CentreStore) -> bytes:
        # Who was revoked too must be able to read what is said of it: only at that word a stolen till forgets.
        ask, _ = open_said(KEYS_ASK_TAG, data, KeysAsk, store, self._versions, is_upload=True, may_be_over=True)
        notices = tuple(said for said in self._notices if said.key_no > ask.known_no)
        told = KeysTold(key_no=self._signer.key_no, answers=sha256(data), server_at_ms=now_ms, notices=notices)
        return pack_keys(told, self._signer)

    # Leases

    def _lease(self, now_ms: int, data: bytes, store: CentreStore) -> bytes:
        ask, till = open_said(LEASE_ASK_TAG, data, LeaseAsk, store, self._versions)
        check_state(till)
        check_epoch(ask, till)
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

    # At the counter

    def _desk(self, now_ms: int, data: bytes, store: CentreStore) -> bytes:
        ask, till = open_said(DESK_ASK_TAG, data, DeskAsk, store, self._versions)
        check_state(till)
        check_epoch(ask, till)
        told = store.take_desk_ask(ask, now_ms)
        answer = DeskAnswer(
            key_no=self._signer.key_no,
            answers=sha256(data),
            server_at_ms=now_ms,
            about=ask.about,
            sealing_key=told.sealing_key,
            spans=tuple(sign_span(span, self._signer) for span in told.spans),
            took=told.took,
            found=told.found,
            consents=told.consents,
            claim=told.claim,
            claim_points=told.claim_points,
            claim_reason=told.claim_reason,
            refused=told.refused,
            parked=told.parked,
            basket=told.basket,
            held=told.held,
        )
        return pack(DESK_ANSWER_TAG, answer, self._signer)

    # Pages

    def _page(self, now_ms: int, data: bytes, store: CentreStore) -> bytes:
        ask, till = open_ask(ASK_TAG, data, PageAsk, store, now_ms, self._versions)
        return self._page_for(till, ask, now_ms, data, store)

    def _urgent(self, now_ms: int, data: bytes, store: CentreStore) -> bytes:
        ask, till = open_ask(ASK_TAG, data, PageAsk, store, now_ms, self._versions)
        if ask.lane == "members":
            raise BadEnvelope("Under this path there are no members, who can wait.", lane=ask.lane)
        return self._page_for(till, ask, now_ms, data, store)

    def _page_for(self, till: TillRecord, ask: PageAsk, now_ms: int, data: bytes, store: CentreStore) -> bytes:
        page = store.page_for(till, ask, now_ms)
        return seal_page(page, till_id=till.till_id, answers=sha256(data), now_ms=now_ms, signer=self._signer)

    def _snapshot(self, now_ms: int, data: bytes, store: CentreStore) -> bytes:
        _, till = open_ask(SNAPSHOT_ASK_TAG, data, SnapshotAsk, store, now_ms, self._versions)
        manifest = store.snapshot_for(till, now_ms)
        return seal_manifest(manifest, till_id=till.till_id, answers=sha256(data), now_ms=now_ms, signer=self._signer)

    def _chunk(self, now_ms: int, data: bytes, store: CentreStore) -> bytes:
        ask, till = open_ask(CHUNK_ASK_TAG, data, ChunkAsk, store, now_ms, self._versions)
        part = store.chunk_part(ask.sha256, ask.start, ask.most_bytes)
        if not part:
            raise UnknownChunk("This chunk was replaced; ask for the manifest again.", start=ask.start)
        return seal_part(
            part, chunk=ask.sha256, start=ask.start, till_id=till.till_id, answers=sha256(data), now_ms=now_ms,
            signer=self._signer,
        )  # fmt: skip

    def _digest(self, now_ms: int, data: bytes, store: CentreStore) -> bytes:
        ask, till = open_ask(DIGEST_ASK_TAG, data, DigestAsk, store, now_ms, self._versions)
        found = store.digest_for(till, ask, now_ms)
        said: dict[str, Any] = {"key_no": self._signer.key_no, "answers": sha256(data), "server_at_ms": now_ms}
        if found is None:
            return pack(DIGEST_ANSWER_TAG, DigestAnswer(**said, known=False), self._signer)
        answer = DigestAnswer(
            **said, known=True, home=found.span.home, bits=found.span.bits, part=found.span.part, rows=found.rows,
            digest=f"{found.digest:016x}", apart=found.apart,
        )  # fmt: skip
        return pack(DIGEST_ANSWER_TAG, answer, self._signer)


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
