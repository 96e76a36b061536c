"""The names of a card: its tokens under the programme's keys, each a row that leads to the same account.

`same_as` ties the rows of one card together. Tills are told the names under keys in force.
Source: docs/decisions/card-goes-by-two-names.md.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from central.database.rows import find, put
from central.database.tables import card
from central.keys.card_keys import retired_ids
from loyalty.cards.card_keys import CardKeys, CardName
from loyalty.cards.cards import Card


def owner_of(connection: Connection, keys: CardKeys, read: Card) -> int | None:
    """The account behind a card whose number is at hand, under whatever key it was named; None where it has none."""
    return next((row.account_id for row in _known(connection, keys.every_name_of(read))), None)


def name_card(tx: Connection, keys: CardKeys, read: Card, account_id: int, now_ms: int) -> int:
    """Let every name of a card lead to an account; names that lead to another one already stay there.

    Returns:
        How many names are new.
    """
    known = _known(tx, keys.every_name_of(read))
    rows = new_names(keys.names_of(read), account_id, read.kind, "", now_ms)
    made = put(tx, card, rows, "nothing", ["card_token"])
    if len(keys.keys) > 1:
        tie(tx, [*(one.card_token for one in known), *(one.token for one in keys.names_of(read))])
    return len(made)


def new_names(
    names: Iterable[CardName], account_id: int, kind: str, last4: str, now_ms: int
) -> list[dict[str, Any]]:
    """Rows for the names of a card."""
    return [
        {"card_token": one.token, "account_id": account_id, "kind": kind, "last4": last4, "since_ms": now_ms,
         "key_id": one.key_id}
        for one in names
    ]  # fmt: skip


def tie(tx: Connection, tokens: Sequence[str]) -> None:
    """Note that tokens are names of one card; those that one of them was tied to before come along."""
    rows = find(tx, card, [{"card_token": token} for token in dict.fromkeys(tokens)])
    before = sorted({row.same_as for row in rows} - {""})
    if len(before) > 1:
        rows = [*rows, *find(tx, card, [{"same_as": one} for one in before[1:]])]
    together = before[0] if before else tokens[0]
    loose = {row.card_token: {**row._mapping, "same_as": together} for row in rows if row.same_as != together}
    put(tx, card, loose.values(), {"same_as": "given"})


def names_of_token(connection: Connection, token: str) -> tuple[str, ...]:
    """All names of the card that has this one."""
    (same_as,) = connection.execute(select(card.c.same_as).where(card.c.card_token == token)).first() or ("",)
    if not same_as:
        return (token,)
    # The second condition is what the index says; without it every card is looked at.
    tied = select(card.c.card_token).where(card.c.same_as == same_as, card.c.same_as > "")
    return tuple(sorted(connection.execute(tied).scalars()))


def one_a_card(connection: Connection, rows: Iterable[Row[Any]]) -> list[Row[Any]]:
    """Of the names of each card the one that tills know it by; where that is none any more, its newest."""
    retired, cards = set(retired_ids(connection)), dict[str, Row[Any]]()
    for row in sorted(rows, key=lambda row: (row.key_id in retired, _age(row, row.key_id in retired))):
        cards.setdefault(row.same_as or row.card_token, row)
    return list(cards.values())


def _age(row: Row[Any], is_retired: bool) -> int:
    """Oldest name first, of retired ones the newest. Head office counts its keys from 1."""
    number = int(row.key_id) if row.key_id.isdigit() else 0
    return -number if is_retired else number


def _known(connection: Connection, names: Sequence[CardName]) -> list[Row[Any]]:
    """The rows of a card's names, in the order of the names."""
    rows = {row.card_token: row for row in find(connection, card, [{"card_token": one.token} for one in names])}
    return [rows[one.token] for one in names if one.token in rows]
