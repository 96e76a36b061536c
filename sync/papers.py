"""The enrolment paper: an enrolment in the centre's own hand, for a centre that was put back to before it.

A till gets it with its identity and keeps it unread. Where the centre does not know the till, or its key, any more, it
shows the paper with a hello. Only the key that signed it believes it, and opens the nonce behind the signature: no till
can invent an enrolment, and who reads one on the way learns no secret. Source: docs/protocol.md "Up".
"""

import msgspec

from sync.chain import Epoch, Hex32, Hex64
from sync.enrolment import Slot
from sync.framing import check_signature, pack, read_json, split
from sync.keys import Signer
from sync.wire import Claim, Count, Short

PAPER_TAG = b"TP-PAPER1\0"


class Paper(msgspec.Struct, frozen=True, kw_only=True):
    """What was granted under a generation of the centre: the till's first key of `epoch`, its machine and its place.

    `key_no` is the centre's. The nonce of the epoch is behind the signature, encrypted.
    """

    key_no: Count
    till_id: Hex32
    epoch: Epoch
    till_key_no: Count
    public: Hex64
    install_id: Short
    store_id: Short
    label: Short
    generation: Count
    granted_at_ms: int


def make_paper(slot: Slot, claim: Claim, *, now_ms: int, signer: Signer) -> bytes:
    """The paper of a claim that was granted; `signer` is the centre's."""
    paper = Paper(
        key_no=signer.key_no,
        till_id=slot.till_id,
        epoch=slot.epoch,
        till_key_no=slot.key_no,
        public=claim.public_key,
        install_id=claim.install_id,
        store_id=slot.store_id,
        label=slot.label,
        generation=slot.generation,
        granted_at_ms=now_ms,
    )
    sealed = signer.seal(PAPER_TAG + msgspec.json.encode(paper), bytes.fromhex(slot.genesis))
    return pack(PAPER_TAG, paper, signer, sealed)


def read_paper(data: bytes, signer: Signer) -> tuple[Paper, bytes]:
    """A paper that this very key signed, and the nonce that was granted with it.

    Raises:
        BadEnvelope, BadSignature, BadBody.
    """
    parts = split(data)
    paper = read_json(parts, Paper)
    check_signature(PAPER_TAG, parts, signer.public)
    return paper, signer.unseal(PAPER_TAG + parts.json, parts.body)
