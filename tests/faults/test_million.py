"""A new till over 256 kbit/s with a line that breaks: a million members within a quarter of an hour (in the long set;
else twenty thousand, in as much less). Head office and till are real, the line is in virtual time."""

import json
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from central.members.members import block_card
from central.ports import reading, writing
from central.tills.snapshots import SnapshotMaker, chunk_part
from loyalty.programme.programme import read_programme
from sync.snapshots import Manifest
from tallypoint.in_process import Node, StoryClock
from tests.central.tills import COALITION, NOW
from tests.edge.counter import PROGRAMME, commit, line, sale
from tests.faults.crowd import enter_crowd, token_of
from tests.faults.lengths import rounds
from tests.faults.slow_line import SlowCoalition

MOST_S = 15 * 60  # for a million
CUTS = 6
MINUTE = 60_000


def test_a_million_members_come_within_a_quarter_of_an_hour_and_nothing_urgent_waits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count = rounds(20_000, 1_000_000)
    shop = SlowCoalition(tmp_path / "shop", StoryClock(NOW), COALITION)
    shop.publish(read_programme(PROGRAMME))
    enter_crowd(shop, count)
    while shop._store.stamp():
        pass
    if count < 1_000_000:
        shop.maker = SnapshotMaker(shop.engine, shop.clock, rows=1_000)
    began = time.monotonic()
    made = shop.make_chunks()
    made_s = time.monotonic() - began
    figures = {"chunks of all stores": made, "made_s": round(made_s, 1), **begin(shop, count, tmp_path / "loaded")}
    with capsys.disabled():
        print("\n" + json.dumps(figures, indent=1))
    shop.close()


def begin(shop: SlowCoalition, count: int, loaded: Path) -> dict[str, Any]:
    """A till begins, the line breaks now and then, cards are blocked and goods sold meanwhile; what it came to."""
    node = shop.add_till("S1", "till")
    start_ms, start_down, start_at = shop.clock.mono_ms(), shop.down, len(shop.carried)
    dice = Random("cuts")
    shop.cut_after = sorted(start_down + dice.randrange(count * 24) for _ in range(CUTS))
    story = Meanwhile(shop, node)
    own_ms = 0
    while not (story.turn and node.cache.snapshot() is None and node.cache.lane("members").version):
        story.go_on()
        shop.clock.move(min(node.uplink.run_once(), 1_000))
        story.look()
        if not own_ms and node.cache.member(token_of(0)):
            own_ms = shop.clock.mono_ms() - start_ms
    took_s = (shop.clock.mono_ms() - start_ms) / 1000
    marks = manifest_of(shop, node).chunks
    wire, biggest = sum(mark.wire_bytes for mark in marks), max(mark.wire_bytes for mark in marks)
    answers = [size for path, size, _ in shop.carried[start_at:] if path == "chunks"]
    assert node.cache.counts()["member"] == count
    assert not shop.cut_after
    # Every byte of a chunk came through once, before a cut or after it. An answer is signed and framed.
    assert wire < sum(answers) + shop.cut < wire + 1_000 * (len(answers) + CUTS)
    assert max(story.hotlist_ms) < MINUTE
    assert max(story.upload_ms) < MINUTE
    assert wire < 29 * count
    if count == 1_000_000:
        assert took_s < MOST_S
    costs = load(shop, node, loaded)
    assert costs["rows"] == count
    return {
        "members": count, "chunks": len(marks), "biggest": biggest, "wire_bytes": wire, "answers": len(answers),
        "all_down": shop.down - start_down, "before_cuts": shop.cut, "line_s": round(took_s),
        "own_store_s": round(own_ms / 1000), "hotlist_most_s": max(story.hotlist_ms) / 1000,
        "upload_most_s": max(story.upload_ms) / 1000, "load": costs,
    }  # fmt: skip


class Meanwhile:
    """Cards are blocked and goods are sold every so many turns: how long each takes to arrive, in virtual time."""

    def __init__(self, shop: SlowCoalition, node: Node) -> None:
        self._shop, self._node = shop, node
        self._blocked: dict[str, int] = {}
        self._sold: dict[int, int] = {}
        self.turn = 0
        self.hotlist_ms: list[int] = []
        self.upload_ms: list[int] = []

    def go_on(self) -> None:
        self.turn += 1
        if self.turn % 8:
            return
        token, now = f"{self.turn:032x}", self._shop.clock.mono_ms()
        with writing(self._shop.engine) as tx:
            block_card(tx, token, "stolen", self._shop.clock.wall_ms())
        self._blocked[token] = now
        self._node.till.commit(commit(f"r{self.turn}", sale(line(1, "bread", 100), card=None)))
        self._sold[self._node.journal.head().seq] = now

    def look(self) -> None:
        now = self._shop.clock.mono_ms()
        for token in [one for one in self._blocked if self._node.cache.blocked(one)]:
            self.hotlist_ms.append(now - self._blocked.pop(token))
        for seq in [one for one in self._sold if one <= self._node.journal.outbox.acked().seq]:
            self.upload_ms.append(now - self._sold.pop(seq))


def manifest_of(shop: SlowCoalition, node: Node) -> Manifest:
    record = shop._store.till(node.journal.head().till_id)
    assert record
    return shop._store.snapshot_for(record, shop.clock.wall_ms())


def load(shop: SlowCoalition, node: Node, folder: Path) -> dict[str, Any]:
    """What loading costs the machine, in a process that does nothing else."""
    folder.mkdir()
    manifest = manifest_of(shop, node)
    (folder / "manifest").write_bytes(msgspec.json.encode(manifest))
    with reading(shop.engine) as connection:
        for mark in manifest.chunks:
            (folder / mark.sha256).write_bytes(chunk_part(connection, mark.sha256, 0, mark.wire_bytes) or b"")
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.loading", str(folder)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)
