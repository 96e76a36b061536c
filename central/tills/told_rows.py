"""Rows of members that tills were told lately: what one till is told of an account, most others are told too.

A row differs between tills only in how far their own streams are in it and in what the member's own store alone hears.
It is found again under everything that it was made of: the account's version, its number in the lane (which is new
whenever anything that is told of it changed), the day, and what holds for all rows.
"""

from collections.abc import Hashable

from loyalty.members import PublishedMember

MOST = 20_000  # accounts, about a kilobyte each


class ToldRows:
    """One for each store of a process, and gone with it: after a restore from a backup numbers are given anew. Every
    method may be called from any thread."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._homes: dict[Hashable, str] = {}
        self._rows: dict[tuple[Hashable, bool], PublishedMember] = {}

    def find(self, name: Hashable, store_id: str) -> PublishedMember | None:
        """The row of a name as a till of this store is told it, but for its own place; none where nobody was."""
        home = self._homes.get(name)
        return None if home is None else self._rows.get((name, _is_own(home, store_id)))

    def keep(self, name: Hashable, home: str, store_id: str, row: PublishedMember) -> None:
        """Remember what a till of this store was told; `home` is the store that the member belongs to, "" for none."""
        if len(self._homes) >= self._most:
            # Whatever is told again soon is read again once: cheaper than to know which was told longest ago.
            self._rows.clear()
            self._homes.clear()
        self._rows[name, _is_own(home, store_id)] = row
        self._homes[name] = home


def _is_own(home: str, store_id: str) -> bool:
    return bool(home) and home == store_id
