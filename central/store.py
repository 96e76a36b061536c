"""The centre's database as its sessions see it: each writing call is one transaction, replayed whole on conflict."""

from collections.abc import Sequence
from contextlib import suppress

import msgspec
from sqlalchemy import Connection, Engine, update

from central import evidence, granting, intake, lanes, leasing, publish, registry
from central.ports import Randomness, reading, replayable, writing
from central.programmes import current_programme
from central.sealing import check_block, newest_block
from central.tables import quarantine, stream
from central.worklist import flagged_in, raise_alarm
from loyalty.moments import utc_date
from sync.chain import StreamHead
from sync.enrolment import Slot
from sync.envelope import OpenedBatch
from sync.framing import sha256
from sync.ports import CentreFacts, LeaseTaken, TillRecord
from sync.verdicts import Already, Take
from sync.wire import Claim, Grant, Hello, Lane, LeaseAsk, Page, PageAsk

DAY_MS = 24 * 60 * 60 * 1000


class SqlCentreStore:
    """`sync.ports.CentreStore` over SQLite or PostgreSQL; one for each engine, used by any number of threads.

    Args:
        card_key: the programme's, 32 bytes, given to tills that enrol.
        lane_days: for how many days a lane may be relied on without news; a lane left out never expires.
    """

    def __init__(
        self,
        engine: Engine,
        randomness: Randomness,
        *,
        card_key: bytes,
        card_key_id: str = "1",
        lane_days: dict[Lane, int] | None = None,
    ) -> None:
        self.engine = engine
        self._randomness = randomness
        self._card_key = card_key
        self._card_key_id = card_key_id
        self._lane_days = lane_days or {}

    # Tills

    def till(self, till_id: str) -> TillRecord | None:
        with reading(self.engine) as connection:
            return registry.till_record(connection, till_id)

    def stream(self, till_id: str, epoch: int) -> StreamHead:
        with reading(self.engine) as connection:
            return registry.stream_head(connection, till_id, epoch)

    def hash_at(self, till_id: str, epoch: int, seq: int) -> str:
        with reading(self.engine) as connection:
            return evidence.hash_at(connection, till_id, epoch, seq)

    @replayable
    def take_counter(self, till_id: str, epoch: int, counter: int) -> bool:
        with writing(self.engine) as tx:
            return registry.take_counter(tx, till_id, epoch, counter)

    def slot(self, code_hash: str) -> Slot | None:
        with reading(self.engine) as connection:
            return registry.find_slot(connection, code_hash, card_key=self._card_key, card_key_id=self._card_key_id)

    @replayable
    def claim_slot(self, slot: Slot, claim: Claim, now_ms: int) -> bool:
        with suppress(_Undo), writing(self.engine) as tx:
            if registry.claim_slot(tx, slot, claim, now_ms):
                return True
            raise _Undo
        return False

    # Up

    @replayable
    def take_hello(self, hello: Hello, now_ms: int) -> CentreFacts:
        self.stamp()
        with writing(self.engine) as tx:
            heartbeat = {
                "announced_seq": registry.raised(stream.c.announced_seq, hello.head_seq),
                "heard_at_ms": now_ms,
                "backlog": hello.backlog,
                "about": _about(hello),
            }
            tx.execute(update(stream).where(registry.at(hello.till_id, hello.epoch)).values(heartbeat))
            check_block(tx, hello, now_ms)
            programme = current_programme(tx)
            granting.top_up(tx, programme, hello.till_id, hello.epoch, now_ms, self._randomness)
            facts = self._facts(tx, hello.till_id, hello.epoch)
            return msgspec.structs.replace(facts, peers=registry.peers_of(tx, hello.till_id) if hello.lan else ())

    @replayable
    def take_batch(self, opened: OpenedBatch, verdict: Take | Already, now_ms: int) -> CentreFacts:
        header = opened.header
        with writing(self.engine) as tx:
            if isinstance(verdict, Take):
                served = intake.take_events(tx, opened, verdict, now_ms, self._randomness)
                programme, whose = current_programme(tx), (header.till_id, header.epoch)
                granting.top_up(tx, programme, *whose, now_ms, self._randomness)
                leasing.top_up_leases(tx, programme, *whose, served, now_ms, self._randomness)
            else:
                intake.note_contact(tx, header, now_ms)
            flagged = flagged_in(tx, header.till_id, header.epoch, header.first_seq, header.last_seq)
            return self._facts(tx, header.till_id, header.epoch, flagged)

    def _facts(
        self, tx: Connection, till_id: str, epoch: int, flagged: tuple[tuple[int, str], ...] = ()
    ) -> CentreFacts:
        newest = newest_block(tx)
        return CentreFacts(
            head=registry.stream_head(tx, till_id, epoch),
            generation=registry.generation(tx),
            block_no=newest.block_no,
            block_hash=newest.hash,
            lanes=lanes.newest(tx),
            flagged=flagged,
            recalls=leasing.recalls_for(tx, till_id, epoch),
        )

    # Down

    def page_for(self, till: TillRecord, ask: PageAsk, now_ms: int) -> Page:
        self.stamp()
        days = self._lane_days.get(ask.lane, 0)
        today = utc_date(now_ms).isoformat()
        with reading(self.engine) as connection:
            return publish.page_for(connection, till, ask, today, now_ms + days * DAY_MS if days else 0)

    @replayable
    def stamp(self) -> int:
        """Number the accounts that changed; how many there were. Also the worker's, every second or so."""
        with reading(self.engine) as connection:
            if not lanes.has_changes(connection):
                return 0
        with writing(self.engine) as tx:
            return lanes.stamp(tx)

    @replayable
    def take_lease_ask(self, ask: LeaseAsk, now_ms: int) -> LeaseTaken:
        with writing(self.engine) as tx:
            return leasing.take_ask(tx, ask, now_ms, self._randomness)

    def grants_after(self, till_id: str, epoch: int, grant_no: int) -> Sequence[Grant]:
        with reading(self.engine) as connection:
            return granting.grants_after(connection, till_id, epoch, grant_no)

    # Trouble

    @replayable
    def suspend(self, till_id: str, epoch: int, code: str, evidence: bytes, now_ms: int) -> None:
        with writing(self.engine) as tx:
            registry.stop_stream(tx, till_id, epoch, code)
            if _keep(tx, till_id, epoch, code, evidence, now_ms):
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


def _keep(tx: Connection, till_id: str, epoch: int, code: str, proof: bytes, now_ms: int) -> bool:
    """Keep the bytes that prove something is wrong; False when they are here already."""
    name = sha256(proof)
    if tx.execute(quarantine.select().where(quarantine.c.till_id == till_id, quarantine.c.sha256 == name)).first():
        return False
    row = {"till_id": till_id, "sha256": name, "epoch": epoch, "code": code, "received_at_ms": now_ms}
    tx.execute(quarantine.insert().values(**row, evidence=proof))
    return True


def _about(hello: Hello) -> str:
    told = {"version": hello.version, "boot": hello.boot, "cursors": hello.cursors, "suspended": hello.suspended,
            "lan": hello.lan}  # fmt: skip
    return msgspec.json.encode(told).decode()
