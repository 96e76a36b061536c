"""The programme's card keys: those in force, under each of which a card has a name, and those that are retired.

Until an older key is retired a card goes by its name under that one, so that every till writes the same.
Source: docs/decisions/card-goes-by-two-names.md; DECISIONS 21.
"""

from typing import Annotated

import msgspec

from loyalty.cards.cards import Card, card_token
from loyalty.trouble import InvariantBroken

FIRST_KEY = "1"  # the id of the key that a programme begins with

KeyId = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z]{1,20}\Z")]


class CardKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One key by its id; 64 hex digits, a secret. A retired one names no card any more."""

    key_id: KeyId
    key: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    retired: bool = False

    def __repr__(self) -> str:
        return f"CardKey({self.key_id}{', retired' if self.retired else ''})"

    @property
    def secret(self) -> bytes:
        return bytes.fromhex(self.key)


class CardName(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A card's token under one key."""

    key_id: KeyId
    token: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]


class CardKeys(msgspec.Struct, frozen=True, kw_only=True):
    """All keys of a programme, oldest first; at least one is in force."""

    keys: Annotated[tuple[CardKey, ...], msgspec.Meta(min_length=1, max_length=100)]

    @property
    def first(self) -> bytes:
        """The key that the programme began with; retired or not."""
        return self.keys[0].secret

    @property
    def in_force(self) -> tuple[CardKey, ...]:
        """Oldest first."""
        return tuple(one for one in self.keys if not one.retired)

    @property
    def newest(self) -> CardKey:
        """What is made new, is made with this one."""
        if not (live := self.in_force):
            raise InvariantBroken("every card key is retired; one must be in force", keys=len(self.keys))
        return live[-1]

    @property
    def accepted(self) -> tuple[bytes, ...]:
        """The keys under which a code that somebody shows may have been made, newest first."""
        return tuple(one.secret for one in reversed(self.in_force))

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of those in force, oldest first."""
        return tuple(one.key_id for one in self.in_force)

    @property
    def is_unchanged(self) -> bool:
        """Whether the programme still has the one key that it began with."""
        return len(self.keys) == 1

    def find(self, key_id: str) -> CardKey | None:
        """The key of an id, retired or not."""
        return next((one for one in self.keys if one.key_id == key_id), None)

    def names_of(self, card: Card) -> tuple[CardName, ...]:
        """A card's names under the keys in force, oldest first."""
        return tuple(CardName(key_id=one.key_id, token=card_token(one.secret, card)) for one in self.in_force)

    def every_name_of(self, card: Card) -> tuple[CardName, ...]:
        """The same, with those under retired keys."""
        return tuple(CardName(key_id=one.key_id, token=card_token(one.secret, card)) for one in self.keys)


def one_card_key(key: bytes, key_id: str = FIRST_KEY) -> CardKeys:
    """A programme whose key was never changed."""
    return CardKeys(keys=(CardKey(key_id=key_id, key=key.hex()),))
