"""Who members are: kept apart from everything else, each under a key of their own, found by keyed hashes alone.

A person's data is encrypted under their own key, which is encrypted under the centre's; erasing the row leaves nothing
that anybody can read, in a copy of the other tables either. The key file is `person_key` of the settings, later keys
lie beside it; tills seal to the public half of what is derived from the newest. Source: fraud-privacy.md 3;
docs/members.md "Personal data".
"""

import hmac
import re
import unicodedata
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from sqlalchemy import Connection, Row, delete, select, update

from central.database.rows import find, put
from central.database.tables import card, found_by, people_key, person
from central.keys.people_keys import PeopleKey, PeopleRing
from central.members.accounts import survivor_of
from central.members.card_names import one_a_card
from central.ports import Randomness
from sync.desk import FoundCard, Person, Sealed, open_person
from sync.refusals import BadBody

NONCE_BYTES = 12
MOST_FOUND = 10
RESEALED_AT_ONCE = 200


class People:
    """The keys of one centre.

    Args:
        first: 32 secret bytes, the centre's alone: no till ever has them.
        file: where they lie; none where there can be no later ones.
    """

    def __init__(self, first: bytes, file: Path | None = None) -> None:
        self._ring = PeopleRing(first, file)

    def sealing_key(self, connection: Connection) -> str:
        """What tills seal to now, 64 hex digits. Raises: PeopleKeyMissing."""
        return self._ring.in_force(connection)[-1].sealing_key

    def opened(self, connection: Connection, sealed: Sealed, *, till_id: str, about: str) -> Person:
        """What a till sealed, to the newest key or an older one.

        Raises:
            BadBody, msgspec.MsgspecError: it is for no key of this centre.
            PeopleKeyMissing: it may be for one whose file is not there.
        """
        for key in self._ring.on_file():
            try:
                return open_person(sealed, key.private, till_id=till_id, about=about)
            except BadBody:
                continue
        self._ring.check_files(connection)
        raise BadBody("It was sealed to no key of this head office.")

    def keep(self, tx: Connection, account_id: int, who: Person, randomness: Randomness, now_ms: int) -> None:
        """Keep who a member is, in place of what was known. Raises: PeopleKeyMissing."""
        newest = self._ring.in_force(tx)[-1]
        cells = _sealed(newest, account_id, who, randomness)
        forget(tx, account_id)
        tx.execute(person.insert().values(account_id=account_id, changed_at_ms=now_ms, **cells))
        put(tx, found_by, _found_by(newest, account_id, who), "nothing")

    def reseal(self, tx: Connection, randomness: Randomness, most: int = RESEALED_AT_ONCE) -> int:
        """Put people that an older key keeps under the newest, and what they are found by; how many they were.

        Raises: PeopleKeyMissing.
        """
        newest = self._ring.in_force(tx)[-1]
        older = [one for one in tx.execute(select(people_key.c.key_id)).scalars() if one != newest.key_id]
        if not older:
            return 0
        # Whoever erases or changes somebody at this moment is let go first, and their row comes with a later portion.
        chosen = select(person).where(person.c.key_id.in_(older)).order_by(person.c.account_id).limit(most)
        rows = tx.execute(chosen.with_for_update(skip_locked=True)).all()
        for row in rows:
            who = self._opened_row(row)
            cells = _sealed(newest, row.account_id, who, randomness)
            tx.execute(update(person).where(person.c.account_id == row.account_id).values(**cells))
            tx.execute(delete(found_by).where(found_by.c.account_id == row.account_id))
            put(tx, found_by, _found_by(newest, row.account_id, who), "nothing")
        return len(rows)

    def read(self, connection: Connection, account_id: int) -> Person | None:
        """Who a member is; none where nobody said. Raises: PeopleKeyMissing."""
        row = connection.execute(select(person).where(person.c.account_id == account_id)).first()
        return None if row is None else self._opened_row(row)

    def cards_of(self, connection: Connection, who: Person) -> tuple[FoundCard, ...]:
        """The cards in use of whoever has this telephone or e-mail. Raises: PeopleKeyMissing."""
        marks = [{"mark": mark} for key in self._ring.in_force(connection) for mark in _marks_of(key, who)]
        owners = {survivor_of(connection, row.account_id) for row in find(connection, found_by, marks)}
        cards = find(connection, card, [{"account_id": one} for one in owners], (), card.c.state == "active")
        newest = sorted(one_a_card(connection, cards), key=lambda row: (-row.since_ms, row.card_token))[:MOST_FOUND]
        return tuple(FoundCard(card_token=row.card_token, last4=row.last4) for row in newest)

    def _opened_row(self, row: Row[Any]) -> Person:
        about, key, data = str(row.account_id).encode(), bytes(row.key), bytes(row.data)
        rest = self._ring.key(row.key_id).rest
        own = ChaCha20Poly1305(rest).decrypt(key[:NONCE_BYTES], key[NONCE_BYTES:], about)
        plain = ChaCha20Poly1305(own).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], about)
        return msgspec.json.decode(plain, type=Person)


def forget(tx: Connection, account_id: int) -> None:
    """Erase who a member is, with their key and what they are found by."""
    # In this order: who is being put under another key just now has new marks once the row is free.
    tx.execute(delete(person).where(person.c.account_id == account_id))
    tx.execute(delete(found_by).where(found_by.c.account_id == account_id))


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


def _sealed(under: PeopleKey, account_id: int, who: Person, randomness: Randomness) -> dict[str, Any]:
    """Cells of `person`: a key of their own, made now, and what it encrypts."""
    own, about = randomness.bytes(32), str(account_id).encode()
    nonces = randomness.bytes(NONCE_BYTES), randomness.bytes(NONCE_BYTES)
    key = nonces[0] + ChaCha20Poly1305(under.rest).encrypt(nonces[0], own, about)
    data = nonces[1] + ChaCha20Poly1305(own).encrypt(nonces[1], msgspec.json.encode(who), about)
    return {"key": key, "data": data, "key_id": under.key_id}


def _found_by(under: PeopleKey, account_id: int, who: Person) -> list[dict[str, Any]]:
    return [{"mark": mark, "account_id": account_id} for mark in _marks_of(under, who)]


def _marks_of(under: PeopleKey, who: Person) -> list[str]:
    told = {"phone": _digits(who.phone), "email": _plain(who.email)}
    return [hmac.digest(under.marks, f"{kind}\0{value}".encode(), "sha256")[:16].hex()
            for kind, value in told.items() if value]  # fmt: skip


def _digits(phone: str) -> str:
    """The same telephone however it is written; a country code's 00 is a plus."""
    return re.sub("[^0-9]", "", phone).removeprefix("00")


def _plain(email: str) -> str:
    return unicodedata.normalize("NFKC", email).strip().casefold()
