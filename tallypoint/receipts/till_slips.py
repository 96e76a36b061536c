"""A slip of a till's own data folder, from copies of its files: a service that runs there is not disturbed."""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import msgspec

from edge.cache.cache import Cache
from edge.counter.desk import Desk
from edge.day.desk import DayDesk
from edge.identity import read_identity_file
from edge.journal.journal import Journal
from edge.line.enrol import CACHE_FILE, JOURNAL_FILE
from edge.ports import Settings, SystemClock
from edge.sale.till import Till
from edge.service import NotEnrolled
from loyalty.document import Language
from loyalty.trouble import Fault
from receipt_templates.compose import AnyView


class NotCopied(Fault):
    code = "receipts.till_not_readable"


def slip_of_till(settings: Settings, receipt_id: str, language: Language | None, *, copy: bool) -> AnyView:
    """A sale, return or void (`void:` and the receipt's id), exchange or close as that till prints it.

    Raises:
        NotEnrolled, NotCopied, ReceiptUnknown, and the faults of journal and cache.
    """
    identity = read_identity_file(settings.folder)
    if identity is None:
        raise NotEnrolled(f"There is no till in {settings.folder}.")
    clock = SystemClock()
    with tempfile.TemporaryDirectory(prefix="tallypoint-slip-") as name:
        folder = Path(name)
        for file in (JOURNAL_FILE, CACHE_FILE):
            _copy(settings.folder / file, folder / file)
        with (
            closing(Journal.open(folder / JOURNAL_FILE, identity, clock)) as journal,
            closing(Cache.open(folder / CACHE_FILE, identity, clock)) as cache,
        ):
            till = Till(
                journal=journal,
                cache=cache,
                clock=clock,
                settings=msgspec.structs.replace(settings, data_dir=name),
                identity=identity,
                is_offline=lambda: True,
            )
            desk = Desk(till=till, identity=identity, settings=settings, clock=clock, is_offline=lambda: True)
            return DayDesk(desk).slip(receipt_id, language=language, copy=copy)


def _copy(source: Path, target: Path) -> None:
    """A consistent copy of a database that somebody may be writing. Raises: NotCopied."""
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as held,
            closing(sqlite3.connect(target)) as copied,
        ):
            held.backup(copied)
        shutil.copymode(source, target)
    except (sqlite3.Error, OSError) as trouble:
        raise NotCopied(f"{source} cannot be read: {trouble}. Is it the till's data folder?") from None
