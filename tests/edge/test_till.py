"""Quote, hold and commit at one till."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.cache.cache import Cache
from edge.journal.journal import Journal
from edge.members.asks import CardTaken, EnrolAsk, Handed
from edge.members.giving_cards import enrol_member
from edge.ports import Settings
from edge.refusals import (
    CardBlocked,
    CardUnreadable,
    HoldLapsed,
    IdReserved,
    IdReused,
    MemberStale,
    NoProgramme,
    NotOurCard,
    PaymentCardScanned,
    ReceiptUnknown,
    SpendingOff,
    TrainingSale,
)
from edge.sale.till import Till
from loyalty.facts.receipts import Charged
from loyalty.members import HotlistedCard
from loyalty.pricing.leases import NotEnoughPoints
from loyalty.programme.programme import read_programme
from loyalty.trouble import Refusal
from sync.lanes import LaneState
from sync.wire import Page
from tests.edge.conftest import OpenTill
from tests.edge.counter import (
    ANA,
    BEN,
    BLOCKED,
    GOODS,
    NOON_MS,
    PROGRAMME,
    VISA,
    FakeClock,
    commit,
    grant_float,
    hold,
    identity,
    line,
    published,
    sale,
    token,
)

DAY_MS = 86_400_000


def block(till: Till, number: str) -> None:
    row = msgspec.Raw(msgspec.json.encode(HotlistedCard(card_token=token(number), reason="stolen")))
    page = Page(lane="hotlist", from_cursor="", to_cursor="1", version=1, more=False, rows=(row,))
    till.cache.take_page(page, LaneState(cursor="1", version=1))


# What is scanned


def test_a_card_is_answered_with_its_token_its_last_digits_and_its_balance(till: Till) -> None:
    found = till.identify(ANA)
    assert (found.outcome, found.card_token, found.last4, found.known) == ("card", token(ANA), "0019", True)
    assert found.view and found.view.balance_points == 1_000


def test_goods_go_back_to_the_pos_as_they_came(till: Till) -> None:
    found = till.identify(GOODS, "]E0")
    assert (found.outcome, found.text, found.aim, found.card_token) == ("code", "5901234123457", "]E0", None)


def test_a_card_nobody_told_us_of_earns_under_its_token_and_says_so(till: Till) -> None:
    quoted = till.quote(sale(card=BEN))
    assert (quoted.known, quoted.quote.totals.points_earned, quoted.warnings[0].code) == (False, 10, "card.unknown")
    receipt = till.commit(commit("r1", sale(card=BEN))).receipt
    assert (receipt.account_id, receipt.card_token) == (None, token(BEN))
    with pytest.raises(NotEnoughPoints):
        till.commit(commit("r2", sale(card=BEN, points=100)))


def test_a_member_whose_row_a_bad_disk_changed_is_served_by_the_card_and_nobody_else_gets_it(till: Till) -> None:
    with till.cache._database.writing() as writer:
        writer.execute("UPDATE member SET row = ?", (b"\xff{",))
    quoted = till.quote(sale(card=ANA))
    assert (quoted.known, quoted.quote.totals.points_earned, quoted.warnings[0].code) == (False, 10, "card.unknown")
    receipt = till.commit(commit("r1", sale(card=ANA))).receipt
    assert (receipt.account_id, receipt.card_token) == (None, token(ANA))
    join = EnrolAsk(enrol_id="e1", asked_on="kiosk", card=Handed(token=token(ANA)), sold_at_ms=NOON_MS)
    with pytest.raises(CardTaken):
        enrol_member(till, join, None, None)


def test_a_basket_without_a_card_earns_nothing_and_is_kept(till: Till) -> None:
    kept = till.commit(commit("r1", sale(card=None)))
    assert (kept.receipt.net_minor, kept.receipt.earned, kept.receipt.account_id) == (1_000, (), None)


@pytest.mark.parametrize(
    ("card", "refusal"),
    [(VISA, PaymentCardScanned), (BLOCKED, CardBlocked), ("2990000000018", CardUnreadable), (GOODS, NotOurCard)],
)
def test_what_is_no_card_to_serve_is_refused_and_nothing_is_written(
    till: Till, card: str, refusal: type[Refusal]
) -> None:
    block(till, BLOCKED)
    for ask in (lambda: till.quote(sale(card=card)), lambda: till.commit(commit("r1", sale(card=card)))):
        with pytest.raises(refusal):
            ask()
    assert till.journal.find("r1") is None


def test_a_token_serves_like_the_card_and_a_blocked_one_does_not(till: Till) -> None:
    assert till.quote(sale(card=token(ANA))).known
    block(till, ANA)
    with pytest.raises(CardBlocked):
        till.quote(sale(card=token(ANA)))


def test_no_file_ever_holds_a_card_number_or_payment_card(till: Till, tmp_path: Path) -> None:
    till.identify(ANA)
    till.commit(commit("r1"))
    till.hold(hold("h1", 100))
    for text in (VISA, f"%B{VISA}^DOE/ANA^2912101?"):
        with pytest.raises(PaymentCardScanned):
            till.identify(text)
        with pytest.raises(PaymentCardScanned):
            till.commit(commit("r2", sale(card=text)))
    files = [path for path in tmp_path.iterdir() if path.is_file()]
    assert {path.name for path in files} >= {"journal.db", "journal.db-wal", "cache.db", "cache.db-wal"}
    stored = b"".join(path.read_bytes() for path in files)
    assert token(ANA).encode() in stored
    for secret in (ANA, VISA, "DOE/ANA"):
        assert secret.encode() not in stored


def test_a_till_without_a_programme_says_that_head_office_must_be_reached(tmp_path: Path, clock: FakeClock) -> None:
    till = Till(
        journal=Journal.open(":memory:", identity(), clock),
        cache=Cache.open(":memory:", identity(), clock),
        clock=clock,
        settings=Settings(data_dir=str(tmp_path)),
        identity=identity(),
    )
    with pytest.raises(NoProgramme):
        till.quote(sale())


# Quote and commit


def test_a_sale_is_kept_as_it_was_quoted(till: Till) -> None:
    basket = (line(1, "milk", 200), line(2, "bread", 1_000))
    quote = till.quote(sale(*basket)).quote
    assert (quote.totals.discount_minor, quote.totals.net_minor, quote.totals.points_earned) == (20, 1_180, 11)
    kept = till.commit(commit("r1", sale(*basket), programme_version=quote.programme_version, digest=quote.digest))
    assert (kept.receipt.net_minor, kept.receipt.account_id, kept.detail.quoted_digest) == (1_180, 1, "")
    assert (kept.quote and kept.quote.digest, kept.head.seq, kept.replayed) == (quote.digest, 2, False)
    assert kept.record == kept.head.hash[:8].upper()
    assert till.balance(ANA).view.balance_points == 1_011


def test_a_quote_writes_nothing(till: Till) -> None:
    before = till.journal.head(), till.journal.counts()
    till.quote(sale(points=100))
    assert (till.journal.head(), till.journal.counts()) == before


def test_the_same_id_is_answered_the_same_again_after_a_restart_too(till: Till, open_till: OpenTill) -> None:
    ask = commit("r1", sale(line(1, "milk", 200), points=50))
    first = till.commit(ask)
    block(till, ANA)  # what happened since changes nothing about a sale that is kept
    again = till.commit(ask)
    till.journal.close()
    after_a_crash = open_till().commit(ask)
    for answer in (again, after_a_crash):
        assert msgspec.structs.replace(answer, replayed=False) == first
        assert answer.replayed
    assert first.quote and [said.text for said in first.quote.messages] == ["You saved 0.20 on milk"]


def test_another_sale_under_the_same_id_is_refused(till: Till) -> None:
    till.commit(commit("r1"))
    with pytest.raises(IdReused):
        till.commit(commit("r1", sale(line(1, "bread", 1_001))))
    assert till.journal.head().seq == 2


@pytest.mark.parametrize("receipt_id", ["", "void:r1", "till_close:2026-03-05", "opened:1", "r" * 201])
def test_an_id_that_system_events_bear_or_that_is_none_is_refused(till: Till, receipt_id: str) -> None:
    with pytest.raises(IdReserved):
        till.commit(commit(receipt_id))


def test_training_sales_are_quoted_and_not_kept(till: Till) -> None:
    assert till.quote(sale(training=True)).quote.totals.points_earned == 10
    with pytest.raises(TrainingSale):
        till.commit(commit("r1", sale(training=True)))


def test_a_sale_keeps_the_prices_it_was_quoted_while_the_till_has_that_programme(till: Till) -> None:
    basket = sale(line(1, "milk", 200))
    quote = till.quote(basket).quote
    ask = {"programme_version": quote.programme_version, "digest": quote.digest}
    till.cache.load_programme(read_programme(PROGRAMME.replace("percent_bp: 1000", "percent_bp: 2000")))
    kept = till.commit(commit("r1", basket, **ask))
    assert (kept.detail.programme_version, kept.receipt.net_minor) == (quote.programme_version, 180)
    till.cache.load_programme(read_programme(PROGRAMME.replace("percent_bp: 1000", "percent_bp: 3000")))
    charged = (Charged(line=1, discount_minor=20),)
    late = till.commit(commit("r2", basket, charged=charged, **ask))
    assert late.detail.programme_version != quote.programme_version
    # Its programme is gone: today's rules say 140, the customer paid 180, and both are kept.
    assert (late.receipt.net_minor, late.detail.charged, late.detail.quoted_digest) == (180, charged, quote.digest)
    assert late.detail.figures[0].net_minor == 140


def test_a_receipt_is_found_again_and_an_unknown_one_is_not(till: Till) -> None:
    kept = till.commit(commit("r1"))
    assert till.receipt("r1").receipt == kept.receipt
    for unknown in ("r2", "opened:1"):
        with pytest.raises(ReceiptUnknown):
            till.receipt(unknown)


def test_the_business_date_is_the_local_date_of_the_sale_unless_the_pos_says_another(till: Till) -> None:
    late_ms = NOON_MS + 11 * 3_600_000 + 1_800_000
    ask = msgspec.structs.replace(sale(), sold_at_ms=late_ms, offset_min=60)
    assert str(till.place(ask).business_date) == "2026-03-06"
    assert str(till.place(msgspec.structs.replace(ask, offset_min=-180)).business_date) == "2026-03-05"


# Own uses


def test_a_limited_offer_is_used_up_at_once_and_stays_so_until_head_office_knows(till: Till) -> None:
    coffee = sale(line(1, "coffee", 1_000))
    till.commit(commit("r1", coffee))
    assert till.quote(coffee).quote.totals.discount_minor == 0
    # A row that does not hold the sale yet changes nothing; the one that does counts it itself.
    till.cache.load_members([published("ana", version=2, own_seq=1)])
    assert till.quote(coffee).quote.totals.discount_minor == 0
    till.cache.load_members([published("ana", version=3, own_seq=2)])
    assert till.quote(coffee).quote.totals.discount_minor == 500


def test_points_spent_here_are_gone_at_once_and_points_earned_here_are_not_spendable_yet(till: Till) -> None:
    till.commit(commit("r1", sale(line(1, "bread", 10_000), points=300)))
    view = till.balance(ANA).view
    assert (view.balance_points, view.spendable_points) == (797, 700)


# Points


def test_points_are_spent_up_to_the_programmes_caps(till: Till) -> None:
    basket = line(1, "bread", 10_000)
    assert till.quote(sale(basket)).quote.redemption.most_points == 500
    till.commit(commit("r1", sale(basket, points=500)))
    assert till.quote(sale(basket)).quote.redemption.most_points == 300
    with pytest.raises(NotEnoughPoints, match="At most 300 points"):
        till.commit(commit("r2", sale(basket, points=301)))
    assert till.journal.find("r2") is None


def test_points_that_the_goods_do_not_need_are_left_out_without_a_word(till: Till) -> None:
    kept = till.commit(commit("r1", sale(line(1, "bread", 200), points=500)))
    assert kept.receipt.redemption and kept.receipt.redemption.points == 200


def test_while_offline_spending_is_off_no_points_are_held_or_spent(till_alone: Till) -> None:
    assert till_alone.quote(sale(points=100)).quote.totals.points_spent == 0
    with pytest.raises(SpendingOff):
        till_alone.hold(hold("h1", 100))
    with pytest.raises(SpendingOff):
        till_alone.commit(commit("r1", sale(points=100)))
    quote = till_alone.quote(sale(points=100)).quote
    kept = till_alone.commit(commit("r1", sale(points=100), digest=quote.digest))
    assert kept.receipt.redemption is None  # the POS saw in its quote that none were spent


def test_a_suspended_stream_spends_nothing(till: Till) -> None:
    till.journal.outbox.set_suspended("sync.fork")
    assert till.quote(sale()).quote.redemption.most_points == 0
    till.journal.outbox.set_suspended("")
    assert till.quote(sale()).quote.redemption.most_points == 500


def test_after_thirty_days_of_silence_a_balance_is_shown_but_not_spent(till: Till, clock: FakeClock) -> None:
    clock.pass_ms(29 * DAY_MS)
    grant_float(till, 1_000, grant_no=2)
    assert till.quote(sale()).quote.redemption.most_points == 500
    clock.pass_ms(2 * DAY_MS)
    grant_float(till, 1_000, grant_no=3)
    assert till.identify(ANA).warnings[0].code == "member.stale"
    with pytest.raises(MemberStale):
        till.hold(hold("h1", 100))


def test_an_expired_hotlist_halves_the_caps_and_warns(till: Till, clock: FakeClock) -> None:
    page = Page(lane="hotlist", from_cursor="", to_cursor="1", version=1, more=False)
    till.cache.take_page(page, LaneState(cursor="1", version=1, expires_ms=NOON_MS + 1_000))
    assert till.quote(sale()).quote.redemption.most_points == 500
    clock.pass_ms(1_000)
    quoted = till.quote(sale())
    assert (quoted.quote.redemption.most_points, quoted.warnings[0].code) == (250, "hotlist.expired")
    clock.wall_ms -= 2 * DAY_MS  # somebody sets the clock back while head office is out of reach
    quoted = till.quote(sale())
    assert (quoted.quote.redemption.most_points, quoted.warnings[0].code) == (250, "hotlist.expired")
    till.cache.take_page(page, LaneState(cursor="1", version=1, expires_ms=NOON_MS + 1_000))
    assert till.quote(sale()).quote.redemption.most_points == 500


# Holds

HOLDS = """
    hold    H1 ana 400      held
    hold    H1 ana 400      held                    the same id, the same answer
    hold    H1 ana 401      hold.id_reused
    hold    H2 ana 600      redemption.not_enough_points
    hold    H3 ana 0        hold.no_points
    quote   -  ana          400                     what is held is not offered twice: 800 a card less 400
    quote   H1 ana          400
    quote   H1 ben          hold.other_card
    quote   H9 ana          hold.unknown
    commit  R1 H1 ana 401   hold.exceeded
    commit  R1 H1 ana 350   kept
    commit  R1 H1 ana 350   kept                    a retry changes nothing
    commit  R2 H1 ana 50    hold.captured
    release H1              hold.captured
    quote   -  ana          450                     the other 50 went back
    hold    H4 ana 400      held
    release H4              released
    release H4              released
    hold    H4 ana 400      hold.released
    commit  R3 H4 ana 400   kept                    a hold that is gone: the float is asked once more
    quote   -  ana          50
"""


def outcome_of(till: Till, words: list[str]) -> str:
    cards = {"ana": ANA, "ben": BEN}
    basket = line(1, "bread", 10_000)
    try:
        match words:
            case ["hold", hold_id, who, points]:
                till.hold(hold(hold_id, int(points), cards[who]))
                return "held"
            case ["quote", hold_id, who]:
                ask = sale(basket, card=cards[who], hold_id=None if hold_id == "-" else hold_id)
                return str(till.quote(ask).quote.redemption.most_points)
            case ["commit", receipt_id, hold_id, who, points]:
                till.commit(commit(receipt_id, sale(basket, card=cards[who], points=int(points), hold_id=hold_id)))
                return "kept"
            case ["release", hold_id]:
                till.release(hold_id)
                return "released"
            case _:
                raise AssertionError(words)
    except Refusal as refusal:
        return refusal.code


def test_a_hold_keeps_points_for_one_sale(till: Till) -> None:
    till.cache.load_members([published("ben")])
    for step in HOLDS.strip().splitlines():
        words = step.split()
        asks = {"hold": 4, "quote": 3, "commit": 5, "release": 2}[words[0]]
        ask, said = words[:asks], words[asks]
        assert outcome_of(till, ask) == said, step


def test_a_hold_lapses_after_fifteen_minutes_of_the_monotonic_clock(till: Till, clock: FakeClock) -> None:
    till.hold(hold("h1", 500))
    clock.wall_ms += DAY_MS  # somebody sets the clock
    clock.pass_ms(15 * 60_000 - 1)
    assert till.quote(sale(line(1, "bread", 10_000))).quote.redemption.most_points == 300
    clock.pass_ms(1)
    assert till.quote(sale(line(1, "bread", 10_000))).quote.redemption.most_points == 500
    with pytest.raises(HoldLapsed):
        till.hold(hold("h1", 500))


@pytest.mark.parametrize(("later_ms", "most"), [(14 * 60_000, 300), (15 * 60_000, 500), (-60_000, 500)])
def test_after_a_reboot_a_hold_lapses_by_the_wall_clock_or_when_that_went_back(
    till: Till, clock: FakeClock, later_ms: int, most: int
) -> None:
    till.hold(hold("h1", 500))
    clock.reboot(later_ms)
    clock.mono_ms = 900_000
    kept = till.quote(sale(line(1, "bread", 10_000))).quote.redemption.most_points
    # A clock that went back suspends the float too, so nothing can be spent then.
    assert kept == (0 if later_ms < 0 else most)


def test_a_lapsed_hold_does_not_stop_a_sale_that_the_float_still_covers(till: Till, clock: FakeClock) -> None:
    till.hold(hold("h1", 500))
    clock.pass_ms(16 * 60_000)
    kept = till.commit(commit("r1", sale(line(1, "bread", 10_000), points=500, hold_id="h1")))
    assert kept.receipt.redemption and kept.receipt.redemption.points == 500


def test_a_float_stops_a_minute_before_its_time(till: Till, clock: FakeClock) -> None:
    clock.pass_ms(86_400_000 - 60_001)
    assert till.quote(sale()).quote.redemption.most_points == 500
    clock.pass_ms(1)
    assert till.quote(sale()).quote.redemption.most_points == 0


def test_floats_are_one_pool(till_alone: Till) -> None:
    till_alone.cache.load_programme(read_programme(PROGRAMME))
    for grant_no in (1, 2, 3):
        grant_float(till_alone, 150, grant_no=grant_no)
    kept = till_alone.commit(commit("r1", sale(line(1, "bread", 10_000), points=400)))
    assert kept.receipt.redemption and kept.receipt.redemption.lease_id == "float 1"
    assert till_alone.journal.float_left(till_alone.clock.now()).points == 50


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("hold"), st.integers(1, 5), st.integers(1, 400)),
        st.tuples(st.just("commit"), st.integers(0, 5), st.integers(1, 400)),
        st.tuples(st.just("release"), st.integers(1, 5), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 20), st.just(0)),
        st.tuples(st.just("grant"), st.just(0), st.integers(1, 300)),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_whatever_is_held_and_spent_stays_within_what_was_granted(steps: list[tuple[str, int, int]]) -> None:
    clock = FakeClock()
    journal = Journal.open(":memory:", identity(), clock)
    cache = Cache.open(":memory:", identity(), clock, on_swap=lambda: None)
    cache.load_programme(read_programme(PROGRAMME.replace("800", "90000").replace("5000}}", "90000}}")))
    cache.load_members([published("ana", points=100_000)])
    till = Till(journal=journal, cache=cache, clock=clock, settings=Settings(data_dir="-"), identity=identity())
    granted = spent = 0
    for n, (what, which, points) in enumerate(steps):
        try:
            if what == "grant":
                grant_float(till, points, grant_no=n + 1)
                granted += points
            elif what == "hold":
                till.hold(hold(f"h{which}", points))
            elif what == "commit":
                hold_id = f"h{which}" if which else None
                ask = sale(line(1, "bread", 10_000), points=points, hold_id=hold_id)
                kept = till.commit(commit(f"r{n}", ask))
                assert kept.receipt.redemption is not None
                spent += kept.receipt.redemption.points
            elif what == "release":
                till.release(f"h{which}")
            else:
                clock.pass_ms(which * 60_000)
        except Refusal:
            continue
        finally:
            held = sum(each.points for each in journal.open_holds())
            assert spent + held + journal.float_left(clock.now()).points == granted
