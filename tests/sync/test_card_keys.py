"""Card keys on the line: sealed to the hello that asked, opened by nobody else, and old hellos as they always were."""

from pathlib import Path

import msgspec
import pytest

from loyalty.cards.card_keys import CardKey, CardKeys, one_card_key
from sync.card_keys import open_card_keys, seal_card_keys
from sync.centre_session import CentreSession
from sync.framing import open_signed, sha256
from sync.keys import Signer, exchange_public, one_key
from sync.ports import CentreFacts
from sync.refusals import BadBody
from sync.wire import HELLO_ANSWER_TAG, HELLO_PATH, HELLO_TAG, Hello, HelloAnswer, SealedCardKeys
from tests.sync.corpus.world import V1
from tests.sync.memory import CENTRE, KEY_A, NOON, TILL_A, MemoryCentre
from tests.sync.talk import Talk

TWO = CardKeys(keys=(CardKey(key_id="1", key="11" * 32), CardKey(key_id="2", key="22" * 32)))
PRIVATE, CENTRES = b"p" * 32, b"c" * 32
REQUEST = b"a hello"
FROZEN = Path(__file__).parent / "corpus" / "card_keys"


class KeptKeys:
    """The card keys of a till, and nothing else of its keys."""

    def __init__(self) -> None:
        self.kept = one_card_key(b"\x11" * 32)
        self.taken: list[CardKeys] = []

    def next_signer(self) -> Signer | None:
        return None

    previous_signer = next_signer

    def card_keys(self) -> CardKeys:
        return self.kept

    def take_card_keys(self, keys: CardKeys) -> None:
        self.kept = keys
        self.taken.append(keys)


class Keyed(MemoryCentre):
    """A centre with two card keys."""

    def take_hello(self, hello: Hello, now_ms: int) -> CentreFacts:
        self.last = hello
        return msgspec.structs.replace(super().take_hello(hello, now_ms), card_keys=TWO)


@pytest.fixture
def talk() -> Talk:
    there = Talk(Keyed((TILL_A, KEY_A)))
    there.session._own_keys = KeptKeys()
    return there


def test_what_is_sealed_to_a_hello_opens_for_it_alone():
    sealed = seal_card_keys(TWO, exchange_public(PRIVATE), CENTRES, REQUEST)
    assert open_card_keys(sealed, PRIVATE, REQUEST) == TWO
    assert all(bytes.fromhex(one.key) not in sealed.body and one.key.encode() not in sealed.body for one in TWO.keys)
    bent = bytes([sealed.body[0] ^ 1]) + sealed.body[1:]
    for private, request, body in (
        (b"q" * 32, REQUEST, sealed.body),
        (PRIVATE, b"another", sealed.body),
        (PRIVATE, REQUEST, bent),
    ):
        with pytest.raises(BadBody):
            open_card_keys(SealedCardKeys(exchange_key=sealed.exchange_key, body=body), private, request)


def test_keys_none_of_which_is_in_force_are_not_taken():
    dead = CardKeys(keys=(CardKey(key_id="1", key="11" * 32, retired=True),))
    sealed = seal_card_keys(dead, exchange_public(PRIVATE), CENTRES, REQUEST)
    with pytest.raises(BadBody):
        open_card_keys(sealed, PRIVATE, REQUEST)


def test_a_till_takes_the_keys_and_says_at_once_that_it_has_them(talk: Talk):
    request = talk.turn()
    assert request.kind == "hello" and talk.session._own_keys.taken == [TWO]
    assert talk.centre.last.card_keys == ("1",)
    request = talk.turn()
    assert request.kind == "hello" and talk.centre.last.card_keys == ("1", "2")
    talk.until_quiet()
    assert talk.session._own_keys.taken == [TWO]  # it is told them once


def test_an_answer_with_keys_that_cannot_be_opened_changes_nothing_and_is_asked_for_again(talk: Talk):
    request = talk.ask()
    answer = talk.carry(request)
    talk.session._exchange_private = b"x" * 32
    talk.give(request, answer)
    assert talk.session._own_keys.taken == []
    talk.now += 600_000
    while talk.turn().kind != "hello":
        pass
    assert talk.session._own_keys.taken == [TWO]


def test_an_exchange_key_that_is_none_costs_a_till_the_keys_and_not_its_hello(talk: Talk):
    hello = msgspec.structs.replace(_hello(talk), exchange_key="00" * 32)
    facts = talk.centre.take_hello(hello, NOON)
    assert CentreSession(CENTRE, lambda count: b"r" * count)._card_keys(facts, hello, b"said") is None


def test_a_hello_of_before_says_nothing_of_keys_and_is_told_none():
    asks = [path.read_bytes() for path in sorted(V1.glob("*.ask"))]
    hellos = [data for data in asks if b'"head_seq"' in data and b'"install_id"' in data and b"raw_bytes" not in data]
    assert hellos
    for data in hellos:
        length = int.from_bytes(data[:2], "big")
        hello = msgspec.json.decode(data[2 : 2 + length], type=Hello)
        assert (hello.card_keys, hello.exchange_key) == ((), "")
        facts = Keyed((TILL_A, KEY_A)).take_hello(_as_till_a(hello), NOON)
        assert CentreSession(CENTRE, lambda count: b"r" * count)._card_keys(facts, hello, data) is None


def test_an_exchange_of_keys_is_frozen():
    """The bytes of a hello that asks and of its answer; both parties' keys are those of this file."""
    ask, answer = (FROZEN / "hello.ask").read_bytes(), (FROZEN / "hello.answer").read_bytes()
    hello, _ = open_signed(HELLO_TAG, ask, Hello, one_key(KEY_A.public))
    assert (hello.card_keys, hello.exchange_key) == (("1",), exchange_public(PRIVATE))
    said, _ = open_signed(HELLO_ANSWER_TAG, answer, HelloAnswer, one_key(CENTRE.public))
    assert said.answers == sha256(ask) and said.card_keys is not None
    assert open_card_keys(said.card_keys, PRIVATE, ask) == TWO


def _hello(talk: Talk) -> Hello:
    request = talk.ask()
    assert request.path == HELLO_PATH
    return open_signed(HELLO_TAG, request.body, Hello, one_key(KEY_A.public))[0]


def _as_till_a(hello: Hello) -> Hello:
    return msgspec.structs.replace(hello, till_id=TILL_A)
