"""How far a change of the card key has come, and its end: the old key is retired.

A card whose new name nobody has said yet is unknown at tills once its old key is retired, until its number is entered
here. Source: docs/decisions/card-goes-by-two-names.md.
"""

import msgspec
from sqlalchemy import Connection, Engine, and_, exists, func, select

from central.coalition.hellos import card_keys_in, said_by_tills
from central.database.lanes import mark_changed
from central.database.rows import find
from central.database.tables import card, card_key, certificate, certificate_move, event, hotlist
from central.keys.card_keys import KeyRing, set_retired
from central.members.card_names import name_card
from central.ports import Randomness, reading, writing
from loyalty.cards.card_keys import CardKeys
from loyalty.cards.cards import Card
from loyalty.trouble import Refusal

MARKED_AT_ONCE = 20_000
NEVER_MS = 2**53


class CardKeyUnknown(Refusal):
    code = "card_key.unknown"
    status = 404


class CardKeyInUse(Refusal):
    code = "card_key.in_use"


class LastCardKey(Refusal):
    code = "card_key.last"


class TwoAccounts(Refusal):
    code = "card_key.two_accounts"


class NobodysCard(Refusal):
    code = "card_key.nobodys_card"
    status = 404


class KeyStanding(msgspec.Struct, frozen=True, kw_only=True):
    """Where one key stands.

    Attributes:
        tills_with, tills_without: labels of the tills that hold it and of those that do not, of those that may upload.
        cards_without: cards with a name under this key and none under a newer one in force.
        certificates: those with money left that were first sold while new ones were named under this key; what is on
            them, in minor units, is `certificates_minor`. Once the key is retired they go on under that name.
    """

    key_id: str
    made_ms: int
    retired_ms: int
    is_newest: bool
    tills_with: tuple[str, ...]
    tills_without: tuple[str, ...]
    cards_without: int
    certificates: int = 0
    certificates_minor: int = 0


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """All keys, oldest first; `blocked_unknown` are blocked cards of no account, which no till has named."""

    keys: tuple[KeyStanding, ...]
    blocked_unknown: int


def standing(connection: Connection, keys: CardKeys) -> Change:
    """How far tills and cards are; looks at every card."""
    rows = {row.key_id: row for row in connection.execute(select(card_key))}
    held = _held(connection)
    told = []
    named_from_ms = 0  # what is sold is named under the oldest key in force
    for place, one in enumerate(keys.keys):
        newer = [later.key_id for later in keys.keys[place + 1 :] if not later.retired]
        row = rows.get(one.key_id)
        until_ms = row.retired_ms if row and row.retired_ms else NEVER_MS
        certificates, minor = _certificates(connection, named_from_ms, until_ms)
        named_from_ms = max(named_from_ms, until_ms)
        told.append(
            KeyStanding(
                key_id=one.key_id,
                made_ms=row.made_ms if row else 0,
                retired_ms=row.retired_ms if row else 0,
                is_newest=one == keys.newest,
                tills_with=tuple(label for label, ids in held if one.key_id in ids),
                tills_without=tuple(label for label, ids in held if one.key_id not in ids),
                cards_without=_cards_without(connection, one.key_id, newer) if newer else 0,
                certificates=certificates,
                certificates_minor=minor,
            )
        )
    is_known = exists().where(card.c.card_token == hotlist.c.card_token)
    nobodys = select(func.count()).select_from(hotlist).where(hotlist.c.lifted == 0, ~is_known)
    return Change(keys=tuple(told), blocked_unknown=connection.execute(nobodys).scalar_one())


def retire_card_key(engine: Engine, ring: KeyRing, key_id: str, now_ms: int, *, force: bool = False) -> KeyStanding:
    """Let a key name no card any more; all tills hear it. Again, the accounts that it named are told once more.

    Args:
        force: although tills lack the newest key, or cards a newer name.
    Returns:
        Where the key stood before.
    Raises:
        CardKeyUnknown. LastCardKey: it is the newest in force. CardKeyInUse: says how many tills and cards are not
        through; nothing was changed.
    """
    with writing(engine) as tx:
        keys = ring.read(tx)
        told = standing(tx, keys)
        stood = next((one for one in told.keys if one.key_id == key_id), None)
        if stood is None:
            raise CardKeyUnknown(f"There is no card key {key_id}; `tallypoint central card-key list` names them.")
        if stood.is_newest:
            raise LastCardKey("This is the newest card key. Make another first, and let tills and cards get through.")
        missing = next(one for one in told.keys if one.is_newest).tills_without
        if not force and not stood.retired_ms and (missing or stood.cards_without or told.blocked_unknown):
            raise CardKeyInUse(
                f"{len(missing)} tills do not hold the newest key yet, {stood.cards_without} cards have no name under a"
                f" newer key, and {told.blocked_unknown} blocked cards are nobody's. Wait; or retire it by force: these"
                " cards are unknown at tills then until their number is entered here, and blocks of nobody's cards are"
                " worth nothing.",
                tills=len(missing),
                cards=stood.cards_without,
                blocked=told.blocked_unknown,
            )
        set_retired(tx, key_id, now_ms)
    _tell_tills(engine, key_id)
    return stood


def name_again(tx: Connection, keys: CardKeys, read: Card, randomness: Randomness, now_ms: int) -> int:
    """Give a card, whose number is at hand, its names under every key in force; its account.

    Raises:
        NobodysCard: it has no account. TwoAccounts: its old and its new name have one each.
    """
    names = [{"card_token": one.token} for one in keys.every_name_of(read)]
    owners = sorted({row.account_id for row in find(tx, card, names, ["account_id"])})
    if not owners:
        raise NobodysCard("Nobody has this card; check its number.")
    if len(owners) > 1:
        first, second = owners[:2]
        raise TwoAccounts(
            f"This card has account {first} by one of its names and account {second} by another. Merge the two"
            " (`tallypoint central merge`); the cards follow.",
            account_id=first,
            other_id=second,
        )
    name_card(tx, keys, read, owners[0], now_ms)
    mark_changed(tx, {owners[0]}, f"card_name:{randomness.bytes(8).hex()}")
    return owners[0]


def tills_without(connection: Connection, key_id: str) -> tuple[str, ...]:
    """The labels of the tills that may upload and do not hold a key."""
    return tuple(label for label, ids in _held(connection) if key_id not in ids)


def _held(connection: Connection) -> list[tuple[str, tuple[str, ...]]]:
    """Of each till that may upload, its label and the keys that it said it holds."""
    return [(label, card_keys_in(said)) for label, said in said_by_tills(connection)]


def _cards_without(connection: Connection, key_id: str, newer: list[str]) -> int:
    other = card.alias()
    tied = other.c.same_as == card.c.same_as, other.c.same_as > "", other.c.key_id.in_(newer)
    named = select(other.c.card_token).where(*tied).exists()
    return connection.execute(select(func.count()).where(card.c.key_id == key_id, ~named)).scalar_one()


def _certificates(connection: Connection, from_ms: int, until_ms: int) -> tuple[int, int]:
    """How many certificates first sold in a span of time have money left, and how much.

    A till that had not heard of a retirement sells under the older key for a while, which nothing here can tell.
    """
    first = (certificate_move.c.code == certificate.c.code) & (certificate_move.c.n == 1)
    sold = and_(*(event.c[name] == certificate_move.c[name] for name in ("till_id", "epoch", "seq")))
    joined = certificate.join(certificate_move, first).join(event, sold)
    figures = select(func.count(), func.coalesce(func.sum(certificate.c.balance_minor), 0)).select_from(joined)
    within = certificate.c.balance_minor > 0, event.c.sold_at_ms >= from_ms, event.c.sold_at_ms < until_ms
    many, minor = connection.execute(figures.where(*within)).one()
    return int(many), int(minor)


def _tell_tills(engine: Engine, key_id: str) -> None:
    """Mark the accounts that the key named, in portions; cut short, it begins again with the next `retire`."""
    last = 0
    while True:
        with reading(engine) as tx:
            chosen = select(card.c.account_id).distinct().where(card.c.key_id == key_id, card.c.account_id > last)
            found = list(tx.execute(chosen.order_by(card.c.account_id).limit(MARKED_AT_ONCE)).scalars())
        if not found:
            return
        with writing(engine) as tx:
            mark_changed(tx, set(found), f"card_key:{key_id}")
        last = found[-1]
