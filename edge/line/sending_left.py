"""Brings to head office what earlier epochs of this till have not sent, and what was salvaged of a damaged journal.

Beside the uplink, which speaks for the present epoch: these are other streams. Each event keeps its own place, so what
head office has already is posted once; what does not follow on, it keeps apart for a person. Source: sync.md section 8.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from edge.identity import TillIdentity, earlier_identity
from edge.journal.journal import Journal
from edge.journal.left_behind import Loose
from edge.ports import Clock
from loyalty.trouble import Refusal
from sync.chain import ZERO_HASH, StreamHead
from sync.envelope import MAX_EVENTS, MAX_RAW_BYTES, SealedBatch, Sender, Unsent, seal_batch
from sync.framing import open_signed, sha256
from sync.keys import PublicKeys, Signer
from sync.refusals import BadChain, ForkFound, GapFound, NotOurAnswer, OldEpoch, Revoked, TillLeft, UnknownEpoch
from sync.wire import ACK_TAG, PROBLEM_TAG, SALVAGE_PATH, Ack, Answer, BatchHeader, Lanes, Problem

DEADLINE_MS = 30_000
AT_ONCE = 20  # batches in one run: about 10,000 events
OVER = (OldEpoch.code, Revoked.code, UnknownEpoch.code, TillLeft.code)
APART = frozenset(one.code for one in (BadChain, ForkFound, GapFound, Revoked, UnknownEpoch))

Exchange = Callable[[str, bytes, int], Answer]


class SendLeft:
    """What was left behind, to head office.

    Args:
        exchange: how bytes are carried; raises a Fault when the line does not hold.
        is_offline: whether head office is out of reach, so that nothing need be tried.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        identity: TillIdentity,
        folder: Path,
        clock: Clock,
        url: str,
        exchange: Exchange,
        is_offline: Callable[[], bool],
    ) -> None:
        self._journal, self._identity, self._folder, self._clock = journal, identity, folder, clock
        self._url, self._exchange, self._is_offline = url.rstrip("/"), exchange, is_offline
        self._apart: StreamHead | None = None

    def use_identity(self, identity: TillIdentity) -> None:
        """A key has changed."""
        self._identity = identity

    def send(self) -> int:
        """Send until nothing is left, or enough for one run.

        Returns:
            How many batches were answered.
        Raises:
            Fault: the line does not hold; call again later.
            NotOurAnswer, BadSignature and the like: it did not prove itself; nothing was believed.
        """
        if self._is_offline():
            return 0
        answered = self._send_present()
        while answered < AT_ONCE and (heads := self._journal.left.heads()):
            self._send_next(heads[0])
            answered += 1
        for one in self._journal.left.loose()[: AT_ONCE - answered]:
            self._send_loose(one)
            answered += 1
        return answered

    def _send_present(self) -> int:
        """What this till wrote in an epoch that is over for head office, or unknown to it, for another machine has its
        lane or it was revoked by mistake; or in one that is revoked, for which it is kept apart."""
        outbox, sent = self._journal.outbox, 0
        while sent < AT_ONCE and outbox.suspended() in OVER:
            after = self._apart or outbox.acked()
            if after.seq >= self._journal.head().seq:
                break
            events = outbox.unsent(after.seq, MAX_EVENTS, MAX_RAW_BYTES)
            sealed = left_batch(after, events, self._clock.now().wall_ms, self._identity.signer)
            said = self._carry(sealed.data)
            sent += 1
            if isinstance(said, Ack):
                outbox.take_ack(msgspec.structs.replace(said, head=self._head_of(said, sealed.header)))
                self._apart = None  # what was kept apart is booked: this follows on it
            elif said.code in APART:
                # Kept there, not acknowledged: what follows is brought too, and all of it once more by another start.
                self._apart = msgspec.structs.replace(after, seq=sealed.header.last_seq, hash=sealed.header.head_hash)
            else:
                raise NotOurAnswer(said.say, code_there=said.code)
        return sent

    def _send_next(self, after: StreamHead) -> None:
        signer = signer_of(self._identity, self._folder, after.epoch)
        events = self._journal.left.unsent(after, MAX_EVENTS)
        sealed = left_batch(after, events, self._clock.now().wall_ms, signer)
        said = self._carry(sealed.data)
        if isinstance(said, Problem):
            self._refused(said, after)
        else:
            self._journal.left.take_head(self._head_of(said, sealed.header))

    def _refused(self, said: Problem, after: StreamHead) -> None:
        before = said.need - 1
        known = ZERO_HASH if before == 0 else self._journal.left.hash_at(after.epoch, before)
        if said.code == GapFound.code and 0 <= before < after.seq and known and self._journal.left.has(after, before):
            # Head office was put back from a backup: it gets again what it had.
            self._journal.left.take_head(msgspec.structs.replace(after, seq=before, hash=known))
        elif said.code in APART:
            self._journal.left.stop(after.epoch, said.code)
        else:
            raise NotOurAnswer(said.say, code_there=said.code)

    def _head_of(self, said: Ack, sent: BatchHeader) -> StreamHead:
        """Head office has what was sent; it may have more of that epoch than is left here. Raises: NotOurAnswer."""
        head, seq = said.head, sent.last_seq
        known = self._journal.left.hash_at(head.epoch, head.seq)
        if (head.till_id, head.epoch) != (sent.till_id, sent.epoch) or head.seq < seq or known not in (None, head.hash):
            raise NotOurAnswer("Head office acknowledged a history that is not this till's.", seq=head.seq)
        return msgspec.structs.replace(head, seq=seq, hash=sent.head_hash)

    def _send_loose(self, one: Loose) -> None:
        said = self._carry(one.batch)
        if isinstance(said, Problem) and said.code not in APART:
            raise NotOurAnswer(said.say, code_there=said.code)
        self._journal.left.sent_loose(one, self._clock.now().wall_ms)

    def _carry(self, batch: bytes) -> Ack | Problem:
        answer = self._exchange(self._url + SALVAGE_PATH, batch, DEADLINE_MS)
        return read_answer(answer, batch, self._identity.centre_keys.live_at(self._clock.now().wall_ms))


def left_batch(after: StreamHead, events: Sequence[Unsent], now_ms: int, signer: Signer) -> SealedBatch:
    """A sealed batch of an epoch that is over: it counts no requests and asks for nothing in return."""
    sender = Sender(
        counter=0, sent_at_ms=now_ms, clock_error_ms=0, boot="", head_seq=events[-1].seq, cursors=Lanes(), grants=0
    )
    return seal_batch(after, events, sender, signer)


def signer_of(identity: TillIdentity, folder: Path, epoch: int) -> Signer:
    """The present key, which head office knows for the same lane; but of an epoch that the till gave itself under an
    earlier enrolment, the key of that one, by which head office works out its nonce."""
    earlier = earlier_identity(folder, epoch)
    if earlier is None or not earlier.provisional or earlier.granted.epoch == identity.granted.epoch:
        return identity.signer
    return earlier.signer


def read_answer(answer: Answer, request: bytes, keys: PublicKeys) -> Ack | Problem:
    """What head office said to a batch, proven by one of `keys` to be its word about this one.

    Raises:
        NotOurAnswer, BadSignature.
    """
    said: Ack | Problem
    if answer.status == 200:
        said, _ = open_signed(ACK_TAG, answer.body, Ack, keys)
    else:
        said = _problem(answer, keys)
    if said.answers != sha256(request):
        raise NotOurAnswer("This answers another request.")
    return said


def _problem(answer: Answer, keys: PublicKeys) -> Problem:
    try:
        return open_signed(PROBLEM_TAG, answer.body, Problem, keys)[0]
    except Refusal:
        raise NotOurAnswer(f"Not head office but something on the way answered: HTTP {answer.status}.") from None
