"""A real till and a real centre, one of which forgets: what it had granted comes back, and nothing else does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.cache.cache import Cache
from edge.identity import TillIdentity
from edge.journal.journal import Journal
from edge.journal.suspending import CLOCK_WENT_BACK, notice_clock
from edge.line.uplink import Uplink
from edge.ports import Settings
from edge.sale.till import Till as EdgeTill
from loyalty.facts.lease_events import LeaseMoved
from loyalty.lots import points_in
from sync.wire import Answer
from tests.central.test_leasing import CAPS, available, leased, states, under_rules
from tests.central.test_told_leases import backup, in_order, put_back
from tests.central.tills import ANNA, PROGRAMME, Centre
from tests.edge.counter import FakeClock, commit, line, sale

HOUR = 3_600_000
# So little on a float that the lease is what pays.
RULES = {
    **PROGRAMME,
    "spending": {**PROGRAMME["spending"], "offline": {**CAPS, "sale_points": 50, "lease": {"share_bp": 3000}}},
}


class Shop:
    """One till of the product at the centre of a test; both clocks go together."""

    def __init__(self, centre: Centre, folder: Path) -> None:
        self.centre, self.clock = centre, FakeClock()
        self.clock.wall_ms = centre.now
        enrolled = centre.till()
        self.identity = TillIdentity(seed=enrolled.secret.hex(), install_id=enrolled.install, granted=enrolled.identity)
        self.settings = Settings(data_dir=str(folder), centre_url="http://centre.test")
        self.journal = Journal.open(folder / "journal.db", self.identity, self.clock)
        self.cache = Cache.open(folder / "cache.db", self.identity, self.clock)
        self.start()

    def start(self) -> None:
        """Uplink and till anew, as when the service starts."""
        parts = {"journal": self.journal, "cache": self.cache, "clock": self.clock, "settings": self.settings}
        self.uplink = Uplink(
            **parts, identity=self.identity, random_bits=lambda bits: 2**bits - 1, exchange=self.exchange
        )
        self.till = EdgeTill(**parts, identity=self.identity)

    def exchange(self, url: str, body: bytes, deadline_ms: int) -> Answer:
        path = url.removeprefix("http://centre.test")
        return self.centre.session.answer(self.centre.now, path, body, self.centre.store)

    def settle(self, ms: int = 0) -> None:
        self.clock.pass_ms(ms)
        self.centre.now += ms
        for _ in range(60):
            if self.uplink.run_once():
                return
        raise AssertionError("the till never stops speaking")

    def spend(self, receipt_id: str, amount: int, points: int = 0) -> str:
        ask = sale(line(1, "bread", amount), card=ANNA, points=points)
        paid = self.till.commit(commit(receipt_id, ask)).receipt.redemption
        return paid.authority if paid else ""

    def left(self, member: int) -> int:
        return sum(points_in(one.slices) for one in self.journal.leases_of(member, self.clock.now()))

    def told(self) -> list[str]:
        entries = [entry.event for entry in self.journal.entries_after(0)]
        return [event.what for event in entries if isinstance(event, LeaseMoved)]


@pytest.fixture
def shop(centre: Centre, tmp_path: Path) -> Iterator[Shop]:
    under_rules(centre, RULES)
    made = Shop(centre, tmp_path)
    yield made
    made.journal.close()
    made.cache.close()


def test_a_till_brings_back_what_its_centre_granted_and_lost_and_both_go_on(shop: Shop, centre: Centre) -> None:
    member = centre.member()
    shop.settle()
    before = backup(centre)
    shop.spend("r1", 100_000)
    shop.settle(HOUR)
    shop.settle(HOUR)
    assert (shop.left(member), available(centre, member), leased(centre, member)) == (300, 700, 300)
    assert shop.spend("r2", 1000, 100) == "lease"  # earns 9 for 9.00
    shop.settle()
    assert (shop.left(member), available(centre, member), leased(centre, member)) == (200, 709, 200)
    assert shop.told() == []
    put_back(centre, before)
    shop.settle(HOUR)
    shop.settle(HOUR)
    # The lease, and the float it was granted after the backup or before.
    assert set(shop.told()) == {"accepted"}
    assert (shop.left(member), available(centre, member), leased(centre, member)) == (200, 709, 200)
    assert states(centre) == ["active"]
    assert shop.journal.backlog() == 0
    in_order(centre)
    assert shop.spend("r3", 1000, 150) == "lease"
    shop.settle()
    shop.settle(HOUR)
    assert (shop.left(member), available(centre, member), leased(centre, member)) == (230, 537, 230)
    written = shop.told()
    shop.settle(HOUR)
    assert shop.told() == written
    in_order(centre)


def test_a_centre_that_forgets_twice_is_shown_its_grants_twice_and_counts_them_once(shop: Shop, centre: Centre) -> None:
    member = centre.member()
    shop.settle()
    before = backup(centre)
    shop.spend("r1", 100_000)
    shop.settle(HOUR)
    for _ in range(2):
        put_back(centre, before)
        before = {**before, "setting": backup(centre)["setting"]}
        shop.settle(HOUR)
        shop.settle(HOUR)
        assert (shop.left(member), available(centre, member), leased(centre, member)) == (300, 700, 300)
        in_order(centre)


def test_a_till_whose_clock_went_back_says_so_spends_nothing_and_goes_on_once_online(
    shop: Shop, centre: Centre
) -> None:
    member = centre.member()
    shop.settle()
    shop.spend("r1", 100_000)
    shop.settle()
    assert shop.left(member) == 300
    shop.clock.reboot(wall_ms=-2 * HOUR)
    shop.start()
    assert notice_clock(shop.journal, shop.clock.now())
    assert not notice_clock(shop.journal, shop.clock.now())
    assert shop.journal.outbox.leases_suspended() == CLOCK_WENT_BACK
    assert (shop.left(member), shop.journal.float_left(shop.clock.now()).points) == (0, 0)
    assert shop.journal.to_give_back(shop.clock.now()) == []
    shop.settle()
    assert shop.told() == ["suspended", "resumed"]
    assert shop.journal.outbox.leases_suspended() == ""
    assert centre.figures("leases_suspended") == {"reason": CLOCK_WENT_BACK}
    # Whoever cannot measure the time of a lease gives it back.
    (over,) = shop.journal.to_give_back(shop.clock.now())
    assert points_in(over.slices) == 300
    in_order(centre)
