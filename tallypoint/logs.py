"""Where a service's words go: warnings to the standard error, and everything to a file a day where a folder is set."""

import logging
import os
import sys
from logging.handlers import TimedRotatingFileHandler
from pathlib import Path

# They tell of each run and each connection, one a second here.
CHATTERERS = ("apscheduler", "alembic", "urllib3", "werkzeug", "waitress.queue")
FORM = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_log = logging.getLogger(__name__)


def keep_log(folder: str, name: str, days: int) -> None:
    """Begin to log, once in a process.

    Args:
        folder: of the files, made for the service alone; "" for none. Where nothing can be written there the service
            goes on without.
        name: of the service; two processes that log to one folder have different ones.
        days: for how many the files are kept.
    """
    root = logging.getLogger()
    for chatterer in CHATTERERS:
        logging.getLogger(chatterer).setLevel(logging.ERROR)
    shown = logging.StreamHandler(sys.stderr)
    shown.setLevel(logging.WARNING)
    handlers: list[logging.Handler] = [shown]
    trouble: OSError | None = None
    if folder:
        try:
            Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
            handlers.append(_OwnFile(Path(folder) / f"{name}.log", when="midnight", utc=True, backupCount=days))
            root.setLevel(logging.INFO)
        except OSError as error:
            trouble = error
    for handler in handlers:
        handler.setFormatter(logging.Formatter(FORM))
        root.addHandler(handler)
    if trouble is not None:
        # A till sells without a log.
        _log.error("no log is kept in %s: %s; warnings go to the standard error alone", folder, trouble.strerror)


class _OwnFile(TimedRotatingFileHandler):
    """A log that only its service may read."""

    def _open(self):  # type: ignore[no-untyped-def]
        return open(os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8")
