"""A batch as bytes: round trip, limits, and whatever a line or a liar may do to it."""

import random
import tracemalloc
import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.trouble import Refusal
from sync.chain import StreamHead, blank, walk
from sync.envelope import (
    MAX_WIRE_BYTES,
    SealedBatch,
    Sender,
    Unsent,
    fits_a_batch,
    open_batch,
    seal_batch,
    walk_batch,
)
from sync.framing import pack, sha256
from sync.keys import Signer, verify
from sync.refusals import BadBody, BadChain, BadEnvelope, BadSignature, TooLarge, UnknownProto
from sync.wire import BATCH_TAG, BatchHeader, Lanes
from tests.sync.memory import GENESIS, KEY_A, NOON, TILL_A

START = StreamHead(till_id=TILL_A, epoch=1)
LINES = [b'{"n":1}', b'{"n":2}', b'{"n":3}']


def keys(till_id: str, key_no: int) -> str | None:
    return KEY_A.public if (till_id, key_no) == (TILL_A, 1) else None


def unsent(lines: list[bytes], after: StreamHead = START) -> list[Unsent]:
    heads = walk(after, GENESIS, lines)
    return [Unsent(seq=head.seq, payload=line, hash=head.hash) for head, line in zip(heads, lines, strict=True)]


def sealed(lines: list[bytes], signer: Signer = KEY_A) -> bytes:
    return seal(lines, signer).data


def seal(lines: list[bytes], signer: Signer = KEY_A) -> SealedBatch:
    sender = Sender(
        counter=1, sent_at_ms=NOON, clock_error_ms=0, boot="b", head_seq=len(lines), cursors=Lanes(), grants=0
    )
    return seal_batch(START, unsent(lines), sender, signer)


def lie(lines: list[bytes] = LINES, body: bytes | None = None, **fields: object) -> bytes:
    """A batch that its own till signed although a field or the body is wrong."""
    honest = seal(lines).header
    body = zlib.compress(b"".join(line + b"\n" for line in lines)) if body is None else body
    return pack(BATCH_TAG, msgspec.structs.replace(honest, **{"body_sha256": sha256(body), **fields}), KEY_A, body)


def test_what_goes_in_comes_out_byte_for_byte():
    opened = open_batch(sealed(LINES), keys)
    header = opened.header
    assert opened.payloads == (b'{"n":1}', b'{"n":2}', b'{"n":3}')
    assert (header.till_id, header.first_seq, header.last_seq, header.raw_bytes) == (TILL_A, 1, 3, 24)
    assert header.prev_hash == "0" * 64
    assert walk_batch(opened, GENESIS)[-1].hash == header.head_hash


@given(st.lists(st.binary(min_size=1, max_size=60).filter(lambda line: b"\n" not in line), min_size=1, max_size=30))
def test_any_lines_make_the_round_trip(lines):
    assert list(open_batch(sealed(lines), keys).payloads) == lines


def test_what_was_signed_can_be_proved_from_the_kept_bytes_alone():
    opened = open_batch(sealed(LINES), keys)
    assert verify(KEY_A.public, opened.signature, b"TP-BATCH1\0" + opened.header_bytes)
    assert sha256(opened.body) == msgspec.json.decode(opened.header_bytes)["body_sha256"]


def test_a_batch_takes_five_hundred_events_and_leaves_the_rest():
    batch = seal([b'{"n":%d}' % n for n in range(600)])
    assert (batch.header.first_seq, batch.header.last_seq, batch.header.backlog) == (1, 500, 100)


def test_a_batch_stays_below_its_wire_limit_when_events_do_not_compress():
    noise = random.Random(1)
    batch = seal([noise.randbytes(3_000).hex().encode() for _ in range(200)])
    assert len(batch.data) <= 262_144
    assert 1 <= batch.header.last_seq < 200
    assert len(open_batch(batch.data, keys).payloads) == batch.header.last_seq


def test_a_batch_stays_below_two_mebibytes_raw_when_events_compress_well():
    batch = seal([b"x" * 10_000 for _ in range(300)])
    assert batch.header.raw_bytes == 209 * 10_001


def test_a_single_event_over_the_limit_is_refused_with_its_place():
    noise = random.Random(2)
    with pytest.raises(TooLarge) as refused:
        seal([noise.randbytes(MAX_WIRE_BYTES).hex().encode()])
    assert refused.value.figures["seq"] == 1


def test_a_blanked_payload_walks_to_the_signed_hash():
    opened = open_batch(sealed(LINES), keys)
    kept = (opened.payloads[0], blank(GENESIS, opened.payloads[1]), opened.payloads[2])
    erased = msgspec.structs.replace(opened, payloads=kept)
    assert walk_batch(erased, GENESIS)[-1].hash == opened.header.head_hash


LIES = {
    "one line too few": (lie(body=zlib.compress(b'{"n":1}\n{"n":2}\n'), raw_bytes=16), BadBody),
    "one line too many": (lie([*LINES, b"{}"], last_seq=3), BadBody),
    "an empty line": (lie(body=zlib.compress(b'{"n":1}\n\n{"n":3}\n'), raw_bytes=17), BadBody),
    "no end of the last line": (lie(body=zlib.compress(b'{"n":1}\n{"n":2}\n{"n":3}'), raw_bytes=23), BadBody),
    "longer than stated": (lie(raw_bytes=23), BadBody),
    "shorter than stated": (lie(raw_bytes=25), BadBody),
    "nothing stated": (lie(raw_bytes=0), BadBody),
    "not zlib": (lie(body=b'{"n":1}\n{"n":2}\n{"n":3}\n'), BadBody),
    "bytes behind the body": (lie(body=zlib.compress(b'{"n":1}\n{"n":2}\n{"n":3}\n') + b"x"), BadBody),
    "no end of the zlib stream": (lie(body=zlib.compress(b'{"n":1}\n{"n":2}\n{"n":3}\n')[:-4]), BadBody),
    "a bomb of 40 MB": (lie(body=zlib.compress(bytes(40_000_000)), raw_bytes=24), BadBody),
    "another body": (lie(body_sha256="0" * 64), BadBody),
    "a huge length": (lie(raw_bytes=2 * 1024 * 1024 + 1), TooLarge),
    "501 events": (lie(last_seq=501), TooLarge),
    "no events": (lie(last_seq=0), BadEnvelope),
    "from zero": (lie(first_seq=0, last_seq=2), BadEnvelope),
    "protocol 2": (lie(proto=2), UnknownProto),
    "another key number": (lie(key_no=9), BadSignature),
    "another till": (lie(till_id="cc" * 16), BadSignature),
    "a till in capitals": (lie(till_id="AA" * 16), BadEnvelope),
    "a hash with a line end": (lie(prev_hash="0" * 64 + "\n"), BadEnvelope),
    "a sequence beyond 63 bits": (lie(first_seq=2**63, last_seq=2**63 + 1), BadEnvelope),
    "an epoch beyond 32 bits": (lie(epoch=2**32), BadEnvelope),
    "more to come than any stream holds": (lie(backlog=2**63 - 1), BadEnvelope),
    "nothing": (b"", BadEnvelope),
    "a length only": (b"\xff\xff", BadEnvelope),
    "more than 320 KiB": (bytes(320 * 1024 + 1), TooLarge),
    "signed by another": (sealed(LINES, Signer(b"X" * 32)), BadSignature),
}


@pytest.mark.parametrize("name", LIES)
def test_a_batch_that_lies_is_refused_by_name(name):
    data, kind = LIES[name]
    with pytest.raises(kind):
        open_batch(data, keys)


@pytest.mark.parametrize("stated", [0, 24, 100_000])
def test_a_bomb_is_inflated_no_further_than_it_states(stated):
    data = lie(body=zlib.compress(bytes(40_000_000)), raw_bytes=stated)
    tracemalloc.start()
    try:
        with pytest.raises(BadBody):
            open_batch(data, keys)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_a_signed_head_hash_that_the_events_do_not_reach_is_refused():
    opened = open_batch(lie(head_hash="1" * 64), keys)
    with pytest.raises(BadChain):
        walk_batch(opened, GENESIS)


@given(st.data())
def test_a_flipped_bit_anywhere_is_refused(data):
    batch = bytearray(sealed(LINES))
    bit = data.draw(st.integers(0, 8 * len(batch) - 1))
    batch[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Refusal):
        open_batch(bytes(batch), keys)


@given(st.data())
def test_a_batch_cut_anywhere_is_refused(data):
    batch = sealed(LINES)
    with pytest.raises(Refusal):
        open_batch(batch[: data.draw(st.integers(0, len(batch) - 1))], keys)


@given(st.binary(max_size=400))
def test_any_bytes_at_all_are_refused_and_nothing_else_happens(data):
    with pytest.raises(Refusal):
        open_batch(data, keys)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_json_in_a_frame_is_refused(value):
    encoded = msgspec.json.encode(value)[:60_000]
    with pytest.raises(Refusal):
        open_batch(len(encoded).to_bytes(2, "big") + encoded + bytes(64), keys)


def test_a_header_has_exactly_the_fields_that_were_agreed():
    assert sorted(BatchHeader.__struct_fields__) == sorted(
        "proto till_id epoch key_no counter sent_at_ms first_seq last_seq prev_hash head_hash raw_bytes body_sha256"
        " clock_error_ms boot backlog cursors grants block_no block_hash".split()
    )


@pytest.mark.parametrize(
    ("payload", "fits"),
    [
        (b"a" * 2_097_151, True),
        (b"a" * 2_097_152, False),  # with its line feed it is over 2 MiB
        (random.Random(1).randbytes(240_000).replace(b"\n", b" "), True),
        (random.Random(1).randbytes(262_000).replace(b"\n", b" "), False),
    ],
)
def test_what_fits_a_batch_can_be_sealed_and_what_cannot_be_sealed_does_not_fit(payload: bytes, fits: bool):
    assert fits_a_batch(payload) is fits
    if fits:
        assert seal([payload]).header.last_seq == 1
    else:
        with pytest.raises(TooLarge):
            seal([payload])
