"""Head office and tills in one process: the services' own classes, their own databases, their own bytes, no socket.

Only line and clock are replaced: a till's uplink hands its request to the centre's session and gets bytes back.
"""

import os
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine

from central.coalition import registry, slots
from central.coalition.programmes import publish
from central.members.people import People
from central.migrations import upgrade
from central.ports import SystemRandomness, open_engine, read_key, writing
from central.recomputing.recompute import recompute_pending
from central.tills.store import SqlCentreStore
from edge.cache.cache import Cache
from edge.identity import read_identity_file
from edge.journal.journal import Journal
from edge.key_files import KeyFiles
from edge.line.enrol import CACHE_FILE, JOURNAL_FILE, enrol
from edge.line.uplink import Uplink
from edge.ports import Instant, Settings
from edge.sale.till import Till
from loyalty.programme.programme import Programme, canonical
from loyalty.trouble import Fault
from sync.centre_session import CentreSession
from sync.enrolment import fingerprint
from sync.keys import Signer
from sync.wire import Answer

NOWHERE = "http://in-process.invalid"


class NeverLevel(Fault):
    code = "in_process.never_level"


class StoryClock:
    """Both services' clock: it stands still until the story or a wait moves it, and never goes back."""

    def __init__(self, wall_ms: int) -> None:
        self._wall_ms = wall_ms
        self._mono_ms = 0
        self._boot = os.urandom(8).hex()

    def now(self) -> Instant:
        """As a till asks it."""
        return Instant(mono_ms=self._mono_ms, wall_ms=self._wall_ms, boot=self._boot)

    def wall_ms(self) -> int:
        """As head office asks it."""
        return self._wall_ms

    def mono_ms(self) -> int:
        """As head office asks it."""
        return self._mono_ms

    def move(self, by_ms: int) -> None:
        """Time goes by."""
        self._wall_ms += by_ms
        self._mono_ms += by_ms

    def move_to(self, wall_ms: int) -> None:
        """Time goes by until then; an instant that has passed changes nothing."""
        self.move(max(0, wall_ms - self._wall_ms))


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One till: what it sells with and what it sends with."""

    till: Till
    uplink: Uplink
    journal: Journal
    cache: Cache


class InProcess:
    """A whole coalition in a folder; opened again, it goes on where it stood."""

    def __init__(self, folder: Path, clock: StoryClock, coalition: dict[str, Any], database_url: str = "") -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self.clock = clock
        self.randomness = SystemRandomness()
        self.engine: Engine = open_engine(database_url or f"sqlite:///{folder / 'central.db'}")
        upgrade(self.engine)
        self.signer = Signer(read_key(folder / "centre-signing.key", self.randomness))
        self.card_key = read_key(folder / "programme-card.key", self.randomness)
        with writing(self.engine) as tx:
            registry.load_coalition(tx, coalition, clock.wall_ms())
        self.people = People(read_key(folder / "people.key", self.randomness), folder / "people.key")
        self._store = SqlCentreStore(
            self.engine, self.randomness, card_key=self.card_key, card_key_file=folder / "programme-card.key",
            people=self.people,
        )  # fmt: skip
        self._session = CentreSession(self.signer, os.urandom)
        self.nodes: list[Node] = []

    def publish(self, programme: Programme) -> None:
        """Publish a programme to all tills."""
        with writing(self.engine) as tx:
            publish(tx, canonical(programme), self.clock.wall_ms(), by="replay")

    def add_till(self, store_id: str, label: str) -> Node:
        """A till of a store, enrolled the first time, opened again afterwards."""
        folder = self.folder / label
        settings = Settings(data_dir=str(folder), centre_url=NOWHERE, label=label)
        identity = read_identity_file(folder)
        if identity is None:
            with writing(self.engine) as tx:
                slot = slots.open_slot(
                    tx, self.randomness, store_id=store_id, label=label, now_ms=self.clock.wall_ms()
                )
            identity = enrol(
                settings,
                self.clock,
                code=slot.code,
                fingerprint=fingerprint(self.signer.public),
                exchange=self.exchange,
                random_bytes=os.urandom,
            )
        journal = Journal.open(folder / JOURNAL_FILE, identity, self.clock)
        cache = Cache.open(folder / CACHE_FILE, identity, self.clock, leaving=journal.keep_earlier)
        tills: list[Till] = []
        uplink = Uplink(
            journal=journal,
            cache=cache,
            identity=identity,
            settings=settings,
            clock=self.clock,
            exchange=lambda url, body, _deadline_ms: self.exchange(url, body),
            own_keys=KeyFiles(folder, os.urandom, lambda changed: [till.use_identity(changed) for till in tills]),
            random_bits=lambda bits: int.from_bytes(os.urandom((bits + 7) // 8)) >> (-bits % 8),
        )
        till = Till(
            journal=journal,
            cache=cache,
            clock=self.clock,
            settings=settings,
            identity=identity,
            is_offline=uplink.is_offline,
            ask_points=uplink.set_aside,
        )
        tills.append(till)
        node = Node(till=till, uplink=uplink, journal=journal, cache=cache)
        self.nodes.append(node)
        return node

    def exchange(self, url: str, body: bytes) -> Answer:
        """The line: a request's bytes to head office, its answer's bytes back."""
        return self._session.answer(self.clock.wall_ms(), url.removeprefix(NOWHERE), body, self._store)

    def sync(self, node: Node) -> None:
        """Let a till speak until everything is sent and it has nothing to ask. Raises: NeverLevel."""
        for _ in range(100_000):
            wait_ms = node.uplink.run_once()
            if wait_ms and node.journal.backlog() == 0:
                return
            self.clock.move(wait_ms)
        raise NeverLevel("A till and head office did not come level; see the till's status.")

    def recompute(self) -> None:
        """Head office computes everything again that it has not yet."""
        while recompute_pending(self.engine, 500, self.clock.wall_ms()).events:
            pass

    def close(self) -> None:
        """Close every database."""
        for node in self.nodes:
            node.journal.close()
            node.cache.close()
        self.engine.dispose()
