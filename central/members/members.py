"""Members as head office keeps them: accounts, their cards and facts, and cards that are not to be served.

A card number is turned into its token and forgotten; nothing here stores or logs one.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, select, update

from central.database.lanes import mark_changed, next_no
from central.database.rows import find, put
from central.database.tables import account, card, hotlist, member
from central.members.accounts import new_account
from central.members.card_names import name_card, names_of_token, owner_of
from central.ports import Randomness
from loyalty.cards.card_keys import CardKeys
from loyalty.cards.cards import Card, CardRules, read_card
from loyalty.trouble import BadInput, Refusal

FACTS = ("tier", "segments", "language", "home_store_id", "birthday_mmdd")


class CardTaken(Refusal):
    code = "members.card_taken"


class NotACard(Refusal):
    code = "members.not_a_card"
    status = 422


class UnknownAccount(Refusal):
    code = "members.unknown_account"
    status = 404


class AccountClosed(Refusal):
    code = "members.account_closed"


class UnknownCard(Refusal):
    code = "members.unknown_card"
    status = 404


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an import: members made, rows set aside with their line and the reason, and cards of members known
    before that got a name under a newer card key."""

    made: int
    set_aside: tuple[tuple[int, str], ...] = ()
    named: int = 0


def create_account(tx: Connection, randomness: Randomness, now_ms: int, **facts: Any) -> int:
    """A new registered account with its facts (`set_facts`); its number."""
    account_id = new_account(tx, randomness, now_ms)
    set_facts(tx, account_id, randomness, **facts)
    return account_id


def issue_card(
    tx: Connection, account_id: int, number: str, *, rules: CardRules, keys: CardKeys, randomness: Randomness,
    now_ms: int,
) -> str:  # fmt: skip
    """Give an account a card; the token that it goes by. The same card again changes nothing.

    Args:
        number: as printed or scanned; only its keyed token is kept.
    Raises:
        NotACard: in none of the programme's ranges. CardTaken: another member's. UnknownAccount. AccountClosed.
    """
    read = read_card(rules, number, source="keyed")
    if not isinstance(read, Card):
        raise NotACard("This is no card of the programme; check the number and the ranges of the programme.")
    open_account(tx, account_id)
    name_card(tx, keys, read, account_id, now_ms)
    if owner_of(tx, keys, read) != account_id:
        raise CardTaken("This card belongs to another member already; look that member up instead.")
    _changed(tx, account_id, randomness)
    return keys.names_of(read)[0].token


def register_card(tx: Connection, number: str, *, rules: CardRules, keys: CardKeys, randomness: Randomness,
                  now_ms: int, **facts: Any) -> int:  # fmt: skip
    """Make the holder of a card a member: a card that earned before anybody claimed it keeps its account.

    Raises:
        NotACard. CardTaken: its account is registered already.
    """
    read = read_card(rules, number, source="keyed")
    if not isinstance(read, Card):
        raise NotACard("This is no card of the programme; check the number and the ranges of the programme.")
    owner = owner_of(tx, keys, read)
    if owner is None:
        account_id = create_account(tx, randomness, now_ms, **facts)
        issue_card(tx, account_id, number, rules=rules, keys=keys, randomness=randomness, now_ms=now_ms)
        return account_id
    claimed = update(account).where(account.c.account_id == owner, account.c.status == "unregistered")
    if tx.execute(claimed.values(status="registered")).rowcount == 0:
        raise CardTaken("This card belongs to a member already; look that member up instead.")
    name_card(tx, keys, read, owner, now_ms)
    known = card.c.card_token.in_(one.token for one in keys.every_name_of(read))
    tx.execute(update(card).where(known).values(kind=read.kind))
    set_facts(tx, owner, randomness, **facts)
    return owner


def import_members(
    tx: Connection, rows: Iterable[Mapping[str, str]], *, rules: CardRules, keys: CardKeys, randomness: Randomness,
    now_ms: int,
) -> Imported:  # fmt: skip
    """Members from CSV rows: `card`, and any of tier, segments (split at ;), language, home_store_id, birthday_mmdd.

    A row that cannot be taken is set aside with its line of the file (the first names the columns) and the reason; the
    others go in. Where the programme has several card keys, a card that is somebody's is named under all in force.
    """
    made, named, set_aside = 0, 0, []
    for line, row in enumerate(rows, 2):
        facts: dict[str, Any] = {name: row[name] for name in FACTS if row.get(name)}
        if "segments" in facts:
            facts["segments"] = tuple(part.strip() for part in facts["segments"].split(";") if part.strip())
        try:
            number = row.get("card") or ""
            named += 0 if keys.is_unchanged else _name(tx, number, rules, keys, randomness, now_ms)
            register_card(tx, number, rules=rules, keys=keys, randomness=randomness, now_ms=now_ms, **facts)
        except Refusal as refusal:
            set_aside.append((line, refusal.say))
        else:
            made += 1
    return Imported(made=made, set_aside=tuple(set_aside), named=named)


def _name(
    tx: Connection, number: str, rules: CardRules, keys: CardKeys, randomness: Randomness, now_ms: int
) -> bool:
    """Whether the card of a number was somebody's, and got a name."""
    read = read_card(rules, number, source="keyed")
    owner = owner_of(tx, keys, read) if isinstance(read, Card) else None
    if owner is None or not isinstance(read, Card) or not name_card(tx, keys, read, owner, now_ms):
        return False
    _changed(tx, owner, randomness)
    return True


def set_facts(tx: Connection, account_id: int, randomness: Randomness, **facts: Any) -> None:
    """Set tier, segments (a sequence of names), language, home_store_id or birthday_mmdd; others stay.

    Raises:
        UnknownAccount. AccountClosed. BadInput: a fact that there is not.
    """
    if strange := sorted(facts.keys() - set(FACTS)):
        raise BadInput(f"A member has no {strange[0]}; known are {', '.join(FACTS)}.")
    open_account(tx, account_id)
    if "segments" in facts:
        facts["segments"] = msgspec.json.encode(sorted(set(facts["segments"]))).decode()
    put(tx, member, [{"account_id": account_id, **facts}], dict.fromkeys(facts, "given") if facts else "nothing")
    _changed(tx, account_id, randomness)


def open_account(connection: Connection, account_id: int) -> None:
    """Refuse an account that is not there, or closed. Raises: UnknownAccount, AccountClosed."""
    found = find(connection, account, [{"account_id": account_id}])
    if not found:
        raise UnknownAccount(f"There is no account {account_id}.", account_id=account_id)
    if found[0].status == "closed":
        into = found[0].merged_into
        where = f"; it lives on in account {into}: name that one" if into else ""
        raise AccountClosed(f"Account {account_id} is closed{where}.", account_id=account_id)


def account_of(connection: Connection, token: str) -> int | None:
    """The account behind a card token."""
    return connection.execute(select(card.c.account_id).where(card.c.card_token == token)).scalar()


def block_card(tx: Connection, token: str, reason: str, now_ms: int) -> None:
    """Put a card on the hotlist, whichever name it goes by: no till serves it once it has heard. A card that is not
    known can be blocked too."""
    for name in names_of_token(tx, token):
        _hotlist(tx, name, reason, lifted=0, now_ms=now_ms)
        tx.execute(update(card).where(card.c.card_token == name).values(state="blocked"))


def lift_block(tx: Connection, token: str, now_ms: int) -> None:
    """Serve a card again, whichever name it goes by. Raises: UnknownCard when it is not blocked."""
    lift_blocks(tx, names_of_token(tx, token), now_ms)


def lift_blocks(tx: Connection, names: Iterable[str], now_ms: int) -> None:
    """The same of a card all of whose names are at hand."""
    found = find(tx, hotlist, [{"card_token": name} for name in names], (), hotlist.c.lifted == 0)
    if not found:
        raise UnknownCard("This card is not on the hotlist.")
    for row in found:
        _hotlist(tx, row.card_token, row.reason, lifted=1, now_ms=now_ms)
        tx.execute(update(card).where(card.c.card_token == row.card_token).values(state="active"))


def _hotlist(tx: Connection, token: str, reason: str, *, lifted: int, now_ms: int) -> None:
    no = next_no(tx, "hotlist")
    row = {"card_token": token, "reason": reason, "lifted": lifted, "no": no, "changed_at_ms": now_ms}
    put(tx, hotlist, [row], dict.fromkeys(("reason", "lifted", "no", "changed_at_ms"), "given"))


def _changed(tx: Connection, account_id: int, randomness: Randomness) -> None:
    mark_changed(tx, {account_id}, f"facts:{randomness.bytes(8).hex()}")
