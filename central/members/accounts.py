"""Accounts and the cards that lead to them."""

from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, select

from central.database.asking import ask_one
from central.database.rows import find, put
from central.database.tables import account, card
from central.ports import Randomness
from loyalty.facts.events import Event
from loyalty.facts.member_events import CardChanged, CardNamed

ACCOUNT_BITS = 53  # exact in every JSON reader


def new_account(tx: Connection, randomness: Randomness, now_ms: int, status: str = "registered") -> int:
    """A new empty account under a random number, drawn again when it is taken."""
    while True:
        drawn = int.from_bytes(randomness.bytes(7), "big") >> (56 - ACCOUNT_BITS)
        row = {"account_id": drawn, "status": status, "created_at_ms": now_ms}
        if drawn and put(tx, account, [row], "nothing", ["account_id"]):
            return drawn


def accounts_of_cards(tx: Connection, tokens: Iterable[str], now_ms: int, randomness: Randomness) -> dict[str, int]:
    """The account of each card token; a token never seen gets an unregistered account of its own at once."""
    keys = [{"card_token": token} for token in sorted(set(tokens))]
    known = {row.card_token: row.account_id for row in find(tx, card, keys, ["card_token", "account_id"])}
    missing = [key for key in keys if key["card_token"] not in known]
    if not missing:
        return known
    rows = [{**key, "account_id": new_account(tx, randomness, now_ms, "unregistered"), "since_ms": now_ms}
            for key in missing]  # fmt: skip
    put(tx, card, rows, "nothing")
    # Another till may have brought the same card just before us; its account is the card's then.
    found = find(tx, card, missing, ["card_token", "account_id"])
    return known | {row.card_token: row.account_id for row in found}


def give_cards(tx: Connection, events: Iterable[Event], now_ms: int, randomness: Randomness) -> None:
    """Cards that these events give to a member lead to that member before any sale among them is looked at; a card that
    is known already stays where it is."""
    events = tuple(events)
    for event in events:
        if isinstance(event, CardChanged) and event.what != "blocked" and event.other_token is not None:
            owner = accounts_of_cards(tx, [event.other_token], now_ms, randomness)[event.other_token]
            row = {"card_token": event.card_token, "account_id": owner, "kind": event.kind, "last4": event.last4,
                   "since_ms": now_ms}  # fmt: skip
            put(tx, card, [row], "nothing")
    _give_names(tx, [event for event in events if isinstance(event, CardNamed)], now_ms, randomness)


def _give_names(tx: Connection, named: Iterable[CardNamed], now_ms: int, randomness: Randomness) -> None:
    """Each name of a card leads where the first that is known does, or to one new account."""
    if not (named := tuple(named)):
        return
    tokens = [{"card_token": one.token} for event in named for one in event.names]
    known = {row.card_token for row in find(tx, card, tokens, ["card_token"])}
    leading = [next((one.token for one in event.names if one.token in known), event.card_token) for event in named]
    owners = accounts_of_cards(tx, leading, now_ms, randomness)
    rows = {
        one.token: {"card_token": one.token, "account_id": owners[first], "kind": event.kind, "last4": event.last4,
                    "since_ms": now_ms, "key_id": one.key_id}
        for event, first in zip(named, leading, strict=True) for one in event.names
    }  # fmt: skip
    put(tx, card, rows.values(), "nothing")


_INTO = select(account.c.merged_into).where(account.c.account_id == bindparam("of"))


def survivor_of(connection: Connection, account_id: int) -> int:
    """The account that an account lives on in; itself where it was not merged."""
    while into := ask_one(connection, _INTO, {"of": account_id}):
        account_id = into
    return account_id


def merged_into(connection: Connection, account_id: int) -> list[int]:
    """The accounts that were merged into one, and into those, whenever that was."""
    came = select(account.c.account_id).where(account.c.merged_into == account_id, account.c.merged_into > 0)
    direct = list(connection.execute(came).scalars())
    return direct + [one for into in direct for one in merged_into(connection, into)]
