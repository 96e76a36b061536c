"""Accounts and the cards that lead to them."""

from collections.abc import Iterable

from sqlalchemy import Connection

from central.ports import Randomness
from central.rows import find, put
from central.tables import account, card

ACCOUNT_BITS = 53  # exact in every JSON reader


def new_account(tx: Connection, randomness: Randomness, now_ms: int, status: str = "registered") -> int:
    """A new empty account under a random number, drawn again when it is taken."""
    while True:
        drawn = int.from_bytes(randomness.bytes(7), "big") >> (56 - ACCOUNT_BITS)
        row = {"account_id": drawn, "status": status, "created_at_ms": now_ms}
        if drawn and put(tx, account, [row], "nothing", ["account_id"]):
            return drawn


def accounts_of_cards(
    tx: Connection, tokens: Iterable[str], now_ms: int, randomness: Randomness
) -> dict[str, int]:
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
