"""What a return or a void writes, figure by figure: whose points, under whose terms, and never more than was there."""

from loyalty.facts.receipts import Funded
from loyalty.ledger.books import Reversed
from loyalty.ledger.expiry import expire_lots
from loyalty.lots import Debt
from tests.loyalty.build import books, day, earned, held, moves, part, place, post, ref, sale, take_back, void


def test_a_spend_that_was_covered_in_part_comes_back_in_part_and_the_rest_is_owed_no_more():
    # 50 spent where 20 were there: 20 go back into their lot, and 30 that were owed are not.
    on = books()
    post(on, sale("R1", earned(20)), 1)
    post(on, sale("R2", spent=50), 2)
    posted = post(on, take_back("B1", ref(2), restored=50), 3)
    assert (moves(posted), posted.flags) == (["redeemed>available 20 acme"], ())
    assert (held(on), list(on.account(7).debts)) == ({"acme": 20}, [])


def test_goods_that_come_back_leave_what_another_sale_owes_alone():
    on = books()
    post(on, sale("R1", spent=30), 1)
    post(on, sale("R2", spent=20), 2)
    post(on, take_back("B1", ref(2), restored=20), 3)
    assert [(debt.of, debt.points) for debt in on.account(7).debts] == [(ref(1), 30)]


def test_more_points_back_than_were_spent_are_told_with_what_was_left_of_them():
    on = books()
    post(on, sale("R1", earned(20)), 1)
    post(on, sale("R2", spent=20), 2)
    (flag,) = post(on, take_back("B1", ref(2), restored=25), 3).flags
    assert (flag.cause, flag.figures) == ("restored_more_than_spent", {"asked": 25, "left": 20})


def test_what_was_taken_back_names_both_events_and_the_account():
    on = books()
    post(on, sale("R1", earned(10)), 1)
    some = post(on, take_back("B1", ref(1), earned(4), net_minor=400), 2).reversed
    assert some == Reversed(of=ref(1), by=ref(2), account_id=7, granted=(part(4, "2026-12-31"),), net_minor=400)
    rest = post(on, void(ref(1)), 3).reversed
    assert rest == Reversed(of=ref(1), by=ref(3), account_id=7, granted=(part(6, "2026-12-31"),), net_minor=600)


def test_points_go_back_under_the_terms_at_which_their_partner_was_reimbursed():
    on = books()
    post(on, sale("R1", earned(20)), 1)
    post(on, sale("R2", spent=20, place=place(partner_id="bolt")), 2)
    # The goods come back at acme's till.
    (row,) = post(on, take_back("B1", ref(2), restored=5), 3).postings
    assert (row.at_partner_id, row.at_terms_id, row.priced_by) == ("bolt", "bolt-1", "reimburse")


def test_another_issuers_points_are_bought_under_the_terms_of_those_that_are_gone():
    on = books()
    post(on, sale("R1", earned(10)), 1)
    post(on, sale("R2", spent=10), 2)
    post(on, sale("R3", earned(10, "bolt")), 3)
    (row,) = post(on, take_back("B1", ref(1), earned(10)), 4).postings
    assert (row.key.issuer_id, row.at_partner_id, row.at_terms_id, row.priced_by) == (
        "bolt", "acme", "acme-1", "funding",
    )  # fmt: skip


def test_points_that_are_gone_are_owed_to_their_issuer_for_that_return():
    on = books()
    post(on, sale("R1", earned(50)), 1)
    post(on, sale("R2", spent=50), 2)
    post(on, take_back("B1", ref(1), earned(50)), 3)
    assert list(on.account(7).debts) == [
        Debt(
            account_id=7, issuer_id="acme", terms_id="acme-1", at_partner_id="acme", at_terms_id="acme-1", points=50,
            of=ref(3), origin_period_no=1,
        )
    ]  # fmt: skip


def test_a_partner_that_a_return_names_twice_pays_back_both_parts_and_no_more_than_it_paid():
    def given_back(*amounts):
        on = books()
        post(on, sale("R1", funded=(Funded(partner_id="bolt", amount_minor=150),)), 1)
        named = tuple(Funded(partner_id="bolt", amount_minor=amount) for amount in amounts)
        return moves(post(on, take_back("B1", ref(1), funded=named), 2))

    assert given_back(60, 40) == ["redeemed>issued 100 bolt"]
    assert given_back(100, 100) == ["redeemed>issued 150 bolt"]


# Goods that come back once their points have lapsed

MARCH = earned(10, valid_through="2026-03-31")


def lapse(on, seq):
    """The expiry run of 1 April."""
    on.take(expire_lots(7, ref(seq), day("2026-04-01"), on))


def test_points_that_lapsed_come_off_what_lapsed_part_by_part():
    on = books()
    post(on, sale("R1", MARCH), 1)
    lapse(on, 2)
    for seq, points in ((3, 4), (4, 6)):
        posted = post(on, take_back(f"B{seq}", ref(1), earned(points, valid_through="2026-03-31")), seq)
        assert (moves(posted), posted.owed) == ([f"expired>reversed {points} acme"], ())


def test_points_that_were_spent_before_the_others_lapsed_come_off_other_lots():
    on = books()
    post(on, sale("R1", MARCH), 1)
    post(on, sale("R2", earned(100)), 2)
    post(on, sale("R3", spent=4), 3)
    lapse(on, 4)
    posted = post(on, take_back("B1", ref(1), MARCH), 5)
    assert (moves(posted), posted.owed) == (["expired>reversed 6 acme", "available>reversed 4 acme"], ())
    assert held(on) == {"acme": 96}


def test_points_of_the_lot_that_are_still_there_go_before_those_of_it_that_lapsed():
    def returned(points):
        on = books()
        post(on, sale("R1", MARCH), 1)
        lapse(on, 2)
        post(on, sale("R2", earned(3, valid_through="2026-03-31")), 3)  # came late
        return moves(post(on, take_back("B1", ref(1), earned(points, valid_through="2026-03-31")), 4))

    assert returned(3) == ["available>reversed 3 acme"]
    assert returned(5) == ["expired>reversed 2 acme", "available>reversed 3 acme"]
