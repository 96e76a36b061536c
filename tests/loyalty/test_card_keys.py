"""A programme with several card keys: names of a card, and what is taken that was made under which of them."""

import msgspec
import pytest

from loyalty.cards.card_keys import CardKey, CardKeys, CardName, one_card_key
from loyalty.cards.cards import Card, Rejected, WalletCheck, card_token, read_card
from loyalty.cards.confirming import confirm_code, confirm_key, read_confirm_code_of
from loyalty.cards.wallet_codes import totp, wallet_key
from loyalty.trouble import InvariantBroken
from tests.loyalty.test_cards_wallet import CARD, NOW_MS, STEP, rules

ANNA = Card(kind="ean13", number="2900000000018", last4="0018")
# openssl dgst -sha256 -mac HMAC -macopt hexkey:1111… over "ean13", a zero byte and the number; the first 32 digits.
UNDER = {
    "1": "03286d30d8bc51a28b8ac30eb774ad34",
    "2": "7eb68545dbfbcb1636d953c7f0caa290",
    "3": "4ac198798bf9377ed3770c42e1a52527",
}
KEYS = {"1": "11" * 32, "2": "22" * 32, "3": "33" * 32}


def ring(*ids: str, retired: str = "") -> CardKeys:
    return CardKeys(keys=tuple(CardKey(key_id=one, key=KEYS[one], retired=one in retired) for one in ids))


def test_a_card_has_a_name_under_every_key_in_force_oldest_first():
    keys = ring("1", "2", "3", retired="2")
    assert keys.names_of(ANNA) == tuple(CardName(key_id=one, token=UNDER[one]) for one in ("1", "3"))
    assert [one.token for one in keys.every_name_of(ANNA)] == [UNDER[one] for one in ("1", "2", "3")]


def test_the_first_key_stays_for_codes_and_the_newest_in_force_makes_what_is_new():
    keys = ring("1", "2", "3", retired="13")
    assert (keys.first, keys.newest.key_id, keys.ids) == (b"\x11" * 32, "2", ("2",))
    assert keys.accepted == (b"\x22" * 32,)
    assert ring("1", "2").accepted == (b"\x22" * 32, b"\x11" * 32)
    with pytest.raises(InvariantBroken):
        _ = ring("1", "2", retired="12").newest


def test_a_programme_that_was_never_changed_names_cards_as_ever():
    keys = one_card_key(b"\x11" * 32)
    assert keys.is_unchanged and not ring("1", "2").is_unchanged
    assert keys.names_of(ANNA)[0].token == card_token(b"\x11" * 32, ANNA) == UNDER["1"]


def test_no_key_shows_in_what_is_printed_of_it():
    assert "1111" not in repr(ring("1", "2"))
    assert repr(ring("1", retired="1")) == "CardKeys(keys=(CardKey(1, retired),))"


@pytest.mark.parametrize("text", ['{"keys":[]}', '{"keys":[{"key_id":"1","key":"11"}]}', '{"keys":[{"key_id":"../x",'
                                  '"key":"' + "11" * 32 + '"}]}'])  # fmt: skip
def test_a_ring_that_cannot_be_is_not_read(text: str):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=CardKeys)


def test_a_moving_code_is_taken_under_each_key_in_force_and_under_no_retired_one():
    def shown(made_under: str, keys: CardKeys) -> str:
        value = totp(wallet_key(bytes.fromhex(KEYS[made_under]), 1, CARD), STEP, 8)
        check = WalletCheck(NOW_MS, keys.first, keys.accepted)
        read = read_card(rules(), f"TPW-{CARD}-{value}", aim="]Q1", wallet=check)
        return read.reason if isinstance(read, Rejected) else type(read).__name__

    assert [shown(one, ring("1", "2")) for one in ("1", "2", "3")] == ["Card", "Card", "token_invalid"]
    assert [shown(one, ring("1", "2", retired="1")) for one in ("1", "2")] == ["token_invalid", "Card"]


def test_a_code_that_confirms_a_consent_is_taken_under_each_key_in_force():
    codes = {one: confirm_code(confirm_key(bytes.fromhex(key)), "k3pw7q2mx") for one, key in KEYS.items()}
    assert len(set(codes.values())) == 3
    assert [read_confirm_code_of(ring("1", "2").accepted, codes[one]) for one in ("1", "2", "3")] == [
        "k3pw7q2mx", "k3pw7q2mx", None
    ]  # fmt: skip
    assert read_confirm_code_of(ring("1", "2", retired="1").accepted, codes["1"]) is None
