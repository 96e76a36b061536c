"""A journal that cannot be read, or does not chain, becomes a new one with all of it that is true.

The damaged files stay, moved aside. What is true goes into a new journal under its own numbers and into a signed file,
and the till goes on in an epoch that it gives itself: within seconds, with or without the line. Each step may be cut
short, and done again. Source: sync.md section 8; DECISIONS 20.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from edge.identity import (
    TillIdentity,
    earlier_identity,
    read_identity_file,
    read_secret,
    sync_folder,
    write_durably,
    write_identity_file,
    write_secret,
)
from edge.journal.journal import Journal
from edge.journal.left_behind import Loose, SalvagedEvent, SalvagedPerson
from edge.line.enrol import JOURNAL_FILE
from edge.line.sending_left import left_batch
from edge.ports import Clock
from edge.salvage.carving import carve, event_of, loose_of, mark_of, person_of
from edge.salvage.piecing import Pieces, Run, piece_together
from edge.salvage.salvaged_people import match_people
from loyalty.trouble import Refusal
from sync.chain import StreamHead
from sync.envelope import MAX_EVENTS, Unsent, open_batch
from sync.exports import CarriedPerson, seal_export
from sync.provisional import next_provisional

NEW_FILE = "journal-salvaged.db"
NEXT_FILE = "salvaged-identity.json"
ENDS = ("", "-wal", "-shm")
_log = logging.getLogger(__name__)


class Salvaged(msgspec.Struct, frozen=True, kw_only=True):
    """Who the till is from now on, and what was saved: events on the trunk, events that hang in the air, and who so
    many new members are."""

    identity: TillIdentity
    kept: int
    loose: int
    people: int
    file: Path


def salvage(
    folder: Path, identity: TillIdentity, clock: Clock, *, draw: int, mark: StreamHead | None = None, log: bytes = b""
) -> Salvaged:
    """Begin a new journal with what is true of the damaged one.

    Args:
        draw: 20 random bits.
        mark: the tail's, where there is one.
        log: the bytes of the log before anybody tried to open the journal; SQLite deletes one that it cannot use.
    """
    path = folder / JOURNAL_FILE
    db, left = (_bytes_of(path.with_name(path.name + end)) for end in ENDS[:2])
    records = [*carve(db, log), *carve(db, left)] if left not in (b"", log) else carve(db, log)
    events = [event for record in records if (event := event_of(record)) is not None]
    acked = [place for record in records if (place := mark_of(record, identity.till_id)) is not None]
    pieces, owns = {}, _identities(folder, identity)
    for own in owns:
        start = StreamHead(till_id=own.till_id, epoch=own.epoch)
        known = [(mark.seq, mark.hash)] if mark and (mark.till_id, mark.epoch) == (own.till_id, own.epoch) else []
        pieces[own.epoch] = piece_together(start, own.genesis, events, acked, known)
    sealed = [one for record in records if (one := person_of(record)) is not None]
    people = match_people(sealed, [event for one in pieces.values() for event in _true_events(one)])
    now_ms = clock.now().wall_ms
    following = begin_provisional(identity, max(*pieces, mark.epoch if mark else 0), draw)
    found = [one for record in records if (one := loose_of(record)) is not None and _is_whole(one, owns)]
    found += [one for epoch in pieces for one in _loose_batches(pieces[epoch], now_ms, identity)]
    loose = list({(one.epoch, one.first_seq): one for one in found}.values())
    file = _write_file(folder, identity, pieces, loose, people, now_ms)
    _write_journal(folder, following, pieces, loose, people, clock)
    write_secret(folder / NEXT_FILE, following)
    # From here on a start that finds it half done ends it: once the damaged file is moved, the new one is the journal.
    _move_aside(folder, folder / f"damaged-{now_ms}")
    finish_salvage(folder)
    saved = Salvaged(
        identity=following,
        kept=sum(len(one.trunk.events) for one in pieces.values()),
        loose=sum(len(run.events) for one in pieces.values() for run in one.loose),
        people=len(people),
        file=file,
    )
    _log.error(
        "the journal was damaged; %d events are saved, %d more hang in the air, and who %d new members are: %s",
        saved.kept, saved.loose, saved.people, file,
    )  # fmt: skip
    return saved


def finish_salvage(folder: Path) -> TillIdentity | None:
    """Put a salvaged journal in its place, where the damaged one has been moved aside already.

    Returns:
        Who the till is from now on; none where there was nothing to end.
    """
    path, following = folder / JOURNAL_FILE, read_secret(folder / NEXT_FILE, TillIdentity)
    if following is None or path.exists():
        return None
    if (folder / NEW_FILE).exists():
        # A log that lies beside the new file would be taken for its own.
        _move_aside(folder, max(folder.glob("damaged-*")))
        if read_identity_file(folder) != following:
            write_identity_file(folder, following)
        (folder / NEW_FILE).rename(path)
        sync_folder(folder)
    (folder / NEXT_FILE).unlink()
    return following


def begin_provisional(identity: TillIdentity, above: int, draw: int) -> TillIdentity:
    """The till in an epoch of its own making, above every one that it knows of; nothing is written yet."""
    return msgspec.structs.replace(identity, provisional=next_provisional(above, draw))


def _identities(folder: Path, identity: TillIdentity) -> list[TillIdentity]:
    """The present one, and those of earlier epochs of this lane, by whose secrets its events can be checked."""
    found = [identity]
    for path in sorted(folder.glob("identity-*.json")):
        number = path.stem.removeprefix("identity-")
        earlier = earlier_identity(folder, int(number)) if number.isdigit() else None
        if earlier and earlier.till_id == identity.till_id and earlier.epoch != identity.epoch:
            found.append(earlier)
    return sorted(found, key=lambda one: one.epoch)


def _true_events(pieces: Pieces) -> Iterator[SalvagedEvent]:
    for run in (pieces.trunk, *pieces.loose):
        yield from run.events


def _is_whole(found: Loose, owns: Sequence[TillIdentity]) -> bool:
    """Whether it is a batch that this till sealed, under its own numbers."""
    keys = {own.signer.key_no: own.signer.public for own in owns}
    try:
        header = open_batch(found.batch, lambda _till_id, key_no: keys.get(key_no)).header
    except Refusal:
        return False
    return (header.till_id, header.epoch, header.first_seq) == (owns[0].till_id, found.epoch, found.first_seq)


def _loose_batches(pieces: Pieces, now_ms: int, identity: TillIdentity) -> Iterator[Loose]:
    for run in pieces.loose:
        yield from (
            Loose(epoch=run.after.epoch, first_seq=first, batch=batch)
            for first, batch in sealed_run(run, run.after.seq, now_ms, identity)
        )


def sealed_run(run: Run, after_seq: int, now_ms: int, identity: TillIdentity) -> Iterator[tuple[int, bytes]]:
    """The events of a run after a sequence number, as batches with the number of their first."""
    unsent = [Unsent(seq=one.seq, payload=one.payload, hash=one.hash) for one in run.events]
    before = {after.seq: after.hash for after in (run.after, *unsent)}
    while unsent := [one for one in unsent if one.seq > after_seq]:
        after = msgspec.structs.replace(run.after, seq=after_seq, hash=before[after_seq])
        batch = left_batch(after, unsent[:MAX_EVENTS], now_ms, identity.signer)
        yield after_seq + 1, batch.data
        after_seq = batch.header.last_seq


def _write_file(
    folder: Path, identity: TillIdentity, pieces: dict[int, Pieces], loose: list[Loose],
    people: Sequence[SalvagedPerson], now_ms: int,
) -> Path:  # fmt: skip
    batches = [batch for one in pieces.values() for _, batch in sealed_run(one.trunk, one.acked.seq, now_ms, identity)]
    data = seal_export(
        [*batches, *(one.batch for one in loose)],
        till_id=identity.till_id, epoch=identity.epoch, made_at_ms=now_ms, why="salvage", signer=identity.signer,
        people=[CarriedPerson(about=one.event_id, sealed=one.sealed) for one in people],
    )  # fmt: skip
    path = folder / f"salvage-{identity.epoch}-{now_ms}.export"
    write_durably(path, data)
    return path


def _write_journal(
    folder: Path, identity: TillIdentity, pieces: dict[int, Pieces], loose: list[Loose],
    people: Sequence[SalvagedPerson], clock: Clock,
) -> None:  # fmt: skip
    path = folder / NEW_FILE
    for end in ENDS:
        path.with_name(path.name + end).unlink(missing_ok=True)
    journal = Journal.open(path, identity, clock)
    try:
        journal.left.keep_salvaged(
            [event for one in pieces.values() for event in one.trunk.events],
            [one.acked for one in pieces.values()],
            identity.granted.epoch,
            loose,
            people,
        )
    finally:
        journal.close()  # which empties its log into the file, so that the file alone is all of it


def _move_aside(folder: Path, aside: Path) -> None:
    aside.mkdir(mode=0o700, exist_ok=True)
    for end in ENDS:
        path = folder / (JOURNAL_FILE + end)
        if path.exists():
            path.rename(aside / path.name)
    sync_folder(aside)
    sync_folder(folder)


def _bytes_of(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
