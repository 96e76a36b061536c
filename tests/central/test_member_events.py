"""Members and cards as tills tell of them: who joined, whose a card is, which consent stands."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from central.corrections.adjusting import Signed
from central.corrections.erasing import erase_member
from central.corrections.moving import merge
from central.corrections.stray_points import bring_home
from central.corrections.wishes import MergeWish
from central.database.tables import account, card, enrolment, event, flag, hotlist, lot, member
from central.intake.claims import settle_claims
from central.intake.consents import WrongCode, confirm_by_code, consents_of, consents_of_card, evidence_of, withdraw
from central.ports import reading, writing
from central.verify.books import verify_books
from central.worklist.worklist import raise_flags
from loyalty.cards.card_keys import one_card_key
from loyalty.cards.cards import Card, card_token
from loyalty.cards.confirming import confirm_code, confirm_key, confirm_number
from loyalty.facts.member_events import CardChanged, Claimed, ConsentChanged, ConsentSaid, Enrolled, ReceiptNamed
from loyalty.ledger.books import Flag
from loyalty.lots import EventRef
from loyalty.members import UNKNOWN_CARD, PublishedMember
from tests.central.test_leasing import ONLINE, back, under_rules
from tests.central.tills import ANNA, BEN, CARD_KEY, NOW, TODAY, Centre, Till

NEW, NEWER = "2900000000032", "2900000000049"  # check digits worked out by hand


def token(number: str) -> str:
    return card_token(CARD_KEY, Card(kind="ean13", number=number, last4=number[-4:]))


def enrolled(till: Till, event_id: str, number: str, **more: Any) -> Enrolled:
    return Enrolled(
        receipt_id=event_id, place=till.place(), card_token=token(number), kind="ean13", last4=number[-4:],
        language="pl", **more,
    )  # fmt: skip


def changed(till: Till, event_id: str, what: Any, number: str, other: str | None = None, **more: Any) -> CardChanged:
    return CardChanged(
        receipt_id=event_id, place=till.place(), what=what, card_token=token(number),
        other_token=token(other) if other else None, kind="ean13", last4=number[-4:], **more,
    )  # fmt: skip


def said(till: Till, event_id: str, what: Any, number: str | None, at: int = NOW, **one: Any) -> ConsentChanged:
    of = {"purpose": "marketing", "channel": "email", "version": "v1", "language": "en", "given": what != "withdrawn"}
    place = msgspec.structs.replace(till.place(), sold_at_ms=at)
    return ConsentChanged(
        receipt_id=event_id, place=place, what=what, card_token=token(number) if number else None,
        said=ConsentSaid(**{**of, **one}),
    )  # fmt: skip


def points(centre: Centre, account_id: int) -> int:
    return sum(row[0] for row in centre.rows(select(lot.c.points).where(lot.c.account_id == account_id)))


def violations(centre: Centre) -> list[str]:
    return [one.code for one in verify_books(centre.engine).violations]


def states(centre: Centre, account_id: int) -> dict[str, str]:
    with reading(centre.engine) as connection:
        return {f"{one.purpose}:{one.channel}": one.state for one in consents_of(connection, account_id)}


def test_a_new_member_has_what_the_card_earned_at_once(centre: Centre) -> None:
    till = centre.till()
    till.append(enrolled(till, "E-1", NEW))
    till.sell("R-1", 1200, UNKNOWN_CARD, token=token(NEW))
    till.upload()
    mine = centre.account_of(token(NEW))
    assert centre.rows(select(account.c.status).where(account.c.account_id == mine)) == [("registered",)]
    assert points(centre, mine) == 12
    assert centre.rows(select(member.c.language, member.c.home_store_id)) == [("pl", "S1")]
    assert centre.rows(select(card.c.last4, card.c.kind)) == [("0032", "ean13")]
    assert centre.rows(select(enrolment.c.event_id, enrolment.c.account_id)) == [("E-1", mine)]
    assert violations(centre) == []


def test_the_new_member_is_told_to_other_tills(centre: Centre) -> None:
    till, other = centre.till(), centre.till()
    till.append(enrolled(till, "E-1", NEW))
    till.upload()
    told = [msgspec.json.decode(row) for row in other.page("members").rows]
    assert [one["cards"] for one in told] == [[token(NEW)]]
    assert told[0]["language"] == "pl"


def test_a_card_that_was_used_before_anybody_joined_with_it_keeps_its_points(centre: Centre) -> None:
    till, other = centre.till(), centre.till()
    other.sell("R-9", 500, UNKNOWN_CARD, token=token(NEW))
    other.upload()
    till.append(enrolled(till, "E-1", NEW))
    till.upload()
    assert points(centre, centre.account_of(token(NEW))) == 5
    assert centre.flags() == []


def test_joining_with_a_card_of_somebody_is_for_a_person_to_look_at(centre: Centre) -> None:
    anna, till = centre.member(ANNA), centre.till()
    till.append(enrolled(till, "E-1", ANNA))
    till.upload()
    assert centre.flags() == [(1, "card_taken")]
    (joined,) = (row[0] for row in centre.rows(select(enrolment.c.account_id)))
    assert centre.figures("card_taken") == {"account_id": anna, "joined": joined}
    assert (joined == anna, centre.account_of(token(ANNA))) == (False, anna)
    assert violations(centre) == []


def test_a_replaced_card_is_blocked_and_its_points_are_the_members(centre: Centre) -> None:
    anna, till = centre.member(ANNA), centre.till()
    till.sell("R-1", 700, UNKNOWN_CARD, token=token(ANNA))
    till.append(changed(till, "C-1", "replaced", NEW, ANNA, reason="lost"))
    till.sell("R-2", 300, UNKNOWN_CARD, token=token(NEW))
    till.upload()
    assert centre.account_of(token(NEW)) == anna
    assert points(centre, anna) == 10
    assert centre.rows(select(hotlist.c.card_token, hotlist.c.reason, hotlist.c.lifted)) == [(token(ANNA), "lost", 0)]
    old = centre.rows(select(card.c.state, card.c.replaced_by).where(card.c.card_token == token(ANNA)))
    assert old == [("blocked", token(NEW))]
    assert centre.flags() == []
    assert violations(centre) == []


@pytest.mark.parametrize("what", ["issued", "replaced"])
def test_a_card_given_to_nobody_is_kept_aside_and_stops_no_event_behind_it(centre: Centre, what: str) -> None:
    till = centre.till()
    till.append(changed(till, "C-1", what, NEW))
    till.sell("R-1", 500)
    assert till.upload().flagged == ((1, "event.out_of_range"),)
    assert centre.rows(select(event.c.seq, event.c.state).order_by(event.c.seq)) == [(1, "quarantined"), (2, "posted")]
    assert violations(centre) == []


def test_the_block_goes_down_the_urgent_lane(centre: Centre) -> None:
    centre.member(ANNA)
    till, other = centre.till(), centre.till()
    till.append(changed(till, "C-1", "blocked", ANNA, reason="stolen"))
    till.upload()
    assert [msgspec.json.decode(row) for row in other.page("hotlist").rows] == [
        {"card_token": token(ANNA), "reason": "stolen"}
    ]


def test_points_earned_on_a_new_card_before_it_was_heard_of_come_home(centre: Centre) -> None:
    anna, till, other = centre.member(ANNA), centre.till(), centre.till()
    other.sell("R-9", 400, UNKNOWN_CARD, token=token(NEW))
    other.upload()
    till.append(changed(till, "C-1", "replaced", NEW, ANNA, reason="damaged"))
    till.upload()
    assert centre.flags() == [(1, "card_has_points")]
    assert bring_home(centre.engine, centre.now, centre.random) == 1
    assert (points(centre, anna), centre.account_of(token(NEW))) == (4, anna)
    assert bring_home(centre.engine, centre.now, centre.random) == 0
    assert violations(centre) == []


def test_tills_hear_that_a_card_left_the_account_it_had_been_used_under(centre: Centre) -> None:
    """Its points may be at a till for long, and until they are home the account stands without a card."""
    anna, till, other = centre.member(ANNA), centre.till(), centre.till()
    other.sell("R-9", 400, UNKNOWN_CARD, token=token(NEW))
    other.upload()
    stray, cursor = centre.account_of(token(NEW)), other.page("members").to_cursor
    till.append(changed(till, "C-1", "replaced", NEW, ANNA, reason="damaged"))
    till.upload()
    told = [msgspec.json.decode(row, type=PublishedMember) for row in other.page("members", cursor).rows]
    cards = {one.row.account_id: set(one.cards) for one in told}
    assert cards == {stray: set(), anna: {token(ANNA), token(NEW)}}


def test_a_claim_and_a_consent_of_a_new_card_before_it_was_heard_of_are_the_members(centre: Centre) -> None:
    anna, till, other = centre.member(ANNA), centre.till(), centre.till()
    sold = other.sell("R-9", 1_200)
    other.append(
        Claimed(receipt_id="L-1", place=other.place(), card_token=token(NEW), till_id=sold.till_id,
                named=ReceiptNamed(receipt_id="R-9"))
    )  # fmt: skip
    other.append(said(other, "S-1", "given", NEW))
    other.upload()
    till.append(changed(till, "C-1", "replaced", NEW, ANNA, reason="damaged"))
    till.upload()
    assert states(centre, anna) == {"marketing:email": "given"}  # before the points are there
    assert settle_claims(centre.engine, centre.now, centre.random, 7) == 1
    assert bring_home(centre.engine, centre.now, centre.random) == 1
    assert (points(centre, anna), centre.account_of(token(NEW))) == (12, anna)
    assert states(centre, anna) == {"marketing:email": "given"}
    assert violations(centre) == []


def test_a_claim_that_is_decided_after_its_card_went_home_is_the_members(centre: Centre) -> None:
    anna, till, other = centre.member(ANNA), centre.till(), centre.till()
    other.append(
        Claimed(receipt_id="L-1", place=other.place(), card_token=token(NEW), till_id=till.head.till_id,
                named=ReceiptNamed(receipt_id="R-9"))
    )  # fmt: skip
    other.upload()
    till.append(changed(till, "C-1", "issued", NEW, ANNA))
    till.upload()
    assert bring_home(centre.engine, centre.now, centre.random) == 1
    till.sell("R-9", 1_200)
    till.upload()
    assert settle_claims(centre.engine, centre.now, centre.random, 7) == 1
    assert points(centre, anna) == 12
    assert violations(centre) == []


def test_who_joined_at_a_till_that_was_not_heard_is_a_member_though_points_came_home_before(centre: Centre) -> None:
    """NEW was handed to somebody who joined with ANNA's number at a third till, of which head office hears last."""
    joined, till, other = centre.till(), centre.till(), centre.till()
    other.sell("R-9", 400, UNKNOWN_CARD, token=token(NEW))
    other.upload()
    till.append(changed(till, "C-1", "issued", NEW, ANNA))
    till.upload()
    assert bring_home(centre.engine, centre.now, centre.random) == 1
    joined.append(enrolled(joined, "E-1", ANNA))
    joined.upload()
    account_id = centre.account_of(token(ANNA))
    assert centre.account_of(token(NEW)) == account_id
    assert (points(centre, account_id), [cause for _, cause in centre.flags()]) == (4, ["card_has_points"])
    assert centre.rows(select(account.c.status).where(account.c.account_id == account_id)) == [("registered",)]
    assert violations(centre) == []


def test_a_card_given_for_another_goes_to_its_member_with_it(centre: Centre) -> None:
    """NEWER was given for NEW before head office heard that NEW is ANNA's; a till has points of them until later."""
    anna, till, other = centre.member(ANNA), centre.till(), centre.till()
    under_rules(centre, ONLINE, till, other)
    other.sell("R-9", 400, UNKNOWN_CARD, token=token(NEW))
    other.append(said(other, "S-1", "given", ANNA, purpose="terms", channel="none"))
    other.upload()
    till.append(changed(till, "C-2", "replaced", NEWER, NEW))
    till.upload()
    stray = centre.account_of(token(NEWER))
    (grant,) = other.leases(other.ask("H1", stray, 3))
    till.append(changed(till, "C-1", "issued", NEW, ANNA))
    till.upload()
    assert bring_home(centre.engine, centre.now, centre.random) == 0  # the points are held
    assert [centre.account_of(token(one)) for one in (NEW, NEWER)] == [anna, anna]
    with reading(centre.engine) as connection:
        assert [one.purpose for one in consents_of_card(connection, token(NEWER))] == ["terms"]
    back(other, grant, 3)
    other.upload()
    assert bring_home(centre.engine, centre.now, centre.random) == 1
    assert points(centre, anna) == 4
    assert violations(centre) == []


def test_points_follow_a_card_given_for_one_that_went_home_meanwhile(centre: Centre) -> None:
    """NEWER was given for NEW before head office heard that NEW is ANNA's; a till has points of NEWER until after."""
    anna, till, other = centre.member(ANNA), centre.till(), centre.till()
    under_rules(centre, ONLINE, till, other)
    for number in (NEW, NEWER):
        other.sell(f"R-{number}", 400, UNKNOWN_CARD, token=token(number))
    other.upload()
    till.append(changed(till, "C-2", "issued", NEWER, NEW))
    till.upload()
    (grant,) = other.leases(other.ask("H1", stray := centre.figures("card_has_points")["account_id"], 3))
    till.append(changed(till, "C-1", "replaced", NEW, ANNA, reason="damaged"))
    till.upload()
    assert bring_home(centre.engine, centre.now, centre.random) == 1
    assert (points(centre, anna), points(centre, stray)) == (4, 1)
    back(other, grant, 3)
    other.upload()
    assert bring_home(centre.engine, centre.now, centre.random) == 1
    assert (points(centre, anna), centre.account_of(token(NEWER))) == (8, anna)
    assert bring_home(centre.engine, centre.now, centre.random) == 0
    assert violations(centre) == []


def test_consents_are_heard_over_several_cards_whose_points_have_still_to_come(centre: Centre) -> None:
    """NEWER was given for NEW, and NEW for ANNA's, after both had been used elsewhere; a till has points of both."""
    anna, till, other = centre.member(ANNA), centre.till(), centre.till()
    under_rules(centre, ONLINE, till, other)
    for number in (NEW, NEWER):
        other.sell(f"R-{number}", 400, UNKNOWN_CARD, token=token(number))
    other.append(said(other, "S-1", "given", NEWER, purpose="terms", channel="none"))
    other.upload()
    for hold, number in (("H1", NEW), ("H2", NEWER)):
        other.leases(other.ask(hold, centre.account_of(token(number)), 3))
    till.append(changed(till, "C-2", "issued", NEWER, NEW))
    till.append(changed(till, "C-1", "replaced", NEW, ANNA, reason="damaged"))
    till.upload()
    assert bring_home(centre.engine, centre.now, centre.random) == 0
    assert states(centre, anna) == {"terms:none": "given"}


def test_points_that_tills_keep_back_keep_those_of_others_from_nothing(centre: Centre) -> None:
    anna, till, other = centre.member(ANNA), centre.till(), centre.till()
    under_rules(centre, ONLINE, till, other)
    for number in (NEW, NEWER):
        other.sell(f"R-{number}", 400, UNKNOWN_CARD, token=token(number))
    other.upload()
    held, free = (centre.account_of(token(number)) for number in (NEW, NEWER))
    assert other.ask("H1", held, 3).granted == 3
    strays = [held] * 60 + [free]
    flags = [
        Flag(
            of=EventRef(till_id=till.head.till_id, epoch=1, seq=n), cause="card_has_points",
            figures={"account_id": stray, "into": anna},
        )
        for n, stray in enumerate(strays, 1)
    ]  # fmt: skip
    with writing(centre.engine) as tx:
        raise_flags(tx, flags[:-1], {}, centre.now)
        raise_flags(tx, flags[-1:], {}, centre.now + 1)
    assert bring_home(centre.engine, centre.now, centre.random) == 1
    assert points(centre, anna) == 4


def with_stray_points(centre: Centre) -> tuple[int, Till, int]:
    """ANNA, the till that gave her NEW, and the account under which NEW had earned at another till before."""
    anna, till, other = centre.member(ANNA), centre.till(), centre.till()
    other.sell("R-9", 400, UNKNOWN_CARD, token=token(NEW))
    other.upload()
    till.append(changed(till, "C-1", "issued", NEW, ANNA))
    till.upload()
    return anna, till, centre.figures("card_has_points")["account_id"]


def test_points_of_a_card_whose_member_is_erased_stay_and_say_why(centre: Centre) -> None:
    anna, _, stray = with_stray_points(centre)
    with writing(centre.engine) as tx:
        erase_member(tx, anna, by="dpo", now_ms=centre.now, randomness=centre.random)
    assert bring_home(centre.engine, centre.now, centre.random) == 0
    assert centre.rows(select(flag.c.state, flag.c.note).where(flag.c.cause == "card_has_points")) == [
        ("settled", "the member is erased")
    ]
    assert points(centre, stray) == 4
    assert violations(centre) == []


def test_points_of_a_card_whose_member_was_merged_into_its_account_are_at_home(centre: Centre) -> None:
    anna, till, stray = with_stray_points(centre)
    signed = Signed(correction_id="M-1", asked_by="ana", approved_by="", on=TODAY, now_ms=centre.now)
    with writing(centre.engine) as tx:
        wish = MergeWish(account_id=anna, into_account_id=stray, reason="duplicate_member")
        merge(tx, wish, signed, centre.random)
    assert bring_home(centre.engine, centre.now, centre.random) == 0
    assert centre.rows(select(flag.c.note).where(flag.c.cause == "card_has_points")) == [("merged already",)]
    # An account that were merged into itself would be looked for without an end by whatever names it.
    assert centre.rows(select(account.c.merged_into).where(account.c.account_id == stray)) == [(0,)]
    till.sell("R-1", 300, UNKNOWN_CARD, token=token(ANNA))
    till.upload()
    assert points(centre, stray) == 7
    assert violations(centre) == []


def test_two_tills_that_replaced_the_same_card_are_told_to_a_person(centre: Centre) -> None:
    anna, till, other = centre.member(ANNA), centre.till(), centre.till()
    till.append(changed(till, "C-1", "replaced", NEW, ANNA, reason="lost"))
    other.append(changed(other, "C-1", "replaced", NEWER, ANNA, reason="lost"))
    till.upload()
    other.upload()
    assert [cause for _, cause in centre.flags()] == ["card_replaced_twice"]
    assert [centre.account_of(token(one)) for one in (NEW, NEWER)] == [anna, anna]


def test_a_second_card_of_a_member_is_not_somebody_elses(centre: Centre) -> None:
    anna, ben, till = centre.member(ANNA), centre.member(BEN), centre.till()
    till.append(changed(till, "C-1", "issued", NEW, ANNA))
    till.append(changed(till, "C-2", "issued", BEN, ANNA))
    till.upload()
    assert centre.account_of(token(NEW)) == anna
    assert centre.account_of(token(BEN)) == ben
    assert centre.flags() == [(2, "card_taken")]


CODE = confirm_number("t" * 32, "K-1", "marketing:email")


def test_consent_counts_once_it_is_confirmed_whatever_comes_first(centre: Centre) -> None:
    anna, till, other = centre.member(ANNA), centre.till(), centre.till()
    other.append(said(other, "F-1", "confirmed", None, at=NOW + 2000, code=CODE))
    other.upload()
    assert states(centre, anna) == {}
    till.append(said(till, "K-1", "given", ANNA, at=NOW + 1000, code=CODE))
    till.upload()
    assert states(centre, anna) == {"marketing:email": "given"}
    assert violations(centre) == []


def test_consent_that_nobody_confirmed_does_not_count(centre: Centre) -> None:
    anna, till = centre.member(ANNA), centre.till()
    till.append(said(till, "K-1", "given", ANNA, code=CODE))
    till.append(said(till, "K-2", "given", ANNA, purpose="terms", channel="none"))
    till.upload()
    assert states(centre, anna) == {"marketing:email": "to_confirm", "terms:none": "given"}


def test_the_later_word_on_a_consent_holds_and_withdrawing_wins_a_tie(centre: Centre) -> None:
    anna, till, other = centre.member(ANNA), centre.till(), centre.till()
    other.append(said(other, "K-9", "withdrawn", ANNA, at=NOW + 5000))
    other.upload()
    till.append(said(till, "K-1", "given", ANNA, at=NOW + 5000))
    till.upload()
    assert states(centre, anna) == {"marketing:email": "withdrawn"}
    till.append(said(till, "K-2", "given", ANNA, at=NOW + 6000))
    till.upload()
    assert states(centre, anna) == {"marketing:email": "given"}
    with reading(centre.engine) as connection:
        evidence = evidence_of(connection, anna)
    assert [(one.what, one.version, one.language, one.store_id) for one in evidence] == [
        ("given", "v1", "en", "S1"), ("withdrawn", "v1", "en", "S1"), ("given", "v1", "en", "S1"),
    ]  # fmt: skip


def test_a_link_confirms_once_and_a_wrong_code_never(centre: Centre) -> None:
    anna, till = centre.member(ANNA), centre.till()
    till.append(said(till, "K-1", "given", ANNA, code=CODE))
    till.upload()
    good = confirm_code(confirm_key(CARD_KEY), CODE)
    for _ in range(2):
        with writing(centre.engine) as tx:
            assert confirm_by_code(tx, good, one_card_key(CARD_KEY), centre.now, centre.random).state == "given"
    for bad in (good[:-1] + ("0" if good[-1] != "0" else "1"), "hello", ""):
        with pytest.raises(WrongCode), writing(centre.engine) as tx:
            confirm_by_code(tx, bad, one_card_key(CARD_KEY), centre.now, centre.random)
    assert len(evidence(centre, anna)) == 2
    assert violations(centre) == []


def test_head_office_withdraws_for_a_member_at_once(centre: Centre) -> None:
    anna, till = centre.member(ANNA), centre.till()
    till.append(said(till, "K-1", "given", ANNA))
    till.upload()
    with writing(centre.engine) as tx:
        withdraw(tx, anna, "marketing", "email", centre.now + 1, centre.random)
    assert states(centre, anna) == {"marketing:email": "withdrawn"}
    assert violations(centre) == []


def evidence(centre: Centre, account_id: int) -> tuple[Any, ...]:
    with reading(centre.engine) as connection:
        return evidence_of(connection, account_id)
