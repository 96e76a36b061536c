"""Numbers given out by place: each place one number, scattered, with the check digit of its kind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.cards.card_numbers import NumberSpan, RangeTooSmall, card_at, number_key, places_of, range_for_numbers
from loyalty.cards.card_rules import CardRule, CardRules
from loyalty.cards.cards import Card, read_card, typed_number

KEY = number_key(b"k" * 32)
RANGES = (
    CardRule(kind="ean13", prefix="290"),
    CardRule(kind="luhn", prefix="98765", length=16),
    CardRule(kind="gsrn", prefix="5012345"),
)


def span(rule: CardRule, last: int = 10**6) -> NumberSpan:
    return NumberSpan(
        span_no=1, till_id="ab" * 16, epoch=1, kind=rule.kind, prefix=rule.prefix, digits=rule.digits(), first=0,
        last=last, granted_at_ms=0,
    )  # fmt: skip


@pytest.mark.parametrize("rule", RANGES, ids=lambda rule: rule.kind)
def test_no_two_places_share_a_number(rule):
    numbers = {card_at(KEY, span(rule), place).number for place in range(5_000)}
    assert len(numbers) == 5_000


@pytest.mark.parametrize("digits", [3, 4])
def test_every_number_of_a_small_range_has_one_place(digits):
    rule = CardRule(kind="luhn", prefix="98765", length=digits + 6)
    bodies = {card_at(KEY, span(rule), place).number[:-1] for place in range(10**digits)}
    assert bodies == {f"98765{n:0{digits}d}" for n in range(10**digits)}


@given(st.sampled_from(RANGES), st.integers(0, 10**6), st.binary(min_size=16, max_size=32))
def test_a_given_number_is_read_as_the_same_card(rule, place, secret):
    made = card_at(number_key(secret), span(rule), place)
    read = read_card(CardRules(ranges=RANGES), typed_number(made))
    assert isinstance(read, Card)
    assert (read.kind, read.number, read.last4) == (made.kind, made.number, made.last4)


def test_another_key_scatters_otherwise():
    rule = RANGES[0]
    assert card_at(KEY, span(rule), 7).number != card_at(number_key(b"other key of the house"), span(rule), 7).number


def test_a_range_holds_many_more_numbers_than_are_given_out():
    # 13 digits less the prefix 290 and the check digit: 10^9 numbers, of which one in a hundred.
    assert places_of(RANGES[0]) == 10**7
    # 16 less 5 and 1: 10^10, of which one in ten thousand.
    assert places_of(RANGES[1]) == 10**6
    with pytest.raises(RangeTooSmall):
        places_of(CardRule(kind="ean13", prefix="29012345"))


def test_numbers_come_from_the_range_that_the_programme_names_or_the_first():
    assert range_for_numbers(RANGES, "98765") == RANGES[1]
    assert range_for_numbers(RANGES, "") == RANGES[0]
    assert range_for_numbers(RANGES, "77") is None
    tag = CardRule(kind="uid", prefix="04", length=14)
    assert range_for_numbers((tag, RANGES[2]), "") == RANGES[2]
    assert range_for_numbers((tag,), "") is None
