"""Members, their cards and facts; no card number stays anywhere."""

import csv
import io

import msgspec
import pytest
from sqlalchemy import select

from central.database.tables import account, card, member, metadata
from central.members.members import (
    CardTaken,
    NotACard,
    UnknownAccount,
    UnknownCard,
    account_of,
    import_members,
    issue_card,
    lift_block,
    register_card,
    set_facts,
)
from central.ports import writing
from loyalty.cards.card_keys import one_card_key
from loyalty.cards.cards import CardRules
from loyalty.members import MemberView
from loyalty.trouble import BadInput
from tests.central.test_publish import token_of
from tests.central.tills import ANNA, BEN, CARD_KEY, CARDS, Centre

RULES = msgspec.convert(CARDS, CardRules)


def keys(centre: Centre) -> dict:
    return {"rules": RULES, "keys": one_card_key(CARD_KEY), "randomness": centre.random, "now_ms": centre.now}


def test_a_card_number_is_nowhere_in_the_database(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    till.sell("R1", 10_000, MemberView(), token=token_of(BEN))
    till.upload()
    assert centre.account_of(token_of(ANNA)) == anna
    held = [value for table in metadata.sorted_tables for row in centre.rows(select(table)) for value in row]
    assert [value for value in held if ANNA[3:] in str(value) or BEN[3:] in str(value)] == []


def test_a_card_that_earned_before_anybody_claimed_it_keeps_its_points(centre: Centre) -> None:
    till = centre.till()
    till.sell("R1", 10_000, MemberView(), token=token_of(ANNA))
    till.upload()
    earned = centre.account_of(token_of(ANNA))
    with writing(centre.engine) as tx:
        assert register_card(tx, ANNA, tier="gold", **keys(centre)) == earned
        with pytest.raises(CardTaken):
            register_card(tx, ANNA, **keys(centre))
    assert centre.rows(select(account.c.status, member.c.tier).join_from(account, member)) == [("registered", "gold")]


def test_a_second_card_leads_to_the_same_account_and_nobody_elses(centre: Centre) -> None:
    anna = centre.member(ANNA)
    with writing(centre.engine) as tx:
        assert issue_card(tx, anna, ANNA, **keys(centre)) == token_of(ANNA)
        issue_card(tx, anna, BEN, **keys(centre))
        assert account_of(tx, token_of(BEN)) == anna
        other = register_card(tx, "2900000000032", **keys(centre))
        with pytest.raises(CardTaken):
            issue_card(tx, other, BEN, **keys(centre))


def test_an_import_takes_what_it_can_and_says_why_not_the_rest(centre: Centre) -> None:
    file = io.StringIO(
        "card,tier,segments,language,home_store_id\n"
        f"{ANNA},gold,kids; vegan,pl,S1\n"
        "2900000000019,silver,,en,\n"
        f"{ANNA},silver,,en,\n"
        f"{BEN},,,,\n"
    )
    with writing(centre.engine) as tx:
        done = import_members(tx, csv.DictReader(file), **keys(centre))
    assert done.made == 2
    assert [line for line, _ in done.set_aside] == [3, 4]  # of the file, whose first line names the columns
    facts = select(member.c.tier, member.c.segments, member.c.language, member.c.home_store_id)
    assert sorted(centre.rows(facts)) == [("", "[]", "", ""), ("gold", '["kids","vegan"]', "pl", "S1")]
    assert len(centre.rows(select(card))) == 2


def test_facts_that_there_are_not_and_members_that_there_are_not_are_refused(centre: Centre) -> None:
    anna = centre.member()
    with writing(centre.engine) as tx:
        with pytest.raises(BadInput, match="shoe_size"):
            set_facts(tx, anna, centre.random, shoe_size=42)
        with pytest.raises(UnknownAccount):
            set_facts(tx, 5, centre.random, tier="gold")
        with pytest.raises(NotACard):
            issue_card(tx, anna, "4006381333931", **keys(centre))
        with pytest.raises(UnknownCard):
            lift_block(tx, token_of(ANNA), centre.now)
        set_facts(tx, anna, centre.random, tier="gold")
        set_facts(tx, anna, centre.random, language="ru")
    assert centre.rows(select(member.c.tier, member.c.language)) == [("gold", "ru")]
