"""A till and a served head office over a bad line: sales go on, nothing false is believed, everything arrives once."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import func, select
from urllib3.util import parse_url

from central.database import tables as t
from central.ports import Settings, reading
from central.service import CentralService
from central.verify.books import verify_books
from edge.line import http_line
from edge.line.http_line import HttpLine
from loyalty.programme.programme import read_programme
from sync import transport
from sync.keys import one_key
from sync.wire import Answer
from tallypoint.in_process import NOWHERE, InProcess, Node, StoryClock
from tests.central.tills import COALITION, NOW
from tests.edge.counter import PROGRAMME, commit, line, sale
from tests.edge.test_health import wait_for
from tests.faults.lengths import rounds
from tests.faults.proxy import MOODS, Proxy

PATIENT_MS, HASTY_MS = 20_000, 400  # how long a till waits for an answer
WITHOUT_END = ("half open", "drips")  # moods that are ended by the till's patience alone
SALES = 3
# What a till may hear under a mood: a few let everything through.
GETS_THROUGH = {"well", "slow", "replays requests"}


class Shop(InProcess):
    """The coalition in a folder, whose tills reach head office through a proxy only."""

    proxy: Proxy
    http: HttpLine
    deadline_ms = PATIENT_MS

    def exchange(self, url: str, body: bytes) -> Answer:
        return self.http.exchange(self.proxy.url + url.removeprefix(NOWHERE), body, self.deadline_ms)

    def speak(self, node: Node, times: int) -> None:
        """Let a till speak for so many exchanges or waits."""
        for _ in range(times):
            self.clock.move(node.uplink.run_once())

    def settle(self, node: Node) -> None:
        """Let a till speak until it is heard, has its programme, and nothing is left to send."""
        for _ in range(500):
            self.clock.move(node.uplink.run_once())
            if node.cache.programmes() and node.journal.backlog() == 0 and not node.uplink.is_offline():
                return
        raise AssertionError(f"never level: {node.uplink.status()}")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path / "shop", StoryClock(NOW), COALITION)
    made.publish(read_programme(PROGRAMME))
    service = CentralService(
        Settings(data_dir=str(tmp_path / "shop"), listen_port=0, chores=False), clock=made.clock  # type: ignore[arg-type]
    )
    service.start()
    where = parse_url(service.url)
    with Proxy((str(where.host), int(where.port or 0)), slow_s=0.05) as proxy:
        made.proxy, made.http = proxy, HttpLine()
        yield made
    made.close()
    service.stop()


def sell(node: Node, name: str) -> None:
    assert node.cache.programmes(), node.uplink.status()
    node.till.commit(commit(name, sale(line(1, "bread", 1_000), card=None)))


def posted(shop: Shop) -> int:
    """Receipts that head office has."""
    with reading(shop.engine) as connection:
        receipts = select(func.count()).select_from(t.event).where(t.event.c.kind == "receipt.v1")
        return connection.execute(receipts).scalar_one()


@pytest.mark.parametrize("mood", [mood for mood in MOODS if mood != "well"])
def test_under_every_mood_sales_go_on_and_afterwards_everything_is_there_once(mood: str, shop: Shop) -> None:
    node = shop.add_till("S1", "till")
    shop.settle(node)
    sell(node, "before")
    shop.settle(node)
    shop.proxy.mood, shop.deadline_ms = mood, HASTY_MS if mood in WITHOUT_END else PATIENT_MS
    acked = node.journal.outbox.acked()
    for n in range(SALES):
        sell(node, f"r{n}")
        shop.speak(node, 4)
    assert shop.proxy.passed[mood] > 0
    if mood not in GETS_THROUGH:
        # Nothing that came over this line was believed, though head office may have taken it.
        assert node.journal.outbox.acked() == acked
        assert node.uplink.is_offline()
    shop.proxy.mood, shop.deadline_ms = "well", PATIENT_MS
    shop.settle(node)
    assert not node.uplink.is_offline()
    assert (node.journal.backlog(), posted(shop)) == (0, 1 + SALES)
    assert node.journal.outbox.acked() == node.journal.head()
    assert verify_books(shop.engine, one_key(shop.signer.public)).violations == ()


def test_moods_that_change_all_the_time_lose_nothing(shop: Shop) -> None:
    node, dice, names = shop.add_till("S1", "till"), Random("moods"), sorted(MOODS)
    shop.settle(node)
    names = [name for name in names if name not in WITHOUT_END]
    count = rounds(40, 2_000)
    for n in range(count):
        shop.proxy.mood = dice.choice(names)
        sell(node, f"r{n}")
        shop.speak(node, dice.randint(0, 3))
    shop.proxy.mood = "well"
    shop.settle(node)
    assert (node.journal.backlog(), posted(shop)) == (0, count)
    assert verify_books(shop.engine, one_key(shop.signer.public)).violations == ()


def test_calls_that_never_return_are_left_behind_and_what_they_still_bring_counts_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can cut them: their requests reach head office after the ones that were sent in their place."""
    node = shop.add_till("S1", "one")
    shop.settle(node)
    monkeypatch.setattr(transport, "_shut", lambda _sock: None)
    monkeypatch.setattr(http_line, "SPARE_MS", 50)
    real = transport.requests.Session.post
    monkeypatch.setattr(
        transport.requests.Session, "post", lambda self, url, **how: real(self, url, **{**how, "timeout": None})
    )
    shop.proxy.mood, shop.proxy.slow_s, shop.deadline_ms = "slow", 2.0, 100
    sell(node, "r1")
    while shop.http.hung() < 3:
        shop.speak(node, 1)
        sell(node, f"hung-{shop.http.hung()}-{node.journal.head().seq}")
    sold = node.journal.head().seq
    assert node.journal.backlog() > 0
    shop.proxy.mood, shop.deadline_ms = "well", PATIENT_MS
    shop.settle(node)
    acked = node.journal.outbox.acked()
    wait_for(lambda: shop.http.hung() == 0)
    assert node.journal.outbox.acked() == acked
    shop.settle(node)
    with reading(shop.engine) as connection:
        kept = select(func.count()).select_from(t.event).where(t.event.c.till_id == acked.till_id)
        assert connection.execute(kept).scalar() == acked.seq == sold
    assert verify_books(shop.engine, one_key(shop.signer.public)).violations == ()
