"""Which of the events found in a damaged journal are true, and how they hang together: by their hashes alone.

An event is true when the hash before it and its own bytes lead to its hash, which only who knows the genesis can make.
The *trunk* of an epoch leads from its beginning, or from a place that is known to be right, as far as it goes. What is
true and not on it is *loose*: events before it are lost. Source: sync.md section 8.
"""

from collections.abc import Iterable, Mapping

import msgspec

from edge.journal.left_behind import SalvagedEvent
from sync.chain import ZERO_HASH, StreamHead, next_hash, payload_digest

Node = tuple[int, str]  # (seq, hash after it)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Events without a gap, each true, and the head that the first follows on."""

    after: StreamHead
    events: tuple[SalvagedEvent, ...]


class Pieces(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of one epoch. `acked` is how far head office is known to have the trunk, or where it begins."""

    trunk: Run
    acked: StreamHead
    loose: tuple[Run, ...]


def piece_together(
    start: StreamHead,
    genesis: bytes,
    found: Iterable[SalvagedEvent],
    acked: Iterable[Node],
    known: Iterable[Node] = (),
) -> Pieces:
    """The trunk and the loose runs of an epoch.

    Args:
        start: the epoch at its beginning.
        found: events of any epoch, some of them false, in any order.
        acked: places that head office acknowledged, of any epoch; `known`: places that are right for another reason.
    """
    told = {(0, ZERO_HASH), *acked}
    trusted = told | set(known)
    true = _true(start, genesis, [one for one in found if one.epoch == start.epoch], trusted)
    rooted: set[Node] = set(trusted)
    for node, (_, before) in true.items():  # in the order of their numbers
        if before in rooted:
            rooted.add(node)
    tip = max((node for node in true if node in rooted), default=(0, ZERO_HASH))
    trunk = _trace(start, true, tip)
    places = [(trunk.after.seq, trunk.after.hash), *((one.seq, one.hash) for one in trunk.events)]
    seq, hash_ = max((place for place in places if place in told), default=places[0])
    head = msgspec.structs.replace(start, seq=seq, hash=hash_)
    return Pieces(trunk=_unique(trunk, seq), acked=head, loose=_loose(start, true, tip[0]))


def _true(
    start: StreamHead, genesis: bytes, events: list[SalvagedEvent], trusted: set[Node]
) -> dict[Node, tuple[SalvagedEvent, Node]]:
    """Each true event by its place, with the place before it; ascending."""
    hashes: dict[int, set[str]] = {}
    for seq, hash_ in [*trusted, *((one.seq, one.hash) for one in events)]:
        hashes.setdefault(seq, set()).add(hash_)
    true: dict[Node, tuple[SalvagedEvent, Node]] = {}
    for one in sorted(events, key=lambda event: event.seq):
        digest = payload_digest(genesis, one.payload)
        for before in hashes.get(one.seq - 1, ()):
            if len(before) != 64 or not set(before) <= set("0123456789abcdef"):
                continue
            head = msgspec.structs.replace(start, seq=one.seq - 1, hash=before)
            if next_hash(head, digest) == one.hash:
                true[one.seq, one.hash] = (one, (one.seq - 1, before))
    return true


def _trace(start: StreamHead, true: Mapping[Node, tuple[SalvagedEvent, Node]], tip: Node) -> Run:
    """Back from a tip as far as the events are true: a hash covers all before it."""
    events, node = [], tip
    while node in true:
        event, node = true[node]
        events.append(event)
    after = msgspec.structs.replace(start, seq=node[0], hash=node[1])
    return Run(after=after, events=tuple(reversed(events)))


def _unique(trunk: Run, acked_seq: int) -> Run:
    """Without what was forgotten long ago under an id that is used again since: pages that are free still hold it."""
    seen: set[str] = set()
    kept: list[SalvagedEvent] = []
    after = trunk.after
    for one in reversed(trunk.events):
        if one.receipt_id in seen and one.seq <= acked_seq:
            after = msgspec.structs.replace(trunk.after, seq=one.seq, hash=one.hash)
            break
        seen.add(one.receipt_id)
        kept.append(one)
    return Run(after=after, events=tuple(reversed(kept)))


def _loose(start: StreamHead, true: Mapping[Node, tuple[SalvagedEvent, Node]], above: int) -> tuple[Run, ...]:
    runs: list[Run] = []
    left = sorted((node for node in true if node[0] > above), reverse=True)
    while left:
        run = _trace(start, true, left[0])
        runs.append(run)
        left = [node for node in left if node[0] <= run.after.seq]
    return tuple(reversed(runs))
