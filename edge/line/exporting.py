"""What head office has not acknowledged, as a signed file for a person to carry; and the answers that come back.

The file is read beside a service that sells. Its batches are sealed as they would be sent, but for the request counter,
which is of the line alone. Source: sync.md section 7, "De-enrol".
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from edge.database import reading_only
from edge.identity import TillIdentity
from edge.journal.journal import Journal
from edge.journal.left_behind import LOOSE_WAITING
from edge.journal.members_kept import SEALED_WAITING
from edge.journal.places import places_after
from edge.line.enrol import JOURNAL_FILE
from edge.line.sending_left import left_batch, signer_of
from loyalty.trouble import Fault, Refusal
from sync.blocks import BlockMark
from sync.chain import StreamHead
from sync.desk import Sealed
from sync.envelope import MAX_EVENTS, SealedBatch, Sender, Unsent, seal_batch
from sync.exports import CarriedPerson, open_answers, open_export, seal_export
from sync.framing import open_signed, read_json, split
from sync.wire import ACK_TAG, PROBLEM_TAG, Ack, BatchHeader, Lanes, Problem


class NothingToExport(Refusal):
    code = "export.nothing"


class NotReadable(Fault):
    code = "export.journal_unreadable"


class OtherFile(Refusal):
    code = "export.other_till"
    status = 422


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes of the file, and how many batches, events and new members' data are in it."""

    data: bytes
    batches: int
    events: int
    people: int


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an answer file: how far head office now is in the present epoch, what it kept apart, by code, and
    how many new members' data it has, or never will."""

    acked_seq: int
    apart: tuple[str, ...]
    people: int


def export(folder: Path, identity: TillIdentity, now_ms: int) -> Exported:
    """Everything that is not acknowledged, of every epoch, and who new members are, sealed as it goes with the line.

    Raises:
        NothingToExport: head office has acknowledged all of it.
        NotReadable: the journal is not there, or is damaged; the service salvages it at its next start.
    """
    try:
        with closing(reading_only(folder / JOURNAL_FILE)) as journal:
            sealed = list(_batches(journal, folder, identity, now_ms))
            loose = [bytes(batch) for _, _, batch in journal.execute(LOOSE_WAITING)]
            people = [
                CarriedPerson(about=event_id, sealed=Sealed(exchange_key=key, body=body))
                for event_id, key, body in journal.execute(SEALED_WAITING, (-1,))
            ]
    except sqlite3.Error as error:
        raise NotReadable(f"The journal cannot be read: {error}. Start the service once, then export again.") from None
    batches = [*(one.data for one in sealed), *loose]
    if not batches and not people:
        raise NothingToExport("Head office has acknowledged everything; there is nothing to carry to it.")
    headers = [read_json(split(batch), BatchHeader) for batch in batches]
    return Exported(
        data=seal_export(
            batches, till_id=identity.till_id, epoch=identity.epoch, made_at_ms=now_ms, why="export",
            signer=identity.signer, people=people,
        ),
        batches=len(batches),
        events=sum(one.last_seq - one.first_seq + 1 for one in headers),
        people=len(people),
    )  # fmt: skip


def take_answers(journal: Journal, identity: TillIdentity, data: bytes, now_ms: int) -> Settled:
    """Keep what head office acknowledged of an export file. Again changes nothing.

    Raises:
        BadEnvelope, BadSignature, BadBody: not head office's answer, or not all of it.
        OtherFile: it is about another till.
    """
    said, answers = open_answers(data, identity.centre_keys)
    if said.till_id not in ("", identity.till_id):
        raise OtherFile("These answers are for another till.", till_id=said.till_id)
    apart = []
    for one in answers:
        if one.status == 200:
            ack, _ = open_signed(ACK_TAG, one.body, Ack, identity.centre_keys)
            _take_ack(journal, identity, ack)
        else:
            apart.append(open_signed(PROBLEM_TAG, one.body, Problem, identity.centre_keys)[0].code)
    taken = [one for one in said.people if one.took and said.till_id]
    with journal.writing():
        for person in taken:
            journal.members.sealed_taken(person.about, person.refused, now_ms)
    return Settled(acked_seq=journal.outbox.acked().seq, apart=tuple(apart), people=len(taken))


def covers(journal: Journal, identity: TillIdentity, data: bytes) -> bool:
    """Whether an export file holds all that is not acknowledged now.

    Raises:
        BadEnvelope, BadSignature, BadBody: not a file of this till, or not all of it.
    """
    file = open_export(data, lambda _till_id, _key_no: identity.signer.public)
    if file.header.till_id != identity.till_id:
        raise OtherFile("This file was exported from another till.", till_id=file.header.till_id)
    held = [read_json(split(batch), BatchHeader) for batch in file.batches]
    ends = {(one.epoch, one.last_seq, one.head_hash) for one in held}
    starts = {(one.epoch, one.first_seq - 1, one.prev_hash) for one in held}
    left = [(after, journal.left.tip(after.epoch)) for after in journal.left.heads()]
    wanted = [(journal.outbox.acked(), journal.head()), *left]
    sound = all(_is_held(after, head, starts, ends) for after, head in wanted if head.seq > after.seq)
    carried = {(one.about, one.sealed) for one in file.people}
    return sound and {one.batch for one in journal.left.loose()} <= set(file.batches) and (
        set(journal.members.sealed_waiting(-1)) <= carried
    )


def _is_held(
    after: StreamHead, head: StreamHead, begins: set[tuple[int, int, str]], ends: set[tuple[int, int, str]]
) -> bool:
    """Since a hash covers all before it, it is enough that one batch begins where head office is or before it was
    known to be, and one ends at the head."""
    return (head.epoch, head.seq, head.hash) in ends and any(
        epoch == after.epoch and seq <= after.seq for epoch, seq, _ in begins
    )


def _take_ack(journal: Journal, identity: TillIdentity, ack: Ack) -> None:
    head = ack.head
    if head.till_id != identity.till_id:
        raise OtherFile("These answers are for another till.", till_id=head.till_id)
    if head.epoch != identity.epoch:
        # Head office may have more of an epoch that is over than is left here; then the line settles it.
        if journal.left.hash_at(head.epoch, head.seq) == head.hash:
            journal.left.take_head(head)
    elif head.seq > journal.outbox.acked().seq and journal.outbox.hash_at(head.seq) == head.hash:
        journal.outbox.take_ack(ack)


def _batches(journal: sqlite3.Connection, folder: Path, identity: TillIdentity, now_ms: int) -> Iterator[SealedBatch]:
    streams = journal.execute("SELECT epoch, acked_seq, acked_hash, block_no, block_hash FROM stream ORDER BY epoch")
    for epoch, seq, hash_, block_no, block_hash in streams.fetchall():
        after = StreamHead(till_id=identity.till_id, epoch=epoch, seq=seq, hash=hash_)
        block = BlockMark(block_no=block_no, hash=block_hash)
        while events := _following(journal, after):
            if epoch == identity.epoch:
                sealed = _present_batch(journal, identity, after, events, now_ms, block)
            else:
                sealed = left_batch(after, events, now_ms, signer_of(identity, folder, epoch))
            yield sealed
            after = msgspec.structs.replace(after, seq=sealed.header.last_seq, hash=sealed.header.head_hash)


def _present_batch(
    journal: sqlite3.Connection, identity: TillIdentity, after: StreamHead, events: list[Unsent], now_ms: int,
    block: BlockMark,
) -> SealedBatch:  # fmt: skip
    last = "SELECT seq FROM event WHERE place BETWEEN ? AND ? ORDER BY place DESC LIMIT 1"
    (head_seq,) = journal.execute(last, places_after(identity.epoch, 0)).fetchone()
    (grants,) = journal.execute(
        "SELECT coalesce(max(grant_no), 0) FROM lease WHERE epoch = ?", (identity.epoch,)
    ).fetchone()
    sender = Sender(
        counter=0, sent_at_ms=now_ms, clock_error_ms=0, boot="", head_seq=head_seq, cursors=Lanes(), grants=grants,
        block=block,
    )  # fmt: skip
    return seal_batch(after, events, sender, identity.signer)


def _following(journal: sqlite3.Connection, after: StreamHead) -> list[Unsent]:
    rows: Iterable[tuple[int, bytes, str]] = journal.execute(
        "SELECT seq, payload, hash FROM event WHERE place BETWEEN ? AND ? ORDER BY place LIMIT ?",
        (*places_after(after.epoch, after.seq), MAX_EVENTS),
    )
    return [Unsent(seq=seq, payload=payload, hash=hash_) for seq, payload, hash_ in rows]
