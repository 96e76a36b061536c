"""Pure judgement: what the centre makes of a batch, and of a hello.

`hw`, the high water, is where the till's stream stands at the centre. A batch is judged by sequence numbers
and hashes only, whatever its age: an old one sent again is recognised for ever.

Source: sync.md section 2 step 2 and section 7.
"""

from collections.abc import Callable, Sequence

import msgspec

from loyalty.trouble import Refusal
from sync.chain import ZERO_HASH, StreamHead
from sync.refusals import (
    CloneSuspected,
    ForkFound,
    GapFound,
    OldEpoch,
    RewindFound,
    UnknownEpoch,
)
from sync.wire import BatchHeader, Hello

HashAt = Callable[[int], str]
"""The centre's hash after event `seq` of this stream, 1 ≤ seq ≤ hw."""


class Take(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Post the payloads from `from_index` on; `after` is the head they follow on."""

    from_index: int
    after: StreamHead


class Already(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """All of it is here already: answer as before."""


class Gap(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Events are missing; `need` is the first."""

    need: int


class Fork(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Another history than the one the centre has; `at_seq` is where they are known to differ."""

    at_seq: int


class OlderEpoch(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The till was re-keyed, restored or replaced since."""


class LaterEpoch(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An epoch that this centre never gave: it was restored, or the till invents."""


class Go(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Both sides agree; upload from the centre's head on."""


class Rewind(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The till lost events it once announced: it has `head_seq`, the centre knows of `known_seq`."""

    head_seq: int
    known_seq: int


class Clone(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Two machines under one identity; a signal, not a proof."""


BatchVerdict = Take | Already | Gap | Fork | OlderEpoch | LaterEpoch
HelloVerdict = Go | Rewind | Fork | Clone | OlderEpoch | LaterEpoch
Stopped = Gap | Rewind | Fork | Clone | OlderEpoch | LaterEpoch


def judge_batch(stream: StreamHead, header: BatchHeader, hash_at: HashAt, walked: Sequence[StreamHead]) -> BatchVerdict:
    """What to do with a batch.

    Args:
        stream: the centre's head of the till's stream in its present epoch.
        hash_at: asked only below the head.
        walked: the heads after each payload, as `envelope.walk_batch` found them.
    """
    if header.epoch != stream.epoch:
        return OlderEpoch() if header.epoch < stream.epoch else LaterEpoch()
    known = _known(stream, hash_at)
    before = header.first_seq - 1
    if before > stream.seq:
        return Gap(need=stream.seq + 1)
    if header.last_seq <= stream.seq:
        return Already() if known(header.last_seq) == header.head_hash else Fork(at_seq=header.last_seq)
    if known(before) != header.prev_hash:
        return Fork(at_seq=before)
    overlap = stream.seq - before
    # The batch may begin like ours and still have turned off before our head.
    if overlap and walked[overlap - 1].hash != stream.hash:
        return Fork(at_seq=stream.seq)
    return Take(from_index=overlap, after=stream)


def judge_hello(
    stream: StreamHead, hello: Hello, hash_at: HashAt, *, announced_seq: int, install_id: str
) -> HelloVerdict:
    """Whether a till may go on.

    Args:
        announced_seq: the highest head this till ever announced in this epoch; the centre's head counts too.
        install_id: the machine that enrolled.
    """
    if hello.epoch != stream.epoch:
        return OlderEpoch() if hello.epoch < stream.epoch else LaterEpoch()
    if hello.install_id != install_id:
        return Clone()
    known = _known(stream, hash_at)
    # A till that says h[acked] below our head proves its history; above it, we were restored and it refills.
    for seq, said in ((hello.head_seq, hello.head_hash), (hello.acked_seq, hello.acked_hash)):
        if seq <= stream.seq and known(seq) != said:
            return Fork(at_seq=seq)
    known_seq = max(stream.seq, announced_seq)
    if hello.head_seq < known_seq:
        return Rewind(head_seq=hello.head_seq, known_seq=known_seq)
    return Go()


def _known(stream: StreamHead, hash_at: HashAt) -> HashAt:
    def known(seq: int) -> str:
        if seq == stream.seq:
            return stream.hash
        return ZERO_HASH if seq == 0 else hash_at(seq)

    return known


def refusal_for(verdict: Stopped) -> Refusal:
    """What a till is told when its batch or hello cannot be taken."""
    match verdict:
        case Gap(need=need):
            return GapFound("Events before these are missing; send from the one needed.", need=need)
        case Rewind(head_seq=head_seq, known_seq=known_seq):
            return RewindFound(
                "This till lost events that head office knows of; enrol it again.", need=known_seq, head_seq=head_seq
            )
        case Fork(at_seq=at_seq):
            return ForkFound(
                "This till's history differs from head office's; both are kept, a person decides.", at_seq=at_seq
            )
        case Clone():
            return CloneSuspected("Another machine uses this till's identity; enrol both again.")
        case OlderEpoch():
            return OldEpoch("This till was enrolled again since; use the new enrolment.")
        case LaterEpoch():
            return UnknownEpoch("Head office does not know this enrolment; ask there before anything else.")
