"""A block's bytes, hash and seal, worked out once by other means and typed in."""

from sync.blocks import Block, block_hash, seal_block, seal_holds
from sync.chain import ZERO_HASH, StreamHead
from sync.keys import Signer

CENTRE = Signer(b"C" * 32)
FIRST = Block(
    block_no=1,
    prev_hash=ZERO_HASH,
    sealed_at_ms=1_772_452_800_000,
    heads=(StreamHead(till_id="ab" * 16, epoch=1, seq=3, hash="cd" * 32),),
)
BODY = (
    '{"block_no":1,"prev_hash":"' + "00" * 32 + '","sealed_at_ms":1772452800000,"heads":[{"till_id":"' + "ab" * 16
    + '","epoch":1,"seq":3,"hash":"' + "cd" * 32 + '"}]}'
)  # fmt: skip
# { printf 'TP-BLOCK1\0'; head -c 32 /dev/zero; printf '%s' "$BODY"; } | sha256sum
HASH = "54a6c3a9c319cea2fe6f316d172ab366b61283770c00eb782edc0ed0b6dec925"


def test_a_block_is_the_same_bytes_and_hash_everywhere():
    sealed = seal_block(FIRST, CENTRE)
    assert sealed.body == BODY
    assert sealed.hash == HASH


def test_a_seal_holds_for_its_block_and_key_alone():
    sealed = seal_block(FIRST, CENTRE)
    signature = bytes.fromhex(sealed.signature)
    assert seal_holds(CENTRE.public, sealed.hash, signature)
    assert not seal_holds(CENTRE.public, ZERO_HASH, signature)
    assert not seal_holds(Signer(b"D" * 32).public, sealed.hash, signature)


def test_the_block_before_is_part_of_the_hash():
    assert block_hash("11" * 32, BODY.encode()) != HASH
