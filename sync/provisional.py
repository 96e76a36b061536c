"""The epoch that a till gives itself when it must go on without its numbering, and how its centre knows it.

    genesis of the epoch = HMAC-SHA256(genesis that the centre granted with the till's key, "TP-PROV1\0" ‖ epoch)

So both sides have it without a word, and nobody else. Its number is in the upper half of all epochs, above every
earlier one, and drawn: two copies of one disk that both go on give themselves different ones, nearly always; else
their histories differ, which is a fork.

Source: DECISIONS 20; sync.md section 7, "Rewound and offline".
"""

import hmac

FIRST = 2**31
_DRAWN = 2**20


def may_be_provisional(epoch: int) -> bool:
    """Whether an epoch that the centre never gave may be one that a till gave itself."""
    return epoch >= FIRST


def next_provisional(above: int, draw: int) -> int:
    """An epoch above `above`, all epochs that this till knows of; `draw` is 20 random bits or more."""
    return max(above, FIRST) + 1 + draw % _DRAWN


def provisional_genesis(granted: bytes, epoch: int) -> bytes:
    """The secret nonce of a provisional epoch, 32 bytes, from the one that was granted with the till's key."""
    return hmac.digest(granted, b"TP-PROV1\0" + epoch.to_bytes(4, "big"), "sha256")
