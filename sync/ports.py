"""What the two sessions need kept for them: a store at the till, a store at the centre.

Each method that writes is one durable transaction; when it returns, the fact survives a crash. The sessions
hold nothing that may not be lost.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from sync.blocks import BlockMark
from sync.chain import StreamHead
from sync.enrolment import Slot
from sync.envelope import OpenedBatch, Unsent
from sync.keys import PublicKeys
from sync.lanes import LaneState
from sync.pacing import Moment
from sync.verdicts import Already, Take
from sync.wire import Ack, Claim, Grant, Hello, HelloAnswer, Lane, Lanes, LeaseAsk, Page, PageAsk, Peer, SignedGrant

TillState = Literal["active", "suspended", "revoked"]


class TillStore(Protocol):
    """The till's journal and cache as its session sees them, of the present epoch only."""

    def head(self) -> StreamHead:
        """The last event written; seq 0 in a new epoch."""

    def acked(self) -> StreamHead:
        """Where the centre is known to stand; seq 0 until it has said."""

    def hash_at(self, seq: int) -> str | None:
        """The hash after event `seq`, 1 or more; None when it was never written or is pruned."""

    def unsent(self, after_seq: int, max_events: int, max_bytes: int) -> Sequence[Unsent]:
        """Events after `after_seq`, gapless and in order: at most so many, and so many payload bytes.

        At least one while there is any. Raises if `after_seq + 1` is pruned.
        """

    def take_ack(self, ack: Ack) -> None:
        """Keep what an ack that was checked says: `ack.head` as `acked()`, flags, block, lanes."""

    def take_hello(self, answer: HelloAnswer) -> None:
        """Keep where the centre stands. After a restore of the centre the head may be lower than before."""

    def newest_block(self) -> BlockMark:
        """The highest block that an ack or a hello answer named; once the centre's generation rises, the last named.

        So a centre that lost blocks is told of it until a person has noted its restore."""

    def lane(self, lane: Lane) -> LaneState:
        """How far this till is in a lane; `LaneState()` before the first page."""

    def take_page(self, page: Page, state: LaneState) -> None:
        """Write the rows and the lane's new state in one transaction; a `restart` page replaces all rows."""

    def grant_cursor(self) -> int:
        """The last grant number taken in this epoch, 0 for none."""

    def take_grants(self, grants: Sequence[SignedGrant], asked: Moment) -> None:
        """Keep grants, ascending, all above `grant_cursor()`; a number seen before changes nothing.

        `asked` is when the request was sent, from which `spend_for_s` is measured.
        """

    def take_recalls(self, lease_ids: Sequence[str]) -> None:
        """Give leases back as soon as no open sale holds them: what is left of each, as an event."""

    def next_counter(self, above: int = 0) -> int:
        """A request number greater than any given before and greater than `above`, durably."""


class TillRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the centre knows of a till. `genesis` is of the present epoch; `announced_seq` is the highest
    head the till has ever announced in it; `counter` the highest request number seen in it."""

    till_id: str
    epoch: int
    keys: PublicKeys
    state: TillState
    genesis: bytes
    install_id: str
    counter: int = 0
    announced_seq: int = 0


class CentreFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What an ack or a hello answer reports; `head` is the stream's head after the transaction."""

    head: StreamHead
    generation: int
    block_no: int
    block_hash: str
    lanes: Lanes
    flagged: tuple[tuple[int, str], ...] = ()
    pause_ms: int = 0
    max_events: int = 500
    recalls: tuple[str, ...] = ()
    peers: tuple[Peer, ...] = ()


class LeaseTaken(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a lease ask: points granted, points that could be had, why none were granted."""

    granted: int = 0
    available: int = 0
    refused: str = ""


class CentreStore(Protocol):
    """The centre's registry, intake and publishing as its session sees them."""

    def till(self, till_id: str) -> TillRecord | None:
        """The till, or None when no such till was ever enrolled."""

    def stream(self, till_id: str, epoch: int) -> StreamHead:
        """Where the till's stream stands at the centre; seq 0 before the first batch.

        Read before the transaction of `take_batch`, which guards it."""

    def hash_at(self, till_id: str, epoch: int, seq: int) -> str:
        """The hash after event `seq`, 1 ≤ seq ≤ the stream's head; stored, or recomputed from the batch."""

    def take_counter(self, till_id: str, epoch: int, counter: int) -> bool:
        """Raise the till's counter; False, and nothing written, when it is not above the last seen."""

    def take_hello(self, hello: Hello, now_ms: int) -> CentreFacts:
        """Keep the heartbeat and raise `announced_seq` to `hello.head_seq`; what to tell the till."""

    def take_batch(self, opened: OpenedBatch, verdict: Take | Already, now_ms: int) -> CentreFacts:
        """Post the events from `verdict.from_index` on and advance the stream, in one transaction.

        Also raises `counter` and `announced_seq` (to `last_seq + backlog`), never lowers them. For Already
        nothing is posted; the facts, with the flags of these events, are told again.

        Raises:
            StreamMoved: the stream is no longer where the verdict found it, or no longer open; nothing was
                written. The session judges again.
        """

    def page_for(self, till: TillRecord, ask: PageAsk, now_ms: int) -> Page:
        """The next rows after `ask.cursor`; a `restart` page from "" when the cursor is too old to go on."""

    def take_lease_ask(self, ask: LeaseAsk, now_ms: int) -> LeaseTaken:
        """Set points aside, or tell again what was set aside under this `request_id`."""

    def grants_after(self, till_id: str, epoch: int, grant_no: int) -> Sequence[Grant]:
        """Grants with a greater number, ascending, at most 50 of them. The session signs the first 20 and
        sets `key_no`. Commit grants of a till in the order of their numbers."""

    def suspend(self, till_id: str, epoch: int, code: str, evidence: bytes, now_ms: int) -> None:
        """Stop the stream until a person decides, and keep the request that proves why. Same again: nothing."""

    def quarantine(self, till_id: str, epoch: int, code: str, evidence: bytes, now_ms: int) -> None:
        """Keep a batch of a till that is suspended, revoked or of another epoch. Same bytes again: nothing."""

    def slot(self, code_hash: str) -> Slot | None:
        """The enrolment slot of a one-time code, by `enrolment.code_hash`."""

    def claim_slot(self, slot: Slot, claim: Claim, now_ms: int) -> bool:
        """Bind key and install id to the slot's till, set its epoch, key and genesis, make it active.

        True also when this very key and install hold the slot already; False when another one does.
        """

    def alarm(self, code: str, about: str, now_ms: int) -> None:
        """Somebody should look: a code used twice, a counter that went back. `about` names till or slot."""
