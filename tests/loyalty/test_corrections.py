"""What head office's own facts about an account post: points by hand, lapsed, moved, brought over."""

import msgspec
import pytest

from loyalty.facts.centre_events import Adjusted, Carried, Expired, Moved, Taken
from loyalty.facts.events import Event, encode, own_uses, read_head
from loyalty.ledger.books import Books
from loyalty.lots import Debt, Expiry, Redated, whereabouts
from loyalty.settling.money import balances, money_legs, sum_postings
from loyalty.terms import Terms
from loyalty.trouble import InvariantBroken
from tests.loyalty.build import (
    books,
    day,
    earned,
    held,
    key,
    moves,
    part,
    place,
    post,
    redemption,
    ref,
    sale,
    take_back,
    use,
)  # fmt: skip

TODAY = day("2026-03-02")
WHO = {"account_id": 7, "on": TODAY}


def adjusted(*granted, taken=(), **facts) -> Adjusted:
    usual = {**WHO, "receipt_id": "A1", "at_partner_id": "", "reason": "goodwill", "asked_by": "ana"}
    return Adjusted(**usual | {"granted": granted, "taken": taken} | facts)


def moved(direction: str, *slices, **facts) -> Moved:
    usual = {**WHO, "receipt_id": f"M:{direction}", "other_id": 8, "reason": "lost_card", "asked_by": "ana"}
    return Moved(**usual | {"direction": direction, "slices": slices} | facts)


def expired(on: str = "2026-03-02", **facts) -> Expired:
    return Expired(receipt_id=f"expiry:{on}:7", account_id=7, on=day(on), **facts)


def stock(*slices, account_id: int = 7) -> Books:
    """Books in which an account holds these lots."""
    made = books()
    made.account(account_id).lots = {one.key: one.points for one in slices}
    return made


def lapsed(made: Books, account_id: int = 7) -> list[tuple[str, int]]:
    return [(str(key.valid_through), points) for key, points in made.account(account_id).expired.items() if points]


# By hand


def test_points_given_by_hand_are_issued_under_the_terms_of_the_day():
    made = books()
    posted = post(made, adjusted(earned(50, "bolt")), 1)
    assert moves(posted) == ["issued>available 50 bolt"]
    assert posted.postings[0].key == key("2026-12-31", "bolt", "bolt-1")
    assert (made.account(7).version, posted.account_version) == (1, 1)


def test_points_given_by_hand_repay_what_is_owed():
    made = books()
    post(made, sale("R1", spent=30), 1)
    assert moves(post(made, adjusted(earned(50)), 2)) == ["issued>available 50 acme", "available>redeemed 30 acme"]
    assert made.account(7).debts == []


def test_points_taken_by_hand_are_reversed_soonest_to_lapse_first_of_the_issuer_that_is_named():
    made = stock(part(10, "2026-04-30"), part(5, "2026-03-31", "bolt", "bolt-1"), part(9, "2026-03-31"))
    posted = post(made, adjusted(taken=(Taken(issuer_id="acme", points=12),)), 1)
    assert moves(posted) == ["available>reversed 9 acme", "available>reversed 3 acme"]


def test_points_of_any_issuer_are_taken_in_the_order_of_spending_and_what_lapsed_is_passed_over():
    made = stock(part(10, "2026-03-01"), part(5, "2026-03-31", "bolt", "bolt-1"), part(9, "2026-03-31"))
    posted = post(made, adjusted(taken=(Taken(issuer_id="", points=11),)), 1)
    assert moves(posted) == ["available>reversed 9 acme", "available>reversed 2 bolt"]


def test_what_is_taken_is_not_what_is_given_in_the_same_correction():
    made = stock(part(5, "2026-03-31", "bolt", "bolt-1"))
    posted = post(made, adjusted(earned(5), taken=(Taken(issuer_id="", points=5),)), 1)
    assert moves(posted) == ["available>reversed 5 bolt", "issued>available 5 acme"]


def test_a_correction_that_takes_what_is_not_there_never_becomes_a_posting():
    made = stock(part(5))
    with pytest.raises(InvariantBroken):
        post(made, adjusted(taken=(Taken(issuer_id="bolt", points=1),)), 1)
    with pytest.raises(InvariantBroken):
        post(made, moved("out", part(6)), 1)
    with pytest.raises(InvariantBroken):
        post(made, moved("out", expired=(part(1),)), 1)
    with pytest.raises(InvariantBroken):
        post(made, moved("out", debts=(DEBT,)), 1)


# Lapsed


def test_what_lapses_goes_from_its_lot_to_expired_and_is_remembered_there():
    made = stock(part(10, "2026-03-01"), part(9, "2026-03-02"))
    assert moves(post(made, expired(), 1)) == ["available>expired 10 acme"]
    assert (held(made), lapsed(made)) == ({"acme": 9}, [("2026-03-01", 10)])


def test_the_run_lapses_points_when_the_programme_says():
    made = stock(part(10, "2026-03-01"), part(9, "2026-03-02"))
    assert moves(post(made, expired(expiry=Expiry(when="start_of_day")), 1)) == [
        "available>expired 10 acme", "available>expired 9 acme",
    ]  # fmt: skip


def test_a_sale_made_in_time_that_comes_late_is_paid_from_what_has_lapsed_meanwhile():
    made = stock(part(10, "2026-03-01"), part(9, "2026-12-31"))
    post(made, expired(), 1)
    late = place(business_date=day("2026-03-01"), sold_at_ms=1_772_366_400_000)
    posted = post(made, sale("R1", spent=12, place=late), 2)
    assert moves(posted) == ["expired>redeemed 10 acme", "available>redeemed 2 acme"]
    assert (held(made), lapsed(made), posted.flags) == ({"acme": 7}, [], ())


def test_a_sale_of_a_later_day_does_not_see_what_has_lapsed():
    made = stock(part(10, "2026-03-01"))
    post(made, expired(), 1)
    posted = post(made, sale("R1", spent=4), 2)
    assert (moves(posted), lapsed(made)) == ([], [("2026-03-01", 10)])
    assert [one.points for one in made.account(7).debts] == [4]


def test_a_lot_that_got_points_after_it_lapsed_pays_from_them_first():
    made = stock(part(10, "2026-03-01"))
    post(made, expired(), 1)
    late = place(business_date=day("2026-03-01"), sold_at_ms=1_772_366_400_000)
    post(made, sale("R1", earned(3, valid_through="2026-03-01"), place=late), 2)
    posted = post(made, sale("R2", redemption=redemption(5), place=late), 3)
    assert moves(posted) == ["available>redeemed 3 acme", "expired>redeemed 2 acme"]


def test_points_of_a_late_sale_come_back_into_their_lot_and_lapse_again():
    made = stock(part(10, "2026-03-01"))
    post(made, expired(), 1)
    late = place(business_date=day("2026-03-01"), sold_at_ms=1_772_366_400_000)
    post(made, sale("R1", spent=6, place=late), 2)
    assert moves(post(made, take_back("B1", ref(2), restored=6), 3)) == ["redeemed>available 6 acme"]
    assert moves(post(made, expired("2026-03-03"), 4)) == ["available>expired 6 acme"]


def test_goods_that_come_back_after_their_points_lapsed_take_those_and_no_others_that_lapsed():
    made = books()
    bought = earned(10, valid_through="2026-03-01")
    post(made, sale("R1", bought, place=place(business_date=day("2026-02-20"))), 1)
    made.account(7).lots[key("2026-02-28")] = 20
    post(made, expired(), 2)
    assert moves(post(made, take_back("B1", ref(1), bought), 3)) == ["expired>reversed 10 acme"]
    assert (lapsed(made), made.account(7).debts) == ([("2026-02-28", 20)], [])


def test_a_late_spend_takes_the_breakage_back_to_the_unit():
    """100 points of C lapse; 40 of them were spent at A in time.

    Lapsed: C gets 100 x 2,850 back, the operator keeps 100 x 1,900. Spent: that of 40 goes back, C owes 40 x 4,750,
    A gets 40 x 9,400, and 40 x 100 are the operator's spread.
    """
    terms = {
        "C1": Terms(terms_id="C1", partner_id="C", from_on=day("2026-01-01"), funding_micro=9_500, advance_micro=4_750,
                    expiry_back_micro=2_850),
        "A1": Terms(terms_id="A1", partner_id="A", from_on=day("2026-01-01"), reimburse_micro=9_400),
    }  # fmt: skip
    made = Books(terms.values(), 1)
    made.account(7).lots = {key("2026-03-01", "C", "C1"): 100}
    late = place(partner_id="A", business_date=day("2026-03-01"), sold_at_ms=1_772_366_400_000)
    rows = [*post(made, expired(), 1).postings, *post(made, sale("R1", spent=40, place=late), 2).postings]
    assert balances(leg for sum_ in sum_postings(rows) for leg in money_legs(sum_, terms, "EUR")) == {
        "accrual:A": -376_000,
        "accrual:C": 19_000,
        "income:breakage": -114_000,
        "income:spread": -4_000,
        "reserve:C": 475_000,
    }


# Moved


def test_points_that_move_keep_issuer_terms_and_last_day_and_net_to_zero():
    made = stock(part(10, "2026-04-30", "bolt", "bolt-1"))
    out = post(made, moved("out", part(6, "2026-04-30", "bolt", "bolt-1")), 1)
    came = moved("in", part(6, "2026-04-30", "bolt", "bolt-1"), account_id=8, other_id=7, of=ref(1))
    back = post(made, came, 2, account_id=8)
    assert (moves(out), moves(back)) == (["available>moved 6 bolt"], ["moved>available 6 bolt"])
    assert (held(made), held(made, 8)) == ({"bolt": 4}, {"bolt": 6})
    assert money_legs(sum_postings([*out.postings])[0], {one.terms_id: one for one in made.terms}, "EUR") == ()


def test_points_that_arrive_repay_what_is_owed_there():
    made = stock(part(10))
    post(made, sale("R1", spent=4, account_id=8), 1, account_id=8)
    post(made, moved("out", part(10)), 2)
    posted = post(made, moved("in", part(10), account_id=8, other_id=7, of=ref(2)), 3, account_id=8)
    assert moves(posted) == ["moved>available 10 acme", "available>redeemed 4 acme"]


def test_a_debt_that_comes_along_meets_the_points_that_are_there():
    made = stock(part(10), account_id=8)
    post(made, sale("R1", spent=4), 1)
    (debt,) = made.account(7).debts
    post(made, moved("out", debts=(debt,), closes=True), 2)
    assert made.account(7).debts == []
    there = msgspec.structs.replace(debt, account_id=8)
    posted = post(made, moved("in", account_id=8, other_id=7, debts=(there,), closes=True, of=ref(2)), 3, account_id=8)
    assert (moves(posted), made.account(8).debts) == (["available>redeemed 4 acme"], [])


def test_goods_of_an_account_that_was_merged_come_back_to_the_one_it_lives_on_in():
    made = books()
    post(made, sale("R1", earned(10)), 1)
    post(made, moved("out", part(10, "2026-12-31"), closes=True), 2)
    there = {"account_id": 8, "other_id": 7, "closes": True, "of": ref(2)}
    post(made, moved("in", part(10, "2026-12-31"), **there), 3, account_id=8)
    posted = post(made, take_back("B1", ref(1), earned(10)), 4)
    assert (posted.account_id, moves(posted), held(made, 8)) == (8, ["available>reversed 10 acme"], {})


def test_counters_come_along_with_the_arrival():
    came = moved("in", account_id=8, other_id=7, uses=(use("promo:milk"),), closes=True)
    assert own_uses(came) == (use("promo:milk"),)


def test_what_lapsed_comes_along_for_sales_that_come_late():
    made = stock(part(10, "2026-03-01"))
    post(made, expired(), 1)
    lapsed_part = (part(10, "2026-03-01"),)
    assert moves(post(made, moved("out", expired=lapsed_part), 2)) == ["expired>moved 10 acme"]
    came = moved("in", account_id=8, other_id=7, expired=lapsed_part, of=ref(2))
    assert moves(post(made, came, 3, account_id=8)) == ["moved>expired 10 acme"]
    assert (lapsed(made), lapsed(made, 8)) == ([], [("2026-03-01", 10)])


def ages(made: Books, account_id: int = 7) -> list[tuple[str, int, str]]:
    """Last valid day, points and the day since when they are held, of each lot."""
    return [(str(lot.key.valid_through), lot.points, str(lot.earned_on)) for lot in made.lots(account_id)]


def test_points_that_move_stay_as_old_as_they_are():
    made = books()
    post(made, sale("R1", earned(10), place=place(business_date=day("2026-01-10"))), 1)
    came = {"account_id": 8, "other_id": 7, "of": ref(2)}
    post(made, moved("out", part(10, "2026-12-31"), earned_on=(day("2026-01-10"),)), 2)
    post(made, moved("in", part(10, "2026-12-31"), earned_on=(day("2026-01-10"),), **came), 3, account_id=8)
    assert ages(made, 8) == [("2026-12-31", 10, "2026-01-10")]


@pytest.mark.parametrize(
    ("there", "comes", "then"),
    [
        ("2026-01-10", "2026-02-01", "2026-01-10"),
        ("2026-02-01", "2026-01-10", "2026-01-10"),
        ("2026-02-01", None, "None"),  # nobody remembers since when, so they are older than all others
        (None, "2026-01-10", "None"),
    ],
)
def test_of_points_that_come_together_the_oldest_say_how_old_the_lot_is(there, comes, then):
    made = stock(part(5))
    made.account(7).earned_on = {key(): day(there)} if there else {}
    post(made, moved("in", part(10), earned_on=(day(comes) if comes else None,), of=ref(1)), 2)
    assert ages(made) == [("9999-12-31", 15, then)]


def test_points_of_which_nobody_remembers_the_age_leave_none_behind_in_a_lot_that_was_empty():
    made = stock(part(0))
    made.account(7).earned_on = {key(): day("2026-02-01")}
    post(made, moved("in", part(10), earned_on=(None,), of=ref(1)), 2)
    assert ages(made) == [("9999-12-31", 10, "None")]


def test_a_move_that_says_nothing_of_age_counts_from_its_day():
    made = books()
    post(made, moved("in", part(10), of=ref(1)), 2)
    assert ages(made) == [("9999-12-31", 10, "2026-03-02")]


def redated(made: Books, points: int = 10, to: str = "2026-03-31") -> None:
    """The lot of the year's end gets an earlier day."""
    here = {"other_id": 7, "reason": "last_day"}
    post(made, moved("out", part(points, "2026-12-31"), **here), 2)
    there = (Redated(key=key("2026-12-31"), valid_through=day(to)),)
    post(made, moved("in", part(points, to), redated=there, of=ref(2), **here), 3)


def test_goods_that_come_back_after_the_last_day_find_their_points_where_they_were_brought_to():
    made = books()
    post(made, sale("R1", earned(10)), 1)
    redated(made)
    post(made, expired("2026-04-01"), 4)
    assert lapsed(made) == [("2026-03-31", 10)]
    assert moves(post(made, take_back("B1", ref(1), earned(4)), 5)) == ["expired>reversed 4 acme"]
    assert moves(post(made, take_back("B2", ref(1), earned(6)), 6)) == ["expired>reversed 6 acme"]
    assert (lapsed(made), made.account(7).debts) == ([], [])


def test_goods_that_come_back_take_points_with_a_new_last_day_before_the_issuers_others():
    made = books()
    post(made, sale("R1", earned(10)), 1)
    post(made, sale("R2", earned(7, valid_through="2026-03-10")), 2)
    redated(made)
    (row,) = post(made, take_back("B1", ref(1), earned(10)), 5).postings
    assert (row.key, row.amount) == (key("2026-03-31"), 10)
    assert held(made) == {"acme": 7}


def test_points_that_lapsed_where_others_were_brought_are_found_lot_by_lot():
    # 10 were brought to March and lapsed; 5 came into the old lot afterwards and are still there.
    made = books()
    post(made, sale("R1", earned(15)), 1)
    made.account(7).lots[key("2026-12-31")] = 10
    redated(made)
    post(made, expired("2026-04-01"), 4)
    made.account(7).lots[key("2026-12-31")] = 5
    posted = post(made, take_back("B1", ref(1), earned(15)), 5)
    assert moves(posted) == ["expired>reversed 10 acme", "available>reversed 5 acme"]


def test_a_lot_that_was_brought_from_day_to_day_is_followed_to_the_end_and_never_round():
    to = {
        key("2026-12-31"): day("2026-06-30"),
        key("2026-06-30"): day("2026-03-31"),
        key("2026-03-31"): day("2026-06-30"),
    }
    assert whereabouts(key("2026-12-31"), to) == (key("2026-12-31"), key("2026-06-30"), key("2026-03-31"))
    assert whereabouts(key("2026-04-30"), to) == (key("2026-04-30"),)


# Brought over


def test_points_of_an_older_scheme_are_issued_under_the_terms_they_name():
    made = books()
    old = Carried(**WHO, receipt_id="O1", scheme="stamps", slices=(part(70, "2027-01-31", "bolt", "old-1"),))
    posted = post(made, old, 1)
    assert (moves(posted), posted.postings[0].key.terms_id) == (["issued>available 70 bolt"], "old-1")


DEBT = Debt(
    account_id=7, issuer_id=None, terms_id=None, at_partner_id="acme", at_terms_id="acme-1", points=4, of=ref(1)
)


@pytest.mark.parametrize(
    "event",
    [
        adjusted(earned(5), taken=(Taken(issuer_id="", points=3),), note="as agreed", approved_by="bea"),
        expired(expiry=Expiry(when="instant", at="12:00")),
        moved("out", part(5), debts=(DEBT,), expired=(part(1),), uses=(use("visits"),), of=ref(1), closes=True),
        moved(
            "in",
            part(5),
            part(6),
            earned_on=(day("2026-01-10"), None),
            redated=(Redated(key=key("2026-12-31"), valid_through=day("2026-03-31")),),
        ),
        Carried(**WHO, receipt_id="O1", scheme="stamps", slices=(part(5),)),
    ],
    ids=lambda event: type(event).__name__,
)
def test_they_are_read_back_as_they_were_written(event: Event):
    assert read_head(encode(event)) == event
