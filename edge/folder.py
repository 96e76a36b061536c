"""The lock of a data folder: two services on it, or an enrolment beside one, would write two histories."""

import fcntl
import os
from pathlib import Path

from loyalty.trouble import Fault

LOCK_FILE = "service.lock"


class AlreadyRunning(Fault):
    code = "service.already_running"


class FolderUnusable(Fault):
    code = "service.folder_unusable"


class FolderLock:
    """The data folder, for us alone until closed or until this process ends, however it ends.

    Raises:
        AlreadyRunning: a service has it, or an enrolment.
        FolderUnusable: it is no folder, or one on a disk that cannot be written to.
        PermissionError: not by this user.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        except PermissionError:
            raise
        except OSError as trouble:
            raise FolderUnusable(
                f"{folder} cannot hold a till's data: {trouble.strerror}. Set data_dir to a folder, on a disk that is"
                " mounted and can be written to.",
                folder=str(folder),
            ) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise AlreadyRunning(
                f"A till service works on {folder}. Stop it first, or set another data_dir.", folder=str(folder)
            ) from None

    def close(self) -> None:
        """Let it go."""
        os.close(self._file)
