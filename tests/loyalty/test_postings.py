"""Postings and books: facts become ledger rows; no points appear or vanish, whatever comes in which order."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from loyalty.facts.events import Opened, PeriodTurned
from loyalty.facts.fixed import Fixed
from loyalty.facts.receipts import Funded
from loyalty.ledger.books import NO_TERMS, NOBODY, Books, Posted, Posting, same_debt
from loyalty.ledger.postings import post_event
from loyalty.lots import Expiry, Lot
from loyalty.terms import Terms
from tests.loyalty.build import (
    TERMS,
    books,
    claims,
    day,
    earned,
    held,
    key,
    lot,
    moves,
    part,
    place,
    post,
    redemption,
    ref,
    sale,
    take_back,
    use,
    void,
)


def flags(posted):
    return [flag.cause for flag in posted.flags]


def debts(on, account_id=7):
    """Debts as `(issuer, points)`; an uncovered spend has no issuer."""
    return [(debt.issuer_id, debt.points) for debt in on.account(account_id).debts]


def stocked(*lots):
    """Books in which account 7 holds these lots."""
    on = books()
    on.account(7).lots = {one.key: one.points for one in lots}
    return on


# Sales


def test_points_earned_become_a_lot_of_their_issuer_under_the_terms_of_the_day():
    on = books()
    posted = post(on, sale("R1", earned(10), earned(4, "bolt")), 1)
    assert moves(posted) == ["issued>available 10 acme", "issued>available 4 bolt"]
    assert on.account(7).lots == {key("2026-12-31"): 10, key("2026-12-31", "bolt", "bolt-1"): 4}
    assert (posted.account_version, on.account(7).version, [row.n for row in posted.postings]) == (1, 1, [1, 2])


def test_points_under_the_same_key_merge_into_one_lot():
    on = books()
    post(on, sale("R1", earned(10)), 1)
    post(on, sale("R2", earned(5)), 2)
    assert on.account(7).lots == {key("2026-12-31"): 15}


def test_a_redemption_uses_lots_in_spending_order_and_names_who_is_reimbursed():
    on = stocked(lot(30, "2026-12-31", "bolt", "bolt-1"), lot(20, "2026-06-30"))
    posted = post(on, sale("R1", spent=40), 1)
    assert moves(posted) == ["available>redeemed 20 acme", "available>redeemed 20 bolt"]
    assert {(row.at_partner_id, row.at_terms_id, row.priced_by) for row in posted.postings} == {
        ("acme", "acme-1", "reimburse")
    }
    assert held(on) == {"bolt": 10}


def test_a_sale_never_spends_what_it_earns():
    on = books()
    posted = post(on, sale("R1", earned(10), spent=10), 1)
    assert moves(posted) == ["issued>available 10 acme"]
    assert (flags(posted), held(on), debts(on)) == (["uncovered"], {"acme": 10}, [(None, 10)])


def test_a_sale_may_spend_what_it_earns_where_the_programme_lets_it():
    on = books()
    posted = post(on, sale("R1", earned(10), spent=8, spends_own=True), 1)
    assert moves(posted) == ["issued>available 10 acme", "available>redeemed 8 acme"]
    assert (flags(posted), held(on), debts(on)) == ([], {"acme": 2}, [])


def test_a_sale_that_spends_what_it_earns_repays_debts_with_the_rest_only():
    on = books()
    post(on, sale("R1", spent=30), 1)
    posted = post(on, sale("R2", earned(50), spent=40, spends_own=True), 2)
    assert moves(posted) == ["issued>available 50 acme", "available>redeemed 40 acme", "available>redeemed 10 acme"]
    assert [row.of for row in posted.postings if row.unit == "point"] == [ref(2), ref(2), ref(1)]
    assert (flags(posted), held(on), debts(on)) == ([], {}, [(None, 20)])


def test_points_are_spent_in_the_order_and_until_the_time_that_their_sale_tells():
    # 10 points earned in January lapse in December, 10 earned in February lapse on 2 March.
    def told(**options):
        on = books()
        post(on, sale("R1", earned(10), place=place(business_date=day("2026-01-05"))), 1)
        february = place(business_date=day("2026-02-20"))
        post(on, sale("R2", earned(10, valid_through="2026-03-02"), place=february), 2)
        post(on, sale("R3", redemption=redemption(15, **options)), 3)  # on 2 March at noon
        return {str(one.key.valid_through): one.points for one in on.lots(7)}, debts(on)

    assert told() == ({"2026-12-31": 5}, [])
    assert told(lot_order="first_earned") == ({"2026-03-02": 5}, [])
    assert told(expiry=Expiry(when="start_of_day")) == ({"2026-03-02": 10}, [(None, 5)])
    assert told(expiry=Expiry(when="instant", at="12:00")) == ({"2026-03-02": 10}, [(None, 5)])
    assert told(expiry=Expiry(when="instant", at="12:01")) == ({"2026-12-31": 5}, [])


def test_one_sale_after_the_other_is_spent_as_its_own_programme_told_its_till():
    on = books()
    post(on, sale("R1", earned(10), place=place(business_date=day("2026-01-05"))), 1)
    post(on, sale("R2", earned(10, valid_through="2026-06-30"), place=place(business_date=day("2026-02-20"))), 2)
    post(on, sale("R3", redemption=redemption(4, lot_order="first_earned")), 3)
    post(on, sale("R4", spent=3), 4)
    assert on.account(7).lots == {key("2026-12-31"): 6, key("2026-06-30"): 7}


def test_points_of_a_sale_that_comes_late_make_their_lot_older_for_the_very_sale():
    on = books()
    days = [place(business_date=day(text)) for text in ("2026-02-10", "2026-02-05", "2026-02-03")]
    post(on, sale("R1", earned(10), place=days[0]), 1)
    post(on, sale("R2", earned(10, valid_through="2026-06-30"), place=days[1]), 2)
    own = redemption(8, lot_order="first_earned")
    post(on, sale("R3", earned(5), redemption=own, spends_own=True, place=days[2]), 3)
    assert on.account(7).lots == {key("2026-12-31"): 7, key("2026-06-30"): 10}


def test_a_lot_remembers_when_it_was_first_earned_until_it_is_empty():
    on, lots = books(), key("2026-12-31")
    days = [place(business_date=day(text)) for text in ("2026-02-10", "2026-02-03", "2026-02-17", "2026-02-24")]
    post(on, sale("R1", earned(10), place=days[0]), 1)
    post(on, sale("R2", earned(10), place=days[1]), 2)  # came late
    post(on, sale("R3", earned(10), place=days[2]), 3)
    assert on.lots(7) == (Lot(key=lots, points=30, earned_on=day("2026-02-03")),)
    post(on, sale("R4", spent=30, place=days[3]), 4)
    post(on, take_back("B1", ref(4), restored=10), 5)
    assert on.lots(7) == (Lot(key=lots, points=10, earned_on=day("2026-02-03")),)
    post(on, sale("R5", spent=10), 6)
    post(on, sale("R6", earned(10), place=days[3]), 7)
    assert on.lots(7) == (Lot(key=lots, points=10, earned_on=day("2026-02-24")),)


def test_points_that_nobody_remembers_the_earning_of_stay_the_oldest():
    on = stocked(lot(5, "2026-12-31"))
    post(on, sale("R1", earned(10)), 1)
    assert on.lots(7) == (lot(15, "2026-12-31"),)


def test_what_concerns_no_account_is_posted_beside_what_does():
    event = sale("R1", account_id=None, shared_uses=(use("coupon:C1"),))
    posted = post(books(), event, 1, account_id=None)
    assert (posted.uses, posted.shared_uses) == ((), (use("coupon:C1"),))
    back = msgspec.structs.replace(void(ref(1)), shared_uses=(use("coupon:C1", -1),))
    on = books()
    post(on, event, 1, account_id=None)
    assert post(on, back, 2).shared_uses == (use("coupon:C1", -1),)


def test_lapsed_points_do_not_pay():
    on = stocked(lot(50, "2026-03-01"), lot(5, "2026-03-02"))
    assert moves(post(on, sale("R1", spent=20), 1)) == ["available>redeemed 5 acme"]
    assert debts(on) == [(None, 15)]


def test_a_discount_that_another_partner_funds_is_posted_in_currency():
    posted = post(books(), sale("R1", funded=(Funded(partner_id="bolt", amount_minor=150),)), 1, account_id=None)
    (row,) = posted.postings
    assert (row.unit, row.source, row.target, row.amount, row.key.issuer_id) == (
        "currency",
        "issued",
        "redeemed",
        150,
        "bolt",
    )
    assert (row.account_id, row.account_version, row.at_partner_id) == (NOBODY, 0, "acme")


def test_an_anonymous_receipt_posts_nothing_and_is_remembered():
    on = books()
    posted = post(on, sale("R1", account_id=None), 1, account_id=None)
    assert (posted.postings, posted.flags) == ((), ())
    assert on.recorded(ref(1)).net_minor == 1000


def test_points_earned_by_nobody_are_flagged_and_not_issued():
    posted = post(books(), sale("R1", earned(10)), 1, account_id=None)
    assert (posted.postings, flags(posted)) == ((), ["earned_by_nobody"])


def test_an_issuer_without_terms_is_flagged_and_still_issues():
    on = books()
    posted = post(on, sale("R1", earned(10, "stranger")), 1)
    assert flags(posted) == ["no_terms"]
    assert on.account(7).lots == {key("2026-12-31", "stranger", NO_TERMS): 10}


def test_a_partner_without_terms_is_not_flagged_for_sales_that_move_no_points():
    on = Books((), 1)
    assert flags(post(on, sale("R1", account_id=None), 1, account_id=None)) == []
    assert flags(post(on, sale("R2"), 2)) == []


def test_parts_of_one_lot_that_come_apart_in_a_head_are_granted_as_one():
    on = books()
    post(on, sale("R1", earned(10), earned(5)), 1)
    posted = post(on, void(ref(1)), 2)
    assert (moves(posted), held(on)) == (["available>reversed 15 acme"], {})


def test_events_without_points_change_nothing():
    on = books()
    for seq, event in enumerate(
        (
            Opened(receipt_id="opened:1", reason="new"),
            PeriodTurned(receipt_id="p", period_no=1, through=day("2026-03-31")),
        )
    ):
        assert post(on, event, seq) == Posted(ref=ref(seq))


def test_uses_are_counted_for_a_member_and_for_nobody_else():
    event = sale("R1", uses=(use("promo:a"),))
    assert post(books(), event, 1).uses == (use("promo:a"),)
    assert post(books(), event, 1, account_id=None).uses == ()


# Debts


def test_an_uncovered_spend_is_paid_by_the_next_points_as_a_redemption_where_it_was_made():
    on = books()
    post(on, sale("R1", spent=30, place=place(partner_id="bolt")), 1)
    posted = post(on, sale("R2", earned(50)), 2)
    assert moves(posted) == ["issued>available 50 acme", "available>redeemed 30 acme"]
    paid = posted.postings[1]
    assert (paid.at_partner_id, paid.at_terms_id, paid.of, paid.by) == ("bolt", "bolt-1", ref(1), ref(2))
    assert (held(on), debts(on)) == ({"acme": 20}, [])


def test_what_nothing_covers_is_withheld_from_the_partner_where_it_was_spent_until_points_cover_it():
    on = books()
    spent = post(on, sale("R1", earned(9), spent=30, place=place(partner_id="bolt")), 1)
    # What a sale earns does not cover what it spends.
    assert claims(spent) == [("bolt", 30, "bolt-1", 1)]
    on.period_no = 2
    partly = post(on, sale("R2", earned(15)), 2)
    # They correct the period in which the points were spent.
    assert claims(partly) == [("bolt", -15, "bolt-1", 1)]
    assert [(row.of, row.by) for row in partly.postings if row.unit == "claim"] == [(ref(1), ref(2))]
    rest = post(on, sale("R3", earned(50)), 3)
    assert (claims(rest), held(on), debts(on)) == ([("bolt", -15, "bolt-1", 1)], {"acme": 44}, [])


def test_what_nothing_covered_and_came_back_is_not_withheld_any_more():
    on = books()
    post(on, sale("R1", spent=30), 1)
    assert claims(post(on, take_back("B1", ref(1), restored=10), 2)) == [("acme", -10, "acme-1", 1)]
    assert claims(post(on, void(ref(1)), 3)) == [("acme", -20, "acme-1", 1)]


def test_points_that_goods_took_with_them_are_owed_to_their_issuer_and_withheld_from_nobody():
    on = books()
    post(on, sale("R1", earned(10)), 1)
    post(on, sale("R2", spent=10), 2)
    posted = post(on, take_back("B1", ref(1), earned(10)), 3)
    assert (debts(on), claims(posted)) == ([("acme", 10)], [])
    assert claims(post(on, sale("R3", earned(10)), 4)) == []


def test_a_spend_of_nobody_can_never_be_covered_so_nothing_is_claimed_for_it():
    posted = post(books(), sale("R1", spent=30), 1, account_id=None)
    assert (posted.postings, flags(posted)) == ((), ["uncovered"])


def test_the_oldest_debt_is_repaid_first():
    on = books()
    post(on, sale("R1", spent=30), 1)
    post(on, sale("R2", spent=20), 2)
    post(on, sale("R3", earned(40)), 3)
    assert (held(on), debts(on)) == ({}, [(None, 10)])


def test_points_already_spent_when_goods_come_back_are_owed():
    on = books()
    post(on, sale("R1", earned(50)), 1)
    post(on, sale("R2", spent=50), 2)
    posted = post(on, take_back("B1", ref(1), earned(50)), 3)
    assert (posted.postings, debts(on)) == ((), [("acme", 50)])


def test_a_debt_repaid_by_its_own_issuer_is_a_reversal_and_by_another_a_redemption_at_the_funding_price():
    on = books()
    post(on, sale("R1", earned(50)), 1)
    post(on, sale("R2", spent=50), 2)
    post(on, take_back("B1", ref(1), earned(50)), 3)
    own = post(on, sale("R3", earned(20)), 4)
    assert moves(own) == ["issued>available 20 acme", "available>reversed 20 acme"]
    other = post(on, sale("R4", earned(40, "bolt")), 5)
    assert moves(other) == ["issued>available 40 bolt", "available>redeemed 30 bolt"]
    paid = other.postings[1]
    assert (paid.at_partner_id, paid.at_terms_id, paid.priced_by) == ("acme", "acme-1", "funding")
    assert (held(on), debts(on)) == ({"bolt": 10}, [])


# Reversals


def test_a_return_takes_back_what_was_granted_and_restores_what_was_spent():
    on = stocked(lot(100, "2026-06-30"))
    post(on, sale("R1", earned(10), spent=60), 1)
    posted = post(on, take_back("B1", ref(1), earned(5), restored=30, net_minor=500), 2)
    assert moves(posted) == ["redeemed>available 30 acme", "available>reversed 5 acme"]
    assert held(on) == {"acme": 75}  # 100 - 60 + 10, then 30 back and 5 taken


def test_a_clawback_prefers_the_granted_lot_then_its_issuer_then_any():
    on = books()
    post(on, sale("R1", earned(10)), 1)
    post(on, sale("R2", earned(10, "bolt")), 2)
    post(on, sale("R3", earned(4, valid_through="2026-06-30")), 3)
    on.account(7).lots[key("2026-12-31")] = 3
    posted = post(on, take_back("B1", ref(1), earned(10)), 4)
    assert moves(posted) == ["available>reversed 3 acme", "available>reversed 4 acme", "available>redeemed 3 bolt"]


def test_a_void_leaves_nothing_of_the_receipt():
    on = stocked(lot(100, "2026-06-30"))
    funded = (Funded(partner_id="bolt", amount_minor=150),)
    post(on, sale("R1", earned(10), earned(4, "core"), spent=60, funded=funded), 1)
    posted = post(on, void(ref(1)), 2)
    assert moves(posted) == [
        "redeemed>available 60 acme",
        "available>reversed 10 acme",
        "available>reversed 4 core",
        "redeemed>issued 150 bolt",
    ]
    assert (on.lots(7), debts(on)) == ((lot(100, "2026-06-30"),), [])
    left = on.recorded(ref(1))
    assert (left.granted, left.redeemed, left.funded, left.net_minor) == ((), (), (), 0)


def test_a_void_takes_what_returns_have_left_and_posts_nothing_of_nothing():
    on = books()
    post(on, sale("R1", earned(10), funded=(Funded(partner_id="bolt", amount_minor=150),)), 1)
    whole = {"net_minor": 1000, "funded": (Funded(partner_id="bolt", amount_minor=150),)}
    post(on, take_back("B1", ref(1), earned(10), **whole), 2)
    assert post(on, void(ref(1)), 3).postings == ()


def test_a_void_of_a_spend_that_nothing_covered_cancels_the_debt():
    on = stocked(lot(20, "2026-06-30"))
    post(on, sale("R1", spent=50), 1)
    posted = post(on, void(ref(1)), 2)
    assert (moves(posted), held(on), debts(on)) == (["redeemed>available 20 acme"], {"acme": 20}, [])


def test_a_void_of_a_spend_covered_later_gives_those_points_back():
    on = books()
    post(on, sale("R1", spent=50), 1)
    post(on, sale("R2", earned(30, "bolt")), 2)
    posted = post(on, void(ref(1)), 3)
    assert (moves(posted), held(on), debts(on)) == (["redeemed>available 30 bolt"], {"bolt": 30}, [])


def test_goods_of_a_voided_receipt_that_come_back_all_the_same_change_nothing_and_are_flagged():
    on = stocked(lot(100, "2026-06-30"))
    post(on, sale("R1", earned(10), spent=60), 1)
    post(on, void(ref(1)), 2)
    posted = post(on, take_back("B1", ref(1), earned(10), restored=60, net_minor=1000), 3)
    assert flags(posted) == ["returned_twice", "returned_twice", "restored_more_than_spent"]
    assert (posted.postings, held(on), debts(on)) == ((), {"acme": 100}, [])


def test_two_tills_that_take_back_the_same_goods_are_flagged_and_only_what_was_left_is_posted():
    on = books()
    post(on, sale("R1", earned(10), spent=0), 1)
    post(on, take_back("B1", ref(1), earned(10), net_minor=1000), 2)
    posted = post(on, take_back("B2", ref(1), earned(10), net_minor=1000, restored=5), 3)
    assert flags(posted) == ["returned_twice", "returned_twice", "restored_more_than_spent"]
    assert (posted.postings, posted.reversed.net_minor, on.recorded(ref(1)).net_minor) == ((), 0, 0)


def test_a_return_that_comes_before_its_receipt_waits_and_does_nothing():
    on = books()
    posted = post(on, take_back("B1", ref(9), earned(10)), 1)
    assert posted == Posted(ref=ref(1), waits_for=ref(9))
    assert (on.account(7).version, on.lots(7)) == (0, ())


def test_a_return_posts_on_the_account_of_its_receipt_whoever_brings_the_goods():
    on = books()
    post(on, sale("R1", earned(10)), 1)
    posted = post(on, take_back("B1", ref(1), earned(10)), 2, account_id=8)
    assert (posted.account_id, held(on, 8)) == (7, {})


def test_a_return_without_a_receipt_takes_points_and_gives_none_back():
    on = stocked(lot(4, "2026-12-31"))
    posted = post(on, take_back("B1", None, earned(10)), 1)
    assert (moves(posted), debts(on)) == (["available>reversed 4 acme"], [("acme", 6)])


def test_a_return_without_receipt_or_card_posts_only_funded_discounts():
    event = take_back("B1", None, earned(10), funded=(Funded(partner_id="bolt", amount_minor=50),), account_id=None)
    assert moves(post(books(), event, 1, account_id=None)) == ["redeemed>issued 50 bolt"]


def test_points_that_come_back_repay_what_is_owed_like_new_ones():
    on = stocked(lot(50, "2026-06-30"))
    post(on, sale("R1", earned(50)), 1)
    post(on, sale("R2", spent=100), 2)
    post(on, take_back("B1", ref(1), earned(50)), 3)
    assert (held(on), debts(on)) == ({}, [("acme", 50)])
    posted = post(on, take_back("B2", ref(2), restored=100), 4)
    assert moves(posted) == ["redeemed>available 50 acme", "redeemed>available 50 acme", "available>reversed 50 acme"]
    assert (posted.postings[2].of, on.account(7).lots[key("2026-06-30")]) == (ref(3), 0)
    assert (held(on), debts(on)) == ({"acme": 50}, [])


def test_points_that_are_gone_are_let_go_where_the_event_says_so():
    on = books()
    post(on, sale("R1", earned(50)), 1)
    post(on, sale("R2", spent=30), 2)
    posted = post(on, take_back("B1", ref(1), earned(50), clamp=True), 3)
    assert (moves(posted), debts(on), flags(posted)) == (["available>reversed 20 acme"], [], ["clawback_clamped"])
    assert posted.flags[0].figures == {"asked": 50, "taken": 20, "let_go": 30}
    left = on.recorded(ref(1))
    assert left.granted == ()


def test_a_void_and_a_return_without_a_receipt_let_go_too():
    on = books()
    post(on, sale("R1", earned(50)), 1)
    post(on, sale("R2", spent=30), 2)
    assert flags(post(on, msgspec.structs.replace(void(ref(1)), clamp=True), 3)) == ["clawback_clamped"]
    assert flags(post(on, take_back("B1", None, earned(5), clamp=True), 4)) == ["clawback_clamped"]
    assert (held(on), debts(on)) == ({}, [])


def test_points_kept_in_money_are_neither_taken_nor_owed_nor_taken_later():
    on = books()
    post(on, sale("R1", earned(50)), 1)
    post(on, sale("R2", spent=40), 2)
    bought = {"net_minor": 980, "withheld_minor": 20, "withheld": (earned(40),)}
    posted = post(on, take_back("B1", ref(1), earned(10), **bought), 3)
    assert (moves(posted), flags(posted), debts(on)) == (["available>reversed 10 acme"], [], [])
    assert posted.reversed.granted == (part(50, "2026-12-31"),)
    assert (on.recorded(ref(1)).granted, on.recorded(ref(1)).net_minor) == ((), 0)
    assert post(on, void(ref(1)), 4).postings == ()


def test_money_kept_back_counts_among_what_was_returned():
    on = books()
    post(on, sale("R1", earned(50)), 1)
    bought = {"net_minor": 980, "withheld_minor": 21, "withheld": (earned(42),)}
    posted = post(on, take_back("B1", ref(1), earned(9), **bought), 2)
    assert flags(posted) == ["returned_twice", "returned_twice"]  # a cent, and a point
    assert [flag.figures for flag in posted.flags] == [
        {"returned_minor": 1001, "left_minor": 1000}, {"asked": 42, "left": 41},
    ]  # fmt: skip


def test_what_kept_goods_earn_anew_belongs_to_the_receipt_and_to_the_period_it_was_granted_in():
    on = books(period_no=1)
    post(on, sale("R1", earned(50)), 1)
    on.period_no = 2
    later = place(business_date=day("2027-01-05"))
    anew = (earned(30, valid_through="2027-12-31"),)
    posted = post(on, take_back("B1", ref(1), earned(50), earned=anew, place=later), 2)
    assert moves(posted) == ["issued>available 30 acme", "available>reversed 50 acme"]
    assert [(row.of, row.origin_period_no) for row in posted.postings] == [(ref(1), 2), (ref(2), 1)]
    assert on.recorded(ref(1)).granted == (part(30, "2027-12-31"),)
    last = post(on, void(ref(1)), 3)
    assert (moves(last), held(on), on.recorded(ref(1)).granted) == (["available>reversed 30 acme"], {}, ())


def test_what_kept_goods_earn_anew_meets_what_is_taken_back_of_points_that_are_gone():
    on = books()
    post(on, sale("R1", earned(50)), 1)
    post(on, sale("R2", spent=50), 2)
    anew = (earned(30, valid_through="2027-12-31"),)
    post(on, take_back("B1", ref(1), earned(50), earned=anew), 3)
    assert (held(on), debts(on)) == ({}, [("acme", 20)])


def test_points_of_one_day_under_two_contracts_come_back_from_both_lots():
    """Points granted anew under later terms lapse on the same day as those of the sale."""
    terms = (*TERMS, Terms(terms_id="acme-2", partner_id="acme", from_on=day("2026-03-03")))
    on = Books(terms, 1)
    post(on, sale("R1", earned(50)), 1)
    tomorrow = place(business_date=day("2026-03-03"))
    post(on, take_back("B1", ref(1), earned(20), earned=(earned(15),), place=tomorrow), 2)
    assert {one.key.terms_id: one.points for one in on.recorded(ref(1)).granted} == {"acme-1": 30, "acme-2": 15}
    posted = post(on, take_back("B2", ref(1), earned(45), place=tomorrow), 3)
    assert (flags(posted), held(on), on.recorded(ref(1)).granted) == ([], {}, ())


def test_a_reversal_corrects_the_period_of_its_receipt():
    on = books(period_no=1)
    post(on, sale("R1", earned(10)), 1)
    on.period_no = 2
    (row,) = post(on, take_back("B1", ref(1), earned(10)), 2).postings
    assert (row.period_no, row.origin_period_no) == (2, 1)


def test_a_debt_repaid_corrects_the_period_it_came_from():
    on = books(period_no=1)
    post(on, sale("R1", spent=10), 1)
    on.period_no = 3
    paid = post(on, sale("R2", earned(10)), 2).postings[1]
    assert (paid.period_no, paid.origin_period_no) == (3, 1)


def test_posting_changes_nothing_until_it_is_taken_in():
    on = books()
    first, again = (post_event(sale("R1", earned(10)), ref(1), 7, on) for _ in range(2))
    assert first == again
    assert (on.lots(7), on.recorded(ref(1))) == ((), None)


# Two receipts with one place


def test_goods_of_a_receipt_whose_place_another_one_has_wait_for_it_and_take_nothing_from_the_other():
    on = books()
    post(on, sale("R1", earned(50)), 1)
    back = take_back("B1", ref(1), earned(20), restored=5, of_receipt="R2", account_id=8)
    posted = post(on, back, 2, account_id=8)
    assert (posted.waits_for, posted.postings, posted.reversed) == (ref(1), (), None)
    assert [(one.of, one.cause, one.figures) for one in posted.flags] == [
        (ref(2), "other_receipt", {"named": "R2", "found": "R1"})
    ]
    assert (held(on), on.recorded(ref(1)).net_minor) == ({"acme": 50}, 1000)


def test_a_void_of_a_receipt_whose_place_another_one_has_undoes_nothing():
    on = books()
    post(on, sale("R1", earned(50)), 1)
    posted = post(on, void(ref(1), "R2"), 2)
    assert (posted.waits_for, posted.postings, flags(posted)) == (ref(1), (), ["other_receipt"])
    assert held(on) == {"acme": 50}


def test_goods_of_a_receipt_that_is_not_here_wait_without_a_word():
    posted = post(books(), take_back("B1", ref(1), earned(20), of_receipt="R1"), 2)
    assert (posted.waits_for, posted.flags) == (ref(1), ())


def test_a_return_of_release_one_takes_what_stands_at_the_place_it_names():
    on = books()
    post(on, sale("R1", earned(50)), 1)
    assert moves(post(on, take_back("B1", ref(1), earned(20)), 2)) == ["available>reversed 20 acme"]


def test_goods_find_the_receipt_that_people_posted_instead_of_an_event_in_quarantine():
    on = books()
    post(on, sale("R1", earned(50)), 1)
    fact = sale("R2", earned(30), account_id=8)
    fixed = Fixed(receipt_id="fix:1", of=ref(1), fact=fact, reason="r", asked_by="ana", approved_by="bea")
    on.take(post_event(fixed, ref(1, "C1"), 8, on))
    back = take_back("B1", ref(1), earned(20), of_receipt="R2", account_id=8, net_minor=400)
    posted = post(on, back, 3, account_id=8)
    assert (posted.account_id, moves(posted), flags(posted)) == (8, ["available>reversed 20 acme"], [])
    assert posted.reversed.of == ref(1, "C1")
    assert (on.recorded(ref(1)).net_minor, on.recorded(ref(1, "C1")).net_minor) == (1000, 600)
    assert moves(post(on, void(ref(1), "R2"), 4)) == ["available>reversed 10 acme"]
    assert moves(post(on, void(ref(1), "R1"), 5)) == ["available>reversed 50 acme"]


# Laws

ISSUERS = st.sampled_from(["acme", "bolt", "core"])
UNTIL = st.sampled_from(["2026-02-28", "2026-03-02", "2026-06-30", "2026-12-31"])
EARNED = st.lists(st.builds(earned, st.integers(1, 60), ISSUERS, UNTIL), max_size=3)
FUNDED = st.lists(
    st.builds(Funded, partner_id=st.sampled_from(["bolt", "core"]), amount_minor=st.integers(1, 90)), max_size=1
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("sale"), EARNED, st.integers(0, 80), FUNDED),
        st.tuples(st.just("return"), st.integers(0, 30), EARNED, st.integers(0, 60), FUNDED),
        st.tuples(st.just("void"), st.integers(0, 30)),
        st.tuples(st.just("unreferenced"), EARNED),
    ),
    max_size=14,
)


def play(steps, whom):
    """Post a random story; returns the books and everything that was posted."""
    on, told, receipts = books(), [], []
    for seq, (kind, *facts) in enumerate(steps, 1):
        account_id = 7 + whom.randrange(2)
        if kind == "sale":
            granted, spent, funded = facts
            event = sale(f"R{seq}", *granted, spent=spent, funded=tuple(funded), account_id=account_id)
            receipts.append(ref(seq))
        elif kind == "unreferenced":
            event = take_back(f"B{seq}", None, *facts[0])
        else:
            of = receipts[facts[0] % len(receipts)] if receipts else ref(99)
            event = void(of, f"R{of.seq}") if kind == "void" else returned(f"B{seq}", of, *facts[1:])
        told.append(post(on, event, seq, account_id=account_id))
    return on, [row for posted in told for row in posted.postings], told


def returned(return_id, of, back, restored, funded):
    return take_back(return_id, of, *back, restored=restored, funded=tuple(funded), net_minor=400)


def bucket(rows, name, issuer_id):
    """What stands in a bucket for an issuer: what went in less what went out."""
    return sum(
        row.amount * ((row.target == name) - (row.source == name))
        for row in rows
        if row.unit == "point" and row.key.issuer_id == issuer_id
    )


@given(STEPS, st.randoms(use_true_random=False))
def test_no_points_appear_or_vanish_whatever_happens(steps, whom):
    on, rows, _ = play(steps, whom)
    for issuer in ("acme", "bolt", "core"):
        issued = -bucket(rows, "issued", issuer)
        parts = {name: bucket(rows, name, issuer) for name in ("available", "redeemed", "reversed")}
        assert issued == sum(parts.values())
        assert parts["available"] == sum(held(on, account_id).get(issuer, 0) for account_id in (7, 8))
        assert min(parts.values()) >= 0


@given(STEPS, st.randoms(use_true_random=False))
def test_every_account_is_the_fold_of_its_postings_and_no_lot_is_ever_negative(steps, whom):
    on, rows, told = play(steps, whom)
    assert all(row.amount > 0 for row in rows)
    folded: dict[tuple[int, object], int] = {}
    for row in rows:
        if row.unit == "point":
            step = (row.target == "available") - (row.source == "available")
            name = (row.account_id, row.key)
            folded[name] = folded.get(name, 0) + step * row.amount
            assert folded[name] >= 0
    books_say = {(account_id, one.key): one.points for account_id in (7, 8) for one in on.lots(account_id)}
    assert books_say == {name: points for name, points in folded.items() if points}
    versions = [posted.account_version for posted in told if posted.account_id == 7]
    assert versions == list(range(1, len(versions) + 1)) == list(range(1, on.account(7).version + 1))


@given(STEPS, st.randoms(use_true_random=False))
def test_debts_are_what_was_owed_less_what_was_repaid_and_never_negative(steps, whom):
    on, _, told = play(steps, whom)
    left = [debt for account_id in (7, 8) for debt in on.account(account_id).debts]
    owed = sum(debt.points for posted in told for debt in posted.owed)
    repaid = sum(debt.points for posted in told for debt in posted.repaid)
    assert owed - repaid == sum(debt.points for debt in left)
    assert all(debt.points > 0 for debt in left)


@given(STEPS, st.randoms(use_true_random=False))
def test_what_is_left_of_a_receipt_is_never_less_than_nothing_and_nothing_after_a_void(steps, whom):
    on, _, told = play(steps, whom)
    sales = [posted.ref for posted in told if posted.recorded]
    for of in sales:
        left = on.recorded(of)
        assert left.net_minor >= 0
        assert all(one.points > 0 for one in (*left.granted, *left.redeemed))
        assert all(one.amount_minor > 0 for one in left.funded)
        post(on, void(of, f"R{of.seq}"), 1000 + of.seq)
        gone = on.recorded(of)
        assert (gone.granted, gone.redeemed, gone.funded, gone.net_minor) == ((), (), (), 0)
        assert not [debt for debt in on.account(gone.account_id).debts if debt.of == of and debt.issuer_id is None]


@given(STEPS, st.randoms(use_true_random=False), EARNED, st.integers(0, 80))
def test_a_sale_and_its_void_leave_the_members_points_as_they_were(steps, whom, granted, spent):
    """Unless old debts were repaid by the sale: those stay repaid, and what is then missing is owed."""
    on, _, _ = play(steps, whom)
    worth = sum(held(on).values()) - sum(points for _, points in debts(on))
    post(on, sale("R900", *granted, spent=spent), 900)
    post(on, void(ref(900), "R900"), 901)
    assert sum(held(on).values()) - sum(points for _, points in debts(on)) == worth


def test_parts_of_one_debt_are_told_apart_from_other_debts():
    on = books()
    post(on, sale("R1", spent=30), 1)
    post(on, sale("R2", spent=20), 2)
    one, other = on.account(7).debts
    assert same_debt(one, one) and not same_debt(one, other)


def test_a_posting_names_its_place_in_the_account_and_never_moves_from_a_bucket_to_itself():
    on = stocked(lot(100, "2026-06-30"))
    posted = post(on, sale("R1", earned(10), spent=60), 1)
    assert [(row.account_version, row.n) for row in posted.postings] == [(1, 1), (1, 2)]
    assert all(isinstance(row, Posting) and row.source != row.target for row in posted.postings)


def test_an_uncovered_spend_that_comes_back_in_parts_gives_every_covered_point_back():
    on = books()
    post(on, sale("R0", earned(60)), 1)
    post(on, sale("R1", spent=100), 2)  # 60 covered, 40 owed
    post(on, take_back("B1", ref(2), restored=50), 3)  # cancels the 40, gives 10 back
    assert held(on) == {"acme": 10}
    last = post(on, take_back("B2", ref(2), restored=50), 4)
    assert held(on) == {"acme": 60}
    assert last.flags == ()
