"""The tail: how far the journal has come, noted on another file system, so that one put back from a copy is found out.

One line of text for each upload and each close, `till epoch seq hash`, appended and synced. A tail that cannot be
written is told of in the status and by the doctor, and stops no sale. Source: DECISIONS 18; sync.md section 7.
"""

import logging
import os
import re
import threading
from pathlib import Path

from edge.identity import sync_folder
from edge.journal.journal import Journal
from sync.chain import StreamHead

TAIL_FILE = "tallypoint-tail"
LONGEST = 1_000_000  # bytes, after which the file begins anew with its last line
_READ = 4_096
_LINE = re.compile(rb"([0-9a-f]{32}) (\d{1,10}) (\d{1,19}) ([0-9a-f]{64})\n")
_log = logging.getLogger(__name__)


class Tail:
    """The tail of one till.

    Args:
        path: of the file, or of a folder in which it is called `tallypoint-tail`; none for a till without one.
    Attributes:
        trouble: why it could not be read or written last, "" when all is well.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path / TAIL_FILE if path is not None and path.is_dir() else path
        self._lock = threading.Lock()
        self._noted: StreamHead | None = None
        self.trouble = ""

    @property
    def is_kept(self) -> bool:
        """Whether this till has one at all."""
        return self._path is not None

    def last(self) -> StreamHead | None:
        """What was noted last; none where nothing was, or it cannot be read."""
        if self._path is None:
            return None
        try:
            with self._path.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _READ))
                lines = _LINE.findall(file.read())
        except FileNotFoundError:
            self._fails("there is none yet")
            return None
        except OSError as error:
            self._fails(error.strerror or str(error))
            return None
        if not lines:
            self._fails("nothing in it can be read")
            return None
        till_id, epoch, seq, hash_ = (part.decode("ascii") for part in lines[-1])
        return StreamHead(till_id=till_id, epoch=int(epoch), seq=int(seq), hash=hash_)

    def note(self, head: StreamHead) -> bool:
        """Append where the stream stands, durably; False where that failed. The same head again writes nothing."""
        if self._path is None or head == self._noted:
            return True
        line = f"{head.till_id} {head.epoch} {head.seq} {head.hash}\n".encode("ascii")
        with self._lock:
            try:
                self._write(self._path, line)
            except OSError as error:
                self._fails(error.strerror or str(error))
                return False
            self._noted, self.trouble = head, ""
        return True

    def forget(self) -> None:
        """The till leaves: its tail goes with it, if it can be reached."""
        if self._path is not None and self._path.is_file():
            self._path.unlink()

    def _write(self, path: Path, line: bytes) -> None:
        if path.exists() and path.stat().st_size > LONGEST:
            beside = path.with_name(path.name + ".new")
            _append(beside, line, os.O_TRUNC)
            beside.rename(path)
        else:
            _append(path, line, os.O_APPEND)
        sync_folder(path.parent)

    def _fails(self, why: str) -> None:
        if self.trouble != why:
            _log.warning("the tail %s: %s", self._path, why)
        self.trouble = why


def went_back(mark: StreamHead, journal: Journal) -> bool:
    """Whether a mark of the tail proves that this journal is older than it, or another than the one it was made of."""
    head = journal.head()
    if mark.till_id != head.till_id or mark.epoch < head.epoch:
        return False
    if mark.epoch > head.epoch:
        # An epoch that the till gave itself has a higher number than the enrolment that followed it; it is here, then.
        return journal.left.hash_at(mark.epoch, mark.seq) != mark.hash
    if mark.seq > head.seq:
        return True
    known = journal.outbox.hash_at(mark.seq) if mark.seq else None
    return known is not None and known != mark.hash


def _append(path: Path, line: bytes, how: int) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600)
    try:
        # A line that power cut short is closed first, or the next one would be part of it.
        size = os.fstat(file).st_size
        whole = line if not size or _ends_whole(path, size) else b"\n" + line
        if os.write(file, whole) != len(whole):
            raise OSError("the line was written in part")
        os.fsync(file)
    finally:
        os.close(file)


def _ends_whole(path: Path, size: int) -> bool:
    with path.open("rb") as file:
        file.seek(size - 1)
        return file.read(1) == b"\n"
