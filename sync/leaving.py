"""A till gives its place back: its last word, and the centre's signed answer, after which it may forget everything.

Source: sync.md section 7, "De-enrol".
"""

from sync.chain import Hex64, Seq
from sync.framing import open_signed, pack, sha256
from sync.keys import PublicKeys, Signer
from sync.refusals import NotOurAnswer
from sync.wire import CentreMessage, TillMessage

LEAVE_PATH = "/sync/v1/leave"
LEAVE_TAG = b"TP-LEAVE1\0"
LEFT_TAG = b"TP-LEFT1\0"


class Leave(TillMessage, frozen=True, kw_only=True):
    """The stream ends here. With `exported`, events that are not at the centre yet come in a file."""

    head_seq: Seq
    head_hash: Hex64
    exported: bool = False


class Left(CentreMessage, frozen=True, kw_only=True):
    """The lane is marked as left, with so many events of its last epoch still to come in a file."""

    to_come: int = 0


def compose_leave(leave: Leave, signer: Signer) -> bytes:
    """The request's bytes."""
    return pack(LEAVE_TAG, leave, signer)


def read_left(data: bytes, request: bytes, keys: PublicKeys) -> Left:
    """The answer, once it proved itself. Raises: BadEnvelope, BadSignature, NotOurAnswer."""
    left, _ = open_signed(LEFT_TAG, data, Left, keys)
    if left.answers != sha256(request):
        raise NotOurAnswer("This answers another request.")
    return left
