"""What tills tell of their leases: grants that a restore lost, rights that moved over a LAN, leases that rest."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, text

from central.backups.restoring import note_restore
from central.database import tables as t
from central.database.tables import APPEND_ONLY, metadata
from central.leases.leasing import recall
from central.ports import reading, writing
from central.upkeep.views import tills
from central.verify.books import verify_books
from loyalty.facts.lease_events import LeaseMoved
from loyalty.lots import Slice
from sync.framing import open_signed, pack
from sync.keys import Signer, one_key
from sync.wire import GRANT_TAG, Ack, Grant, HelloAnswer
from tests.central.test_leasing import LEASING, ONLINE, available, leased, states, under_rules
from tests.central.tills import BEN, TODAY, Centre, Till, told, under

Rows = Mapping[str, Sequence[Any]]


def backup(centre: Centre) -> Rows:
    """All rows of all tables, as a backup holds them."""
    with reading(centre.engine) as tx:
        return {one.name: [dict(row) for row in tx.execute(select(one)).mappings()] for one in metadata.sorted_tables}


def put_back(centre: Centre, rows: Rows) -> None:
    """The centre as its backup has it, and the restore noted."""
    with writing(centre.engine) as tx:
        if tx.dialect.name == "sqlite":
            for name in APPEND_ONLY:
                for what in ("delete", "update", "replace"):
                    tx.execute(text(f"DROP TRIGGER IF EXISTS {name}_no_{what}"))
        for table in reversed(metadata.sorted_tables):
            tx.execute(table.delete())
        for table in metadata.sorted_tables:
            if rows[table.name]:
                tx.execute(table.insert(), list(rows[table.name]))
        note_restore(tx)


def in_order(centre: Centre) -> None:
    assert verify_books(centre.engine, one_key(centre.signer.public)).violations == ()


def kept(centre: Centre, said: Any) -> dict[str, list[tuple[Grant, bytes]]]:
    """The grants of an answer with the bytes that prove them, by kind."""
    found: dict[str, list[tuple[Grant, bytes]]] = {"float": [], "hold": [], "lease": []}
    for data in said.grants:
        grant = open_signed(GRANT_TAG, data, Grant, one_key(centre.signer.public))[0]
        found[grant.kind].append((grant, data))
    return found


def show(till: Till, name: str, grant: Grant, left: int, *signed: bytes) -> None:
    """The till has so many points left of a lease with one lot, and shows these grants."""
    slices = tuple(Slice(key=one.key, points=left) for one in grant.slices) if left else ()
    lease_id = grant.lease_id if grant.account_id else ""
    till.append(
        LeaseMoved(receipt_id=f"accepted:{name}", lease_id=lease_id, account_id=grant.account_id, on=TODAY,
                   slices=slices, what="accepted", grants=signed)
    )  # fmt: skip


def refill(till: Till, grants: int) -> Ack:
    """A hello, and all that the restored centre lacks; `grants` is the newest that the till has."""
    answer = till.hello()
    assert isinstance(answer, HelloAnswer)
    till.sent = answer.head.seq
    ack = till.send(till.batch(grants=grants))
    assert isinstance(ack, Ack), ack
    till.sent = till.head.seq
    return ack


def leased_and_lost(centre: Centre) -> tuple[Till, int, tuple[Grant, bytes], tuple[Grant, bytes]]:
    """A till that has a float and a lease of 300 of 1000 points, spent 100 of it, and whose centre knows of nothing."""
    till = centre.till()
    under_rules(centre, LEASING, till)
    member = centre.member()
    before = backup(centre)
    till.sell("R1", 100_000, told(member))
    grants = kept(centre, till.upload())
    (lease,), (floated,) = grants["lease"], grants["float"]
    till.sell("R2", 1000, told(member, 2, 1000), spend=100, authority=under(lease[0]))  # earns 9 for 9.00
    till.upload()
    assert (available(centre, member), leased(centre, member)) == (709, 200)
    put_back(centre, before)
    assert (available(centre, member), leased(centre, member)) == (0, 0)
    return till, member, lease, floated


def test_a_lease_that_a_restore_lost_is_as_it_was_once_its_till_has_shown_it(centre: Centre) -> None:
    till, member, (grant, signed), (floated, float_signed) = leased_and_lost(centre)
    answer = till.hello()
    assert isinstance(answer, HelloAnswer)
    assert (answer.generation, answer.granted_no) == (1, 0)
    show(till, "1:lease", grant, 200, signed)
    show(till, "1:floats", floated, 0, float_signed)
    refill(till, grants=2)
    assert (available(centre, member), leased(centre, member)) == (709, 200)
    assert states(centre) == ["active"]
    assert centre.figures("lease_restored") == {"lease_id": grant.lease_id, "points": 200}
    # The sale that spent of it came before anybody knew of it again.
    assert centre.flags() == [(2, "over_lease"), (3, "lease_restored")]
    floats = select(t.stream.c.float_granted).where(t.stream.c.till_id == till.head.till_id)
    assert centre.rows(floats) == [(2000,)]
    in_order(centre)
    # And it goes on as if nothing had been: 767 points after this sale, 30 % of which are 230.
    till.sell("R3", 1000, told(member, 4, 909), spend=150, authority=under(grant, 100))
    ack = refill(till, grants=2)
    assert [one.points for one, _ in kept(centre, ack)["lease"]] == [180]
    assert (available(centre, member), leased(centre, member)) == (717 - 180, 230)
    in_order(centre)


def test_verify_names_a_grant_that_was_taken_without_the_centres_signature(centre: Centre) -> None:
    till, _, (grant, signed), _ = leased_and_lost(centre)
    show(till, "1:lease", grant, 200, signed)
    refill(till, grants=2)
    stranger = one_key(Signer(b"x" * 32).public)
    assert [one.code for one in verify_books(centre.engine, stranger).violations] == ["grant.signature"]
    assert verify_books(centre.engine).violations == ()


def test_verify_names_points_that_a_shown_grant_does_not_explain(centre: Centre) -> None:
    till, member, (grant, signed), _ = leased_and_lost(centre)
    show(till, "1:lease", grant, 200, signed)
    refill(till, grants=2)
    with writing(centre.engine) as tx:
        tx.execute(t.lease_slice.update().where(t.lease_slice.c.account_id == member).values(points=201))
    assert "lease.folded" in [one.code for one in verify_books(centre.engine).violations]


def test_a_grant_shown_again_counts_once(centre: Centre) -> None:
    till, member, (grant, signed), (floated, float_signed) = leased_and_lost(centre)
    show(till, "1:lease", grant, 200, signed)
    show(till, "1:floats", floated, 0, float_signed)
    show(till, "again", grant, 300, signed)  # a till that says it has more than it has
    show(till, "1:floats again", floated, 0, float_signed)
    refill(till, grants=2)
    show(till, "later", grant, 300, signed)
    refill(till, grants=2)
    assert (available(centre, member), leased(centre, member)) == (709, 200)
    assert [cause for _, cause in centre.flags()].count("lease_not_proven") == 2
    floats = select(t.stream.c.float_granted).where(t.stream.c.till_id == till.head.till_id)
    assert centre.rows(floats) == [(2000,)]
    in_order(centre)


def test_a_hold_that_a_restore_lost_is_there_for_its_sale_and_asked_again_it_is_the_same(centre: Centre) -> None:
    till = centre.till()
    under_rules(centre, ONLINE, till)
    member = centre.member()
    till.sell("R1", 100_000, told(member))
    till.upload()
    before = backup(centre)
    ((grant, signed),) = kept(centre, till.ask("H1", member, 400))["hold"]
    put_back(centre, before)
    till.newest_grant = grant.grant_no
    show(till, "1:hold", grant, 400, signed)
    refill(till, grants=grant.grant_no)
    assert (available(centre, member), leased(centre, member)) == (600, 400)
    assert till.ask("H1", member, 400).granted == 400
    assert (available(centre, member), leased(centre, member)) == (600, 400)
    # 300 of 400 are spent, 100 go back; what is paid in money, 47.00, earns 47.
    till.sell("R2", 5000, told(member, 3, 1000), spend=300, authority=under(grant))
    refill(till, grants=grant.grant_no)
    assert (available(centre, member), leased(centre, member), states(centre)) == (747, 0, ["ended"])
    assert centre.flags() == [(2, "lease_restored")]
    in_order(centre)


def test_a_grant_that_is_not_lost_sets_nothing_aside(centre: Centre) -> None:
    till = centre.till()
    under_rules(centre, LEASING, till)
    member = centre.member()
    till.sell("R1", 100_000, told(member))
    ((grant, signed),) = kept(centre, till.upload())["lease"]
    show(till, "1", grant, 300, signed)
    till.upload()
    show(till, "2", grant, 450, signed)
    till.upload()
    assert (available(centre, member), leased(centre, member)) == (700, 300)
    assert centre.flags() == [(3, "lease_not_proven")]
    in_order(centre)


@pytest.mark.parametrize("what", ["another key", "other points", "no bytes of ours"])
def test_no_till_can_invent_a_lease(centre: Centre, what: str) -> None:
    till, member, (grant, _), _ = leased_and_lost(centre)
    rich = msgspec.structs.replace(grant, slices=tuple(Slice(key=one.key, points=900) for one in grant.slices))
    forged = {
        "another key": pack(GRANT_TAG, grant, Signer(b"x" * 32)),
        "other points": pack(GRANT_TAG, rich, till.signer),
        "no bytes of ours": b"signed",
    }[what]
    show(till, "1", grant, 200, forged)
    refill(till, grants=2)
    assert (available(centre, member), leased(centre, member)) == (909, 0)
    assert (3, "lease_not_proven") in centre.flags()
    in_order(centre)


def test_points_that_are_gone_after_a_restore_are_not_set_aside_and_somebody_looks(centre: Centre) -> None:
    """Of 909 points another partner's till lets 850 be spent on its float before the lease is shown, and leases 45 of
    the 59 that are left; so 14 of 200 can be set aside. Its own 91 points, of another lot, are not touched."""
    till, member, (grant, signed), _ = leased_and_lost(centre)
    other = centre.till("S2")
    other.rules = till.rules
    ack = refill(till, grants=2)
    assert ack.grants == ()
    assert available(centre, member) == 909
    other.sell("X1", 10_000, told(member, 3, 909), spend=850)  # earns 91 for 91.50
    other.upload()
    assert (available(centre, member), leased(centre, member)) == (14 + 91, 45)
    show(till, "1", grant, 200, signed)
    refill(till, grants=2)
    assert (available(centre, member), leased(centre, member)) == (91, 59)
    assert centre.figures("grant_not_covered") == {"lease_id": grant.lease_id, "points": 186}
    in_order(centre)


def test_nothing_is_granted_to_a_till_whose_grants_are_lost_until_it_shows_them(centre: Centre) -> None:
    till = centre.till()
    under_rules(centre, {**LEASING, "spending": {**LEASING["spending"], "online": True}}, till)
    member = centre.member()
    before = backup(centre)
    till.sell("R1", 100_000, told(member))
    grants = kept(centre, till.upload())
    ((grant, signed),) = grants["lease"]
    put_back(centre, before)
    assert refill(till, grants=2).grants == ()
    till.newest_grant = 2
    answer = till.ask("H1", member, 100)
    assert (answer.granted, answer.refused) == (0, "lease.suspended")
    show(till, "1", grant, 300, signed)
    refill(till, grants=2)
    assert till.ask("H1", member, 100).granted == 100
    in_order(centre)


def test_each_till_shows_what_it_has_of_a_lease_that_went_over_the_lan(centre: Centre) -> None:
    one, other = centre.till(), centre.till()
    under_rules(centre, LEASING, one, other)
    member = centre.member()
    before = backup(centre)
    one.sell("R1", 100_000, told(member))
    ((grant, signed),) = kept(centre, one.upload())["lease"]
    assert grant.points == 150
    moved(one, "sent", grant, 60, other)
    moved(other, "received", grant, 60, one)
    one.upload()
    other.upload()
    put_back(centre, before)
    show(other, "1", grant, 60, signed)
    refill(other, grants=0)  # before the points of the lease are here again
    assert leased(centre, member) == 0
    put_back(centre, before)
    show(one, "1", grant, 90, signed)
    refill(one, grants=2)
    refill(other, grants=0)
    assert (available(centre, member), leased(centre, member)) == (850, 150)
    in_order(centre)


def test_a_grant_under_a_number_that_was_given_anew_sets_nothing_aside(centre: Centre) -> None:
    """Head office and a till were both put back to before a lease of which another till has a part."""
    one, other = centre.till(), centre.till()
    member, first, second = centre.member(), centre.member(BEN), centre.member("2900000000032")
    other.sell("R0", 100_000, told(member))
    other.upload()
    under_rules(centre, LEASING, one, other)
    before, at_start = backup(centre), one.head
    one.sell("R1", 1_000, told(member))
    ((lease, signed),) = kept(centre, one.upload())["lease"]
    one.sell("R2", 50_000, told(member, 2, 1_010), spend=100, authority=under(lease))
    ((grown, signed_too),) = kept(centre, one.upload(grants=2))["lease"]
    assert (grown.lease_id, grown.grant_no) == (lease.lease_id, 3)
    put_back(centre, before)
    one.head, one.events, one.sent = at_start, [], 0
    for anew in (first, second):
        one.sell(f"R{anew}", 100_000, told(anew))
    ((_, _), (other_lease, _)) = kept(centre, one.upload())["lease"]
    assert (other_lease.grant_no, other_lease.lease_id) != (3, lease.lease_id)
    show(other, "1", lease, 60, signed, signed_too)
    refill(other, grants=0)
    assert (available(centre, member), leased(centre, member)) == (1_000, 0)
    assert centre.figures("lease_not_proven") == {"lease_id": lease.lease_id, "points": 60}
    in_order(centre)


# Rights that moved over a LAN


def moved(till: Till, what: Any, grant: Grant, points: int, other: Till | None = None) -> None:
    till.append(
        LeaseMoved(
            receipt_id=f"{what}:{till.head.seq}", lease_id=grant.lease_id, account_id=grant.account_id, on=TODAY,
            slices=(Slice(key=grant.slices[0].key, points=points),), what=what,
            other_till=other.head.till_id if other else "", other_seq=1 if what == "received" else 0,
        )
    )  # fmt: skip


def test_an_account_that_rights_between_tills_name_first_is_flagged_too(centre: Centre) -> None:
    """After a restore it may be the first word of it; without the flag nobody would lead it to its member."""
    one, other, _member, grant = lent(centre)
    moved(one, "sent", msgspec.structs.replace(grant, account_id=77), 1, other)
    seq = one.head.seq
    assert (seq, "account_unknown") in one.upload().flagged
    assert centre.figures("account_unknown") == {"account_id": 77}


def lent(centre: Centre) -> tuple[Till, Till, int, Grant]:
    """One till of a store has a lease of 150 points and sent 60 of it to the other."""
    one, other = centre.till(), centre.till()
    under_rules(centre, LEASING, one, other)
    member = centre.member()
    one.sell("R1", 100_000, told(member))
    (grant,) = one.leases(one.upload())
    moved(one, "sent", grant, 60, other)
    one.upload()
    return one, other, member, grant


def call_back(centre: Centre, member: int) -> None:
    with writing(centre.engine) as tx:
        assert recall(tx, [member], centre.now) == 1


def test_a_recall_reaches_the_till_that_got_rights_from_another(centre: Centre) -> None:
    one, other, member, grant = lent(centre)
    moved(other, "received", grant, 60, one)
    other.upload()
    assert other.hello().recalls == ()
    call_back(centre, member)
    assert one.hello().recalls == (grant.lease_id,)
    assert other.hello().recalls == (grant.lease_id,)
    moved(other, "returned", grant, 60)
    assert other.upload().recalls == ()
    assert (available(centre, member), leased(centre, member)) == (910, 90)
    moved(one, "returned", grant, 90)
    assert one.upload().recalls == ()
    assert (available(centre, member), leased(centre, member), states(centre)) == (1000, 0, ["ended"])
    assert centre.flags() == []
    in_order(centre)


def test_rights_that_arrive_after_the_recall_are_called_back_with_the_very_answer(centre: Centre) -> None:
    one, other, member, grant = lent(centre)
    call_back(centre, member)
    moved(one, "returned", grant, 90)
    one.upload()
    assert other.hello().recalls == ()
    moved(other, "received", grant, 60, one)
    assert other.upload().recalls == (grant.lease_id,)
    moved(other, "returned", grant, 60)
    assert other.upload().recalls == ()
    assert (available(centre, member), leased(centre, member)) == (1000, 0)
    in_order(centre)


def test_rights_that_come_once_more_after_they_went_back_are_called_back_once_more(centre: Centre) -> None:
    one, other, member, grant = lent(centre)
    call_back(centre, member)
    moved(other, "received", grant, 40, one)
    moved(other, "returned", grant, 40)
    assert other.upload().recalls == ()
    moved(other, "received", grant, 20, one)
    assert other.upload().recalls == (grant.lease_id,)


# Leases that rest


def test_a_till_whose_leases_rest_is_on_the_worklist_and_gets_nothing_until_it_goes_on(centre: Centre) -> None:
    till = centre.till()
    both = {**LEASING, "spending": {**LEASING["spending"], "online": True}}
    under_rules(centre, both, till)
    member = centre.member()
    till.append(LeaseMoved(receipt_id="suspended:0", lease_id="", on=TODAY, what="suspended", reason="clock.went_back"))
    till.sell("R1", 100_000, told(member))
    assert till.upload().grants == ()
    assert till.hello().grants == ()
    assert till.ask("H1", member, 100).refused == "lease.suspended"
    assert centre.flags() == [(1, "leases_suspended")]
    assert centre.figures("leases_suspended") == {"reason": "clock.went_back"}
    with reading(centre.engine) as tx:
        assert [row.leases_suspended for row in tills(tx)] == ["clock.went_back"]
    till.append(LeaseMoved(receipt_id="resumed:2", lease_id="", on=TODAY, what="resumed"))
    till.sell("R2", 1000, told(member, 1, 1000))
    assert [one.points for one in till.leases(till.upload())] == [303]  # 30 % of 1010
    in_order(centre)
