"""Enrolling a till: with a code from head office to an identity, and the first event of its stream.

What was drawn for a claim is kept until the answer is in: when the answer is lost on the way, the same claim is
made again, and head office gives the same identity again.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec

from edge.database import reading_only
from edge.folder import FolderLock
from edge.identity import TillIdentity, make_folder, read_identity_file, read_secret, write_identity_file, write_secret
from edge.journal.journal import Journal, open_epoch
from edge.journal.tail import Tail
from edge.ports import Clock, Settings
from loyalty.trouble import Refusal
from sync.enrolment import make_claim, read_code, read_identity
from sync.framing import read_json, split
from sync.keys import Signer
from sync.provisional import next_provisional
from sync.wire import ENROL_PATH, Answer, Identity, Problem

CLAIM_FILE = "claim.json"
JOURNAL_FILE = "journal.db"
CACHE_FILE = "cache.db"
VERSION = "0.1"

Exchange = Callable[[str, bytes], Answer]
"""(url, body) to the answer; raises a Fault when the line does not hold."""


class AlreadyEnrolled(Refusal):
    code = "enrol.already"


class NoCentre(Refusal):
    code = "enrol.no_centre"
    status = 422


class EnrolRefused(Refusal):
    code = "enrol.refused"


class OtherLane(Refusal):
    code = "enrol.other_lane"


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """The random numbers of a claim under way, in hex, and the code they belong to."""

    code: str
    seed: str
    exchange_private: str
    install_id: str


def enrol(
    settings: Settings,
    clock: Clock,
    *,
    code: str,
    fingerprint: str,
    exchange: Exchange,
    random_bytes: Callable[[int], bytes],
    again: bool = False,
) -> TillIdentity:
    """Claim the place that `code` stands for, keep the identity, open the journal's epoch.

    Args:
        code, fingerprint: as head office showed them, however they were typed.
        random_bytes: gives so many random bytes, such as `os.urandom`.
        again: replace an identity; head office gives a new epoch with the code.
    Raises:
        AlreadyEnrolled, NoCentre, AlreadyRunning, FolderUnusable: nothing was sent.
        BadCode: not a code.
        EnrolRefused: head office said no, with its own sentence.
        OtherLane: the code is of another lane than the till whose journal is here; the machine stays that till.
        WrongCentre, BadSignature, NotOurAnswer, BadBody: the answer does not come from that head office.
        Fault: the line does not hold; do the same again.
    """
    folder = settings.folder
    if not settings.centre_url:
        raise NoCentre("Set centre_url to the address of head office, then enrol.")
    lock = FolderLock(folder)
    try:
        make_folder(folder)
        before = read_identity_file(folder)
        if before and not again:
            raise AlreadyEnrolled(
                f"This machine is till {before.label or before.till_id} already.", till_id=before.till_id
            )
        draft = _draft(folder, read_code(code), random_bytes)
        granted = _claim(settings, draft, fingerprint, exchange)
        _check_lane(folder, before, granted)
        identity = _identity(before, draft, granted, random_bytes)
        write_identity_file(folder, identity)
        journal = Journal.open(folder / JOURNAL_FILE, identity, clock)
        open_epoch(journal, "enrolled")
        # What the tail says of an epoch before this one, even of the till's own making, is over.
        Tail(Path(settings.tail_path) if settings.tail_path else None).note(journal.head())
        journal.close()
        (folder / CLAIM_FILE).unlink()
        return identity
    finally:
        lock.close()


def _check_lane(folder: Path, before: TillIdentity | None, granted: Identity) -> None:
    """What a till has not sent goes under its own name alone. Raises: OtherLane."""
    # The identity may be gone, or of another lane: an earlier version let such a code take its place.
    own_id = _writer_of(folder / JOURNAL_FILE) or (before.till_id if before else granted.till_id)
    if (folder / JOURNAL_FILE).exists() and own_id != granted.till_id:
        own = before.label if before and before.till_id == own_id else ""
        raise OtherLane(
            f"This code is of {granted.label or granted.till_id} of store {granted.store_id}, but this machine is"
            f" {own or own_id}, with a journal of its own, and stays so. Let it leave first"
            " (tallypoint edge leave), then enrol it with a new code; or ask for a code of its own place.",
            till_id=own_id,
        )


def _writer_of(journal: Path) -> str:
    """Which till wrote a journal; "" for none, and for one that cannot be read, as whoever opens it says."""
    try:
        with closing(reading_only(journal)) as database:
            found = database.execute("SELECT till_id FROM stream LIMIT 1").fetchone()
    except sqlite3.Error:
        return ""
    return str(found[0]) if found else ""


def _identity(
    before: TillIdentity | None, draft: Draft, granted: Identity, random_bytes: Callable[[int], bytes]
) -> TillIdentity:
    own = TillIdentity(seed=draft.seed, install_id=draft.install_id, granted=granted)
    if before is None or before.till_id != own.till_id or before.granted.epoch < granted.epoch:
        return own
    if before.seed == own.seed:
        return before  # this very enrolment, cut short after it was written
    # Head office was put back to before an earlier enrolment, and gives its number out once more with another secret.
    # Events that were written under it follow on nothing there, so this till begins an epoch of its own at once.
    draw = int.from_bytes(random_bytes(3), "big")
    return msgspec.structs.replace(own, provisional=next_provisional(max(before.epoch, granted.epoch), draw))


def _claim(settings: Settings, draft: Draft, fingerprint: str, exchange: Exchange) -> Identity:
    exchange_private = bytes.fromhex(draft.exchange_private)
    # The time is left out: a claim made again must be the same bytes, so that an earlier answer fits it.
    request = make_claim(
        draft.code,
        Signer(bytes.fromhex(draft.seed)),
        exchange_private,
        install_id=draft.install_id,
        version=VERSION,
        at_ms=0,
    )
    answer = exchange(settings.centre_url.rstrip("/") + ENROL_PATH, request)
    if answer.status != 200:
        raise _refused(answer)
    return read_identity(answer.body, request, exchange_private, fingerprint)


def _draft(folder: Path, code: str, random_bytes: Callable[[int], bytes]) -> Draft:
    draft = read_secret(folder / CLAIM_FILE, Draft)
    if draft is None or draft.code != code:
        draft = Draft(
            code=code,
            seed=random_bytes(32).hex(),
            exchange_private=random_bytes(32).hex(),
            install_id=random_bytes(16).hex(),
        )
        write_secret(folder / CLAIM_FILE, draft)
    return draft


def _refused(answer: Answer) -> EnrolRefused:
    """The centre's sentence. It is not signed by a key we know yet, so it decides nothing but what we show."""
    try:
        problem = read_json(split(answer.body), Problem)
    except Refusal:
        return EnrolRefused(
            f"Head office answered with HTTP status {answer.status}; check its address and try again.",
            status=answer.status,
        )
    return EnrolRefused(problem.say, code=problem.code)
