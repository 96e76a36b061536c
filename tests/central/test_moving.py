"""Points of one account for another, and two accounts made one, with everything that comes late."""

from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import select

from central.corrections.expiry import due_on, expire
from central.corrections.moving import PointsLeased
from central.corrections.wishes import BadWish, NotThere, TransferWish
from central.database import tables as t
from central.members.members import AccountClosed, issue_card, set_facts
from central.ports import writing
from central.posting.late import post_overdue
from central.verify.books import verify_books
from loyalty.cards.card_keys import one_card_key
from loyalty.cards.cards import Card, CardRules, card_token
from loyalty.members import MemberView, PublishedMember
from tests.central.office import YEAR_END, Office, give, merge, take, transfer
from tests.central.test_leasing import LEASING, ONLINE, back, under_rules
from tests.central.tills import ANNA, BEN, CARD_KEY, CARDS, DAY, TODAY, Centre, told

CAROL = "2900000000032"
ANNAS_CARD = Card(kind="ean13", number=ANNA, last4="0018")
STRAY = "ab" * 16


@pytest.fixture
def office(centre: Centre) -> Office:
    return Office(centre)


@pytest.fixture
def anna(centre: Centre) -> int:
    return centre.member()


@pytest.fixture
def ben(centre: Centre) -> int:
    return centre.member(BEN)


# Transfer


def test_a_lost_cards_points_go_to_the_new_account_as_they_are(office: Office, anna: int, ben: int) -> None:
    office.ask(give(anna, 40, "bolt", through=TODAY))
    office.ask(give(anna, 60))
    office.ask(transfer(anna, ben))
    assert office.held(anna) == []
    assert office.held(ben) == [("2026-03-02", "bolt", 40, 0), ("2026-12-31", "acme", 60, 0)]
    assert (office.kinds(anna)[-1], office.kinds(ben)) == ((3, "move.v1"), [(1, "move.v1")])
    assert office.adds_up()


def test_a_part_goes_soonest_to_lapse_first(office: Office, anna: int, ben: int) -> None:
    office.ask(give(anna, 40, "bolt", through=TODAY))
    office.ask(give(anna, 60))
    office.ask(transfer(anna, ben, 45))
    assert office.held(anna) == [("2026-12-31", "acme", 55, 0)]
    assert office.held(ben) == [("2026-03-02", "bolt", 40, 0), ("2026-12-31", "acme", 5, 0)]


def test_more_than_can_be_spent_is_not_moved(office: Office, anna: int, ben: int) -> None:
    office.ask(give(anna, 40, through=TODAY))
    office.ask(give(anna, 60))
    office.centre.now += DAY
    with pytest.raises(NotThere) as refused:
        office.ask(transfer(anna, ben, 61))
    assert "60 points" in refused.value.say
    with pytest.raises(NotThere):
        office.ask(transfer(ben, anna))
    with pytest.raises(BadWish):
        office.ask(TransferWish(account_id=anna, to_account_id=anna, reason="family"))


def test_a_large_transfer_waits_for_a_second_person_and_takes_what_is_there_then(
    office: Office, anna: int, ben: int
) -> None:
    office.done(give(anna, 300))
    assert office.ask(transfer(anna, ben), correction_id="move").state == "asked"
    office.ask(take(anna, 50))
    office.approve("move")
    assert office.held(ben) == [("2026-12-31", "acme", 250, 0)]
    assert office.adds_up()


def test_points_that_arrive_repay_what_is_owed(office: Office, anna: int, ben: int) -> None:
    till = office.centre.till()
    till.hello()
    till.sell("R1", 100, told(ben), spend=20)
    till.upload()
    office.ask(give(anna, 50))
    office.ask(transfer(anna, ben))
    assert office.held(ben) == [("2026-12-31", "acme", 30, 0)]
    assert office.adds_up()


def ages(office: Office, account_id: int) -> list[tuple[str, int, str]]:
    """Last valid day, points and the day since when they are held, of each lot that has any."""
    chosen = select(t.lot.c.valid_through, t.lot.c.points, t.lot.c.earned_on)
    here = chosen.where(t.lot.c.account_id == account_id, t.lot.c.points > 0)
    return office.rows(here.order_by(t.lot.c.valid_through))  # type: ignore[return-value]


@pytest.mark.parametrize("move", [transfer, merge])
def test_points_that_move_stay_as_old_as_they_are(office: Office, anna: int, ben: int, move) -> None:
    office.ask(give(anna, 60))
    office.centre.now += 5 * DAY
    office.ask(give(anna, 10, through=TODAY + timedelta(days=90)))
    office.centre.now += 5 * DAY
    office.ask(give(ben, 3))
    office.ask(move(anna, ben))
    # Ben's own 3 are of the 12th; with Anna's 60 of the 2nd they are one lot, which is as old as those.
    assert ages(office, ben) == [("2026-05-31", 10, "2026-03-07"), ("2026-12-31", 63, "2026-03-02")]
    assert office.adds_up()


def test_verification_names_a_lot_that_was_made_younger(office: Office, anna: int, ben: int) -> None:
    office.ask(give(anna, 60))
    office.centre.now += 5 * DAY
    office.ask(transfer(anna, ben))
    with writing(office.centre.engine) as tx:
        tx.execute(t.lot.update().where(t.lot.c.account_id == ben).values(earned_on="2026-03-07"))
    (found,) = verify_books(office.centre.engine).violations
    assert (found.code, found.wanted, found.found) == ("lot.earned_on", "2026-03-02", "2026-03-07")


def test_goods_whose_points_were_given_away_are_owed_by_whoever_bought_them(
    office: Office, anna: int, ben: int
) -> None:
    till = office.centre.till()
    bought = till.receipt("R1", 4_000, told(anna))
    sold = till.append(bought)
    till.upload()
    office.ask(transfer(anna, ben))
    till.take_back("B1", sold, bought, 1000)
    till.upload()
    owed = office.rows(select(t.debt.c.account_id, t.debt.c.issuer_id, t.debt.c.points))
    assert (owed, office.held(ben)) == ([(anna, "acme", 40)], [("9999-12-31", "acme", 40, 0)])
    assert office.adds_up()


# Merge


def test_a_merged_account_is_emptied_closed_and_lives_on_in_the_other(office: Office, anna: int, ben: int) -> None:
    office.ask(give(anna, 60))
    office.ask(give(ben, 30, "bolt"))
    office.ask(merge(anna, ben))
    assert office.held(ben) == [("2026-12-31", "acme", 60, 0), ("2026-12-31", "bolt", 30, 0)]
    assert (office.account(anna), office.account(ben)) == ((2, "closed", ben), (2, "registered", 0))
    assert office.centre.account_of(card_token(CARD_KEY, ANNAS_CARD)) == ben
    assert office.adds_up()


def test_an_empty_account_can_be_merged_too(office: Office, anna: int, ben: int) -> None:
    office.ask(merge(anna, ben))
    assert office.account(anna) == (1, "closed", ben)
    assert office.adds_up()


def test_tills_hear_that_the_account_is_closed_and_whose_the_card_is_now(office: Office, anna: int, ben: int) -> None:
    till = office.centre.till()
    till.page("members")
    office.ask(merge(anna, ben))
    rows = [bytes(row) for row in till.page("members").rows]
    token = card_token(CARD_KEY, ANNAS_CARD).encode()
    (closed,) = [row for row in rows if b'"closed":true' in row]
    (stays,) = [row for row in rows if token in row]
    assert str(anna).encode() in closed and str(ben).encode() in stays


def test_a_till_that_still_names_the_closed_account_is_told_again_as_of_that_sale(
    office: Office, anna: int, ben: int
) -> None:
    """Else it would keep its own uses of that account for good: they go with a row that has the sale in it."""
    till = office.centre.till()
    office.ask(merge(anna, ben))
    before = till.page("members")
    ref = till.sell("R1", 1_000, told(anna))
    till.upload()
    rows = [msgspec.json.decode(row) for row in till.page("members", cursor=before.to_cursor).rows]
    assert [one["row"]["own_seq"] for one in rows if one.get("closed")] == [ref.seq]
    assert office.adds_up()


def test_sales_returns_and_voids_that_name_the_closed_account_are_booked_on_the_one_it_lives_on_in(
    office: Office, anna: int, ben: int
) -> None:
    till = office.centre.till()
    bought = till.receipt("R1", 4_000, told(anna))
    sold = till.append(bought)
    other = till.receipt("R2", 1_000, told(anna, 1, 40))
    voided = till.append(other)
    till.upload()
    office.ask(merge(anna, ben))
    till.sell("R3", 700, told(anna, 2, 50))  # had not heard
    till.take_back("B1", sold, bought, 500)
    till.void(voided, other)
    till.upload()
    # 40 + 10 came along, 7 were earned; half of the 40 and all of the 10 went back.
    assert office.held(ben) == [("9999-12-31", "acme", 27, 0)]
    assert (office.held(anna), office.account(anna)[0]) == ([], 3)
    assert [kind for _, kind in office.kinds(ben)] == ["move.v1", "receipt.v1", "return.v1", "void.v1"]
    office.centre.recompute()
    assert office.centre.flags() == []
    assert office.adds_up()


def test_what_is_sold_to_both_in_one_batch_keeps_its_order(office: Office, anna: int, ben: int) -> None:
    till = office.centre.till()
    office.ask(merge(anna, ben))
    for name, who in (("R1", anna), ("R2", ben), ("R3", anna), ("R4", ben)):
        till.sell(name, 1_000, told(who))
    till.upload()
    rows = select(t.event.c.receipt_id, t.event.c.account_id, t.event.c.account_version).order_by(t.event.c.seq)
    assert office.centre.rows(rows.where(t.event.c.kind == "receipt.v1")) == [
        ("R1", ben, 2), ("R2", ben, 3), ("R3", ben, 4), ("R4", ben, 5),
    ]  # fmt: skip
    assert office.adds_up()


def test_points_that_the_closed_account_had_spent_come_back_to_the_other(office: Office, anna: int, ben: int) -> None:
    """Into a lot that this account never had, of which nobody remembers when it was earned."""
    till = office.centre.till()
    till.hello()
    till.sell("R1", 4_000, told(anna))
    paid = till.receipt("R2", 4_000, told(anna, 1, 40), spend=40)
    spent = till.append(paid)
    till.upload()
    office.ask(merge(anna, ben))
    till.take_back("B1", spent, paid, 1000)
    till.sell("R3", 500, told(ben))
    till.upload()
    assert office.held(ben) == [("9999-12-31", "acme", 45, 0)]
    assert office.adds_up()


def test_a_receipt_that_came_back_before_the_merge_comes_back_only_for_the_rest_after_it(
    office: Office, anna: int, ben: int
) -> None:
    till = office.centre.till()
    bought = till.receipt("R1", 4_000, told(anna))
    sold = till.append(bought)
    till.take_back("B1", sold, bought, 500)
    till.upload()
    office.ask(merge(anna, ben))
    till.take_back("B2", sold, bought, 500, earlier=500)
    till.take_back("B3", sold, bought, 500)
    till.upload()
    assert office.held(ben) == []
    assert {cause for _, cause in office.centre.flags()} == {"returned_twice"}
    assert office.adds_up()


def test_what_is_owed_goes_along_and_meets_the_points_that_are_there(office: Office, anna: int, ben: int) -> None:
    till = office.centre.till()
    till.hello()
    till.sell("R1", 100, told(anna), spend=20)
    till.upload()
    office.ask(give(ben, 50))
    office.ask(merge(anna, ben))
    assert office.held(ben) == [("2026-12-31", "acme", 30, 0)]
    assert office.rows(select(t.debt)) == []
    assert office.adds_up()


def test_the_example_of_the_ledgers_page(office: Office, anna: int, ben: int) -> None:
    """docs/ledger.md, "Merge": anna is account 7, ben account 8."""
    acme, bolt = office.centre.till(), office.centre.till("S2")
    acme.hello()
    acme.sell("R1", 20, told(anna), spend=20)
    acme.upload()
    bolt.sell("R1", 5_000, told(ben))
    bolt.upload()
    office.ask(merge(anna, ben))
    acme.sell("R2", 500, told(anna, 1))
    acme.upload()
    moved = select(t.posting.c.account_id, t.posting.c.account_version, t.posting.c.source, t.posting.c.target,
                   t.posting.c.amount, t.posting.c.issuer_id)  # fmt: skip
    in_order = (t.posting.c.account_version, t.posting.c.n)
    assert office.rows(moved.where(t.posting.c.unit == "claim").order_by(*in_order)) == [
        (anna, 1, "issued", "pending", 20, "acme"),
        (ben, 2, "pending", "issued", 20, "acme"),
    ]
    assert office.rows(moved.where(t.posting.c.unit == "point").order_by(*in_order)) == [
        (ben, 1, "issued", "available", 50, "bolt"),
        (ben, 2, "available", "redeemed", 20, "bolt"),
        (ben, 3, "issued", "available", 5, "acme"),
    ]
    assert [points for _, _, points, _ in office.held(ben)] == [5, 30]
    assert (office.account(anna)[0], office.rows(select(t.debt))) == (2, [])
    assert office.adds_up()


def test_limits_stay_used_up(office: Office, anna: int, ben: int) -> None:
    till = office.centre.till()
    till.sell("R1", 1_000, told(anna), sku="milk")
    till.upload()
    office.ask(merge(anna, ben))
    used = select(t.use.c.name, t.use.c.amount).where(t.use.c.account_id == ben, t.use.c.name == "promo:milk")
    assert office.rows(used) == [("promo:milk", 1)]
    till.sell("R2", 1_000, told(ben), sku="milk")  # had not heard
    till.upload()
    office.centre.recompute()
    assert office.centre.flags() == [(2, "limit_overshot")]


def test_a_till_that_has_heard_is_told_what_was_used_up(office: Office, anna: int, ben: int) -> None:
    till = office.centre.till()
    till.sell("R1", 1_000, told(anna), sku="milk")
    till.upload()
    office.ask(merge(anna, ben))
    rows = [msgspec.json.decode(bytes(row), type=PublishedMember) for row in till.page("members").rows]
    (row,) = [one.row for one in rows if one.row.account_id == ben]
    assert {use.name: use.amount for use in row.counters or ()}["promo:milk"] == 1
    till.sell("R2", 1_000, told(ben, row.version, row.balance_points, row.counters or ()), sku="milk")
    till.upload()
    office.centre.recompute()
    assert office.centre.flags() == []
    assert till.events[-1].payload.count(b"promo:milk") == 1  # told, and not given again


def test_a_late_spend_of_the_closed_account_still_finds_what_lapsed_there(
    office: Office, anna: int, ben: int
) -> None:
    till = office.centre.till()
    till.hello()
    office.ask(give(anna, 30, through=TODAY))
    till.sell("R1", 100, told(anna, 1, 30), spend=20)
    office.centre.now += DAY
    expire(office.centre.engine, due_on(office.centre.now), office.centre.now, office.centre.random)
    office.ask(merge(anna, ben))
    till.upload()
    assert office.held(ben) == [("2026-03-02", "acme", 0, 10)]
    assert office.adds_up()


def test_a_merged_account_that_is_merged_on_is_followed_to_the_end(office: Office, anna: int, ben: int) -> None:
    carol, till = office.centre.member(CAROL), office.centre.till()
    bought = till.receipt("R1", 4_000, told(anna))
    sold = till.append(bought)
    till.upload()
    office.ask(merge(anna, ben))
    till.take_back("B1", sold, bought, 250)
    till.upload()
    office.ask(merge(ben, carol))
    till.take_back("B2", sold, bought, 250, earlier=250)
    till.sell("R2", 500, told(anna))
    till.upload()
    assert [points for _, _, points, _ in office.held(carol)] == [25]
    assert office.adds_up()


def test_a_return_that_waits_for_its_receipt_ends_up_where_the_account_lives_on(
    office: Office, anna: int, ben: int
) -> None:
    acme, bolt = office.centre.till(), office.centre.till("S2")
    bought = acme.receipt("R1", 4_000, told(anna))
    bolt.take_back("B1", acme.append(bought), bought, 1000)
    bolt.upload()
    office.ask(merge(anna, ben))
    with writing(office.centre.engine) as tx:
        assert post_overdue(tx, office.centre.now + 7 * DAY, office.centre.random) == 1
    assert office.kinds(ben)[-1] == (2, "return.v1")
    acme.upload()
    assert office.adds_up()


def test_a_closed_account_takes_no_corrections_and_says_where_it_lives_on(office: Office, anna: int, ben: int) -> None:
    office.ask(merge(anna, ben))
    for wish in (give(anna, 1), transfer(anna, ben), transfer(ben, anna), merge(ben, anna)):
        with pytest.raises(AccountClosed) as refused:
            office.ask(wish)
        assert str(ben) in refused.value.say
    with writing(office.centre.engine) as tx:
        rules = msgspec.convert(CARDS, CardRules)
        with pytest.raises(AccountClosed):
            keys = one_card_key(CARD_KEY)
            issue_card(tx, anna, CAROL, rules=rules, keys=keys, randomness=office.centre.random, now_ms=0)
        with pytest.raises(AccountClosed):
            set_facts(tx, anna, office.centre.random, tier="gold")


def test_an_account_with_points_at_tills_is_not_merged_until_they_are_back(
    office: Office, anna: int, ben: int
) -> None:
    till = office.centre.till()
    under_rules(office.centre, ONLINE, till)
    office.ask(give(anna, 60))
    (grant,) = till.leases(till.ask("H1", anna, 20))
    with pytest.raises(PointsLeased) as refused:
        office.ask(merge(anna, ben))
    assert "20 points" in refused.value.say
    assert office.account(anna)[1] == "registered"
    back(till, grant, 20)
    till.upload()
    office.ask(merge(anna, ben))
    assert office.held(ben) == [("2026-12-31", "acme", 60, 0)]
    assert office.adds_up()


def test_tills_are_asked_for_points_that_stand_in_the_way_of_a_merge(office: Office, anna: int, ben: int) -> None:
    till = office.centre.till()
    under_rules(office.centre, LEASING, till)
    till.sell("R1", 100_000, told(anna))
    till.upload()
    with pytest.raises(PointsLeased) as refused:
        office.ask(merge(anna, ben))
    assert "300 points" in refused.value.say  # three tenths of a thousand
    assert office.rows(select(t.lease.c.recalled_at_ms)) == [(office.centre.now,)]


def test_a_card_nobody_had_claimed_becomes_the_members_with_its_points(office: Office, ben: int) -> None:
    till = office.centre.till()
    till.sell("R1", 2_000, MemberView(), token=STRAY)
    till.upload()
    stray = office.centre.account_of(STRAY)
    office.ask(merge(stray, ben))
    assert [points for _, _, points, _ in office.held(ben)] == [20]
    assert office.account(ben) == (1, "registered", 0)
    till.sell("R2", 500, MemberView(), token=STRAY)
    till.upload()
    assert [points for _, _, points, _ in office.held(ben)] == [25]
    assert office.adds_up()


def test_merging_waits_for_a_second_person_above_the_limit(office: Office, anna: int, ben: int) -> None:
    office.done(give(anna, 101, through=YEAR_END))
    assert office.ask(merge(anna, ben), correction_id="m").state == "asked"
    assert office.account(anna)[1] == "registered"
    office.approve("m")
    assert office.account(anna)[1:] == ("closed", ben)
