"""A block: how far every stream that moved since the last one had come, chained to that one and signed by the centre.

    hash_n = SHA256("TP-BLOCK1" ‖ 0 ‖ hash_{n-1} ‖ body_n)        hash_0 = 32 zero bytes
    signature_n = Ed25519("TP-SEAL1" ‖ 0 ‖ hash_n)

The body is JSON, made once; what is hashed is always the stored bytes. As each head covers all events before it, one
block and the stored events prove everything that was committed until then.

Source: ledger.md rule 7; house.md section 3.
"""

import hashlib

import msgspec

from sync.chain import ZERO_HASH, Hex64, Seq, StreamHead
from sync.keys import Signer, verify

BLOCK_TAG = b"TP-BLOCK1\0"
SEAL_TAG = b"TP-SEAL1\0"


class BlockMark(msgspec.Struct, frozen=True, kw_only=True):
    """Names a block and all before it; number 0 before the first."""

    block_no: Seq = 0
    hash: Hex64 = ZERO_HASH


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """What is hashed: its number, the hash of the block before it, when it was sealed, and the heads by stream."""

    block_no: Seq
    prev_hash: Hex64
    sealed_at_ms: int
    heads: tuple[StreamHead, ...]


class SealedBlock(msgspec.Struct, frozen=True, kw_only=True):
    """A block as it is kept and copied: `body` is the JSON of a `Block`, byte for byte; `signature` is hex."""

    block_no: Seq
    hash: Hex64
    key_no: int
    signature: str
    body: str


def seal_block(block: Block, signer: Signer) -> SealedBlock:
    """Encode, hash and sign a block."""
    body = msgspec.json.encode(block)
    hash_ = block_hash(block.prev_hash, body)
    signature = signer.sign(SEAL_TAG + bytes.fromhex(hash_)).hex()
    return SealedBlock(
        block_no=block.block_no, hash=hash_, key_no=signer.key_no, signature=signature, body=body.decode("ascii")
    )


def block_hash(prev_hash: str, body: bytes) -> str:
    """`hash_n` as 64 hex characters."""
    return hashlib.sha256(BLOCK_TAG + bytes.fromhex(prev_hash) + body).hexdigest()


def seal_holds(public: str, hash_: str, signature: bytes) -> bool:
    """Whether the holder of `public` (64 hex characters) sealed the block of this hash."""
    return verify(public, signature, SEAL_TAG + bytes.fromhex(hash_))
