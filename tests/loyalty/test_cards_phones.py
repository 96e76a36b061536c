"""Numbers that somebody types: phones, codes of the app, what is printed on a tag."""

import msgspec
import pytest

from loyalty.cards.card_rules import PhoneRule
from loyalty.cards.cards import Card, CardRule, CardRules, Rejected, read_card
from loyalty.trouble import Refusal

POLAND = PhoneRule(country="48", digits=(9,), short_digits=6)
GERMANY = PhoneRule(country="49", digits=(10, 11), trunk="0")
COLOMBIA = PhoneRule(country="57", digits=(10,))
RANGES = (
    CardRule(kind="ean13", prefix="2037"),
    CardRule(kind="uid", prefix="", length=10),
    CardRule(kind="uid", prefix="", length=20),
    CardRule(kind="printed", prefix="000"),
)


def typed(rule: PhoneRule | None, text: str, source="keyed") -> str:
    read = read_card(CardRules(ranges=RANGES, phone=rule), text, source=source)
    if isinstance(read, Card):
        return f"{read.kind} {read.number}"
    return read.reason if isinstance(read, Rejected) else str(read.__struct_config__.tag)


TYPED = [
    # rule, as it was typed, what it is
    (POLAND, "600123456", "phone 48600123456"),
    (POLAND, "600 123 456", "phone 48600123456"),
    (POLAND, "600-123-456", "phone 48600123456"),
    (POLAND, "(600) 123 456", "phone 48600123456"),
    (POLAND, "+48600123456", "phone 48600123456"),
    (POLAND, "+48 600 123 456", "phone 48600123456"),
    (POLAND, "0048 600 123 456", "phone 48600123456"),
    (POLAND, "+1 202 555 0123", "phone 12025550123"),
    (POLAND, "+48 600 123", "phone_length"),
    (POLAND, "+48 600 123 4567", "phone_length"),
    (POLAND, "+12345", "phone_length"),
    (POLAND, "+1234567890123456", "phone_length"),
    (POLAND, "+0600123456", "phone_length"),  # no country begins with 0
    (POLAND, "123456", "short 123456"),
    (POLAND, "1234567", "code"),  # neither a phone nor a code of the app: the POS may know it
    (POLAND, "60012345a", "code"),
    (None, "600123456", "code"),
    (GERMANY, "0151 23456789", "phone 4915123456789"),
    (GERMANY, "+49 (0) 151 23456789", "phone 4915123456789"),
    (GERMANY, "151 23456789", "phone 4915123456789"),
    (GERMANY, "+49 151 2345678", "phone 491512345678"),
    (POLAND, "2037215727383", "ean13 2037215727383"),
    (POLAND, "0009177233", "printed 0009177233"),
    (POLAND, "62E3086CED", "uid 62E3086CED"),
    (POLAND, "62:e3:08:6c:ed", "uid 62E3086CED"),
    (POLAND, "4242 4242 4242 4242", "payment_card"),
    (POLAND, "12 500000000000000009", "payment_card"),  # twenty digits are no tag, with a tag's range or without
    (POLAND, "+378282246310005", "payment_card"),
    (POLAND, "00378282246310005", "payment_card"),
]


@pytest.mark.parametrize(("rule", "text", "what"), TYPED)
def test_a_typed_number_is_what_it_is_however_it_is_written(rule, text, what):
    assert typed(rule, text) == what


# Luhn by hand. 491512345678: from the right doubled 8>7 6>3 4>8 2>4 5>1 9>9, single 7 5 3 1 1 4: 32 + 21 = 53, so 7.
# 57300123456: doubled 6>3 4>8 2>4 0 3>6 5>1 (from the right: 6 4 2 0 3 5), single 5 3 1 0 7: 22 + 16 = 38, so 2.
@pytest.mark.parametrize(("rule", "text"), [(GERMANY, "4915123456787"), (COLOMBIA, "573001234562")])
def test_a_phone_number_of_home_is_no_payment_card_though_its_digits_pass_for_one(rule, text):
    assert typed(rule, "+" + text) == f"phone {text}"
    assert typed(POLAND, text) == "payment_card"
    assert typed(POLAND, "+" + text) == "payment_card"


@pytest.mark.parametrize(("text", "what"), [("600123456", "code"), ("123456", "code"), ("0048600123456", "code"),
                                            ("+48600123456", "phone 48600123456"), ("0009177233", "code")])  # fmt: skip
def test_what_a_scanner_sends_is_a_phone_number_only_with_a_plus(text, what):
    assert typed(POLAND, text, "scan") == what


def test_nothing_of_a_phone_number_is_shown():
    card = read_card(CardRules(phone=POLAND), "600123456", source="keyed")
    assert isinstance(card, Card)
    assert (card.last4, card.assurance) == ("", "phone")
    assert "600" not in repr(card)


BAD = [
    ({"country": "+48", "digits": [9]}, "cards.phone_malformed"),
    ({"country": "048", "digits": [9]}, "cards.phone_malformed"),
    ({"country": "48", "digits": []}, "cards.phone_malformed"),
    ({"country": "48", "digits": [3]}, "cards.phone_malformed"),
    ({"country": "48", "digits": [14]}, "cards.phone_malformed"),
    ({"country": "48", "digits": [9], "trunk": "x"}, "cards.phone_malformed"),
    ({"country": "48", "digits": [6], "short_digits": 6}, "cards.phone_malformed"),
    ({"country": "48", "digits": [9], "trunk": "0", "short_digits": 10}, "cards.phone_malformed"),
]


@pytest.mark.parametrize(("phone", "code"), BAD)
def test_a_rule_that_cannot_be_is_refused_with_the_reason(phone, code):
    with pytest.raises(Refusal) as told:
        msgspec.convert({"phone": phone}, CardRules)
    assert told.value.code == code


BAD_RANGES = [
    ([{"kind": "uid", "prefix": "", "length": 9}], "cards.range_malformed"),
    ([{"kind": "uid", "prefix": "0g", "length": 8}], "cards.range_malformed"),
    ([{"kind": "uid", "prefix": "ab", "length": 8}], "cards.range_malformed"),  # capitals, as they are normalised
    ([{"kind": "printed", "prefix": "A"}], "cards.range_malformed"),
    ([{"kind": "printed", "prefix": "", "length": 8}], "cards.range_malformed"),
    ([{"kind": "printed", "prefix": "000"}, {"kind": "luhn", "prefix": "0001", "length": 10}], "cards.ranges_overlap"),
    ([{"kind": "uid", "prefix": "", "length": 8}, {"kind": "uid", "prefix": "AB", "length": 8}],
     "cards.ranges_overlap"),
]  # fmt: skip


@pytest.mark.parametrize(("ranges", "code"), BAD_RANGES)
def test_a_range_of_tags_that_could_go_wrong_is_refused(ranges, code):
    with pytest.raises(Refusal) as told:
        msgspec.convert({"ranges": ranges}, CardRules)
    assert told.value.code == code


def test_tags_and_numbers_may_share_digits():
    ranges = [{"kind": "uid", "prefix": "", "length": 10}, {"kind": "printed", "prefix": ""}]
    assert len(msgspec.convert({"ranges": ranges}, CardRules).ranges) == 2


def test_fourteen_digits_are_a_payment_card_even_where_phone_numbers_may_be_that_long():
    # Diners Club has numbers of fourteen digits that begin with 36, as those of Hungary do.
    assert typed(PhoneRule(country="36", digits=(12,)), "+36227206271667") == "payment_card"
