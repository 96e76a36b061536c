"""A till that a restored centre forgot shows what it was granted, in the centre's own hand; nobody else can."""

import msgspec
import pytest

from loyalty.cards.card_keys import one_card_key
from sync.enrolment import Slot
from sync.framing import pack, split
from sync.keys import Signer, one_key
from sync.papers import PAPER_TAG, Paper, make_paper, read_paper
from sync.refusals import BadBody, BadSignature
from sync.till_session import TillSession
from sync.wire import HELLO_TAG, Claim, Hello
from tests.sync.memory import CENTRE, GENESIS, KEY_A, KEY_B, NOON, TILL_A, MemoryCentre
from tests.sync.talk import Talk

SLOT = Slot(
    code_hash="", till_id=TILL_A, epoch=1, key_no=1, genesis=GENESIS.hex(), partner_id="north", store_id="north-1",
    label="Till 1", card_keys=one_card_key(b"\xcd" * 32, "k1"), expires_ms=NOON, generation=0,
)  # fmt: skip
CLAIM = Claim(
    code="", public_key=KEY_A.public, exchange_key="0" * 64, install_id=f"on {TILL_A}", version="1.0", at_ms=NOON
)


def paper(slot: Slot = SLOT, signer: Signer = CENTRE) -> bytes:
    return make_paper(slot, CLAIM, now_ms=NOON, signer=signer)


class Forgotten(Talk):
    """A till whose centre knows of no till; it has sold twice."""

    def __init__(self, shown: bytes, key: Signer = KEY_A) -> None:
        self.shown = shown
        super().__init__(MemoryCentre(), key=key)
        self.sell(2)

    def start(self) -> None:
        super().start()
        old = self.session
        self.session = TillSession(
            self.till, old._settings, self.key, one_key(CENTRE.public), self.random_bits, paper=self.shown
        )

    def says(self) -> bytes:
        """The paper of the next hello."""
        request = self.ask()
        assert request.kind == "hello"
        self.give(request, self.carry(request))
        return msgspec.json.decode(split(request.body).json, type=Hello).paper


def test_a_paper_says_what_was_granted_and_only_the_key_that_signed_it_opens_the_nonce():
    told, genesis = read_paper(paper(), CENTRE)
    assert genesis == GENESIS
    assert told == Paper(
        key_no=1, till_id=TILL_A, epoch=1, till_key_no=1, public=KEY_A.public, install_id=f"on {TILL_A}",
        store_id="north-1", label="Till 1", generation=0, granted_at_ms=NOON,
    )  # fmt: skip
    assert GENESIS not in paper() and GENESIS.hex().encode() not in paper()
    with pytest.raises(BadSignature):
        read_paper(paper(), Signer(b"D" * 32))


def test_a_paper_that_was_changed_is_none():
    data = paper()
    parts = split(data)
    with pytest.raises(BadSignature):
        read_paper(data.replace(b'"epoch":1', b'"epoch":2'), CENTRE)
    with pytest.raises(BadBody):
        read_paper(data[:-1] + bytes([data[-1] ^ 1]), CENTRE)
    # The nonce of one enrolment is none for another.
    other = msgspec.json.decode(parts.json, type=Paper)
    with pytest.raises(BadBody):
        read_paper(pack(PAPER_TAG, msgspec.structs.replace(other, epoch=2), CENTRE, parts.body), CENTRE)


def test_a_till_that_is_not_known_any_more_shows_its_paper_until_it_is():
    talk = Forgotten(paper())
    assert talk.says() == b""
    assert talk.status().line.last_error == "sync.unknown_till"
    assert talk.says() == talk.shown
    # It is known, and waits for a person; it has been told so and shows nothing more.
    assert (talk.centre.tills[TILL_A].genesis, talk.status().suspended) == (GENESIS, "sync.suspended")
    talk.now += 3_600_000
    assert talk.says() == b""
    assert talk.centre.posted[TILL_A] == []
    talk.centre._change(TILL_A, state="active", is_undecided=False)
    talk.now += 3_600_000
    talk.until_quiet()
    assert (talk.centre.posted[TILL_A], talk.status().suspended) == (talk.till.payloads, "")
    assert len(talk.centre.readmitted) == 1


def test_a_till_that_runs_while_its_centre_is_put_back_says_so_with_its_next_request():
    talk = Forgotten(paper())
    talk.centre.readmit(read_paper(paper(), CENTRE)[0], GENESIS, NOON)
    talk.centre._change(TILL_A, state="active", is_undecided=False)
    talk.until_quiet()
    assert talk.till.acked().seq == 2
    del talk.centre.tills[TILL_A]
    talk.now += 20_000
    assert talk.turns(1) == ["hotlist"]
    assert talk.says() == talk.shown


def test_a_till_without_a_paper_is_unknown_as_ever():
    talk = Forgotten(b"")
    assert [talk.says(), talk.says(), talk.says()] == [b"", b"", b""]
    assert (talk.status().line.last_error, talk.centre.readmitted) == ("sync.unknown_till", [])


REFUSED = {
    "signed by another key": lambda: Forgotten(paper(signer=Signer(b"D" * 32))),
    "of another till": lambda: Forgotten(paper(msgspec.structs.replace(SLOT, till_id="cc" * 16))),
    "of another enrolment": lambda: Forgotten(paper(msgspec.structs.replace(SLOT, epoch=2, key_no=2))),
    "shown by a machine without its key": lambda: Forgotten(paper(), KEY_B),
}


@pytest.mark.parametrize("made", REFUSED.values(), ids=REFUSED)
def test_a_paper_counts_for_whom_it_was_written_alone(made):
    talk = made()
    for _ in range(3):
        talk.says()
    assert (talk.centre.readmitted, talk.centre.tills) == ([], {})


def test_a_till_that_is_known_is_asked_for_no_paper():
    talk = Talk(MemoryCentre((TILL_A, KEY_A)))
    request = talk.ask()
    hello = msgspec.json.decode(split(request.body).json, type=Hello)
    shown = pack(HELLO_TAG, msgspec.structs.replace(hello, paper=b"no paper at all"), KEY_A)
    assert talk.carry(msgspec.structs.replace(request, body=shown)).status == 200
