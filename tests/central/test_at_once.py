"""What happens at the same moment, on the engine where several may write: each test holds a lock until all wait."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial

import msgspec
import pytest
from sqlalchemy import func, select, text, update

from central import ports
from central.coalition.periods import hold_open_period
from central.database.tables import (
    account,
    block,
    event,
    lease,
    lease_slice,
    lot,
    period,
    posting,
    reversed_,
    setting,
    stream,
    till_grant,
)
from central.leases.leasing import reclaim_overdue
from central.ports import SystemClock, reading, replayable, writing
from central.posting.late import post_overdue
from central.settlement.cash import BadCash, cash_of
from central.settlement.closing import close_period
from central.streams.own_events import append_own, centre_stream_id
from central.streams.sealing import Sealer
from central.verify.books import verify_books
from loyalty.facts.events import PeriodTurned
from loyalty.facts.receipts import Receipt
from loyalty.lots import EventRef
from sync.blocks import Block
from sync.chain import ZERO_HASH
from sync.wire import Ack, Hello, Lanes
from tests.central.test_cash import billed, due, entered, enters
from tests.central.test_leasing import LEASING, under_rules
from tests.central.tills import DAY, Centre, Till, told, under

pytestmark = pytest.mark.postgresql
MARCH = date(2026, 3, 31)


@pytest.fixture
def centre(lent_postgres: str) -> Iterator[Centre]:
    made = Centre(lent_postgres)
    yield made
    made.engine.dispose()


class AtOnce:
    """Runs calls on threads of their own and keeps what they return."""

    def __init__(self, centre: Centre, *calls: Callable[[], object]) -> None:
        self._centre = centre
        self.results: list[object] = []
        self._threads = [threading.Thread(target=lambda call=call: self.results.append(call())) for call in calls]

    def wait_for_locks(self) -> None:
        """Start one after the other, each once those before it wait for a lock that somebody holds."""
        for started, thread in enumerate(self._threads, 1):
            thread.start()
            deadline = time.monotonic() + 20
            while self._waiting() < started:
                assert time.monotonic() < deadline, f"call {started} does not wait"
                time.sleep(0.01)

    def _waiting(self) -> int:
        locked = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                      " AND wait_event_type = 'Lock'")  # fmt: skip
        with reading(self._centre.engine) as tx:
            return int(tx.execute(locked).scalar_one())

    def join(self) -> None:
        for thread in self._threads:
            thread.join(20)


def returns_at_two_tills(centre: Centre, receipt: Receipt, of: EventRef) -> list[Till]:
    tills = [centre.till("S2"), centre.till("S3")]
    for n, till in enumerate(tills):
        till.take_back(f"B{n}", of, receipt, 1000)
    return tills


def test_goods_of_a_member_that_come_back_at_two_tills_at_once_are_taken_once(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    receipt = till.receipt("R1", 10_000, told(anna))
    one, other = returns_at_two_tills(centre, receipt, till.append(receipt))
    till.upload()
    at_once = AtOnce(centre, one.upload, other.upload)
    with writing(centre.engine) as tx:
        tx.execute(select(account).where(account.c.account_id == anna).with_for_update())
        at_once.wait_for_locks()
    at_once.join()
    assert sorted(isinstance(one, Ack) for one in at_once.results) == [True, True]
    taken = select(func.sum(posting.c.amount)).where(posting.c.target == "reversed")
    assert centre.rows(taken) == [(100,)]
    assert centre.rows(select(lot.c.points)) == [(0,)]
    assert {cause for _, cause in centre.flags()} == {"returned_twice"}


def test_goods_of_nobody_that_come_back_at_two_tills_at_once_are_taken_once(centre: Centre) -> None:
    till = centre.till()
    receipt = till.receipt("R1", 10_000)
    one, other = returns_at_two_tills(centre, receipt, till.append(receipt))
    till.upload()
    at_once = AtOnce(centre, one.upload, other.upload)
    with writing(centre.engine) as tx:
        tx.execute(select(event).where(event.c.till_id == till.head.till_id).with_for_update())
        at_once.wait_for_locks()
    at_once.join()
    assert sorted(centre.rows(select(reversed_.c.net_minor))) == [(0,), (10_000,)]
    assert [cause for _, cause in centre.flags()] == ["returned_twice"]


def test_what_waits_for_the_page_to_turn_belongs_to_the_new_page(centre: Centre) -> None:
    def asks() -> int:
        with writing(centre.engine) as tx:
            return hold_open_period(tx)

    at_once = AtOnce(centre, asks)
    with writing(centre.engine) as tx:
        tx.execute(select(period).with_for_update())
        tx.execute(update(period).values(state="cut"))
        tx.execute(period.insert().values(period_no=2, state="open", opened_at_ms=centre.now))
        at_once.wait_for_locks()
    at_once.join()
    assert at_once.results == [2]


def test_a_page_turns_while_tills_are_granted_floats(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both lock a till's stream and one of the centre's own: in the same order, so that neither is given up."""
    given_up: list[object] = []
    monkeypatch.setattr(ports, "_may_replay", lambda trouble: given_up.append(trouble) or True)
    till, anna = centre.till(), centre.member()
    till.hello()
    till.sell("R1", 50_000, told(anna))
    till.upload()
    till.sell("R2", 50_000, told(anna, 1, 500), spend=500)
    at_once = AtOnce(
        centre,
        till.upload,
        lambda: close_period(centre.engine, period_no=1, through=MARCH, now_ms=centre.now),
    )
    with writing(centre.engine) as tx:
        tx.execute(select(stream).where(stream.c.till_id == till.head.till_id).with_for_update())
        at_once.wait_for_locks()
    at_once.join()
    assert len(at_once.results) == 2
    assert given_up == []
    assert centre.rows(select(func.sum(till_grant.c.points))) == [(2500,)]


def test_a_receipt_does_not_wait_for_late_posting_that_waits_for_a_close(centre: Centre) -> None:
    one, other, anna = centre.till(), centre.till("S2"), centre.member()
    one.hello()
    receipt = one.receipt("R1", 10_000, told(anna))
    other.take_back("B1", one.append(receipt), receipt, 1000)
    other.upload()

    def overdue() -> int:
        with writing(centre.engine) as tx:
            return post_overdue(tx, centre.now + 8 * DAY, centre.random)

    at_once, sender = AtOnce(centre, overdue), threading.Thread(target=one.upload)
    with writing(centre.engine) as tx:
        tx.execute(select(period).with_for_update())
        at_once.wait_for_locks()
        sender.start()
        sender.join(20)
        assert not sender.is_alive()
    at_once.join()
    assert at_once.results == [0]
    assert centre.rows(select(lot.c.points)) == [(0,)]


def test_a_float_is_topped_up_once_however_many_ask(centre: Centre) -> None:
    till = centre.till()
    hellos = [partial(centre.store.take_hello, hello_of(till), centre.now) for _ in range(4)]
    at_once = AtOnce(centre, *hellos)
    with writing(centre.engine) as tx:
        tx.execute(select(stream).where(stream.c.till_id == till.head.till_id).with_for_update())
        at_once.wait_for_locks()
    at_once.join()
    assert len(at_once.results) == 4
    assert centre.rows(select(till_grant.c.points)) == [(2000,)]


def test_what_commits_while_a_block_is_made_is_in_the_next(centre: Centre) -> None:
    sealer = Sealer(centre.engine, centre.signer, SystemClock())
    turned = PeriodTurned(receipt_id="period:1", period_no=1, through=MARCH)
    with writing(centre.engine) as early:
        append_own(early, "early", [turned], centre.now, centre.random)
        # One that begins later overtakes it, and is sealed before it.
        with writing(centre.engine) as late:
            append_own(late, "late", [turned], centre.now, centre.random)
        assert sealer.seal() == 1
    assert sealer.seal() == 1
    assert sealer.seal() == 0
    named = [msgspec.json.decode(body, type=Block).heads for (body,) in centre.rows(select(block.c.body))]
    assert [[head.till_id for head in heads] for heads in named] == [
        [centre_stream_id("late")], [centre_stream_id("early")],
    ]  # fmt: skip


def test_two_that_lock_each_other_out_are_both_done_in_the_end(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up: list[str] = []
    may_replay = ports._may_replay
    monkeypatch.setattr(
        ports, "_may_replay", lambda trouble: given_up.append(trouble.orig.sqlstate) or may_replay(trouble)
    )
    both_hold_one, one_is_done = threading.Barrier(2), threading.Event()
    with writing(centre.engine) as tx:
        tx.execute(setting.insert(), [{"name": name, "value": ""} for name in "ab"])

    @replayable
    def sign(first: str, second: str, turns: list[int]) -> None:
        turns.append(1)
        if len(turns) > 1:
            # Else a busy machine may let it be first again, and both lock each other out once more.
            one_is_done.wait(20)
        with writing(centre.engine) as tx:
            for name in (first, second):
                there = setting.c.name == name
                tx.execute(update(setting).where(there).values(value=setting.c.value + first))
                if name == first and len(turns) == 1:
                    both_hold_one.wait(20)
        one_is_done.set()

    threads = [threading.Thread(target=sign, args=(*names, [])) for names in ("ab", "ba")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert given_up == ["40P01"]
    signed = centre.rows(select(setting.c.value).where(setting.c.name.in_(("a", "b"))))
    assert [sorted(value) for (value,) in signed] == [["a", "b"], ["a", "b"]]


def test_a_deposit_is_given_back_once_by_two_who_do_it_at_once(centre: Centre) -> None:
    billed(centre)
    entered(centre, "d1", 100, "deposit")

    def again() -> object:
        try:
            return entered(centre, "d3", -60, "deposit")
        except BadCash as refusal:
            return type(refusal)

    at_once = AtOnce(centre, again)
    with writing(centre.engine) as tx:
        assert enters(tx, centre, "d2", -60, "deposit")
        at_once.wait_for_locks()
    at_once.join()
    assert at_once.results == [BadCash]
    with reading(centre.engine) as tx:
        assert cash_of(tx, "bolt").deposit_minor == 40


def test_two_payments_entered_at_once_pay_a_period_together(centre: Centre) -> None:
    billed(centre)
    at_once = AtOnce(centre, partial(entered, centre, "e2", 50, period_no=1))
    with writing(centre.engine) as tx:
        assert enters(tx, centre, "e1", 40, period_no=1)
        at_once.wait_for_locks()
    at_once.join()
    assert at_once.results == [True]
    assert due(centre)[0] == ("bolt", "operator", 90, "paid")


def test_a_lease_that_is_topped_up_while_it_would_be_taken_back_stays_with_its_till(centre: Centre) -> None:
    till, member = centre.till(), centre.member()
    under_rules(centre, LEASING, till)
    till.sell("R1", 100_000, told(member))
    (grant,) = till.leases(till.upload())
    centre.now = grant.settle_until_ms
    # Of 300 points 250 are spent, which is more than half: the till is granted more with this batch.
    till.sell("R2", 1000, told(member, 2, 1000), spend=250, authority=under(grant))

    def reclaimed() -> object:
        with writing(centre.engine) as tx:
            return reclaim_overdue(tx, centre.now, centre.random)

    at_once = AtOnce(centre, till.upload, reclaimed)
    with writing(centre.engine) as tx:
        tx.execute(select(account).where(account.c.account_id == member).with_for_update())
        at_once.wait_for_locks()
    at_once.join()
    assert {} in at_once.results
    # 757 points are left, of which 227 are 30 %.
    left = select(lease.c.state, func.sum(lease_slice.c.points)).join_from(lease, lease_slice).group_by(lease.c.state)
    assert centre.rows(left) == [("active", 227)]
    assert verify_books(centre.engine).violations == ()


def hello_of(till: Till) -> Hello:
    return Hello(
        till_id=till.head.till_id, epoch=1, key_no=1, counter=1, sent_at_ms=0, head_seq=0, head_hash=ZERO_HASH,
        acked_seq=0, acked_hash=ZERO_HASH, install_id=till.install, boot="b1", version="1", backlog=0, cursors=Lanes(),
        grants=0,
    )  # fmt: skip
