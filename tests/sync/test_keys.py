"""Keys and frames: what they refuse."""

import msgspec
import pytest

from loyalty.trouble import InvariantBroken
from sync import keys
from sync.chain import StreamHead
from sync.envelope import Sender, Unsent, seal_batch
from sync.framing import pack, split
from sync.keys import (
    PublicKey,
    PublicKeys,
    Signer,
    decrypt_from,
    encrypt_to,
    exchange_public,
    one_key,
    remembering,
    verify,
)
from sync.refusals import BadBody, BadEnvelope, TooLarge
from sync.wire import Lanes
from tests.sync.memory import KEY_A, KEY_B, NOON, TILL_A

OURS, THEIRS = b"1" * 32, b"2" * 32


def test_ed25519_agrees_with_the_first_test_of_rfc_8032():
    signer = Signer(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    assert signer.public == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert signer.sign(b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )


def test_a_signature_holds_for_its_key_and_message_only():
    signature = KEY_A.sign(b"message")
    assert verify(KEY_A.public, signature, b"message")
    assert not verify(KEY_B.public, signature, b"message")
    assert not verify(KEY_A.public, signature, b"another")
    assert not verify(KEY_A.public, signature[:63], b"message")
    assert not verify("not a key", signature, b"message")


def test_a_signature_that_is_remembered_holds_for_its_key_and_message_only():
    plain = KEY_A.sign(b"message")
    with remembering():
        for _ in range(2):
            signature = KEY_A.sign(b"message")
            assert signature == plain
            assert verify(KEY_A.public, signature, b"message")
            assert not verify(KEY_B.public, signature, b"message")
            assert not verify(KEY_A.public, signature, b"another")
            assert not verify(KEY_A.public, bytes([signature[0] ^ 1]) + signature[1:], b"message")
            # The same bytes, cut elsewhere.
            assert not verify(KEY_A.public, signature[:63], signature[63:] + b"message")
            assert not verify("not a key", signature, b"message")


def test_what_was_signed_or_proven_is_not_computed_again_while_it_is_remembered(monkeypatch):
    others = KEY_B.sign(b"of before")
    with remembering():
        ours = KEY_A.sign(b"ours")
        assert verify(KEY_B.public, others, b"of before")
        monkeypatch.setattr(keys, "_load", lambda public: pytest.fail(f"{public} was computed with"))
        assert verify(KEY_A.public, ours, b"ours")
        assert verify(KEY_B.public, others, b"of before")
        with pytest.raises(pytest.fail.Exception):
            verify(KEY_A.public, ours, b"theirs")
    with pytest.raises(pytest.fail.Exception):
        verify(KEY_A.public, ours, b"ours")


def test_a_key_is_found_by_its_number_before_and_after_a_rotation():
    found = PublicKeys(keys=(PublicKey(key_no=1, public="a"), PublicKey(key_no=2, public="b")))
    assert [found.find(number) for number in (1, 2, 3)] == ["a", "b", None]
    assert one_key("a", 5).find(5) == "a"


def test_what_is_encrypted_to_us_only_we_can_read():
    sealed = encrypt_to(exchange_public(OURS), THEIRS, b"info", b"secret")
    assert decrypt_from(exchange_public(THEIRS), OURS, b"info", sealed) == b"secret"
    for public, private, info in (
        (exchange_public(THEIRS), b"3" * 32, b"info"),
        (exchange_public(OURS), OURS, b"info"),
        (exchange_public(THEIRS), OURS, b"other"),
    ):
        with pytest.raises(BadBody):
            decrypt_from(public, private, info, sealed)


def test_an_exchange_key_that_gives_everybody_the_same_secret_is_refused():
    with pytest.raises(BadBody):
        encrypt_to("00" * 32, OURS, b"info", b"secret")


def test_a_header_that_does_not_fit_its_length_field_is_refused():
    with pytest.raises(TooLarge):
        pack(b"TAG", msgspec.defstruct("Long", [("text", str)])(text="x" * 65_536), KEY_A)


def test_a_frame_is_taken_apart_where_its_length_says():
    parts = split(b"\x00\x02{}" + b"s" * 64 + b"body")
    assert (parts.json, parts.signature, parts.body) == (b"{}", b"s" * 64, b"body")
    with pytest.raises(BadEnvelope):
        split(b"\x00\x02{}" + b"s" * 63)


@pytest.mark.parametrize("payload", [b"two\nlines", b""])
def test_a_payload_that_is_not_one_line_never_leaves_the_till(payload):
    sender = Sender(counter=1, sent_at_ms=NOON, clock_error_ms=0, boot="b", head_seq=1, cursors=Lanes(), grants=0)
    start = StreamHead(till_id=TILL_A, epoch=1)
    with pytest.raises(InvariantBroken):
        seal_batch(start, [Unsent(seq=1, payload=payload, hash="0" * 64)], sender, KEY_A)
    with pytest.raises(InvariantBroken):
        seal_batch(start, [Unsent(seq=2, payload=b"{}", hash="0" * 64)], sender, KEY_A)
