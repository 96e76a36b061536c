"""Who keeps house: one process for a data folder, and one for a PostgreSQL database, on whichever machine it runs.

Chores may run twice without harm, so this saves work and guards no sum. The folder's lock is a file lock, PostgreSQL's
an advisory lock of a connection of its own: both are gone with the process that held them, however it ended.
"""

import fcntl
import os
from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from loyalty.trouble import Fault

LOCK_FILE = "service.lock"
ADVISORY_KEY = 0x7461_6C6C_79  # any number, as long as all of ours ask for the same


class AlreadyRunning(Fault):
    code = "central.already_running"


class HouseLock:
    """The lock, once it was taken, until it is closed or the process ends."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self._folder, self._engine = folder, engine
        self._file = -1
        self._line: Connection | None = None

    def take(self) -> None:
        """Take it, without waiting. Raises: AlreadyRunning."""
        if self._file < 0:
            self._file = self._lock_folder()
        if self._engine.dialect.name == "postgresql" and self._line is None:
            self._line = self._lock_database()

    def is_held(self) -> bool:
        """Whether it is still ours. PostgreSQL forgets it when it restarts; then it is taken again, if nobody has."""
        if self._line is None:
            return self._file >= 0
        try:
            self._line.execute(text("SELECT 1"))
            return True
        except DBAPIError:
            self._drop_line()
        try:
            self.take()
        except (AlreadyRunning, DBAPIError):
            return False
        return True

    def close(self) -> None:
        """Let it go."""
        self._drop_line()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _lock_folder(self) -> int:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self._folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise AlreadyRunning(
                f"Another process keeps house on {self._folder} already. Stop it first; or serve beside it with"
                " --no-chores; or let this one wait its turn with `central worker --wait`.",
                folder=str(self._folder),
            ) from None
        return file

    def _lock_database(self) -> Connection:
        line = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        if not line.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": ADVISORY_KEY}).scalar_one():
            line.close()
            raise AlreadyRunning(
                "Another process keeps house for this database already, perhaps on another machine. Stop it first; or"
                " serve beside it with --no-chores; or let this one wait its turn with `central worker --wait`."
            )
        return line

    def _drop_line(self) -> None:
        if self._line is not None:
            # Never back to the pool: the lock belongs to the connection, not to us.
            self._line.invalidate()
            self._line.close()
            self._line = None
