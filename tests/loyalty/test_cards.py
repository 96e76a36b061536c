"""Cards: what a reader sent is ours, a code, or a payment card of which nothing stays."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.cards.cards import Card, CardRule, CardRules, Outcome, PaymentCard, card_token, read_card, split_aim
from loyalty.cards.check_digits import gs1_digit, luhn_digit
from loyalty.trouble import InvariantBroken, Refusal

RULES = CardRules(
    ranges=(
        CardRule(kind="ean13", prefix="2037"),
        CardRule(kind="ean13", prefix="042"),
        CardRule(kind="luhn", prefix="982630", length=16),
        CardRule(kind="gsrn", prefix="735005385"),
    )
)


def seen(outcome: Outcome) -> str:
    """An outcome in a few words: `card ean13 2037215727383`, `code`, `rejected check_digit`, `payment_card`."""
    tag = str(outcome.__struct_config__.tag)
    if isinstance(outcome, Card):
        return f"{tag} {outcome.kind} {outcome.number}"
    return f"{tag} {outcome.reason}" if tag == "rejected" else tag


# Digits worked out by hand:
# 203721572738: 2+0+3+21+2+3+5+21+2+21+3+24 = 107, so 3.       042000000001: 12+2+3 = 17, so 3.
# 982630000000001, doubled from the right: 9+8+4+6+6+0…+2 = 35, so 5.
# 73500538500000001: 21+3+15+0+0+5+9+8+15+0…+3 = 79, so 1.     40123450000000001: 12+3+2+9+4+15+3 = 48, so 2.
def test_check_digits_are_those_worked_out_by_hand():
    assert gs1_digit("203721572738") == "3"
    assert gs1_digit("042000000001") == "3"
    assert gs1_digit("400638133393") == "1"
    assert gs1_digit("73500538500000001") == "1"
    assert gs1_digit("40123450000000001") == "2"
    assert luhn_digit("7992739871") == "3"
    assert luhn_digit("982630000000001") == "5"


READINGS = [
    # text, carrier, what it is
    ("2037215727383", None, "card ean13 2037215727383"),
    ("2037215727383", "]E0", "card ean13 2037215727383"),
    ("]E02037215727383", None, "card ean13 2037215727383"),
    ("2037215727383", "]C0", "card ean13 2037215727383"),  # printed as Code 128
    ("2037 2157 2738-3", None, "card ean13 2037215727383"),  # typed as printed
    ("2037215727384", None, "rejected check_digit"),
    ("2037215727384", "]E0", "rejected check_digit"),
    ("0420000000013", None, "card ean13 0420000000013"),
    ("420000000013", None, "card ean13 0420000000013"),  # a UPC-A is the same card
    ("420000000013", "]E0", "card ean13 0420000000013"),
    ("420000000013", "]C0", "code"),  # twelve digits, but not a UPC-A
    ("9826300000000015", None, "card luhn 9826300000000015"),
    ("9826-3000 0000 0015", None, "card luhn 9826300000000015"),
    ("9826300000000016", None, "rejected check_digit"),
    ("98263000000000015", None, "code"),  # one digit too many for the range
    ("]A19826300000000015Y", None, "card luhn 9826300000000015"),  # mod 43: 9+8+2+6+3+1+5 = 34 = Y
    (";9826300000000015=99120000000?", None, "card luhn 9826300000000015"),
    ("%B9826300000000015^MEMBER/A^9912?;9826300000000015=9912?", None, "card luhn 9826300000000015"),
    (";E?+9826300000000015?", None, "card luhn 9826300000000015"),
    ("8018735005385000000011", None, "card gsrn 735005385000000011"),
    ("8018 7350 0538-5000 0000 11", None, "card gsrn 735005385000000011"),  # typed as printed
    ("735005385000000011", None, "code"),  # without its identifier it may be any number
    ("8018735005385000000011", "]C1", "card gsrn 735005385000000011"),
    ("8018735005385000000011", "]Q3", "card gsrn 735005385000000011"),
    ("8018735005385000000011\x1d80191", "]d2", "card gsrn 735005385000000011"),
    ("8018735005385000000011\x1d8017735005385000000011", "]C1", "code"),  # provider and recipient never together
    ("8018735005385000000012", "]C1", "rejected check_digit"),
    ("8018401234500000000012", "]C1", "code"),  # somebody else's company prefix
    ("8018735005385000000011", "]C0", "code"),  # Code 128 without FNC1 holds no application identifiers
    ("https://id.example.org/8018/735005385000000011", None, "card gsrn 735005385000000011"),
    ("HTTPS://id.example.org/a/b/8018/735005385000000011/8019/7?x=1", "]Q1", "card gsrn 735005385000000011"),
    ("https://id.example.org/8018/735005385000000011/", "]d1", "code"),  # no trailing slash
    ("4006381333931", "]E0", "code"),
    ("4006381333931", None, "code"),
    ("01040063813339311725123110A7", "]d2", "code"),
    ("SPRING-2026", "]Q1", "code"),
    ("", None, "rejected empty"),
    (" \r\n", "]Q1", "rejected empty"),
    ("%E?;E?+E?", None, "rejected swipe_failed"),
    # Payment cards. 4000000000006 has a right GS1 digit and a right Luhn digit: only the carrier tells.
    ("4000000000006", None, "payment_card"),
    ("4000000000006", "]E0", "code"),
    ("400000000000612", "]E3", "code"),
    ("4000000000006]E112", "]E0", "code"),
    ("4242 4242 4242 4242", None, "payment_card"),
    ("4242-4242-4242-4242", None, "payment_card"),
    ("4242424242424243", None, "code"),  # wrong Luhn digit
    ("42424242424242", None, "code"),  # no Visa has fourteen
    ("14242424242424242", None, "code"),  # a longer run of digits is another number
    ("Ref 12 4242 4242 4242 4242 ok", None, "payment_card"),  # the 12 must not hide it
    ("card=4242424242424242;", "]Q1", "payment_card"),
    ("4242424242424242", "]C1", "payment_card"),
    ("41500000000000033900000000012345", "]C1", "code"),  # a bill: location, amount
    ("%B4242424242424242^DOE/JANE^29011010000?;4242424242424242=29011010000?", None, "payment_card"),
    (";9900000000000002=2901101000?", None, "payment_card"),  # a payment track, in a range nobody knows
    (";9900000000000003=2901101000?", None, "code"),  # nor has it a right Luhn digit
    (";4242424242424243=2901101000?", None, "payment_card"),  # Visa's range on a payment track: a digit was misread
    ("%B4242424242424243^DOE/JANE^2901101000?", None, "payment_card"),
    ("%E?;E?+014242424242424242=7247880000000000?", None, "payment_card"),  # track 3: its format code before
    ("%E?;E?+024242424242424243=7247880000000000?", None, "code"),
    ("6901234567892", None, "code"),  # Chinese goods, though Maestro's block begins with 6
    ("%CADOE^JANE$$^1 MAIN ST^?;636014000000001=290119800101?", None, "code"),  # a driving licence
    ("%E?;636014000000001=290119800101?", None, "code"),
]


@pytest.mark.parametrize(("text", "aim", "what"), READINGS)
def test_a_reading_is_what_the_programme_says(text, aim, what):
    assert seen(read_card(RULES, text, aim=aim)) == what


def test_without_configured_ranges_nothing_is_a_card():
    for text in ("2037215727383", "9826300000000015", "8018735005385000000011"):
        assert seen(read_card(CardRules(), text)) == "code"


SCHEME_NUMBERS = """
    4222222222222 4111111111111111 5555555555554444 2223003122003222 378282246310005 341111111111111
    6011111111111117 6445644564456445 30569309025904 36227206271667 38520000023237 3530111333300000
    6200000000000005 6759649826438453 6304000000000000 501800000009 2200000000000004 8100000000000002
    9792000000000003 5066991111111118 6062826786276634 2205000000000009 8600000000000007 9860000000000000
    9704360000000008
"""


@pytest.mark.parametrize("number", SCHEME_NUMBERS.split())
def test_the_test_numbers_of_every_scheme_are_refused(number):
    assert seen(read_card(RULES, number)) == "payment_card"


def test_a_payment_card_has_no_field_to_keep_a_number_in():
    assert PaymentCard.__struct_fields__ == ()
    assert msgspec.json.encode(read_card(RULES, "4242424242424242")) == b'{"type":"payment_card"}'


def test_a_card_and_a_code_never_show_their_text():
    card, code = read_card(RULES, "2037215727383"), read_card(RULES, "4006381333931", aim="]E0")
    assert repr(card) == str(card) == f"{card}" == "Card(ean13 …7383)"
    assert repr([card]) == "[Card(ean13 …7383)]"
    assert repr(code) == "Code(13 characters, ]E0)"
    assert list(card.__rich_repr__()) == ["ean13 …7383"]


def test_a_code_goes_back_to_the_pos_untouched():
    code = read_card(RULES, "]Q1 two words\t")
    assert (code.text, code.aim) == (" two words\t", "]Q1")


def test_an_aim_id_is_a_bracket_a_letter_and_a_modifier():
    assert split_aim("]E04006381333931") == ("]E0", "4006381333931")
    assert split_aim("4006381333931") == (None, "4006381333931")
    assert split_aim("]]E0") == (None, "]]E0")


BAD_RANGES = [
    ([{"kind": "luhn", "prefix": "411111", "length": 16}], "cards.range_is_payment"),
    ([{"kind": "luhn", "prefix": "22", "length": 16}], "cards.range_is_payment"),  # 2221-2720 begins inside
    ([{"kind": "luhn", "prefix": "979", "length": 16}], "cards.range_is_payment"),  # Troy 9792 lies inside
    ([{"kind": "luhn", "prefix": "639999", "length": 18}], "cards.range_is_payment"),
    ([{"kind": "ean13", "prefix": "40"}], "cards.range_is_payment"),
    ([{"kind": "luhn", "prefix": "982630"}], "cards.range_malformed"),
    ([{"kind": "luhn", "prefix": "982630", "length": 20}], "cards.range_malformed"),
    ([{"kind": "luhn", "prefix": "9826301", "length": 8}], "cards.range_malformed"),  # no room for numbers
    ([{"kind": "ean13", "prefix": "20", "length": 12}], "cards.range_malformed"),
    ([{"kind": "ean13", "prefix": "2x"}], "cards.range_malformed"),
    ([{"kind": "ean13", "prefix": "٢٠"}], "cards.range_malformed"),
    ([{"kind": "ean13", "prefix": ""}], "cards.range_malformed"),
    ([{"kind": "gsrn", "prefix": "735"}], "cards.range_malformed"),
    ([{"kind": "ean13", "prefix": "20"}, {"kind": "ean13", "prefix": "2037"}], "cards.ranges_overlap"),
    ([{"kind": "luhn", "prefix": "204", "length": 13}, {"kind": "ean13", "prefix": "20"}], "cards.ranges_overlap"),
    ([{"kind": "luhn", "prefix": "42", "length": 12}, {"kind": "ean13", "prefix": "042"}], "cards.ranges_overlap"),
]


@pytest.mark.parametrize(("ranges", "code"), BAD_RANGES)
def test_a_range_that_could_go_wrong_is_refused_with_the_reason(ranges, code):
    with pytest.raises(Refusal) as told:
        msgspec.convert({"ranges": ranges}, CardRules)
    assert told.value.code == code


def test_ranges_may_stand_side_by_side():
    ranges = [
        {"kind": "ean13", "prefix": "20"}, {"kind": "ean13", "prefix": "21"},
        {"kind": "luhn", "prefix": "982630", "length": 16}, {"kind": "luhn", "prefix": "982630", "length": 18},
        {"kind": "luhn", "prefix": "22", "length": 12}, {"kind": "gsrn", "prefix": "502345"},
    ]
    assert len(msgspec.convert({"ranges": ranges}, CardRules).ranges) == 6


def test_a_token_is_the_keyed_hash_of_kind_and_number():
    card = Card(kind="ean13", number="2037215727383", last4="7383")
    # printf 'ean13\0002037215727383' | openssl dgst -sha256 -mac hmac -macopt hexkey:<32 times 6b>
    assert card_token(b"k" * 32, card) == "abf8c91476daf84af049ca0999be17b1"
    other_kind = Card(kind="luhn", number="2037215727383", last4="7383")
    assert card_token(b"k" * 32, other_kind) != card_token(b"k" * 32, card) != card_token(b"l" * 32, card)


def test_a_key_that_could_be_guessed_makes_no_token():
    with pytest.raises(InvariantBroken):
        card_token(b"short", Card(kind="ean13", number="2037215727383", last4="7383"))


@given(st.text(max_size=200), st.sampled_from([None, "]E0", "]C1", "]Q1", "]A1", "]xx"]))
def test_any_text_is_something(text, aim):
    assert seen(read_card(RULES, text, aim=aim)).split()[0] in {"card", "code", "rejected", "payment_card"}


@given(st.text("0123456789 -=;?%^B]EC1\x1d", max_size=60))
def test_any_text_of_card_like_characters_is_something(text):
    assert seen(read_card(RULES, text)).split()[0] in {"card", "code", "rejected", "payment_card"}


def test_rules_that_say_nothing_new_are_written_as_they_always_were():
    # What a programme's version is the hash of: words that were added must not change the old ones.
    rules = CardRules(ranges=(CardRule(kind="ean13", prefix="2037"),))
    assert msgspec.json.encode(rules) == b'{"ranges":[{"kind":"ean13","prefix":"2037","length":null}]}'
    written = b'{"phone":{"country":"48","digits":[9],"most_points":null},"wallet":{"static_allowed":"none"}}'
    read = msgspec.json.decode(written, type=CardRules)
    assert (read.most_points("phone"), read.wallet.static_allowed, read.uid_most_points) == (None, "none", 0)
    assert msgspec.json.decode(msgspec.json.encode(read), type=CardRules) == read
