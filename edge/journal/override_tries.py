"""How often a supervisor's code was wrong, in the journal's file: five tries, then waits that double up to an hour."""

from edge.database import Database

TRIES = 5
FIRST_WAIT_MS, LONGEST_WAIT_MS = 60_000, 3_600_000


class OverrideTries:
    """Wrong codes since the last right one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def wait_ms(self, now_ms: int) -> int:
        """How long nobody may try; 0 for now. A clock that went back makes nobody wait longer than the whole wait."""
        wrong, last_ms = self._kept()
        if wrong < TRIES:
            return 0
        wait_ms = min(LONGEST_WAIT_MS, FIRST_WAIT_MS << min(wrong - TRIES, 10))
        return max(0, min(wait_ms, last_ms + wait_ms - now_ms))

    def count_wrong(self, now_ms: int) -> int:
        """One more, durably. Returns: how many tries are left before the wait."""
        wrong = self._kept()[0] + 1
        with self._database.writing() as writer:
            writer.executemany(
                "INSERT INTO counter (name, value) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                [("override_wrong", wrong), ("override_wrong_ms", now_ms)],
            )
        return max(0, TRIES - wrong)

    def forget(self) -> None:
        """A right code was given."""
        if self._kept()[0]:
            with self._database.writing() as writer:
                writer.execute("UPDATE counter SET value = 0 WHERE name = 'override_wrong'")

    def _kept(self) -> tuple[int, int]:
        kept = dict(self._database.rows("SELECT name, value FROM counter WHERE name LIKE 'override%'"))
        return int(kept.get("override_wrong", 0)), int(kept.get("override_wrong_ms", 0))
