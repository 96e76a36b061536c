"""What a till says: hello, batch and page ask, composed from its store."""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from sync.chain import ZERO_HASH, StreamHead
from sync.desk import DESK_ASK_TAG, DESK_PATH, DeskAsk, DeskWanted
from sync.envelope import MAX_RAW_BYTES, Sender, seal_batch
from sync.framing import pack
from sync.keys import Signer
from sync.pacing import Moment
from sync.ports import TillStore
from sync.rotation import CENTRE_KEYS_PATH, KEYS_ASK_TAG, NEW_KEY_PATH, NEW_KEY_TAG, KeysAsk, NewKey, prove
from sync.schedule import Intervals
from sync.snapshots import ChunkMark, Span
from sync.wire import (
    ASK_TAG,
    BATCH_PATH,
    CHUNK_ASK_TAG,
    CHUNK_PATH,
    DIGEST_ASK_TAG,
    DIGEST_PATH,
    HELLO_PATH,
    HELLO_TAG,
    LANES,
    LEASE_ASK_TAG,
    LEASE_PATH,
    PAGE_PATH,
    SNAPSHOT_ASK_TAG,
    SNAPSHOT_PATH,
    URGENT_PATH,
    ChunkAsk,
    DigestAsk,
    Hello,
    Lane,
    Lanes,
    LeaseAsk,
    PageAsk,
    SnapshotAsk,
)

ROWS_TO_WIRE = 4  # rows as JSON shrink at least so much


class TillSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a session is told of its machine."""

    install_id: str
    boot: str
    version: str
    page_rows: int = 5_000
    deadline_ms: int = 30_000
    lan: str = ""
    intervals: Intervals = Intervals()


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """How the till is besides its stream: seconds since its oldest event was written that the centre has not
    acknowledged, 0 for none; megabytes left on the disk of its journal, -1 where nobody looked."""

    oldest_unsent_s: int = 0
    disk_free_mb: int = -1


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes to POST, and what the session must remember of them until the answer."""

    kind: Literal["hello", "batch", "page", "lease", "snapshot", "chunk", "digest", "range", "new_key", "keys",
                  "desk"]  # fmt: skip
    path: str
    body: bytes
    deadline_ms: int
    sent: Moment
    first_seq: int = 0
    last_seq: int = 0
    lane: Lane = "hotlist"
    span: Span | None = None  # of a range
    chunk: ChunkMark | None = None
    start: int = 0  # of a chunk's bytes


class LeaseWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Points of an account to be set aside under an id that the till made."""

    request_id: str
    account_id: int
    points: int
    partial: bool = False


@dataclass(frozen=True, kw_only=True)
class Speaker:
    """Who speaks: the till's store, settings and key; `counter_above` is the least the next counter exceeds."""

    store: TillStore
    settings: TillSettings
    signer: Signer
    counter_above: int


def compose_hello(
    speaker: Speaker,
    now: Moment,
    suspended: str,
    condition: Condition,
    card_keys: tuple[str, ...] = (),
    exchange_key: str = "",
    paper: bytes = b"",
) -> Request:
    """Where the till stands, for the centre to compare; `card_keys` are the ids of those it holds in force, newer ones
    are to be sealed to `exchange_key`. `paper` is of its enrolment, signed by whose key the speaker has."""
    store = speaker.store
    head, acked, block = store.head(), store.acked(), store.newest_block()
    hello = Hello(
        till_id=head.till_id,
        epoch=head.epoch,
        key_no=speaker.signer.key_no,
        counter=store.next_counter(speaker.counter_above),
        sent_at_ms=now.wall_ms,
        head_seq=head.seq,
        head_hash=head.hash,
        acked_seq=acked.seq,
        acked_hash=acked.hash,
        install_id=speaker.settings.install_id,
        boot=speaker.settings.boot,
        version=speaker.settings.version,
        backlog=max(0, head.seq - acked.seq),
        cursors=lane_versions(store),
        grants=store.grant_cursor(),
        suspended=suspended,
        lan=speaker.settings.lan,
        block_no=block.block_no,
        block_hash=block.hash,
        card_keys=card_keys,
        exchange_key=exchange_key,
        sealing_key=store.sealing_key(),
        oldest_unsent_s=condition.oldest_unsent_s,
        disk_free_mb=condition.disk_free_mb,
        paper=paper,
    )
    body = pack(HELLO_TAG, hello, speaker.signer)
    return Request(kind="hello", path=HELLO_PATH, body=body, deadline_ms=speaker.settings.deadline_ms, sent=now)


def compose_batch(speaker: Speaker, now: Moment, after: StreamHead, max_events: int, clock_error_ms: int) -> Request:
    """The events right after `after`, as many as fit."""
    store = speaker.store
    sender = Sender(
        counter=store.next_counter(speaker.counter_above),
        sent_at_ms=now.wall_ms,
        clock_error_ms=clock_error_ms,
        boot=speaker.settings.boot,
        head_seq=store.head().seq,
        cursors=lane_versions(store),
        grants=store.grant_cursor(),
        block=store.newest_block(),
    )
    sealed = seal_batch(after, store.unsent(after.seq, max_events, MAX_RAW_BYTES), sender, speaker.signer)
    return Request(
        kind="batch",
        path=BATCH_PATH,
        body=sealed.data,
        deadline_ms=speaker.settings.deadline_ms,
        sent=now,
        first_seq=sealed.header.first_seq,
        last_seq=sealed.header.last_seq,
    )


def compose_ask(speaker: Speaker, now: Moment, lane: Lane, wire_bytes: int) -> Request:
    """The next page of a lane."""
    ask = PageAsk(
        **_says(speaker, now),
        lane=lane,
        cursor=speaker.store.lane(lane).cursor,
        limit=speaker.settings.page_rows,
        most_bytes=ROWS_TO_WIRE * wire_bytes,
    )
    path = PAGE_PATH if lane == "members" else URGENT_PATH
    return _request(speaker, now, "page", path, pack(ASK_TAG, ask, speaker.signer), lane=lane)


def compose_range(speaker: Speaker, now: Moment, span: Span, first: int, wire_bytes: int) -> Request:
    """The members of a span from an account on, as they are now."""
    ask = PageAsk(
        **_says(speaker, now),
        lane="members",
        cursor=speaker.store.lane("members").cursor,
        limit=speaker.settings.page_rows,
        most_bytes=ROWS_TO_WIRE * wire_bytes,
        first=first,
        last=span.last,
        home=bool(span.home),
    )
    body = pack(ASK_TAG, ask, speaker.signer)
    return _request(speaker, now, "range", PAGE_PATH, body, lane="members", span=span, start=first)


def compose_snapshot(speaker: Speaker, now: Moment) -> Request:
    """From which chunks to begin."""
    body = pack(SNAPSHOT_ASK_TAG, SnapshotAsk(**_says(speaker, now)), speaker.signer)
    return _request(speaker, now, "snapshot", SNAPSHOT_PATH, body, lane="members")


def compose_chunk(speaker: Speaker, now: Moment, chunk: ChunkMark, start: int, wire_bytes: int) -> Request:
    """The next bytes of a chunk."""
    ask = ChunkAsk(**_says(speaker, now), sha256=chunk.sha256, start=start, most_bytes=wire_bytes)
    body = pack(CHUNK_ASK_TAG, ask, speaker.signer)
    return _request(speaker, now, "chunk", CHUNK_PATH, body, lane="members", chunk=chunk, start=start)


def compose_digest(speaker: Speaker, now: Moment, place: int) -> Request:
    """What a span of the members comes to."""
    ask = DigestAsk(**_says(speaker, now), cursor=speaker.store.lane("members").cursor, place=place)
    return _request(speaker, now, "digest", DIGEST_PATH, pack(DIGEST_ASK_TAG, ask, speaker.signer), lane="members")


def _says(speaker: Speaker, now: Moment) -> dict[str, Any]:
    """What every request of an enrolled till says first."""
    head = speaker.store.head()
    return {"till_id": head.till_id, "epoch": head.epoch, "key_no": speaker.signer.key_no,
            "counter": speaker.store.next_counter(speaker.counter_above), "sent_at_ms": now.wall_ms}  # fmt: skip


def _request(speaker: Speaker, now: Moment, kind: Any, path: str, body: bytes, **more: Any) -> Request:
    deadline_ms = speaker.settings.deadline_ms
    return Request(kind=kind, path=path, body=body, deadline_ms=deadline_ms, sent=now, **more)


def compose_new_key(speaker: Speaker, now: Moment, new: Signer) -> Request:
    """A new key for this till; the speaker's signs for everything up to the head as it is now."""
    head, old = speaker.store.head(), speaker.signer
    said = NewKey(
        **_says(speaker, now),
        new_key_no=new.key_no,
        new_public=new.public,
        rotation_seq=head.seq,
        proof=prove(new, till_id=head.till_id, epoch=head.epoch, old_key_no=old.key_no),
    )
    return _request(speaker, now, "new_key", NEW_KEY_PATH, pack(NEW_KEY_TAG, said, old))


def compose_keys(speaker: Speaker, now: Moment, known_no: int) -> Request:
    """Which keys of the centre came after the newest that is known here."""
    said = KeysAsk(**_says(speaker, now), known_no=known_no)
    return _request(speaker, now, "keys", CENTRE_KEYS_PATH, pack(KEYS_ASK_TAG, said, speaker.signer))


def compose_lease(speaker: Speaker, now: Moment, wanted: LeaseWanted, deadline_ms: int) -> Request:
    """Points to be set aside for a sale."""
    head = speaker.store.head()
    ask = LeaseAsk(
        till_id=head.till_id,
        epoch=head.epoch,
        key_no=speaker.signer.key_no,
        counter=0,  # not looked at: it may overtake requests that are under way
        sent_at_ms=now.wall_ms,
        request_id=wanted.request_id,
        account_id=wanted.account_id,
        points=wanted.points,
        partial=wanted.partial,
        grants=speaker.store.grant_cursor(),
    )
    body = pack(LEASE_ASK_TAG, ask, speaker.signer)
    return Request(kind="lease", path=LEASE_PATH, body=body, deadline_ms=deadline_ms, sent=now)


def compose_desk(speaker: Speaker, now: Moment, wanted: DeskWanted, deadline_ms: int) -> Request:
    """What is asked at the counter."""
    head = speaker.store.head()
    ask = DeskAsk(
        till_id=head.till_id,
        epoch=head.epoch,
        key_no=speaker.signer.key_no,
        # It may overtake requests that are under way, so no other is refused for it; it says which of two is newer.
        counter=speaker.store.next_counter(speaker.counter_above),
        sent_at_ms=now.wall_ms,
        **msgspec.structs.asdict(wanted),
    )
    body = pack(DESK_ASK_TAG, ask, speaker.signer)
    return Request(kind="desk", path=DESK_PATH, body=body, deadline_ms=deadline_ms, sent=now)


def lane_versions(store: TillStore) -> Lanes:
    """The version of each lane that the till has taken whole."""
    return Lanes(**{lane: store.lane(lane).version for lane in LANES})


def own_hash(store: TillStore, seq: int) -> str | None:
    """The till's own hash after event `seq`; None where it has none (never written, or pruned)."""
    for known in (store.head(), store.acked()):
        if known.seq == seq:
            return known.hash
    if seq == 0:
        # Every till began there, but one whose first events are pruned cannot send them again.
        return ZERO_HASH if store.hash_at(1) is not None else None
    return store.hash_at(seq)
