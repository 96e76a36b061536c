"""Accounts that this till's events name and a head office that came back from a backup may not know, with their cards.

A member who joined after the backup has another account number there once their event is sent again. What was sold to
the number of before names no card; but the till was told whose it was, and says so, whichever of its epochs the sale
was written in. A new epoch begins without members, so their cards are noted before they go: that head office was put
back may be heard only then. Source: docs/operations.md "Backup and restore"; docs/members.md "After a restore".
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from edge.database import Database
from edge.journal.places import places_after
from sync.desk import MOST_ACCOUNTS, ToldAccount

THROUGH = "accounts_shown_through"  # of `told`: up to which event they were looked through, as epoch:seq
_NAMED = (
    "SELECT DISTINCT json_extract(CAST(payload AS TEXT), '$.account_id') FROM event"
    " WHERE place {} ? AND ? AND json_valid(CAST(payload AS TEXT))"
)
_AFTER, _EARLIER = _NAMED.format("BETWEEN"), _NAMED.format("NOT BETWEEN")
CardsOf = Callable[[Iterable[int]], Mapping[int, Iterable[str]]]


class ToldAccounts:
    """The rows of a till in its present epoch. What writes belongs inside the journal's transaction."""

    def __init__(self, database: Database, epoch: int) -> None:
        self._database, self._epoch = database, epoch

    def named_after(self, seq: int) -> list[int]:
        """The accounts that events after a sequence number name."""
        return self._named(_AFTER, seq)

    def named_earlier(self) -> list[int]:
        """The accounts that events of epochs that are over name."""
        return self._named(_EARLIER, 0)

    def through(self) -> int | None:
        """Up to which event of this epoch they are noted; None where nothing is to be shown."""
        found = self._database.remembered("SELECT value FROM told WHERE name = ?", (THROUGH,))
        if not found:
            return None
        epoch, _, seq = str(found[0][0]).rpartition(":")
        return int(seq) if epoch == str(self._epoch) else 0

    def note(self, cards: Mapping[int, Iterable[str]], through_seq: int) -> None:
        """Note what cards led to accounts, and how far events were looked through."""
        writer = self._database.writer
        rows = [(account_id, token) for account_id, tokens in cards.items() for token in tokens]
        writer.executemany("INSERT OR IGNORE INTO told_account (account_id, card_token) VALUES (?, ?)", rows)
        through = f"{self._epoch}:{through_seq}"
        writer.execute("INSERT OR REPLACE INTO told (name, value) VALUES (?, ?)", (THROUGH, through))

    def waiting(self) -> tuple[ToldAccount, ...]:
        """What head office was not told yet, a portion."""
        rows = self._database.rows(
            "SELECT account_id, json_group_array(card_token) FROM told_account GROUP BY account_id"
            " ORDER BY account_id LIMIT ?",
            (MOST_ACCOUNTS,),
        )
        return tuple(
            ToldAccount(account_id=account_id, cards=tuple(sorted(msgspec.json.decode(tokens, type=list[str]))))
            for account_id, tokens in rows
        )

    def taken(self, told: Iterable[ToldAccount]) -> None:
        """Head office has heard of these."""
        self._database.writer.executemany(
            "DELETE FROM told_account WHERE account_id = ?", [(one.account_id,) for one in told]
        )

    def end(self) -> None:
        """Nobody is left whom head office may not know."""
        self._database.writer.execute("DELETE FROM told WHERE name = ?", (THROUGH,))

    def forget(self) -> None:
        """Show nothing any more."""
        self._database.writer.execute("DELETE FROM told_account")
        self.end()

    def _named(self, query: str, seq: int) -> list[int]:
        found = self._database.rows(query, places_after(self._epoch, seq))
        return sorted(account_id for (account_id,) in found if isinstance(account_id, int))
