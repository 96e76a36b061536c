"""Codes on phones: genuine, fresh, and for what they may be used."""

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty.cards.card_rules import AppKey, RotatingRule, WalletRule
from loyalty.cards.cards import (
    Card,
    CardRule,
    CardRules,
    PaymentCard,
    Rejected,
    WalletCheck,
    is_wallet_code,
    once_of,
    read_card,
)
from loyalty.cards.wallet_codes import sign_app_code, totp, wallet_key
from loyalty.programme.check import check_programme
from loyalty.trouble import Refusal

KEY = b"k" * 32
CARD = "9826300000000015"
# RFC 8032, test 1: the secret and the public key.
SECRET = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
STEP = 66_666
NOW_MS = STEP * 30_000


def rules(pattern: str = "TPW-{card}-{totp_value_0}", **wallet) -> CardRules:
    return CardRules(
        ranges=(CardRule(kind="luhn", prefix="982630", length=16), CardRule(kind="gsrn", prefix="735005385")),
        wallet=WalletRule(
            rotating=RotatingRule(pattern=pattern), app_keys=(AppKey(key_no=7, public_key=PUBLIC),), **wallet
        ),
    )


APP_RULES = rules()
PRIVATE = Ed25519PrivateKey.from_private_bytes(SECRET)


def read(text: str, now_ms: int = NOW_MS, aim: str | None = "]Q1", of: CardRules | None = None):
    return read_card(of or rules(), text, aim=aim, wallet=WalletCheck(now_ms, KEY))


# RFC 6238, appendix B, SHA-1: seconds, value. Its key is 12345678901234567890, the one of Google's sample pass.
VECTORS = """
    59 94287082
    1111111109 07081804
    1111111111 14050471
    1234567890 89005924
    2000000000 69279037
    20000000000 65353130
"""


@pytest.mark.parametrize("row", VECTORS.strip().splitlines())
def test_the_vectors_of_rfc_6238(row):
    seconds, value = row.split()
    assert totp(b"12345678901234567890", int(seconds) // 30, 8) == value
    assert totp(b"12345678901234567890", int(seconds) // 30, 6) == value[2:]


def test_a_cards_secret_is_made_from_the_group_key():
    # openssl dgst -sha256 -mac hmac twice: TP-WALLET1 under the card key, the number under that.
    secret = "a8982d93f38cb2a8bb5b8af465d0b7a5db47de612c378def1479579b407df34b"
    assert wallet_key(KEY, 1, CARD).hex() == secret
    # openssl dgst -sha1 of 000000000001046a under it: 7dca7889b733f3ea4998217aeb0fddb0d18ab578.
    # The last digit 8 points at 4998217a, which is 1234706810.
    assert totp(bytes.fromhex(secret), STEP, 8) == "34706810"


@pytest.mark.parametrize("aim", [None, "]Q1", "]L0"])
def test_a_moving_code_is_its_card(aim):
    card = read(f"TPW-{CARD}-34706810", aim=aim)
    assert (card.kind, card.number, card.last4, card.assurance) == ("luhn", CARD, "0015", "rotating")
    assert card.once == once_of(KEY, f"TPW-{CARD}-34706810") and len(card.once) == 32


# Without a time in the code: steps between the code's and the till's clock, what it is.
AGES = [
    (0, "card"), (1, "card"), (-1, "card"), (2, "token_expired"), (240, "token_expired"), (-2, "token_future"),
    (-240, "token_future"), (241, "token_invalid"), (-241, "token_invalid"),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "what"), AGES)
def test_the_age_of_a_code_without_a_time_is_found_by_trying(steps, what):
    assert seen(read(f"TPW-{CARD}-34706810", NOW_MS + 30_000 * steps)) == what


TIMED = [(0, "card"), (1, "card"), (-1, "card"), (2, "token_expired"), (100_000, "token_expired"),
         (-2, "token_future"), (-9_999, "token_future")]  # fmt: skip


@pytest.mark.parametrize(("steps", "what"), TIMED)
@pytest.mark.parametrize("hole", ["{totp_timestamp_seconds}", "{totp_timestamp_millis}"])
def test_a_code_that_says_its_time_is_judged_by_it(hole, steps, what):
    at = NOW_MS + 29_999 if "millis" in hole else NOW_MS // 1000 + 29
    text = f"TPW-{CARD}-{at}-34706810"
    of = rules(f"TPW-{{card}}-{hole}-{{totp_value_0}}")
    assert seen(read(text, NOW_MS + 30_000 * steps, of=of)) == what
    moved = f"TPW-{CARD}-{at + 30_000}-34706810"
    assert seen(read(moved, NOW_MS + 30_000 * steps, of=of)) == "token_invalid"  # the time is part of what is proved


def seen(outcome) -> str:
    return outcome.reason if isinstance(outcome, Rejected) else str(outcome.__struct_config__.tag)


WRONG = [
    (f"TPW-{CARD}-34706811", "token_invalid"),
    (f"TPW-{CARD[:-1]}6-34706810", "token_invalid"),  # another number has another secret
    (f"TPW-{CARD}-3470681", "code"),  # not our pattern, so somebody else's
    (f"TPX-{CARD}-34706810", "code"),
    ("TPW-4242424242424242-34706810", "token_invalid"),
    ("TPA1.AAAA", "token_invalid"),
    ("TPA1.!!!", "token_invalid"),
    ("TPA2.AAAA", "code"),
]


@pytest.mark.parametrize(("text", "what"), WRONG)
def test_a_code_that_is_not_genuine_is_told_from_one_that_is_not_ours(text, what):
    assert seen(read(text)) == what
    assert "4242" not in repr(read(text))


def test_a_new_group_key_ends_the_old_one_when_the_programme_says_so():
    old = rules("TPW{key}-{card}-{totp_value_0}")
    assert seen(read(f"TPW1-{CARD}-34706810", of=old)) == "card"
    assert seen(read(f"TPW2-{CARD}-34706810", of=old)) == "token_invalid"
    both = msgspec.structs.replace(
        old, wallet=WalletRule(rotating=RotatingRule(pattern="TPW-{card}-{totp_value_0}", group_keys=(2, 1)))
    )
    assert seen(read(f"TPW-{CARD}-34706810", of=both)) == "card"
    new = msgspec.structs.replace(
        old, wallet=WalletRule(rotating=RotatingRule(pattern="TPW-{card}-{totp_value_0}", group_keys=(2,)))
    )
    assert seen(read(f"TPW-{CARD}-34706810", of=new)) == "token_invalid"


# openssl pkeyutl -sign -rawin over "tallypoint app code 1", 00, 07, 0001046a and the number; all after 00 in base64url.
SIGNED = (
    "TPA1.BwABBGo5ODI2MzAwMDAwMDAwMDE1lmVMU6QSkrZICx3YrLOcHdOmQ3WYgCHJkgenXEz7ks5XIE_ZqJpmBEgXT1It08436XHz9kRHjoAWnri0"
    "nNqwBQ"
)


def test_a_code_that_the_app_signed_is_its_card():
    card = read(SIGNED)
    assert (card.number, card.assurance) == (CARD, "signed")
    assert sign_app_code(Ed25519PrivateKey.from_private_bytes(SECRET), 7, CARD, STEP) == SIGNED


@pytest.mark.parametrize(("steps", "what"), [(1, "card"), (-1, "card"), (2, "token_expired"), (-2, "token_future")])
def test_a_signed_code_ages_too(steps, what):
    assert seen(read(SIGNED, NOW_MS + 30_000 * steps)) == what


def test_a_signed_code_of_another_key_or_text_is_not_genuine():
    private = Ed25519PrivateKey.from_private_bytes(SECRET)
    for text in (
        sign_app_code(private, 8, CARD, STEP),  # a key that the programme does not name
        sign_app_code(Ed25519PrivateKey.from_private_bytes(b"x" * 32), 7, CARD, STEP),
        SIGNED[:20] + ("A" if SIGNED[20] != "A" else "B") + SIGNED[21:],
        sign_app_code(private, 7, "9999999999999999", STEP),  # signed, but in no range
        sign_app_code(private, 7, CARD[:-1] + "6", STEP),  # signed, with a wrong check digit
    ):
        assert seen(read(text)) == "token_invalid"


def test_without_time_and_key_a_code_is_known_for_one_but_not_believed():
    assert seen(read_card(rules(), f"TPW-{CARD}-34706810")) == "token_no_clock"
    assert seen(read_card(rules(), SIGNED)) == "token_no_clock"
    assert is_wallet_code(rules(), "]Q1" + SIGNED) and not is_wallet_code(rules(), CARD)
    assert seen(read_card(CardRules(ranges=rules().ranges), SIGNED)) == "code"


# What a code that never changes may do: text, carrier.
STILL = [(CARD, "]Q1"), (CARD, "]L0"), (CARD, "]z0"), (CARD, "]d1"), ("8018735005385000000011", "]Q3"),
         ("https://id.example.org/8018/735005385000000011", None)]  # fmt: skip


@pytest.mark.parametrize(("text", "aim"), STILL)
def test_a_still_picture_of_a_code_may_what_the_programme_says(text, aim):
    allowed, earns, refused = (rules(static_allowed=word) for word in ("all", "earn_only", "none"))
    assert read(text, aim=aim, of=allowed).assurance == "number"
    assert read(text, aim=aim, of=earns).assurance == "static"
    assert seen(read(text, aim=aim, of=refused)) == "static_code"


@pytest.mark.parametrize(("text", "aim"), [(CARD, "]C0"), (CARD, None), (f";{CARD}=9912?", None), (SIGNED, "]Q1")])
def test_a_card_of_plastic_or_a_signed_code_is_no_still_picture(text, aim):
    assert seen(read(text, aim=aim, of=rules(static_allowed="none"))) == "card"


def test_how_a_card_was_shown_limits_what_it_spends():
    some = rules(static_allowed="earn_only")
    assert [some.most_points(way) for way in ("number", "rotating", "signed", "vas", "static", "uid", "phone")] == [
        None, None, None, None, 0, 0, 0,
    ]  # fmt: skip
    open_to_tags = msgspec.structs.replace(some, uid_most_points=None)
    assert open_to_tags.most_points("uid") is None


def test_a_payment_card_in_a_code_of_another_shape_is_still_refused():
    assert isinstance(read("TPW 4242424242424242"), PaymentCard)
    assert isinstance(read_card(rules(), "4242424242424242", source="vas"), PaymentCard)


def test_an_answer_of_a_certified_reader_is_trusted():
    card = read_card(rules(static_allowed="none"), CARD, source="vas")
    assert isinstance(card, Card) and card.assurance == "vas"


BAD = [
    {"rotating": {"pattern": "{card}-{totp_value_0}"}},  # could be any article number
    {"rotating": {"pattern": "X{card}{totp_value_0}"}},  # nobody could part the two
    {"rotating": {"pattern": "X{card}"}},
    {"rotating": {"pattern": "X{card}-{totp_value_0}-{totp_value_1}"}},
    {"rotating": {"pattern": "X{card}-{card}-{totp_value_0}"}},
    {"rotating": {"pattern": "X{card}-{totp_value_0}", "group_keys": []}},
    {"app_keys": [{"key_no": 1, "public_key": PUBLIC}, {"key_no": 1, "public_key": "0" * 64}]},
]


@pytest.mark.parametrize("wallet", BAD)
def test_a_rule_that_could_go_wrong_is_refused(wallet):
    with pytest.raises(Refusal) as told:
        msgspec.convert({"wallet": wallet}, CardRules)
    assert told.value.code == "cards.wallet_malformed"


@pytest.mark.parametrize("wallet", [{"rotating": {"pattern": "X{card}-{totp_value_0}", "digits": 9}},
                                    {"app_keys": [{"key_no": 1, "public_key": "xyz"}]}])  # fmt: skip
def test_a_rule_out_of_bounds_is_refused_when_it_is_read(wallet):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"wallet": wallet}, CardRules)


def test_nothing_secret_is_shown():
    assert "6b6b" not in repr(WalletCheck(NOW_MS, KEY)) and "kkk" not in repr(WalletCheck(NOW_MS, KEY))


# The part of a programme that is wrong is told at its line.
PARTS = [
    ("phone: {country: '+48', digits: [9]}", "4 $.cards.phone cards.phone_malformed"),
    ("wallet: {rotating: {pattern: '{card}'}}", "4 $.cards.wallet cards.wallet_malformed"),
]


@pytest.mark.parametrize(("part", "what"), PARTS)
@pytest.mark.parametrize("ranges", ["", "  ranges: [{kind: ean13, prefix: '2037'}]\n"])
def test_a_programmes_cards_are_checked_by_line(part, what, ranges):
    found = check_programme(f"id: club\ncurrency: EUR\ncards:\n  {part}\n{ranges}promotions: []\n")
    assert [f"{one.line} {one.path} {one.rule}" for one in found if one.severity == "error"] == [what]
