"""Rows of members that tills were told lately: what one till is told of an account, most others are told too.

A row differs between tills only in how far their own streams are in it and in what the member's own store alone hears.
It is found again under everything that it was made of: the account's version, its number in the lane (which is new
whenever anything that is told of it changed), the day, and what holds for all rows.
"""

from collections.abc import Hashable

import msgspec

from loyalty.members import PublishedMember

MOST = 20_000  # accounts, about a kilobyte each


class _Kept(msgspec.Struct):
    """What was told of one account; `home` is the member's own store, by whether the till was of it are `rows`."""

    made_of: Hashable
    home: str
    rows: dict[bool, PublishedMember]


class ToldRows:
    """One for each store of a process, and gone with it: after a restore from a backup numbers are given anew. Every
    method may be called from any thread."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: dict[int, _Kept] = {}

    def find(self, account_id: int, made_of: Hashable, store_id: str) -> PublishedMember | None:
        """The row of an account as a till of this store is told it, but for its own place; none where nobody was."""
        kept = self._kept.get(account_id)
        if kept is None or kept.made_of != made_of:
            return None
        return kept.rows.get(_is_own(kept.home, store_id))

    def keep(self, account_id: int, made_of: Hashable, home: str, store_id: str, row: PublishedMember) -> None:
        """Remember what a till of this store was told, instead of what was told of the account before; `home` is the
        store that the member belongs to, "" for none."""
        kept = self._kept.get(account_id)
        if kept is None or kept.made_of != made_of:
            if len(self._kept) >= self._most:
                # Whatever is told again soon is read again once: cheaper than to know which was told longest ago.
                self._kept.clear()
            kept = self._kept[account_id] = _Kept(made_of, home, {})
        kept.rows[_is_own(home, store_id)] = row


def _is_own(home: str, store_id: str) -> bool:
    return bool(home) and home == store_id
