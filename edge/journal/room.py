"""Room on the till's disk: a ballast to drop when it is full, and what is given up first as it fills.

On a full volume SQLite can neither update nor delete, nor empty its log. So 16 MB are kept in a file that can be
deleted at once, and then, in this order: the log is emptied, what may be forgotten is forgotten in small steps, and the
ballast comes back when there is room for it. The sale that found no room was refused; the same one works after.

Source: sync.md section 8.
"""

import errno
import logging
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from edge.journal.journal import Journal
from edge.journal.troubles import JournalBroken, JournalDamaged, JournalFull
from loyalty.trouble import Fault

MB = 1_000_000
BALLAST_FILE = "ballast"
LOW_MB, SHORT_MB, FULL_MB = 500, 100, 32
OPENING_BYTES = MB  # for the logs of journal and cache, and their indexes
Level = Literal["plenty", "low", "short", "full"]
_log = logging.getLogger(__name__)


class DiskShort(Fault):
    code = "disk.short"
    status = 507


def level_of(free_bytes: int) -> Level:
    """`low`: somebody should look. `short`: members are not renewed and only warnings are logged. `full`: room is made,
    and a sale may be refused."""
    for level, below_mb in (("full", FULL_MB), ("short", SHORT_MB), ("low", LOW_MB)):
        if free_bytes < below_mb * MB:
            return level  # type: ignore[return-value]
    return "plenty"


def make_room_to_open(folder: Path) -> None:
    """Before the journal is opened, which takes a little room itself: a disk without any gets the ballast's."""
    if shutil.disk_usage(folder).free < OPENING_BYTES:
        (folder / BALLAST_FILE).unlink(missing_ok=True)


class Room:
    """The disk of the data folder.

    Args:
        ballast_mb: 0 for none.
        free: how many bytes are free, the ballast not counted.
    """

    def __init__(self, journal: Journal, folder: Path, ballast_mb: int, free: Callable[[], int] | None = None) -> None:
        self._journal, self._path, self._bytes = journal, folder / BALLAST_FILE, ballast_mb * MB
        self._free = free or (lambda: shutil.disk_usage(folder).free)
        self._lock = threading.Lock()
        self._is_quiet = False
        journal.on_full = self.make_room

    def level(self) -> Level:
        """How full the disk is, with the ballast in its place or not."""
        return level_of(self._free())

    def free_mb(self) -> int:
        """How many megabytes are free, the ballast not counted."""
        return self._free() // MB

    def has_ballast(self) -> bool:
        """Whether all of it is there; true where none is wanted."""
        return not self._bytes or (self._path.exists() and self._path.stat().st_size == self._bytes)

    def check_cosmetic(self) -> None:
        """Before something is written that a sale can do without. Raises: DiskShort."""
        if self.level() in ("short", "full"):
            raise DiskShort(
                "The disk of this till is nearly full, so members are not renewed; sales go on. "
                "Free some space (logs, downloads).",
                free_mb=self.free_mb(),
            )

    def make_room(self) -> None:
        """Drop the ballast, empty the log, forget what may be forgotten. A disk that is still full stays so."""
        with self._lock:
            self._path.unlink(missing_ok=True)
            self._tidy()

    def _tidy(self) -> None:
        try:
            self._journal.checkpoint()
            self._journal.prune(after_each=self._journal.checkpoint)
        except JournalFull:
            _log.warning("no room could be made on this disk; sales may be refused until there is space")
        except (JournalBroken, JournalDamaged) as trouble:
            # Whoever wants room is told the same by his own next write.
            _log.error("no room could be made: %s", trouble)

    def keep(self) -> None:
        """A chore: tidy up before it is needed, have the ballast back when it fits twice, be quiet meanwhile."""
        with self._lock:
            if self.level() == "full":
                self._tidy()
            if not self.has_ballast() and self._free() >= max(2 * self._bytes, self._bytes + FULL_MB * MB // 2):
                self._lay()
        self._hush(self.level() in ("short", "full"))

    def _lay(self) -> None:
        beside = self._path.with_name(BALLAST_FILE + ".new")
        file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.posix_fallocate(file, 0, self._bytes)
            os.fsync(file)
        except OSError as error:
            beside.unlink(missing_ok=True)
            if error.errno != errno.ENOSPC:
                raise
            return
        finally:
            os.close(file)
        beside.rename(self._path)

    def _hush(self, quiet: bool) -> None:
        if quiet != self._is_quiet:
            self._is_quiet = quiet
            # A disk that is short is not filled with news that all is well.
            logging.disable(logging.INFO if quiet else logging.NOTSET)
