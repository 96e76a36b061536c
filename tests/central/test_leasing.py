"""Holds and leases at the centre: taken out of the balance, spent, given back, reclaimed; every point once."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select

from central.coalition.programmes import publish
from central.database.tables import debt, lease, lease_slice, lot, posting
from central.leases.leasing import leased_points, recall, reclaim_overdue
from central.ports import reading, writing
from central.verify.books import verify_books
from loyalty.facts.lease_events import LeaseMoved
from loyalty.lots import Slice
from loyalty.members import PublishedMember
from loyalty.pricing.leases import Authority
from loyalty.programme.compiled import compile_programme
from loyalty.programme.programme import programme_from
from sync.wire import Ack, Grant, Problem
from tests.central.tills import DAY, PROGRAMME, TODAY, Centre, Till, told, under

HOUR = DAY // 24
CAPS = PROGRAMME["spending"]["offline"]
ONLINE = {**PROGRAMME, "spending": {**PROGRAMME["spending"], "online": True}}
LEASING = {
    **PROGRAMME,
    "spending": {
        **PROGRAMME["spending"],
        "offline": {**CAPS, "lease": {"share_bp": 3000, "most_points": 2000, "spend_for_hours": 48}},
    },
}


def under_rules(centre: Centre, document: dict[str, Any], *tills: Till) -> None:
    with writing(centre.engine) as tx:
        publish(tx, msgspec.json.encode(document), centre.now)
    for till in tills:
        till.rules = compile_programme(programme_from(document))


def rich(centre: Centre, till: Till, points: int) -> int:
    """A member who has so many points, earned at this till."""
    member = centre.member()
    till.sell(f"earn:{member}", points * 100, told(member))
    till.upload()
    return member


def available(centre: Centre, member: int) -> int:
    return centre.rows(select(func.coalesce(func.sum(lot.c.points), 0)).where(lot.c.account_id == member))[0][0]


def leased(centre: Centre, member: int) -> int:
    left = func.coalesce(func.sum(lease_slice.c.points), 0)
    return centre.rows(select(left).where(lease_slice.c.account_id == member))[0][0]


def states(centre: Centre) -> list[str]:
    return [row[0] for row in centre.rows(select(lease.c.state).order_by(lease.c.grant_no))]


def in_order(centre: Centre) -> None:
    """The books add up, as told by code that shares nothing with them."""
    assert verify_books(centre.engine).violations == ()


def back(till: Till, grant: Grant, points: int, *, n: int = 1) -> None:
    """The till gives points of a lease with a single lot back."""
    (slice_,) = under(grant).slices
    till.append(
        LeaseMoved(
            receipt_id=f"return:{grant.lease_id}:{n}", lease_id=grant.lease_id, account_id=grant.account_id or 0,
            on=TODAY, slices=(Slice(key=slice_.key, points=points),),
        )
    )  # fmt: skip


# Holds


def test_a_hold_takes_its_points_out_of_the_balance_and_the_rest_goes_back_with_the_sale(centre: Centre) -> None:
    till = centre.till()
    under_rules(centre, ONLINE, till)
    member = rich(centre, till, 1000)
    answer = till.ask("H1", member, 400)
    assert (answer.granted, answer.available, answer.refused) == (400, 1000, "")
    (grant,) = till.leases(answer)
    assert (grant.kind, grant.hold_id, grant.account_id, grant.points) == ("hold", "H1", member, 400)
    assert [one.points for one in grant.slices] == [400]
    assert (available(centre, member), leased(centre, member)) == (600, 400)
    # 300 of 400 points are spent: 300 redeemed, 100 back. What is paid in money, 47.00, earns 47.
    till.sell("R2", 5000, told(member, 2, 1000), spend=300, authority=under(grant))
    till.upload()
    assert (available(centre, member), leased(centre, member)) == (600 + 100 + 47, 0)
    assert states(centre) == ["ended"]
    assert centre.flags() == []
    centre.recompute()
    assert centre.flags() == []
    in_order(centre)


def test_the_same_request_gets_the_same_hold(centre: Centre) -> None:
    till = centre.till()
    under_rules(centre, ONLINE, till)
    member = rich(centre, till, 1000)
    first, again = till.ask("H1", member, 400), till.ask("H1", member, 400)
    assert (again.granted, till.leases(again)) == (400, till.leases(first))
    assert (available(centre, member), leased(centre, member)) == (600, 400)


def test_an_ask_with_a_zero_character_is_refused_before_the_database_sees_it(centre: Centre) -> None:
    told = centre.till().ask("H\0", 1, 400)
    assert isinstance(told, Problem) and told.code == "sync.bad_envelope"


@pytest.mark.parametrize(
    ("partial", "granted", "refused"), [(False, 0, "redemption.not_enough_points"), (True, 1000, "")]
)
def test_fewer_points_are_set_aside_only_where_the_till_takes_fewer(
    centre: Centre, partial: bool, granted: int, refused: str
) -> None:
    till = centre.till()
    under_rules(centre, ONLINE, till)
    member = rich(centre, till, 1000)
    answer = till.ask("H1", member, 1500, partial=partial)
    assert (answer.granted, answer.available, answer.refused) == (granted, 1000, refused)


def test_nothing_is_set_aside_where_the_programme_does_not_ask_online(centre: Centre) -> None:
    till = centre.till()
    member = rich(centre, till, 1000)
    answer = till.ask("H1", member, 400)
    assert (answer.granted, answer.refused, till.leases(answer)) == (0, "redemption.off", [])
    under_rules(centre, ONLINE, till)
    assert till.ask("H2", 12345, 400).refused == "account.unknown"


def test_points_held_for_one_till_cannot_be_held_for_another(centre: Centre) -> None:
    one, other = centre.till(), centre.till("S2")
    under_rules(centre, ONLINE, one, other)
    member = rich(centre, one, 1000)
    assert one.ask("H1", member, 700).granted == 700
    assert other.ask("H1", member, 700, partial=True).granted == 300
    assert (available(centre, member), leased(centre, member)) == (0, 1000)
    in_order(centre)


def test_a_hold_that_was_let_go_comes_back_once(centre: Centre) -> None:
    till = centre.till()
    under_rules(centre, ONLINE, till)
    member = rich(centre, till, 1000)
    (grant,) = till.leases(till.ask("H1", member, 400))
    back(till, grant, 400)
    back(till, grant, 400, n=2)
    till.upload()
    assert (available(centre, member), leased(centre, member)) == (1000, 0)
    assert centre.flags() == [(3, "lease_return_differs")]
    assert centre.figures("lease_return_differs")["points"] == 400
    in_order(centre)


# Leases


def test_a_member_who_was_at_a_till_has_a_lease_there_of_a_share_of_the_points(centre: Centre) -> None:
    """30 % of 1000 points, at the only till of its store."""
    till = centre.till()
    under_rules(centre, LEASING, till)
    member = centre.member()
    till.sell("R1", 100_000, told(member))
    (grant,) = till.leases(till.upload())
    assert (grant.kind, grant.account_id, grant.points) == ("lease", member, 300)
    assert (grant.spend_for_s, grant.settle_until_ms) == (48 * 3600, centre.now + 48 * HOUR + 7 * DAY)
    assert (available(centre, member), leased(centre, member)) == (700, 300)
    in_order(centre)


def test_tills_of_a_store_share_the_lease_of_a_member_and_the_most_of_a_store_holds(centre: Centre) -> None:
    """20,000 points: 30 % would be 6,000, but a store has at most 2,000, so each of its two tills 1,000."""
    one, other = centre.till(), centre.till()
    under_rules(centre, LEASING, one, other)
    member = centre.member()
    one.sell("R1", 2_000_000, told(member))
    assert [grant.points for grant in one.leases(one.upload())] == [1000]
    other.sell("R2", 100, told(member))
    assert [grant.points for grant in other.leases(other.upload())] == [1000]
    one.sell("R3", 100, told(member))
    assert len(one.leases(one.upload())) == 1  # told again, but nothing new
    assert leased(centre, member) == 2000


def test_a_lease_is_spent_without_asking_and_topped_up_once_it_is_half_empty(centre: Centre) -> None:
    till = centre.till()
    under_rules(centre, LEASING, till)
    member = centre.member()
    till.sell("R1", 100_000, told(member))
    (grant,) = till.leases(till.upload())
    till.sell("R2", 1000, told(member, 2, 1000), spend=100, authority=under(grant))  # earns 9 for 9.00
    till.upload()
    assert (available(centre, member), leased(centre, member)) == (709, 200)
    till.sell("R3", 1000, told(member, 3, 909), spend=150, authority=under(grant, 100))  # earns 8 for 8.50
    fresh = till.leases(till.upload())[-1]
    # 717 available and 50 leased are 767 points: 30 % are 230, so 180 more.
    assert fresh.points == 180
    assert (available(centre, member), leased(centre, member)) == (717 - 180, 230)
    assert centre.flags() == []
    centre.recompute()
    assert centre.flags() == []
    in_order(centre)


def test_a_till_is_told_how_much_of_a_balance_is_leased(centre: Centre) -> None:
    till = centre.till()
    under_rules(centre, LEASING, till)
    member = centre.member()
    till.sell("R1", 100_000, told(member))
    till.upload()
    (row,) = [msgspec.json.decode(one, type=PublishedMember).row for one in till.page("members").rows]
    assert (row.balance_points, row.leased_points) == (1000, 300)


def test_more_than_a_lease_holds_is_covered_by_the_balance_and_flagged(centre: Centre) -> None:
    """A till that spends a lease of 300 as if it were 350: 50 come from the balance, and somebody looks."""
    till = centre.till()
    under_rules(centre, LEASING, till)
    member = centre.member()
    till.sell("R1", 100_000, told(member))
    (grant,) = till.leases(till.upload())
    (slice_,) = under(grant).slices
    swollen = Authority(
        kind="lease", points=350, lease_id=grant.lease_id, slices=(Slice(key=slice_.key, points=350),)
    )
    till.sell("R2", 1000, told(member, 2, 1000), spend=350, authority=swollen)
    till.upload()
    assert centre.flags() == [(2, "over_lease")]
    assert centre.figures("over_lease")["points"] == 50
    redeemed = select(func.sum(posting.c.amount)).where(posting.c.target == "redeemed")
    assert centre.rows(redeemed) == [(350,)]
    in_order(centre)


def test_a_recall_is_told_until_the_till_gives_back(centre: Centre) -> None:
    till = centre.till()
    under_rules(centre, LEASING, till)
    member = centre.member()
    till.sell("R1", 100_000, told(member))
    (grant,) = till.leases(till.upload())
    with writing(centre.engine) as tx:
        assert recall(tx, [member], centre.now) == 1
        assert recall(tx, [member], centre.now) == 0
    assert till.hello().recalls == (grant.lease_id,)
    assert till.hello().recalls == (grant.lease_id,)
    back(till, grant, 300)
    ack = till.upload()
    assert isinstance(ack, Ack)
    assert ack.recalls == ()
    assert available(centre, member) == 1000
    in_order(centre)


# Reclaimed


def test_what_no_till_accounted_for_is_reclaimed_after_its_time_and_a_late_spend_is_covered_by_the_balance(
    centre: Centre,
) -> None:
    till = centre.till()
    under_rules(centre, LEASING, till)
    member = centre.member()
    till.sell("R1", 100_000, told(member))
    (grant,) = till.leases(till.upload())
    centre.now += 48 * HOUR + 7 * DAY - 1
    with writing(centre.engine) as tx:
        assert reclaim_overdue(tx, centre.now, centre.random) == {}
    centre.now += 1
    with writing(centre.engine) as tx:
        assert [one.lease_id for one in reclaim_overdue(tx, centre.now, centre.random).values()] == [grant.lease_id]
        assert reclaim_overdue(tx, centre.now, centre.random) == {}
    assert (available(centre, member), states(centre)) == (1000, ["reclaimed"])
    assert centre.figures("lease_reclaimed") == {"lease_id": grant.lease_id, "points": 300, "bearer": "acme"}
    till.sell("R2", 1000, told(member, 2, 1000), spend=200, authority=under(grant))
    till.upload()
    assert (2, "spent_after_reclaim") in centre.flags()
    assert centre.figures("spent_after_reclaim")["points"] == 200
    in_order(centre)


def test_a_late_spend_that_nothing_covers_is_owed_for_the_partner_where_it_was_spent(centre: Centre) -> None:
    one, other = centre.till(), centre.till("S2")
    under_rules(centre, LEASING, one, other)
    member = centre.member()
    one.sell("R1", 100_000, told(member))
    (grant,) = one.leases(one.upload())
    centre.now += 48 * HOUR + 7 * DAY
    with writing(centre.engine) as tx:
        reclaim_overdue(tx, centre.now, centre.random)
    # On its float the other till spends nearly all: 950 of 1000, and 90.50 in money earn 90.
    other.sell("X1", 10_000, told(member, 3, 1000), spend=950)
    other.upload()
    one.sell("R2", 1000, told(member, 2, 1000), spend=200, authority=under(grant))
    one.upload()
    owed = select(debt.c.at_partner_id, debt.c.issuer_id, debt.c.points)
    # 50 and 90 are left, of which 42 (30 %) were leased to the other till at once, so 102 of the 200 are owed; the 8
    # that the sale earns do not pay its own debt.
    assert centre.rows(owed) == [("acme", "", 102)]
    in_order(centre)


def test_a_lease_that_settles_never_is_never_reclaimed(centre: Centre) -> None:
    till = centre.till()
    caps = LEASING["spending"]["offline"]
    patient = {**LEASING, "spending": {**LEASING["spending"], "offline": {
        **caps, "lease": {"settle_for_days": None}}}}  # fmt: skip
    under_rules(centre, patient, till)
    member = centre.member()
    till.sell("R1", 100_000, told(member))
    till.upload()
    centre.now += 4000 * DAY
    with writing(centre.engine) as tx:
        assert reclaim_overdue(tx, centre.now, centre.random) == {}
    with reading(centre.engine) as connection:
        assert leased_points(connection) == {"lease": 300}
