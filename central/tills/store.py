"""The centre's database as its sessions see it: each writing call is one transaction, replayed whole on conflict."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
from sqlalchemy import Connection, Engine, bindparam, func, select

from central.coalition import epochs, hellos, settings, slots, streams, till_keys
from central.coalition.programmes import current_programme
from central.database import lanes
from central.database.asking import ask_one
from central.database.tables import quarantine
from central.intake import intake
from central.intake.replaying import take_undecided
from central.keys.card_keys import CardKeyMissing, KeyRing
from central.keys.people_keys import PeopleKeyMissing
from central.leases import granting, leasing
from central.members.people import People
from central.ports import Randomness, reading, replayable, writing
from central.streams import evidence
from central.streams.sealing import check_block, newest_block
from central.tills import digests, publish, snapshots
from central.tills.desk_asks import answer_desk
from central.tills.told_rows import ToldRows
from central.worklist.worklist import flagged_in, raise_alarm
from loyalty.cards.card_keys import CardKeys
from loyalty.moments import DAY_MS, utc_date
from sync.chain import StreamHead
from sync.desk import DeskAsk
from sync.enrolment import Slot
from sync.envelope import OpenedBatch
from sync.framing import sha256
from sync.papers import Paper
from sync.ports import CentreFacts, DeskTold, LeaseTaken, SpanDigest, TillRecord
from sync.refusals import MustSnapshot
from sync.rotation import NewKey
from sync.snapshots import Manifest
from sync.verdicts import Already, Take
from sync.wire import BEYOND_RETENTION, BatchHeader, Claim, DigestAsk, Grant, Hello, Lane, LeaseAsk, Page, PageAsk

_log = logging.getLogger(__name__)
MOST_KEPT_BYTES = 256 * 2**20  # of one till's uploads kept aside: far more than months of the busiest one


class SqlCentreStore:
    """`sync.ports.CentreStore` over SQLite or PostgreSQL; one for each engine, used by any number of threads.

    Args:
        card_key: the programme's first, 32 bytes; `card_key_file` is its file, beside which the later ones lie.
        lane_days: for how many days a lane may be relied on without news; a lane left out never expires.
        people: the keys of personal data; without them none is taken.
    """

    def __init__(
        self,
        engine: Engine,
        randomness: Randomness,
        *,
        card_key: bytes,
        card_key_file: Path | None = None,
        lane_days: dict[Lane, int] | None = None,
        people: People | None = None,
    ) -> None:
        self.engine = engine
        self._randomness = randomness
        self._ring = KeyRing(card_key, card_key_file)
        self._lane_days = lane_days or {}
        self._people = people
        self._told_rows = ToldRows()

    # Tills

    @replayable
    def till(self, till_id: str) -> TillRecord | None:
        with reading(self.engine) as connection:
            return till_keys.till_record(connection, till_id)

    @replayable
    def stream(self, till_id: str, epoch: int) -> StreamHead:
        with reading(self.engine) as connection:
            return streams.stream_head(connection, till_id, epoch)

    @replayable
    def hash_at(self, till_id: str, epoch: int, seq: int) -> str:
        with reading(self.engine) as connection:
            return evidence.hash_at(connection, till_id, epoch, seq)

    @replayable
    def take_counter(self, till_id: str, epoch: int, counter: int, now_ms: int) -> bool:
        with writing(self.engine) as tx:
            return streams.take_counter(tx, till_id, epoch, counter, now_ms)

    @replayable
    def slot(self, code_hash: str) -> Slot | None:
        with reading(self.engine) as connection:
            return slots.find_slot(connection, code_hash, card_keys=self._ring.read(connection))

    @replayable
    def claim_slot(self, slot: Slot, claim: Claim, now_ms: int) -> bool:
        with suppress(_Undo), writing(self.engine) as tx:
            if slots.claim_slot(tx, slot, claim, now_ms):
                return True
            raise _Undo
        return False

    # Up

    @replayable
    def take_hello(self, hello: Hello, now_ms: int) -> CentreFacts:
        self.stamp()
        with writing(self.engine) as tx:
            hellos.note_hello(tx, hello, now_ms)
            if hello.suspended == BEYOND_RETENTION:
                raise_alarm(tx, BEYOND_RETENTION, hello.till_id, now_ms, epoch=hello.epoch)
            known_no = granting.newest_grant(tx, hello.till_id, hello.epoch)
            programme, whose = current_programme(tx), (hello.till_id, hello.epoch)
            granting.top_up(tx, programme, *whose, now_ms, self._randomness, taken=hello.grants)
            facts = self._facts(tx, hello, now_ms)
            peers = hellos.peers_of(tx, hello.till_id) if hello.lan else ()
            new_key = till_keys.is_key_wanted(tx, hello.till_id)
            return msgspec.structs.replace(
                facts, peers=peers, granted_no=known_no, new_key=new_key, card_keys=self._card_keys(tx),
                sealing_key=self._sealing_key(tx),
            )  # fmt: skip

    def _card_keys(self, tx: Connection) -> CardKeys | None:
        """The card keys; none where a file is gone: tills go on with those they hold, and the doctor says so."""
        try:
            return self._ring.read(tx)
        except CardKeyMissing as missing:
            _log.error("tills are told of no card keys: %s", missing)
            return None

    def _sealing_key(self, tx: Connection) -> str:
        """What tills seal personal data to; "" where its file is gone: they go on with the key they hold."""
        try:
            return self._people.sealing_key(tx) if self._people else ""
        except PeopleKeyMissing as missing:
            _log.error("tills are told of no key for personal data: %s", missing)
            return ""

    @replayable
    def take_key(self, said: NewKey, now_ms: int) -> int:
        with writing(self.engine) as tx:
            return till_keys.take_key(tx, said, now_ms)

    @replayable
    def take_batch(self, opened: OpenedBatch, verdict: Take | Already, now_ms: int) -> CentreFacts:
        header = opened.header
        with writing(self.engine) as tx:
            if isinstance(verdict, Take):
                programme, whose = current_programme(tx), (header.till_id, header.epoch)
                served = take_undecided(tx, opened, verdict, now_ms, self._randomness, programme)
                leasing.top_up_leases(tx, programme, *whose, served, now_ms, self._randomness, taken=header.grants)
            else:
                intake.note_contact(tx, header, now_ms)
        # The accounts are free again: what the till is told besides keeps nobody waiting who sells to the same members.
        with writing(self.engine) as tx:
            flagged = flagged_in(tx, header.till_id, header.epoch, header.first_seq, header.last_seq)
            return self._facts(tx, header, now_ms, flagged)

    def _facts(
        self, tx: Connection, said: Hello | BatchHeader, now_ms: int, flagged: tuple[tuple[int, str], ...] = ()
    ) -> CentreFacts:
        """What the till is told; and the alarm where it was told of a block that is not here."""
        till_id, epoch, newest = said.till_id, said.epoch, newest_block(tx)
        check_block(tx, said, newest, now_ms)
        return CentreFacts(
            head=streams.stream_head(tx, till_id, epoch),
            generation=settings.generation(tx),
            block_no=newest.block_no,
            block_hash=newest.hash,
            lanes=lanes.newest(tx),
            flagged=flagged,
            recalls=leasing.recalls_for(tx, till_id, epoch),
        )

    @replayable
    def adopt_provisional(self, said: Hello | NewKey, now_ms: int) -> TillRecord | None:
        with writing(self.engine) as tx:
            if epochs.adopt_provisional(tx, said, now_ms):
                return till_keys.till_record(tx, said.till_id)
        return None

    @replayable
    def ended_stream(self, header: BatchHeader, now_ms: int) -> TillRecord | None:
        with writing(self.engine) as tx:
            return epochs.ended_stream(tx, header, now_ms)

    @replayable
    def readmit(self, paper: Paper, genesis: bytes, now_ms: int) -> bool:
        with writing(self.engine) as tx:
            return epochs.readmit(tx, paper, genesis, now_ms)

    @replayable
    def leave(self, till_id: str, epoch: int, to_come: int, now_ms: int) -> None:
        with writing(self.engine) as tx:
            epochs.leave(tx, till_id, epoch, to_come, now_ms)

    # Down

    @replayable
    def page_for(self, till: TillRecord, ask: PageAsk, now_ms: int) -> Page:
        if ask.lane in lanes.STAMPED:
            self.stamp()
        days = self._lane_days.get(ask.lane, 0)
        today = utc_date(now_ms).isoformat()
        with reading(self.engine) as connection:
            if ask.lane == "members" and not ask.last:
                version = lanes.newest(connection).members
                if publish.begins_anew(connection, ask, version) and snapshots.has_snapshot(connection):
                    raise MustSnapshot("Begin the members anew from chunks; keep those you have until then.")
            expires_ms = now_ms + days * DAY_MS if days else 0
            return publish.page_for(connection, till, ask, today, expires_ms, told=self._told_rows)

    @replayable
    def snapshot_for(self, till: TillRecord, now_ms: int) -> Manifest:
        with reading(self.engine) as connection:
            return snapshots.manifest_for(connection, till, now_ms)

    @replayable
    def chunk_part(self, sha256: str, start: int, most_bytes: int) -> bytes | None:
        with reading(self.engine) as connection:
            return snapshots.chunk_part(connection, sha256, start, most_bytes)

    @replayable
    def digest_for(self, till: TillRecord, ask: DigestAsk, now_ms: int) -> SpanDigest | None:
        self.stamp()
        with reading(self.engine) as connection:
            return digests.digest_for(connection, till, ask, utc_date(now_ms).isoformat())

    @replayable
    def stamp(self) -> int:
        """Number the accounts that changed; how many there were. Also the worker's, every second or so."""
        with reading(self.engine) as connection:
            if not lanes.has_changes(connection):
                return 0
        with writing(self.engine) as tx:
            return lanes.stamp(tx)

    @replayable
    def reseal(self) -> int:
        """The worker's: a portion of the people whom an older key keeps goes under the newest; how many they were."""
        if self._people is None:
            return 0
        with writing(self.engine) as tx:
            return self._people.reseal(tx, self._randomness)

    @replayable
    def take_lease_ask(self, ask: LeaseAsk, now_ms: int) -> LeaseTaken:
        with writing(self.engine) as tx:
            return leasing.take_ask(tx, ask, now_ms, self._randomness)

    @replayable
    def take_desk_ask(self, ask: DeskAsk, now_ms: int) -> DeskTold:
        with writing(self.engine) as tx:
            told = answer_desk(tx, ask, self._people, self._ring, now_ms, self._randomness)
            return msgspec.structs.replace(told, sealing_key=self._sealing_key(tx))

    @replayable
    def grants_after(self, till_id: str, epoch: int, grant_no: int) -> Sequence[Grant]:
        with reading(self.engine) as connection:
            return granting.grants_after(connection, till_id, epoch, grant_no)

    # Trouble

    @replayable
    def suspend(self, till_id: str, epoch: int, code: str, evidence: bytes, now_ms: int) -> None:
        with writing(self.engine) as tx:
            is_stopped = streams.stop_stream(tx, till_id, epoch, code)
            # No stop is without its alarm, be there no room for what proves it.
            if _keep(tx, till_id, epoch, code, evidence, now_ms) or is_stopped:
                raise_alarm(tx, code, till_id, now_ms, epoch=epoch)

    @replayable
    def quarantine(self, till_id: str, epoch: int, code: str, evidence: bytes, now_ms: int) -> None:
        with writing(self.engine) as tx:
            if _keep(tx, till_id, epoch, code, evidence, now_ms):
                raise_alarm(tx, "batch_quarantined", till_id, now_ms, epoch=epoch, code=code)

    @replayable
    def alarm(self, code: str, about: str, now_ms: int) -> None:
        with writing(self.engine) as tx:
            raise_alarm(tx, code, about, now_ms)


class _Undo(Exception):
    """Roll back, and nothing more."""


_KEPT = select(func.coalesce(func.sum(func.length(quarantine.c.evidence)), 0)).where(
    quarantine.c.till_id == bindparam("till")
)


def _keep(tx: Connection, till_id: str, epoch: int, code: str, proof: bytes, now_ms: int) -> bool:
    """Keep the bytes that prove something is wrong; False when they are here already, or there is no room for more of
    this till, which the worklist says."""
    name = sha256(proof)
    if tx.execute(quarantine.select().where(quarantine.c.till_id == till_id, quarantine.c.sha256 == name)).first():
        return False
    if ask_one(tx, _KEPT, {"till": till_id}) + len(proof) > MOST_KEPT_BYTES:
        raise_alarm(tx, "uploads_not_kept", till_id, now_ms, epoch=epoch, code=code)
        return False
    row = {"till_id": till_id, "sha256": name, "epoch": epoch, "code": code, "received_at_ms": now_ms}
    tx.execute(quarantine.insert().values(**row, evidence=proof))
    return True


