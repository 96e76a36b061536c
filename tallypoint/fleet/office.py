"""Head office: the centre's own classes over a database in memory, its chores, and the people who decide there."""

import sqlite3
from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Any

import msgspec

from central.backups.restoring import note_restore
from central.coalition import registry, slots
from central.coalition.programmes import publish
from central.corrections.stray_points import bring_home
from central.intake.claims import settle_claims
from central.leases.leasing import reclaim_overdue
from central.members.members import AccountClosed, CardTaken, import_members
from central.members.people import People
from central.ports import writing
from central.posting.late import GRACE_DAYS, post_arrived, post_overdue
from central.recomputing.recompute import recompute_pending
from central.streams.sealing import Sealer
from central.tills.forgotten_cards import FORGOTTEN, give_forgotten
from central.tills.snapshots import SnapshotMaker
from central.tills.store import SqlCentreStore
from central.worklist.worklist import FlagKey, settle_flag
from edge.identity import TillIdentity
from loyalty.cards.card_keys import one_card_key
from loyalty.programme.programme import Programme, canonical
from sync.centre_session import CentreSession
from sync.enrolment import fingerprint, make_claim, read_identity
from sync.keys import Signer
from sync.versions import KEPT, OURS, Older, Versions
from sync.wire import ENROL_PATH, PROTO, Answer, BatchHeader, Hello
from tallypoint.fleet.clock import HOUR_MS, World
from tallypoint.fleet.dice import DrawnBytes
from tallypoint.fleet.disk import CentreDisk, Crashed, Peril, image_of

CHUNK_ROWS = 8  # of few members several chunks
UNNUMBERED = "certificate WHERE no = 0 AND n > 0"
CLAIMED = "receipt_claim WHERE state = 'asked' OR due = 1"
# Points that a till has set aside in an epoch that is over come home once their time to settle is.
STRAYED = (
    "flag WHERE cause = 'card_has_points' AND state = 'open' AND NOT EXISTS (SELECT 1 FROM lease"
    " WHERE lease.state = 'active' AND lease.account_id = json_extract(figures, '$.account_id'))"
)


class _Later(BatchHeader, frozen=True, kw_only=True):
    """A header of a later version, which only ever grows."""

    weather: str = ""


@cache
def reading_from(newest: int) -> Versions:
    """What head office of a version reads: what tills of today say it brings up to its own."""
    if newest == PROTO:
        return OURS
    hello = Older(shape=Hello, upgrade=lambda said: said)
    header = Older(shape=BatchHeader, upgrade=lambda said: _Later(**msgspec.structs.asdict(said), weather="unknown"))
    return Versions(newest=newest, older={("Hello", PROTO): hello, ("BatchHeader", PROTO): header})


class Office:
    """The centre. Its process keeps nothing between requests, so a crash needs no more than a new one."""

    def __init__(self, world: World, dice: Random, coalition: dict[str, Any]) -> None:
        self.world = world
        self.randomness = DrawnBytes(dice)
        self.disk = CentreDisk()
        self.engine = self.disk.engine
        self.signer = Signer(self.randomness.bytes(32))
        self.card_key = self.randomness.bytes(32)
        self._people = People(self.randomness.bytes(32))
        self._grace_days = GRACE_DAYS
        with writing(self.engine) as tx:
            registry.load_coalition(tx, coalition, world.wall_ms())
        self.is_down_until_ms = 0
        self.chunks_every_ms = HOUR_MS
        self.newest = PROTO
        self.keeps_backups = False
        self.backups: list[sqlite3.Connection] = []
        self.peril: Peril | None = None
        self._start()

    def _start(self) -> None:
        self._store = SqlCentreStore(self.engine, self.randomness, card_key=self.card_key, people=self._people)
        self._session = CentreSession(self.signer, self.randomness.bytes, versions=reading_from(self.newest))
        self._sealer = Sealer(self.engine, self.signer, self.world)
        self._maker = SnapshotMaker(self.engine, self.world, rows=CHUNK_ROWS, stale_ms=self.chunks_every_ms)

    # Its services

    def answer(self, path: str, body: bytes) -> Answer | None:
        """Bytes to bytes; none where the process ended meanwhile."""
        self.disk.peril = self.peril
        try:
            return self._session.answer(self.world.wall_ms(), path, body, self._store)
        except Crashed:
            self._start()
            return None
        except sqlite3.OperationalError:
            return Answer(status=500, body=b"")  # as the HTTP shell answers what it did not foresee
        finally:
            self.disk.peril = None
            if self.peril is not None and self.peril.over:
                self.peril = None

    def chores(self) -> None:
        """What its worker does every few seconds, but for recomputing."""
        self._store.stamp()
        self._sealer.seal()
        if self._is_there("waiting"):
            with writing(self.engine) as tx:
                post_arrived(tx, self.world.wall_ms(), self.randomness)
        if self._is_there(CLAIMED):
            settle_claims(self.engine, self.world.wall_ms(), self.randomness, self._grace_days)
        if self._is_there("flag WHERE cause = 'card_has_points' AND state = 'open'"):
            bring_home(self.engine, self.world.wall_ms(), self.randomness)

    def make_chunks(self) -> None:
        """Whatever chunks of the members are due."""
        while self._maker.step():
            pass

    def upgrade(self) -> None:
        """The next version of head office, which is upgraded before any till; it answers two older ones in full."""
        self.newest = min(self.newest + 1, PROTO + KEPT)
        self._start()

    def post_overdue(self) -> None:
        """Post what waits for an event that never came, and refuse claims of such; a person who set the grace to
        nothing waits no longer."""
        self._grace_days = 0
        while True:
            with writing(self.engine) as tx:
                if not post_overdue(tx, self.world.wall_ms(), self.randomness, 0):
                    return

    def recompute(self, events: int) -> int:
        """Compute so many of the oldest events again that were not yet; how many there were."""
        done = 0
        if not self._is_there("event WHERE checked = '' AND state = 'posted'"):
            return 0
        while done < events and (some := recompute_pending(self.engine, events - done, self.world.wall_ms()).events):
            done += some
        return done

    def reclaim(self) -> int:
        """Take leases back whose holders were not heard in time; the points of them."""
        overdue = (
            "SELECT count(*), coalesce(sum(s.points), 0) FROM lease l LEFT JOIN lease_slice s"
            " USING (account_id, lease_id) WHERE l.state = 'active' AND l.settle_until_ms <= ?"
        )
        leases, points = self.disk.connection.execute(overdue, (self.world.wall_ms(),)).fetchone()
        while leases:
            with writing(self.engine) as tx:
                leases = len(reclaim_overdue(tx, self.world.wall_ms(), self.randomness))
        return int(points)

    # Its people

    def publish(self, programme: Programme) -> None:
        """Publish a programme to all tills."""
        with writing(self.engine) as tx:
            publish(tx, canonical(programme), self.world.wall_ms(), by="fleet")

    def register(self, programme: Programme, cards: Sequence[str]) -> dict[str, int]:
        """Make a member of each card; account by card token."""
        with writing(self.engine) as tx:
            import_members(
                tx,
                [{"card": number} for number in cards],
                rules=programme.cards,
                keys=one_card_key(self.card_key),
                randomness=self.randomness,
                now_ms=self.world.wall_ms(),
            )
        return dict(self.disk.connection.execute("SELECT card_token, account_id FROM card"))

    def enrol(self, store_id: str, label: str, till_id: str = "") -> TillIdentity:
        """A person opens a place and types its code at the machine: a new till, or a new start of one."""
        with writing(self.engine) as tx:
            slot = slots.open_slot(
                tx, self.randomness, store_id=store_id, label=label, now_ms=self.world.wall_ms(), till_id=till_id
            )
        seed, exchange_private = self.randomness.bytes(32), self.randomness.bytes(32)
        install_id = self.randomness.bytes(16).hex()
        request = make_claim(slot.code, Signer(seed), exchange_private, install_id=install_id, version="fleet", at_ms=0)
        answer = self._session.answer(self.world.wall_ms(), ENROL_PATH, request, self._store)
        granted = read_identity(answer.body, request, exchange_private, fingerprint(self.signer.public))
        if self.keeps_backups:
            # One from before this enrolment would not know the till: whoever enrols makes a new one.
            self.backups = [image_of(self.disk.connection)]
        return TillIdentity(seed=seed.hex(), install_id=install_id, granted=granted)

    def give_forgotten(self) -> list[str]:
        """Somebody goes through the cards that only tills still know, calls each member, and gives it to them.

        Returns:
            What became of each.
        """
        found = "SELECT till_id, epoch, seq, n FROM flag WHERE cause = ? AND state = 'open' ORDER BY 1, 2, 3, 4"
        done = []
        for till_id, epoch, seq, n in self.disk.connection.execute(found, (FORGOTTEN,)).fetchall():
            key = FlagKey(till_id=till_id, epoch=epoch, seq=seq, cause=FORGOTTEN, n=n)
            try:
                with writing(self.engine) as tx:
                    give_forgotten(tx, key, by="fleet", now_ms=self.world.wall_ms())
                done.append("given")
            except (CardTaken, AccountClosed) as refused:
                with writing(self.engine) as tx:
                    settle_flag(tx, key, note=refused.code, by="fleet", now_ms=self.world.wall_ms())
                done.append(refused.code)
        return done

    def put_back(self, backup: sqlite3.Connection) -> None:
        """Restore the database and note it, as a person does before the service starts again."""
        self.disk.put_back(backup)
        with writing(self.engine) as tx:
            note_restore(tx, self.world.wall_ms())
        self._start()

    def _is_there(self, what: str) -> bool:
        """A look before the work, as most of the time there is none."""
        return self.disk.connection.execute(f"SELECT 1 FROM {what} LIMIT 1").fetchone() is not None

    def has_changes(self) -> bool:
        """Whether accounts or certificates wait for a number in their lane, events for one that has not come, claims
        for a decision, or points for the member of their card."""
        return any(self._is_there(what) for what in ("changed", UNNUMBERED, "waiting", CLAIMED, STRAYED))

    def chunks(self) -> int:
        """How many chunks of members there are."""
        return int(self.disk.connection.execute("SELECT count(*) FROM chunk").fetchone()[0])

    def lanes(self) -> dict[str, int]:
        """The newest number of each lane."""
        return dict(self.disk.connection.execute("SELECT lane, no FROM lane"))

    def stopped(self) -> set[str]:
        """Tills whose present stream waits for a person."""
        found = self.disk.connection.execute(
            "SELECT s.till_id FROM stream s JOIN till t USING (till_id, epoch) WHERE s.state = 'suspended'"
        )
        return {till_id for (till_id,) in found}
