"""A till and head office through the uplink: nothing is lost, nothing counted twice, points follow."""

import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.cache.cache import Cache
from edge.journal.journal import Journal
from edge.journal.troubles import JournalFull
from edge.line.uplink import JournalStore, Uplink
from edge.ports import Settings
from edge.sale.till import Till
from loyalty.facts.lease_events import LeaseMoved
from loyalty.members import PublishedMember
from loyalty.programme.programme import canonical, read_programme
from sync.blocks import BlockMark
from sync.centre_session import CentreSession
from sync.keys import Signer
from sync.lanes import LaneState
from sync.ports import TillRecord
from sync.schedule import Intervals
from sync.transport import LineDown, LineUntrusted
from sync.wire import Answer, Grant, Page, PageAsk
from tests.edge.counter import (
    ANA,
    NOON_MS,
    PROGRAMME,
    TILL_ID,
    FakeClock,
    commit,
    identity,
    line,
    published,
    sale,
)
from tests.sync.memory import CENTRE, MemoryCentre


class Centre(MemoryCentre):
    """Head office with a programme and members, which a test changes by hand."""

    def __init__(self) -> None:
        super().__init__((TILL_ID, Signer(bytes.fromhex("2d" * 32))))
        known = self.tills[TILL_ID]
        self.tills[TILL_ID] = msgspec.structs.replace(known, genesis=bytes.fromhex("0f" * 32), install_id="install")
        self.rows: dict[str, list[bytes]] = {
            "hotlist": [], "programme": [canonical(read_programme(PROGRAMME))], "members": [],
        }  # fmt: skip

    def page_for(self, till: TillRecord, ask: PageAsk, now_ms: int) -> Page:
        rows = self.rows[ask.lane]
        fresh = rows[int(ask.cursor or "0") :]
        return Page(
            lane=ask.lane,
            from_cursor=ask.cursor,
            to_cursor=str(len(rows)) if rows else "",
            version=len(rows),
            more=False,
            rows=tuple(msgspec.Raw(row) for row in fresh),
        )

    def publish(self, member: PublishedMember) -> None:
        self.rows["members"].append(msgspec.json.encode(member))


class Line:
    """The line between them; cut it by setting `down`."""

    def __init__(self, centre: Centre, clock: FakeClock) -> None:
        self.session = CentreSession(CENTRE, lambda count: b"r" * count)
        self.centre, self.clock = centre, clock
        self.down = False
        self.lose_answer = False
        self.carried: list[str] = []

    def exchange(self, url: str, body: bytes, deadline_ms: int) -> Answer:
        if self.down:
            raise LineDown("no line")
        path = url.removeprefix("http://centre.test")
        answer = self.session.answer(self.clock.wall_ms, path, body, self.centre)
        self.carried.append(path.rsplit("/", 1)[-1])
        if self.lose_answer:
            self.lose_answer = False
            raise LineDown("the answer was lost")
        return answer


class Shop:
    """A till with its uplink, and head office."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.centre = Centre()
        self.line = Line(self.centre, self.clock)
        self.open()

    def open(self) -> None:
        self.journal = Journal.open(self.folder / "journal.db", identity(), self.clock)
        self.cache = Cache.open(self.folder / "cache.db", identity(), self.clock)
        settings = Settings(data_dir=str(self.folder), centre_url="http://centre.test/")
        self.uplink = Uplink(
            journal=self.journal,
            cache=self.cache,
            identity=identity(),
            settings=settings,
            clock=self.clock,
            random_bits=lambda bits: 2**bits - 1,
            exchange=self.line.exchange,
            disk_free_mb=lambda: 812,
        )
        self.till = Till(
            journal=self.journal,
            cache=self.cache,
            clock=self.clock,
            settings=settings,
            identity=identity(),
            is_offline=self.uplink.is_offline,
            on_written=self.uplink.wake,
        )

    def crash(self) -> None:
        self.journal.close()
        self.cache.close()
        self.open()

    def settle(self, ms: int = 0) -> None:
        """Let so much time pass, and the till speak until it has nothing more to say."""
        self.clock.pass_ms(ms)
        for _ in range(50):
            if self.uplink.run_once():
                return
        raise AssertionError("the till never stops speaking")

    def balance(self) -> tuple[int, int]:
        view = self.till.balance(ANA).view
        return view.balance_points, view.spendable_points


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def a_grant(grant_no: int, points: int, **more: Any) -> Grant:
    return Grant(
        lease_id=f"float {grant_no}", grant_no=grant_no, till_id=TILL_ID, epoch=1, key_no=0, account_id=None,
        points=points, spend_for_s=86_400, settle_until_ms=NOON_MS + 7 * 86_400_000, granted_at_ms=NOON_MS, **more,
    )  # fmt: skip


def test_a_till_learns_programme_members_and_float_and_sends_what_it_sold(shop: Shop) -> None:
    shop.centre.publish(published("ana"))
    shop.centre.grants.append(a_grant(1, 700))
    assert shop.till.is_offline()
    shop.settle()
    assert not shop.till.is_offline()
    assert shop.till.quote(sale(line(1, "bread", 10_000))).quote.redemption.most_points == 500
    shop.till.commit(commit("r1"))
    shop.settle()
    assert shop.journal.backlog() == 0
    assert [entry.payload for entry in shop.journal.entries_after(0)] == shop.centre.posted[TILL_ID]
    shop.crash()
    assert shop.journal.float_left(shop.clock.now()).points == 700


def test_a_till_says_the_highest_block_it_was_told_of_to_a_centre_that_went_back(shop: Shop) -> None:
    shop.centre.block = seen = BlockMark(block_no=9, hash="99" * 32)
    shop.settle()
    assert shop.centre.told_block == BlockMark()
    shop.centre.block = BlockMark(block_no=4, hash="44" * 32)
    shop.till.commit(commit("r1"))
    shop.settle()
    shop.crash()
    shop.settle()
    assert shop.centre.told_block == seen
    shop.centre.generation += 1
    shop.settle(3_600_000)
    shop.settle(3_600_000)
    assert shop.centre.told_block == shop.centre.block


def test_a_hello_says_how_long_the_oldest_event_waits_and_how_much_room_is_left(shop: Shop) -> None:
    shop.settle()
    assert (shop.centre.greeted.oldest_unsent_s, shop.centre.greeted.disk_free_mb) == (0, 812)
    shop.line.down = True
    shop.till.commit(commit("r1", sale(card=None)))
    shop.clock.pass_ms(7_200_000)
    shop.till.commit(commit("r2", sale(card=None)))
    shop.line.down = False
    shop.settle(600_000)
    assert shop.centre.greeted.oldest_unsent_s == 7_800
    shop.settle(3_600_000)
    assert shop.centre.greeted.oldest_unsent_s == 0


def test_a_lost_answer_and_a_crash_post_nothing_twice(shop: Shop) -> None:
    shop.settle()
    shop.till.commit(commit("r1", sale(card=None)))
    shop.line.lose_answer = True
    shop.settle()
    assert (shop.journal.backlog(), len(shop.centre.posted[TILL_ID])) == (1, 1)
    shop.crash()
    shop.till.commit(commit("r2", sale(card=None)))
    shop.settle()
    assert (shop.journal.backlog(), len(shop.centre.posted[TILL_ID])) == (0, 2)


def test_a_certificate_that_is_not_believed_is_known_until_the_line_is_back(shop: Shop) -> None:
    shop.settle()
    carry, shop.uplink._exchange = shop.uplink._exchange, refuse_certificate
    shop.till.commit(commit("r1"))
    assert shop.uplink.run_once() == 0
    assert (shop.uplink.is_untrusted(), shop.uplink.is_offline()) == (True, True)
    assert shop.uplink.status().session.line.last_error == "line.untrusted"
    shop.uplink._exchange = carry
    shop.settle(600_000)
    assert (shop.uplink.is_untrusted(), shop.uplink.is_offline()) == (False, False)


def refuse_certificate(url: str, body: bytes, deadline_ms: int) -> Answer:
    raise LineUntrusted("not believed")


def test_sales_go_on_while_the_line_is_down_and_say_so(shop: Shop) -> None:
    shop.settle()
    shop.line.down = True
    shop.settle(20_000)
    assert shop.till.is_offline()
    assert shop.uplink.status().session.line.last_error == "line.down"
    assert shop.till.commit(commit("r1", sale(card=None))).detail.offline
    shop.line.down = False
    shop.settle(300_000)
    assert not shop.till.is_offline()
    assert len(shop.centre.posted[TILL_ID]) == 1


def test_what_this_till_did_is_counted_until_a_row_holds_it_and_never_twice(shop: Shop) -> None:
    shop.centre.publish(published("ana", points=1_000, version=1, own_seq=0))
    shop.centre.grants.append(a_grant(1, 700))
    shop.settle()
    assert shop.balance() == (1_000, 1_000)
    shop.till.commit(commit("r1", sale(line(1, "bread", 10_000), points=300)))
    assert shop.balance() == (797, 700)
    shop.settle()  # acknowledged: that alone must not make the till forget
    assert shop.journal.backlog() == 0
    assert shop.balance() == (797, 700)
    shop.centre.publish(published("ana", points=1_000, version=2, own_seq=0))
    shop.settle(60_000)
    assert shop.balance() == (797, 700)
    shop.centre.publish(published("ana", points=797, version=3, own_seq=1))
    shop.settle(60_000)
    assert shop.balance() == (797, 797)
    assert shop.journal.counts()["own_use"] == 0


def test_a_crash_between_the_row_and_the_forgetting_shows_the_same_balance(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.centre.publish(published("ana"))
    shop.centre.grants.append(a_grant(1, 700))
    shop.settle()
    shop.till.commit(commit("r1", sale(line(1, "bread", 10_000), points=300)))
    shop.centre.publish(published("ana", points=797, version=2, own_seq=1))

    def power_cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shop.journal.own_uses, "forget", power_cut)
    with pytest.raises(KeyboardInterrupt):
        shop.settle(60_000)
    shop.crash()
    assert shop.journal.counts()["own_use"] == 2
    assert shop.balance() == (797, 797)


def test_a_suspension_is_kept_until_a_hello_goes_well(shop: Shop) -> None:
    shop.centre.grants.append(a_grant(1, 700))
    shop.settle()
    shop.centre.suspend(TILL_ID, 1, "sync.fork", b"", NOON_MS)
    shop.till.commit(commit("r1", sale(card=None)))
    shop.settle()
    assert shop.journal.outbox.suspended() == "sync.suspended"
    assert shop.journal.float_left(shop.clock.now()).points == 0
    shop.crash()
    shop.line.down = True
    shop.settle()
    assert shop.journal.outbox.suspended() == "sync.suspended"
    shop.centre.tills[TILL_ID] = msgspec.structs.replace(shop.centre.tills[TILL_ID], state="active")
    shop.line.down = False
    shop.settle(300_000)
    assert shop.journal.outbox.suspended() == ""
    assert (shop.journal.backlog(), shop.journal.float_left(shop.clock.now()).points) == (0, 700)
    rested = [one.event for one in shop.journal.entries_after(0) if isinstance(one.event, LeaseMoved)]
    assert [(one.what, one.reason) for one in rested] == [("suspended", "sync.suspended"), ("resumed", "")]


def test_the_thread_wakes_for_a_sale_and_stops_when_told(shop: Shop) -> None:
    arrived = threading.Event()
    carry = shop.line.exchange

    def watched(url: str, body: bytes, deadline_ms: int) -> Answer:
        answer = carry(url, body, deadline_ms)
        if url.endswith("batches"):
            arrived.set()
        return answer

    shop.uplink._exchange = watched
    shop.uplink.start()
    shop.uplink.start()  # runs already
    shop.till.cache.load_programme(read_programme(PROGRAMME))
    shop.till.commit(commit("r1", sale(card=None)))
    assert arrived.wait(10)
    assert shop.uplink.status().alive
    shop.uplink.stop()
    assert not shop.uplink.status().alive
    assert shop.journal.backlog() == 0


def test_a_full_disk_of_ours_rests_the_thread_and_is_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()

    def full(*_: object) -> int:
        told.set()
        raise JournalFull("no room")

    monkeypatch.setattr(shop.journal.outbox, "next_counter", full)
    shop.uplink.start()
    assert told.wait(10)
    told.clear()
    shop.uplink.wake()
    assert told.wait(10)  # it tries again
    shop.uplink.stop()
    assert shop.uplink.status().last_fault == "no room [journal.disk_full]"


def test_a_till_that_stays_alone_starts_no_thread(shop: Shop) -> None:
    alone = Uplink(
        journal=shop.journal,
        cache=shop.cache,
        identity=identity(),
        settings=Settings(data_dir="-"),
        clock=shop.clock,
        random_bits=lambda bits: 0,
        intervals=Intervals(),
    )
    alone.start()
    assert not alone.status().alive
    assert alone.is_offline()
    alone.stop()


def test_a_page_that_comes_while_a_balance_is_looked_up_does_not_show_it_too_high(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.centre.publish(published("ana"))
    shop.centre.grants.append(a_grant(1, 700))
    shop.settle()
    shop.till.commit(commit("r1", sale(line(1, "bread", 10_000), points=300)))
    row = msgspec.Raw(msgspec.json.encode(published("ana", points=797, version=3, own_seq=1)))
    page = Page(lane="members", from_cursor="1", to_cursor="2", version=2, more=False, rows=(row,))
    store = JournalStore(shop.journal, shop.cache, shop.clock)
    uplink = threading.Thread(target=store.take_page, args=(page, LaneState(cursor="2", version=2)))
    page_kept, forgotten = threading.Event(), threading.Event()
    accounts, forget = shop.journal.own_uses.accounts, shop.journal.own_uses.forget
    look_up = shop.cache.member

    def tell_and_look() -> frozenset[int]:
        page_kept.set()
        return accounts()

    def forget_and_tell(rows: Any) -> None:
        forget(rows)
        forgotten.set()

    def look_up_slowly(card: str) -> PublishedMember | None:
        found = look_up(card)
        uplink.start()
        assert page_kept.wait(10)
        assert not forgotten.wait(0.2)  # the uses belong to the row that was read
        return found

    monkeypatch.setattr(shop.journal.own_uses, "accounts", tell_and_look)
    monkeypatch.setattr(shop.journal.own_uses, "forget", forget_and_tell)
    monkeypatch.setattr(shop.cache, "member", look_up_slowly)
    assert shop.balance() == (797, 700)
    uplink.join()
    assert forgotten.is_set()
    monkeypatch.setattr(shop.cache, "member", look_up)
    assert shop.balance() == (797, 797)


def test_a_page_of_members_who_were_not_here_writes_nothing_to_the_journal(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.centre.publish(published("ana"))
    shop.settle()
    shop.till.commit(commit("r1", sale(line(1, "bread", 10_000))))
    told: list[list[tuple[int, int]]] = []
    monkeypatch.setattr(shop.journal.own_uses, "forget", lambda rows: told.append(list(rows)))
    store = JournalStore(shop.journal, shop.cache, shop.clock)
    for name in ("ben", "ana"):
        row = msgspec.Raw(msgspec.json.encode(published(name, version=3, own_seq=1)))
        page = Page(lane="members", from_cursor="1", to_cursor="2", version=2, more=False, rows=(row,))
        store.take_page(page, LaneState(cursor="2", version=2))
    assert told == [[(1, 1)]]


def test_a_centre_that_lost_everything_stops_the_upload_but_never_the_till(shop: Shop) -> None:
    shop.settle()
    for n in range(3):
        shop.till.commit(commit(f"r{n}", sale(card=None)))
    shop.settle()
    shop.journal.outbox.prune(shop.clock.wall_ms + 1, keep=0)
    shop.line.centre = Centre()
    shop.crash()
    shop.settle(300_000)
    assert shop.journal.outbox.suspended() == "sync.beyond_retention"
    shop.crash()  # the chain is walked from what was acknowledged
    assert shop.till.commit(commit("r3", sale(card=None))).head.seq == 4
