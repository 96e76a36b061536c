"""Holds and leases at a till: spent before its float, given back for good, never more than was set aside."""

from datetime import date
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.cache.cache import Cache
from edge.journal.giving_back import give_back
from edge.journal.journal import Journal
from edge.journal.suspending import notice_clock, resume_leases, suspend_leases
from edge.ports import Settings
from edge.refusals import SpendingOff
from edge.sale.taking_back import void_receipt
from edge.sale.till import Till
from loyalty.facts.lease_events import LeaseMoved
from loyalty.lots import LotKey, Slice, points_in
from loyalty.pricing.leases import NotEnoughPoints
from loyalty.programme.programme import read_programme
from loyalty.trouble import Refusal
from sync.wire import Grant, LeaseAnswer, SignedGrant
from tests.edge.conftest import FakeClock
from tests.edge.counter import (
    ACCOUNTS,
    ALONE,
    ANA,
    PROGRAMME,
    TILL_ID,
    commit,
    grant_float,
    hold,
    identity,
    line,
    published,
    sale,
    void,
)

ANAS = ACCOUNTS["ana"][0]
DAY = "2026-12-31"
MINUTE = 60_000


def grant_lease(
    till: Till, points: int, grant_no: int, *, kind: str = "lease", hold_id: str = "", lease_id: str = "lease",
    through: str = DAY, spend_for_s: int = 48 * 3600,
) -> None:  # fmt: skip
    now = till.clock.now()
    key = LotKey(valid_through=date.fromisoformat(through), issuer_id="fresh", terms_id="t1")
    grant = Grant(
        lease_id=lease_id, grant_no=grant_no, till_id=TILL_ID, epoch=1, key_no=1, account_id=ANAS, points=points,
        spend_for_s=spend_for_s, settle_until_ms=now.wall_ms + 9 * 86_400_000, granted_at_ms=now.wall_ms,
        kind=kind, hold_id=hold_id,
        slices=(Slice(key=key, points=points),),
    )  # fmt: skip
    with till.journal.writing():
        till.journal.promises.take_grants([SignedGrant(grant=grant, signed=b"signed")], now)


def allowed(till: Till, hold_id: str | None = None) -> tuple[str, int]:
    told = till.quote(sale(line(1, "bread", 100_000), hold_id=hold_id)).quote
    return told.authority.kind, told.authority.points


def spend(till: Till, receipt_id: str, points: int, hold_id: str | None = None):
    ask = commit(receipt_id, sale(line(1, "bread", 100_000), points=points, hold_id=hold_id))
    return till.commit(ask).receipt.redemption


def left(till: Till) -> int:
    return sum(points_in(one.slices) for one in till.journal.leases_of(ANAS, till.clock.now()))


def given_back(till: Till) -> list[tuple[str, int]]:
    events = [entry.event for entry in till.journal.entries_after(0)]
    return [(one.lease_id, points_in(one.slices)) for one in events if isinstance(one, LeaseMoved)]


def test_a_lease_is_spent_beyond_the_caps_of_a_float_and_names_its_lots(till: Till) -> None:
    """A float allows 500 a sale; the lease holds 700."""
    grant_lease(till, 700, 9)
    assert allowed(till) == ("lease", 700)
    paid = spend(till, "r1", 650)
    assert (paid.authority, paid.lease_id) == ("lease", "lease")
    assert [(one.key.valid_through, one.key.issuer_id, one.points) for one in paid.slices] == [
        (date(2026, 12, 31), "fresh", 650)
    ]
    assert left(till) == 50
    # More than the 50 that are left; the member's row does not know of the lease yet, so 350 of 1000 are.
    assert allowed(till) == ("float", 350)


def test_what_a_lease_set_aside_is_no_part_of_what_the_float_may_spend(till: Till) -> None:
    till.cache.load_members([published("ana", version=2, points=1_000, leased_points=700)])
    grant_lease(till, 100, 9)
    assert allowed(till) == ("float", 300)  # 1000 less 700 that are leased here or elsewhere
    view = till.balance(ANA).view
    assert (view.balance_points, view.spendable_points) == (1_000, 300)


def test_spending_a_lease_lowers_the_balance_and_leaves_the_rest_to_the_float(till: Till) -> None:
    till.cache.load_members([published("ana", version=2, points=1_000, leased_points=700)])
    grant_lease(till, 700, 9)
    spend(till, "r1", 600)
    view = till.balance(ANA).view
    # What is paid in money, 994.00, earns 994; 300 were and are available.
    assert (view.balance_points, view.spendable_points) == (1_000 - 600 + 994, 300)


def test_what_goes_back_of_a_lease_lets_a_card_spend_no_more_on_floats(till: Till, clock: FakeClock) -> None:
    """A card may spend 800 on floats until head office is heard."""
    till.cache.load_members([published("ana", version=2, points=9_000, leased_points=700)])
    grant_lease(till, 700, 9, spend_for_s=3600)
    clock.pass_ms(59 * MINUTE)
    assert give_back(till.journal, clock.now()) == 1
    spend(till, "r1", 500)
    assert allowed(till) == ("float", 300)


def test_the_void_of_a_sale_frees_a_cards_cap_where_that_was_paid_on_a_float_and_else_not(till: Till) -> None:
    till.cache.load_members([published("ana", version=2, points=9_000, leased_points=700)])
    grant_lease(till, 700, 9)
    assert spend(till, "r1", 700).authority == "lease"
    void_receipt(till, void("r1"))
    assert spend(till, "r2", 500).authority == "float"
    assert allowed(till) == ("float", 300)
    void_receipt(till, void("r2"))
    assert allowed(till) == ("float", 500)
    till.cache.load_members([published("ana", version=3, points=9_000, own_seq=3)])  # with r2, and not its void
    assert spend(till, "r3", 500).authority == "float"
    assert allowed(till) == ("float", 300)


def test_a_grant_under_the_same_id_makes_a_lease_larger(till: Till) -> None:
    grant_lease(till, 600, 9)
    spend(till, "r1", 550)
    grant_lease(till, 500, 10)
    assert left(till) == 550
    assert allowed(till) == ("lease", 550)


def test_a_hold_on_a_lease_keeps_its_points_from_other_sales(till: Till) -> None:
    grant_lease(till, 900, 9)
    held = till.hold(hold("h1", 350))
    assert (held.points, held.authority) == (350, "lease")
    assert allowed(till) == ("lease", 550)
    assert allowed(till, "h1") == ("lease", 350)
    assert spend(till, "r1", 350, "h1").authority == "lease"
    assert left(till) == 550


def test_a_lot_that_has_lapsed_is_not_offered(till: Till) -> None:
    grant_lease(till, 900, 9, through="2020-01-01")
    assert allowed(till)[0] == "float"


def test_a_lease_stops_a_minute_early_and_goes_back_whole(till: Till, clock: FakeClock) -> None:
    grant_lease(till, 700, 9, spend_for_s=3600)
    clock.pass_ms(59 * MINUTE - 1)
    assert allowed(till) == ("lease", 700)
    assert give_back(till.journal, clock.now()) == 0
    clock.pass_ms(1)
    assert allowed(till)[0] == "float"
    assert give_back(till.journal, clock.now()) == 1
    assert give_back(till.journal, clock.now()) == 0
    assert given_back(till) == [("lease", 700)]


def test_an_open_sale_keeps_a_lease_from_going_back(till: Till, clock: FakeClock) -> None:
    grant_lease(till, 900, 9)
    till.hold(hold("h1", 800))
    with till.journal.writing():
        till.journal.promises.leases.recall(["lease"])
    clock.pass_ms(2 * MINUTE)
    assert give_back(till.journal, clock.now()) == 0
    spend(till, "r1", 800, "h1")
    assert give_back(till.journal, clock.now()) == 1
    assert given_back(till) == [("lease", 100)]
    assert allowed(till)[0] == "float"


def test_points_whose_lease_runs_out_while_a_sale_holds_them_are_not_offered_once_more(
    till: Till, clock: FakeClock
) -> None:
    grant_lease(till, 700, 9, spend_for_s=3600)
    clock.pass_ms(50 * MINUTE)
    till.hold(hold("h1", 600))
    clock.pass_ms(10 * MINUTE)
    with pytest.raises(NotEnoughPoints) as refused:
        spend(till, "r1", 600, "h1")
    assert refused.value.figures == {"asked": 600, "most": 0}


def test_a_wall_clock_that_went_back_with_a_reboot_stops_a_lease(till: Till, clock: FakeClock) -> None:
    grant_lease(till, 700, 9)
    clock.reboot(wall_ms=-3_600_000)
    assert allowed(till)[0] != "lease"


def test_a_suspended_till_spends_nothing_of_its_leases(till: Till) -> None:
    grant_lease(till, 700, 9)
    till.journal.outbox.set_suspended("sync.rewind")
    assert allowed(till) == ("none", 0)


def test_a_suspended_till_spends_nothing_that_a_sale_holds_on_its_float(till: Till) -> None:
    till.hold(hold("h1", 400))
    till.journal.outbox.set_suspended("sync.fork")
    assert allowed(till, "h1") == ("none", 0)
    with pytest.raises(NotEnoughPoints):
        spend(till, "r1", 400, "h1")
    till.journal.outbox.set_suspended("")
    assert spend(till, "r1", 400, "h1").authority == "float"


def test_a_clock_that_went_back_over_a_restart_suspends_leases_until_online(till: Till, clock: FakeClock) -> None:
    grant_lease(till, 700, 9)
    spend(till, "r1", 100)
    clock.reboot(wall_ms=-1)
    assert notice_clock(till.journal, clock.now())
    assert not notice_clock(till.journal, clock.now())
    assert allowed(till) == ("none", 0)
    clock.pass_ms(30 * MINUTE)  # right again, but nobody has said so
    assert allowed(till) == ("none", 0)
    assert give_back(till.journal, clock.now()) == 0
    assert rests(till) == [("suspended", "clock.went_back")]
    assert resume_leases(till.journal, clock.now())
    assert not resume_leases(till.journal, clock.now())
    assert rests(till) == [("suspended", "clock.went_back"), ("resumed", "")]
    assert allowed(till) == ("lease", 600)


def test_a_clock_that_went_back_within_one_boot_or_stayed_behind_nothing_suspends_nothing(
    till: Till, clock: FakeClock
) -> None:
    grant_lease(till, 700, 9)
    clock.wall_ms -= 3_600_000
    assert not notice_clock(till.journal, clock.now())
    clock.wall_ms += 3_600_000
    clock.reboot(wall_ms=0)
    assert not notice_clock(till.journal, clock.now())
    assert allowed(till) == ("lease", 700)


def test_leases_that_rest_in_a_later_epoch_are_told_of_by_a_name_of_its_own(tmp_path: Path, clock: FakeClock) -> None:
    """Head office takes an id once, and the first events of two epochs have the same numbers."""
    told = []
    for epoch in (1, 2):
        journal = Journal.open(tmp_path / "journal.db", identity(epoch), clock)
        grant = Grant(
            lease_id=f"float:{epoch}:1", grant_no=1, till_id=TILL_ID, epoch=epoch, key_no=1, account_id=None,
            points=500, spend_for_s=86_400, settle_until_ms=clock.now().wall_ms + 86_400_000, granted_at_ms=0,
        )  # fmt: skip
        with journal.writing():
            journal.promises.take_grants([SignedGrant(grant=grant, signed=b"signed")], clock.now())
        assert suspend_leases(journal, "clock.went_back", clock.now())
        assert resume_leases(journal, clock.now())
        told += [entry.event.receipt_id for entry in journal.entries_after(0)]
        journal.close()
    assert told == ["suspended:1:0", "resumed:1:1", "suspended:2:0", "resumed:2:1"]


def test_a_till_without_leases_has_nothing_to_suspend(till_alone: Till, clock: FakeClock) -> None:
    assert not suspend_leases(till_alone.journal, "sync.rewind", clock.now())
    assert rests(till_alone) == []


def rests(till: Till) -> list[tuple[str, str]]:
    events = [entry.event for entry in till.journal.entries_after(0)]
    return [(one.what, one.reason) for one in events if isinstance(one, LeaseMoved)]


# Asking head office


def centre_that(till: Till, answers: list[LeaseAnswer | None]) -> list[tuple[str, int, int, bool]]:
    """Head office answers so, one after the other; what it grants is kept as the session would keep it."""
    asked: list[tuple[str, int, int, bool]] = []

    def ask(hold_id: str, account_id: int, points: int, partial: bool) -> LeaseAnswer | None:
        asked.append((hold_id, account_id, points, partial))
        answer = answers.pop(0)
        if answer is not None and answer.granted:
            grant_lease(till, answer.granted, 50 + len(asked), kind="hold", hold_id=hold_id, lease_id=f"hold {hold_id}")
        return answer

    till.ask_points = ask
    return asked


def said(granted: int, available: int, refused: str = "") -> LeaseAnswer:
    return LeaseAnswer(
        key_no=1, answers="0" * 64, server_at_ms=0, request_id="", granted=granted, available=available, refused=refused
    )


@pytest.fixture
def online(till: Till) -> Till:
    till.cache.load_programme(read_programme(PROGRAMME.replace("spending: {", "spending: {online: true, ")))
    return till


def test_head_office_sets_more_points_aside_than_a_till_may_promise(online: Till) -> None:
    asked = centre_that(online, [said(950, 950)])
    held = online.hold(hold("h1", 950))
    assert (held.points, held.authority) == (950, "hold")
    assert online.hold(hold("h1", 950)).replayed  # and nobody is asked again
    assert asked == [("h1", ANAS, 950, False)]
    assert allowed(online, "h1") == ("hold", 950)
    paid = spend(online, "r1", 800, "h1")
    assert (paid.authority, paid.lease_id, points_in(paid.slices)) == ("hold", "hold h1", 800)
    # The receipt itself gives the other 150 back.
    assert (left(online), given_back(online)) == (0, [])


WORD_ALONE = ALONE.replace("spending: {", "spending: {online: true, ")


def test_what_only_head_office_lets_be_spent_is_told_before_it_is_asked(till: Till) -> None:
    ask = sale(line(1, "bread", 700), points=100)
    till.cache.load_programme(read_programme(WORD_ALONE))
    centre_that(till, [None, said(600, 600)])
    assert till.quote(ask).on_asking is None  # head office is out of reach
    with pytest.raises(SpendingOff, match="cannot be asked now"):
        till.hold(hold("h0", 600))
    till.is_offline = lambda: False
    told = till.quote(ask)
    assert (told.quote.redemption.most_points, told.quote.totals.points_spent) == (0, 0)
    # Ana has 1,000 points; 7.00 takes 700 of them.
    assert told.on_asking is not None
    assert (told.on_asking.most_points, sum(told.on_asking.per_line_minor)) == (700, 700)
    with pytest.raises(SpendingOff, match="Set them aside first"):
        till.commit(commit("r1", ask))
    till.hold(hold("h1", 600))
    held = till.quote(msgspec.structs.replace(ask, hold_id="h1"))
    assert (held.quote.redemption.most_points, held.on_asking) == (600, None)


def test_head_office_may_let_more_be_spent_than_a_till_promises(online: Till) -> None:
    centre_that(online, [])
    online.is_offline = lambda: False
    told = online.quote(sale(line(1, "bread", 700)))
    assert (told.quote.redemption.most_points, told.on_asking and told.on_asking.most_points) == (500, 700)
    assert online.quote(sale(line(1, "bread", 400))).on_asking is None  # the goods are worth no more
    assert online.quote(sale(line(1, "bread", 700), card=None)).on_asking is None
    online.ask_points = None  # as in training
    assert online.quote(sale(line(1, "bread", 700))).on_asking is None


def test_a_hold_that_is_let_go_goes_back_at_once(online: Till) -> None:
    centre_that(online, [said(400, 400)])
    online.hold(hold("h1", 400))
    online.release("h1")
    online.release("h1")
    assert given_back(online) == [("hold h1", 400)]


def test_a_hold_that_is_let_go_while_leases_rest_goes_back_once_they_do_not(online: Till, clock: FakeClock) -> None:
    centre_that(online, [said(400, 400)])
    online.hold(hold("h1", 400))
    assert suspend_leases(online.journal, "clock.went_back", clock.now())
    online.release("h1")
    assert given_back(online) == [("", 0)]  # that they rest
    assert resume_leases(online.journal, clock.now())
    clock.pass_ms(MINUTE)
    assert give_back(online.journal, clock.now()) == 1
    assert given_back(online)[2:] == [("hold h1", 400)]


def test_a_hold_that_nobody_pays_with_goes_back_when_it_lapses(online: Till, clock: FakeClock) -> None:
    centre_that(online, [said(400, 400)])
    online.hold(hold("h1", 400))
    clock.pass_ms(15 * MINUTE - 1)
    assert give_back(online.journal, clock.now()) == 0
    clock.pass_ms(1)
    assert give_back(online.journal, clock.now()) == 1
    assert given_back(online) == [("hold h1", 400)]


def test_what_head_office_says_is_not_there_is_not_promised_on_the_float(online: Till) -> None:
    centre_that(online, [said(0, 120, NotEnoughPoints.code)])
    with pytest.raises(NotEnoughPoints) as refused:
        online.hold(hold("h1", 400))
    assert refused.value.figures == {"asked": 400, "most": 120}


@pytest.mark.parametrize("there", [120, 0])
def test_where_only_head_office_lets_points_be_spent_its_word_is_told(till: Till, there: int) -> None:
    till.cache.load_programme(read_programme(ALONE.replace("spending: {", "spending: {online: true, ")))
    centre_that(till, [said(0, there, NotEnoughPoints.code)])
    with pytest.raises(NotEnoughPoints) as refused:
        till.hold(hold("h1", 400))
    assert refused.value.figures == {"asked": 400, "most": there}


def test_without_an_answer_the_till_promises_what_it_may_by_itself(online: Till) -> None:
    centre_that(online, [None, None])
    assert online.hold(hold("h1", 400)).authority == "float"
    with pytest.raises(NotEnoughPoints):
        online.hold(hold("h2", 600))


def test_fewer_points_are_held_where_the_pos_takes_fewer(till: Till) -> None:
    held = till.hold(msgspec.structs.replace(hold("h1", 600), partial=True))
    assert (held.points, held.authority) == (500, "float")


def test_so_many_sales_in_a_row_are_paid_on_a_float(till: Till) -> None:
    till.cache.load_programme(
        read_programme(PROGRAMME.replace("till_points: 5000", "till_points: 5000, sales_in_a_row: 2"))
    )
    for name in ("r1", "r2"):
        assert spend(till, name, 50).authority == "float"
    assert allowed(till) == ("none", 0)
    grant_lease(till, 70, 9)
    assert allowed(till) == ("lease", 70)
    till.cache.load_members([published("ana", version=3, own_seq=2)])
    assert allowed(till) == ("float", 500)


# Whatever happens

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("grant"), st.just(0), st.integers(1, 300)),
        st.tuples(st.just("hold"), st.integers(1, 4), st.integers(1, 400)),
        st.tuples(st.just("commit"), st.integers(0, 4), st.integers(1, 400)),
        st.tuples(st.just("release"), st.integers(1, 4), st.just(0)),
        st.tuples(st.just("recall"), st.just(0), st.just(0)),
        st.tuples(st.just("house"), st.just(0), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 40), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_what_was_granted_is_spent_given_back_or_here(steps: list[tuple[str, int, int]]) -> None:
    """granted = spent + given back + left, after every step, and never less than nothing is left."""
    clock = FakeClock()
    journal = Journal.open(":memory:", identity(), clock)
    cache = Cache.open(":memory:", identity(), clock, on_swap=lambda: None)
    cache.load_programme(read_programme(PROGRAMME))
    cache.load_members([published("ana", points=100_000)])
    till = Till(journal=journal, cache=cache, clock=clock, settings=Settings(data_dir="-"), identity=identity())
    grant_float(till, 0)
    granted = spent = 0
    for n, (what, which, points) in enumerate(steps):
        try:
            if what == "grant":
                grant_lease(till, points, n + 2, spend_for_s=3_600)
                granted += points
            elif what == "hold":
                till.hold(hold(f"h{which}", points))
            elif what == "commit":
                paid = spend(till, f"r{n}", points, f"h{which}" if which else None)
                spent += paid.points
            elif what == "release":
                till.release(f"h{which}")
            elif what == "recall":
                with journal.writing():
                    journal.promises.leases.recall(["lease"])
            elif what == "house":
                give_back(journal, clock.now())
            else:
                clock.pass_ms(which * MINUTE)
        except Refusal:
            continue
        finally:
            here = sum(points_in(one.slices) for one in journal.promises.leases.of_account(ANAS, clock.now(), 0))
            assert spent + sum(points for _, points in given_back(till)) + here == granted
