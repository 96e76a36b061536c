"""How a till's service opens its journal: whole and the newest there ever was, or in an epoch of its own making.

Never is the numbering of a journal continued that is older than it once was, or that was damaged: what was sent under
those numbers is not known here any more. Source: DECISIONS 20; sync.md sections 7 and 8.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge.identity import TillIdentity, write_identity_file
from edge.journal.journal import Journal, Kept, open_epoch
from edge.journal.tail import Tail, went_back
from edge.journal.troubles import JournalDamaged, damaged
from edge.line.enrol import JOURNAL_FILE
from edge.ports import Clock, Settings
from edge.salvage.carving import carve, event_of, is_sound_log
from edge.salvage.salvage import begin_provisional, finish_salvage, salvage
from sync.chain import StreamHead, next_head

WENT_BACK, SALVAGED = "journal.went_back", "journal.salvaged"
DRAW_BITS = 20
_log = logging.getLogger(__name__)


class OpenedJournal(msgspec.Struct, frozen=True, kw_only=True):
    """The journal, whose it is, and its tail. `why`: the reason of a provisional epoch that began now, "" for none."""

    journal: Journal
    identity: TillIdentity
    tail: Tail
    why: str


def open_journal(
    settings: Settings, identity: TillIdentity, clock: Clock, random_bits: Callable[[int], int]
) -> OpenedJournal:
    """Open the journal of a data folder, which is ours alone.

    Args:
        random_bits: gives so many random bits, such as `secrets.randbits`.
    Raises:
        OtherTill, JournalFull, JournalBroken, UnsafeDatabase: as `Journal.open`. A damaged one is salvaged.
    """
    folder = settings.folder
    tail = Tail(Path(settings.tail_path) if settings.tail_path else None)
    mark, kept, why = tail.last(), Kept(days=settings.kept_days, events=settings.kept_events), ""
    identity = finish_salvage(folder) or identity
    log = _log_of(folder)
    try:
        journal = Journal.open(folder / JOURNAL_FILE, identity, clock, kept)
        _check_log(journal, identity, log)
    except JournalDamaged as damage:
        _log.error("%s", damage)
        identity = salvage(folder, identity, clock, draw=random_bits(DRAW_BITS), mark=mark, log=log).identity
        journal, why = Journal.open(folder / JOURNAL_FILE, identity, clock, kept), SALVAGED
    else:
        if mark is not None and went_back(mark, journal):
            identity = _step_aside(folder, identity, mark, journal.head(), random_bits)
            journal.close()
            journal, why = Journal.open(folder / JOURNAL_FILE, identity, clock, kept), WENT_BACK
    if identity.provisional and not journal.head().seq:
        why = why or WENT_BACK  # the start that found it was cut short
        journal.outbox.set_suspended(why)
    open_epoch(journal, why or "enrolled")
    tail.note(journal.head())
    return OpenedJournal(journal=journal, identity=identity, tail=tail, why=why)


def _log_of(folder: Path) -> bytes:
    """The log, before anybody opens the journal; after a stop in order there is none."""
    path = folder / f"{JOURNAL_FILE}-wal"
    return path.read_bytes() if path.exists() else b""


def _check_log(journal: Journal, identity: TillIdentity, log: bytes) -> None:
    """Find out whether SQLite passed over a log that holds events. Raises: JournalDamaged, the journal closed."""
    if not log or is_sound_log(log):
        return
    head = journal.head()
    found = [
        one for one in map(event_of, carve(b"", log)) if one and (one.epoch, one.seq) == (head.epoch, head.seq + 1)
    ]
    if any(next_head(head, identity.genesis, one.payload).hash == one.hash for one in found):
        journal.close()
        raise damaged(f"its log was damaged, and held events after event {head.seq}")


def _step_aside(
    folder: Path, identity: TillIdentity, mark: StreamHead, head: StreamHead, random_bits: Callable[[int], int]
) -> TillIdentity:
    _log.error(
        "the journal went back: it ends at event %d of epoch %d, and was at event %d of epoch %d",
        head.seq, head.epoch, mark.seq, mark.epoch,
    )  # fmt: skip
    following = begin_provisional(identity, max(identity.epoch, mark.epoch), random_bits(DRAW_BITS))
    write_identity_file(folder, following)
    return following
