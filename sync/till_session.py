"""The till's side of TPS/1 as a state machine without a socket, a clock or a thread.

Somebody else asks `next_request`, carries the bytes, and gives back what came or that nothing came. What is
said first: a hello at start and every hour; a hotlist long overdue; events while there are any; then hotlist,
programme, members. That order is looked at anew before each request, and no answer brings more than the line
carries in about four seconds, so what is urgent never waits longer than that behind members. Nothing here is kept
but by the store: a session that is lost begins again with a hello.

Source: sync.md sections 2 to 4 and 7. A till that is enrolled anew gets a new session.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import msgspec

from loyalty.cards.card_numbers import NumberSpan
from loyalty.trouble import Refusal
from sync.card_keys import open_card_keys
from sync.chain import StreamHead
from sync.desk import DESK_ANSWER_TAG, DeskAnswer, DeskWanted, read_span
from sync.envelope import MAX_EVENTS
from sync.framing import open_signed, read_json, sha256, split
from sync.keys import PublicKeys, Signer, exchange_public
from sync.lanes import apply_page, open_page
from sync.member_fetch import MemberFetch, check_generation
from sync.pacing import LineBudget, Moment
from sync.ports import TillStore
from sync.refusals import (
    BadSignature,
    CloneSuspected,
    ForkFound,
    GapFound,
    HelloFirst,
    KeyRetired,
    MustSnapshot,
    NotOurAnswer,
    OldEpoch,
    Replayed,
    Revoked,
    RewindFound,
    Suspended,
    TillLeft,
    UnknownChunk,
    UnknownEpoch,
    UnknownTill,
)
from sync.rotation import KEY_TAKEN_TAG, KeyTaken, TillKeys, newest_no, open_keys
from sync.schedule import BULK_LANES, LineStatus, Schedule
from sync.till_messages import (
    Condition,
    LeaseWanted,
    Request,
    Speaker,
    TillSettings,
    compose_ask,
    compose_batch,
    compose_desk,
    compose_digest,
    compose_hello,
    compose_keys,
    compose_lease,
    compose_new_key,
    lane_versions,
    own_hash,
)
from sync.wire import (
    ACK_TAG,
    BEYOND_RETENTION,
    GRANT_TAG,
    HELLO_ANSWER_TAG,
    LEASE_ANSWER_TAG,
    PROBLEM_TAG,
    Ack,
    Answer,
    CentreMessage,
    Grant,
    HelloAnswer,
    Lane,
    LeaseAnswer,
    Problem,
    SignedGrant,
)

M = TypeVar("M", bound=CentreMessage)

STOPS = frozenset(
    refusal.code
    for refusal in (
        ForkFound,
        RewindFound,
        CloneSuspected,
        OldEpoch,
        UnknownEpoch,
        Suspended,
        Revoked,
        TillLeft,
        KeyRetired,
    )
)

LOOK_MS = 600_000  # between two hellos that strangers bring about


class WaitUntil(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing to say before this moment, unless an event is written: then ask again at once."""

    mono_ms: int


class SessionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """For health and screens. `suspended` is the code for which uploads rest, "" when they go on; `chunks_left` of a
    snapshot are still to come, and `repairs` parts of the members were found wrong and fetched anew."""

    line: LineStatus
    backlog: int
    suspended: str
    chunks_left: int = 0
    repairs: int = 0


class TillSession:
    """One till's conversation with the centre, in one epoch.

    Args:
        store: the till's journal and cache.
        settings: machine and intervals.
        signer: the till's key.
        centre_keys: the centre's keys, from the enrolment.
        random_bits: gives so many random bits, for jitter and for the exchange keys of hellos.
        own_keys: where new keys are kept; without it there are none.
        condition: how the till is, asked before each hello.
        paper: of its enrolment, as the centre gave it; `sync.papers`.
    """

    def __init__(
        self,
        store: TillStore,
        settings: TillSettings,
        signer: Signer,
        centre_keys: PublicKeys,
        random_bits: Callable[[int], int],
        own_keys: TillKeys | None = None,
        condition: Callable[[], Condition] = Condition,
        paper: bytes = b"",
    ) -> None:
        self._paper = paper
        self._is_lost = False  # the centre does not know our enrolment: it was restored to before it
        self._own_keys, self._random_bits, self._condition = own_keys, random_bits, condition
        self._exchange_private = b""  # of the last hello
        self._keys_wanted = False  # an answer came that a key of the centre signed which is not known here
        self._vouch = False  # the centre does not know our key: it was restored to before the last rotation
        self._no_new_key = False  # the centre will have no new key of us for now
        self._store = store
        self._settings = settings
        self._signer = signer
        self._keys = centre_keys
        self._schedule = Schedule(settings.intervals, random_bits)
        self._centre_seq = 0
        self._counter_above = 0
        self._max_events = MAX_EVENTS
        self._suspended = ""
        self._proof_after: int | None = None  # events behind this one prove a fork that the centre has not seen
        self._is_ahead = False  # the last members came of a later generation than any hello settled
        self._budget = LineBudget()
        self._members = MemberFetch(store, centre_keys)
        self._now_ms = 0
        self._looked_ms: int | None = None

    # What to say next

    def next_request(self, now: Moment) -> Request | WaitUntil:
        """The next request, or until when there is none. One request at a time: answer it before asking again."""
        schedule = self._schedule
        schedule.begin(now, self._store.head().till_id)
        if now.mono_ms < schedule.quiet_until():
            return WaitUntil(mono_ms=schedule.quiet_until())
        if about_keys := self._about_keys(now):
            return about_keys
        if schedule.is_hello_due(now):
            return self._hello(now)
        # A long backlog must not keep the hotlist from a till: one small request among many batches.
        if schedule.is_hotlist_overdue(now):
            return self._ask(now, "hotlist")
        if schedule.may_send_bulk(now) and (batch := self._batch(now)):
            return batch
        lane = schedule.due_lane(now)
        if lane == "members":
            clock = schedule.clock(now)
            centre_ms = now.wall_ms + (clock.offset_ms if clock else 0)
            fetch = self._members.next_request(self._speaker(), now, centre_ms, self._budget.wire_bytes)
            return fetch or self._ask(now, lane)
        if lane:
            return self._ask(now, lane)
        if self._is_ahead and schedule.is_digest_due(now):
            # Rows that hold more of this till's own than head office has stay as they are.
            schedule.digest_done(now)
        if schedule.is_digest_due(now):
            place = now.wall_ms // max(1, self._settings.intervals.digest_ms)
            return compose_digest(self._speaker(), now, place)
        return WaitUntil(mono_ms=schedule.next_due(has_events=self._sends_after() is not None))

    def _about_keys(self, now: Moment) -> Request | None:
        """Before anything else: whose word to believe, and a new key of our own, whose answer may have been lost."""
        if self._own_keys is None:
            return None
        if self._keys_wanted:
            # A centre that was restored to before our last rotation knows the key before it alone, and whoever knows
            # the present one knows that too.
            signer = self._own_keys.previous_signer() or self._signer
            return compose_keys(replace(self._speaker(), signer=signer), now, newest_no(self._keys))
        if self._vouch and (previous := self._own_keys.previous_signer()):
            speaker = replace(self._speaker(), signer=previous)
            return compose_new_key(speaker, now, self._signer)
        new = None if self._no_new_key else self._own_keys.next_signer()
        return compose_new_key(self._speaker(), now, new) if new else None

    def _hello(self, now: Moment) -> Request:
        speaker, paper = self._speaker(), self._paper if self._is_lost else b""
        if self._own_keys is None:
            return compose_hello(speaker, now, self._suspended, self._condition(), paper=paper)
        if paper and (first := self._own_keys.previous_signer()):
            speaker = replace(speaker, signer=first)
        self._exchange_private = self._random_bits(256).to_bytes(32, "big")
        held, asks = self._own_keys.card_keys().ids, exchange_public(self._exchange_private)
        return compose_hello(speaker, now, self._suspended, self._condition(), held, asks, paper)

    def _ask(self, now: Moment, lane: Lane) -> Request:
        return compose_ask(self._speaker(), now, lane, self._budget.wire_bytes)

    def _sends_after(self) -> int | None:
        """The event behind which an upload begins; none where there is nothing to send, or uploads rest, but for one
        that proves a fork."""
        after = self._proof_after if self._suspended else self._centre_seq
        return after if after is not None and self._store.head().seq > after else None

    def _batch(self, now: Moment) -> Request | None:
        after_seq = self._sends_after()
        if after_seq is None:
            return None
        after_hash = own_hash(self._store, after_seq)
        if after_hash is None:
            self._suspended = BEYOND_RETENTION
            return None
        after = msgspec.structs.replace(self._store.head(), seq=after_seq, hash=after_hash)
        clock = self._schedule.clock(now)
        return compose_batch(self._speaker(), now, after, self._max_events, clock.offset_ms if clock else 0)

    def _speaker(self) -> Speaker:
        return Speaker(
            store=self._store, settings=self._settings, signer=self._signer, counter_above=self._counter_above
        )

    # What came back

    def take_answer(self, now: Moment, request: Request, answer: Answer) -> None:
        """Take what the line gave for a request. Anything that does not prove itself counts as no answer."""
        self._now_ms = now.wall_ms
        self._members.use_keys(self._live_keys())
        try:
            if self._names_a_later_key(request, answer.body):
                self._keys_wanted = True
                raise BadSignature("Head office has a newer key than is known here; it is asked for.")
            if answer.status != 200:
                self._take_problem(now, request, answer)
            elif request.kind == "keys":
                self._take_keys(now, request, answer.body)
            elif request.kind == "new_key":
                self._take_new_key(now, request, answer.body)
            elif request.kind == "hello":
                self._take_hello(now, request, answer.body)
            elif request.kind == "batch":
                self._take_ack(now, request, answer.body)
            elif request.kind == "page":
                self._take_page(now, request, answer.body)
            else:
                self._take_members(now, request, answer.body)
        except Refusal as refusal:
            self._fail(now, request, refusal.code, answer.retry_after_s)
            if refusal.code == HelloFirst.code:
                self._schedule.hello_now(now)

    def no_answer(self, now: Moment, request: Request, code: str = "line.no_answer", came: bytes = b"") -> None:
        """Nothing came within the deadline, or the line broke; `code` is the Fault's, `came` what there is of the body
        of an answer, of which bytes of a chunk are kept."""
        self._halve(request)
        if request.kind == "chunk":
            self._now_ms = now.wall_ms
            self._members.use_keys(self._live_keys())
            self._members.take_begun(request, came)
        self._schedule.failed(now, code, None)
        if request.kind in ("page", "digest"):
            # What is left of a snapshot is asked for as soon as the line is back; these have time.
            self._done(now, request)

    def _take_hello(self, now: Moment, request: Request, body: bytes) -> None:
        answer = self._open(HELLO_ANSWER_TAG, request, body, HelloAnswer)
        self._check_stream(answer.head)
        ours = own_hash(self._store, answer.head.seq)
        self._proof_after = None
        if ours == answer.head.hash:
            self._suspended = ""
            self._centre_seq = answer.head.seq
            self._store.take_hello(answer)
        elif answer.head.seq > self._store.head().seq:
            self._suspended = RewindFound.code
        elif ours is None:
            self._suspended = BEYOND_RETENTION
        else:
            self._suspended, self._proof_after = ForkFound.code, answer.head.seq
        if self._is_lost:
            self._is_lost, self._vouch = False, True  # for the present key, where the one of the paper spoke
        self._schedule.hello_done(now)
        self._schedule.heard(request.sent, now, answer.server_at_ms, error=self._suspended)
        self._take_terms(now, answer)
        self._take_grants(request, answer.grants)
        self._take_recalls(answer.recalls)
        if answer.sealing_key and not self._suspended:
            self._schedule.hello_now(now)  # which says that it is here
        if answer.new_key and self._own_keys:
            self._own_keys.make_next()
            self._no_new_key = False
        if answer.card_keys and self._own_keys:
            keys = open_card_keys(answer.card_keys, self._exchange_private, request.body)
            if keys != self._own_keys.card_keys():
                self._own_keys.take_card_keys(keys)
                self._schedule.hello_now(now)  # which says that they are here

    def _take_ack(self, now: Moment, request: Request, body: bytes) -> None:
        ack = self._open(ACK_TAG, request, body, Ack)
        self._check_stream(ack.head)
        if ack.head.seq < request.last_seq or own_hash(self._store, ack.head.seq) != ack.head.hash:
            raise NotOurAnswer("The centre acknowledged a history that is not this till's.", seq=ack.head.seq)
        # Only a hello lifts a stop, and is answered with how much the centre still knows of what it granted.
        wants_hello = bool(self._suspended) or ack.generation > self._store.generation()
        self._proof_after = None
        self._store.take_ack(ack)
        self._centre_seq = ack.head.seq
        self._max_events = self._max_events * 2
        self._schedule.heard(request.sent, now, ack.server_at_ms)
        if wants_hello:
            self._schedule.hello_now(now)
        self._take_terms(now, ack)
        self._take_grants(request, ack.grants)
        self._take_recalls(ack.recalls)

    def _take_page(self, now: Moment, request: Request, body: bytes) -> None:
        lane = request.lane
        header, page = open_page(
            body, till_id=self._store.head().till_id, answers=sha256(request.body), keys=self._live_keys()
        )
        state = apply_page(page, lane, self._store.lane(lane))
        if lane == "members":
            check_generation(page.generation, self._store, is_stopped=bool(self._suspended))
            was_ahead, self._is_ahead = self._is_ahead, page.generation > self._store.generation()
            if self._suspended and self._is_ahead and not was_ahead:
                self._schedule.hello_now(now)  # a stop may be over that the last hello still heard of
        # Done before it is kept: a cache that fails must not leave the lane due, for a hotlist overdue goes before
        # the events.
        self._schedule.lane_done(lane, now)
        self._store.take_page(page, state)
        self._budget = self._budget.after(len(body), now.mono_ms - request.sent.mono_ms)
        self._schedule.heard(request.sent, now, header.server_at_ms, error=self._suspended)
        if page.more:
            self._schedule.lane_now(lane, now)

    def _names_a_later_key(self, request: Request, body: bytes) -> bool:
        """Whether whoever answered says that it has a later key; who it is, the notices will prove."""
        if self._own_keys is None or request.kind == "keys":
            return False
        try:
            said = read_json(split(body), CentreMessage)
        except Refusal:
            return False
        return said.key_no > newest_no(self._keys)

    def _take_keys(self, now: Moment, request: Request, body: bytes) -> None:
        self._keys_wanted = False  # asked once for each answer that names a later key
        told, keys = open_keys(body, request.body, self._keys)
        if self._own_keys and keys != self._keys:
            self._own_keys.learned(keys)
        self._keys = keys
        self._schedule.heard(request.sent, now, told.server_at_ms, error=self._suspended)

    def _take_new_key(self, now: Moment, request: Request, body: bytes) -> None:
        taken = self._open(KEY_TAKEN_TAG, request, body, KeyTaken)
        if self._own_keys and taken.new_key_no != self._signer.key_no:
            self._signer = self._own_keys.taken()
        self._vouch = self._is_lost = False
        self._schedule.heard(request.sent, now, taken.server_at_ms, error=self._suspended)
        self._schedule.hello_now(now)

    def _take_members(self, now: Moment, request: Request, body: bytes) -> None:
        """A manifest, bytes of a chunk, a digest, or rows of a range."""
        # As with pages: what fails in our own cache is not asked for again at once.
        if request.kind == "digest":
            self._schedule.digest_done(now)
        else:
            self._schedule.lane_done("members", now)
        server_at_ms, more = self._members.take(request, body, is_stopped=bool(self._suspended))
        self._budget = self._budget.after(len(body), now.mono_ms - request.sent.mono_ms)
        self._schedule.heard(request.sent, now, server_at_ms, error=self._suspended)
        if more:
            self._schedule.lane_now("members", now)

    def _take_problem(self, now: Moment, request: Request, answer: Answer) -> None:
        if answer.status == 413:
            self._halve(request)
        try:
            problem = self._open(PROBLEM_TAG, request, answer.body, Problem)
        except Refusal:
            # A proxy or portal speaks, not the centre: its status is all there is to note, and it decides nothing.
            self._fail(now, request, f"line.http_{answer.status}", answer.retry_after_s)
            return
        if request.kind == "new_key":
            # It goes on with the key it has, and tries again after the next start; a lost answer is no such problem.
            self._no_new_key, self._vouch = True, False
        elif problem.code == BadSignature.code and (request.kind == "hello" or not self._no_new_key):
            self._vouch = True
        elif problem.code == KeyRetired.code and request.kind == "hello":
            # The new key may have been taken, and this answer lost, before it was refused: it is asked for once more.
            self._no_new_key = False
        # The key before the present one showed the paper to a centre that knows both: another database was there.
        is_known_again = request.kind == "hello" and self._is_lost and problem.code == KeyRetired.code
        if problem.code in (UnknownTill.code, BadSignature.code) and self._paper:
            self._is_lost = True
            self._schedule.hello_now(now)
        elif request.kind == "hello":
            self._is_lost = False
        if problem.code in (MustSnapshot.code, UnknownChunk.code):
            self._begin_anew(now, request, problem)
        elif problem.code in STOPS and not is_known_again:
            self._stop(now, request, problem, answer.retry_after_s)
        elif problem.code == GapFound.code and 1 <= problem.need < request.first_seq:
            self._resend_from(now, request, problem)
        else:
            if problem.code == Replayed.code:
                self._counter_above = max(self._counter_above, problem.need)
            self._fail(now, request, problem.code, answer.retry_after_s)

    def _begin_anew(self, now: Moment, request: Request, problem: Problem) -> None:
        """The centre cannot go on from where the members stand here, or has replaced the chunk that was asked for."""
        if problem.code == UnknownChunk.code:
            self._members.forget_manifest()
        elif request.lane == "members":
            self._store.begin_snapshot()
        self._schedule.heard(request.sent, now, problem.server_at_ms, error=self._suspended)
        self._schedule.lane_now(request.lane, now)

    def _stop(self, now: Moment, request: Request, problem: Problem, retry_after_s: int | None) -> None:
        """Uploads rest until a hello is answered well again; lanes go on, nothing is deleted."""
        if request.kind == "hello":
            self._schedule.hello_done(now)
        elif problem.code == UnknownEpoch.code and self._suspended != problem.code:
            self._schedule.hello_now(now)  # it alone makes an epoch of our own known to a centre that was restored
        self._suspended, self._proof_after = problem.code, None
        self._schedule.heard(request.sent, now, problem.server_at_ms, error=problem.code)
        self._done(now, request)
        if retry_after_s is not None:
            self._schedule.rest(now, retry_after_s)

    def _resend_from(self, now: Moment, request: Request, problem: Problem) -> None:
        self._centre_seq = problem.need - 1
        self._schedule.heard(request.sent, now, problem.server_at_ms)
        if self._centre_seq < self._store.acked().seq or self._suspended:
            # The centre went back behind what it once acknowledged, or said: let a hello settle where both stand.
            self._schedule.hello_now(now)
        self._proof_after = None

    # Leases, asked while a sale waits: beside the one request at a time

    def stranger_asked(self, now: Moment) -> None:
        """Somebody asked who is no till of the store as far as this one was told: a new till, perhaps, or a new key. A
        hello tells, one in LOOK_MS at most: anybody on the store's network can ask."""
        if self._looked_ms is None or now.mono_ms >= self._looked_ms + LOOK_MS:
            self._looked_ms = now.mono_ms
            self._schedule.hello_now(now)

    def lease_request(
        self, now: Moment, *, request_id: str, account_id: int, points: int, partial: bool, deadline_ms: int
    ) -> Request:
        """A request to set points of an account aside for one sale; asked again under its id it gives the same."""
        wanted = LeaseWanted(request_id=request_id, account_id=account_id, points=points, partial=partial)
        return compose_lease(self._speaker(), now, wanted, deadline_ms)

    def take_lease(self, request: Request, answer: Answer) -> LeaseAnswer:
        """What the centre set aside; its grant is kept, durably, when this returns.

        Raises:
            NotOurAnswer, BadSignature and the like: it does not prove itself, so nothing was heard.
            Refusal: the centre's own, as it said it.
        """
        if answer.status != 200:
            problem = self._open(PROBLEM_TAG, request, answer.body, Problem)
            raise NotOurAnswer(problem.say, code_there=problem.code)
        told = self._open(LEASE_ANSWER_TAG, request, answer.body, LeaseAnswer)
        self._take_grants(request, told.grants)
        return told

    def desk_request(self, now: Moment, wanted: DeskWanted, deadline_ms: int) -> Request:
        """A request from the counter; see `sync.desk`."""
        return compose_desk(self._speaker(), now, wanted, deadline_ms)

    def take_desk(self, request: Request, answer: Answer) -> tuple[DeskAnswer, tuple[NumberSpan, ...]]:
        """What the centre answered, and the spans of card numbers in it, each signed for this till and epoch.

        Raises:
            NotOurAnswer, BadSignature and the like: it does not prove itself, so nothing was heard.
        """
        if answer.status != 200:
            problem = self._open(PROBLEM_TAG, request, answer.body, Problem)
            raise NotOurAnswer(problem.say, code_there=problem.code)
        told = self._open(DESK_ANSWER_TAG, request, answer.body, DeskAnswer)
        own = self._store.head()
        spans = (read_span(data, self._keys, till_id=own.till_id, epoch=own.epoch) for data in told.spans)
        return told, tuple(spans)

    # Bookkeeping

    def _open(self, tag: bytes, request: Request, body: bytes, kind: type[M]) -> M:
        message, _ = open_signed(tag, body, kind, self._live_keys())
        if message.answers != sha256(request.body):
            raise NotOurAnswer("This answers another request.")
        return message

    def _live_keys(self) -> PublicKeys:
        return self._keys.live_at(self._now_ms)

    def _check_stream(self, head: StreamHead) -> None:
        own = self._store.head()
        if (head.till_id, head.epoch) != (own.till_id, own.epoch):
            raise NotOurAnswer("The centre spoke of another till's stream.", till_id=head.till_id)

    def _take_terms(self, now: Moment, said: Ack | HelloAnswer) -> None:
        self._max_events = max(1, min(self._max_events, said.max_events, MAX_EVENTS))
        self._schedule.pause(now, said.pause_ms)
        self._schedule.told_of(said.lanes, lane_versions(self._store), now)

    def _take_grants(self, request: Request, signed: tuple[bytes, ...]) -> None:
        cursor = self._store.grant_cursor()
        own = self._store.head()
        fresh = []
        for data in signed:
            grant, _ = open_signed(GRANT_TAG, data, Grant, self._keys)
            if (grant.till_id, grant.epoch) != (own.till_id, own.epoch):
                raise NotOurAnswer("A grant for another till came here.", lease_id=grant.lease_id)
            if grant.grant_no > cursor:
                cursor = grant.grant_no
                fresh.append(SignedGrant(grant=grant, signed=data))
        if fresh:
            self._store.take_grants(tuple(fresh), request.sent)

    def _take_recalls(self, lease_ids: tuple[str, ...]) -> None:
        if lease_ids:
            self._store.take_recalls(lease_ids)

    def _halve(self, request: Request) -> None:
        if request.kind == "batch":
            self._max_events = max(1, (request.last_seq - request.first_seq + 1) // 2)
        elif request.kind != "hello":
            self._budget = self._budget.halved()

    def _fail(self, now: Moment, request: Request, code: str, retry_after_s: int | None) -> None:
        if retry_after_s is not None and (request.kind == "batch" or request.lane in BULK_LANES):
            # A busy centre sends bulk away; it keeps places for the hotlist and hellos, which go on.
            self._schedule.rest_bulk(now, code, retry_after_s)
        else:
            self._schedule.failed(now, code, retry_after_s)
            self._done(now, request)

    def _done(self, now: Moment, request: Request) -> None:
        """What was asked is not asked again before its time."""
        if request.kind == "digest":
            self._schedule.digest_done(now)
        elif request.kind not in ("hello", "batch"):
            self._schedule.lane_done(request.lane, now)

    def status(self, now: Moment) -> SessionStatus:
        """Where the conversation stands."""
        return SessionStatus(
            line=self._schedule.status(now),
            backlog=self._store.head().seq - max(self._centre_seq, self._store.acked().seq),
            suspended=self._suspended,
            chunks_left=self._members.chunks_left(),
            repairs=self._members.repairs,
        )
