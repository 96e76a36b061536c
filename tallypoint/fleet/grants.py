"""What the centre ever granted, read beside it: also by a centre that has forgotten it since."""

import sqlite3

from tallypoint.fleet.record import Record

Whose = tuple[str, int]
"""till id, epoch"""


class Grants:
    """Grants by till and epoch. A number that was given again after a restore stands for both."""

    def __init__(self, disk: sqlite3.Connection) -> None:
        self._disk = disk
        self._known: dict[Whose, dict[tuple[int, int, int], tuple[str, int]]] = {}
        self._read_to: dict[Whose, int] = {}

    def read(self) -> None:
        """Note what was granted to every till until now."""
        for whose in self._disk.execute("SELECT till_id, epoch FROM stream WHERE state <> 'centre'").fetchall():
            self.points(whose, "")

    def forgotten(self) -> None:
        """The centre was put back: its numbers may stand for other grants from now on."""
        self._read_to.clear()

    def points(self, whose: Whose, lease_id: str) -> int:
        """Points ever granted under a lease; "" for all floats of the till."""
        known = self._known.setdefault(whose, {})
        rows = self._disk.execute(
            "SELECT grant_no, granted_at_ms, points, account_id IS NULL, lease_id FROM till_grant"
            " WHERE till_id = ? AND epoch = ? AND grant_no > ? ORDER BY grant_no",
            (*whose, self._read_to.get(whose, 0)),
        )
        for grant_no, at_ms, points, is_float, name in rows:
            known[grant_no, at_ms, points] = ("" if is_float else name, points)
            self._read_to[whose] = grant_no
        return sum(points for name, points in known.values() if name == lease_id)

    def floats(self) -> int:
        """Points of all floats that were ever granted."""
        return sum(points for known in self._known.values() for name, points in known.values() if not name)


class Authorities:
    """What tills let be spent, against what the centre granted them."""

    def __init__(self, grants: Grants, record: Record) -> None:
        self._grants, self._record = grants, record
        self._spent: dict[tuple[str, int, str], int] = {}

    def spent(self, whose: Whose, lease_id: str, points: int) -> None:
        """A till let points be spent under a lease, "" for its floats; more than it was granted is a wrong."""
        # Rights of a lease move between the tills of a store: it is their spending of it together that counts.
        whose = _holder(lease_id) or whose
        key = (*whose, lease_id)
        total = self._spent[key] = self._spent.get(key, 0) + points
        granted = self._grants.points(whose, lease_id)
        if total > granted:
            self._record.wrongs.append(
                f"authority: till {whose[0]} of epoch {whose[1]} spent {total} points on {lease_id or 'its floats'}, "
                f"where it was granted {granted}"
            )


def _holder(lease_id: str) -> Whose | None:
    """To whom a lease or a hold was granted, as its name says: kind, till, epoch, number."""
    _, _, rest = lease_id.partition(":")
    till_id, _, numbers = rest.partition(":")
    return (till_id, int(numbers.partition(":")[0])) if numbers else None


def forgotten_points(now: sqlite3.Connection, backup: sqlite3.Connection) -> int:
    """Points whose spending, or setting aside, a backup knows nothing of, so that they may be spent once more."""
    asked = (
        "SELECT coalesce((SELECT sum(points_spent) FROM event WHERE state = 'posted' AND points_spent > 0), 0)"
        " + coalesce((SELECT sum(points) FROM till_grant WHERE account_id IS NOT NULL), 0)"
    )
    return int(now.execute(asked).fetchone()[0]) - int(backup.execute(asked).fetchone()[0])
