"""The chain: one link and one walk, against figures made with another tool."""

import hashlib
import hmac
import struct

from hypothesis import given
from hypothesis import strategies as st

from sync.chain import ZERO_HASH, StreamHead, blank, is_blanked, next_head, walk
from tests.sync.memory import GENESIS

TILL = "00112233445566778899aabbccddeeff"
START = StreamHead(till_id=TILL, epoch=7)

OPENED = b'{"type":"opened.v1"}'
RECEIPT = b'{"type":"receipt.v1","n":1}'

# Made with `openssl dgst` and `xxd`, genesis 00 01 … 1f.
OPENED_DIGEST = "96c9b3eb18fe7f49c7c0c7353f32237f7aaf2a19e21d3099c53ac03ec10aafd3"
H1 = "190129c4c36547d0ffdd3a8bc64cf592a1c46e26a552f824700446a7e1143130"
H2 = "f785b5dec7cf1bab5065e58a87bc3194477e5706bf60e217b6c19875e4f15b70"

payloads = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=8)


def by_hand(till_id: str, epoch: int, genesis: bytes, lines: list[bytes]) -> list[str]:
    """The formula of house.md, composed from struct and hashlib alone."""
    last, out = bytes(32), []
    for seq, line in enumerate(lines, start=1):
        digest = hmac.new(genesis, line, hashlib.sha256).digest()
        last = hashlib.sha256(
            b"TP-EV1" + bytes.fromhex(till_id) + struct.pack(">IQ", epoch, seq) + last + digest
        ).digest()
        out.append(last.hex())
    return out


def test_the_first_two_links_are_what_openssl_computes():
    assert [head.hash for head in walk(START, GENESIS, [OPENED, RECEIPT])] == [H1, H2]


def test_a_stream_begins_at_zero_with_thirty_two_zero_bytes():
    assert (START.seq, START.hash) == (0, "00" * 32)
    assert ZERO_HASH == "0000000000000000000000000000000000000000000000000000000000000000"


@given(lines=payloads, epoch=st.integers(0, 2**32 - 1), genesis=st.binary(min_size=32, max_size=32))
def test_every_link_follows_the_written_formula(lines, epoch, genesis):
    heads = list(walk(StreamHead(till_id=TILL, epoch=epoch), genesis, lines))
    assert [head.hash for head in heads] == by_hand(TILL, epoch, genesis, lines)
    assert [head.seq for head in heads] == list(range(1, len(lines) + 1))


@given(lines=payloads, data=st.data())
def test_a_changed_payload_changes_every_hash_from_there_on(lines, data):
    at = data.draw(st.integers(0, len(lines) - 1))
    bit = data.draw(st.integers(0, 8 * len(lines[at]) - 1))
    line = bytearray(lines[at])
    line[bit // 8] ^= 1 << bit % 8
    honest = list(walk(START, GENESIS, lines))
    forged = list(walk(START, GENESIS, [*lines[:at], bytes(line), *lines[at + 1 :]]))
    assert honest[:at] == forged[:at]
    assert all(ours.hash != theirs.hash for ours, theirs in zip(honest[at:], forged[at:], strict=True))


def test_the_same_events_of_another_till_epoch_or_genesis_make_another_chain():
    ends = {
        next_head(StreamHead(till_id=till, epoch=epoch), genesis, OPENED).hash
        for till in (TILL, "ff" * 16)
        for epoch in (7, 8)
        for genesis in (GENESIS, bytes(32))
    }
    assert len(ends) == 8


def test_a_blanked_payload_leaves_its_digest_and_the_walk_goes_on():
    line = blank(GENESIS, OPENED)
    assert line == b'{"blanked":"' + OPENED_DIGEST.encode() + b'"}'
    assert is_blanked(line) and not is_blanked(OPENED)
    assert [head.hash for head in walk(START, GENESIS, [line, RECEIPT])] == [H1, H2]


def test_blanking_twice_is_blanking_once():
    line = blank(GENESIS, OPENED)
    assert blank(GENESIS, line) == line
