"""A till and a centre in memory: the two stores the sessions ask for, and the names tests share."""

from collections.abc import Sequence

import msgspec

from sync.blocks import BlockMark
from sync.chain import StreamHead, next_head, walk
from sync.enrolment import Slot
from sync.envelope import OpenedBatch, Unsent
from sync.keys import PublicKey, PublicKeys, Signer
from sync.lanes import LaneState
from sync.pacing import Moment
from sync.papers import Paper
from sync.ports import CentreFacts, SpanDigest, TillRecord
from sync.refusals import MustSnapshot, StreamMoved
from sync.snapshots import ChunkMark, ChunkRows, Manifest, Snapshot, Span
from sync.verdicts import Already, Take
from sync.wire import Ack, Claim, DigestAsk, Grant, Hello, HelloAnswer, Lane, Lanes, Page, PageAsk, SignedGrant

GENESIS = bytes(range(32))
CENTRE = Signer(b"C" * 32)
TILL_A = "aa" * 16
TILL_B = "bb" * 16
KEY_A = Signer(b"A" * 32)
KEY_B = Signer(b"B" * 32)
NOON = 1_772_712_000_000


class MemoryTill:
    """A journal and cache that survive the session."""

    def __init__(self, till_id: str, epoch: int = 1) -> None:
        self.start = StreamHead(till_id=till_id, epoch=epoch)
        self.heads: list[StreamHead] = [self.start]
        self.payloads: list[bytes] = []
        self.centre = self.start
        self.lanes: dict[Lane, LaneState] = {}
        self.rows: list[bytes] = []
        self.grants: list[SignedGrant] = []
        self.counter = 0
        self.heard_generation = 0
        self.held: Snapshot | None = None

    def write(self, payload: bytes) -> None:
        self.payloads.append(payload)
        self.heads.append(next_head(self.heads[-1], GENESIS, payload))

    def head(self) -> StreamHead:
        return self.heads[-1]

    def acked(self) -> StreamHead:
        return self.centre

    def hash_at(self, seq: int) -> str | None:
        return self.heads[seq].hash if seq < len(self.heads) else None

    def unsent(self, after_seq: int, max_events: int, max_bytes: int) -> Sequence[Unsent]:
        upto = min(len(self.payloads), after_seq + max_events)
        return [
            Unsent(seq=seq, payload=self.payloads[seq - 1], hash=self.heads[seq].hash)
            for seq in range(after_seq + 1, upto + 1)
        ]

    def take_ack(self, ack: Ack) -> None:
        self.centre = ack.head

    def take_hello(self, answer: HelloAnswer) -> None:
        self.centre = answer.head
        self.heard_generation = answer.generation

    def generation(self) -> int:
        return self.heard_generation

    def sealing_key(self) -> str:
        return ""

    def newest_block(self) -> BlockMark:
        return BlockMark()

    def lane(self, lane: Lane) -> LaneState:
        return self.lanes.get(lane, LaneState())

    def take_page(self, page: Page, state: LaneState) -> None:
        if page.restart:
            self.rows.clear()
        self.rows += [bytes(row) for row in page.rows]
        self.lanes[page.lane] = state

    def snapshot(self) -> Snapshot | None:
        return self.held

    def begin_snapshot(self) -> None:
        self.held = Snapshot()

    def take_manifest(self, manifest: Manifest) -> None:
        assert self.held
        self.held = msgspec.structs.replace(self.held, manifest=manifest)

    def take_chunk(self, mark: ChunkMark, chunk: ChunkRows) -> None:
        assert self.held
        self.rows += [msgspec.json.encode(row) for row in chunk.rows]
        self.held = msgspec.structs.replace(self.held, done=(*self.held.done, mark))

    def end_snapshot(self) -> None:
        assert self.held
        state = self.lane("members")
        self.lanes["members"] = msgspec.structs.replace(state, cursor=str(self.held.as_of()))
        self.held = None

    def digest(self, span: Span, apart: frozenset[int]) -> tuple[int, str]:
        return len(self.rows), "0" * 16

    def agree(self, span: Span, apart: frozenset[int]) -> None:
        """It tells no generations of rows apart."""

    def take_range(self, page: Page, home: bool) -> None:
        self.rows = [bytes(row) for row in page.rows]

    def grant_cursor(self) -> int:
        return self.grants[-1].grant.grant_no if self.grants else 0

    def take_grants(self, grants: Sequence[SignedGrant], asked: Moment) -> None:
        self.grants += grants

    def next_counter(self, above: int = 0) -> int:
        self.counter = max(self.counter, above) + 1
        return self.counter


class MemoryCentre:
    """Registry, intake and publishing; `moved` makes the next so many batches find a stream that moved."""

    def __init__(self, *tills: tuple[str, Signer]) -> None:
        self.tills = {till_id: record(till_id, key) for till_id, key in tills}
        self.heads = {till_id: [StreamHead(till_id=till_id, epoch=1)] for till_id, _ in tills}
        self.posted: dict[str, list[bytes]] = {till_id: [] for till_id, _ in tills}
        self.hotlist: list[bytes] = []
        self.grants: list[Grant] = []
        self.slots: dict[str, Slot] = {}
        self.kept: list[tuple[str, str]] = []
        self.alarms: list[tuple[str, str]] = []
        self.generation = 1
        self.readmitted: list[Paper] = []  # each paper that was shown
        self.block = BlockMark()
        self.told_block = BlockMark()
        self.greeted: Hello | None = None  # the last hello
        self.moved = 0
        self.manifest: Manifest | None = None  # of the members; with one, their lane begins with it
        self.chunks: dict[str, bytes] = {}
        self.compared: SpanDigest | None = None

    def till(self, till_id: str) -> TillRecord | None:
        return self.tills.get(till_id)

    def stream(self, till_id: str, epoch: int) -> StreamHead:
        return self.heads[till_id][-1]

    def hash_at(self, till_id: str, epoch: int, seq: int) -> str:
        return self.heads[till_id][seq].hash

    def take_counter(self, till_id: str, epoch: int, counter: int, now_ms: int) -> bool:
        if counter <= self.tills[till_id].counter:
            return False
        self._change(till_id, counter=counter)
        return True

    def take_hello(self, hello: Hello, now_ms: int) -> CentreFacts:
        self.told_block = BlockMark(block_no=hello.block_no, hash=hello.block_hash)
        self.greeted = hello
        self._change(hello.till_id, announced_seq=max(self.tills[hello.till_id].announced_seq, hello.head_seq))
        return self._facts(hello.till_id)

    def take_batch(self, opened: OpenedBatch, verdict: Take | Already, now_ms: int) -> CentreFacts:
        header = opened.header
        till = self.tills[header.till_id]
        if self.moved:
            self.moved -= 1
            raise StreamMoved("moved")
        if isinstance(verdict, Take):
            fresh = opened.payloads[verdict.from_index :]
            self.heads[header.till_id] += walk(verdict.after, till.genesis, fresh)
            self.posted[header.till_id] += fresh
        self._change(
            header.till_id,
            counter=max(till.counter, header.counter),
            announced_seq=max(till.announced_seq, header.last_seq + header.backlog),
        )
        return self._facts(header.till_id)

    def page_for(self, till: TillRecord, ask: PageAsk, now_ms: int) -> Page:
        if self.manifest and ask.lane == "members" and not ask.cursor:
            raise MustSnapshot("begin from chunks")
        rows = self.hotlist if ask.lane == "hotlist" else []
        start = int(ask.cursor or "0")
        upto = min(len(rows), start + min(ask.limit, 2))
        return Page(
            lane=ask.lane,
            from_cursor=ask.cursor,
            to_cursor=str(upto) if upto else "",
            version=len(rows),
            more=upto < len(rows),
            rows=tuple(msgspec.Raw(row) for row in rows[start:upto]),
            generation=self.generation if ask.lane == "members" else 0,
        )

    def snapshot_for(self, till: TillRecord, now_ms: int) -> Manifest:
        assert self.manifest
        return self.manifest

    def chunk_part(self, sha256: str, start: int, most_bytes: int) -> bytes | None:
        return self.chunks.get(sha256, b"")[start : start + most_bytes]

    def digest_for(self, till: TillRecord, ask: DigestAsk, now_ms: int) -> SpanDigest | None:
        return self.compared

    def grants_after(self, till_id: str, epoch: int, grant_no: int) -> Sequence[Grant]:
        return [grant for grant in self.grants if grant.till_id == till_id and grant.grant_no > grant_no]

    def suspend(self, till_id: str, epoch: int, code: str, evidence: bytes, now_ms: int) -> None:
        self._change(till_id, state="suspended")
        self.kept.append((till_id, code))

    def quarantine(self, till_id: str, epoch: int, code: str, evidence: bytes, now_ms: int) -> None:
        self.kept.append((till_id, code))

    def slot(self, code_hash: str) -> Slot | None:
        return self.slots.get(code_hash)

    def claim_slot(self, slot: Slot, claim: Claim, now_ms: int) -> bool:
        self.slots[slot.code_hash] = msgspec.structs.replace(
            slot, used_by_key=claim.public_key, used_by_install=claim.install_id
        )
        return True

    def readmit(self, paper: Paper, genesis: bytes, now_ms: int) -> bool:
        self.readmitted.append(paper)
        if self.generation <= paper.generation:
            return False
        keys = PublicKeys(keys=(PublicKey(key_no=paper.till_key_no, public=paper.public, epoch=paper.epoch),))
        self.tills[paper.till_id] = TillRecord(
            till_id=paper.till_id, epoch=paper.epoch, keys=keys, state="suspended", genesis=genesis,
            install_id=paper.install_id, is_undecided=True,
        )  # fmt: skip
        self.heads[paper.till_id] = [StreamHead(till_id=paper.till_id, epoch=paper.epoch)]
        self.posted[paper.till_id] = []
        return True

    def alarm(self, code: str, about: str, now_ms: int) -> None:
        self.alarms.append((code, about))

    def _facts(self, till_id: str) -> CentreFacts:
        return CentreFacts(
            head=self.heads[till_id][-1],
            generation=self.generation,
            block_no=self.block.block_no,
            block_hash=self.block.hash,
            lanes=Lanes(hotlist=len(self.hotlist)),
        )

    def _change(self, till_id: str, **fields: object) -> None:
        self.tills[till_id] = msgspec.structs.replace(self.tills[till_id], **fields)


def record(till_id: str, key: Signer) -> TillRecord:
    keys = PublicKeys(keys=(PublicKey(key_no=1, public=key.public, epoch=1),))
    return TillRecord(till_id=till_id, epoch=1, keys=keys, state="active", genesis=GENESIS, install_id=f"on {till_id}")


def grant(grant_no: int, till_id: str = TILL_A, points: int = 500) -> Grant:
    return Grant(
        lease_id=f"lease {grant_no}",
        grant_no=grant_no,
        till_id=till_id,
        epoch=1,
        key_no=0,
        account_id=None,
        points=points,
        spend_for_s=86_400,
        settle_until_ms=NOON + 7 * 86_400_000,
        granted_at_ms=NOON,
    )
