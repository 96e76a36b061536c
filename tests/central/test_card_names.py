"""Names of cards at head office: two that have an account each, names out of order, blocks and replacements of one."""

import hashlib
import hmac
from typing import Any

import pytest
from sqlalchemy import select

from central.corrections.stray_points import bring_home
from central.database.tables import account, card, card_key, event, flag, hotlist
from central.intake.consents import consents_of
from central.keys.card_keys import CardKeyMissing
from central.members.card_names import name_card, names_of_token, one_a_card, owner_of
from central.members.members import CardTaken, block_card, create_account, issue_card, lift_block, register_card
from central.ports import reading, writing
from central.verify.books import verify_books
from loyalty.cards.card_keys import CardKey, CardKeys, CardName
from loyalty.cards.cards import Card, CardRules
from loyalty.facts.member_events import CardChanged, CardNamed, ConsentChanged, ConsentSaid, Enrolled
from loyalty.members import MemberView
from sync.wire import HelloAnswer
from tests.central.test_claims_at_once import at_once
from tests.central.test_members import RULES
from tests.central.tills import ANNA, BEN, CARD_KEY, Centre, Till

NEW_KEY = b"N" * 32
TWO = CardKeys(keys=(CardKey(key_id="1", key=CARD_KEY.hex()), CardKey(key_id="2", key=NEW_KEY.hex())))
READ = Card(kind="ean13", number=ANNA, last4=ANNA[-4:])


def name(number: str, key: bytes) -> str:
    return hmac.new(key, b"ean13\0" + number.encode(), hashlib.sha256).digest()[:16].hex()


OLD, NEW = name(ANNA, CARD_KEY), name(ANNA, NEW_KEY)


def named(till: Till, event_id: str, number: str = ANNA, *keys: tuple[str, bytes]) -> CardNamed:
    names = tuple(
        CardName(key_id=key_id, token=name(number, key)) for key_id, key in keys or (("1", CARD_KEY), ("2", NEW_KEY))
    )
    return CardNamed(receipt_id=event_id, place=till.place(), names=names, kind="ean13", last4=number[-4:])


def owners(centre: Centre, *names: str) -> list[int]:
    return [centre.account_of(one) for one in names]


def flags(centre: Centre) -> list[str]:
    return [row[0] for row in centre.rows(select(flag.c.cause).order_by(flag.c.cause))]


def sound(centre: Centre) -> None:
    assert verify_books(centre.engine).violations == ()


def post(till: Till, *events: Any) -> None:
    for one in events:
        till.append(one)
    till.upload()


def test_both_names_lead_to_the_member_and_say_under_which_key(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    post(till, named(till, "N1"))
    assert owners(centre, OLD, NEW) == [anna, anna]
    rows = centre.rows(select(card.c.card_token, card.c.key_id, card.c.same_as).order_by(card.c.key_id))
    assert rows == [(OLD, "1", OLD), (NEW, "2", OLD)]
    assert flags(centre) == []
    sound(centre)


def test_the_names_come_before_the_sale_that_they_were_said_for_and_again_they_change_nothing(centre: Centre) -> None:
    till = centre.till()
    till.append(named(till, "N1"))
    till.sell("R1", 10_000, MemberView(), token=OLD)
    till.append(named(till, "N2"))
    till.sell("R2", 10_000, MemberView(), token=NEW)
    till.upload()
    assert len(set(owners(centre, OLD, NEW))) == 1
    assert centre.rows(select(account.c.status)) == [("unregistered",)]
    sound(centre)


@pytest.mark.parametrize("registered", [OLD, NEW], ids=["old", "new"])
def test_of_two_accounts_the_registered_one_keeps_the_card_and_the_others_points_are_for_a_person(
    centre: Centre, registered: str
) -> None:
    till = centre.till()
    other = NEW if registered == OLD else OLD
    till.sell("R1", 10_000, MemberView(), token=OLD)
    till.sell("R2", 10_000, MemberView(), token=NEW)
    till.append(Enrolled(receipt_id="E1", place=till.place(), card_token=registered, kind="ean13"))
    till.upload()
    (ours,), (theirs,) = owners(centre, registered), owners(centre, other)
    assert ours != theirs
    post(till, named(till, "N1"))
    assert owners(centre, OLD, NEW) == [ours, ours]
    assert flags(centre) == ["card_has_points"]
    sound(centre)


def test_of_two_that_nobody_claimed_the_older_names_account_keeps_the_card(centre: Centre) -> None:
    till = centre.till()
    till.sell("R1", 10_000, MemberView(), token=NEW)
    till.sell("R2", 10_000, MemberView(), token=OLD)
    till.upload()
    (older,) = owners(centre, OLD)
    post(till, named(till, "N1"))
    assert owners(centre, OLD, NEW) == [older, older]
    assert flags(centre) == ["card_has_points"]
    sound(centre)


def test_two_members_with_one_card_stay_two_until_somebody_has_looked(centre: Centre) -> None:
    till = centre.till()
    for n, token in enumerate((OLD, NEW)):
        post(till, Enrolled(receipt_id=f"E{n}", place=till.place(), card_token=token, kind="ean13"))
    before = owners(centre, OLD, NEW)
    post(till, named(till, "N1"))
    assert owners(centre, OLD, NEW) == before and before[0] != before[1]
    assert flags(centre) == ["card_taken"]
    sound(centre)


def test_a_third_key_ties_its_name_to_those_of_before(centre: Centre) -> None:
    till, third = centre.till(), b"T" * 32
    anna = centre.member()
    post(till, named(till, "N1"), named(till, "N2", ANNA, ("2", NEW_KEY), ("3", third)))
    assert owners(centre, name(ANNA, third)) == [anna]
    with reading(centre.engine) as tx:
        assert set(names_of_token(tx, NEW)) == {OLD, NEW, name(ANNA, third)}
        (shown,) = one_a_card(tx, tx.execute(select(card).where(card.c.account_id == anna)).all())
        assert shown.card_token == OLD
    with writing(centre.engine) as tx:
        tx.execute(card_key.insert().values(no=1, key_id="1", made_ms=0, retired_ms=5))
        (shown,) = one_a_card(tx, tx.execute(select(card).where(card.c.account_id == anna)).all())
        assert shown.card_token == NEW
    sound(centre)


def test_a_block_is_one_of_all_names_whichever_was_blocked_and_whenever_it_was_named(centre: Centre) -> None:
    till = centre.till()
    centre.member()
    with writing(centre.engine) as tx:
        block_card(tx, OLD, "stolen", centre.now)
    post(till, named(till, "N1"))
    blocked = select(hotlist.c.card_token).where(hotlist.c.lifted == 0)
    assert {row[0] for row in centre.rows(blocked)} == {OLD, NEW}
    with writing(centre.engine) as tx:
        lift_block(tx, NEW, centre.now)
    assert centre.rows(blocked) == []
    post(till, CardChanged(receipt_id="K1", place=till.place(), what="blocked", card_token=NEW, reason="lost"))
    assert {row[0] for row in centre.rows(blocked)} == {OLD, NEW}
    assert {row[0] for row in centre.rows(select(card.c.state))} == {"blocked"}
    sound(centre)


def test_a_card_that_was_replaced_is_replaced_under_all_its_names(centre: Centre) -> None:
    till = centre.till()
    centre.member()
    spare = name(BEN, CARD_KEY)
    replaced = CardChanged(receipt_id="K1", place=till.place(), what="replaced", card_token=spare, other_token=OLD)
    post(till, replaced, named(till, "N1"))
    rows = dict(centre.rows(select(card.c.card_token, card.c.replaced_by)))
    assert rows == {OLD: spare, NEW: spare, spare: ""}
    sound(centre)


def test_head_office_names_a_card_under_every_key_whose_number_is_at_hand(centre: Centre) -> None:
    told: dict[str, Any] = {"rules": RULES, "randomness": centre.random, "now_ms": centre.now}
    anna = centre.member()  # under the first key alone
    with writing(centre.engine) as tx:
        assert owner_of(tx, TWO, READ) == anna
        with pytest.raises(CardTaken):
            register_card(tx, ANNA, keys=TWO, **told)
        issue_card(tx, anna, ANNA, keys=TWO, **told)
        ben = register_card(tx, BEN, keys=TWO, **told)
        other = create_account(tx, centre.random, centre.now)
        with pytest.raises(CardTaken):
            issue_card(tx, other, BEN, keys=TWO, **told)
        name_card(tx, TWO, READ, anna, centre.now)
    assert owners(centre, OLD, NEW) == [anna, anna]
    assert owners(centre, name(BEN, CARD_KEY), name(BEN, NEW_KEY)) == [ben, ben]
    assert {row[0] for row in centre.rows(select(card.c.same_as))} == {OLD, name(BEN, CARD_KEY)}
    assert isinstance(RULES, CardRules)


def test_a_key_file_that_is_gone_keeps_no_hello_from_its_answer(centre: Centre) -> None:
    till = centre.till()
    with writing(centre.engine) as tx:
        tx.execute(card_key.insert().values(no=1, key_id="1", made_ms=0, retired_ms=0))
        tx.execute(card_key.insert().values(no=2, key_id="2", made_ms=1, retired_ms=0))
    answer = till.hello()
    assert isinstance(answer, HelloAnswer) and answer.card_keys is None
    with pytest.raises(AssertionError, match=CardKeyMissing.code):
        centre.till()


def test_tills_that_name_the_same_cards_at_once_and_in_other_orders_make_one_account_of_each(centre: Centre) -> None:
    tills = [centre.till() for _ in range(4)]
    numbers = [f"29000000{n:04}" for n in range(40)]  # names only, so no check digit is asked for
    for place, till in enumerate(tills):
        for n in numbers[:: 1 if place % 2 else -1]:
            # Two tills say the names, two sell under one of them alone, as those without the other key do.
            if place < 2:
                till.append(named(till, f"N{n}", n))
            till.sell(f"R{n}", 1_000, MemberView(), token=name(n, CARD_KEY))
    at_once(*(till.upload for till in tills))
    for n in numbers:
        assert len(set(owners(centre, name(n, CARD_KEY), name(n, NEW_KEY)))) == 1
    sold = select(event.c.account_id).where(event.c.kind == "receipt.v1").distinct()
    assert len(centre.rows(sold)) == len(centre.rows(select(card.c.account_id).distinct())) == 40
    assert flags(centre) == []
    sound(centre)


def test_a_consent_on_an_account_without_points_follows_the_card_to_the_member(centre: Centre) -> None:
    """Nothing was ever booked on the account that one name led to, so nothing but the finding brings it home."""
    till = centre.till()
    said = ConsentSaid(purpose="marketing", channel="email", version="v1", language="en", given=True)
    post(till, ConsentChanged(receipt_id="K1", place=till.place(), what="given", card_token=OLD, said=said,
                              asked_on="kiosk"))  # fmt: skip
    post(till, Enrolled(receipt_id="E1", place=till.place(), card_token=NEW, kind="ean13"))
    (theirs,), (ours,) = owners(centre, OLD), owners(centre, NEW)
    assert centre.rows(select(account.c.version).where(account.c.account_id == theirs)) == [(0,)]
    post(till, named(till, "N1"))
    assert flags(centre) == ["card_has_points"]
    assert bring_home(centre.engine, centre.now, centre.random) == 1
    with reading(centre.engine) as tx:
        assert [(one.purpose, one.state) for one in consents_of(tx, ours)] == [("marketing", "given")]
    sound(centre)


def test_two_names_of_one_account_are_one_finding(centre: Centre) -> None:
    till, third = centre.till(), b"T" * 32
    post(till, named(till, "N1", BEN, ("1", CARD_KEY), ("2", NEW_KEY)))  # nobody's yet, by two names
    post(till, Enrolled(receipt_id="E1", place=till.place(), card_token=name(BEN, third), kind="ean13"))
    post(till, named(till, "N2", BEN, ("1", CARD_KEY), ("2", NEW_KEY), ("3", third)))
    assert flags(centre) == ["card_has_points"]
    assert bring_home(centre.engine, centre.now, centre.random) == 1
    sound(centre)
