"""Voids and returns at one till."""

from datetime import date

import msgspec
import pytest

from edge.day.day import close_day
from edge.refusals import GoodsMissing, IdReused, TrainingSale
from edge.sale.asks import TakenBack
from edge.sale.taking_back import reversal_again, sale_of, take_back, void_receipt
from edge.sale.till import Till
from loyalty.members import HotlistedCard, Use
from loyalty.programme.programme import read_programme
from loyalty.trouble import Refusal
from sync.lanes import LaneState
from sync.wire import Page
from tests.edge.conftest import OpenTill
from tests.edge.counter import ANA, BEN, NOON_MS, back, commit, line, published, sale, token, void

DAY = date(2026, 3, 5)
ONCE = ", {id: once, limits: {times_in_all: 1}, then: [{kind: points, points: 40}]}"

RULES = """
    sell     S1          kept
    void     S2          receipt.unknown           not of this till
    void     S1          done
    void     S1          done                      a retry changes nothing
    return   B1 S1 1000  return.receipt_voided
    sell     S2          kept
    return   B2 S2 1000  done                      one of two
    return   B2 S2 1000  done                      a retry changes nothing
    return   B2 S2 2000  receipt.id_reused
    void     S2          void.has_returns
    return   B3 S2 2000  return.more_than_sold     one is left
    return   B3 S2 1000  done
    return   B4 S2 1000  return.more_than_sold
    return   B5 S9 1000  return.receipt_unknown
    return   B5 B2 1000  return.receipt_unknown    a return is no receipt
    return   S2 S1 1000  receipt.id_reused         the id of a sale
    return   void:S1 S1 1000  receipt.id_reserved
    sell     S3          kept
    close    -           done
    void     S3          void.day_closed
    void     S1          done                      it was undone before the close
    return   B6 S3 2000  done
    sell     S4          kept
    void     S4          done                      a new day has begun
"""


def outcome_of(till: Till, words: list[str]) -> str:
    try:
        match words:
            case ["sell", receipt_id]:
                till.commit(commit(receipt_id, sale(line(1, "bread", 1_000, 2_000))))
                return "kept"
            case ["void", receipt_id]:
                void_receipt(till, void(receipt_id))
            case ["return", return_id, of, milli]:
                take_back(till, back(return_id, of, (1, int(milli), 500)))
            case ["close", _]:
                close_day(till, DAY)
            case _:
                raise AssertionError(words)
        return "done"
    except Refusal as refusal:
        return refusal.code


def test_what_may_be_voided_and_what_may_come_back(till: Till) -> None:
    for step in RULES.strip().splitlines():
        words = step.split()
        asks = {"sell": 2, "void": 2, "return": 4, "close": 2}[words[0]]
        assert outcome_of(till, words[:asks]) == words[asks], step


def test_a_void_takes_back_the_points_the_spending_and_the_use_of_an_offer(till: Till) -> None:
    till.commit(commit("r1", sale(line(1, "coffee", 2_000), points=300)))
    assert till.balance(ANA).view.balance_points == 707
    done = void_receipt(till, void("r1"))
    assert (done.void.receipt_id, done.void.of.seq, done.void.account_id) == ("void:r1", 2, 1)
    view = till.balance(ANA).view
    # Until the next row the 7 points taken back also count against what may be spent: the careful side.
    assert (view.balance_points, view.spendable_points, view.counters) == (1_000, 993, ())
    assert till.quote(sale(line(1, "coffee", 2_000))).quote.totals.discount_minor == 1_000
    # The float does not come back: head office cannot know yet that it was not used again.
    assert till.journal.float_left(till.clock.now()).points == 4_700


def test_a_void_is_answered_the_same_after_a_restart(till: Till, open_till: OpenTill) -> None:
    till.commit(commit("r1"))
    first = void_receipt(till, void("r1"))
    till.journal.close()
    again = void_receipt(open_till(), msgspec.structs.replace(void("r1"), cashier="somebody else"))
    assert again.replayed
    assert msgspec.structs.replace(again, replayed=False) == first


def test_a_part_that_comes_back_takes_its_share_and_the_parts_make_the_whole(till: Till) -> None:
    # 20.00 less 10 % leaves 18.00; 18 points; 3 pieces.
    till.commit(commit("r1", sale(line(1, "milk", 2_000, 3_000))))
    one = take_back(till, back("b1", "r1", (1, 1_000, 600)))
    assert (one.returned.net_minor, one.returned.reversed[0].points, one.returned.of.seq) == (600, 6, 2)  # type: ignore[union-attr]
    assert one.detail.lines[0].amount_minor == 600
    rest = take_back(till, back("b2", "r1", (1, 2_000, 1_300)))
    assert (rest.returned.net_minor, rest.returned.reversed[0].points) == (1_200, 12)
    assert rest.detail.earlier == one.detail.lines
    # The POS paid out a euro more than we make it: kept beside ours.
    assert rest.detail.lines[0].amount_minor == 1_300
    assert till.balance(ANA).view.balance_points == 1_000


def test_points_that_paid_come_back_with_the_goods(till: Till) -> None:
    till.commit(commit("r1", sale(line(1, "bread", 1_000, 2_000), points=400)))
    done = take_back(till, back("b1", "r1", (1, 1_000, 300)))
    assert (done.returned.restored_points, done.returned.net_minor, done.returned.reversed[0].points) == (200, 300, 3)


def test_without_a_receipt_the_goods_are_priced_as_of_today(till: Till) -> None:
    goods = (line(1, "milk", 2_000),)
    ask = back("b1", None, (1, 1_000, 1_500), goods=goods, currency="EUR", card=ANA)
    done = take_back(till, ask)
    assert (done.returned.of, done.returned.account_id, done.returned.net_minor) == (None, 1, 1_500)
    assert done.returned.reversed[0].points == 18
    assert till.balance(ANA).view.balance_points == 982
    assert take_back(till, ask).head == done.head
    with pytest.raises(IdReused):
        take_back(till, msgspec.structs.replace(ask, card=None))


@pytest.mark.parametrize("goods", [(), (line(2, "milk", 2_000),)])
def test_without_a_receipt_every_line_needs_its_goods(till: Till, goods: tuple[object, ...]) -> None:
    with pytest.raises(Refusal) as refused:
        take_back(till, back("b1", None, (1, 1_000, 1_500), goods=goods, currency="EUR"))
    assert refused.value.code == "return.goods_missing"


def test_goods_without_a_receipt_are_no_visit_of_their_member(till: Till) -> None:
    here = ", {id: here, trigger: {kind: event, event: visit}, then: [{kind: points, points: 5}]}"
    under(till, "earn_tax: in", more=here)
    for return_id in ("b1", "b2"):
        ask = back(return_id, None, (1, 1_000, 1_000), goods=(line(1, "bread", 1_000),), currency="EUR", card=ANA)
        assert figures(take_back(till, ask)) == (1_000, [10], [], 0)
    # The visit is still to come.
    assert [part.points for part in till.commit(commit("r1")).receipt.earned] == [15]


def test_goods_without_a_receipt_take_no_points_of_an_offer_that_is_used_up(till: Till) -> None:
    under(till, "earn_tax: in", more=ONCE)
    till.commit(commit("r1", sale(card=BEN)))
    goods = (line(1, "bread", 1_000),)
    done = take_back(till, back("b1", None, (1, 1_000, 1_000), goods=goods, currency="EUR", card=ANA))
    assert figures(done) == (1_000, [10], [], 0)
    assert done.detail.shared == (Use(name="promo:once", amount=1),)


@pytest.mark.parametrize(
    ("options", "with_tax", "points"),
    [
        ("earn_tax: out", True, 10),
        ("earn_tax: in", True, 12),
        ("earn_tax: out", False, 12),
        ("earn_tax: in", False, 14),
    ],
)
def test_goods_without_a_receipt_are_measured_with_their_tax_or_without(
    till: Till, options: str, with_tax: bool, points: int
) -> None:
    # 12.00 are 10.00 and a fifth of tax; where prices are without it they are 14.40 with it.
    under(till, options)
    goods = (msgspec.structs.replace(line(1, "bread", 1_200), tax_bp=2_000),)
    ask = back("b1", None, (1, 1_000, 1_200), goods=goods, currency="EUR", card=ANA, tax_included=with_tax)
    done = take_back(till, ask)
    assert figures(done) == (1_200, [points], [], 0)
    assert done.detail.tax_included is with_tax


def test_a_blocked_card_may_bring_goods_back(till: Till) -> None:
    row = msgspec.Raw(msgspec.json.encode(HotlistedCard(card_token=token(ANA), reason="stolen")))
    page = Page(lane="hotlist", from_cursor="", to_cursor="1", version=1, more=False, rows=(row,))
    till.cache.take_page(page, LaneState(cursor="1", version=1))
    ask = back("b1", None, (1, 1_000, 900), goods=(line(1, "bread", 900),), currency="EUR", card=ANA)
    assert take_back(till, ask).returned.account_id == 1


def test_nothing_is_kept_of_training(till: Till) -> None:
    till.commit(commit("r1"))
    with pytest.raises(TrainingSale):
        void_receipt(till, msgspec.structs.replace(void("r1"), training=True))
    with pytest.raises(TrainingSale):
        take_back(till, back("b1", "r1", (1, 1_000, 1_000), training=True))
    assert till.journal.head().seq == 2


def test_the_goods_of_a_member_known_by_the_card_alone_come_back_under_its_token(till: Till) -> None:
    stranger = "2990000000033"
    till.commit(commit("r1", sale(card=stranger)))
    done = take_back(till, back("b1", "r1", (1, 1_000, 1_000)))
    assert (done.returned.card_token, done.returned.account_id) == (token(stranger), None)
    assert done.returned.place.sold_at_ms == NOON_MS


def test_a_return_of_nothing_is_refused(till: Till) -> None:
    till.commit(commit("r1"))
    with pytest.raises(GoodsMissing, match="at least one"):
        take_back(till, back("b1", "r1"))
    assert till.journal.find("b1") is None


def test_a_return_is_answered_again_when_its_sale_is_forgotten(till: Till) -> None:
    till.commit(commit("r1"))
    ask = back("b1", "r1", (1, 1_000, 1_000))
    first = take_back(till, ask)
    with till.journal._database.writing() as writer:
        writer.execute("DELETE FROM event WHERE receipt_id = 'r1'")
    assert take_back(till, ask).returned == first.returned
    assert sale_of(till, "r1") is None
    again = reversal_again(till, "b1")
    assert isinstance(again, TakenBack)
    assert again.detail == first.detail


# What the sale's programme says of its return

TEN_DAYS_MS = 10 * 86_400_000


def under(till: Till, options: str, base: str = "points: 1", more: str = "") -> None:
    """Put a programme of base points in force, with these options and perhaps more promotions."""
    text = f"""
id: corner-shop
currency: EUR
options: {{{options}}}
cards: {{ranges: [{{kind: ean13, prefix: "299"}}]}}
lifetime: {{days: 90}}
promotions: [{{id: base, who: {{card: true}}, then: [{{kind: earn, {base}, per_minor: 100}}]}}{more}]
spending: {{step_points: 1, step_minor: 1, offline: {{sale_points: 5000, card_points: 9000, till_points: 9000}}}}
"""
    till.cache.load_programme(read_programme(text))


def figures(done: TakenBack) -> tuple[int, list[int], list[int], int]:
    """Money, points taken back, points earned anew, money kept."""
    back = done.returned
    taken, anew = [part.points for part in back.reversed], [part.points for part in back.earned]
    return back.net_minor, taken, anew, back.withheld_minor


def test_the_till_judges_kept_goods_anew_each_time_and_leaves_nothing_behind(till: Till) -> None:
    under(till, "points_on_return: claw_all")
    till.commit(commit("r1", sale(line(1, "bread", 3_000, 3_000))))
    under(till, "points_on_return: pro_rata", "points: 2")  # what is in force by then is another
    later = {"sold_at_ms": NOON_MS + TEN_DAYS_MS}
    one = take_back(till, msgspec.structs.replace(back("b1", "r1", (1, 1_000, 1_000)), **later))
    assert figures(one) == (1_000, [30], [40], 0)
    # 15 March and 90 days
    assert one.returned.earned[0].valid_through == date(2026, 6, 13)
    assert one.detail.how == "claw_all" and one.detail.standing == one.returned.reversed
    rest = take_back(till, msgspec.structs.replace(back("b2", "r1", (1, 2_000, 2_000)), **later))
    assert figures(rest) == (2_000, [40], [], 0)
    assert till.balance(ANA).view.balance_points == 1_000


def test_goods_that_are_kept_are_not_granted_anew_what_this_till_gave_to_somebody_else(till: Till) -> None:
    under(till, "points_on_return: claw_all", more=ONCE)
    till.commit(commit("r1", sale(card=BEN)))
    till.commit(commit("r2", sale(line(1, "bread", 3_000, 3_000))))
    done = take_back(till, back("b1", "r2", (1, 1_000, 1_000)))
    assert figures(done) == (1_000, [30], [20], 0)
    assert done.detail.shared == (Use(name="promo:once", amount=1),)
    own = take_back(till, back("b2", "r1", (1, 500, 500)))
    assert figures(own) == (500, [50], [45], 0)  # the one that all may have is its own


def test_the_till_recomputes_as_long_as_it_has_the_programme_of_the_sale(till: Till) -> None:
    under(till, "points_on_return: recompute")
    till.commit(commit("r1", sale(line(1, "bread", 1_050, 2_000))))  # 10 points; 5.25 kept would have earned 5
    till.commit(commit("r2", sale(line(1, "bread", 1_050, 3_000))))  # of 7.00 kept 7 remain, a third is 3
    under(till, "points_on_return: pro_rata", "points: 2")
    assert figures(take_back(till, back("b1", "r1", (1, 1_000, 525)))) == (525, [5], [], 0)
    under(till, "points_on_return: pro_rata", "points: 3")
    gone = take_back(till, back("b2", "r2", (1, 1_000, 350)))
    assert (figures(gone), gone.detail.how) == ((350, [3], [], 0), "pro_rata")


CAPPED = """
  , {id: capped, then: [{kind: earn, points: 1, per_minor: 100}], caps: [{most: 100, of: points, per: month}]}"""
SMALL = """
  , {id: small, when: [{kind: spend, at_most_minor: 2000}], limits: {times: 1}, then: [{kind: points, points: 40}]}"""


def test_the_next_sale_is_granted_what_the_goods_that_stand_left_of_a_cap(till: Till) -> None:
    under(till, "points_on_return: recompute", more=CAPPED)
    till.commit(commit("r1", sale(line(1, "bread", 20_000, 4_000))))  # 200 points, and 100 of 200 under the cap
    half = take_back(till, back("b1", "r1", (1, 2_000, 10_000)))  # 100.00 kept earn all of the cap
    assert figures(half) == (10_000, [100], [], 0)
    assert till.quote(sale(line(1, "milk", 5_000))).quote.totals.points_earned == 50
    take_back(till, back("b2", "r1", (1, 1_000, 5_000)))  # 50.00 kept earn half of it
    assert till.quote(sale(line(1, "milk", 9_000))).quote.totals.points_earned == 140


def test_an_offer_that_kept_goods_were_granted_is_used_for_the_next_sale(till: Till) -> None:
    under(till, "points_on_return: claw_all", more=SMALL)
    till.commit(commit("r1", sale(line(1, "bread", 3_000, 3_000))))
    anew = take_back(till, back("b1", "r1", (1, 1_000, 1_000)))
    assert figures(anew) == (1_000, [30], [60], 0)
    assert till.quote(sale(line(1, "milk", 1_000))).quote.totals.points_earned == 10
    take_back(till, back("b2", "r1", (1, 2_000, 2_000)))
    assert till.quote(sale(line(1, "milk", 1_000))).quote.totals.points_earned == 50


def test_the_till_keeps_the_worth_of_points_that_the_member_has_not_any_more(till: Till) -> None:
    under(till, "clawback_short: money")
    till.commit(commit("r1", sale(line(1, "bread", 10_000))))  # 100 points on top of 1,000
    till.commit(commit("r2", sale(line(1, "bread", 1_000), points=1_000)))
    till.cache.load_members([published("ana", points=40, version=3, own_seq=3)])
    done = take_back(till, back("b1", "r1", (1, 1_000, 10_000)))
    assert figures(done) == (9_940, [40], [], 60)
    assert till.balance(ANA).view.balance_points == 0


def test_goods_come_back_to_the_member_who_bought_them_whoever_has_the_card_by_now(till: Till) -> None:
    """After a restore head office may say whose the card is now, and have nothing new to say of whose it was."""
    under(till, "clawback_short: money")
    till.commit(commit("r1", sale(line(1, "bread", 10_000))))  # 100 points on top of Ana's 1,000
    till.cache.load_members([msgspec.structs.replace(published("ben", points=0), cards=(token(ANA), token(BEN)))])
    assert figures(take_back(till, back("b1", "r1", (1, 1_000, 10_000)))) == (10_000, [100], [], 0)


def test_points_of_a_card_that_the_till_does_not_know_are_never_kept_in_money(till: Till) -> None:
    under(till, "clawback_short: money")
    till.commit(commit("r1", sale(card="2990000000033")))
    assert figures(take_back(till, back("b1", "r1", (1, 1_000, 1_000)))) == (1_000, [10], [], 0)


def test_points_that_are_gone_are_let_go_by_void_and_return_where_the_programme_clamps(till: Till) -> None:
    under(till, "clawback_short: clamp")
    for receipt_id in ("r1", "r2"):
        till.commit(commit(receipt_id))
    assert take_back(till, back("b1", "r1", (1, 1_000, 1_000))).returned.clamp
    assert void_receipt(till, void("r2")).void.clamp
