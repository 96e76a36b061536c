"""A till gets its identity once, from the right centre, over a code that serves one machine."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.cards.card_keys import one_card_key
from loyalty.trouble import Refusal
from sync.centre_session import CentreSession
from sync.enrolment import (
    CODE_TTL_MS,
    Slot,
    code_hash,
    comparison_code,
    fingerprint,
    make_claim,
    read_code,
    read_identity,
    show_code,
)
from sync.framing import open_signed
from sync.keys import Signer, one_key
from sync.refusals import BadCode, BadEnvelope, NotOurAnswer, WrongCentre
from sync.wire import ENROL_PATH, PROBLEM_TAG, Problem
from tests.sync.memory import CENTRE, KEY_A, KEY_B, NOON, TILL_A, MemoryCentre

CODE = "0123-4567-89AB-CDEF"
FINGERPRINT = fingerprint(CENTRE.public)
EXCHANGE = b"e" * 32
SLOT = Slot(
    code_hash=code_hash(CODE),
    till_id=TILL_A,
    epoch=1,
    key_no=1,
    genesis="ab" * 32,
    partner_id="north",
    store_id="north-1",
    label="Till 1",
    card_keys=one_card_key(b"\xcd" * 32, "k1"),
    expires_ms=NOON + CODE_TTL_MS,
)


def claim(signer: Signer = KEY_A, code: str = CODE, install_id: str = "machine 1", exchange: bytes = EXCHANGE) -> bytes:
    return make_claim(code, signer, exchange, install_id=install_id, version="1.0", at_ms=NOON)


class Desk:
    """A centre with one open slot."""

    def __init__(self, signer: Signer = CENTRE) -> None:
        self.store = MemoryCentre()
        self.store.slots[SLOT.code_hash] = SLOT
        self.session = CentreSession(signer, lambda count: b"r" * count)

    def post(self, data: bytes, now_ms: int = NOON):
        return self.session.answer(now_ms, ENROL_PATH, data, self.store)


def problem(answer) -> tuple[int, str]:
    said, _ = open_signed(PROBLEM_TAG, answer.body, Problem, one_key(CENTRE.public))
    return answer.status, said.code


def test_a_till_with_the_code_learns_who_it_is():
    request = claim()
    answer = Desk().post(request)
    identity = read_identity(answer.body, request, EXCHANGE, FINGERPRINT)
    assert answer.status == 200
    assert (identity.till_id, identity.epoch, identity.key_no) == (TILL_A, 1, 1)
    assert (identity.genesis, identity.card_key, identity.card_key_id) == ("ab" * 32, "cd" * 32, "k1")
    assert (identity.partner_id, identity.store_id, identity.label) == ("north", "north-1", "Till 1")
    assert identity.centre_public_key == CENTRE.public


def test_the_secrets_do_not_travel_in_clear():
    body = Desk().post(claim()).body
    assert b"ab" * 32 not in body and b"cd" * 32 not in body and b"north" not in body


def test_a_till_whose_answer_was_lost_asks_again_and_is_told_the_same():
    desk = Desk()
    first = claim()
    desk.post(first)
    again = claim(exchange=b"f" * 32)
    identity = read_identity(desk.post(again).body, again, b"f" * 32, FINGERPRINT)
    assert identity.till_id == TILL_A
    assert desk.store.alarms == []


@pytest.mark.parametrize("other", [claim(KEY_B), claim(install_id="machine 2")], ids=["another key", "another machine"])
def test_a_code_used_by_another_machine_is_refused_and_rings_the_alarm(other):
    desk = Desk()
    desk.post(claim())
    assert problem(desk.post(other)) == (409, "enrolment.code_used")
    assert desk.store.alarms == [("enrolment.code_used", TILL_A)]


def test_a_code_lapses_after_a_day():
    assert Desk().post(claim(), NOON + CODE_TTL_MS - 1).status == 200
    assert problem(Desk().post(claim(), NOON + 86_400_000)) == (410, "enrolment.code_expired")


def test_an_unknown_code_is_refused():
    assert problem(Desk().post(claim(code="ZZZZ-ZZZZ-ZZZZ-ZZZZ"))) == (404, "enrolment.bad_code")


def test_a_claim_for_a_key_one_does_not_hold_is_refused():
    forged = claim(KEY_A).replace(KEY_A.public.encode(), KEY_B.public.encode())
    assert problem(Desk().post(forged)) == (401, "sync.bad_signature")


def test_the_answer_of_another_centre_is_refused():
    request = claim()
    answer = Desk(Signer(b"M" * 32)).post(request)
    with pytest.raises(WrongCentre):
        read_identity(answer.body, request, EXCHANGE, FINGERPRINT)


def test_the_answer_to_another_claim_is_refused():
    answer = Desk().post(claim())
    with pytest.raises(NotOurAnswer):
        read_identity(answer.body, claim(install_id="machine 9"), EXCHANGE, FINGERPRINT)


@given(st.data())
def test_an_identity_with_a_flipped_bit_is_refused(data):
    request = claim()
    body = bytearray(Desk().post(request).body)
    bit = data.draw(st.integers(0, 8 * len(body) - 1))
    body[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Refusal):
        read_identity(bytes(body), request, EXCHANGE, FINGERPRINT)


def test_a_refusal_cannot_be_read_as_an_identity():
    request = claim(code="ZZZZ-ZZZZ-ZZZZ-ZZZZ")
    with pytest.raises(BadEnvelope):
        read_identity(Desk().post(request).body, request, EXCHANGE, FINGERPRINT)


def test_eighty_random_bits_are_shown_in_groups_of_four():
    assert show_code(bytes(10)) == "0000-0000-0000-0000"
    assert show_code(b"\xff" * 10) == "ZZZZ-ZZZZ-ZZZZ-ZZZZ"
    # Letters 0 to F are 00000, 00001, … 01111: eighty bits in a row, regrouped by eight by hand.
    assert show_code(bytes.fromhex("00443214c74254b635cf")) == CODE


@pytest.mark.parametrize(
    "typed", ["0123-4567-89ab-cdef", " o1234567 89ABCDEF ", "OI23 4567-89ABCDEF", "0l23456789abcdef"]
)
def test_a_code_is_read_as_people_type_it(typed):
    assert read_code(typed) == "0123-4567-89AB-CDEF"


@pytest.mark.parametrize("typed", ["", "0123-4567-89AB-CDE", "0123-4567-89AB-CDEF0", "0123-4567-89AB-CDEU", "ä" * 16])
def test_what_is_no_code_is_refused(typed):
    with pytest.raises(BadCode):
        read_code(typed)


def test_both_screens_show_the_same_six_digits():
    assert comparison_code(KEY_A.public, CENTRE.public) == comparison_code(KEY_A.public, CENTRE.public)
    assert comparison_code(KEY_A.public, CENTRE.public) != comparison_code(KEY_B.public, CENTRE.public)
    digits = comparison_code(KEY_A.public, CENTRE.public)
    assert len(digits) == 7 and digits.replace(" ", "").isdigit()


def test_the_centre_keeps_no_code():
    assert CODE not in msgspec.json.encode(SLOT).decode()


def test_two_machines_at_the_same_instant_and_only_one_gets_the_slot():
    desk = Desk()
    desk.store.claim_slot = lambda slot, claim, now_ms: False  # the other was quicker, between look and claim
    assert problem(desk.post(claim())) == (409, "enrolment.code_used")
    assert desk.store.alarms == [("enrolment.code_used", TILL_A)]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda data: data + b"x", "sync.bad_envelope"),
        (lambda data: data + bytes(8_192), "sync.too_large"),
        (lambda data: data.replace(b'"proto":1', b'"proto":2'), "sync.unknown_proto"),
        (lambda data: data.replace(b'"machine 1"', b'""'), "sync.bad_envelope"),
    ],
)
def test_a_claim_that_is_malformed_takes_no_slot(change, code):
    desk = Desk()
    assert problem(desk.post(change(claim())))[1] == code
    assert desk.store.slots[SLOT.code_hash].used_by_key == ""
