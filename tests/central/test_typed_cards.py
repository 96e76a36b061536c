"""Phone numbers and tags as cards: head office makes the tokens that the tills make, however a number was written."""

import pytest
from sqlalchemy import select

from central.database.tables import card, metadata
from central.members.members import NotACard, account_of, issue_card, register_card
from central.ports import writing
from loyalty.cards.card_keys import one_card_key
from loyalty.cards.card_rules import PhoneRule
from loyalty.cards.cards import Card, CardRule, CardRules, card_token, read_card
from tests.central.tills import CARD_KEY, Centre

RULES = CardRules(
    ranges=(CardRule(kind="uid", prefix="", length=10), CardRule(kind="printed", prefix="000")),
    phone=PhoneRule(country="48", digits=(9,)),
)


def keys(centre: Centre) -> dict:
    return {"rules": RULES, "keys": one_card_key(CARD_KEY), "randomness": centre.random, "now_ms": centre.now}


def at_the_till(text: str, source) -> str:
    read = read_card(RULES, text, source=source)
    assert isinstance(read, Card)
    return card_token(CARD_KEY, read)


def test_a_phone_number_from_a_file_is_found_as_a_till_sends_it(centre: Centre) -> None:
    with writing(centre.engine) as tx:
        anna = register_card(tx, "600 123 456", **keys(centre))
        for typed in ("600123456", "+48 600 123 456", "0048600123456"):
            assert account_of(tx, at_the_till(typed, "keyed")) == anna
        with pytest.raises(NotACard):
            register_card(tx, "60012345", **keys(centre))
    held = [value for table in metadata.sorted_tables for row in centre.rows(select(table)) for value in row]
    assert not [value for value in held if "600123456" in str(value)]


def test_a_tag_is_found_by_its_id_and_by_what_is_printed_on_it(centre: Centre) -> None:
    with writing(centre.engine) as tx:
        anna = register_card(tx, "50008C0891", **keys(centre))
        issue_card(tx, anna, "0009177233", **keys(centre))
        assert account_of(tx, at_the_till("50008c0891", "tag")) == anna
        assert account_of(tx, at_the_till("0009177233", "keyed")) == anna
    assert sorted(centre.rows(select(card.c.kind))) == [("printed",), ("uid",)]
