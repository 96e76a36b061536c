"""A till gives its place back: everything is at head office or in a file for it, the lane is marked, keys and data go.

Keys go first: what is left of the data after a cut is then nobody's. Source: sync.md section 7, "De-enrol".
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge.folder import FolderLock
from edge.identity import TillIdentity, overwrite, read_identity_file, sync_folder
from edge.journal.journal import Journal
from edge.journal.room import BALLAST_FILE
from edge.journal.tail import Tail
from edge.key_files import NEXT_FILE as NEXT_KEY_FILE
from edge.line.enrol import CACHE_FILE, CLAIM_FILE, JOURNAL_FILE
from edge.line.exporting import covers
from edge.ports import Clock, Settings
from edge.salvage.salvage import NEW_FILE, finish_salvage
from loyalty.trouble import Refusal
from sync.framing import open_signed, sha256
from sync.keys import PublicKeys
from sync.leaving import LEAVE_PATH, Leave, compose_leave, read_left
from sync.refusals import NotOurAnswer
from sync.wire import PROBLEM_TAG, Answer, Problem

# In this order; the folder itself and its lock stay.
WIPED = (
    "identity*.json*", "*-identity.json*", CLAIM_FILE + "*", NEXT_KEY_FILE + "*",
    CACHE_FILE + "*", JOURNAL_FILE + "*", NEW_FILE + "*", "salvage-*.export*", BALLAST_FILE + "*", "damaged-*/*",
)  # fmt: skip
_OVERWRITTEN = ("identity", "claim", "salvaged-identity", "next-key")


class NotEnrolled(Refusal):
    code = "leave.not_enrolled"


class StillUnsent(Refusal):
    code = "leave.unsent"


class NotCovered(Refusal):
    code = "leave.export_too_old"


class LeaveRefused(Refusal):
    code = "leave.refused"


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """Which till it was, and how many events head office expects in a file; none where it was not told."""

    till_id: str
    to_come: int | None


def leave(
    settings: Settings,
    clock: Clock,
    *,
    exchange: Callable[[str, bytes], Answer],
    exported: bytes | None = None,
    alone: bool = False,
) -> Gone:
    """Leave head office, and forget everything.

    Args:
        exchange: (url, body) to the answer; raises a Fault when the line does not hold.
        exported: the bytes of an export file, where not everything is acknowledged.
        alone: do not tell head office, which must then be told by a person (`central revoke`).
    Raises:
        AlreadyRunning: stop the service first.
        NotEnrolled, StillUnsent, NotCovered: nothing was sent, nothing is gone.
        LeaveRefused: head office said no, with its own sentence; nothing is gone.
        NotOurAnswer, BadSignature: something else answered; nothing is gone.
        Fault: the line does not hold; do the same again.
    """
    folder = settings.folder
    lock = FolderLock(folder)
    try:
        # A journal that was being saved is in two files: without its end this would be a till that never sold.
        identity = finish_salvage(folder) or read_identity_file(folder)
        if identity is None:
            raise NotEnrolled(f"There is no till in {folder}.")
        journal = Journal.open(folder / JOURNAL_FILE, identity, clock)
        try:
            _check_unsent(journal, identity, exported)
            said = None if alone else _tell(settings, clock, journal, identity, exchange, exported is not None)
        finally:
            journal.close()
        wipe(folder)
        Tail(Path(settings.tail_path) if settings.tail_path else None).forget()
        return Gone(till_id=identity.till_id, to_come=said)
    finally:
        lock.close()


def wipe(folder: Path) -> None:
    """Destroy keys, then data. A file of a key is overwritten first, which a disk that copies on write may not honour:
    such a disk wants encryption of its own."""
    for pattern in WIPED:
        for path in sorted(folder.glob(pattern)):
            if path.name.startswith(_OVERWRITTEN):
                overwrite(path)
            path.unlink()
        sync_folder(folder)
    for aside in folder.glob("damaged-*"):
        shutil.rmtree(aside)
    sync_folder(folder)


def _check_unsent(journal: Journal, identity: TillIdentity, exported: bytes | None) -> None:
    people = len(journal.members.sealed_waiting(-1))
    unsent = journal.backlog() + journal.outbox.left_unsent() + len(journal.left.loose())
    if not unsent and not people:
        return
    if exported is None:
        raise StillUnsent(
            f"{unsent} events, and who {people} new members are, are not at head office yet. Let the service send them,"
            " or export them to a file "
            "(tallypoint edge export), keep it for head office, and leave with --exported FILE.",
            unsent=unsent,
            people=people,
        )
    if not covers(journal, identity, exported):
        raise NotCovered("Something was written after this file was exported. Export again, then leave.")


def _tell(
    settings: Settings, clock: Clock, journal: Journal, identity: TillIdentity,
    exchange: Callable[[str, bytes], Answer], exported: bool,
) -> int:  # fmt: skip
    head, counter = journal.head(), journal.outbox.next_counter()
    keys = identity.centre_keys.live_at(clock.now().wall_ms)
    while True:
        message = Leave(
            till_id=identity.till_id, epoch=identity.epoch, key_no=identity.signer.key_no, counter=counter,
            sent_at_ms=clock.now().wall_ms, head_seq=head.seq, head_hash=head.hash, exported=exported,
        )  # fmt: skip
        request = compose_leave(message, identity.signer)
        answer = exchange(settings.centre_url.rstrip("/") + LEAVE_PATH, request)
        if answer.status == 200:
            return read_left(answer.body, request, keys).to_come
        problem = _problem(answer, request, keys)
        if problem.code != "sync.replayed" or problem.need < counter:
            raise LeaveRefused(problem.say, code_there=problem.code)
        counter = journal.outbox.next_counter(problem.need)


def _problem(answer: Answer, request: bytes, keys: PublicKeys) -> Problem:
    try:
        problem, _ = open_signed(PROBLEM_TAG, answer.body, Problem, keys)
    except Refusal:
        raise NotOurAnswer(f"Not head office but something on the way answered: HTTP {answer.status}.") from None
    if problem.answers != sha256(request):
        raise NotOurAnswer("This answers another request.")
    return problem
