"""What the two sessions need kept for them: a store at the till, a store at the centre.

Each method that writes is one durable transaction; when it returns, the fact survives a crash. The sessions
hold nothing that may not be lost.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from loyalty.cards.card_keys import CardKeys
from loyalty.cards.card_numbers import NumberSpan
from sync.blocks import BlockMark
from sync.chain import StreamHead
from sync.desk import CertificateHeld, ClaimState, ConsentNow, DeskAsk, FoundCard
from sync.enrolment import Slot
from sync.envelope import OpenedBatch, Unsent
from sync.keys import PublicKeys
from sync.lanes import LaneState
from sync.pacing import Moment
from sync.papers import Paper
from sync.parked_office import OfficeRow, OfficeTold
from sync.rotation import NewKey
from sync.snapshots import ChunkMark, ChunkRows, Manifest, Snapshot, Span
from sync.verdicts import Already, Take
from sync.wire import (
    Ack,
    BatchHeader,
    Claim,
    DigestAsk,
    Grant,
    Hello,
    HelloAnswer,
    Lane,
    Lanes,
    LeaseAsk,
    Page,
    PageAsk,
    Peer,
    SignedGrant,
)

TillState = Literal["active", "suspended", "revoked", "left"]


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

    def generation(self) -> int:
        """The centre's generation, as the last hello answer named it."""

    def take_hello(self, answer: HelloAnswer) -> None:
        """Keep where the centre stands, and what personal data is sealed to, where it says so. After a restore of the
        centre the head may be lower than before; where its generation rose, also write down what was granted beyond
        `granted_no`, for it to be restored."""

    def sealing_key(self) -> str:
        """What personal data is sealed to, as the centre last told; "" until it has."""

    def newest_block(self) -> BlockMark:
        """The highest block that an ack or a hello answer named; once the centre's generation rises, the last named.

        So a centre that lost blocks is told of it until a person has noted its restore."""

    def lane(self, lane: Lane) -> LaneState:
        """How far this till is in a lane; `LaneState()` before the first page."""

    def take_page(self, page: Page, state: LaneState) -> None:
        """Write the rows and the lane's new state in one transaction. A `restart` page begins a run that replaces all
        rows; those that it does not tell of go with its last page."""

    def snapshot(self) -> Snapshot | None:
        """How far this till is in a snapshot of the members; None while pages go on."""

    def begin_snapshot(self) -> None:
        """The members begin anew from chunks; until these came, the rows stay."""

    def take_manifest(self, manifest: Manifest) -> None:
        """Keep what is to be fetched; what was taken stays taken."""

    def take_chunk(self, mark: ChunkMark, chunk: ChunkRows) -> None:
        """Write a chunk's rows, take rows of its span away that it lacks, and note it as done, in one transaction."""

    def end_snapshot(self) -> None:
        """Every chunk is here: the lane goes on from `Snapshot.as_of`."""

    def digest(self, span: Span, apart: frozenset[int]) -> tuple[int, str]:
        """How many rows this till has of a span, and their digest as 16 hex characters, but for accounts apart."""

    def agree(self, span: Span, apart: frozenset[int]) -> None:
        """The centre has the same of a span, but for accounts apart: these rows are of its present generation."""

    def take_range(self, page: Page, home: bool) -> None:
        """Make the rows of the accounts from `page.first` to `page.last` those of the page, whatever they were; with
        `home`, those of the till's own store among them."""

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
    head the till has ever announced in it; `counter` the highest request number seen in it. `is_undecided`: it showed
    an enrolment that was lost in a restore, and nobody has said yet whether it goes on."""

    till_id: str
    epoch: int
    keys: PublicKeys
    state: TillState
    genesis: bytes
    install_id: str
    counter: int = 0
    announced_seq: int = 0
    is_undecided: bool = False


class CentreFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What an ack or a hello answer reports; `head` is the stream's head after the transaction. `peers` and
    `granted_no`, the newest grant to the till, are for hellos alone, as are `card_keys`, the programme's, and
    `sealing_key`, for personal data."""

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
    granted_no: int = 0
    new_key: bool = False
    card_keys: CardKeys | None = None
    sealing_key: str = ""


class LeaseTaken(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a lease ask: points granted, points that could be had, why none were granted."""

    granted: int = 0
    available: int = 0
    refused: str = ""


class DeskTold(msgspec.Struct, frozen=True, kw_only=True):
    """What a till at the counter is told: see `sync.desk.DeskAnswer`; the spans are not signed yet."""

    sealing_key: str = ""
    spans: tuple[NumberSpan, ...] = ()
    took: bool = False
    found: tuple[FoundCard, ...] = ()
    consents: tuple[ConsentNow, ...] = ()
    claim: ClaimState = "unknown"
    claim_points: int = 0
    claim_reason: str = ""
    refused: str = ""
    parked: tuple[OfficeRow, ...] = ()
    basket: OfficeTold | None = None
    held: CertificateHeld | None = None


class SpanDigest(msgspec.Struct, frozen=True, kw_only=True):
    """What a span comes to for one till, but for the accounts apart."""

    span: Span
    rows: int
    digest: int
    apart: tuple[int, ...]


class CentreStore(Protocol):
    """The centre's registry, intake and publishing as its session sees them."""

    def till(self, till_id: str) -> TillRecord | None:
        """The till, or None when no such till was ever enrolled."""

    def stream(self, till_id: str, epoch: int) -> StreamHead:
        """Where the till's stream stands at the centre; seq 0 before the first batch.

        Read before the transaction of `take_batch`, which guards it."""

    def hash_at(self, till_id: str, epoch: int, seq: int) -> str:
        """The hash after event `seq`, 1 ≤ seq ≤ the stream's head; stored, or recomputed from the batch."""

    def take_counter(self, till_id: str, epoch: int, counter: int, now_ms: int) -> bool:
        """Raise the till's counter and note when it was heard; False, and nothing written, when it is not above the
        last seen."""

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

    def take_key(self, said: NewKey, now_ms: int) -> int:
        """Make a new key the till's own; up to which event the one before it counts. The same again is told the same.

        Raises:
            KeyRefused: the number stands for another key.
        """

    def page_for(self, till: TillRecord, ask: PageAsk, now_ms: int) -> Page:
        """The next rows after `ask.cursor`; a `restart` page from "" when the cursor is too old to go on.

        Raises:
            MustSnapshot: the cursor is too old, and there are chunks to begin from.
        """

    def snapshot_for(self, till: TillRecord, now_ms: int) -> Manifest:
        """What this till may begin its members from; no chunks where there are none."""

    def chunk_part(self, sha256: str, start: int, most_bytes: int) -> bytes | None:
        """Bytes of a chunk; none when there is no such chunk, or not so many bytes."""

    def digest_for(self, till: TillRecord, ask: DigestAsk, now_ms: int) -> SpanDigest | None:
        """What the span whose turn it is comes to; none when there is nothing to compare."""

    def take_lease_ask(self, ask: LeaseAsk, now_ms: int) -> LeaseTaken:
        """Set points aside, or tell again what was set aside under this `request_id`."""

    def take_desk_ask(self, ask: DeskAsk, now_ms: int) -> DeskTold:
        """Answer what is asked at the counter; the same ask again does nothing more."""

    def grants_after(self, till_id: str, epoch: int, grant_no: int) -> Sequence[Grant]:
        """Grants with a greater number, ascending, at most 50 of them. The session signs the first 20 and
        sets `key_no`. Commit grants of a till in the order of their numbers."""

    def suspend(self, till_id: str, epoch: int, code: str, evidence: bytes, now_ms: int) -> None:
        """Stop the stream until a person decides, and keep the request that proves why. Same again: nothing."""

    def quarantine(self, till_id: str, epoch: int, code: str, evidence: bytes, now_ms: int) -> None:
        """Keep a batch of a till that is suspended, revoked or of another epoch. Same bytes again: nothing."""

    def adopt_provisional(self, said: Hello | NewKey, now_ms: int) -> TillRecord | None:
        """Make the epoch that a till gave itself its present one, and end the one before; none, and nothing written,
        where the till's key is not the one of its present enrolment, or that is revoked or left, or waits for a person
        since a restore. Of a new key, whose proof holds, it is that key's where it was taken before."""

    def ended_stream(self, header: BatchHeader, now_ms: int) -> TillRecord | None:
        """The till as of an epoch that is over, one that it gave itself and never spoke in included; none where there
        was no such epoch, or it was revoked."""

    def leave(self, till_id: str, epoch: int, to_come: int, now_ms: int) -> None:
        """Mark the lane as left by its till, with so many events still to come in a file. Again: nothing."""

    def slot(self, code_hash: str) -> Slot | None:
        """The enrolment slot of a one-time code, by `enrolment.code_hash`."""

    def claim_slot(self, slot: Slot, claim: Claim, now_ms: int) -> bool:
        """Bind key and install id to the slot's till, set its epoch, key and genesis, make it active.

        True also when this very key and install hold the slot already; False when another one does.
        """

    def readmit(self, paper: Paper, genesis: bytes, now_ms: int) -> bool:
        """Write down again an enrolment that a restore lost, as one that waits for a person, and say so on the
        worklist. False, and nothing written, where no restore came after it, its store is not known, or the till's
        present epoch is this one or a later one."""

    def alarm(self, code: str, about: str, now_ms: int) -> None:
        """Somebody should look: a code used twice, a counter that went back. `about` names till or slot."""
