"""The programme's card keys on their way to a till that is enrolled: sealed to a key that its hello brought.

A hello says which keys the till holds, so the next one confirms what an answer brought. The answer is signed as any
other; the keys inside are encrypted to this one request's exchange key, as an enrolment's identity is. A till that says
nothing of keys is told nothing of them. Source: docs/decisions/card-goes-by-two-names.md; sync.md section 7.
"""

import msgspec

from loyalty.cards.card_keys import CardKeys
from sync.framing import sha256
from sync.keys import decrypt_from, encrypt_to, exchange_public
from sync.refusals import BadBody
from sync.wire import SealedCardKeys

CARD_KEYS_TAG = b"TP-CARDKEYS1\0"


def seal_card_keys(keys: CardKeys, exchange_key: str, exchange_private: bytes, request: bytes) -> SealedCardKeys:
    """Encrypt all keys to whoever made a request.

    Args:
        exchange_key: the request's; `exchange_private`: 32 random bytes for this once.
    Raises:
        BadBody: the request's exchange key is unusable.
    """
    body = encrypt_to(exchange_key, exchange_private, _info(request), msgspec.json.encode(keys))
    return SealedCardKeys(exchange_key=exchange_public(exchange_private), body=body)


def open_card_keys(sealed: SealedCardKeys, exchange_private: bytes, request: bytes) -> CardKeys:
    """The keys that an answer brought.

    Raises:
        BadBody: they are not for this request, or none is in force.
    """
    plain = decrypt_from(sealed.exchange_key, exchange_private, _info(request), sealed.body)
    try:
        keys = msgspec.json.decode(plain, type=CardKeys)
    except msgspec.DecodeError as trouble:
        raise BadBody(f"The answer holds no card keys: {trouble}") from None
    if not keys.in_force:
        raise BadBody("The answer holds no card key that is in force.")
    return keys


def _info(request: bytes) -> bytes:
    return CARD_KEYS_TAG + bytes.fromhex(sha256(request))
