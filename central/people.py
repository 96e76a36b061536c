"""Who members are: kept apart from everything else, each under a key of their own, found by keyed hashes alone.

A person's data is encrypted under their own key, which is encrypted under the centre's; erasing the row leaves nothing
that anybody can read, in a copy of the other tables either. The key file is `person_key` of the settings; tills seal to
the public half of what is derived from it. Source: fraud-privacy.md 3; docs/members.md "Personal data".
"""

import hmac
import re
import unicodedata

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from sqlalchemy import Connection, delete, select

from central.accounts import survivor_of
from central.card_names import one_a_card
from central.ports import Randomness
from central.rows import find, put
from central.tables import card, found_by, person
from sync.desk import FoundCard, Person, Sealed, open_person
from sync.keys import exchange_public

NONCE_BYTES = 12
MOST_FOUND = 10


class People:
    """The keys of one centre.

    Args:
        key: 32 secret bytes, the centre's alone: no till ever has them.
    """

    def __init__(self, key: bytes) -> None:
        self._rest = hmac.digest(key, b"TP-PEOPLE-REST", "sha256")
        self._marks = hmac.digest(key, b"TP-PEOPLE-MARKS", "sha256")
        self._private = hmac.digest(key, b"TP-PEOPLE-SEAL", "sha256")
        self.sealing_key = exchange_public(self._private)

    def opened(self, sealed: Sealed, *, till_id: str, about: str) -> Person:
        """What a till sealed. Raises: BadBody, msgspec.MsgspecError."""
        return open_person(sealed, self._private, till_id=till_id, about=about)

    def keep(self, tx: Connection, account_id: int, who: Person, randomness: Randomness, now_ms: int) -> None:
        """Keep who a member is, in place of what was known."""
        own, about = randomness.bytes(32), str(account_id).encode()
        nonces = randomness.bytes(NONCE_BYTES), randomness.bytes(NONCE_BYTES)
        key = nonces[0] + ChaCha20Poly1305(self._rest).encrypt(nonces[0], own, about)
        data = nonces[1] + ChaCha20Poly1305(own).encrypt(nonces[1], msgspec.json.encode(who), about)
        forget(tx, account_id)
        tx.execute(person.insert().values(account_id=account_id, key=key, data=data, changed_at_ms=now_ms))
        marks = [{"mark": mark, "account_id": account_id} for mark in self._marks_of(who)]
        put(tx, found_by, marks, "nothing")

    def read(self, connection: Connection, account_id: int) -> Person | None:
        """Who a member is; none where nobody said."""
        row = connection.execute(select(person).where(person.c.account_id == account_id)).first()
        if row is None:
            return None
        about, key, data = str(account_id).encode(), bytes(row.key), bytes(row.data)
        own = ChaCha20Poly1305(self._rest).decrypt(key[:NONCE_BYTES], key[NONCE_BYTES:], about)
        plain = ChaCha20Poly1305(own).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], about)
        return msgspec.json.decode(plain, type=Person)

    def cards_of(self, connection: Connection, who: Person) -> tuple[FoundCard, ...]:
        """The cards in use of whoever has this telephone or e-mail."""
        marks = [{"mark": mark} for mark in self._marks_of(who)]
        owners = {survivor_of(connection, row.account_id) for row in find(connection, found_by, marks)}
        cards = find(connection, card, [{"account_id": one} for one in owners], (), card.c.state == "active")
        newest = sorted(one_a_card(connection, cards), key=lambda row: (-row.since_ms, row.card_token))[:MOST_FOUND]
        return tuple(FoundCard(card_token=row.card_token, last4=row.last4) for row in newest)

    def _marks_of(self, who: Person) -> list[str]:
        told = {"phone": _digits(who.phone), "email": _plain(who.email)}
        return [hmac.digest(self._marks, f"{kind}\0{value}".encode(), "sha256")[:16].hex()
                for kind, value in told.items() if value]  # fmt: skip


def forget(tx: Connection, account_id: int) -> None:
    """Erase who a member is, with their key and what they are found by."""
    tx.execute(delete(found_by).where(found_by.c.account_id == account_id))
    tx.execute(delete(person).where(person.c.account_id == account_id))


def masked(who: Person) -> Person:
    """As people may see it who do not need all of it: initials, the end of the telephone, the mail's domain."""
    initials = " ".join(f"{word[0]}…" for word in who.name.split()[:3])
    digits = _digits(who.phone)
    _, at, domain = who.email.partition("@")
    return Person(
        name=initials,
        phone=f"…{digits[-3:]}" if digits else "",
        email=f"…{at}{domain}" if at else "",
        birthday=who.birthday,
    )


def _digits(phone: str) -> str:
    """The same telephone however it is written; a country code's 00 is a plus."""
    return re.sub("[^0-9]", "", phone).removeprefix("00")


def _plain(email: str) -> str:
    return unicodedata.normalize("NFKC", email).strip().casefold()
