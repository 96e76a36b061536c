"""How far a change of the key of personal data has come, and its end: the old key is retired.

Nothing is kept under a retired key, nobody is looked for under it, and no till is told of it. It goes on opening what a
till sealed to it before it heard of the newer one. Source: docs/operations.md "A new key of personal data".
"""

from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, func, select, update

from central.coalition.hellos import said_by_tills
from central.database.tables import people_key, person
from central.keys.people_keys import PeopleRing
from central.ports import writing
from loyalty.cards.card_keys import FIRST_KEY
from loyalty.trouble import Refusal


class PeopleKeyUnknown(Refusal):
    code = "people_key.unknown"
    status = 404


class PeopleKeyInUse(Refusal):
    code = "people_key.in_use"


class LastPeopleKey(Refusal):
    code = "people_key.last"


class PeopleKeyStanding(msgspec.Struct, frozen=True, kw_only=True):
    """Where one key stands.

    Attributes:
        tills_with, tills_without: labels of the tills that seal to it and of those that do not, of those that may
            upload. Only the newest is told to tills.
        people: who is kept under it.
    """

    key_id: str
    made_ms: int
    retired_ms: int
    is_newest: bool
    tills_with: tuple[str, ...]
    tills_without: tuple[str, ...]
    people: int


def people_standing(connection: Connection, ring: PeopleRing) -> tuple[PeopleKeyStanding, ...]:
    """All keys, oldest first. Raises: PeopleKeyMissing."""
    rows = connection.execute(select(people_key).order_by(people_key.c.no)).all()
    kept = people_under(connection)
    said = said_by_tills(connection)
    if not rows:
        return (_standing(FIRST_KEY, None, True, ring, said, kept),)
    newest = [row.key_id for row in rows if not row.retired_ms][-1]
    return tuple(_standing(row.key_id, row, row.key_id == newest, ring, said, kept) for row in rows)


def people_under(connection: Connection) -> dict[str, int]:
    """How many people are kept under each key."""
    counted = select(person.c.key_id, func.count()).group_by(person.c.key_id)
    return {key_id: many for key_id, many in connection.execute(counted)}


def retire_people_key(
    engine: Engine, ring: PeopleRing, key_id: str, now_ms: int, *, force: bool = False
) -> PeopleKeyStanding:
    """Let nothing be kept under a key any more. Again changes nothing.

    Args:
        force: although tills do not seal to the newest key yet.
    Returns:
        Where the key stood before.
    Raises:
        PeopleKeyUnknown. LastPeopleKey: it is the newest in force. PeopleKeyMissing.
        PeopleKeyInUse: says how many people and tills are not through; nothing was changed.
    """
    with writing(engine) as tx:
        told = people_standing(tx, ring)
        stood = next((one for one in told if one.key_id == key_id), None)
        if stood is None:
            raise PeopleKeyUnknown(
                f"There is no key {key_id} of personal data; `tallypoint central people-key list` names them."
            )
        if stood.is_newest:
            raise LastPeopleKey("This is the newest key of personal data. Make another first.")
        missing = next(one for one in told if one.is_newest).tills_without
        # People are never left under it: until the chore is through, they could not be found.
        if not stood.retired_ms and (stood.people or (missing and not force)):
            raise PeopleKeyInUse(
                f"{stood.people} people are still kept under this key, and {len(missing)} tills do not seal to the"
                " newest yet. The chore `reseal` goes through the people by itself; for tills wait, or retire the key"
                " by force: what they seal to it until they hear of the newer one is opened all the same.",
                people=stood.people,
                tills=len(missing),
            )
        here = update(people_key).where(people_key.c.key_id == key_id, people_key.c.retired_ms == 0)
        tx.execute(here.values(retired_ms=now_ms))
    return stood


def _standing(
    key_id: str, row: Any, is_newest: bool, ring: PeopleRing, said: list[tuple[str, dict[str, Any]]],
    kept: dict[str, int],
) -> PeopleKeyStanding:  # fmt: skip
    public = ring.key(key_id).sealing_key
    return PeopleKeyStanding(
        key_id=key_id,
        made_ms=row.made_ms if row else 0,
        retired_ms=row.retired_ms if row else 0,
        is_newest=is_newest,
        tills_with=tuple(label for label, about in said if about.get("sealing_key") == public),
        tills_without=tuple(label for label, about in said if about.get("sealing_key") != public),
        people=kept.get(key_id, 0),
    )
