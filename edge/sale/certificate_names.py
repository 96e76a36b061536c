"""Which token a code goes by at this till, while the programme has several card keys.

A certificate keeps for good the name under which it was first sold, for nobody can work out another without its code.
It is looked up under every key that the till holds, retired ones too; one that nobody knows yet is named under the
oldest key in force, which every till holds. So what is sold after a stolen key was retired is not named under it.
Source: docs/decisions/card-goes-by-two-names.md.
"""

import hmac

from edge.cache.cache import Cache
from edge.identity import TillIdentity
from edge.journal.certificate_moves import OwnMoves
from edge.journal.journal import Journal
from edge.sale.card_names import check_has_keys
from loyalty.programme.compiled import plain_code

_NOTHING = OwnMoves()


def code_token(key: bytes, code: str) -> str:
    """What stands for a code in journals and at the centre, the same however it is typed: 32 hex digits."""
    return hmac.digest(key, f"code\x00{plain_code(code)}".encode(), "sha256")[:16].hex()


def new_name(identity: TillIdentity, code: str) -> str:
    """What a code that nobody knows goes by. Raises: TillRevoked."""
    check_has_keys(identity)
    return code_token(identity.card_keys.in_force[0].secret, code)


def every_name(identity: TillIdentity, code: str) -> tuple[str, ...]:
    """What a code may go by, under the newest key first."""
    return tuple(code_token(one.secret, code) for one in reversed(identity.card_keys.keys))


def name_of(identity: TillIdentity, journal: Journal, cache: Cache, code: str) -> str:
    """What a certificate goes by.

    Two tills that sell one code within the hour in which a key is retired may name it twice: then each name is a
    certificate of its own. One that is blocked speaks for both; else the one with money on it pays first.
    Raises: TillRevoked.
    """
    check_has_keys(identity)
    if identity.card_keys.is_unchanged:
        return code_token(identity.card_key, code)
    ranked = [(_rank(journal, cache, name), -place, name) for place, name in enumerate(every_name(identity, code))]
    rank, _, name = max(ranked)
    return name if rank else new_name(identity, code)


def _rank(journal: Journal, cache: Cache, name: str) -> int:
    """0 for what this till does not know."""
    row, own = cache.certificate(name), journal.certificates.after(name, 0)
    if own.blocked or (row and row.blocked):
        return 3
    if row and row.parts:
        return 2
    return 1 if row or own != _NOTHING else 0
