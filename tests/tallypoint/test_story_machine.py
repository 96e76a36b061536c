"""Sales, lost answers, crashes, old backups, clones, upgrades and clock steps in any order: every answered sale ends up
in the books once, or where a person can see it, and the books add up."""

import os
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from sqlalchemy import select

from central.backups.restoring import note_restore
from central.coalition import slots
from central.coalition.programmes import current_programme
from central.database import tables as t
from central.intake.quarantine import opened_upload
from central.members.members import import_members
from central.ports import reading, writing
from central.verify.books import verify_books
from edge.identity import read_identity_file
from edge.line.enrol import CACHE_FILE, enrol
from edge.line.sending_left import SendLeft
from edge.ports import Settings
from edge.sale.asks import CommitAsk, SaleAsk
from loyalty.baskets import Basket, Line, Tender
from loyalty.cards.card_keys import one_card_key
from loyalty.programme.programme import programme_from
from loyalty.trouble import Trouble
from sync.centre_session import CentreSession
from sync.enrolment import fingerprint
from sync.versions import KEPT
from sync.wire import BATCH_PATH, PROTO, Answer
from tallypoint.fleet.office import reading_from
from tallypoint.in_process import NOWHERE, InProcess, Node, StoryClock
from tests.central.tills import ANNA, COALITION, NOW, PROGRAMME, TODAY

HOUR = 3_600_000
LANES = ("one", "two")
TURNS = 80


class Clock(StoryClock):
    """A clock whose wall part somebody sets."""

    def step(self, by_ms: int) -> None:
        self._wall_ms += by_ms


class Coalition(RuleBasedStateMachine):
    """Two tills of a store and head office, in a folder.

    `answered` are receipts that a POS was told are done; `may_be_lost` those of machines that were put back or thrown
    away before they had sent them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.clock = Clock(NOW)
        self.nodes: dict[str, Node] = {}
        self.answered: dict[str, tuple[str, int]] = {}
        self.may_be_lost: set[str] = set()
        self.at_snapshot: dict[str, set[str]] = {}
        self.lose_next = False
        self.last_batch = b""
        self.numbers = 0
        self.newest = PROTO

    @initialize()
    def open(self) -> None:
        self.world = InProcess(self.root / "world", self.clock, COALITION)
        self.world.publish(programme_from(PROGRAMME))
        with writing(self.world.engine) as tx:
            programme = current_programme(tx)
            assert programme
            import_members(
                tx, [{"card": ANNA}], rules=programme.cards, keys=one_card_key(self.world.card_key),
                randomness=self.world.randomness, now_ms=NOW,
            )  # fmt: skip
        for lane in LANES:
            self.begin(lane)
            self.speak(self.nodes[lane])
        self.back_up()

    # What happens

    @rule(lane=st.sampled_from(LANES), euros=st.integers(1, 50))
    def sell(self, lane: str, euros: int) -> None:
        self.ring_up(self.nodes[lane], lane, euros)

    @rule(lane=st.sampled_from(LANES))
    def retry_sale(self, lane: str) -> None:
        own = [name for name, (at, _) in self.answered.items() if at == lane and name not in self.may_be_lost]
        if own:
            self.commit(self.nodes[lane], own[-1], self.answered[own[-1]][1])

    @rule(lane=st.sampled_from(LANES))
    def sync(self, lane: str) -> None:
        self.speak(self.nodes[lane])

    @rule(lane=st.sampled_from(LANES))
    def drop_ack(self, lane: str) -> None:
        self.lose_next = True
        self.speak(self.nodes[lane])
        self.lose_next = False

    @rule()
    def duplicate(self) -> None:
        if self.last_batch:
            self.world.exchange(NOWHERE + BATCH_PATH, self.last_batch)

    @rule(lane=st.sampled_from(LANES))
    def crash(self, lane: str) -> None:
        self.shut(lane)
        self.begin(lane)

    @rule(lane=st.sampled_from(LANES))
    def snapshot(self, lane: str) -> None:
        self.shut(lane)
        shutil.rmtree(self.root / f"old-{lane}", ignore_errors=True)
        shutil.copytree(self.world.folder / lane, self.root / f"old-{lane}")
        self.at_snapshot[lane] = set(self.answered)
        self.begin(lane)

    @rule(lane=st.sampled_from(LANES))
    def restore_old(self, lane: str) -> None:
        if lane not in self.at_snapshot:
            return
        gone = {name for name, (at, _) in self.answered.items() if at == lane} - self.at_snapshot[lane]
        self.may_be_lost |= gone
        self.shut(lane)
        shutil.rmtree(self.world.folder / lane)
        shutil.copytree(self.root / f"old-{lane}", self.world.folder / lane)
        self.begin(lane)

    @rule(lane=st.sampled_from(LANES), euros=st.integers(1, 50))
    def clone(self, lane: str, euros: int) -> None:
        self.shut(lane)
        twin = self.world.folder / f"{lane}-twin"
        shutil.copytree(self.world.folder / lane, twin)
        self.begin(lane)
        node = self.world.add_till("S1", f"{lane}-twin")
        self.may_be_lost.add(self.ring_up(node, f"{lane}-twin", euros))
        node.uplink._exchange = self.line  # type: ignore[assignment]
        self.speak(node)
        node.journal.close()
        node.cache.close()
        shutil.rmtree(twin)

    @rule()
    def central_restore(self) -> None:
        self.world.engine.dispose()
        for left in self.world.folder.glob("central.db*"):
            left.unlink()
        shutil.copy(self.root / "backup.db", self.world.folder / "central.db")
        with writing(self.world.engine) as tx:
            note_restore(tx, self.clock.wall_ms())

    @rule(hours=st.sampled_from([0, -2, 24]))
    def upgrade(self, hours: int) -> None:
        """Head office goes on as its next version, while tills of the old one speak on; its clock may be set with it.

        Two versions on it still answers them in full; then people update the tills, which is another story.
        """
        self.newest = min(self.newest + 1, PROTO + KEPT)
        self.clock.step(hours * HOUR)
        self.world._session = CentreSession(self.world.signer, os.urandom, reading_from(self.newest))

    @rule(lane=st.sampled_from(LANES), hours=st.sampled_from([0, -24, 2]))
    def upgrade_till(self, lane: str, hours: int) -> None:
        """A till stops, and starts as a service that keeps another kind of cache; its clock may be set meanwhile. Where
        head office does not answer it is put back as it was."""
        self.shut(lane)
        self.clock.step(hours * HOUR)
        cache, kept = self.world.folder / lane / CACHE_FILE, self.root / "kept-cache.db"
        cache.rename(kept)
        self.begin(lane)
        for _ in range(TURNS):
            if self.nodes[lane].cache.programmes():
                return
            self.clock.move(min(self.nodes[lane].uplink.run_once(), 10 * 60_000))
        self.shut(lane)
        kept.rename(cache)
        self.begin(lane)

    @rule(hours=st.sampled_from([-24 * 365, -2, 1, 24 * 365]))
    def clock_step(self, hours: int) -> None:
        self.clock.step(hours * HOUR)

    # How it ends

    def teardown(self) -> None:
        try:
            self.heal()
            self.judge()
        finally:
            for lane in list(self.nodes):
                self.shut(lane)
            self.world.engine.dispose()
            shutil.rmtree(self.root)

    def heal(self) -> None:
        """Everything is plugged in again; whoever was stopped enrols anew, as the screen says."""
        for lane in LANES:
            for _ in range(4):
                self.shut(lane)
                self.begin(lane)
                self.speak(self.nodes[lane])
                if not self.nodes[lane].uplink.status().session.suspended:
                    break
                self.enrol_again(lane)
            status = self.nodes[lane].uplink.status().session
            assert (status.suspended, self.nodes[lane].journal.backlog()) == ("", 0)
            own = read_identity_file(self.world.folder / lane)
            assert own
            node = self.nodes[lane]
            left = SendLeft(
                journal=node.journal, identity=own, folder=self.world.folder / lane, clock=self.clock, url=NOWHERE,
                exchange=self.line, is_offline=lambda: False,
            )  # fmt: skip
            while left.send():
                pass

    def judge(self) -> None:
        posted, kept = self.posted(), self.kept_apart()
        missing = self.answered.keys() - posted.keys() - kept - self.may_be_lost
        assert missing == set(), missing
        assert posted.keys() <= self.answered.keys()
        for name, times in posted.items():
            assert times == 1, (name, times)
        points = sum(self.answered[name][1] for name in posted)
        with reading(self.world.engine) as tx:
            held = sum(row.points for row in tx.execute(select(t.lot.c.points)))
        assert held == points
        assert verify_books(self.world.engine).violations == ()

    def posted(self) -> dict[str, int]:
        here = t.event.c.kind == "receipt.v1", t.event.c.state == "posted"
        counts: dict[str, int] = {}
        with reading(self.world.engine) as tx:
            for row in tx.execute(select(t.event.c.receipt_id).where(*here)):
                counts[row.receipt_id] = counts.get(row.receipt_id, 0) + 1
        return counts

    def kept_apart(self) -> set[str]:
        """Receipts that wait in quarantine, where a person sees them."""
        found: set[str] = set()
        with reading(self.world.engine) as tx:
            struck = select(t.event.c.receipt_id).where(t.event.c.state == "quarantined")
            found |= set(tx.execute(struck).scalars())
            for row in tx.execute(select(t.quarantine)):
                opened = opened_upload(tx, row)
                text = b"\n".join(opened.payloads) if opened else b""
                found |= {name for name in self.answered if f'"{name}"'.encode() in text}
        return found

    # Tools

    def begin(self, lane: str) -> None:
        node = self.world.add_till("S1", lane)
        node.uplink._exchange = self.line  # type: ignore[assignment]
        self.nodes[lane] = node

    def shut(self, lane: str) -> None:
        node = self.nodes.pop(lane)
        node.journal.close()
        node.cache.close()

    def line(self, url: str, body: bytes, _deadline_ms: int = 0) -> Answer:
        said = self.world.exchange(url, body)
        if url.endswith(BATCH_PATH):
            self.last_batch = body
            if self.lose_next:
                self.lose_next = False
                return Answer(status=502, body=b"")
        return said

    def speak(self, node: Node) -> None:
        for _ in range(TURNS):
            wait_ms = node.uplink.run_once()
            if node.uplink.status().session.suspended:
                return
            if wait_ms and not node.journal.backlog() and node.uplink.status().session.line.last_contact_ms:
                return
            self.clock.move(min(wait_ms, 10 * 60_000))

    def enrol_again(self, lane: str) -> None:
        own = read_identity_file(self.world.folder / lane)
        assert own
        self.shut(lane)
        with writing(self.world.engine) as tx:
            slot = slots.open_slot(
                tx, self.world.randomness, store_id="S1", label=lane, now_ms=self.clock.wall_ms(), till_id=own.till_id
            )
        enrol(
            Settings(data_dir=str(self.world.folder / lane), centre_url=NOWHERE), self.clock, code=slot.code,
            fingerprint=fingerprint(self.world.signer.public), exchange=self.world.exchange,
            random_bytes=self.world.randomness.bytes, again=True,
        )  # fmt: skip
        self.begin(lane)
        self.back_up()  # else a later restore would not know this enrolment, which is another story

    def back_up(self) -> None:
        with (
            sqlite3.connect(self.world.folder / "central.db") as source,
            sqlite3.connect(self.root / "backup.db") as target,
        ):
            source.backup(target)

    def ring_up(self, node: Node, lane: str, euros: int) -> str:
        self.numbers += 1
        name = f"R{self.numbers}-{lane}"
        self.commit(node, name, euros)
        self.answered[name] = (lane, euros)
        return name

    def commit(self, node: Node, name: str, euros: int) -> Any:
        line = Line(line=1, sku="bread", amount_minor=euros * 100)
        tender = Tender(kind="money", amount_minor=euros * 100)
        basket = Basket(receipt_id=name, currency="EUR", lines=(line,), tenders=(tender,))
        sale = SaleAsk(basket=basket, card=ANNA, sold_at_ms=NOW, offset_min=0, business_date=TODAY)
        try:
            return node.till.commit(CommitAsk(sale=sale, receipt_id=name))
        except Trouble as trouble:
            raise AssertionError(f"{name}: {trouble}") from trouble


TestStory = Coalition.TestCase
TestStory.settings = settings(
    max_examples=6, stateful_step_count=14, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
