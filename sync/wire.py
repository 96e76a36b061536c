"""Every message of TPS/1, versioned by the tag it is signed under (`framing`).

A till's requests: Claim, Hello, BatchHeader, PageAsk, SnapshotAsk, ChunkAsk, DigestAsk, LeaseAsk. The centre's
answers: IdentityHeader, HelloAnswer, Ack, PageHeader, ChunkHeader, DigestAnswer, LeaseAnswer, Problem. Every answer
names the SHA-256 of the request it answers, so an old answer or another till's is recognised. Instants are
milliseconds since 1970 UTC; ids, hashes and keys are lowercase hex.

Source: house.md sections 2 and 3, sync.md sections 2, 3 and 7.
"""

from typing import Annotated, Literal

import msgspec

from loyalty.cards.card_keys import CardKeys, KeyId
from loyalty.lots import Slice
from sync.chain import ZERO_HASH, Epoch, Hex32, Hex64, Seq, StreamHead

PROTO = 1
ENROL_PATH = "/sync/v1/enrol"
HELLO_PATH = "/sync/v1/hello"
BATCH_PATH = "/sync/v1/batches"
PAGE_PATH = "/sync/v1/pages"
LEASE_PATH = "/sync/v1/leases"
SALVAGE_PATH = "/sync/v1/salvages"  # batches of an epoch that is over
URGENT_PATH = "/sync/v1/urgent"  # pages of hotlist and programme, which a busy centre lets in first
SNAPSHOT_PATH = "/sync/v1/snapshots"
CHUNK_PATH = "/sync/v1/chunks"
DIGEST_PATH = "/sync/v1/digests"
CONTENT_TYPE = "application/vnd.tallypoint.sync"

CLAIM_TAG = b"TP-CLAIM1\0"
IDENTITY_TAG = b"TP-IDENT1\0"
HELLO_TAG = b"TP-HELLO1\0"
HELLO_ANSWER_TAG = b"TP-HELLOACK1\0"
BATCH_TAG = b"TP-BATCH1\0"
ACK_TAG = b"TP-ACK1\0"
ASK_TAG = b"TP-ASK1\0"
PAGE_TAG = b"TP-PAGE1\0"
GRANT_TAG = b"TP-GRANT1\0"
LEASE_ASK_TAG = b"TP-LEASE1\0"
LEASE_ANSWER_TAG = b"TP-LEASED1\0"
SNAPSHOT_ASK_TAG = b"TP-SNAPASK1\0"
SNAPSHOT_TAG = b"TP-SNAP1\0"
CHUNK_ASK_TAG = b"TP-CHUNKASK1\0"
CHUNK_TAG = b"TP-CHUNK1\0"
DIGEST_ASK_TAG = b"TP-DIGASK1\0"
DIGEST_ANSWER_TAG = b"TP-DIG1\0"
PROBLEM_TAG = b"TP-NO1\0"

Lane = Literal["hotlist", "programme", "members", "certificates"]
LANES: tuple[Lane, ...] = ("hotlist", "programme", "certificates", "members")

BEYOND_RETENTION = "sync.beyond_retention"  # a till's reason for sending nothing: what is asked for is gone there

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Backlog = Annotated[int, msgspec.Meta(ge=0, le=2**53)]  # with a place in the stream it is a whole number of SQL still
Short = Annotated[str, msgspec.Meta(max_length=200)]
Stored = Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00]*\Z")]  # PostgreSQL keeps no zero character
SealingKey = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")]  # for personal data; "" for none


class Lanes(msgspec.Struct, frozen=True, kw_only=True):
    """A version number for each lane: what a till has (cursors), or the newest the centre has (lanes)."""

    hotlist: Count = 0
    programme: Count = 0
    members: Count = 0
    certificates: Count = 0  # nothing is asked of it while it is 0

    def of(self, lane: Lane) -> int:
        """The version of one lane."""
        version: int = getattr(self, lane)
        return version


class TillMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What every request of an enrolled till says first; `counter` grows with every request."""

    proto: Count = PROTO
    till_id: Hex32
    epoch: Epoch
    key_no: Count
    counter: Count
    sent_at_ms: int


class Hello(TillMessage, frozen=True, kw_only=True):
    """At start and hourly: where the till stands, so that both sides may compare."""

    head_seq: Seq
    head_hash: Hex64
    acked_seq: Seq
    acked_hash: Hex64
    install_id: Short
    boot: Short
    version: Short
    backlog: Backlog
    cursors: Lanes
    grants: Count
    suspended: Short = ""  # the till's own reason for sending nothing, a stable code
    lan: Short = ""  # where it listens for the other tills of its store, `host:port`
    block_no: Count = 0  # the newest block it was told of, 0 for none
    block_hash: Hex64 = ZERO_HASH
    card_keys: Annotated[tuple[KeyId, ...], msgspec.Meta(max_length=100)] = ()  # those in force here, oldest first
    exchange_key: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")] = ""  # what newer ones are sealed to
    sealing_key: SealingKey = ""  # what personal data is sealed to here, "" for none
    oldest_unsent_s: Count = 0  # since the oldest event was written that is not acknowledged, 0 for none
    disk_free_mb: Annotated[int, msgspec.Meta(ge=-1, le=2**53)] = -1  # room left for the journal, -1 for not told
    paper: Annotated[bytes, msgspec.Meta(max_length=4096)] = b""  # of its enrolment, to a centre that does not know it


class BatchHeader(TillMessage, frozen=True, kw_only=True):
    """What a batch claims of itself; it binds the compressed body by hash and is signed.

    `raw_bytes` is the body inflated; `backlog` counts the events of the stream after `last_seq`;
    `clock_error_ms` is centre time minus till time as the till believes it, 0 where it does not know;
    `cursors` and `grants` say what the till has taken so far; `block_no` is the newest block it was told of, 0 for
    none, which the answer may replace.
    """

    first_seq: Seq
    last_seq: Seq
    prev_hash: Hex64
    head_hash: Hex64
    raw_bytes: Count
    body_sha256: Hex64
    clock_error_ms: int
    boot: Short
    backlog: Backlog
    cursors: Lanes
    grants: Count
    block_no: Count = 0
    block_hash: Hex64 = ZERO_HASH


class PageAsk(TillMessage, frozen=True, kw_only=True):
    """Please send the next rows of a lane after `cursor` ("" for the beginning), `limit` at most.

    `most_bytes` bounds the rows as JSON, 0 for no bound of the till's own; one row always comes. With `last`, the rows
    of the accounts from `first` to `last` as they are now, ascending, instead of those that changed; with `home` too,
    the members of the till's own store among them.
    """

    lane: Lane
    cursor: Short
    limit: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
    most_bytes: Count = 0
    first: Count = 0
    last: Count = 0
    home: bool = False


class SnapshotAsk(TillMessage, frozen=True, kw_only=True):
    """Please say from which chunks this till may begin its members."""


class ChunkAsk(TillMessage, frozen=True, kw_only=True):
    """Please send bytes of a chunk from `start` on, `most_bytes` at most."""

    sha256: Hex64
    start: Annotated[int, msgspec.Meta(ge=0, lt=2**30)]  # no chunk is as large
    most_bytes: Annotated[int, msgspec.Meta(ge=1, le=1024 * 1024)]


class DigestAsk(TillMessage, frozen=True, kw_only=True):
    """Please say what one span of the members comes to for a till that has taken all pages up to `cursor`. `place`
    counts the asks, so that each span has its turn."""

    cursor: Short
    place: Count


class CentreMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What every answer of the centre says first; `answers` is the SHA-256 of the request's bytes."""

    key_no: Count
    answers: Hex64
    server_at_ms: int


class LeaseAsk(TillMessage, frozen=True, kw_only=True):
    """Please set points of an account aside for this till: a hold for one sale, or a lease. Asked again under the same
    `request_id` it gives the same; so its counter is not looked at, and it may overtake other requests.

    With `partial` fewer points are better than none. `grants` says what the till has taken so far.
    """

    request_id: Annotated[Stored, msgspec.Meta(min_length=1)]
    account_id: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
    points: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    kind: Literal["hold", "lease"] = "hold"
    partial: bool = False
    grants: Count = 0


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """Authority to spend: a hold or lease on one account, out of whose balance its slices were taken, or a float (no
    account, no slices).

    `grant_no` grows from 1 within (till, epoch). `spend_for_s` runs from the moment the till sent the
    request; the centre reclaims what is left after `settle_until_ms`.
    Source: offline-redemption.md, "Lease lifecycle".
    """

    lease_id: Short
    grant_no: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
    till_id: Hex32
    epoch: Epoch
    key_no: Count
    account_id: int | None
    points: Count
    spend_for_s: Count
    settle_until_ms: int
    granted_at_ms: int
    kind: Literal["float", "hold", "lease"] = "float"
    hold_id: Short = ""
    slices: tuple[Slice, ...] = ()


class SignedGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A grant whose signature held, with the bytes that prove it (`lease.accepted` carries them)."""

    grant: Grant
    signed: bytes


class Ack(CentreMessage, frozen=True, kw_only=True):
    """The batch is posted up to `head`. The till believes it only if `head.hash` is its own hash there."""

    head: StreamHead
    generation: Count
    block_no: Count
    block_hash: Hex64
    flagged: tuple[tuple[Seq, str], ...] = ()
    pause_ms: Count = 0
    max_events: Count = 500
    lanes: Lanes
    grants: tuple[bytes, ...] = ()  # signed messages, each a Grant
    recalls: tuple[Short, ...] = ()  # leases to give back


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """Another till of the store: its key, where it listens on the LAN (`host:port`), and what it is called."""

    till_id: Hex32
    epoch: Epoch
    key_no: Count
    public: Hex64
    address: Short
    label: Short = ""


class SealedCardKeys(msgspec.Struct, frozen=True, kw_only=True):
    """`CardKeys` encrypted from the one-time key `exchange_key` to the hello's; see `sync.card_keys`."""

    exchange_key: Hex64
    body: bytes


class HelloAnswer(CentreMessage, frozen=True, kw_only=True):
    """Both sides agree: `head` is the centre's own head of the till's stream, uploads go on after it.

    A hello that does not lead to this is answered with a Problem (rewind, fork, clone, suspended, …).
    """

    head: StreamHead
    generation: Count
    block_no: Count
    block_hash: Hex64
    pause_ms: Count = 0
    max_events: Count = 500
    lanes: Lanes
    grants: tuple[bytes, ...] = ()
    recalls: tuple[Short, ...] = ()
    peers: tuple[Peer, ...] = ()
    granted_no: Count = 0  # the newest grant to this till that the centre knows of
    new_key: bool = False  # please make a new key
    card_keys: SealedCardKeys | None = None  # where the till holds others than are in force
    sealing_key: SealingKey = ""  # what personal data is sealed to from now on; "" where the till said so already


class LeaseAnswer(CentreMessage, frozen=True, kw_only=True):
    """What was set aside under a request: `granted` points, 0 with the reason in `refused`; `available` is what could
    be had. The grant itself is among `grants`, with those that the till has not taken yet."""

    request_id: Short
    granted: Count = 0
    available: Count = 0
    refused: Short = ""
    grants: tuple[bytes, ...] = ()


class PageHeader(CentreMessage, frozen=True, kw_only=True):
    """Binds the compressed body, which is one Page as JSON."""

    till_id: Hex32
    raw_bytes: Count
    body_sha256: Hex64


class ChunkHeader(CentreMessage, frozen=True, kw_only=True):
    """Binds the body, which is bytes of a chunk from `start` on."""

    till_id: Hex32
    sha256: Hex64
    start: Count
    body_sha256: Hex64


class DigestAnswer(CentreMessage, frozen=True, kw_only=True):
    """What a span (`sync.snapshots.Span`) comes to: how many rows, and the XOR of their hashes, but for the accounts
    `apart`, which are changing. Not `known`: there is nothing to compare now."""

    known: bool
    home: Short = ""
    bits: Count = 0
    part: Count = 0
    rows: Count = 0
    digest: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")] = "0" * 16
    apart: tuple[int, ...] = ()


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of a lane between two cursors; the rows are opaque here.

    `version` is the lane's version once this page is taken and `more` is false; it never falls. With
    `restart` the page begins the lane anew (`from_cursor` is ""). `expires_ms` 0 means never. With `last` the page is
    all that there is of the accounts from `first` to `last`, and both cursors are the till's own. `generation` is the
    centre's, of the members' rows: those of a later one hold whatever their version, as a restored centre counts anew.
    """

    lane: Lane
    from_cursor: Short
    to_cursor: Short
    version: Count
    more: bool
    restart: bool = False
    expires_ms: int = 0
    rows: tuple[msgspec.Raw, ...] = ()
    first: Count = 0
    last: Count = 0
    generation: Count = 0


class Problem(CentreMessage, frozen=True, kw_only=True):
    """A refusal. `need` is the next sequence for `sync.gap`, the last counter seen for `sync.replayed`, the
    highest sequence the centre knows of for `sync.rewind`."""

    status: Annotated[int, msgspec.Meta(ge=400, le=599)]
    code: Short
    say: str
    need: Count = 0


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A new till shows its code and proves that it holds the key it asks for."""

    proto: Count = PROTO
    code: Short
    public_key: Hex64
    exchange_key: Hex64  # X25519, for this one exchange
    install_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    version: Short
    at_ms: int


class IdentityHeader(CentreMessage, frozen=True, kw_only=True):
    """Binds the encrypted Identity; signed with `centre_public_key`, whose fingerprint came with the code."""

    centre_public_key: Hex64
    exchange_key: Hex64
    body_sha256: Hex64


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who the till is from now on. `genesis`, `card_key` and `card_keys` are secrets and travel encrypted only.

    `card_key` is the programme's first; `card_keys` are all, none where it was never changed. `paper` is for the centre
    alone (`sync.papers`).
    """

    till_id: Hex32
    epoch: Epoch
    key_no: Count
    genesis: Hex64
    partner_id: Short
    store_id: Short
    label: Short
    centre_public_key: Hex64
    centre_key_no: Count
    card_key: Hex64
    card_key_id: Short
    server_at_ms: int
    card_keys: CardKeys | None = None
    paper: bytes = b""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back for a request: HTTP status, bytes, and the Retry-After in seconds if there was one."""

    status: int
    body: bytes
    retry_after_s: int | None = None
